// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <regex>

#include "lib/disks/fuzz/pieces.hpp"
#include "lib/disks/maps/btrfs_map.hpp"
#include "lib/disks/maps/checksums.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/test/mounts.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kImageBytes = (320u << 20) + 4096;
constexpr std::uint64_t kSuperAt = 64u << 10;

bool have_btrfs() { return run_command({"mkfs.btrfs", "--version"}).ok(); }

std::string make_btrfs(const fs::path& image, const std::string& options) {
    make_file(image, kImageBytes);
    std::vector<std::string> argv{"mkfs.btrfs", "-q", "-f", "-L", "world"};
    std::istringstream words(options);
    for (std::string w; words >> w;) argv.push_back(w);
    argv.push_back(image.string());
    return run(argv);
}

UsedMap map_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.filesystem, "btrfs");
    return map;
}

std::string inspect(const std::vector<std::string>& argv) {
    auto all = argv;
    all.insert(all.begin(), {"btrfs", "inspect-internal"});
    return run(all);
}

// By the block groups, as btrfs prints them; two copies with DUP.
std::uint64_t bytes_used(const fs::path& image) {
    static const std::regex group(R"(block group used (\d+) chunk_objectid \d+ flags ([A-Z|]+))");
    auto text = inspect({"dump-tree", image.string()});
    std::uint64_t sum = 0;
    for (std::sregex_iterator it(text.begin(), text.end(), group), end; it != end; ++it)
        sum += std::stoull((*it)[1]) * ((*it)[2].str().find("DUP") == std::string::npos ? 1 : 2);
    return sum;
}

void expect_tight(const fs::path& image, const UsedMap& map) {
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_EQ(map.label, "world");
    auto used = bytes_used(image);
    EXPECT_GT(used, 0u);
    auto kept = (1u << 20) + (64u << 10) + 4096u;  // boot area, second superblock, the end of the volume
    EXPECT_GE(map.used.total(), used);
    EXPECT_LE(map.used.total(), used * 105 / 100 + kept);
}

void expect_sound(const fs::path& image) {
    run({"btrfs", "check", "--readonly", "--check-data-csum", image.string()});
    for (const char* copy : {"0", "1"})
        EXPECT_NE(inspect({"dump-super", "-s", copy, image.string()}).find("[match]"), std::string::npos);
}

Bytes peek(const fs::path& image, std::uint64_t at, std::size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(FileDisk::open(image, OpenMode::ReadOnly).value()->read(at, bytes).ok());
    return bytes;
}

void poke(const fs::path& image, std::uint64_t at, ByteView bytes) {
    ASSERT_TRUE(FileDisk::open(image, OpenMode::ReadWrite).value()->write(at, bytes).ok());
}

// A block that begins with its CRC-32C, changed so that it is right again.
void poke_sealed(const fs::path& image, std::uint64_t block_at, std::size_t block_bytes, std::size_t at, Bytes bytes) {
    auto block = peek(image, block_at, block_bytes);
    std::copy(bytes.begin(), bytes.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
    ByteWriter crc;
    crc.le32(crc32c(ByteView(block).subspan(32)));
    std::copy(crc.view().begin(), crc.view().end(), block.begin());
    poke(image, block_at, block);
}

Bytes le64(std::uint64_t value) { return std::move(ByteWriter().le64(value)).take(); }

// The first leaf of a tree: where its copies lie on the device.
std::vector<std::uint64_t> leaf_of(const fs::path& image, const std::string& tree) {
    static const std::regex leaf(R"(leaf (\d+) items)"), place(R"(physical (\d+))");
    auto text = inspect({"dump-tree", "-t", tree, image.string()});
    std::smatch found;
    EXPECT_TRUE(std::regex_search(text, found, leaf));
    auto places = run({"btrfs-map-logical", "-l", found[1].str(), image.string()});
    std::vector<std::uint64_t> physical;
    for (std::sregex_iterator it(places.begin(), places.end(), place), end; it != end; ++it)
        physical.push_back(std::stoull((*it)[1]));
    return physical;
}

// A small file system's used blocks, with the checksummed ones named.
Bytes seed_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto super = *parse_btrfs_superblock(peek(image, 0, kMapHeadBytes));
    fuzz::SeedWriter seed(disk->size());
    auto map = map_of(image);
    for (const auto& e : map.used.extents())
        for (auto at = e.offset; at < e.end(); at += super.node_bytes) {
            auto block = peek(image, at, std::min<std::uint64_t>(super.node_bytes, e.end() - at));
            seed.put(at, block);
            bool tree = block.size() == super.node_bytes &&
                        std::equal(block.begin() + 32, block.begin() + 48, super.metadata_id.octets.begin());
            if (tree || at == kSuperAt) seed.seal_btrfs(at, at == kSuperAt ? 4096 : super.node_bytes);
        }
    return {seed.view().begin(), seed.view().end()};
}

struct LeafItem {
    Bytes key, data;  // a key has 17 bytes, the type is the ninth
};

std::vector<LeafItem> leaf_items(const Bytes& leaf) {
    std::vector<LeafItem> items;
    ByteReader header(leaf);
    header.seek(96);
    auto count = header.le32();
    ByteReader reader(ByteView(leaf).subspan(101));
    for (std::uint32_t i = 0; i < count; ++i) {
        auto key = reader.take(17);
        auto at = reader.le32(), size = reader.le32();
        auto data = ByteView(leaf).subspan(101 + at, size);
        items.push_back({{key.begin(), key.end()}, {data.begin(), data.end()}});
    }
    return items;
}

Bytes leaf_with(const Bytes& leaf, const std::vector<LeafItem>& items, std::uint64_t owner) {
    ByteWriter out;
    out.bytes(ByteView(leaf).subspan(32, 88 - 32)).le64(owner).le32(static_cast<std::uint32_t>(items.size())).u8(0);
    Bytes data(leaf.size() - 101);
    auto end = data.size();
    for (const auto& item : items) {
        end -= item.data.size();
        std::copy(item.data.begin(), item.data.end(), data.begin() + static_cast<std::ptrdiff_t>(end));
        out.bytes(item.key).le32(static_cast<std::uint32_t>(end)).le32(static_cast<std::uint32_t>(item.data.size()));
    }
    auto head = out.size() - (101 - 32);
    out.bytes(ByteView(data).subspan(head));
    ByteWriter sealed;
    sealed.le32(crc32c(out.view())).zeros(28).bytes(out.view());
    return std::move(sealed).take();
}

struct Variant {
    const char* mkfs;
    const char* mount;
    friend void PrintTo(const Variant& v, std::ostream* out) { *out << v.mkfs << " / " << v.mount; }
};

}  // namespace

class BtrfsVariants : public testing::TestWithParam<Variant> {};

TEST_P(BtrfsVariants, nothing_outside_the_map_is_missed) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_btrfs(image, GetParam().mkfs);
    if (auto mounted = LoopMount::mount(image, dir / "mnt", GetParam().mount); mounted) {
        auto root = mounted->path();
        run({"btrfs", "subvolume", "create", (root / "sub").string()});
        fill(root / "sub", tree);
        run({"btrfs", "subvolume", "snapshot", "-r", (root / "sub").string(), (root / "snap").string()});
        fs::remove_all(root / "sub" / "tree");  // the snapshot has it still
        run({"btrfs", "subvolume", "snapshot", (root / "sub").string(), (root / "gone").string()});
        run({"btrfs", "subvolume", "delete", "-c", (root / "gone").string()});
        std::ofstream(root / "gap") << "start";
        fs::resize_file(root / "gap", 50u << 20);
    } else {
        GTEST_SKIP() << "btrfs images cannot be mounted here";
    }
    auto map = map_of(image);
    expect_tight(image, map);
    EXPECT_GT(map.used.extents().size(), 30u);
    scribble_outside(image, map);
    expect_sound(image);
    auto mounted = LoopMount::mount(image, dir / "mnt", "ro");
    ASSERT_TRUE(mounted);
    expect_filled(mounted->path() / "snap", tree);
}

INSTANTIATE_TEST_SUITE_P(Btrfs, BtrfsVariants,
                         testing::Values(Variant{"", "rw"}, Variant{"-d single -m single", "rw"},
                                         Variant{"-d dup -m dup", "rw"}, Variant{"--mixed -n 4096", "rw"},
                                         Variant{"--mixed -d dup -m dup -n 4096", "rw"},
                                         Variant{"-n 65536 --checksum xxhash", "compress-force=zstd"},
                                         Variant{"-n 4096 --checksum sha256", "compress=lzo"},
                                         Variant{"--checksum blake2", "rw"},
                                         Variant{"-O ^skinny-metadata,^no-holes -R ^free-space-tree", "space_cache=v1"},
                                         Variant{"-R quota", "rw"}));

TEST(BtrfsMap, a_tree_put_in_by_mkfs_is_restored_after_the_rest_is_lost) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_btrfs(image, "--rootdir " + tree.string());
    auto map = map_of(image);
    expect_tight(image, map);
    scribble_outside(image, map);
    expect_sound(image);
    auto out = dir / "out";
    fs::create_directory(out);
    run({"btrfs", "restore", image.string(), out.string()});
    run({"diff", "-r", tree.string(), out.string()});
}

TEST(BtrfsMap, the_boot_area_and_each_superblock_are_kept) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    ASSERT_TRUE(FileDisk::create(image, 300ull << 30).ok());  // sparse, with a third superblock
    run({"mkfs.btrfs", "-q", image.string()});
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    for (std::uint64_t at : {0ull, 4096ull, kSuperAt + 0ull, (1ull << 20) - 1, 64ull << 20, 256ull << 30})
        EXPECT_TRUE(map.used.covers(at)) << at;
    EXPECT_FALSE(map.used.covers(100ull << 30));
    EXPECT_LT(map.used.total(), 4u << 20);
}

TEST(BtrfsMap, a_log_tree_makes_every_sector_count_until_it_is_replayed) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img", torn = dir / "torn.img";
    make_btrfs(image, "");
    {
        auto mounted = LoopMount::mount(image, dir / "mnt", "commit=300");
        if (!mounted) GTEST_SKIP() << "btrfs images cannot be mounted here";
        std::ofstream(mounted->path() / "first") << "there";
        run({"sync", "-f", mounted->path().string()});
        run({"dd", "if=/dev/zero", "of=" + (mounted->path() / "first").string(), "bs=64k", "count=1", "conv=fsync",
             "status=none"});
        run({"cp", "--sparse=always", image.string(), torn.string()});  // as a power cut would leave it
    }
    auto map = map_of(torn);
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery) << map.why_all;
    EXPECT_EQ(map.used.total(), kImageBytes);
    EXPECT_NE(map.why_all.find("log"), std::string::npos);
    EXPECT_EQ(map_of(image).why_all, "");
    // Two file systems of one id cannot be mounted at once, so only now.
    ASSERT_TRUE(LoopMount::mount(torn, dir / "mnt"));
    EXPECT_EQ(map_of(torn).why_all, "");
}

TEST(BtrfsMap, several_devices_and_seeds_are_taken_whole) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto one = dir / "one.img", two = dir / "two.img", seed = dir / "seed.img";
    make_file(two, kImageBytes);
    make_btrfs(one, "-d raid1 -m raid1 " + two.string());
    for (const auto& image : {one, two}) {
        auto map = map_of(image);
        EXPECT_NE(map.why_all.find("2 devices"), std::string::npos) << map.why_all;
        EXPECT_EQ(map.used.total(), kImageBytes);
    }
    make_btrfs(seed, "");
    run({"btrfstune", "-S", "1", seed.string()});
    EXPECT_NE(map_of(seed).why_all.find("seed"), std::string::npos);
}

TEST(BtrfsMap, a_file_system_that_moved_to_another_device_is_read_there) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto tree = make_tree(dir);
    auto from = dir / "from.img", to = dir / "to.img";
    make_btrfs(from, "");
    make_file(to, kImageBytes + (64u << 20));
    {
        auto device = LoopDevice::attach(to);
        auto mounted = LoopMount::mount(from, dir / "mnt");
        if (!device || !mounted) GTEST_SKIP() << "btrfs images cannot be mounted here";
        fill(mounted->path(), tree, 300);
        run({"btrfs", "device", "add", device->path(), mounted->path().string()});
        run({"btrfs", "device", "remove", "1", mounted->path().string()});  // each chunk gets a new address
    }
    auto map = map_of(to);
    expect_tight(to, map);
    scribble_outside(to, map);
    expect_sound(to);
    auto mounted = LoopMount::mount(to, dir / "mnt", "ro");
    ASSERT_TRUE(mounted);
    expect_filled(mounted->path(), tree, 300);
}

// This mkfs.btrfs makes no block-group tree: the free-space tree's only leaf becomes one.
TEST(BtrfsMap, block_groups_in_a_tree_of_their_own_are_found) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    make_btrfs(image, "-d single -m single -n 4096");
    auto before = map_of(image);
    auto extents = leaf_of(image, "extent").at(0), groups = leaf_of(image, "10").at(0);
    std::vector<LeafItem> of_groups, of_extents;
    for (auto& item : leaf_items(peek(image, extents, 4096))) {
        if (item.key[8] == std::byte{169} && ByteReader(ByteView(item.data).subspan(25)).le64() == 10)
            item.data[25] = std::byte{11};  // the leaf's own back reference
        (item.key[8] == std::byte{192} ? of_groups : of_extents).push_back(item);
    }
    poke(image, extents, leaf_with(peek(image, extents, 4096), of_extents, 2));
    poke(image, groups, leaf_with(peek(image, groups, 4096), of_groups, 11));
    auto roots = leaf_of(image, "root").at(0);
    auto of_roots = leaf_items(peek(image, roots, 4096));
    for (auto& item : of_roots)
        if (item.key[0] == std::byte{10} && item.key[8] == std::byte{132}) item.key[0] = std::byte{11};
    poke(image, roots, leaf_with(peek(image, roots, 4096), of_roots, 1));
    EXPECT_NE(map_of(image).why_all, "");  // not announced yet: the block groups are missing
    poke_sealed(image, kSuperAt, 4096, 0xb4, le64(8));
    run({"btrfs", "check", "--readonly", image.string()});

    auto map = map_of(image);
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.used.extents(), before.used.extents());
    of_groups.back().data[0] ^= std::byte{0x80};
    poke(image, groups, leaf_with(peek(image, groups, 4096), of_groups, 11));
    EXPECT_NE(map_of(image).why_all.find("does not agree"), std::string::npos);
}

TEST(BtrfsMap, a_changed_id_leaves_that_of_the_metadata) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    make_btrfs(image, "");
    run({"btrfstune", "-M", "2f1a3e5c-0000-4000-8000-00000000beef", image.string()});
    auto map = map_of(image);
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.uuid, "2f1a3e5c-0000-4000-8000-00000000beef");
    scribble_outside(image, map);
    expect_sound(image);
}

TEST(BtrfsMap, a_damaged_tree_block_is_read_from_its_second_copy) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    make_btrfs(image, "-m dup");
    auto good = map_of(image);
    auto copies = leaf_of(image, "extent");
    ASSERT_EQ(copies.size(), 2u);
    poke(image, copies[0] + 200, Bytes(1, std::byte{0x55}));
    auto map = map_of(image);
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.used.extents(), good.used.extents());
    poke(image, copies[1] + 200, Bytes(1, std::byte{0x55}));
    map = map_of(image);
    EXPECT_NE(map.why_all.find("damaged"), std::string::npos);
    EXPECT_EQ(map.used.total(), kImageBytes);
}

TEST(BtrfsMap, a_read_error_of_one_copy_is_none_of_the_map) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    make_btrfs(image, "-m dup");
    auto copies = leaf_of(image, "extent");
    ASSERT_EQ(copies.size(), 2u);
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    std::size_t unreadable = 1;
    FaultLayer faulty(*disk, [&](FaultLayer::Op, std::uint64_t offset, std::uint64_t) -> Status {
        for (std::size_t i = 0; i < unreadable; ++i)
            if (offset == copies[i]) return make_error(ErrorId{"test.read", "none"}, "a bad sector");
        return {};
    });
    EXPECT_EQ(map_used(faulty).value().why_all, "");
    unreadable = 2;
    auto map = map_used(faulty);
    ASSERT_FALSE(map.ok());
    EXPECT_EQ(map.error().name(), "test.read");
}

TEST(BtrfsMap, what_does_not_add_up_makes_every_sector_count) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    auto image = dir / "fs.img";
    make_btrfs(image, "-d single -m single -n 4096");
    auto extents = leaf_of(image, "extent").at(0), chunks = leaf_of(image, "chunk").at(0);
    constexpr std::size_t kItems = 101;
    auto leaf = peek(image, extents, 4096);
    auto item = [&](std::uint8_t type) {  // the first of that type
        for (std::size_t at = kItems;; at += 25)
            if (leaf.at(at + 8) == std::byte{type}) return at;
    };
    auto group = item(192), metadata = item(169);
    auto group_data = kItems + ByteReader(ByteView(leaf).subspan(group + 17)).le32();
    struct Case {
        const char* says;
        std::uint64_t block;
        std::size_t at;
        Bytes bytes;
    };
    const std::vector<Case> cases{
        {"kind of checksum", kSuperAt, 0xc4, Bytes(1, std::byte{9})},
        {"superblock's checksum", kSuperAt, 0x30, le64(4096)},
        {"log tree", kSuperAt, 0x60, le64(4096)},
        {"seed", kSuperAt, 0x38, le64(1 | 1ull << 32)},
        {"is marked 0x800000001", kSuperAt, 0x38, le64(1 | 1ull << 35)},
        {"unknown features 0x2000", kSuperAt, 0xbc + 1, Bytes(1, std::byte{0x23})},
        {"unknown read-only features 0x10", kSuperAt, 0xb4, Bytes(1, std::byte{0x13})},
        {"spans 3 devices", kSuperAt, 0x88, le64(3)},
        {"node size", kSuperAt, 0x94, le64(3)},
        {"larger than its volume", kSuperAt, 0xd1, le64(1ull << 40)},
        {"the superblock says", kSuperAt, 0x78, le64(4096)},
        {"on another device", kSuperAt, 0xc9, le64(2)},
        {"list of chunks is damaged", kSuperAt, 0x32b, le64(255)},
        {"too deep", kSuperAt, 0xc7, Bytes(1, std::byte{8})},
        {"tree 1's block", kSuperAt, 0x48, le64(1)},
        {"outside all chunks", kSuperAt, 0x50, le64(1ull << 50)},
        {"tree 3's block", chunks, 88, le64(5)},                   // owner
        {"tree 2's block", extents, 80, le64(999)},                // generation
        {"tree 2's block", extents, 48, le64(4096)},               // address
        {"tree 2's block", extents, 96, le64(4000)},               // count of items
        {"tree 2's block", extents, kItems, le64(1ull << 60)},     // a key above the next
        {"outside its block", extents, kItems + 17, le64(0xfff)},  // an item's place
        {"unknown type", extents, kItems + 8, Bytes(1, std::byte{100})},
        {"an extent lies outside all chunks", extents, metadata + 8, Bytes(1, std::byte{168})},  // of no length
        {"not that of its chunk", extents, group + 9, le64(4096)},
        {"does not agree with its extents", extents, group_data, le64(1 << 20)},
    };
    for (const auto& c : cases) {
        auto before = peek(image, c.block, 4096);
        poke_sealed(image, c.block, 4096, c.at, c.bytes);
        auto map = map_of(image);
        EXPECT_NE(map.why_all.find(c.says), std::string::npos) << c.says << ": " << map.why_all;
        EXPECT_EQ(map.used.total(), kImageBytes);
        poke(image, c.block, before);
    }
    EXPECT_EQ(map_of(image).why_all, "");
    poke(image, kSuperAt + 0x12b, Bytes(1));  // the label, without a new checksum
    EXPECT_NE(map_of(image).why_all.find("superblock's checksum"), std::string::npos);
}

// Writes the fuzz target's seeds when told where: SLIPWAY_WRITE_SEEDS=lib/disks/fuzz/seeds-btrfs
TEST(BtrfsSeeds, a_seed_has_the_map_of_its_volume) {
    if (!have_btrfs()) GTEST_SKIP() << "btrfs-progs is not installed";
    auto dir = TempDir::create("btrfs").value();
    const std::vector<std::pair<std::string, std::string>> kinds{
        {"single", "-d single -m single -n 4096"}, {"dup", "-n 4096 -R ^free-space-tree"}, {"mixed", "--mixed"}};
    for (const auto& [name, options] : kinds) {
        auto image = dir / name;
        make_btrfs(image, options);
        auto seed = seed_of(image);
        EXPECT_LT(seed.size(), 20000u);
        auto disk = fuzz::disk_of(seed);
        EXPECT_EQ(map_used(disk).value().why_all, "");
        if (const char* where = std::getenv("SLIPWAY_WRITE_SEEDS");
            where && fs::path(where).filename() == "seeds-btrfs")
            std::ofstream(fs::path(where) / name, std::ios::binary) << as_text(seed);
    }
}
