// SPDX-License-Identifier: GPL-3.0-or-later
// A Windows that another disk starts: NTLDR and boot.ini on the first one, Windows on the second, both on a real NTFS.
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "lib/base/process.hpp"
#include "lib/disks/block.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using test::FakeRoot;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSize = 32u << 20;

class TwoDisks : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
        if (!fs::exists("/dev/fuse") || !fs::exists("/dev/loop-control"))
            GTEST_SKIP() << "needs /dev/fuse and loop devices";
        for (const char* tool : {"mkntfs", "ntfs-3g", "sfdisk", "losetup"})
            if (!run_command({"sh", "-c", std::string("command -v ") + tool}).value().ok())
                GTEST_SKIP() << tool << " is not installed";
        boot = make_disk("boot.img", "0x11111111", ", bootable");
        windows = make_disk("windows.img", "0x22222222", "");
        request.disk = boot;
        request.more_disks = {windows};
        request.target = TargetController::Ide;
    }
    static void run(const std::vector<std::string>& argv, const std::string& input = {}) {
        CommandOptions options;
        options.input = input;
        const auto result = run_command(argv, options);
        ASSERT_TRUE(result.ok() && result->ok()) << argv[0] << ": " << (result.ok() ? result->error_text : "");
    }
    fs::path make_disk(const std::string& name, const std::string& signature, const std::string& active) const {
        const auto image = dir.path() / name;
        run({"truncate", "-s", std::to_string(kSize), image.string()});
        run({"sfdisk", "-q", image.string()},
            "label: dos\nlabel-id: " + signature + "\nstart=2048, type=7" + active + "\n");
        on_device(image, [](const std::string& device) {
            run({"mkntfs", "-Q", "-q", "-F", "-p", "2048", "-H", "16", "-S", "63", device});
        });
        return image;
    }
    static void on_device(const fs::path& image, const std::function<void(const std::string&)>& act) {
        auto attached = run_command({"losetup", "-f", "--show", "-o", "1048576", image.string()});
        ASSERT_TRUE(attached.ok() && attached->ok());
        const auto device = attached->output.substr(0, attached->output.find('\n'));
        act(device);
        run({"losetup", "-d", device});
    }
    void with(const fs::path& image, bool write, const std::function<void(const fs::path&)>& act) const {
        on_device(image, [&](const std::string& device) {
            const auto at = dir.path() / "m";
            fs::create_directories(at);
            run({"ntfs-3g", "-o", write ? "rw" : "ro", device, at.string()});
            act(at);
            run({"umount", at.string()});
        });
    }
    // started_from: as its registry has it; "": it has not.
    void put_windows(const std::string& started_from) const {
        FakeRoot made;
        auto tree = test::system_tree();
        test::add_service(tree, "atapi", 0, "SCSI miniport");
        test::add_service(tree, "disk", 0, "SCSI Class");
        if (!started_from.empty()) tree.key("ControlSet001\\Control").set("SystemBootDevice", reg_sz(started_from));
        test::put_windows(made, "/WINNT", test::make_hive(tree), test::software_hive(test::kXp, "D:\\WINNT"));
        for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
            test::put_driver(made, "/WINNT", name);
        fs::create_directories(made.path() / "System Volume Information");
        with(windows, true, [&](const fs::path& at) { fs::copy(made.path(), at, fs::copy_options::recursive); });
    }
    void put_boot_ini(const std::string& text) const {
        with(boot, true, [&](const fs::path& at) {
            std::ofstream(at / "NTLDR") << "loader";
            std::ofstream(at / "boot.ini") << text;
            ASSERT_EQ(::setxattr((at / "boot.ini").c_str(), "system.ntfs_attrib", "\7\0\0", 4, 0), 0)
                << "hidden, system";
        });
    }
    std::string boot_ini() const {
        std::string out;
        with(boot, false, [&](const fs::path& at) {
            out = read_text_file(at / "boot.ini", 4096).value_or("none");
            std::string attributes(4, '\0');
            ASSERT_EQ(::getxattr((at / "boot.ini").c_str(), "system.ntfs_attrib", attributes.data(), 4), 4);
            EXPECT_EQ(attributes[0] & 7, 7) << "it is not what it was any more";
        });
        return out;
    }
    RepairReport repaired() const {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }
    std::vector<std::string> places() const {
        std::vector<std::string> out;
        for (const auto& change : repaired().journal) out.push_back(change.where);
        return out;
    }
    static std::string menu(const std::string& windows_path) {
        return "[boot loader]\r\ndefault=" + windows_path + "\r\n[operating systems]\r\n" + windows_path +
               "=\"Windows\" /fastdetect\r\nscsi(0)disk(0)rdisk(0)partition(1)\\WINNT=\"other\"\r\n";
    }

    TempDir dir = TempDir::create("two-disks").value();
    fs::path boot, windows;
    RepairRequest request;
    const std::string kScsi = "scsi(0)disk(1)rdisk(0)partition(1)\\WINNT",
                      kFirmware = "multi(0)disk(0)rdisk(1)partition(1)\\WINNT";
};

}  // namespace

TEST_F(TwoDisks, boot_ini_of_the_other_disk_names_the_disk_that_windows_is_on) {
    put_windows("scsi(0)disk(1)rdisk(0)partition(1)");
    put_boot_ini(menu(kScsi));
    const auto report = repaired();
    EXPECT_EQ(boot_ini(), menu(kFirmware)) << "the default's disk is known, the other entry's is not";
    EXPECT_THAT(report.journal, Contains(Field(&Change::where, "partition 1 of disk 1: /boot.ini")));
    EXPECT_THAT(report.warnings,
                Contains(AllOf(HasSubstr("scsi(0)disk(0)rdisk(0)partition(1)\\WINNT"), HasSubstr("is not known"))));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("partition 1 of disk 1, which starts it, keeps its boot sector")));
    EXPECT_THAT(report.root_device, HasSubstr("windows.img partition 1"));
    const auto again = repaired();
    EXPECT_TRUE(again.unchanged);
    with(windows, true, [](const fs::path& at) { EXPECT_TRUE(fs::remove(at / "WINNT/slipway/repair/inputs")); });
    EXPECT_THAT(repaired().journal, IsEmpty());
    request.undo = true;
    repaired();
    EXPECT_EQ(boot_ini(), menu(kScsi));
}

TEST_F(TwoDisks, the_disk_that_starts_windows_is_the_first_whatever_order_they_are_given_in) {
    put_windows("");
    put_boot_ini("[boot loader]\ndefault=" + kScsi + "\n[operating systems]\n" + kScsi +
                 "=\"Windows\"\nsignature(11111111)disk(0)rdisk(0)partition(1)\\OLD=\"Old\"\n");
    std::swap(request.disk, request.more_disks.front());
    EXPECT_THAT(places(), Contains("partition 1 of disk 2: /boot.ini"));
    EXPECT_EQ(boot_ini(), "[boot loader]\ndefault=" + kFirmware + "\n[operating systems]\n" + kFirmware +
                              "=\"Windows\"\nmulti(0)disk(0)rdisk(0)partition(1)\\OLD=\"Old\"\n");
}

TEST_F(TwoDisks, a_dry_run_says_so_and_writes_neither_disk) {
    put_windows("");
    put_boot_ini("[operating systems]\n" + kScsi + "=\"Windows\"\n");
    request.dry_run = true;
    const auto content = [](const fs::path& image) { return read_text_file(image, kSize).value(); };
    const auto before = content(boot) + content(windows);
    EXPECT_THAT(places(), Contains("partition 1 of disk 1: /boot.ini"));
    EXPECT_EQ(content(boot) + content(windows), before);
}

TEST_F(TwoDisks, without_the_disk_that_starts_it_a_warning_says_what_to_give) {
    put_windows("scsi(0)disk(1)rdisk(0)partition(1)");
    put_boot_ini(menu(kScsi));
    request.disk = windows;
    request.more_disks.clear();
    EXPECT_THAT(repaired().warnings, Contains(AllOf(HasSubstr("No boot.ini was found"), HasSubstr("--more-disk"))));
    EXPECT_EQ(boot_ini(), menu(kScsi));
    // Given it then, the same repair goes on with what is left.
    request.disk = boot;
    request.more_disks = {windows};
    EXPECT_THAT(repaired().warnings, Not(Contains(HasSubstr("No boot.ini was found"))));
    EXPECT_EQ(boot_ini(), menu(kFirmware));
    // An undo without it is refused, not half done.
    request.disk = windows;
    request.more_disks.clear();
    request.undo = true;
    const auto undone = repair(request);
    ASSERT_FALSE(undone.ok());
    EXPECT_TRUE(undone.error().is(errors::kChangedSince)) << undone.error().explain();
}
