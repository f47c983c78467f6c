// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/device_info.hpp"

#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

// A made /sys and /proc.
struct Machine {
    TempDir dir = TempDir::create("machine").value();
    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((dir / path).parent_path());
        std::ofstream(dir / path) << text;
    }
};

}  // namespace

TEST(WritableMounts, sees_partitions_and_what_is_made_of_them) {
    Machine m;
    m.write("sys/class/block/sda/dev", "8:0\n");
    m.write("sys/class/block/sda/sda1/partition", "1\n");
    m.write("sys/class/block/sda/sda2/partition", "2\n");
    m.write("sys/class/block/sda1/dev", "8:1\n");
    m.write("sys/class/block/sda2/dev", "8:2\n");
    m.write("sys/class/block/sda2/holders/dm-0/dev", "253:0\n");
    m.write("sys/class/block/dm-0/dev", "253:0\n");
    m.write("sys/class/block/sdb/dev", "8:16\n");
    m.write("proc/self/mountinfo",
            "20 1 253:0 / / rw,relatime - ext4 /dev/mapper/vg0-root rw\n"
            "21 1 8:1 / /my\\040boot rw - ext4 /dev/sda1 rw\n"
            "22 1 8:16 / /data ro - ext4 /dev/sdb ro\n");
    m.write("proc/swaps", "Filename Type Size Used Priority\n");
    auto mounts = [&](const char* device) { return writable_mounts(device, m.dir.path()).value(); };
    EXPECT_EQ(mounts("/dev/sda"), (std::vector<std::string>{"/", "/my boot"}));
    EXPECT_EQ(mounts("/dev/sda2"), std::vector<std::string>{"/"});
    EXPECT_EQ(mounts("/dev/sda1"), std::vector<std::string>{"/my boot"});
    EXPECT_TRUE(mounts("/dev/sdb").empty());
    EXPECT_TRUE(mounts("/some/file").empty());
}

TEST(WritableMounts, sees_a_file_under_a_loop_device_by_any_of_its_names) {
    Machine m;
    m.write("images/disk.img", "");
    m.write("images/other.img", "");
    std::filesystem::create_symlink("disk.img", m.dir / "images/link.img");
    m.write("sys/block/loop0/loop/backing_file", (m.dir / "images/disk.img").string() + "\n");
    m.write("sys/class/block/loop0/dev", "7:0\n");
    m.write("sys/class/block/loop0/loop0p1/partition", "1\n");
    m.write("sys/class/block/loop0p1/dev", "259:0\n");
    m.write("proc/self/mountinfo",
            "20 1 259:0 / /mnt/one rw - ext4 /dev/loop0p1 rw\n"
            "21 1 7:1 / /mnt/two rw - ext4 /dev/loop1 rw\n");
    m.write("proc/swaps", "Filename Type Size Used Priority\n");
    auto mounts = [&](const char* file) { return writable_mounts(m.dir / file, m.dir.path()).value(); };
    EXPECT_EQ(mounts("images/disk.img"), std::vector<std::string>{"/mnt/one"});
    EXPECT_EQ(mounts("images/link.img"), std::vector<std::string>{"/mnt/one"});
    EXPECT_EQ(mounts("images/../images/disk.img"), std::vector<std::string>{"/mnt/one"});
    EXPECT_TRUE(mounts("images/other.img").empty());
}
