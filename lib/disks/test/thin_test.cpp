// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/test/stack_writers.hpp"
#include "lib/disks/volumes/thin.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20, kBlock = 65536, kExtent = 4 * kMiB;

std::string pool_xml(const std::string& devices, std::uint64_t blocks) {
    return fmt::format(
        "<superblock uuid=\"\" time=\"1\" transaction=\"2\" flags=\"0\" version=\"2\" "
        "data_block_size=\"128\" nr_data_blocks=\"{}\">\n{}</superblock>\n",
        blocks, devices);
}
std::string device_xml(unsigned id, const std::vector<ThinRun>& runs) {
    std::string text;
    std::uint64_t mapped = 0;
    for (const auto& run : runs) {
        text += fmt::format("<range_mapping origin_begin=\"{}\" data_begin=\"{}\" length=\"{}\" time=\"0\"/>\n",
                            run.virtual_block, run.data_block, run.count);
        mapped += run.count;
    }
    return fmt::format(
        "<device dev_id=\"{}\" mapped_blocks=\"{}\" transaction=\"0\" creation_time=\"0\" "
        "snap_time=\"1\">\n{}</device>\n",
        id, mapped, text);
}

// The metadata as thin-provisioning-tools write it.
Bytes restored(const TempDir& dir, const std::string& xml, std::uint64_t size = 4 * kMiB) {
    auto text = dir / "pool.xml", image = dir / "meta.img";
    std::ofstream(text) << xml;
    std::filesystem::remove(image);
    make_file(image, size);
    run({"thin_restore", "-q", "-i", text.string(), "-o", image.string()});
    return get(*FileDisk::open(image, OpenMode::ReadOnly).value(), 0, size);
}

bool no_tools() { return !run_command({"thin_restore", "--version"}).ok(); }

}  // namespace

TEST(Thin, mappings_are_read_as_thin_restore_wrote_them) {
    if (no_tools()) GTEST_SKIP() << "thin-provisioning-tools is not installed";
    auto dir = TempDir::create("thin").value();
    // Every other block on its own: trees of three levels.
    std::vector<ThinRun> many;
    for (std::uint64_t i = 0; i < 70000; ++i) many.push_back({i * 2, 69999 - i, 1});
    MemoryDisk metadata(restored(
        dir, pool_xml(device_xml(3, {{0, 80000, 5}, {9, 80010, 1}}) + device_xml(7, many) + device_xml(9, {}), 100000),
        16 * kMiB));
    auto pool = read_thin_pool(metadata, 100000 * kBlock);
    ASSERT_TRUE(pool.ok()) << pool.error().describe();
    EXPECT_EQ(pool->transaction, 2u);
    EXPECT_EQ(pool->block_bytes, kBlock);
    ASSERT_EQ(pool->devices.size(), 3u);
    ASSERT_EQ(pool->devices.at(3).size(), 2u);
    EXPECT_EQ(pool->devices.at(3)[0].count, 5u);
    ASSERT_EQ(pool->devices.at(7).size(), many.size());
    for (std::size_t i = 0; i < many.size(); ++i) {
        ASSERT_EQ(pool->devices.at(7)[i].virtual_block, many[i].virtual_block);
        ASSERT_EQ(pool->devices.at(7)[i].data_block, many[i].data_block);
    }
    EXPECT_FALSE(read_thin_pool(metadata, 80000 * kBlock).ok()) << "blocks past the end of the pool";
}

TEST(Thin, a_flipped_bit_in_any_block_is_found) {
    if (no_tools()) GTEST_SKIP() << "thin-provisioning-tools is not installed";
    auto dir = TempDir::create("thin").value();
    auto good = restored(dir, pool_xml(device_xml(1, {{0, 10, 3}}), 1024));
    unsigned found = 0;
    for (std::size_t at = 100; at < 16 * 4096; at += 4096) {
        auto bad = good;
        bad[at] ^= std::byte{1};
        MemoryDisk metadata(bad);
        auto pool = read_thin_pool(metadata, 1024 * kBlock);
        found += !pool.ok();
        // Space maps and details are not read; the rest gives the same mappings or none.
        if (pool.ok()) {
            EXPECT_EQ(pool->devices.at(1).size(), 1u);
        }
    }
    EXPECT_GE(found, 3u) << "the superblock and the two trees";
    auto check = good;
    check[4] = std::byte{1};  // the flag alone, without its checksum
    MemoryDisk unsummed(check);
    EXPECT_FALSE(read_thin_pool(unsummed, 1024 * kBlock).ok());
}

TEST(Thin, a_pool_counts_by_the_file_systems_in_its_volumes_and_shared_blocks_once) {
    if (no_tools()) GTEST_SKIP() << "thin-provisioning-tools is not installed";
    auto dir = TempDir::create("thin").value();
    constexpr std::uint64_t kSize = 32 * kMiB;
    auto image = dir / "fs";
    make_file(image, kSize);
    run({"mke2fs", "-q", "-F", "-t", "ext4", "-d", make_tree(dir).string(), image.string()});
    auto content = get(*FileDisk::open(image, OpenMode::ReadOnly).value(), 0, kSize);
    auto map = map_used(*FileDisk::open(image, OpenMode::ReadOnly).value()).value();
    // Blocks are where they were first written: backwards here; two of three free ones were never written.
    std::vector<ThinRun> runs;
    for (std::uint64_t b = 0; b < kSize / kBlock; ++b) {
        bool used = false;
        for (std::uint64_t at = b * kBlock; at < (b + 1) * kBlock; at += 1024) used = used || map.used.covers(at);
        if (used || b % 3 == 0) runs.push_back({b, 900 - b, 1});
    }
    // A snapshot of it, of the same blocks, and a volume that the group does not know (any more).
    auto metadata =
        restored(dir, pool_xml(device_xml(1, runs) + device_xml(2, runs) + device_xml(5, {{0, 1000, 2}}), 1024));
    auto disk = FileDisk::create(dir / "pv0", 140 * kMiB).value();
    make_physical(
        *disk, kPv0,
        group_text(
            {{kPv0, 34}},
            linear_text("pool_tmeta", 1, "pv0", 20, false) + linear_text("pool_tdata", 16, "pv0", 2, false) +
                logical_text("pool",
                             segment_text(1, 0, 16,
                                          "type = \"thin-pool\"\nmetadata = \"pool_tmeta\"\npool = \"pool_tdata\"\n"
                                          "transaction_id = 2\nchunk_size = 128\ndiscards = \"passdown\"")) +
                logical_text(
                    "root",
                    segment_text(1, 0, 8, "type = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = 1")) +
                logical_text("snap", segment_text(1, 0, 8,
                                                  "type = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = "
                                                  "1\ndevice_id = 2\norigin = \"root\""))));
    put(*disk, kMiB + 20 * kExtent, metadata);
    auto data_at = kMiB + 2 * kExtent;
    for (const auto& run : runs)
        put(*disk, data_at + run.data_block * kBlock, ByteView(content).subspan(run.virtual_block * kBlock, kBlock));
    BlockDevice* volumes[] = {disk.get()};
    auto set = VolumeSet::assemble(volumes).value();
    const auto& used = set.maps()[0];
    EXPECT_EQ(used.why_all, "");
    EXPECT_EQ(used.inside, "vg0: root (ext4), snap (ext4)");
    EXPECT_TRUE(set.warnings().empty()) << set.warnings()[0];
    EXPECT_LE(used.used.total(), kMiB + kExtent + map.used.total() + 2 * kBlock) << "once, without free blocks";
    EXPECT_TRUE(used.used.covers(data_at + 1001 * kBlock)) << "what nobody knows is kept";
    scribble_outside(dir / "pv0", used);
    auto again = VolumeSet::assemble(volumes).value();
    for (const auto& inner : again.inner()) {
        if (inner.kind != "thin") continue;
        auto back = get(*inner.device, 0, kSize);
        put(*FileDisk::create(dir / (inner.map.uuid + inner.name.substr(4)), kSize).value(), 0, back);
        run({"e2fsck", "-fn", (dir / (inner.map.uuid + inner.name.substr(4))).string()});
        for (const auto& e : map.used.extents())
            ASSERT_TRUE(std::equal(back.begin() + static_cast<long>(e.offset),
                                   back.begin() + static_cast<long>(e.end()),
                                   content.begin() + static_cast<long>(e.offset)));
    }
}

TEST(Thin, a_pool_of_another_transaction_is_taken_whole) {
    if (no_tools()) GTEST_SKIP() << "thin-provisioning-tools is not installed";
    auto dir = TempDir::create("thin").value();
    MemoryDisk disk(140 * kMiB);
    make_physical(
        disk, kPv0,
        group_text(
            {{kPv0, 34}},
            linear_text("pool_tmeta", 1, "pv0", 20, false) + linear_text("pool_tdata", 16, "pv0", 2, false) +
                logical_text("pool",
                             segment_text(1, 0, 16,
                                          "type = \"thin-pool\"\nmetadata = \"pool_tmeta\"\npool = \"pool_tdata\"\n"
                                          "transaction_id = 3"))));
    put(disk, kMiB + 20 * kExtent, restored(dir, pool_xml(device_xml(1, {{0, 3, 2}}), 1024)));
    BlockDevice* volumes[] = {&disk};
    auto set = VolumeSet::assemble(volumes).value();
    EXPECT_EQ(set.maps()[0].used.total(), kMiB + 17 * kExtent);
    ASSERT_FALSE(set.warnings().empty());
    EXPECT_NE(set.warnings()[0].find("transaction"), std::string::npos);
}
