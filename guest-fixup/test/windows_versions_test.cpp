// SPDX-License-Identifier: GPL-3.0-or-later
// Every step of the repair on every Windows that is supported, from NT 4 to 11: each a tree made here with what that
// version has. docs/compatibility.md names these tests (tests/matrix/windows); what a version has not, stays as it is.
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/windows/bcd.hpp"
#include "guest-fixup/windows/disk_place.hpp"
#include "guest-fixup/windows/errors.hpp"
#include "guest-fixup/windows/steps.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/test/media.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using patches::FileVersion;
using patches::test::make_pe;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

struct Version {
    const char* name;
    test::Edition edition;
    unsigned major, minor;
    bool x86;
};
const Version kVersions[] = {
    {"nt4", test::kNt4, 4, 0, true},
    {"win2000", {"Microsoft Windows 2000 Server", "5.0", "2195", "Service Pack 4"}, 5, 0, true},
    {"xp", test::kXp, 5, 1, true},
    {"win2003", {"Microsoft Windows Server 2003", "5.2", "3790", "Service Pack 2"}, 5, 2, true},
    {"vista", {"Windows Server (R) 2008 Standard", "6.0", "6002", "Service Pack 2"}, 6, 0, true},
    {"win7", test::kSeven, 6, 1, true},
    {"win8", {"Windows Server 2012 Standard", "6.2", "9200", ""}, 6, 2, false},
    {"win81", {"Windows Server 2012 R2 Standard", "6.3", "9600", ""}, 6, 3, false},
    {"win10", {"Windows Server 2019 Standard", "6.3", "17763", "", 10, 0}, 10, 0, false},
    {"win11", {"Windows Server 2022 Standard", "6.3", "20348", "", 10, 0}, 10, 0, false},
};

const std::string kServices = "ControlSet001\\Services\\", kControl = "ControlSet001\\Control\\",
                  kDisks = kControl + "Class\\{4D36E967-E325-11CE-BFC1-08002BE10318}",
                  kCards = kControl + "Class\\{4D36E972-E325-11CE-BFC1-08002BE10318}\\0001",
                  kGuid = "{58094C24-B1BD-4961-8C68-7C13F7A6213C}", kHal = "ControlSet001\\Enum\\Root\\ACPI_HAL\\0000",
                  kLoader = "{11111111-2222-3333-4444-555555555555}";

class EveryWindows : public testing::TestWithParam<Version> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
        auto tree = test::system_tree(v().x86 ? "x86" : "AMD64");
        add_drivers(tree);
        add_old_hardware(tree);
        const auto system =
            test::make_hive(tree, v().major < 5 ? test::TestHive{.minor = 3, .list = "lf"} : test::TestHive{});
        test::put_windows(guest, "/WINDOWS", system, test::software_hive(v().edition));
        test::put_all_drivers(guest, "/WINDOWS", system);
        for (const char* name : {"pciidex.sys", "viostor.sys"}) test::put_driver(guest, "/WINDOWS", name);
        if (v().major < 6) add_hal_and_boot_ini();
        else add_boot_store();
        request.root = guest.path();
        request.target = TargetController::Ide;
        request.patch_directories = {library.path()};
    }
    const Version& v() const { return GetParam(); }
    bool since(unsigned major, unsigned minor) const {
        return v().major > major || (v().major == major && v().minor >= minor);
    }

    const char* ahci() const { return since(6, 2) ? "storahci" : "msahci"; }
    void add_drivers(test::TestKey& tree) const {
        std::vector<std::string> waiting{"atapi", "intelide", "pciide"};
        if (v().major >= 6) waiting.emplace_back(ahci());
        for (const auto& name : waiting) {
            test::add_service(tree, name, 3, "SCSI miniport");
            if (since(6, 2)) tree.key(kServices + name + "\\StartOverride").set("0", reg_dword(3));
        }
        test::add_service(tree, "disk", 0, "SCSI Class");
        test::add_service(tree, "PartMgr", 0, "");
        test::add_service(tree, "intelppm", 1, "Extended Base");
        tree.key(kDisks).set("UpperFilters", reg_multi_sz({"PartMgr", "gone"}));
        if (v().major < 6) return;
        add_device(tree, "ven_8086&dev_7010", "intelide");
        add_device(tree, "cc_010601", ahci());
    }
    // What Windows itself knows of a device: by the one database or the other.
    void add_device(test::TestKey& tree, const std::string& id, const std::string& service) const {
        if (!since(6, 2)) {
            tree.key(kControl + "CriticalDeviceDatabase\\pci#" + id).set("Service", reg_sz(service));
            return;
        }
        const std::string database = "DriverDatabase\\", package = database + "DriverPackages\\mshdc.inf_amd64_1";
        tree.key(database + "DeviceIds\\PCI\\" + id).set("mshdc.inf", reg_binary(std::string("\1\xff\0\0", 4)));
        tree.key(database + "DriverInfFiles\\mshdc.inf").set("Active", reg_sz("mshdc.inf_amd64_1"));
        tree.key(package + "\\Descriptors\\PCI\\" + id).set("Configuration", reg_sz(service + "_Inst"));
        tree.key(package + "\\Configurations\\" + service + "_Inst").set("Service", reg_sz(service));
    }
    void add_old_hardware(test::TestKey& tree) const {
        tree.key(kServices + "CpqNicMgmt").set("Type", reg_dword(0x10)).set("Start", reg_dword(2));
        tree.key("Setup").set("SetupType", reg_dword(0)).set("CmdLine", reg_sz(""));
        tree.key(kCards).set("NetCfgInstanceId", reg_sz(kGuid)).set("Characteristics", reg_dword(0x84));
        tree.key(kServices + "Tcpip\\Parameters\\Interfaces\\" + kGuid)
            .set("EnableDHCP", reg_dword(0))
            .set("IPAddress", reg_multi_sz({"10.0.0.5"}))
            .set("SubnetMask", reg_multi_sz({"255.255.255.0"}));
        if (since(5, 0) && v().major < 6) tree.key(kHal).set("HardwareID", reg_multi_sz({"acpiapic_mp"}));
    }
    FileVersion file_version() const {
        return {static_cast<std::uint16_t>(v().major), static_cast<std::uint16_t>(v().minor), 1381, 65000};
    }
    // NT 4 has no ACPI: its multiprocessor HAL is the MPS one.
    void add_hal_and_boot_ini() {
        guest.put("/WINDOWS/system32/hal.dll", make_pe(v().major < 5 ? "halmps.dll" : "halmacpi.dll", file_version()));
        guest.put("/WINDOWS/system32/ntoskrnl.exe", make_pe("ntkrnlmp.exe", file_version()));
        guest.put("/boot.ini",
                  "[boot loader]\r\ndefault=scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
                  "scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows\" /fastdetect\r\n");
        for (const char* name : {"hal.dll", "halacpi.dll", "ntoskrnl.exe"})
            ASSERT_TRUE(patches::add_to_library(library.path(), as_bytes(make_pe(name, file_version()))).ok());
    }
    void add_boot_store() const {
        test::TestKey store;
        store.key("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\23000003")
            .set("Element", reg_sz(kLoader));
        store.key("Objects\\" + kLoader + "\\Description").set("Type", reg_dword(0x10200003));
        guest.put("/Boot/BCD", test::make_hive(store, {.minor = 3, .list = "lf"}));
    }
    RepairReport repaired() const {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }
    Hive hive() const { return Hive::open(guest.get("/WINDOWS/system32/config/SYSTEM"), "SYSTEM").value(); }
    std::string original_name_of(const std::string& name) const {
        return patches::read_pe_version(as_bytes(guest.get("/WINDOWS/system32/" + name))).value().original_name;
    }

    test::FakeRoot guest, library;
    RepairRequest request;
};

}  // namespace

TEST_P(EveryWindows, is_found_and_named) {
    request.dry_run = true;
    const auto title = repaired().distribution;
    if (*v().edition.product) {
        EXPECT_THAT(title, HasSubstr(v().edition.product));
    }
    EXPECT_THAT(title, HasSubstr(fmt::format("({}.{}.{}", v().major, v().minor, v().edition.build)));
    EXPECT_THAT(title, HasSubstr(v().x86 ? "x86)" : "amd64)"));
}

TEST_P(EveryWindows, starts_from_ide) {
    repaired();
    EXPECT_EQ(hive().number(kServices + "atapi", "Start"), 0u);
    if (v().major >= 5) {
        EXPECT_EQ(hive().number(kServices + "intelide", "Start"), 0u);
    }
    if (since(6, 2)) {
        EXPECT_EQ(hive().number(kServices + "intelide\\StartOverride", "0"), 0u);
    }
    // The database of the other kind is not made.
    EXPECT_EQ(hive().has(kControl + "CriticalDeviceDatabase"), v().major >= 5 && !since(6, 2));
    EXPECT_EQ(hive().has("DriverDatabase"), since(6, 2));
    if (v().major == 5) {
        EXPECT_EQ(hive().string(kControl + "CriticalDeviceDatabase\\pci#ven_8086&dev_7010", "Service"), "intelide");
    }
}

TEST_P(EveryWindows, since_vista_starts_from_sata_by_its_own_driver) {
    request.target = TargetController::Sata;
    if (v().major < 6) {
        EXPECT_TRUE(repair(request).error().is(fixup::errors::kWindowsDriver)) << "it has none";
        return;
    }
    repaired();
    EXPECT_EQ(hive().number(kServices + ahci(), "Start"), 0u);
    EXPECT_EQ(hive().number(kServices + ahci() + "\\StartOverride", "0").value_or(0), 0u);
    EXPECT_EQ(hive().number(kServices + "intelide", "Start"), 3u) << "what is not needed waits to be asked";
}

TEST_P(EveryWindows, starts_from_virtio_with_a_driver_that_was_put_there) {
    request.target = TargetController::VirtioBlk;
    if (v().major < 5) {
        EXPECT_TRUE(repair(request).error().is(fixup::errors::kWindowsDriver)) << "NT 4 has none";
        return;
    }
    repaired();
    EXPECT_EQ(hive().number(kServices + "viostor", "Start"), 0u);
    if (since(6, 2)) {
        EXPECT_TRUE(hive().has("DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001"));
    } else {
        EXPECT_EQ(hive().string(kControl + "CriticalDeviceDatabase\\pci#ven_1af4&dev_1001", "Service"), "viostor");
    }
}

TEST_P(EveryWindows, loses_filters_without_a_driver_and_keeps_the_others) {
    repaired();
    EXPECT_EQ(hive().strings(kDisks, "UpperFilters"), std::vector<std::string>{"PartMgr"});
}

TEST_P(EveryWindows, before_vista_starts_no_processor_driver) {
    repaired();
    EXPECT_EQ(hive().number(kServices + "intelppm", "Start"), v().major == 5 ? 4u : 1u);
}

TEST_P(EveryWindows, switches_off_what_looked_after_the_old_hardware) {
    repaired();
    EXPECT_EQ(hive().number(kServices + "CpqNicMgmt", "Start"), 4u);
}

TEST_P(EveryWindows, shows_a_stop_error_until_the_first_boot_puts_restarting_back) {
    repaired();
    EXPECT_EQ(hive().number(kControl + "CrashControl", "AutoReboot"), 0u);
    EXPECT_EQ(hive().number("Setup", "SetupType"), 2u);
    EXPECT_THAT(hive().string("Setup", "CmdLine").value_or(""), HasSubstr("run.cmd"));
    EXPECT_TRUE(guest.has("/WINDOWS/slipway/FirstBoot/run.cmd"));
}

TEST_P(EveryWindows, carries_its_address_by_the_script_that_it_can_run) {
    request.nics = {{"", MacAddress::parse("00:14:22:aa:bb:cc"), *MacAddress::parse("52:54:00:12:34:56")}};
    repaired();
    bool vbs = false, powershell = false;
    for (const auto& [name, text] : guest.everything()) {
        vbs |= name.find(".vbs") != std::string::npos && text.find("10.0.0.5") != std::string::npos;
        powershell |= name.find(".ps1") != std::string::npos && text.find("10.0.0.5") != std::string::npos;
    }
    EXPECT_EQ(vbs, since(5, 0) && !since(6, 2));
    EXPECT_EQ(powershell, since(6, 2)) << "NT 4 has it in keys of its own: NtFour of fixup_windows_people";
}

TEST_P(EveryWindows, gets_the_hal_and_kernel_that_are_asked_for) {
    request.fix_hal = v().major < 5 ? patches::FixHal::Nacpi : patches::FixHal::Acpi;
    repaired();
    if (v().major < 6) {
        EXPECT_EQ(original_name_of("hal.dll"), v().major < 5 ? "hal.dll" : "halacpi.dll");
        EXPECT_EQ(original_name_of("ntoskrnl.exe"), "ntoskrnl.exe");
        if (v().major == 5) {
            EXPECT_EQ(hive().strings(kHal, "HardwareID"), std::vector<std::string>{"acpipic_up"});
        }
        return;
    }
    const auto store = Hive::open(guest.get("/Boot/BCD"), "BCD").value();
    EXPECT_EQ(store.has("Objects\\" + kLoader + "\\Elements\\26000010"), v().x86) << "detecthal";
    request.fix_hal = patches::FixHal::Nacpi;
    EXPECT_TRUE(repair(request).error().is(patches::errors::kHal)) << "there is no Standard PC";
}

TEST_P(EveryWindows, is_found_by_its_loader_on_the_new_controller) {
    repaired();
    if (v().major >= 6) {
        EXPECT_FALSE(guest.has("/boot.ini"));
        return;
    }
    EXPECT_THAT(guest.get("/boot.ini"), HasSubstr("default=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n"));
    EXPECT_THAT(guest.get("/boot.ini"), testing::Not(HasSubstr("scsi(")));
}

TEST_P(EveryWindows, has_a_boot_store_that_names_the_disk_it_is_on_now) {
    if (v().major < 6) {
        repaired();
        EXPECT_FALSE(guest.has("/Boot"));
        return;
    }
    const std::string elements = "Objects\\" + kLoader + "\\Elements\\21000001";
    test::TestKey store;
    store.key("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\23000003").set("Element", reg_sz(kLoader));
    store.key("Objects\\" + kLoader + "\\Description").set("Type", reg_dword(0x10200003));
    store.key(elements).set("Element", reg_binary(partition_device(MbrPartition{0xaaaaaaaa, 32256})));
    guest.put("/Boot/BCD", test::make_hive(store, {.minor = 3, .list = "lf"}));
    DiskPlace place;
    place.layout.table = disks::TableKind::Mbr;
    place.layout.mbr_signature = 0xbbbbbbbb;
    place.layout.partitions = {{.index = 1, .offset = 1u << 20}};
    place.boot_partition = place.windows_partition = 1;
    for (int run = 0; run < 2; ++run) {
        auto opened = Guest::open(guest.path(), false).value();
        auto system = hive(), software = hive();
        const WindowsSystem windows{.root = "/WINDOWS", .major = v().major, .minor = v().minor};
        RepairReport report;
        WindowsRepair step{request, opened, windows, system, software, report, {}, &place};
        ASSERT_TRUE(repair_boot_store(step).ok());
        EXPECT_EQ(opened.journal().size(), run == 0 ? 1u : 0u);
    }
    const auto after = Hive::open(guest.get("/Boot/BCD"), "BCD").value();
    EXPECT_EQ(after.get(elements, "Element"), reg_binary(partition_device(MbrPartition{0xbbbbbbbb, 1u << 20})));
}

// virtio-win's form, written for this test.
TEST_P(EveryWindows, takes_a_driver_from_a_folder_with_its_inf_file) {
    // Windows 2000 knows no decorated sections.
    const std::string section = !since(5, 1) ? "" : v().x86 ? "NTx86" : "NTamd64";
    const std::string in_list = section.empty() ? "" : "," + section, of_models = section.empty() ? "" : "." + section;
    const std::string inf =
        "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=SCSIAdapter\r\n"
        "ClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\r\nDriverVer=01/02/2020,100.1.2.3\r\n"
        "[DestinationDirs]\r\nDefaultDestDir=12\r\n[SourceDisksNames]\r\n1=d\r\n[SourceDisksFiles]\r\nviostor.sys=1\r\n"
        "[Manufacturer]\r\nV=M" +
        in_list + "\r\n[M" + of_models +
        "]\r\nd=i,PCI\\VEN_1AF4&DEV_1001\r\n[i]\r\nCopyFiles=@viostor.sys\r\n[i.Services]\r\nAddService=viostor,2,s\r\n"
        "[s]\r\nServiceType=1\r\nStartType=0\r\nErrorControl=1\r\nServiceBinary=%12%\\viostor.sys\r\n"
        "LoadOrderGroup=SCSI miniport\r\n";
    request.driver_files = {{"/v/viostor/viostor.inf", inf}, {"/v/viostor/viostor.sys", "from the folder"}};
    if (v().major < 5) {
        EXPECT_THAT(repaired().warnings, Contains(HasSubstr("Windows NT 4")));
        EXPECT_FALSE(guest.has("/WINDOWS/slipway/Drivers"));
        return;
    }
    request.target = TargetController::VirtioBlk;
    repaired();
    EXPECT_EQ(guest.get("/WINDOWS/system32/drivers/viostor.sys"), "from the folder");
    EXPECT_EQ(hive().number(kServices + "viostor", "Start"), 0u);
    const auto critical = hive().string(kControl + "CriticalDeviceDatabase\\pci#ven_1af4&dev_1001", "Service");
    EXPECT_EQ(critical == "viostor", !since(6, 2));
    EXPECT_EQ(hive().has("DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001"), since(6, 2));
}

TEST_P(EveryWindows, is_left_alone_by_a_second_repair_and_comes_back_by_an_undo) {
    const auto before = guest.everything();
    repaired();
    const auto after = guest.everything();
    EXPECT_NE(after, before);
    fs::remove(guest.path() / "WINDOWS/slipway/repair/inputs");
    EXPECT_THAT(repaired().journal, IsEmpty());
    EXPECT_EQ(guest.get("/WINDOWS/system32/config/SYSTEM"), after.at("/WINDOWS/system32/config/SYSTEM"));
    request.undo = true;
    repaired();
    EXPECT_EQ(guest.everything(), before);
}

INSTANTIATE_TEST_SUITE_P(All, EveryWindows, testing::ValuesIn(kVersions),
                         [](const auto& info) { return std::string(info.param.name); });
