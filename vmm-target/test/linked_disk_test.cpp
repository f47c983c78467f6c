// SPDX-License-Identifier: GPL-3.0-or-later
// What may be a linked disk and what may not, on loop devices. (Running on one: qemu_test.cpp.)
#include "vmm-target/linked_disk.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "lib/disks/test/mounts.hpp"
#include "vmm-target/errors.hpp"
#include "vmm-target/vm_directory.hpp"

using namespace slipway;
using namespace slipway::vmm;
using disks::test::LoopDevice;
using disks::test::run;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kBytes = 16u << 20;

class LinkedDisks : public testing::Test {
protected:
    void SetUp() override {
        disks::test::make_file(image(), kBytes);
        auto loop = LoopDevice::attach(image());
        if (!loop) GTEST_SKIP() << "there is no loop device";
        loop_.emplace(std::move(*loop));
        disk.path = loop_->path();
    }
    fs::path image() const { return dir / "disk.img"; }
    std::string refusal() const {
        auto claimed = LinkedDisk::claim(disk);
        if (claimed.ok()) return "accepted";
        EXPECT_TRUE(claimed.error().is(vmm::errors::kLinkedDisk)) << claimed.error().describe();
        return claimed.error().message();
    }
    TempDir dir = TempDir::create("linked").value();
    VmDisk disk{.path = "", .kind = DiskKind::Linked, .size_bytes = kBytes, .create = false};

private:
    std::optional<LoopDevice> loop_;
};

// Takes what was made for a test away again.
struct After {
    std::vector<std::string> argv;
    ~After() { run(argv); }
};

}  // namespace

TEST_F(LinkedDisks, one_is_claimed_once_and_free_again_afterwards) {
    fs::create_symlink(disk.path, dir / "by-id");
    auto alias = disk;
    alias.path = (dir / "by-id").string();
    {
        auto claimed = LinkedDisk::claim(alias);
        ASSERT_TRUE(claimed.ok()) << claimed.error().describe();
        EXPECT_EQ(claimed->device(), disk.path);
        EXPECT_THAT(refusal(), HasSubstr("is in use"));
        // The host cannot mount it meanwhile.
        run({"mke2fs", "-q", "-F", image().string()});
        fs::create_directories(dir / "mnt");
        auto mounted = run_command({"mount", disk.path, (dir / "mnt").string()}).value();
        EXPECT_FALSE(mounted.ok());
        EXPECT_THAT(mounted.error_text, HasSubstr("busy"));
    }
    EXPECT_EQ(refusal(), "accepted");
}

TEST_F(LinkedDisks, one_the_host_uses_is_refused) {
    run({"mke2fs", "-q", "-F", disk.path});
    fs::create_directories(dir / "mnt");
    for (const char* mode : {"rw", "ro"}) {
        auto mounted = run_command({"mount", "-o", mode, disk.path, (dir / "mnt").string()}).value();
        if (!mounted.ok()) GTEST_SKIP() << "mount is not allowed here";
        After unmount{{"umount", disk.path}};
        EXPECT_THAT(refusal(), HasSubstr(std::string_view(mode) == "rw" ? (dir / "mnt").string() : "mounted"));
    }
    EXPECT_EQ(refusal(), "accepted");
}

TEST_F(LinkedDisks, the_disk_that_the_host_runs_from_is_refused) {
    auto root = run_command({"findmnt", "-no", "SOURCE", "/"});
    auto path = root.ok() ? root->output.substr(0, root->output.find('\n')) : "";
    if (!fs::is_block_file(path)) GTEST_SKIP() << "the root file system is on no block device: " << path;
    disk.path = path;
    EXPECT_THAT(refusal(), testing::AnyOf(HasSubstr("this host runs from"), HasSubstr("is a partition")));
}

TEST_F(LinkedDisks, read_only_ones_partitions_and_other_sizes_are_refused) {
    run({"blockdev", "--setro", disk.path});
    EXPECT_THAT(refusal(), HasSubstr("is read-only"));
    run({"blockdev", "--setrw", disk.path});
    disk.size_bytes += 512;
    EXPECT_THAT(refusal(), HasSubstr("has 16777216 bytes, the definition says 16777728"));
    disk.size_bytes = kBytes;
    {
        auto big = LoopDevice::attach(image(), 4096);
        ASSERT_TRUE(big);
        auto other = disk;
        other.path = big->path();
        EXPECT_THAT(LinkedDisk::claim(other).error().message(), HasSubstr("sectors of 4096 bytes"));
    }
    run({"sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk.path}, "label: dos\nstart=2048\n");
    run({"partx", "--add", "--nr", "1", disk.path});
    After gone{{"partx", "--delete", "--nr", "1", disk.path}};
    disk.path += "p1";
    EXPECT_THAT(refusal(), HasSubstr("is a partition"));
}

TEST_F(LinkedDisks, files_and_absent_ones_are_refused_and_a_vhd_is_no_device) {
    VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 64};
    vm.disks = {disk};
    EXPECT_TRUE(check_disk_files(vm, dir.path()).ok());
    vm.disks[0].kind = DiskKind::Fixed;
    EXPECT_THAT(check_disk_files(vm, dir.path()).error().message(), HasSubstr("its kind is linked"));
    disk.path = image().string();
    EXPECT_THAT(refusal(), HasSubstr("is no block device"));
    disk.path = "/dev/there-is-none";
    EXPECT_TRUE(LinkedDisk::claim(disk).error().is(vmm::errors::kDiskMissing));
}
