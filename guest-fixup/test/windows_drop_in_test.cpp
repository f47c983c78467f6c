// SPDX-License-Identifier: GPL-3.0-or-later
// Drivers from a folder: INF files read, the right ones chosen, copied and registered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/driver_directories.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/windows_guest.hpp"
#include "guest-fixup/windows/drop_in.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup::windows {
namespace {

using test::WindowsGuest;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// In the manner of virtio-win's, written for this test.
std::string storage_inf(const std::string& decoration, const std::string& version = "01/02/2020,100.1.2.3") {
    return "; a test\r\n[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=SCSIAdapter\r\n"
           "ClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\r\nProvider=%Vendor%\r\nDriverVer=" +
           version +
           "\r\nCatalogFile=viostor.cat\r\n"
           "[DestinationDirs]\r\nDefaultDestDir = 12\r\n"
           "[SourceDisksNames]\r\n1 = \"disk\",,,\r\n[SourceDisksFiles]\r\nviostor.sys = 1,,\r\n"
           "[Manufacturer]\r\n%Vendor% = Models," +
           decoration + "\r\n[Models]\r\n[Models." + decoration +
           "]\r\n%Disk% = blk_inst, PCI\\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00\r\n"
           "%Disk% = blk_inst, PCI\\VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01\r\n"
           "[blk_inst]\r\nCopyFiles = files\r\n[files]\r\nviostor.sys\r\n"
           "[blk_inst.Services]\r\nAddService = viostor, %2%, blk_service\r\nAddService = viostor, 0x00000002, "
           "blk_service, log\r\n"
           "[blk_service]\r\nDisplayName = \"a ; b\"\r\nServiceType = %KERNEL%\r\nStartType = 0\r\nErrorControl = 1\r\n"
           "ServiceBinary = %12%\\viostor.sys\r\nLoadOrderGroup = SCSI miniport\r\nAddReg = blk_reg\r\n"
           "[blk_reg]\r\nHKR, \"Parameters\\PnpInterface\", \"5\", %DWORD%, \\\r\n  0x00000001\r\n"
           "HKR, Parameters, BusType, 0x00010001, 0x0000000A\r\n"
           "[Strings]\r\nVendor = \"A Vendor\"\r\nDisk = \"A \"\"disk\"\"\"\r\nKERNEL = 1\r\nDWORD = 0x00010001\r\n";
}

std::string network_inf() {
    return "[Version]\nSignature=\"$Windows NT$\"\nClass=Net\nClassGUID={4d36e972-e325-11ce-bfc1-08002be10318}\n"
           "DriverVer=1/1/2019,1.0.0.0\n[SourceDisksNames]\n1=d\n[SourceDisksFiles]\nnetkvm.sys=1\n"
           "[DestinationDirs]\nDefaultDestDir=12\n[Manufacturer]\nV=M,NTx86,NTamd64\n[M.NTx86]\nd=i,PCI\\VEN_1AF4&DEV_"
           "1000\n"
           "[M.NTamd64]\nd=i,PCI\\VEN_1AF4&DEV_1000\n[i.nt]\nCopyFiles=@netkvm.sys\n[i.nt.Services]\n"
           "AddService=netkvm,2,s\n[s]\nServiceType=1\nStartType=3\nServiceBinary=%12%\\netkvm.sys\n";
}

std::string as_utf16(const std::string& text) {
    std::string out = "\xff\xfe";
    for (const char c : text) {
        out += c;
        out += '\0';
    }
    return out;
}

WindowsSystem system_of(unsigned major, unsigned minor, unsigned build, bool server, Architecture architecture) {
    return {"/Windows", "Windows", major, minor, build, 0, server, architecture, "ControlSet001"};
}
const auto kXp = system_of(5, 1, 2600, false, Architecture::X86);
const auto kSeven = system_of(6, 1, 7601, false, Architecture::Amd64);
const auto k2016 = system_of(10, 0, 14393, true, Architecture::Amd64);

struct WindowsDropIn : testing::Test {
    WindowsGuest guest;
    WindowsDropIn() {
        guest.windows = kSeven;
        guest.request.target = TargetController::VirtioBlk;
        guest.system_tree.key("ControlSet001\\Services\\atapi").set("Start", reg_dword(0));
        guest.system_tree.key("Setup").set("SetupType", reg_dword(0)).set("CmdLine", reg_sz(""));
        guest.software_tree.key("Microsoft\\Windows\\CurrentVersion")
            .set("DevicePath", reg_expand_sz("%SystemRoot%\\inf"));
        guest.root.put("/Windows/System32/DRIVERS/atapi.sys", "inbox");
    }
    void add(const std::string& directory, const std::string& inf) {
        guest.request.driver_files.push_back({directory + "/viostor.inf", inf});
        guest.request.driver_files.push_back({directory + "/viostor.sys", "sys of " + directory});
        guest.request.driver_files.push_back({directory + "/viostor.cat", "cat"});
    }
};

}  // namespace

TEST(Inf, sections_lines_strings_and_comments_are_read_in_every_encoding) {
    for (const auto& bytes : {storage_inf("NTamd64.6.1"), as_utf16(storage_inf("NTamd64.6.1")),
                              "\xef\xbb\xbf" + storage_inf("NTamd64.6.1")}) {
        const auto inf = Inf::parse(bytes);
        ASSERT_TRUE(inf.ok()) << inf.error().describe();
        EXPECT_EQ(inf->value("VERSION", "provider"), "A Vendor");
        EXPECT_EQ(inf->value("blk_service", "DisplayName"), "a ; b");
        EXPECT_EQ(inf->expand("%disk%"), "A \"disk\"");
        EXPECT_EQ(inf->expand("100%% of %nothing%"), "100% of %nothing%");
        ASSERT_THAT(inf->section("blk_reg"), SizeIs(2));
        EXPECT_THAT(inf->section("blk_reg")[0].values,
                    ElementsAre("HKR", "Parameters\\PnpInterface", "5", "%DWORD%", "0x00000001"));
    }
    EXPECT_EQ(Inf::parse("[Version]\nA=caf\xe9\n")->value("version", "a"), "caf\xc3\xa9");
}

TEST(Inf, hostile_files_are_named_errors_or_empty_packages) {
    for (const auto& bad :
         std::vector<std::string>{std::string(), std::string("[Version"), std::string("text"),
                                  std::string(kLongestInf + 1, 'a'), "[Version]\n" + std::string(20'000, 'a')}) {
        const auto inf = Inf::parse(bad);
        ASSERT_FALSE(inf.ok());
        EXPECT_TRUE(inf.error().is(errors::kDrivers));
    }
    // A few lines that name each other as often as they can.
    std::string many = "[Version]\n[Manufacturer]\n";
    for (int i = 0; i < 9'000; ++i) many += "a=m\n";
    many += "[m]\n";
    for (int i = 0; i < 9'000; ++i) many += fmt::format("d=i{},PCI\\X\n", i);
    for (int i = 0; i < 300; ++i) many += fmt::format("[i{}]\nCopyFiles=c,c,c,c\nAddReg=c\n", i);
    many += "[c]\n";
    for (int i = 0; i < 9'000; ++i) many += "f\n";
    const auto package = package_for(Inf::parse(many).value(), kXp);
    std::size_t files = 0;
    for (const auto& install : package.installs) files += install.files.size();
    EXPECT_LE(files, 5'000u);
    const auto outside =
        Inf::parse("[Version]\nCatalogFile=..\\..\\c.cat\n[SourceDisksFiles]\n..\\x.sys=1\ny.sys=1,\\..\\z\n").value();
    EXPECT_THAT(files_of(outside), IsEmpty());
}

TEST(Inf, decorations_choose_as_windows_does) {
    EXPECT_TRUE(suits("NTamd64.6.1", kSeven, false));
    EXPECT_TRUE(suits("ntAMD64", kSeven, false));
    EXPECT_TRUE(suits("NTx86.5.1", kXp, false));
    EXPECT_TRUE(suits("NTamd64.10.0...14393", k2016, false));
    EXPECT_TRUE(suits("NTamd64.6.1.3", k2016, false));   // an older one for servers
    EXPECT_FALSE(suits("NTamd64.6.1.1", k2016, false));  // for workstations
    EXPECT_FALSE(suits("NTamd64.6.2", kSeven, false));
    EXPECT_FALSE(suits("NTamd64.10.0...17763", k2016, false));
    EXPECT_FALSE(suits("NTx86.6.1", kSeven, false));
    EXPECT_FALSE(suits("NT", kSeven, false));  // x86's
    EXPECT_TRUE(suits("NT", kSeven, true));
    EXPECT_FALSE(suits("NTamd64.x", kSeven, false));
    EXPECT_FALSE(suits("services", kSeven, true));
    EXPECT_GT(*suits("NTamd64.6.1", kSeven, false), *suits("NTamd64.6", kSeven, false));
    EXPECT_GT(*suits("NTamd64.10.0...14393", k2016, false), *suits("NTamd64.10.0", k2016, false));
}

TEST(Inf, a_package_says_service_files_and_registry) {
    const auto package = package_for(Inf::parse(storage_inf("NTamd64.6.1")).value(), kSeven);
    ASSERT_THAT(package.devices, SizeIs(2));
    EXPECT_EQ(package.date, 20200102u);
    const auto& install = package.installs[package.devices[0].install];
    ASSERT_TRUE(install.service);
    EXPECT_EQ(install.service->name, "viostor");
    EXPECT_EQ(install.service->type, 1u);
    EXPECT_EQ(install.service->binary, "viostor.sys");
    ASSERT_THAT(install.service->registry, SizeIs(2));
    EXPECT_EQ(install.service->registry[0].value, reg_dword(1));
    ASSERT_THAT(install.files, SizeIs(1));
    EXPECT_EQ(install.files[0].source, "viostor.sys");
    EXPECT_EQ(install.files[0].target, "system32/drivers/viostor.sys");
    EXPECT_THAT(registered_ids(package.devices[0]),
                ElementsAre("PCI\\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00", "PCI\\VEN_1AF4&DEV_1001&REV_00"));
    EXPECT_THAT(package_for(Inf::parse(storage_inf("NTamd64.6.1")).value(), kXp).devices, IsEmpty());
}

TEST(WindowsDropInDirectories, virtio_wins_names_are_known) {
    EXPECT_FALSE(directory_suits("v/viostor/w8/amd64", kSeven));
    EXPECT_FALSE(directory_suits("v/viostor/w7/x86", kSeven));
    EXPECT_FALSE(directory_suits("v/viostor/2k19/amd64", k2016));
    EXPECT_EQ(directory_suits("some/drivers", kSeven), 0u);
    EXPECT_GT(*directory_suits("v/viostor/w7/amd64", kSeven), *directory_suits("v/viostor/2k8/amd64", kSeven));
    EXPECT_GT(*directory_suits("v/viostor/w7/amd64", kSeven), *directory_suits("v/viostor/2k8R2/amd64", kSeven));
    EXPECT_GT(*directory_suits("v/viostor/2k16/amd64", k2016), *directory_suits("v/viostor/w10/amd64", k2016));
}

TEST_F(WindowsDropIn, windows_7_finds_it_by_the_critical_device_database) {
    add("/v/viostor/w7/amd64", storage_inf("NTamd64.6.1"));
    add("/v/viostor/w8/amd64", storage_inf("NTamd64.6.1", "01/02/2030,1.0.0.0"));
    add("/v/viostor/w7/x86", storage_inf("NTx86.6.1"));
    guest.system = test::make_hive(guest.system_tree);
    const auto before = guest.system;
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_THAT(out.warnings, IsEmpty());
    EXPECT_EQ(guest.root.get("/Windows/System32/DRIVERS/viostor.sys"), "sys of /v/viostor/w7/amd64");
    EXPECT_EQ(guest.root.get("/Windows/slipway/Drivers/viostor/viostor.inf"), storage_inf("NTamd64.6.1"));
    const auto hive = guest.system_hive();
    const std::string service = "ControlSet001\\Services\\viostor";
    EXPECT_EQ(hive.number(service, "Start"), 0u);
    EXPECT_EQ(hive.get(service, "ImagePath"), reg_expand_sz("system32\\drivers\\viostor.sys"));
    EXPECT_EQ(hive.string(service, "Group"), "SCSI miniport");
    EXPECT_EQ(hive.number(service + "\\Parameters\\PnpInterface", "5"), 1u);
    const std::string known = "ControlSet001\\Control\\CriticalDeviceDatabase\\pci#ven_1af4&dev_1042&rev_01";
    EXPECT_EQ(hive.string(known, "Service"), "viostor");
    EXPECT_EQ(hive.string(known, "ClassGUID"), "{4D36E97B-E325-11CE-BFC1-08002BE10318}");
    EXPECT_FALSE(hive.has("DriverDatabase"));
    EXPECT_EQ(guest.software_hive().get("Microsoft\\Windows\\CurrentVersion", "DevicePath"),
              reg_expand_sz("%SystemRoot%\\inf;%SystemRoot%\\slipway\\Drivers\\viostor"));
    EXPECT_THAT(guest.root.get(guest.only_file("/Windows/slipway/FirstBoot/scripts")),
                HasSubstr("pnputil.exe\" -i -a \"%SystemRoot%\\slipway\\Drivers\\viostor\\viostor.inf\""));
    EXPECT_THAT(test::diff_hives(before, guest.system).removed, IsEmpty());
    EXPECT_THAT(guest.run(add_drop_in_drivers).changes, IsEmpty());
}

TEST_F(WindowsDropIn, windows_10_finds_it_by_the_driver_database) {
    guest.windows = k2016;
    guest.system_tree.key("DriverDatabase\\DeviceIds\\PCI");
    guest.system_tree.key("ControlSet001\\Services\\viostor\\StartOverride").set("0", reg_dword(3));
    add("/v/viostor/2k16/amd64", storage_inf("NTamd64.10.0"));
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    const auto hive = guest.system_hive();
    EXPECT_FALSE(hive.has("ControlSet001\\Services\\viostor\\StartOverride"));
    EXPECT_FALSE(hive.has("ControlSet001\\Control\\CriticalDeviceDatabase"));
    const std::string label = "slipway_viostor.inf_amd64_0000000000000000";
    EXPECT_EQ(hive.strings("DriverDatabase\\DriverInfFiles\\slipway_viostor.inf", ""), std::vector<std::string>{label});
    EXPECT_EQ(hive.string("DriverDatabase\\DriverInfFiles\\slipway_viostor.inf", "Active"), label);
    EXPECT_EQ(hive.get("DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001&REV_00", "slipway_viostor.inf"),
              reg_binary(std::string("\x01\xff\x00\x00", 4)));
    const auto package = "DriverDatabase\\DriverPackages\\" + label;
    EXPECT_EQ(
        hive.get(package, "Version"),
        reg_binary(
            std::string(
                "\x00\xff\x09\x00\x00\x00\x00\x00\x7b\xe9\x36\x4d\x25\xe3\xce\x11\xbf\xc1\x08\x00\x2b\xe1\x03\x18",
                24) +
            std::string(24, '\0')));
    EXPECT_EQ(hive.string(package + "\\Configurations\\slipway_conf", "Service"), "viostor");
    EXPECT_EQ(hive.string(package + "\\Descriptors\\PCI\\VEN_1AF4&DEV_1042&REV_01", "Configuration"), "slipway_conf");
    EXPECT_THAT(guest.run(add_drop_in_drivers).changes, IsEmpty());
}

TEST_F(WindowsDropIn, a_file_that_is_missing_is_named_and_nothing_is_changed) {
    add("/v/viostor/w7/amd64", storage_inf("NTamd64.6.1"));
    guest.request.driver_files.erase(guest.request.driver_files.begin() + 1);
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_FALSE(out.status.ok());
    EXPECT_TRUE(out.status.error().is(errors::kDrivers));
    EXPECT_THAT(out.status.error().message(), HasSubstr("viostor.sys"));
    EXPECT_THAT(out.changes, IsEmpty());
}

TEST_F(WindowsDropIn, folders_for_other_systems_alone_are_an_error_that_says_why) {
    add("/v/viostor/w10/amd64", storage_inf("NTamd64.10.0"));
    add("/v/viostor/w7/x86", storage_inf("NTx86.6.1"));
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_FALSE(out.status.ok());
    EXPECT_THAT(out.status.error().message(), testing::AllOf(HasSubstr("PCI\\VEN_1AF4&DEV_1001"), HasSubstr("6.1.7601"),
                                                             HasSubstr("w10/amd64/viostor.inf")));
    // Already in this system: nothing is needed of the folder.
    guest.system.clear();
    guest.system_tree.key("ControlSet001\\Services\\viostor").set("Start", reg_dword(0));
    EXPECT_TRUE(guest.run(add_drop_in_drivers).status.ok());
}

TEST_F(WindowsDropIn, a_driver_of_another_controller_or_without_a_service_is_named_with_the_reason) {
    guest.request.target = TargetController::VirtioScsi;
    for (const char* folder : {"a", "b", "c", "d", "e", "f", "g"})
        guest.request.driver_files.push_back(
            {fmt::format("/v/{}/w10/amd64/vioscsi.inf", folder), storage_inf("NTamd64")});
    add("/v/viostor/w7/amd64", storage_inf("NTamd64.6.1"));
    auto plain = storage_inf("NTamd64.6.1");
    for (const char* name : {"DEV_1001", "DEV_1042"}) plain.replace(plain.find(name), 8, "DEV_1004");
    while (plain.find("AddService") != plain.npos) plain.replace(plain.find("AddService"), 10, "DelService");
    guest.request.driver_files.push_back({"/v/vioscsi/w7/amd64/empty.inf", plain});
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_FALSE(out.status.ok());
    EXPECT_THAT(out.status.error().message(),
                testing::AllOf(HasSubstr("w7/amd64/viostor.inf: it is for this Windows, but for no virtio-scsi"),
                               HasSubstr("w7/amd64/empty.inf: it installs no service")));
    EXPECT_THAT(out.changes, IsEmpty());
}

TEST_F(WindowsDropIn, a_network_driver_is_laid_out_for_windows_to_find_and_is_no_boot_driver) {
    guest.request.target = TargetController::Ide;
    guest.request.driver_files = {{"/n/netkvm.inf", network_inf()}, {"/n/netkvm.sys", "net"}};
    const auto out = guest.run(add_drop_in_drivers);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_TRUE(guest.root.has("/Windows/slipway/Drivers/netkvm/netkvm.sys"));
    EXPECT_FALSE(guest.root.has("/Windows/System32/DRIVERS/netkvm.sys"));
    EXPECT_FALSE(guest.system_hive().has("ControlSet001\\Services\\netkvm"));
    guest.request.driver_files = {{"/n/net;evil.inf", network_inf()}, {"/n/netkvm.sys", "net"}};
    EXPECT_THAT(guest.run(add_drop_in_drivers).warnings, ElementsAre(HasSubstr("name of other than letters")));
}

TEST(WindowsDropInReal, real_systems_gain_the_driver_and_lose_nothing) {
    const auto seven = test::shared_hive("hives/regipy-SYSTEM"),
               ten = test::shared_hive("hives/regipy-SYSTEM_WIN_10_1709"),
               software = test::shared_hive("hives/plaso-SOFTWARE");
    if (!seven || !ten || !software) GTEST_SKIP() << "the shared hives are not there";
    for (const bool new_one : {false, true}) {
        WindowsGuest guest;
        guest.windows = new_one ? system_of(10, 0, 16299, false, Architecture::Amd64)
                                : system_of(6, 1, 7600, false, Architecture::X86);
        guest.request.target = TargetController::VirtioBlk;
        const std::string decoration = new_one ? "NTamd64.10.0" : "NTx86.6.1";
        guest.request.driver_files = {
            {"/v/viostor.inf", storage_inf(decoration)}, {"/v/viostor.sys", "s"}, {"/v/viostor.cat", "c"}};
        const auto& before = new_one ? *ten : *seven;
        guest.system = before;
        guest.software = *software;
        const auto out = guest.run(add_drop_in_drivers);
        ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
        const auto system = test::diff_hives(before, guest.system);
        EXPECT_THAT(system.removed, IsEmpty()) << test::to_text(system);
        EXPECT_FALSE(system.added.empty());
        // One value of SOFTWARE, of the type it had.
        const auto diff = test::diff_hives(*software, guest.software);
        EXPECT_THAT(diff.removed, ElementsAre(HasSubstr("DevicePath"))) << test::to_text(diff);
        EXPECT_THAT(diff.added, SizeIs(1));
        EXPECT_EQ(guest.software_hive().get("Microsoft\\Windows\\CurrentVersion", "DevicePath")->type,
                  RegType::ExpandSz);
        EXPECT_THAT(guest.run(add_drop_in_drivers).changes, IsEmpty());
    }
}

TEST(WindowsDriverFolders, what_the_inf_files_name_goes_with_the_request_and_nothing_else) {
    test::FakeRoot root;
    root.put("/v/viostor/w7/amd64/VIOSTOR.INF", storage_inf("NTamd64.6.1"));
    root.put("/v/viostor/w7/amd64/viostor.sys", "sys");
    root.put("/v/viostor/w7/amd64/viostor.cat", "cat");
    root.put("/v/viostor/w7/amd64/viostor.pdb", "symbols");
    root.put("/v/balloon.inf", "[Version]\nClass=System\n");
    root.put("/v/autorun.inf", "[autorun]\nopen=x\n");
    std::filesystem::create_symlink("/etc/passwd", root.path() / "v/viostor/w7/amd64/link.inf");
    const auto files = read_driver_directories({root.path() / "v"});
    ASSERT_TRUE(files.ok()) << files.error().describe();
    std::vector<std::string> names;
    for (const auto& file : *files) names.push_back(file.name.substr(file.name.rfind('/') + 1));
    EXPECT_THAT(names, testing::UnorderedElementsAre("VIOSTOR.INF", "viostor.sys", "viostor.cat"));
    // As it goes, so it is chosen: the INF spells its own name otherwise.
    EXPECT_THAT(choose_drop_ins(*files, kSeven, TargetController::VirtioBlk).storage, SizeIs(1));
    std::filesystem::create_directories(root.path() / "empty");
    EXPECT_TRUE(read_driver_directories({root.path() / "empty"}).error().is(errors::kDrivers));
    EXPECT_TRUE(read_driver_directories({root.path() / "missing"}).error().is(errors::kRequest));
}

TEST(WindowsDriverFolders, more_than_a_request_carries_is_refused_with_what_to_do) {
    test::FakeRoot root;
    for (const char* os : {"w7", "w8"}) {
        root.put(fmt::format("/v/{}/viostor.inf", os), storage_inf("NTamd64.6.1"));
        root.put(fmt::format("/v/{}/viostor.sys", os), std::string(12u << 20, 'x'));
    }
    const auto files = read_driver_directories({root.path() / "v"});
    ASSERT_FALSE(files.ok());
    EXPECT_THAT(files.error().message(), HasSubstr("viostor/w10/amd64"));
    EXPECT_TRUE(read_driver_directories({root.path() / "v/w7"}).ok());
}

// SLIPWAY_REGENERATE=1 writes the fuzz target's seeds anew.
TEST(InfSeeds, are_the_files_of_these_tests) {
    const std::filesystem::path seeds = SLIPWAY_SOURCE_DIR "/guest-fixup/fuzz/inf";
    const std::pair<const char*, std::string> all[] = {{"storage.inf", storage_inf("NTamd64.6.1")},
                                                       {"network.inf", network_inf()},
                                                       {"utf16.inf", as_utf16(storage_inf("NTx86.5.1"))}};
    for (const auto& [name, text] : all) {
        if (std::getenv("SLIPWAY_REGENERATE")) {
            std::filesystem::create_directories(seeds);
            ASSERT_TRUE(write_file_atomic(seeds / name, as_bytes(text)).ok());
        }
        EXPECT_EQ(read_text_file(seeds / name).value_or(""), text) << name;
    }
}

}  // namespace slipway::fixup::windows
