// SPDX-License-Identifier: GPL-3.0-or-later
// What a file system has beside a file's content, before and after a repair: on a real NTFS, and on a real FAT where
// the kernel has that.
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/journal.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/tree.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

namespace {

const std::string kAdministrators("\x01\x02\0\0\0\0\0\x05\x20\0\0\0\x20\x02\0\0", 16);
// Theirs, and nobody else may do anything: a security descriptor with one entry (MS-DTYP 2.4.6).
const std::string kTheirsAlone = std::string("\x01\0\x04\x80\x14\0\0\0\x24\0\0\0\0\0\0\0\x34\0\0\0", 20) +
                                 kAdministrators + kAdministrators + std::string("\x02\0\x20\0\x01\0\0\0", 8) +
                                 std::string("\0\0\x18\0\xff\x01\x1f\0", 8) + kAdministrators;
const std::string kHiddenSystem("\x27\0\0\0", 4);

// A volume in a file, mounted while this lives.
class Mounted {
public:
    Mounted(const std::vector<std::string>& make, std::vector<std::string> mount) {
        run({"truncate", "-s", "40M", image().string()});
        auto attached = run_command({"losetup", "-f", "--show", image().string()}).value();
        device_ = attached.output.substr(0, attached.output.find('\n'));
        auto argv = make;
        argv.push_back(device_);
        run(argv);
        fs::create_directories(at());
        mount.insert(mount.end(), {device_, at().string()});
        run(mount);
    }
    ~Mounted() {
        run({"umount", at().string()});
        run({"losetup", "-d", device_});
    }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;
    fs::path at() const { return dir_ / "m"; }
    const std::string& device() const { return device_; }
    static void run(const std::vector<std::string>& argv) {
        const auto result = run_command(argv);
        ASSERT_TRUE(result.ok() && result->ok()) << argv[0] << ": " << (result.ok() ? result->error_text : "");
    }

private:
    fs::path image() const { return dir_ / "volume.img"; }
    TempDir dir_ = TempDir::create("attributes").value();
    std::string device_;
};

// What this machine lacks; "": nothing.
std::string lacking(const std::vector<std::string>& tools) {
    if (::geteuid() != 0) return "needs root";
    if (!fs::exists("/dev/fuse") || !fs::exists("/dev/loop-control")) return "needs /dev/fuse and loop devices";
    for (const auto& tool : tools)
        if (!run_command({"sh", "-c", "command -v " + tool}).value().ok()) return tool + " is not installed";
    return "";
}

std::string attribute(const fs::path& file, const char* name) {
    std::string value(65536, '\0');
    const auto size = ::lgetxattr(file.c_str(), name, value.data(), value.size());
    value.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return value;
}
std::string descriptor(const fs::path& file) { return attribute(file, "system.ntfs_acl"); }

void give(const fs::path& file, const char* name, const std::string& value) {
    ASSERT_EQ(::lsetxattr(file.c_str(), name, value.data(), value.size(), 0), 0) << file << " " << name;
}

// A repair as it is left by a kill between the rename of a file and the line that says what mode it came to.
void leave_unfinished(const fs::path& root) {
    const auto tree = Tree::open(root).value();
    auto journal = Journal::open(tree, "/WINDOWS").value();
    const std::string words = "from the repair";
    for (const char* path : {"/WINDOWS/run.cmd", "/WINDOWS/old.ini"}) {
        const auto place = tree.at(path).value().value();
        auto after = examine(place, true).value();
        if (after.kind == State::Kind::None) after = {State::Kind::File, 0644, 0, 0, 0, "", ""};
        after.size = words.size();
        after.digest = sha256(as_bytes(words)).text();
        after.modeless = false;  // the text of the journal does not know
        ASSERT_TRUE(journal.announce("write", place, after).ok());
        ASSERT_TRUE(replace_file(place, as_bytes(words), 0644).ok());
    }
}

void expect_taken_back(const fs::path& root) {
    fs::create_directory(root / "WINDOWS");
    std::ofstream(root / "WINDOWS/old.ini") << "old";
    leave_unfinished(root);
    const auto tree = Tree::open(root).value();
    auto journal = Journal::open(tree, "/WINDOWS").value();
    std::vector<std::string> notes;
    const auto recovered = journal.recover(notes);
    ASSERT_TRUE(recovered.ok()) << recovered.error().explain();
    EXPECT_THAT(notes, testing::ElementsAre(HasSubstr("was taken back first")));
    EXPECT_EQ(read_text_file(root / "WINDOWS/old.ini").value_or("?"), "old");
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(root / "WINDOWS")) names.push_back(entry.path().filename());
    EXPECT_THAT(names, testing::ElementsAre("old.ini"));
}

// What somebody else wrote into a file of a repair that was cut short is another matter.
void expect_kept(const fs::path& root) {
    leave_unfinished(root);
    std::ofstream(root / "WINDOWS/run.cmd") << "an administrator's";
    const auto tree = Tree::open(root).value();
    auto journal = Journal::open(tree, "/WINDOWS").value();
    std::vector<std::string> notes;
    ASSERT_TRUE(journal.recover(notes).ok());
    EXPECT_THAT(notes, testing::Contains(HasSubstr("/WINDOWS/run.cmd was changed after the unfinished repair")));
    EXPECT_EQ(read_text_file(root / "WINDOWS/run.cmd").value_or("?"), "an administrator's");
}

}  // namespace

TEST(WindowsAttributes, repair_of_an_ntfs_that_was_killed_behind_a_rename_is_taken_back_whatever_mode_is_seen) {
    if (const auto what = lacking({"mkntfs", "ntfs-3g", "losetup"}); !what.empty()) GTEST_SKIP() << what;
    const Mounted volume({"mkntfs", "-Q", "-q", "-F", "-p", "0", "-H", "16", "-S", "63"},
                         {"ntfs-3g", "-o", "uid=0,gid=0,umask=0077"});
    expect_taken_back(volume.at());
    expect_kept(volume.at());
}

TEST(WindowsAttributes, repair_of_an_ntfs_is_undone_under_another_mode_than_it_was_made_under) {
    if (const auto what = lacking({"mkntfs", "ntfs-3g", "losetup"}); !what.empty()) GTEST_SKIP() << what;
    const Mounted volume({"mkntfs", "-Q", "-q", "-F", "-p", "0", "-H", "16", "-S", "63"},
                         {"ntfs-3g", "-o", "uid=0,gid=0,umask=0077"});
    const test::FakeRoot made;
    test::put_windows(made, "/WINDOWS", test::make_hive(test::system_tree()), test::software_hive(test::kXp));
    for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
        test::put_driver(made, "/WINDOWS", name);
    fs::copy(made.path(), volume.at(), fs::copy_options::recursive);
    RepairRequest request;
    request.root = volume.at();
    const auto repaired = repair(request);
    ASSERT_TRUE(repaired.ok()) << repaired.error().explain();
    ASSERT_THAT(repaired->journal, testing::Not(testing::IsEmpty()));
    Mounted::run({"umount", volume.at().string()});
    Mounted::run({"ntfs-3g", "-o", "uid=0,gid=0,umask=0022", volume.device(), volume.at().string()});
    request.undo = true;
    const auto undone = repair(request);
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    EXPECT_FALSE(fs::exists(volume.at() / "WINDOWS/slipway"));
}

TEST(WindowsAttributes, repair_of_a_fat_that_was_killed_behind_a_rename_is_taken_back_whatever_mode_is_seen) {
    if (const auto what = lacking({"mkfs.vfat", "losetup"}); !what.empty()) GTEST_SKIP() << what;
    (void)run_command({"modprobe", "-q", "vfat"});
    if (read_text_file("/proc/filesystems").value_or("").find("vfat") == std::string::npos)
        GTEST_SKIP() << "this kernel has no FAT";
    const Mounted volume({"mkfs.vfat"}, {"mount", "-t", "vfat", "-o", "umask=0077"});
    expect_taken_back(volume.at());
    expect_kept(volume.at());
}

TEST(WindowsAttributes, replaced_files_of_an_ntfs_keep_theirs_and_new_ones_have_their_directorys_descriptor) {
    if (const auto what = lacking({"mkntfs", "ntfs-3g", "losetup"}); !what.empty()) GTEST_SKIP() << what;
    const Mounted volume({"mkntfs", "-Q", "-q", "-F", "-p", "0", "-H", "16", "-S", "63"},
                         {"ntfs-3g", "-o", "uid=0,gid=0,umask=0077"});
    const test::FakeRoot made;
    auto tree = test::system_tree();
    test::add_service(tree, "atapi", 0, "SCSI miniport");
    test::put_windows(made, "/WINDOWS", test::make_hive(tree), test::software_hive(test::kXp));
    for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
        test::put_driver(made, "/WINDOWS", name);
    made.put("/boot.ini", "[operating systems]\nscsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\"\n");
    fs::copy(made.path(), volume.at(), fs::copy_options::recursive);
    const auto boot_ini = volume.at() / "boot.ini", hive = volume.at() / "WINDOWS/system32/config/SYSTEM";
    for (const auto& file : {boot_ini, hive, volume.at() / "WINDOWS"}) give(file, "system.ntfs_acl", kTheirsAlone);
    for (const auto& file : {boot_ini, hive}) give(file, "system.ntfs_attrib", kHiddenSystem);
    const auto others = descriptor(volume.at() / "WINDOWS/system32/ntoskrnl.exe");
    ASSERT_NE(others, kTheirsAlone);

    RepairRequest request;
    request.root = volume.at();
    const auto before = read_text_file(hive, 1u << 20).value();
    for (const bool undo : {false, true}) {
        request.undo = undo;
        const auto done = repair(request);
        ASSERT_TRUE(done.ok()) << done.error().explain();
        EXPECT_THAT(read_text_file(boot_ini, 4096).value(), HasSubstr(undo ? "scsi(0)" : "multi(0)"));
        EXPECT_EQ(read_text_file(hive, 1u << 20).value() == before, undo);
        for (const auto& file : {boot_ini, hive}) {
            EXPECT_EQ(descriptor(file), kTheirsAlone) << file;
            EXPECT_EQ(attribute(file, "system.ntfs_attrib")[0] & 0x27, 0x27) << file;
        }
        if (undo) continue;
        // What is in there is run as LocalSystem at the first boot.
        for (const char* name : {"slipway", "slipway/repair.json", "slipway/FirstBoot/run.cmd", "slipway/repair",
                                 "slipway/repair/kept", "slipway/repair/journal"})
            EXPECT_EQ(descriptor(volume.at() / "WINDOWS" / name), kTheirsAlone) << name;
        EXPECT_EQ(attribute(volume.at() / "WINDOWS/slipway/repair.json", "system.ntfs_attrib")[0] & 6, 0);
    }
}

// A FAT has nobody's rights, and hidden and system by another door.
TEST(WindowsAttributes, replaced_and_restored_files_of_a_fat_stay_hidden) {
    if (const auto what = lacking({"mkfs.vfat", "mattrib", "losetup"}); !what.empty()) GTEST_SKIP() << what;
    (void)run_command({"modprobe", "-q", "vfat"});
    if (read_text_file("/proc/filesystems").value_or("").find("vfat") == std::string::npos)
        GTEST_SKIP() << "this kernel has no FAT";
    const Mounted fat({"mkfs.vfat"}, {"mount", "-t", "vfat"});
    std::ofstream(fat.at() / "boot.ini") << "old";
    Mounted::run({"umount", fat.at().string()});
    Mounted::run({"mattrib", "-i", fat.device(), "+h", "+s", "+r", "::boot.ini"});
    Mounted::run({"mount", "-t", "vfat", fat.device(), fat.at().string()});
    const auto attributes = [&] {
        Mounted::run({"sync", "-f", fat.at().string()});
        return run_command({"mattrib", "-i", fat.device(), "::boot.ini"}).value().output;
    };
    const auto tree = Tree::open(fat.at()).value();
    const auto place = tree.at("/boot.ini").value();
    ASSERT_TRUE(place);
    ASSERT_TRUE(replace_file(*place, as_bytes("new"), 0600).ok());
    EXPECT_EQ(read_text_file(fat.at() / "boot.ini", 16).value(), "new");
    EXPECT_THAT(attributes(), HasSubstr("SHR"));
    ASSERT_TRUE(unshare_file(*place).ok());
    EXPECT_THAT(attributes(), HasSubstr("SHR"));
}
