// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/test/stack_writers.hpp"
#include "lib/disks/volumes/lvm.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20, kExtent = 4 * kMiB;

// Two physical volumes of 17 extents each, in files.
struct Group {
    TempDir dir = TempDir::create("lvm").value();
    std::unique_ptr<BlockDevice> pv0, pv1;

    explicit Group(const std::string& logical, std::uint64_t text_at = 4096) {
        make_file(dir / "pv0", 72 * kMiB);
        make_file(dir / "pv1", 72 * kMiB);
        pv0 = FileDisk::open(dir / "pv0", OpenMode::ReadWrite).value();
        pv1 = FileDisk::open(dir / "pv1", OpenMode::ReadWrite).value();
        auto text = group_text({{kPv0, 17}, {kPv1, 17}}, logical);
        make_physical(*pv0, kPv0, text, text_at);
        make_physical(*pv1, kPv1, text, text_at);
    }
    VolumeSet assemble() {
        BlockDevice* volumes[] = {pv0.get(), pv1.get()};
        return VolumeSet::assemble(volumes).value();
    }
    BlockDevice& pv(const std::string& name) { return name == "pv0" ? *pv0 : *pv1; }
};

// An ext4 with a tree of files in it, in memory.
Bytes file_system(const TempDir& dir, const std::string& name, std::uint64_t size) {
    auto image = dir / name;
    make_file(image, size);
    run({"mke2fs", "-q", "-F", "-t", "ext4", "-d", make_tree(dir).string(), image.string()});
    return get(*FileDisk::open(image, OpenMode::ReadOnly).value(), 0, size);
}

void check(const TempDir& dir, const Bytes& content) {
    auto image = dir / "check.img";
    std::filesystem::remove(image);
    put(*FileDisk::create(image, content.size()).value(), 0, content);
    run({"e2fsck", "-fn", image.string()});
    auto out = dir / "out";
    std::filesystem::remove_all(out);
    std::filesystem::create_directory(out);
    run({"debugfs", "-R", "rdump / " + out.string(), image.string()});
    std::filesystem::remove_all(out / "lost+found");
    run({"diff", "-r", (dir / "tree").string(), out.string()});
}

const InnerVolume* find(const VolumeSet& set, const std::string& name) {
    for (const auto& inner : set.inner())
        if (inner.name == name) return &inner;
    return nullptr;
}

std::string two_segments() {
    auto part = [](unsigned n, unsigned start, const char* pv, unsigned from) {
        return segment_text(n, start, 4,
                            fmt::format("type = \"striped\"\nstripe_count = 1\nstripes = [\"{}\", {}]", pv, from));
    };
    return logical_text("root", part(1, 0, "pv0", 9) + part(2, 4, "pv1", 2));
}

}  // namespace

TEST(Lvm, a_volume_over_two_disks_counts_by_its_file_system) {
    Group group(two_segments());
    auto content = file_system(group.dir, "fs", 8 * kExtent);
    put(*group.pv0, kMiB + 9 * kExtent, ByteView(content).first(4 * kExtent));
    put(*group.pv1, kMiB + 2 * kExtent, ByteView(content).subspan(4 * kExtent));
    auto set = group.assemble();
    EXPECT_EQ(set.maps()[0].filesystem, "lvm2");
    EXPECT_EQ(set.maps()[0].uuid, kPv0);
    EXPECT_EQ(set.maps()[0].why_all, "");
    EXPECT_EQ(set.maps()[1].inside, "vg0: root (ext4)");
    EXPECT_EQ(set.maps()[1].state, VolumeState::Clean);
    EXPECT_LT(set.maps()[0].used.total() + set.maps()[1].used.total(), 8 * kExtent);
    const auto* root = find(set, "vg0/root");
    ASSERT_NE(root, nullptr);
    EXPECT_EQ(root->members, (std::vector<std::size_t>{0, 1}));
    EXPECT_EQ(get(*root->device, 0, content.size()), content);
    scribble_outside(group.dir / "pv0", set.maps()[0]);
    scribble_outside(group.dir / "pv1", set.maps()[1]);
    auto back = get(*group.pv0, kMiB + 9 * kExtent, 4 * kExtent);
    auto more = get(*group.pv1, kMiB + 2 * kExtent, 4 * kExtent);
    back.insert(back.end(), more.begin(), more.end());
    check(group.dir, back);
    EXPECT_EQ(group.assemble().maps()[0].used.extents(), set.maps()[0].used.extents());
}

TEST(Lvm, a_striped_volume_counts_by_its_file_system) {
    constexpr std::uint64_t kStripe = 65536;
    Group group(logical_text(
        "data", segment_text(1, 0, 8,
                             "type = \"striped\"\nstripe_count = 2\nstripe_size = 128\nstripes = [\n\"pv1\", 1,\n"
                             "\"pv0\", 3\n]")));
    auto content = file_system(group.dir, "fs", 8 * kExtent);
    auto place = [](std::uint64_t stripe) { return kMiB + (stripe % 2 ? 3 : 1) * kExtent + stripe / 2 * kStripe; };
    for (std::uint64_t s = 0; s < content.size() / kStripe; ++s)
        put(s % 2 ? *group.pv0 : *group.pv1, place(s), ByteView(content).subspan(s * kStripe, kStripe));
    auto set = group.assemble();
    ASSERT_NE(find(set, "vg0/data"), nullptr);
    EXPECT_EQ(find(set, "vg0/data")->map.filesystem, "ext4");
    scribble_outside(group.dir / "pv0", set.maps()[0]);
    scribble_outside(group.dir / "pv1", set.maps()[1]);
    Bytes back;
    for (std::uint64_t s = 0; s < content.size() / kStripe; ++s) {
        auto stripe = get(s % 2 ? *group.pv0 : *group.pv1, place(s), kStripe);
        back.insert(back.end(), stripe.begin(), stripe.end());
    }
    check(group.dir, back);
}

TEST(Lvm, metadata_goes_round_in_its_buffer_and_pvck_reads_the_same) {
    Group group(two_segments(), (1u << 20) - 4096 - 100);
    auto label = parse_lvm_label(get(*group.pv0, 0, 2048));
    ASSERT_TRUE(label);
    auto metadata = read_lvm_metadata(*group.pv0, *label).value();
    ASSERT_TRUE(metadata.group);
    EXPECT_EQ(metadata.group->seqno, 5u);
    EXPECT_EQ(metadata.group->logical.at("root").segments.size(), 2u);
    if (!run_command({"pvck", "--version"}).ok()) GTEST_SKIP() << "pvck is not installed";
    auto dumped = run({"pvck", "--dump", "metadata", (group.dir / "pv0").string()});
    EXPECT_NE(dumped.find("vgname vg0 seqno 5"), std::string::npos) << dumped;
    EXPECT_EQ(dumped.find("rror"), std::string::npos) << dumped;
}

TEST(Lvm, a_flipped_bit_anywhere_in_the_metadata_makes_every_sector_count) {
    for (std::uint64_t at : {4096 + 30, 4096 + 48, 8192 + 100, 8192 + 400}) {
        Group group(two_segments());
        auto byte = get(*group.pv0, at, 1);
        byte[0] ^= std::byte{4};
        put(*group.pv0, at, byte);
        auto set = group.assemble();
        EXPECT_EQ(set.maps()[0].used.total(), 72 * kMiB) << at;
        EXPECT_NE(set.maps()[0].why_all, "") << at;
        // The other disk's share of a volume that is not whole is kept whole.
        EXPECT_TRUE(set.maps()[1].used.covers(kMiB + 2 * kExtent)) << at;
        EXPECT_TRUE(set.maps()[1].used.covers(kMiB + 6 * kExtent - 1)) << at;
        EXPECT_FALSE(set.maps()[1].used.covers(kMiB + 6 * kExtent)) << at;
    }
}

TEST(Lvm, without_one_disk_what_lies_on_the_others_alone_still_counts_by_its_blocks) {
    Group group(linear_text("here", 8, "pv0", 0) + linear_text("gone", 2, "pv1", 0) +
                logical_text("both", segment_text(1, 0, 4,
                                                  "type = \"striped\"\nstripe_count = 2\nstripe_size = 128\n"
                                                  "stripes = [\"pv0\", 8, \"pv1\", 8]")));
    auto content = file_system(group.dir, "fs", 8 * kExtent);
    put(*group.pv0, kMiB, content);
    BlockDevice* volumes[] = {group.pv0.get()};
    auto set = VolumeSet::assemble(volumes).value();
    EXPECT_EQ(set.maps()[0].inside, "vg0: here (ext4)");
    EXPECT_TRUE(set.maps()[0].used.covers(kMiB + 8 * kExtent));  // its half of `both`
    EXPECT_TRUE(set.maps()[0].used.covers(kMiB + 10 * kExtent - 1));
    EXPECT_FALSE(set.maps()[0].used.covers(kMiB + 10 * kExtent));
    EXPECT_LT(set.maps()[0].used.total(), 10 * kExtent);
    ASSERT_FALSE(set.warnings().empty());
    EXPECT_EQ(set.warnings()[0], "vg0/both: a part of it is missing");
}

TEST(Lvm, a_snapshot_makes_its_origin_and_its_changes_count_whole) {
    Group group(linear_text("root", 4, "pv0", 0) + linear_text("snap", 1, "pv0", 6) +
                logical_text("snapshot0", segment_text(1, 0, 4,
                                                       "type = \"snapshot\"\nchunk_size = 8\norigin = \"root\"\n"
                                                       "cow_store = \"snap\"")) +
                linear_text("lvol0_pmspare", 1, "pv0", 8, false) + linear_text("other", 1, "pv0", 10));
    auto set = group.assemble();
    const auto& used = set.maps()[0].used;
    EXPECT_TRUE(used.covers(kMiB) && used.covers(kMiB + 4 * kExtent - 1)) << "the origin";
    EXPECT_FALSE(used.covers(kMiB + 4 * kExtent));
    EXPECT_TRUE(used.covers(kMiB + 6 * kExtent)) << "the changes";
    EXPECT_FALSE(used.covers(kMiB + 8 * kExtent)) << "room for the repair of a pool's metadata";
    EXPECT_TRUE(used.covers(kMiB + 10 * kExtent)) << "no known file system";
    EXPECT_NE(find(set, "vg0/root")->map.why_all.find("snapshot"), std::string::npos);
}

TEST(Lvm, a_volume_that_is_called_like_a_setting_of_another_is_not_forgotten) {
    Group group(linear_text("striped", 2, "pv0", 1) + linear_text("passdown", 1, "pv1", 3) +
                logical_text("odd", segment_text(1, 0, 1,
                                                 "type = \"striped\"\nstripe_count = 1\nremark = \"passdown\"\n"
                                                 "stripes = [\"pv1\", 8]")));
    auto set = group.assemble();
    EXPECT_TRUE(set.maps()[0].used.covers(kMiB + 1 * kExtent));
    EXPECT_TRUE(set.maps()[1].used.covers(kMiB + 3 * kExtent));
    EXPECT_TRUE(set.maps()[1].used.covers(kMiB + 8 * kExtent));
    EXPECT_NE(find(set, "vg0/striped"), nullptr);
}

TEST(Lvm, a_kind_of_volume_unknown_here_is_taken_whole_with_all_it_stands_on) {
    Group group(logical_text("m", segment_text(1, 0, 2,
                                               "type = \"raid1\"\ndevice_count = 2\nraids = [\"m_rmeta_0\", "
                                               "\"m_rimage_0\", \"m_rmeta_1\", \"m_rimage_1\"]")) +
                linear_text("m_rmeta_0", 1, "pv0", 0, false) + linear_text("m_rimage_0", 2, "pv0", 1, false) +
                linear_text("m_rmeta_1", 1, "pv1", 0, false) + linear_text("m_rimage_1", 2, "pv1", 1, false));
    auto set = group.assemble();
    for (const auto& map : set.maps()) {
        EXPECT_EQ(map.used.total(), kMiB + 3 * kExtent);
        EXPECT_EQ(map.why_all, "");
    }
    ASSERT_FALSE(set.warnings().empty());
    EXPECT_EQ(set.warnings()[0], "vg0/m: LVM's raid1 is taken whole");
}

TEST(Lvm, a_move_under_way_keeps_both_places) {
    Group group(
        linear_text("root", 2, "pvmove0", 0) +
        logical_text("pvmove0",
                     segment_text(1, 0, 2, "type = \"mirror\"\nmirror_count = 2\nmirrors = [\"pv0\", 4, \"pv1\", 7]"),
                     false));
    auto set = group.assemble();
    EXPECT_EQ(set.maps()[0].used.total(), kMiB + 2 * kExtent);
    EXPECT_TRUE(set.maps()[0].used.covers(kMiB + 5 * kExtent));
    EXPECT_TRUE(set.maps()[1].used.covers(kMiB + 8 * kExtent));
    EXPECT_EQ(set.maps()[1].used.total(), kMiB + 2 * kExtent);
}

TEST(Lvm, hostile_text_is_refused_by_name) {
    struct Case {
        std::string logical, says;
    };
    for (const auto& c :
         {Case{linear_text("a", 4, "pv9", 0), "does not exist"}, Case{linear_text("a", 18, "pv0", 0), "leaves the end"},
          Case{linear_text("a", 1, "pv0", 4294967295u), "leaves the end"},
          Case{logical_text("a", segment_text(1, 3, 1, "type = \"striped\"")), "gaps"},
          Case{"a { b { c { d { e { f { g { h { i { } } } } } } } } }", "deeply"}, Case{"a = [1, 2", "comma"},
          Case{"a = \"x", "byte"}, Case{"}}}", "metadata"}}) {
        auto group = parse_lvm_group(group_text({{kPv0, 17}}, c.logical));
        ASSERT_FALSE(group.ok()) << c.logical;
        EXPECT_NE(group.error().message().find(c.says), std::string::npos) << group.error().message();
    }
    // A volume that lies on itself comes to nothing.
    Group loop(linear_text("a", 4, "a", 0) + linear_text("b", 4, "c", 0) + linear_text("c", 4, "b", 0));
    auto looped = loop.assemble();
    EXPECT_TRUE(looped.inner().empty());
}

TEST(Lvm, two_disks_that_disagree_and_two_that_claim_one_name_are_taken_whole) {
    Group group(two_segments());
    make_physical(*group.pv1, kPv1, group_text({{kPv0, 17}, {kPv1, 17}}, ""));
    auto set = group.assemble();
    for (const auto& map : set.maps()) EXPECT_NE(map.why_all.find("disagree"), std::string::npos);
    Group twins(two_segments());
    make_physical(*twins.pv1, kPv0, group_text({{kPv0, 17}, {kPv1, 17}}, two_segments()));
    auto twin_set = twins.assemble();
    for (const auto& map : twin_set.maps()) EXPECT_NE(map.why_all.find("same physical"), std::string::npos);
}

TEST(Lvm, a_real_physical_volume_is_read) {
    std::filesystem::path file = SLIPWAY_SOURCE_DIR "/../shared/data/fs/dfvfs-lvm.raw.xz";
    if (const char* given = std::getenv("SLIPWAY_SHARED_DATA"))
        file = std::filesystem::path(given) / "fs/dfvfs-lvm.raw.xz";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here";
    MemoryDisk disk(to_bytes(run({"xz", "-dc", file.string()})));
    BlockDevice* volumes[] = {&disk};
    auto set = VolumeSet::assemble(volumes).value();
    EXPECT_EQ(set.maps()[0].uuid, "V9N6H5-MXlo-JmEE-TLHs-KyAo-kLv5-JL0RY7");
    EXPECT_EQ(set.maps()[0].why_all, "");
    EXPECT_LT(set.maps()[0].used.total(), disk.size());
    const auto* first = find(set, "test_volume_group/test_logical_volume1");
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->map.filesystem, "ext2");
    EXPECT_EQ(first->map.label, "ext2_test");
    EXPECT_NE(find(set, "test_volume_group/test_logical_volume2"), nullptr);
}
