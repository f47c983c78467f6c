// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "lib/base/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/ext_map.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"
#include "lib/disks/vhd.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

std::string run(const std::vector<std::string>& argv, const std::string& input = {}) {
    CommandOptions options;
    options.input = input;
    auto r = run_command(argv, options);
    EXPECT_TRUE(r.ok() && r->ok()) << argv[0] << ": " << (r.ok() ? r->error_text + r->output : r.error().describe());
    return r.ok() ? r->output : "";
}

Bytes pattern(std::size_t size, unsigned seed) {
    Bytes out(size);
    for (auto& b : out) b = static_cast<std::byte>((seed = seed * 1103515245 + 12345) >> 16);
    return out;
}

void make_file(const std::filesystem::path& path, std::uint64_t size) {
    ASSERT_TRUE(FileDisk::create(path, size).ok());
}

// A tree of files small and large, some sparse, some removed again, in an ext file system made from it.
std::filesystem::path make_tree(const TempDir& dir) {
    auto tree = dir / "tree";
    for (int i = 0; i < 60; ++i) {
        auto sub = tree / ("d" + std::to_string(i % 7));
        std::filesystem::create_directories(sub);
        std::ofstream file(sub / ("f" + std::to_string(i)), std::ios::binary);
        auto bytes = pattern(static_cast<std::size_t>(1 + i * 9973), static_cast<unsigned>(i));
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    return tree;
}

// Everything outside the map is overwritten with 0xA5; the file system must not notice.
void scribble_outside(const std::filesystem::path& image, const UsedMap& map) {
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    std::uint64_t at = 0;
    auto fill = [&](std::uint64_t end) {
        for (; at < end; at += std::min<std::uint64_t>(65536, end - at)) {
            Bytes junk(std::min<std::uint64_t>(65536, end - at), std::byte{0xa5});
            ASSERT_TRUE(disk->write(at, junk).ok());
        }
    };
    for (const auto& e : map.used.extents()) {
        fill(e.offset);
        at = e.end();
    }
    fill(disk->size());
}

}  // namespace

class ExtFeatures : public testing::TestWithParam<const char*> {};

TEST_P(ExtFeatures, nothing_outside_the_map_is_missed) {
    if (!run_command({"mke2fs", "-V"}).ok()) GTEST_SKIP() << "e2fsprogs is not installed";
    auto dir = TempDir::create("ext").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_file(image, 300u << 20);
    std::vector<std::string> argv{"mke2fs", "-q", "-F", "-L", "world"};
    CommandOptions options;
    std::istringstream words{std::string(GetParam())};
    for (std::string w; words >> w;) argv.push_back(w);
    argv.insert(argv.end(), {"-d", tree.string(), image.string()});
    run(argv);
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    ASSERT_EQ(map.why_all, "") << GetParam();
    EXPECT_EQ(map.label, "world");
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_LT(map.used.total(), 120u << 20);
    scribble_outside(image, map);
    run({"e2fsck", "-fn", image.string()});
    auto out = dir / "out";
    std::filesystem::create_directory(out);
    run({"debugfs", "-R", "rdump / " + out.string(), image.string()});
    std::filesystem::remove_all(out / "lost+found");
    run({"diff", "-r", tree.string(), out.string()});
}

INSTANTIATE_TEST_SUITE_P(Ext, ExtFeatures,
                         testing::Values("-t ext2 -b 1024", "-t ext3 -b 2048", "-t ext4", "-t ext4 -b 1024",
                                         "-t ext4 -O ^64bit,^metadata_csum", "-t ext4 -O ^flex_bg",
                                         "-t ext4 -O ^uninit_bg,^metadata_csum", "-t ext4 -O sparse_super2",
                                         "-t ext4 -O ^resize_inode", "-t ext2 -O ^sparse_super,^resize_inode -b 1024"));

TEST(ExtMap, a_journal_to_recover_makes_every_sector_count) {
    auto dir = TempDir::create("ext").value();
    auto image = dir / "fs.img";
    make_file(image, 64u << 20);
    run({"mke2fs", "-q", "-F", "-t", "ext4", image.string()});
    run({"debugfs", "-w", "-R", "feature needs_recovery", image.string()});
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
    EXPECT_EQ(map.used.total(), 64u << 20);
    EXPECT_NE(map.why_all.find("journal"), std::string::npos);
}

TEST(ExtMap, a_bitmap_that_disagrees_makes_every_sector_count) {
    auto dir = TempDir::create("ext").value();
    auto image = dir / "fs.img";
    make_file(image, 64u << 20);
    run({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^uninit_bg,^metadata_csum,^64bit", image.string()});
    auto before = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto good = map_used(*before).value();
    ASSERT_EQ(good.why_all, "");
    // Group 0's block bitmap loses one bit: the count in the descriptor no longer agrees.
    Bytes descriptor(32);
    ASSERT_TRUE(before->read(4096, descriptor).ok());
    auto bitmap_at = ByteReader(descriptor).le32() * std::uint64_t{4096};
    ASSERT_TRUE(before->write(bitmap_at, Bytes(1)).ok());
    auto map = map_used(*before).value();
    EXPECT_NE(map.why_all.find("bitmap"), std::string::npos);
    EXPECT_EQ(map.used.total(), 64u << 20);
}

TEST(FileDisk, a_fifo_is_refused_and_not_waited_for) {
    auto dir = TempDir::create("disks").value();
    ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
    auto opened = FileDisk::open(dir / "fifo", OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.error().is(slipway::errors::kBadValue));
}

TEST(SwapMap, keeps_the_header_and_not_the_content_unless_hibernated) {
    auto dir = TempDir::create("swap").value();
    auto image = dir / "swap.img";
    make_file(image, 16u << 20);
    run({"mkswap", "-q", "-L", "paging", image.string()});
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.filesystem, "swap");
    EXPECT_EQ(map.label, "paging");
    EXPECT_EQ(map.used.total(), 4096u);
    ASSERT_TRUE(disk->write(4096 - 10, as_bytes(std::string_view("S1SUSPEND\0", 10))).ok());
    map = map_used(*disk).value();
    EXPECT_EQ(map.state, VolumeState::Hibernated);
    EXPECT_EQ(map.used.total(), 16u << 20);
}

TEST(Layout, mbr_with_logical_partitions_as_sfdisk_sees_it) {
    if (!run_command({"sfdisk", "--version"}).ok()) GTEST_SKIP() << "sfdisk is not installed";
    auto dir = TempDir::create("table").value();
    auto image = dir / "disk.img";
    make_file(image, 64u << 20);
    run({"sfdisk", "-q", image.string()},
        "label: dos\nlabel-id: 0xdeadbeef\nstart=2048,size=8192,type=83,bootable\nstart=20480,size=100000,type=5\n"
        "start=22528,size=2048,type=82\nstart=28672,size=4096,type=83\n");
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto layout = read_layout(*disk).value();
    EXPECT_EQ(layout.table, TableKind::Mbr);
    EXPECT_EQ(layout.mbr_signature, 0xdeadbeef);
    ASSERT_EQ(layout.partitions.size(), 3u);
    EXPECT_TRUE(layout.partitions[0].active);
    EXPECT_EQ(layout.partitions[0].offset, 2048u * 512);
    EXPECT_EQ(layout.partitions[1].index, 5u);
    EXPECT_EQ(layout.partitions[2].index, 6u);
    EXPECT_EQ(layout.partitions[2].offset, 28672u * 512);
}

TEST(Layout, gpt_falls_back_to_its_backup_and_says_so) {
    if (!run_command({"sfdisk", "--version"}).ok()) GTEST_SKIP() << "sfdisk is not installed";
    auto dir = TempDir::create("table").value();
    auto image = dir / "disk.img";
    make_file(image, 64u << 20);
    run({"sfdisk", "-q", image.string()},
        "label: gpt\nstart=2048,size=8192,type=uefi,name=boot\nstart=20480,size=8192,name=r\xc3\xb6t\n");
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto layout = read_layout(*disk).value();
    EXPECT_EQ(layout.table, TableKind::Gpt);
    ASSERT_EQ(layout.partitions.size(), 2u);
    EXPECT_EQ(layout.partitions[0].type.text(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    EXPECT_EQ(layout.partitions[1].name, "r\xc3\xb6t");
    EXPECT_TRUE(layout.notes.empty());
    ASSERT_TRUE(disk->write(512 + 60, Bytes(1, std::byte{0xff})).ok());
    auto backup = read_layout(*disk).value();
    EXPECT_EQ(backup.partitions.size(), 2u);
    ASSERT_EQ(backup.notes.size(), 1u);
    EXPECT_NE(backup.notes[0].find("backup"), std::string::npos);
}

TEST(Layout, a_looping_chain_of_logical_partitions_ends) {
    Bytes bytes(1u << 20);
    auto entry = [&](std::size_t at, unsigned char type, std::uint32_t start, std::uint32_t count) {
        bytes[at + 4] = std::byte{type};
        for (int i = 0; i < 4; ++i) {
            bytes[at + 8 + static_cast<std::size_t>(i)] = static_cast<std::byte>(start >> (8 * i));
            bytes[at + 12 + static_cast<std::size_t>(i)] = static_cast<std::byte>(count >> (8 * i));
        }
    };
    for (std::size_t sector : {0u, 64u, 65u}) {
        bytes[sector * 512 + 510] = std::byte{0x55};
        bytes[sector * 512 + 511] = std::byte{0xaa};
    }
    entry(0x1be, 0x05, 64, 1000);
    entry(64 * 512 + 0x1be, 0x83, 1, 1);
    entry(64 * 512 + 0x1ce, 0x05, 1, 10);
    entry(65 * 512 + 0x1ce, 0x05, 0, 10);
    MemoryDisk disk(std::move(bytes));
    auto layout = read_layout(disk).value();
    EXPECT_EQ(layout.partitions.size(), 1u);
    ASSERT_FALSE(layout.notes.empty());
    EXPECT_NE(layout.notes[0].find("loops"), std::string::npos);
}

TEST(Vhd, geometry_follows_the_specification) {
    EXPECT_EQ(chs_of(8192), (Chs{120, 4, 17}));
    EXPECT_EQ(chs_of(65535ull * 16 * 255 + 5), (Chs{65535, 16, 255}));
    EXPECT_EQ(chs_of(136365211648ull / 512), (Chs{65278, 16, 255}));
}

class VhdKinds : public testing::TestWithParam<VhdKind> {};

TEST_P(VhdKinds, qemu_img_reads_what_we_write) {
    auto dir = TempDir::create("vhd").value();
    auto path = dir / "d.vhd";
    constexpr std::uint64_t size = 37u << 20;
    auto raw = FileDisk::create(dir / "d.raw", size).value();
    {
        auto vhd = create_vhd(path, GetParam(), size).value();
        EXPECT_EQ(vhd->size(), size);
        for (std::uint64_t at :
             {std::uint64_t{0}, std::uint64_t{511}, (std::uint64_t{2} << 20) - 3, std::uint64_t{9} << 20, size - 700}) {
            auto bytes = pattern(700, static_cast<unsigned>(at + 1));
            ASSERT_TRUE(vhd->write(at, bytes).ok());
            ASSERT_TRUE(raw->write(at, bytes).ok());
        }
        ASSERT_TRUE(vhd->discard(300, 100).value());
        ASSERT_TRUE(raw->discard(300, 100).value());
        ASSERT_TRUE(vhd->flush().ok());
    }
    auto info = inspect_vhd(path).value();
    EXPECT_EQ(info.kind, GetParam());
    EXPECT_EQ(info.creator, "win ");
    if (GetParam() == VhdKind::Dynamic) {
        EXPECT_EQ(info.allocated_blocks, 4u);
    }
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    run({"qemu-img", "compare", "-f", "vpc", "-F", "raw", path.string(), (dir / "d.raw").string()});
}

TEST_P(VhdKinds, we_read_what_qemu_img_writes) {
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    auto dir = TempDir::create("vhd").value();
    auto raw = FileDisk::create(dir / "d.raw", 24u << 20).value();
    ASSERT_TRUE(raw->write(5u << 20, pattern(3u << 20, 7)).ok());
    ASSERT_TRUE(raw->flush().ok());
    auto path = dir / "d.vhd";
    run({"qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o",
         std::string("force_size=on,subformat=") + std::string(name_of(GetParam())), (dir / "d.raw").string(),
         path.string()});
    auto vhd = open_disk(path, OpenMode::ReadOnly).value();
    ASSERT_EQ(vhd->size(), raw->size());
    Bytes ours(vhd->size()), theirs(raw->size());
    ASSERT_TRUE(vhd->read(0, ours).ok());
    ASSERT_TRUE(raw->read(0, theirs).ok());
    EXPECT_TRUE(ours == theirs);
}

INSTANTIATE_TEST_SUITE_P(Kinds, VhdKinds, testing::Values(VhdKind::Fixed, VhdKind::Dynamic),
                         [](const auto& p) { return std::string(name_of(p.param)); });

TEST(Vhd, a_wrong_checksum_and_a_cut_file_are_named) {
    auto dir = TempDir::create("vhd").value();
    auto path = dir / "d.vhd";
    ASSERT_TRUE(create_vhd(path, VhdKind::Fixed, 1u << 20).ok());
    auto file = FileDisk::open(path, OpenMode::ReadWrite).value();
    ASSERT_TRUE(file->write((1u << 20) + 70, as_bytes("x")).ok());
    auto opened = open_vhd(path, OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.error().is(disks::errors::kVhdFooter));
    EXPECT_NE(opened.error().message().find("checksum"), std::string::npos);
    EXPECT_TRUE(
        create_vhd(dir / "huge.vhd", VhdKind::Dynamic, kVhdMaxBytes + 1).error().is(disks::errors::kVhdTooLarge));
    auto dynamic = dir / "y.vhd";
    {
        auto disk = create_vhd(dynamic, VhdKind::Dynamic, 8u << 20).value();
        ASSERT_TRUE(disk->write(0, pattern(512, 3)).ok());
    }
    std::filesystem::resize_file(dynamic, std::filesystem::file_size(dynamic) - 600);
    auto cut = open_vhd(dynamic, OpenMode::ReadOnly);
    ASSERT_FALSE(cut.ok());
    EXPECT_NE(cut.error().message().find("cut"), std::string::npos);
}

TEST(Layers, a_window_stays_inside_and_read_only_refuses) {
    MemoryDisk disk(4096);
    OffsetLayer window(disk, 512, 1024);
    ASSERT_TRUE(window.write(1020, as_bytes("abcd")).ok());
    EXPECT_EQ(disk.content()[512 + 1020], std::byte{'a'});
    EXPECT_TRUE(window.write(1021, as_bytes("abcd")).error().is(disks::errors::kRange));
    ReadOnlyLayer frozen(disk);
    EXPECT_TRUE(frozen.write(0, as_bytes("x")).error().is(disks::errors::kReadOnly));
    EXPECT_FALSE(frozen.discard(0, 1).ok());
    int left = 1;
    FaultLayer faulty(disk, [&](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == FaultLayer::Op::Read && left-- == 0) return make_error(disks::errors::kRead, "injected");
        return {};
    });
    Bytes buffer(16);
    EXPECT_TRUE(faulty.read(0, buffer).ok());
    EXPECT_FALSE(faulty.read(0, buffer).ok());
}
