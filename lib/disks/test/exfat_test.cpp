// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/maps/exfat_map.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/test/fuse_mount.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;
namespace fs = std::filesystem;

namespace {

#define NEEDS_EXFATPROGS() \
    if (!run_command({"mkfs.exfat", "-V"}).ok()) GTEST_SKIP() << "exfatprogs is not installed"

void make_exfat(const fs::path& image, std::uint64_t size, const std::string& options = {}) {
    make_file(image, size);
    std::vector<std::string> argv{"mkfs.exfat"};
    std::istringstream words{options};
    for (std::string w; words >> w;) argv.push_back(w);
    argv.push_back(image.string());
    run(argv);
}

// exfat-fuse mounts block devices only. Detached, everything is in the image.
class LoopMount {
public:
    LoopMount(const fs::path& image, const fs::path& at, const std::string& options) {
        auto loop = run_command({"losetup", "-f", "--show", image.string()});
        if (!loop.ok() || !loop->ok()) {
            reason_ = "losetup: " + (loop.ok() ? loop->error_text : loop.error().describe());
            return;
        }
        loop_ = loop->output.substr(0, loop->output.find('\n'));
        // -d: in the foreground
        mount_.emplace(std::vector<std::string>{"mount.exfat-fuse", "-d", "-o", options, loop_}, at);
        reason_ = mount_->reason();
    }
    ~LoopMount() {
        mount_.reset();
        if (!loop_.empty()) run({"losetup", "-d", loop_});
    }
    bool ok() const { return mount_ && mount_->ok(); }
    const std::string& reason() const { return reason_; }
    const fs::path& path() const { return mount_->path(); }

private:
    std::string loop_, reason_;
    std::optional<FuseMount> mount_;
};

UsedMap map_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    return map_used(*disk).value();
}

void expect_whole(const UsedMap& map, std::uint64_t size, const std::string& reason) {
    EXPECT_NE(map.why_all.find(reason), std::string::npos) << map.why_all;
    EXPECT_EQ(map.used.total(), size);
}

// Edits a volume; the boot checksum follows unless it is what is to be wrong.
class Editor {
public:
    explicit Editor(const fs::path& image) : disk_(FileDisk::open(image, OpenMode::ReadWrite).value()) {
        Bytes head(512);
        EXPECT_TRUE(disk_->read(0, head).ok());
        boot = parse_exfat_boot(head).value();
    }
    void write(std::uint64_t at, std::initializer_list<unsigned> values) {
        Bytes bytes;
        for (auto v : values) bytes.push_back(static_cast<std::byte>(v));
        ASSERT_TRUE(disk_->write(at, bytes).ok());
    }
    void write_boot(std::uint64_t at, std::initializer_list<unsigned> values) {
        write(at, values);
        Bytes region(11 * boot.sector_bytes);
        ASSERT_TRUE(disk_->read(0, region).ok());
        ByteWriter sums;
        while (sums.size() < boot.sector_bytes) sums.le32(exfat_boot_checksum(region));
        ASSERT_TRUE(disk_->write(region.size(), sums.view()).ok());
    }
    std::uint64_t cluster_at(std::uint32_t cluster) const {
        return boot.heap_offset + std::uint64_t{cluster - 2} * boot.cluster_bytes;
    }
    // Of the n-th entry of a type in the root directory's first cluster.
    std::uint64_t entry_at(unsigned type) {
        Bytes entry(32);
        for (auto at = cluster_at(boot.root_cluster);; at += 32) {
            EXPECT_TRUE(disk_->read(at, entry).ok());
            if (entry[0] == static_cast<std::byte>(type)) return at;
            if (entry[0] == std::byte{0}) ADD_FAILURE() << "no entry " << type;
            if (entry[0] == std::byte{0}) return at;
        }
    }
    std::uint32_t le32_at(std::uint64_t at) {
        Bytes bytes(4);
        EXPECT_TRUE(disk_->read(at, bytes).ok());
        return ByteReader(bytes).le32();
    }
    void write_le32(std::uint64_t at, std::uint32_t v) { write(at, {v & 255, v >> 8 & 255, v >> 16 & 255, v >> 24}); }
    FileDisk& disk() { return *disk_; }
    ExfatBoot boot;

private:
    std::unique_ptr<FileDisk> disk_;
};

}  // namespace

class ExfatGeometries : public testing::TestWithParam<const char*> {};

TEST_P(ExfatGeometries, nothing_outside_the_map_is_missed) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_exfat(image, 64u << 20, std::string("-L Träger ") + GetParam());
    {
        LoopMount mount(image, dir / "m", "rw");
        if (!mount.ok()) GTEST_SKIP() << mount.reason();
        run({"cp", "-r", tree.string(), (mount.path() / "tree").string()});
        run({"cp", "-r", tree.string(), (mount.path() / "gone").string()});
        run({"rm", "-r", (mount.path() / "gone").string()});
    }
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.filesystem, "exfat");
    EXPECT_EQ(map.label, "Träger");
    EXPECT_EQ(map.uuid + "\n", run({"blkid", "-p", "-o", "value", "-s", "UUID", image.string()}));
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_TRUE(map.notes.empty());
    EXPECT_LT(map.used.total(), 40u << 20);
    scribble_outside(image, map);
    run({"fsck.exfat", "-n", image.string()});
    LoopMount mount(image, dir / "m", "ro");
    ASSERT_TRUE(mount.ok()) << mount.reason();
    run({"diff", "-r", tree.string(), (mount.path() / "tree").string()});
}

INSTANTIATE_TEST_SUITE_P(Exfat, ExfatGeometries,
                         testing::Values("-c 512", "-c 4K", "-c 32K", "-c 256K", "-c 4K --pack-bitmap"),
                         [](const auto& p) {
                             std::string name;
                             for (const char* c = p.param; *c != '\0'; ++c)
                                 if (std::isalnum(static_cast<unsigned char>(*c))) name += *c;
                             return name;
                         });

TEST(ExfatMap, a_bitmap_in_pieces_is_followed_through_the_fat) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto image = dir / "fs.img";
    make_exfat(image, 100u << 20, "-c 512");  // a bitmap of some 50 clusters
    auto plain = map_of(image);
    ASSERT_EQ(plain.why_all, "");
    // Its second half moves to the end of the volume.
    Editor e(image);
    auto entry = e.entry_at(0x81);
    auto first = e.le32_at(entry + 20), count = (e.le32_at(entry + 24) + 511) / 512, half = count / 2;
    auto target = e.boot.clusters + 1 - count;
    auto fat = [&](std::uint32_t cluster) { return e.boot.fat_offset + std::uint64_t{cluster} * 4; };
    auto set_bit = [&](std::uint32_t cluster, bool used) {
        auto bit = cluster - 2;
        // Where that byte of the bitmap is by now.
        auto part = bit / 8 / 512;
        auto at = e.cluster_at(part < half ? first + part : target + part - half) + bit / 8 % 512;
        Bytes byte(1);
        ASSERT_TRUE(e.disk().read(at, byte).ok());
        auto mask = std::byte{1} << static_cast<int>(bit % 8);
        byte[0] = used ? byte[0] | mask : byte[0] & ~mask;
        ASSERT_TRUE(e.disk().write(at, byte).ok());
    };
    Bytes content((count - half) * 512);
    ASSERT_TRUE(e.disk().read(e.cluster_at(first + half), content).ok());
    ASSERT_TRUE(e.disk().write(e.cluster_at(target), content).ok());
    e.write_le32(fat(first + half - 1), target);
    for (auto i = half; i < count; ++i) {
        e.write_le32(fat(target + i - half), i + 1 == count ? 0xffffffff : target + i - half + 1);
        e.write_le32(fat(first + i), 0);
        set_bit(target + i - half, true);
        set_bit(first + i, false);
    }
    run({"fsck.exfat", "-n", image.string()});
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.used.total(), plain.used.total());
    EXPECT_TRUE(map.used.covers(e.cluster_at(target)));
    EXPECT_FALSE(map.used.covers(e.cluster_at(first + half)));
    scribble_outside(image, map);
    run({"fsck.exfat", "-n", image.string()});
}

TEST(ExfatMap, a_volume_not_unmounted_makes_every_sector_count) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto image = dir / "fs.img";
    make_exfat(image, 40u << 20, "-L data");
    Editor(image).write(106, {2, 0});  // the flags are not in the checksum
    auto map = map_of(image);
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
    EXPECT_EQ(map.label, "data");
    expect_whole(map, 40u << 20, "not unmounted");
}

TEST(ExfatMap, structures_that_do_not_add_up_make_every_sector_count) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto image = dir / "fs.img", copy = dir / "hurt.img";
    make_exfat(image, 40u << 20);
    ASSERT_EQ(map_of(image).why_all, "");
    auto hurt = [&](auto how, const std::string& reason) {
        fs::copy_file(image, copy, fs::copy_options::overwrite_existing);
        {
            Editor e(copy);
            how(e);
        }
        expect_whole(map_of(copy), 40u << 20, reason);
    };
    hurt([](Editor& e) { e.write(121, {1}); }, "boot region's checksum");
    hurt([](Editor& e) { e.write_boot(110, {2}); }, "TexFAT");
    hurt([](Editor& e) { e.write_boot(110, {3}); }, "number of FATs");
    hurt([](Editor& e) { e.write(106, {1}); }, "TexFAT");
    hurt([](Editor& e) { e.write_boot(105, {2}); }, "revision");
    hurt([](Editor& e) { e.write_boot(108, {13}); }, "sector size");
    hurt([](Editor& e) { e.write_boot(109, {30}); }, "cluster size");
    hurt([](Editor& e) { e.write_boot(75, {1}); }, "larger than its volume");
    hurt([](Editor& e) { e.write_boot(95, {1}); }, "FAT that does not fit");
    hurt([](Editor& e) { e.write_boot(99, {1}); }, "root directory lies outside");
    hurt([](Editor& e) { e.write_boot(20, {1}); }, "FAT values");
    hurt([](Editor& e) { e.write_le32(e.boot.fat_offset + 4 * e.boot.root_cluster, e.boot.root_cluster); }, "too long");
    hurt([](Editor& e) { e.write_le32(e.boot.fat_offset + 4 * e.boot.root_cluster, 0); }, "leaves the volume");
    hurt([](Editor& e) { e.write(e.entry_at(0x81), {0x01}); }, "names the allocation bitmap 0 times");
    hurt([](Editor& e) { e.write(e.entry_at(0x82), {0x81}); }, "names the allocation bitmap 2 times");
    hurt([](Editor& e) { e.write_le32(e.entry_at(0x81) + 24, 1); }, "does not fit");
    hurt([](Editor& e) { e.write(e.cluster_at(e.le32_at(e.entry_at(0x82) + 20)), {1}); }, "up-case table is damaged");
    hurt([](Editor& e) { e.write(e.cluster_at(e.le32_at(e.entry_at(0x81) + 20)), {0}); }, "its own tables free");
}

TEST(ExfatMap, a_damaged_backup_and_disk_errors_are_noted) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto image = dir / "fs.img";
    make_exfat(image, 40u << 20);
    Editor e(image);
    e.write(12 * 512 + 121, {1});
    e.write(106, {4});
    auto map = map_of(image);
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.notes,
              (std::vector<std::string>{"the backup boot region is damaged", "its last user met disk errors"}));
}

TEST(ExfatMap, a_large_volume_costs_little) {
    NEEDS_EXFATPROGS();
    auto dir = TempDir::create("exfat").value();
    auto image = dir / "fs.img";
    make_exfat(image, std::uint64_t{8} << 40);
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    StatsLayer counted(*disk);
    auto map = map_used(counted).value();
    ASSERT_EQ(map.why_all, "");
    EXPECT_LT(counted.counters().read_bytes, 20u << 20);
    EXPECT_LT(map.used.total(), 1u << 30) << "mostly its FAT";
}
