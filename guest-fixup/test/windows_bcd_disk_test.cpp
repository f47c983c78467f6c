// SPDX-License-Identifier: GPL-3.0-or-later
// Whole repairs of disks that a boot store starts: every BCD of the shared data, beside a real SYSTEM hive of its kind,
// on a real NTFS (and an EFI system partition where it is one's), for IDE and for virtio. What changed is read by
// libhivex and by reged of chntpw, neither of which had to do with the change, and all else is equal.
#include <unistd.h>

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/windows/bcd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using test::FakeRoot;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

// The disk as it is now; none of the stores was made on it.
constexpr const char* kDisk = "a5a5a5a5-0102-4304-8506-0708090a0b0c";
constexpr const char* kEsp = "11111111-2222-4333-8444-555555555555";
constexpr const char* kWindowsPartition = "66666666-7777-4888-9999-aaaaaaaaaaaa";
constexpr std::uint32_t kSignature = 0x5a5a1234, kOldSignature = 0x3e274cfe;
constexpr std::uint64_t kMiB = 1u << 20, kImage = 160 * kMiB;

Guid guid(std::string_view text) { return parse_guid(text).value(); }

struct BootCase {
    const char* name;
    const char* bcd;     // "": one that is made here, of an MBR disk
    const char* system;  // SYSTEM hive
    const test::Edition* edition;
    bool uefi;
    TargetController target;
    std::vector<Relocation> moves;                           // what has to have happened to the store
    const char* software = "";                               // SOFTWARE hive; "": one that is made here
    bool boot_ini() const { return edition == &test::kXp; }  // has that instead of a store
};

constexpr const char* kBootIni =
    "[boot loader]\r\ndefault=scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
    "scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /fastdetect\r\n";

// A store of Windows 7 on the active partition of an MBR disk: boot manager, loader and resume name it.
std::string made_store() {
    test::TestKey root;
    root.key("Description").set("KeyName", reg_sz("BCD00000000"));
    const std::string loader = "{e018a2d0-b134-11ea-95b2-81f0ac71b75b}",
                      resume = "{e018a2d2-b134-11ea-95b2-81f0ac71b75b}";
    const auto device = reg_binary(partition_device(MbrPartition{kOldSignature, kMiB}));
    const auto object = [&](const std::string& id, std::uint32_t type) -> test::TestKey& {
        auto& key = root.key("Objects\\" + id);
        key.key("Description").set("Type", reg_dword(type));
        return key.key("Elements");
    };
    auto& manager = object(std::string(kBootManager), 0x10100002);
    manager.key("11000001").set("Element", device);
    manager.key("23000003").set("Element", reg_sz(loader));
    manager.key("24000001").set("Element", reg_multi_sz({loader}));
    auto& windows = object(loader, 0x10200003);
    windows.key("11000001").set("Element", device);
    windows.key("21000001").set("Element", device);
    windows.key("12000002").set("Element", reg_sz("\\Windows\\system32\\winload.exe"));
    object(resume, 0x10200004).key("11000001").set("Element", device);
    test::TestHive how;
    how.minor = 3;
    how.list = "lf";
    return test::make_hive(root, how);
}

// ---- two readers that are not ours: "PATH: NAME" -> what it says
using Values = std::map<std::string, std::string>;

Values by_reged(std::string_view hive) {
    Values out;
    const auto text = test::reged_export(hive, "\\");
    if (!text) return out;
    std::string section, whole;
    constexpr std::string_view kRoot = "[HKEY_LOCAL_MACHINE\\TEST";
    for (const auto& part : split(*text, '\n')) {
        std::string_view line = part;
        while (line.ends_with('\r')) line.remove_suffix(1);
        whole += trim(line);
        if (whole.ends_with('\\') && !whole.starts_with('[')) {  // the value goes on in the next line
            whole.pop_back();
            continue;
        }
        const auto at = whole.find(whole.starts_with('@') ? "=" : "\"=");
        if (whole.starts_with(kRoot) && whole.ends_with(']')) {
            section = whole.substr(kRoot.size(), whole.size() - kRoot.size() - 1);
            if (section.starts_with('\\')) section.erase(0, 1);
            if (section.starts_with("ROOT\\")) section.erase(0, 5);  // the root's name, of hives made here
        } else if (at != std::string::npos) {
            auto name = whole.starts_with('@') ? std::string() : whole.substr(1, at - 1);
            for (std::size_t i = 0; (i = name.find('\\', i)) != std::string::npos; ++i) name.erase(i, 1);
            out[section + ": " + name] = whole.substr(at);
        }
        whole.clear();
    }
    return out;
}

std::set<std::string> changed(const Values& before, const Values& after) {
    std::set<std::string> out;
    for (const auto& [name, value] : before)
        if (const auto at = after.find(name); at == after.end() || at->second != value) out.insert(name);
    for (const auto& [name, value] : after)
        if (!before.contains(name)) out.insert(name);
    return out;
}

// As the element lies in the file: partition, padding, style, disk.
std::string identity_in_hex(const PartitionIdentity& partition) {
    return to_hex(as_bytes(partition_device(partition)).subspan(32, 40));
}

Values moved(Values values, const std::vector<Relocation>& moves) {
    for (auto& [name, value] : values)
        for (const auto& move : moves)
            if (const auto at = value.find(identity_in_hex(move.from)); at != std::string::npos)
                value.replace(at, 80, identity_in_hex(move.to));
    return values;
}

class BootStoreDisk : public testing::TestWithParam<BootCase> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
        if (!fs::exists("/dev/fuse") || !fs::exists("/dev/loop-control"))
            GTEST_SKIP() << "needs /dev/fuse and loop devices";
        for (const char* tool : {"mkntfs", "mkfs.vfat", "ntfs-3g", "sfdisk", "losetup", "reged"})
            if (!run_command({"sh", "-c", std::string("command -v ") + tool}).value().ok())
                GTEST_SKIP() << tool << " is not installed";
        const auto& c = GetParam();
        const auto shared = *c.bcd ? test::shared_file(c.bcd) : std::optional(c.boot_ini() ? kBootIni : made_store());
        const auto hive = test::shared_hive(c.system);
        const auto programs = *c.software ? test::shared_hive(c.software) : test::software_hive(*c.edition);
        if (!shared || !hive || !programs)
            GTEST_SKIP() << c.bcd << " or " << c.system << " or " << c.software << " is not in ../shared/data";
        store = *shared;
        system = *hive;
        software = *programs;
        make_disk();
        request.disk = image;
        request.target = c.target;
        request.firmware = c.uefi ? Firmware::Uefi : Firmware::Bios;
    }
    static void run(const std::vector<std::string>& argv) {
        const auto result = run_command(argv);
        ASSERT_TRUE(result.ok() && result->ok()) << argv[0] << ": " << (result.ok() ? result->error_text : "");
    }
    static bool uefi() { return GetParam().uefi; }
    std::uint64_t windows_at() const { return uefi() ? 17 * kMiB : kMiB; }

    void make_disk() {
        image = dir.path() / "disk.img";
        run({"truncate", "-s", std::to_string(kImage), image.string()});
        CommandOptions table;
        constexpr std::uint64_t kSectors = 512;
        table.input = uefi() ? fmt::format(
                                   "label: gpt\nlabel-id: {}\nstart=2048, size=32768, type=U, uuid={}\n"
                                   "start={}, type=ebd0a0a2-b9e5-4433-87c0-68b6b72699c7, uuid={}\n",
                                   kDisk, kEsp, windows_at() / kSectors, kWindowsPartition)
                             : fmt::format("label: dos\nlabel-id: {:#x}\nstart=2048, type=7, bootable\n", kSignature);
        const auto made = run_command({"sfdisk", "-q", image.string()}, table);
        ASSERT_TRUE(made.ok() && made->ok()) << made->error_text;
        on_device(windows_at(), kImage - windows_at() - kMiB, [&](const std::string& device) {
            run({"mkntfs", "-Q", "-q", "-F", "-p", std::to_string(windows_at() / kSectors), "-H", "255", "-S", "63",
                 device});
        });
        FakeRoot windows, esp;
        fill(windows, esp);
        with_windows(true, [&](const fs::path& at) { fs::copy(windows.path(), at, fs::copy_options::recursive); });
        if (!uefi()) return;
        on_device(kMiB, 16 * kMiB, [&](const std::string& device) {
            if (has_vfat()) run({"mkfs.vfat", device});
            else run({"mkntfs", "-Q", "-q", "-F", "-p", "2048", "-H", "255", "-S", "63", device});
        });
        with_esp(true, [&](const fs::path& at) { fs::copy(esp.path(), at, fs::copy_options::recursive); });
    }
    void fill(const FakeRoot& windows, const FakeRoot& esp) const {
        test::put_windows(windows, "/WINDOWS", system, software);
        test::put_all_drivers(windows, "/WINDOWS", system);
        for (const char* name : {"intelide.sys", "pciidex.sys", "pciide.sys", "viostor.sys"})
            test::put_driver(windows, "/WINDOWS", name);
        fs::create_directories(windows.path() / "System Volume Information");
        (uefi() ? esp : windows).put(uefi() ? "/EFI/Microsoft/Boot/BCD" : store_without_uefi(), store);
        if (!uefi()) return;
        esp.put("/EFI/Microsoft/Boot/bootmgfw.efi", "boot manager");
        if (const auto log = test::shared_file(std::string(GetParam().bcd) + ".LOG"))
            esp.put("/EFI/Microsoft/Boot/BCD.LOG", *log);
    }
    // A kernel of a build machine may lack it. To the repair an EFI system partition is what the table calls one.
    static bool has_vfat() {
        (void)run_command({"modprobe", "-q", "vfat"});
        const auto known = read_text_file("/proc/filesystems");
        return known.ok() && known->find("vfat") != std::string::npos;
    }
    void on_device(std::uint64_t offset, std::uint64_t size, const std::function<void(const std::string&)>& act) const {
        auto attached = run_command({"losetup", "-f", "--show", "-o", std::to_string(offset), "--sizelimit",
                                     std::to_string(size), image.string()});
        ASSERT_TRUE(attached.ok() && attached->ok());
        auto device = attached->output.substr(0, attached->output.find('\n'));
        act(device);
        run({"losetup", "-d", device});
    }
    using Act = std::function<void(const fs::path&)>;
    void with_windows(bool write, const Act& act) const {
        on_device(windows_at(), kImage - windows_at() - kMiB, [&](const std::string& device) {
            mounted({"ntfs-3g", "-o", write ? "rw" : "ro", device}, act);
        });
    }
    void with_esp(bool write, const Act& act) const {
        on_device(kMiB, 16 * kMiB, [&](const std::string& device) {
            const std::string how = write ? "rw" : "ro";
            if (has_vfat()) mounted({"mount", "-t", "vfat", "-o", how, device}, act);
            else mounted({"ntfs-3g", "-o", how, device}, act);
        });
    }
    void mounted(std::vector<std::string> mount, const Act& act) const {
        const auto at = dir.path() / "m";
        fs::create_directories(at);
        mount.push_back(at.string());
        run(mount);
        act(at);
        run({"umount", at.string()});
    }
    std::string store_now() const {
        std::string out;
        const auto read = [&](const fs::path& file) { out = read_text_file(file, kImage).value_or("unreadable"); };
        if (uefi()) with_esp(false, [&](const fs::path& at) { read(at / "EFI/Microsoft/Boot/BCD"); });
        else with_windows(false, [&](const fs::path& at) { read(at / store_without_uefi().substr(1)); });
        return out;
    }
    static std::string store_without_uefi() { return GetParam().boot_ini() ? "/boot.ini" : "/Boot/BCD"; }
    std::string hive_now(const std::string& name) const {
        std::string out;
        with_windows(false, [&](const fs::path& at) {
            out = read_text_file(at / "WINDOWS/system32/config" / name, kImage).value_or("unreadable");
        });
        return out;
    }
    std::string system_now() const { return hive_now("SYSTEM"); }
    std::string software_now() const { return hive_now("SOFTWARE"); }
    RepairReport repaired() const {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }

    TempDir dir = TempDir::create("boot-store").value();
    fs::path image;
    std::string store, system, software;
    RepairRequest request;
};

const GptPartition kAsusWindows{guid("5541e87d-91a5-4f2b-ad43-a0345c199e9b"),
                                guid("9d4a7cb0-ab9d-4d71-961f-50f1d9c9252f")};
const GptPartition kAsusEsp{kAsusWindows.disk, guid("1c6ab89c-bcbf-4abe-8593-618e4d2f5811")};
// Its recovery partition is not on this disk: what names that stays.
const std::vector<Relocation> kAsusMoves{{kAsusWindows, GptPartition{guid(kDisk), guid(kWindowsPartition)}},
                                         {kAsusEsp, GptPartition{guid(kDisk), guid(kEsp)}}};
const std::vector<Relocation> kMbrMoves{{MbrPartition{kOldSignature, kMiB}, MbrPartition{kSignature, kMiB}}};

std::vector<BootCase> cases() {
    std::vector<BootCase> out;
    for (auto target : {TargetController::Ide, TargetController::VirtioBlk}) {
        const bool ide = target == TargetController::Ide;
        out.push_back({ide ? "asus_tp300_ide" : "asus_tp300_virtio", "bcd/asus-tp300-BCD",
                       "hives/regipy-SYSTEM_WIN_10_1709", &test::kTen, true, target, kAsusMoves});
        // An installation medium's: it boots from where it was booted, which stays so.
        out.push_back({ide ? "ez_medium_ide" : "ez_medium_virtio",
                       "bcd/ez-Registry-BCD",
                       "hives/regipy-SYSTEM",
                       &test::kSeven,
                       false,
                       target,
                       {}});
        out.push_back({ide ? "made_mbr_ide" : "made_mbr_virtio", "", "hives/regipy-SYSTEM", &test::kSeven, false,
                       target, kMbrMoves});
        out.push_back({ide ? "xp_ide" : "xp_virtio", "", "hives/bitcurator-SYSTEM", &test::kXp, false, target, {}});
    }
    out.push_back({"real_software_ide", "", "hives/regipy-SYSTEM", &test::kSeven, false, TargetController::Ide,
                   kMbrMoves, "hives/plaso-SOFTWARE"});
    return out;
}

// What changed in a hive, by both readers; all of it is in the report.
std::set<std::string> changed_as_said(const std::string& name, const std::string& before, const std::string& after,
                                      const RepairReport& report) {
    const auto out = changed(test::hivex_dump(before), test::hivex_dump(after));
    const auto reged_before = by_reged(before);
    EXPECT_FALSE(reged_before.empty());
    EXPECT_EQ(changed(reged_before, by_reged(after)), out);
    std::set<std::string> said;
    for (const auto& change : report.journal) said.insert(to_lower(change.where));
    for (auto value : out) {
        if (value.ends_with(": ")) value += "(default)";
        EXPECT_TRUE(said.contains(to_lower(name + "\\" + value)) ||
                    said.contains(to_lower(name + "\\" + value.substr(0, value.rfind(": ")))))
            << name << " " << value << " was changed, and the report does not say so";
    }
    return out;
}

}  // namespace

TEST_P(BootStoreDisk, names_this_disk_and_all_else_in_store_and_registry_is_equal_by_three_readers) {
    const auto& c = GetParam();
    const auto report = repaired();
    // ---- the store: exactly the partition that moved, wherever it is named
    const auto after = store_now();
    if (c.boot_ini()) {
        EXPECT_THAT(after, HasSubstr("default=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n"));
    } else {
        const auto of_store = changed_as_said("BCD", store, after, report);
        EXPECT_EQ(test::hivex_dump(after), moved(test::hivex_dump(store), c.moves));
        EXPECT_EQ(of_store.empty(), c.moves.empty());
        EXPECT_EQ(test::diff_hives(store, after).added.size(), of_store.size()) << "keys, classes and security stay";
        EXPECT_EQ(after == store, c.moves.empty()) << "where nothing moved not a byte is another";
    }
    if (uefi())
        with_esp(false, [](const fs::path& at) {
            EXPECT_EQ(read_text_file(at / "EFI/Boot/bootx64.efi", kMiB).value_or(""), "boot manager");
        });
    // ---- the registry: what the report says, and nothing else
    EXPECT_THAT(changed_as_said("SYSTEM", system, system_now(), report), Not(IsEmpty()));
    const auto of_software = changed_as_said("SOFTWARE", software, software_now(), report);
    // Of the real one VMware's programs, which start no more; a made one has nothing that a repair looks for.
    if (!*c.software) EXPECT_THAT(of_software, IsEmpty());
    else EXPECT_THAT(of_software, Contains("Microsoft\\Windows\\CurrentVersion\\Run: VMware Tools"));
}

TEST_P(BootStoreDisk, asked_again_every_step_finds_nothing_to_do_and_an_undo_brings_all_back) {
    repaired();
    const auto bcd = store_now(), hive = system_now(), programs = software_now();
    const auto second = repaired();
    EXPECT_THAT(second.journal, IsEmpty());
    EXPECT_TRUE(second.unchanged);
    with_windows(true, [](const fs::path& at) { EXPECT_TRUE(fs::remove(at / "WINDOWS/slipway/repair/inputs")); });
    const auto third = repaired();
    EXPECT_FALSE(third.unchanged);
    EXPECT_THAT(third.journal, IsEmpty());
    EXPECT_EQ(store_now(), bcd);
    EXPECT_EQ(system_now(), hive);
    EXPECT_EQ(software_now(), programs);
    request.undo = true;
    repaired();
    EXPECT_EQ(store_now(), store);
    EXPECT_EQ(system_now(), system);
    EXPECT_EQ(software_now(), software);
}

INSTANTIATE_TEST_SUITE_P(All, BootStoreDisk, testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.name); });
