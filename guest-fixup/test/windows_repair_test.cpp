// SPDX-License-Identifier: GPL-3.0-or-later
// Whole repairs of a Windows: a tree of files with real and made hives, and a real NTFS.
#include <sys/mount.h>
#include <unistd.h>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/ntfs_mount.hpp"
#include "guest-fixup/test/fake_system.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/windows/errors.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/ntfs_boot_sector.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using test::FakeRoot;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

const std::string kSystem = "/WINDOWS/system32/config/SYSTEM";

class WindowsRepairTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
        request.root = guest.path();
        request.target = TargetController::Ide;
    }
    // Windows XP of a chipset that is gone.
    void put_xp() {
        auto tree = test::system_tree();
        test::add_service(tree, "atapi", 0, "SCSI miniport");
        test::add_service(tree, "Disk", 0, "SCSI Class");
        test::add_service(tree, "intelppm", 1, "Extended Base");
        test::add_service(tree, "raidflt", 4, "");
        test::add_service(tree, "PartMgr", 0, "");
        tree.key("ControlSet001\\Control\\Class\\{4D36E967-E325-11CE-BFC1-08002BE10318}")
            .set("UpperFilters", reg_multi_sz({"PartMgr", "gone", "raidflt"}))
            .set("LowerFilters", reg_multi_sz({"gone"}));
        put(tree, test::kXp);
    }
    void put(const test::TestKey& tree, const test::Edition& edition) {
        const auto system = test::make_hive(tree);
        test::put_windows(guest, "/WINDOWS", system, test::software_hive(edition));
        test::put_all_drivers(guest, "/WINDOWS", system);
        for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
            test::put_driver(guest, "/WINDOWS", name);
    }
    RepairReport repaired() {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }
    Error refused() {
        const auto before = test::manifest(guest.path());
        auto report = repair(request);
        EXPECT_FALSE(report.ok());
        EXPECT_EQ(test::manifest(guest.path()), before);
        return report.ok() ? make_error(fixup::errors::kRequest, "it was done") : std::move(report).error();
    }
    Hive system_hive() { return Hive::open(guest.get(kSystem), "SYSTEM").value(); }

    FakeRoot guest;
    RepairRequest request;
};

std::vector<std::string> wheres(const RepairReport& report) {
    std::vector<std::string> out;
    for (const auto& change : report.journal) out.push_back(change.where);
    return out;
}

}  // namespace

TEST_F(WindowsRepairTest, xp_is_made_to_start_from_ide_and_a_second_run_finds_nothing_to_do) {
    put_xp();
    const auto report = repaired();
    EXPECT_EQ(report.distribution, "Microsoft Windows XP, Service Pack 3 (5.1.2600, x86)");
    const auto hive = system_hive();
    EXPECT_EQ(hive.string("ControlSet001\\Control\\CriticalDeviceDatabase\\pci#ven_8086&dev_7010", "Service"),
              "intelide");
    EXPECT_EQ(hive.number("ControlSet001\\Services\\intelppm", "Start"), 4u);
    EXPECT_EQ(hive.number("ControlSet001\\Control\\CrashControl", "AutoReboot"), 0u);
    EXPECT_EQ(hive.number("ControlSet001\\Control\\CrashControl", "SlipwayAutoReboot"), 1u);
    const std::string disks = "ControlSet001\\Control\\Class\\{4D36E967-E325-11CE-BFC1-08002BE10318}";
    EXPECT_EQ(hive.strings(disks, "UpperFilters"), std::vector<std::string>{"PartMgr"});
    EXPECT_FALSE(hive.get(disks, "LowerFilters"));
    EXPECT_THAT(wheres(report), Contains("SYSTEM\\ControlSet001\\Services\\intelppm: Start"));
    EXPECT_THAT(guest.get("/WINDOWS/slipway/repair.json"), HasSubstr("intelppm"));
    const auto before = test::manifest(guest.path());
    const auto again = repaired();
    EXPECT_THAT(again.journal, IsEmpty());
    EXPECT_TRUE(again.unchanged);
    EXPECT_EQ(test::manifest(guest.path()), before);
}

TEST_F(WindowsRepairTest, steps_that_are_asked_again_find_nothing_to_do_either) {
    put_xp();
    repaired();
    fs::remove(guest.path() / "WINDOWS/slipway/repair/inputs");
    const auto hive = guest.get(kSystem);
    const auto again = repaired();
    EXPECT_FALSE(again.unchanged);
    EXPECT_THAT(again.journal, IsEmpty());
    EXPECT_EQ(guest.get(kSystem), hive);
}

TEST_F(WindowsRepairTest, undo_brings_every_byte_back) {
    put_xp();
    const auto original = test::manifest(guest.path());
    repaired();
    EXPECT_NE(test::manifest(guest.path()), original);
    request.undo = true;
    EXPECT_THAT(wheres(repaired()), Contains(kSystem));
    EXPECT_EQ(test::manifest(guest.path()), original);
}

// A Windows that was started after a repair, repaired once more.
class StartedBetween : public WindowsRepairTest {
protected:
    void SetUp() override {
        WindowsRepairTest::SetUp();
        if (IsSkipped()) return;
        put_xp();
        original = test::manifest(guest.path());
        repaired();
        auto hive = system_hive();
        ASSERT_TRUE(hive.set("boot", "ControlSet001\\Services\\intelppm", "Start", reg_dword(1)).ok());
        ASSERT_TRUE(hive.set("boot", "ControlSet001\\Services\\intelppm", "Booted", reg_dword(7)).ok());
        guest.put(kSystem, hive.bytes().value());
        started = files();
    }
    // But for the note of the last repair's own inputs.
    std::map<std::string, std::string> files() {
        fs::remove(guest.path() / "WINDOWS/slipway/repair/inputs");
        return test::manifest(guest.path());
    }
    std::map<std::string, std::string> original, started;
};

TEST_F(StartedBetween, undo_is_refused_and_says_where_the_kept_hive_is) {
    request.undo = true;
    for (const bool dry_run : {true, false}) {
        request.dry_run = dry_run;
        const auto error = refused();
        EXPECT_TRUE(error.is(fixup::errors::kChangedSince)) << error.explain();
        EXPECT_THAT(error.message(), HasSubstr("/WINDOWS/slipway/repair/kept/"));
        EXPECT_THAT(error.next_step(), HasSubstr("Deploy again from the image"));
    }
    // What the documentation says: the kept hive is copied over it by hand.
    const auto message = refused().message();
    constexpr std::string_view kStart = "(it was ";
    const auto at = message.find(kStart) + kStart.size();
    guest.put(kSystem, guest.get(message.substr(at, message.find(')', at) - at)));
    repaired();
    EXPECT_EQ(test::manifest(guest.path()), original);
}

TEST_F(StartedBetween, another_repair_says_so_and_its_undo_keeps_what_windows_wrote) {
    request.dry_run = true;
    const auto changed = Contains(AllOf(HasSubstr("changed since the last repair"), HasSubstr(kSystem)));
    EXPECT_THAT(repaired().warnings, changed);
    request.dry_run = false;
    EXPECT_THAT(repaired().warnings, changed);
    EXPECT_EQ(system_hive().number("ControlSet001\\Services\\intelppm", "Start"), 4u);
    EXPECT_THAT(repaired().warnings, Not(changed));
    request.undo = request.dry_run = true;
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("goes back to what repair 2 found, and no further")));
    request.dry_run = false;
    const auto undone = repaired();
    EXPECT_THAT(undone.warnings, Contains(HasSubstr("goes back to what repair 2 found, and no further")));
    EXPECT_THAT(wheres(undone), Contains(kSystem));
    EXPECT_EQ(files(), started);
    EXPECT_TRUE(refused().is(fixup::errors::kChangedSince));
}

TEST_F(StartedBetween, undo_of_the_last_repair_that_was_cut_short_is_brought_to_its_end_and_goes_no_further) {
    repaired();
    std::ofstream(guest.path() / "WINDOWS/slipway/repair/journal", std::ios::app) << "{\"undo\":2,\"from\":2}\n";
    request.undo = true;
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("brought to its end")));
    EXPECT_EQ(files(), started);
}

TEST_F(StartedBetween, undo_goes_all_the_way_back_once_the_first_hive_was_put_back) {
    repaired();
    request.undo = true;
    const auto kept = guest.path() / "WINDOWS/slipway/repair/kept";
    for (const auto& entry : fs::directory_iterator(kept)) {
        const auto name = "/WINDOWS/slipway/repair/kept/" + entry.path().filename().string();
        const auto hive = Hive::open(guest.get(name), "SYSTEM");
        if (hive && hive->get("ControlSet001\\Services\\intelppm", "Start") &&
            !hive->get("ControlSet001\\Services\\intelppm", "Booted"))
            guest.put(kSystem, guest.get(name));
    }
    EXPECT_THAT(repaired().warnings, IsEmpty());
    EXPECT_EQ(test::manifest(guest.path()), original);
}

TEST_F(WindowsRepairTest, dry_run_prints_the_plan_key_by_key_and_changes_nothing) {
    put_xp();
    request.dry_run = true;
    const auto before = test::manifest(guest.path());
    const auto plan = repaired();
    EXPECT_EQ(test::manifest(guest.path()), before);
    EXPECT_THAT(plan.journal, Contains(AllOf(Field(&Change::what, "processor: intelppm does not start"),
                                             Field(&Change::where, "SYSTEM\\ControlSet001\\Services\\intelppm: Start"),
                                             Field(&Change::before, "0x1"), Field(&Change::after, "0x4"))));
    EXPECT_THAT(plan.journal, Contains(Field(&Change::what, HasSubstr("gone (there is no such service)"))));
    EXPECT_THAT(plan.journal, Contains(Field(&Change::what, HasSubstr("raidflt (it is disabled)"))));
    request.dry_run = false;
    EXPECT_EQ(wheres(repaired()), wheres(plan));
}

TEST_F(WindowsRepairTest, hibernated_windows_is_refused) {
    put_xp();
    for (const char* header : {"hibr", "HIBR", "RSTR"}) {
        guest.put("/hiberfil.sys", std::string(header) + std::string(4096, '\0'));
        const auto error = refused();
        EXPECT_TRUE(error.is(fixup::errors::kHibernated)) << error.explain();
        EXPECT_THAT(error.next_step(), HasSubstr("powercfg /h off"));
    }
    guest.put("/hiberfil.sys", "wake" + std::string(4096, '\0'));
    EXPECT_TRUE(repair(request).ok());
}

TEST_F(WindowsRepairTest, missing_driver_file_is_named_before_anything_is_changed) {
    put_xp();
    fs::remove(guest.path() / "WINDOWS/system32/drivers/intelide.sys");
    const auto error = refused();
    EXPECT_TRUE(error.is(fixup::errors::kWindowsDriver));
    EXPECT_THAT(error.message(), HasSubstr("%SystemRoot%\\system32\\drivers\\intelide.sys"));
    EXPECT_THAT(error.next_step(), HasSubstr("(--drivers)"));
}

TEST_F(WindowsRepairTest, cut_hive_is_refused_and_nothing_is_changed) {
    put_xp();
    guest.put(kSystem, guest.get(kSystem).substr(0, 5000));
    EXPECT_THAT(refused().name(), testing::StartsWith("fixup.hive"));
    guest.put(kSystem, "regf");
    EXPECT_THAT(refused().name(), testing::StartsWith("fixup.hive"));
}

TEST_F(WindowsRepairTest, dirty_hive_is_replayed_first_and_its_logs_are_emptied_until_an_undo) {
    put_xp();
    const auto before = guest.get(kSystem);
    auto hive = Hive::open(before, "SYSTEM").value();
    ASSERT_TRUE(hive.set("test", "ControlSet001\\Services\\late", "Start", reg_dword(2)).ok());
    const auto stopped = test::stopped_new_log(before, {*hive.bytes()});
    guest.put(kSystem, stopped.hive);
    for (std::size_t i = 0; i < stopped.logs.size(); ++i)
        guest.put(kSystem + ".LOG" + std::to_string(i + 1), stopped.logs[i]);
    const auto original = test::manifest(guest.path());
    const auto report = repaired();
    EXPECT_THAT(report.journal, Contains(Field(&Change::what, HasSubstr("what its logs held is in it"))));
    EXPECT_EQ(system_hive().number("ControlSet001\\Services\\late", "Start"), 2u);
    EXPECT_FALSE(is_dirty(guest.get(kSystem)));
    EXPECT_EQ(guest.get(kSystem + ".LOG1"), "");
    EXPECT_THAT(repaired().journal, IsEmpty());
    request.undo = true;
    repaired();
    EXPECT_EQ(test::manifest(guest.path()), original);
}

TEST_F(WindowsRepairTest, a_users_hive_is_replayed_edited_and_undone_like_the_systems) {
    put_xp();
    const std::string user = "/WINDOWS/Profiles/Default User/NTUSER.DAT",
                      run = "Software\\Microsoft\\Windows\\CurrentVersion\\Run";
    test::TestKey tree;
    tree.key(run).set("Other", reg_sz("other.exe"));
    const auto before = test::make_hive(tree);
    auto hive = Hive::open(before, "NTUSER.DAT").value();
    ASSERT_TRUE(hive.set("test", run, "VBoxTray", reg_sz("VBoxTray.exe")).ok());
    const auto stopped = test::stopped_new_log(before, {*hive.bytes()});
    guest.put(user, stopped.hive);
    for (std::size_t i = 0; i < stopped.logs.size(); ++i)
        guest.put(user + ".LOG" + std::to_string(i + 1), stopped.logs[i]);
    const auto original = test::manifest(guest.path());
    EXPECT_THAT(wheres(repaired()), Contains("NTUSER.DAT of Default User\\" + run + ": VBoxTray"));
    EXPECT_EQ(Hive::open(guest.get(user), "NTUSER.DAT")->values(run), std::vector<std::string>{"Other"});
    EXPECT_EQ(guest.get(user + ".LOG1"), "");
    EXPECT_THAT(repaired().journal, IsEmpty());
    request.undo = true;
    EXPECT_THAT(wheres(repaired()), Contains(user));
    EXPECT_EQ(test::manifest(guest.path()), original);
}

TEST_F(WindowsRepairTest, what_is_no_windows_is_no_windows) {
    guest.put("/WINDOWS/win.ini", "");
    EXPECT_FALSE(repair(request).ok());
}

TEST_F(WindowsRepairTest, sysprep_is_not_what_prepare_template_means) {
    put_xp();
    request.prepare_template = Template::Only;
    EXPECT_TRUE(refused().is(fixup::errors::kRequest));
    // deploy-template says it of whatever it lays down.
    request.prepare_template = Template::Also;
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("not prepared by sysprep: each copy has the same SID")));
    request.prepare_template = Template::No;
    EXPECT_THAT(repaired().warnings, Not(Contains(HasSubstr("same SID"))));
}

// ---- real hives: what they say besides stays as it was

struct RealCase {
    const char* hive;
    const test::Edition* edition;
    TargetController target;
    const char* drop_in;  // a driver that somebody put there
    std::vector<std::string> may_change;
};

class RealHives : public WindowsRepairTest, public testing::WithParamInterface<RealCase> {};

// Two of these machines had VMware's tools: their starts, and nothing else of them.
bool of_vmware(const std::string& line) {
    static const std::vector<std::string> names{"VGAuthService", "VMMemCtl",        "VMRawDsk", "VMTools",
                                                "VMUsbMouse",    "VMUpgradeHelper", "vm3dmp",   "vm3dmp-debug",
                                                "vm3dmp-stats",  "vm3dmp_loader",   "vmci",     "vmdebug",
                                                "vmhgfs",        "vmmouse",         "vmvss",    "vsock"};
    const auto lower = to_lower(line);
    return std::any_of(names.begin(), names.end(), [&](const auto& name) {
        return lower.starts_with("controlset001\\services\\" + to_lower(name) + ": start = ");
    });
}

TEST_P(RealHives, all_other_keys_and_values_are_equal) {
    const auto& c = GetParam();
    const auto system = test::shared_hive(c.hive);
    if (!system) GTEST_SKIP() << c.hive << " is not in ../shared/data";
    test::put_windows(guest, "/WINDOWS", *system, test::software_hive(*c.edition));
    test::put_all_drivers(guest, "/WINDOWS", *system);
    for (const char* name : {"intelide.sys", "pciidex.sys", "pciide.sys"}) test::put_driver(guest, "/WINDOWS", name);
    if (*c.drop_in) test::put_driver(guest, "/WINDOWS", c.drop_in);
    request.target = c.target;
    const auto report = repaired();
    EXPECT_THAT(report.journal, Not(IsEmpty()));
    const std::string driver = c.target == TargetController::Ide       ? "atapi"
                               : c.target == TargetController::Megasas ? "megasas"
                                                                       : "viostor";
    EXPECT_EQ(system_hive().number("ControlSet001\\Services\\" + driver, "Start"), 0u);
    const auto diff = test::diff_hives(*system, guest.get(kSystem));
    auto all = diff.removed;
    all.insert(all.end(), diff.added.begin(), diff.added.end());
    for (const auto& line : all) {
        const bool expected = std::any_of(c.may_change.begin(), c.may_change.end(),
                                          [&](const auto& text) { return line.find(text) != std::string::npos; });
        EXPECT_TRUE(expected || of_vmware(line) || line.starts_with("Setup: CmdLine") ||  // the first boot
                    line.starts_with("Setup: SetupType"))
            << line;
    }
    fs::remove(guest.path() / "WINDOWS/slipway/repair/inputs");
    EXPECT_THAT(repaired().journal, IsEmpty());
    request.undo = true;
    repaired();
    EXPECT_EQ(guest.get(kSystem), *system);
}

const std::vector<std::string> kXpIde{
    "CriticalDeviceDatabase", "Services\\atapi",           "Services\\IntelIde", "Services\\PCIIde",
    "Services\\Disk",         "Services\\intelppm: Start", "CrashControl"};
const std::vector<std::string> kXpVirtio{"CriticalDeviceDatabase", "Services\\viostor", "Services\\Disk",
                                         "Services\\intelppm: Start", "CrashControl"};
const std::vector<std::string> kSevenVirtio{"CriticalDeviceDatabase", "services\\viostor", "CrashControl", "Filters"};
const std::vector<std::string> kTenVirtio{"DriverDatabase", "Services\\viostor", "CrashControl", "Filters"};
const std::vector<std::string> kSevenIde{"services\\atapi", "services\\intelide", "CrashControl", "Filters"};
const std::vector<std::string> kTenIde{"Services\\atapi", "Services\\intelide", "CrashControl", "Filters"};
const std::vector<std::string> kTenMega{"Services\\megasas", "CrashControl", "Filters"};

INSTANTIATE_TEST_SUITE_P(
    All, RealHives,
    testing::Values(
        RealCase{"hives/bitcurator-SYSTEM", &test::kXp, TargetController::Ide, "", kXpIde},
        RealCase{"hives/bitcurator-SYSTEM", &test::kXp, TargetController::VirtioBlk, "viostor.sys", kXpVirtio},
        RealCase{"hives/regipy-SYSTEM", &test::kSeven, TargetController::Ide, "", kSevenIde},
        RealCase{"hives/regipy-SYSTEM", &test::kSeven, TargetController::VirtioBlk, "viostor.sys", kSevenVirtio},
        RealCase{"hives/regipy-SYSTEM_WIN_10_1709", &test::kTen, TargetController::Ide, "", kTenIde},
        RealCase{"hives/regipy-SYSTEM_WIN_10_1709", &test::kTen, TargetController::Megasas, "", kTenMega},
        RealCase{"hives/regipy-SYSTEM_WIN_10_1709", &test::kTen, TargetController::VirtioBlk, "viostor.sys",
                 kTenVirtio}),
    [](const auto& info) {
        std::string name = std::string(info.param.hive) + "_" + std::string(name_of(info.param.target));
        for (auto& c : name)
            if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
        return name;
    });

// ---- a disk with a real NTFS

class WindowsDisk : public testing::Test {
protected:
    static constexpr std::uint64_t kStart = 1u << 20;
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
        if (!fs::exists("/dev/fuse") || !fs::exists("/dev/loop-control"))
            GTEST_SKIP() << "needs /dev/fuse and loop devices";
        for (const char* tool : {"mkntfs", "ntfs-3g", "sfdisk", "losetup"})
            if (!run_command({"sh", "-c", std::string("command -v ") + tool}).value().ok())
                GTEST_SKIP() << tool << " is not installed";
        image = dir.path() / "xp.img";
        run({"truncate", "-s", "64M", image.string()});
        CommandOptions table;
        table.input = "label: dos\nlabel-id: 0xd350d350\nstart=2048, size=120000, type=7, bootable\n";
        ASSERT_TRUE(run_command({"sfdisk", "-q", image.string()}, table).value().ok());
        with_volume([&](const std::string& device) {
            // As a SCSI adapter counted, and as if it had begun at sector 63 on the old disk.
            run({"mkntfs", "-Q", "-q", "-F", "-p", "63", "-H", "64", "-S", "32", device});
            const auto at = (dir.path() / "m").string();
            fs::create_directories(at);
            run({"ntfs-3g", device, at});
            fill(at);
            run({"umount", at});
        });
        request.disk = image;
        request.target = TargetController::Ide;
    }
    static void run(const std::vector<std::string>& argv) {
        const auto result = run_command(argv);
        ASSERT_TRUE(result.ok() && result->ok()) << argv[0] << ": " << (result.ok() ? result->error_text : "");
    }
    void with_volume(const std::function<void(const std::string&)>& act) const {
        auto attached =
            run_command({"losetup", "-f", "--show", "-o", "1048576", "--sizelimit", "61440000", image.string()});
        ASSERT_TRUE(attached.ok() && attached->ok());
        auto device = attached->output.substr(0, attached->output.find('\n'));
        act(device);
        run({"losetup", "-d", device});
    }
    virtual void fill(const fs::path& at) {
        FakeRoot made;
        auto tree = test::system_tree();
        test::add_service(tree, "atapi", 0, "SCSI miniport");
        test::add_service(tree, "disk", 0, "SCSI Class");
        tree.key("MountedDevices")
            .set("\\DosDevices\\C:", reg_binary(std::string("\x50\xd3\x50\xd3\x00\x7e\x00\x00\x00\x00\x00\x00", 12)));
        const auto system = test::make_hive(tree);
        test::put_windows(made, "/WINDOWS", system, test::software_hive(test::kXp));
        for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
            test::put_driver(made, "/WINDOWS", name);
        fs::copy(made.path(), at, fs::copy_options::recursive);
    }
    std::string content() const {
        std::ifstream file(image, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    Result<RepairReport> repaired() { return repair(request); }
    std::map<std::string, std::string> files() const {
        std::map<std::string, std::string> out;
        with_volume([&](const std::string& device) {
            const auto at = (dir.path() / "m").string();
            run({"ntfs-3g", "-o", "ro", device, at});
            for (const auto& entry : fs::recursive_directory_iterator(at)) {
                std::ifstream file(entry.path(), std::ios::binary);
                out[entry.path().lexically_relative(at).string()] =
                    entry.is_regular_file() ? std::string(std::istreambuf_iterator<char>(file), {}) : "directory";
            }
            run({"umount", at});
        });
        return out;
    }

    TempDir dir = TempDir::create("windows-disk").value();
    fs::path image;
    RepairRequest request;
};

TEST_F(WindowsDisk, system_registry_boot_sector_and_drive_letter_are_repaired_and_undone) {
    const auto original = files();
    const auto sectors = content().substr(0, kStart + 512);
    auto report = repaired();
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_THAT(report->root_device, HasSubstr("partition 1"));
    EXPECT_THAT(report->journal, Contains(Field(&Change::where, "SYSTEM\\MountedDevices: \\DosDevices\\C:")));
    EXPECT_THAT(report->journal, Contains(Field(&Change::where, "disk: sector 2048")));
    const auto now = content();
    EXPECT_EQ(read_boot_geometry(as_bytes(now).subspan(kStart, 512)), (BootGeometry{16, 63, 2048}));
    const auto hive = Hive::open(files().at("WINDOWS/system32/config/SYSTEM"), "SYSTEM");
    ASSERT_TRUE(hive.ok());
    EXPECT_EQ(hive->get("MountedDevices", "\\DosDevices\\C:")->data,
              std::string("\x50\xd3\x50\xd3\x00\x00\x10\x00\x00\x00\x00\x00", 12));
    const auto again = repaired();
    ASSERT_TRUE(again.ok()) << again.error().explain();
    EXPECT_THAT(again->journal, IsEmpty());
    EXPECT_TRUE(again->unchanged);
    request.undo = true;
    const auto undone = repaired();
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    EXPECT_EQ(content().substr(0, kStart + 512), sectors);
    EXPECT_EQ(files(), original);
}

TEST_F(WindowsDisk, sectors_of_a_fixed_vhd_are_written_under_the_lock_that_the_repair_has) {
    const auto vhd = dir.path() / "xp.vhd";
    if (!run_command({"sh", "-c", "command -v qemu-img"}).value().ok()) GTEST_SKIP() << "qemu-img is not installed";
    run({"qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", image.string(),
         vhd.string()});
    request.disk = vhd;
    const auto report = repaired();
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_THAT(report->journal, Contains(Field(&Change::where, "disk: sector 2048")));
    request.undo = true;
    EXPECT_TRUE(repaired().ok());
}

TEST_F(WindowsDisk, dry_run_changes_no_byte_of_the_disk) {
    request.dry_run = true;
    const auto before = content();
    const auto plan = repaired();
    ASSERT_TRUE(plan.ok()) << plan.error().explain();
    EXPECT_THAT(plan->journal, Contains(Field(&Change::where, "disk: sector 2048")));
    EXPECT_EQ(content(), before);
}

TEST_F(WindowsDisk, hibernated_volume_is_refused_and_not_touched) {
    with_volume([&](const std::string& device) {
        const auto at = (dir.path() / "m").string();
        run({"ntfs-3g", device, at});
        std::ofstream(at + "/hiberfil.sys", std::ios::binary) << "hibr" << std::string(8192, '\0');
        run({"umount", at});
    });
    const auto before = content();
    const auto refused = repaired();
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kHibernated)) << refused.error().explain();
    EXPECT_EQ(content(), before);
}

TEST_F(WindowsDisk, start_by_the_other_firmware_is_refused_before_anything_is_changed) {
    request.firmware = Firmware::Uefi;
    const auto before = files();
    const auto refused = repaired();
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kBootLoader)) << refused.error().explain();
    EXPECT_EQ(files(), before);
}

TEST_F(WindowsDisk, bitlocker_is_named) {
    {
        std::fstream file(image, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(kStart + 3);
        file << "-FVE-FS-";
    }
    const auto refused = repaired();
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kBitLocker)) << refused.error().explain();
}

TEST_F(WindowsDisk, a_system_that_is_not_there_is_answered_with_the_windows_that_is) {
    request.root_volume = "partition 2";
    const auto refused = repaired();
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kManyRoots)) << refused.error().explain();
    EXPECT_THAT(refused.error().message(), HasSubstr("'partition 2' is none of: partition 1 (Windows)"));
}

TEST_F(WindowsDisk, a_volume_whose_mft_has_another_mirror_goes_to_chkdsk_and_no_fsck) {
    const auto before = content();
    const auto boot = as_bytes(before).subspan(kStart, 512);
    const auto byte = [&](std::size_t at) { return std::to_integer<std::uint64_t>(boot[at]); };
    const auto mirror = (byte(0x38) | byte(0x39) << 8 | byte(0x3a) << 16) * byte(0x0d) * 512;
    {
        std::fstream file(image, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(kStart + mirror + 0x40));
        file << "another";
    }
    const auto refused = repaired();
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kNtfsDamaged)) << refused.error().explain();
    EXPECT_THAT(refused.error().explain(), AllOf(HasSubstr("chkdsk"), Not(HasSubstr("fsck")), Not(HasSubstr("\\x0a"))));
}

TEST(NtfsWords, lines_of_a_program_are_one_to_show) {
    EXPECT_EQ(in_one_line("$MFTMirr does not match.\n\n  Failed to mount: \x1b[1m\r\nNTFS is inconsistent.\n"),
              "$MFTMirr does not match. Failed to mount: \\x1b[1m NTFS is inconsistent.");
    EXPECT_EQ(in_one_line("\n\n"), "");
}
