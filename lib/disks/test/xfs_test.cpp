// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "lib/base/strings.hpp"
#include "lib/disks/fuzz/pieces.hpp"
#include "lib/disks/maps/checksums.hpp"
#include "lib/disks/maps/xfs_map.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/test/mounts.hpp"
#include "lib/disks/test/xfs_images.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kImageBytes = kXfsImageBytes;

UsedMap map_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.filesystem, "xfs");
    return map;
}

// By xfs_db's count of what is used.
void expect_tight(const fs::path& image, const UsedMap& map) {
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_EQ(map.label, "world");
    auto used = field(image, "sb 0", "dblocks") - field(image, "sb 0", "fdblocks");
    EXPECT_LT(map.used.total(), used * field(image, "sb 0", "blocksize") * 105 / 100);
}

void poke(const fs::path& image, std::uint64_t at, ByteView bytes) {
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    ASSERT_TRUE(disk->write(at, bytes).ok());
}

Bytes peek(const fs::path& image, std::uint64_t at, std::size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(FileDisk::open(image, OpenMode::ReadOnly).value()->read(at, bytes).ok());
    return bytes;
}

// Changes a field of a checksummed sector so that the checksum is right again.
void poke_sealed(const fs::path& image, std::uint64_t sector_at, std::size_t at, ByteView bytes, std::size_t crc_at) {
    auto sector = peek(image, sector_at, 512);
    std::copy(bytes.begin(), bytes.end(), sector.begin() + static_cast<std::ptrdiff_t>(at));
    std::fill_n(sector.begin() + static_cast<std::ptrdiff_t>(crc_at), 4, std::byte{});
    ByteWriter crc;
    crc.le32(crc32c(sector));
    std::copy(crc.view().begin(), crc.view().end(), sector.begin() + static_cast<std::ptrdiff_t>(crc_at));
    poke(image, sector_at, sector);
}

// A small file system's used blocks, with the checksummed ones named.
Bytes seed_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    fuzz::SeedWriter seed(disk->size());
    auto map = map_of(image);
    for (const auto& e : map.used.extents()) seed.put(e.offset, peek(image, e.offset, e.length));
    auto super = *parse_xfs_superblock(peek(image, 0, 65536));
    for (std::uint64_t g = 0; g < super.groups && super.version == 5; ++g) {
        auto at = g * super.group_blocks * super.block_bytes, sector = std::uint64_t{super.sector_bytes};
        auto agf = peek(image, at + sector, sector);
        for (std::size_t root : {16, 20})
            seed.seal_xfs(at + ByteReader(ByteView(agf).subspan(root)).be32() * std::uint64_t{super.block_bytes},
                          super.block_bytes, 52);
        seed.seal_xfs(at, sector, 224);
        seed.seal_xfs(at + sector, sector, 216);
        seed.seal_xfs(at + 2 * sector, sector, 312);
        seed.seal_xfs(at + 3 * sector, sector, 32);
    }
    return {seed.view().begin(), seed.view().end()};
}

Bytes be32(std::uint32_t value) { return std::move(ByteWriter().be32(value)).take(); }

}  // namespace

class XfsVersion5 : public testing::TestWithParam<const char*> {};

TEST_P(XfsVersion5, nothing_outside_the_map_is_missed) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_xfs(image, GetParam());
    if (auto mounted = LoopMount::mount(image, dir / "mnt"); mounted) fill(mounted->path(), tree);
    else GTEST_SKIP() << "XFS images cannot be mounted here";
    EXPECT_GT(field(image, "agf 0", "freeblks"), 0u);
    auto map = map_of(image);
    expect_tight(image, map);
    EXPECT_GT(map.used.extents().size(), 100u);
    scribble_outside(image, map);
    run({"xfs_repair", "-n", image.string()});
    auto mounted = LoopMount::mount(image, dir / "mnt", "ro");
    ASSERT_TRUE(mounted);
    expect_filled(mounted->path(), tree);
}

INSTANTIATE_TEST_SUITE_P(Xfs, XfsVersion5,
                         testing::Values("", "-m rmapbt=1,reflink=1", "-b size=1024 -m rmapbt=1",
                                         "-m reflink=0,bigtime=0,inobtcount=0 -i sparse=0", "-m finobt=0,inobtcount=0",
                                         "-s size=4096", "-b size=2048 -l su=65536", "-i nrext64=1,size=1024",
                                         "-d agcount=3 -n size=16384"));

class XfsVersion4 : public testing::TestWithParam<const char*> {};

TEST_P(XfsVersion4, nothing_outside_the_map_is_missed) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    constexpr int kCrumbs = 300;
    make_xfs(image, std::string("-m crc=0 ") + GetParam(), write_prototype(dir, tree, kCrumbs));
    remove_crumbs(image, kCrumbs);

    auto map = map_of(image);
    expect_tight(image, map);
    EXPECT_GT(map.used.extents().size(), 100u);
    scribble_outside(image, map);
    run({"xfs_repair", "-n", image.string()});
    expect_content_by_blocks(image);
}

INSTANTIATE_TEST_SUITE_P(Xfs, XfsVersion4,
                         testing::Values("", "-b size=512", "-l version=1 -n ftype=1", "-l lazy-count=0 -b size=512",
                                         "-s size=4096", "-i size=2048 -d agcount=3"));

TEST(XfsMap, a_log_to_replay_makes_every_sector_count_until_it_is_replayed) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto image = dir / "fs.img", torn = dir / "torn.img";
    make_xfs(image, "");
    {
        auto mounted = LoopMount::mount(image, dir / "mnt");
        if (!mounted) GTEST_SKIP() << "XFS images cannot be mounted here";
        fill(mounted->path(), make_tree(dir));
        run({"sync", "-f", mounted->path().string()});
        run({"cp", "--sparse=always", image.string(), torn.string()});  // as a power cut would leave it
    }
    auto map = map_of(torn);
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
    EXPECT_EQ(map.used.total(), kImageBytes);
    EXPECT_NE(map.why_all.find("log"), std::string::npos);
    EXPECT_EQ(map_of(image).why_all, "");
    ASSERT_TRUE(LoopMount::mount(torn, dir / "mnt"));
    EXPECT_EQ(map_of(torn).why_all, "");
}

TEST(XfsMap, a_log_that_went_round_is_read_at_its_head) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_tiny_xfs(image, 64u << 20, "-l size=6m");
    std::uint64_t cycle = 0;
    for (int round = 0; round < 40 && cycle < 3; ++round) {
        {
            auto mounted = LoopMount::mount(image, dir / "mnt");
            if (!mounted) GTEST_SKIP() << "XFS images cannot be mounted here";
            fill(mounted->path(), tree);
            fs::remove_all(mounted->path() / "tree");
            fs::remove_all(mounted->path() / "crumbs");
        }
        EXPECT_EQ(map_of(image).why_all, "") << "round " << round;
        auto text = xfs_db(image, {"sb 0", "p lsn"});
        cycle = std::stoull(text.substr(text.find("0x")), nullptr, 16) >> 32;
    }
    EXPECT_EQ(cycle, 3u);
}

TEST(XfsMap, a_log_formatted_again_is_clean) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto image = dir / "fs.img";
    make_xfs(image, "");
    auto before = map_of(image);
    run({"xfs_admin", "-U", "2f1a3e5c-0000-4000-8000-00000000beef", image.string()});  // its metadata keeps the old one
    auto after = map_of(image);
    EXPECT_EQ(after.why_all, "");
    EXPECT_EQ(after.uuid, "2f1a3e5c-0000-4000-8000-00000000beef");
    EXPECT_EQ(after.used.total(), before.used.total());
    run({"xfs_repair", "-L", image.string()});
    EXPECT_EQ(map_of(image).why_all, "");
}

TEST(XfsMap, what_does_not_add_up_makes_every_sector_count) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto image = dir / "fs.img";
    make_xfs(image, "");
    auto block = field(image, "sb 0", "blocksize"), bno = field(image, "agf 0", "bnoroot") * block;
    auto free = static_cast<std::uint32_t>(field(image, "agf 0", "freeblks"));
    struct Case {
        const char* says;
        std::uint64_t sector;
        std::size_t at;
        Bytes bytes;
        std::size_t crc_at;  // 0: the checksum stays as it was
    };
    const std::vector<Case> cases{
        {"superblock's checksum", 0, 144 + 7, Bytes(1), 0},
        {"the superblock says", 0, 144, be32(1), 224},
        {"still being made", 0, 126, Bytes(1, std::byte{1}), 224},
        {"real-time", 0, 16 + 7, Bytes(1, std::byte{1}), 224},
        {"on another device", 0, 48, Bytes(8), 224},
        {"unknown features 0x100", 0, 218, Bytes(1, std::byte{1}), 224},
        {"unknown read-only features 0x100", 0, 214, Bytes(1, std::byte{1}), 224},
        {"xfs_repair", 0, 219, Bytes(1, std::byte{0x13}), 224},
        {"count of AGs", 0, 88, be32(3), 224},
        {"larger than its volume", 0, 8, be32(1), 224},
        {"free-space header", 512, 52, be32(free - 1), 0},
        {"free blocks, its bnobt", 512, 52, be32(free - 1), 216},
        {"tree blocks", 512, 60, be32(1), 216},
        {"levels", 512, 28, be32(10), 216},
        {"is damaged", 512, 28, be32(2), 216},
        {"points outside", 512, 16, be32(0x7fffffff), 216},
        {"inode header", 1024, 20, be32(5), 0},
        {"lists a tree's root as free", 1024, 20, be32(5000), 312},
        {"free list", 1536, 36, be32(5000), 0},
        {"lists its free list as free", 1536, 36 + 4 * field(image, "agf 0", "flfirst"), be32(5000), 32},
    };
    for (const auto& c : cases) {
        auto before = peek(image, c.sector, 512);
        if (c.crc_at) poke_sealed(image, c.sector, c.at, c.bytes, c.crc_at);
        else poke(image, c.sector + c.at, c.bytes);
        auto map = map_of(image);
        EXPECT_NE(map.why_all.find(c.says), std::string::npos) << c.says << ": " << map.why_all;
        EXPECT_EQ(map.used.total(), kImageBytes);
        poke(image, c.sector, before);
    }
    EXPECT_EQ(map_of(image).why_all, "");
    poke(image, bno + 60, be32(17));  // a record's length
    EXPECT_NE(map_of(image).why_all.find("checksum"), std::string::npos);
}

TEST(XfsMap, a_version_4_tree_that_disagrees_with_the_other_makes_every_sector_count) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    auto image = dir / "fs.img";
    make_xfs(image, "-m crc=0");
    // The first free extent starts one block early and so takes in a used one; no count tells.
    auto record = field(image, "agf 0", "bnoroot") * field(image, "sb 0", "blocksize") + 16;
    auto start = ByteReader(peek(image, record, 4)).be32();
    poke(image, record, be32(start - 1));
    EXPECT_NE(map_of(image).why_all.find("disagree"), std::string::npos) << map_of(image).why_all;
}

TEST(XfsMap, real_volumes_of_others_are_read_by_blocks) {
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    auto data = (given ? fs::path(given) : fs::path(SLIPWAY_SOURCE_DIR) / "../shared/data") / "fs";
    if (!fs::exists(data)) GTEST_SKIP() << data << " is not here";
    auto dir = TempDir::create("xfs").value();
    const std::map<std::string, std::string> volumes{{"dfvfs-xfs.raw", "xfs_test"}, {"xfs-v5.img", "test-xfs-v5"}};
    for (const auto& [name, label] : volumes) {
        auto image = dir / name;
        run({"sh", "-c", "xz -dc '" + (data / (name + ".xz")).string() + "' > '" + image.string() + "'"});
        auto map = map_of(image);
        EXPECT_EQ(map.why_all, "") << name;
        EXPECT_EQ(map.label, label);
        scribble_outside(image, map);
        run({"xfs_repair", "-n", "-o", "force_geometry", image.string()});  // one AG: no second superblock to compare
    }
}

// Writes the fuzz target's seeds when told where: SLIPWAY_WRITE_SEEDS=lib/disks/fuzz/seeds-xfs
TEST(XfsSeeds, a_seed_has_the_map_of_its_volume) {
    if (!have_xfsprogs()) GTEST_SKIP() << "xfsprogs is not installed";
    auto dir = TempDir::create("xfs").value();
    const std::map<std::string, std::string> kinds{{"v5", "-m rmapbt=1 -d agcount=2"}, {"v4", "-m crc=0 -b size=512"}};
    for (const auto& [name, options] : kinds) {
        auto image = dir / name;
        make_tiny_xfs(image, 32u << 20, options);
        auto seed = seed_of(image);
        EXPECT_LT(seed.size(), 20000u);
        auto disk = fuzz::disk_of(seed);
        EXPECT_EQ(map_used(disk).value().used.extents(), map_of(image).used.extents());
        if (const char* where = std::getenv("SLIPWAY_WRITE_SEEDS"); where && fs::path(where).filename() == "seeds-xfs")
            std::ofstream(fs::path(where) / name, std::ios::binary) << as_text(seed);
    }
}
