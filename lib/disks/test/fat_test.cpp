// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;
namespace fs = std::filesystem;

namespace {

#define NEEDS_FAT_TOOLS()                                                                \
    if (!run_command({"mkfs.fat", "--help"}).ok() || !run_command({"mcopy", "-V"}).ok()) \
    GTEST_SKIP() << "dosfstools or mtools is not installed"

void make_fat(const fs::path& image, std::uint64_t size, const std::string& options) {
    make_file(image, size);
    std::vector<std::string> argv{"mkfs.fat"};
    std::istringstream words{options};
    for (std::string w; words >> w;) argv.push_back(w);
    argv.push_back(image.string());
    run(argv);
}

UsedMap map_of(const fs::path& image) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    return map_used(*disk).value();
}

void expect_whole(const UsedMap& map, std::uint64_t size, const std::string& reason) {
    EXPECT_NE(map.why_all.find(reason), std::string::npos) << map.why_all;
    EXPECT_EQ(map.used.total(), size);
}

void poke(const fs::path& image, std::uint64_t at, std::initializer_list<unsigned> values) {
    Bytes bytes;
    for (auto v : values) bytes.push_back(static_cast<std::byte>(v));
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    ASSERT_TRUE(disk->write(at, bytes).ok());
}

std::string blkid(const fs::path& image, const std::string& what) {
    auto text = run({"blkid", "-p", "-o", "value", "-s", what, image.string()});
    return text.substr(0, text.find('\n'));
}

}  // namespace

struct FatKind {
    const char* name;
    unsigned mebibytes;
    const char* options;
    const char* filesystem;
};
class FatKinds : public testing::TestWithParam<FatKind> {};

TEST_P(FatKinds, nothing_outside_the_map_is_missed) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    std::uint64_t size = std::uint64_t{GetParam().mebibytes} << 20;
    make_fat(image, size, std::string("-n EARTH -i c0ffee01 ") + GetParam().options);
    run({"mcopy", "-s", "-i", image.string(), tree.string(), "::/gone"});
    run({"mcopy", "-s", "-i", image.string(), tree.string(), "::/"});
    run({"mdeltree", "-i", image.string(), "::/gone"});
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.filesystem, GetParam().filesystem);
    EXPECT_EQ(map.label, blkid(image, "LABEL"));
    EXPECT_EQ(map.uuid, "C0FF-EE01");
    EXPECT_EQ(map.uuid, blkid(image, "UUID"));
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_LT(map.used.total(), 30u << 20);
    scribble_outside(image, map);
    run({"fsck.fat", "-n", image.string()});
    auto out = dir / "out";
    fs::create_directory(out);
    run({"mcopy", "-s", "-n", "-i", image.string(), "::/tree", out.string()});
    run({"diff", "-r", tree.string(), (out / "tree").string()});
}

INSTANTIATE_TEST_SUITE_P(Fat, FatKinds,
                         testing::Values(FatKind{"fat12", 60, "-F 12 -s 32", "fat12"},
                                         FatKind{"fat16", 60, "-F 16", "fat16"},
                                         FatKind{"fat16_one_fat", 60, "-F 16 -f 1 -r 1024", "fat16"},
                                         FatKind{"fat16_without_alignment", 60, "-F 16 -a -R 1 -s 4", "fat16"},
                                         FatKind{"fat32", 60, "-F 32 -s 1", "fat32"},
                                         FatKind{"fat32_4k_sectors", 300, "-F 32 -S 4096 -s 1", "fat32"}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(FatMap, a_volume_not_unmounted_or_with_errors_makes_every_sector_count) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    auto with = [&](std::uint64_t megabytes, const char* options, std::uint64_t at, std::initializer_list<unsigned> v) {
        fs::remove(image);
        make_fat(image, megabytes << 20, options);
        EXPECT_EQ(map_of(image).why_all, "");
        poke(image, at, v);
        return map_of(image);
    };
    constexpr std::uint64_t fat32 = 32 * 512;  // reserved sectors: -a -R 32
    for (const auto& map : {with(40, "-F 12 -s 32", 0x25, {1}), with(20, "-F 16", 0x25, {1}),
                            with(40, "-F 32 -s 1", 0x41, {1}), with(20, "-F 16 -a -R 1 -f 1", 512 + 2, {0xff, 0x7f}),
                            with(40, "-F 32 -s 1 -a -R 32 -f 1", fat32 + 4, {0xff, 0xff, 0xff, 0x07})}) {
        EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
        expect_whole(map, map.filesystem == "fat16" ? 20u << 20 : 40u << 20, "not unmounted");
    }
    auto errors = with(20, "-F 16 -a -R 1 -f 1", 512 + 2, {0xff, 0xbf});
    EXPECT_EQ(errors.state, VolumeState::NeedsRecovery);
    expect_whole(errors, 20u << 20, "disk errors");
}

TEST(FatMap, fats_that_differ_or_lead_outside_make_every_sector_count) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    auto with = [&](const char* options, std::uint64_t at, std::initializer_list<unsigned> v) {
        fs::remove(image);
        make_fat(image, 40u << 20, options);
        EXPECT_EQ(map_of(image).why_all, "");
        poke(image, at, v);
        return map_of(image);
    };
    const auto* fat16 = "-F 16 -a -R 1 -s 4";
    expect_whole(with(fat16, 512 + 2 * 100, {0xff, 0xff}), 40u << 20, "FATs differ");
    expect_whole(with("-F 16 -a -R 1 -s 4 -f 1", 512 + 2 * 100, {0xf0, 0xff}), 40u << 20, "entry 100 leads outside");
    expect_whole(with("-F 32 -s 1 -a -R 32", 0x28, {0x80}), 40u << 20, "mirroring");
    expect_whole(with("-F 32 -s 1 -a -R 32", 0x2c, {0, 0, 0, 0x05}), 40u << 20, "root directory lies outside");
    expect_whole(with("-F 32 -s 1 -a -R 32 -f 1", 32 * 512 + 8, {0, 0, 0, 0}), 40u << 20,
                 "root directory's cluster is free");
    expect_whole(with(fat16, 0x0d, {3}), 40u << 20, "cluster size");
    expect_whole(with(fat16, 0x0d, {1}), 40u << 20, "another kind of FAT");
    expect_whole(with(fat16, 0x16, {2, 0}), 40u << 20, "too small");
    expect_whole(with(fat16, 0x20, {0xff, 0xff, 0xff, 0}), 40u << 20, "");
    expect_whole(with(fat16, 512, {0xf0}), 40u << 20, "media byte");
    expect_whole(with("-F 32 -s 1", 0x1000, {0xfc, 0x4e, 0x2b, 0xa9}), 40u << 20, "mdraid");
}

TEST(FatMap, too_few_clusters_for_fat32_are_not_guessed_at) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    make_fat(image, 20u << 20, "-F 32 -s 1");
    auto map = map_of(image);
    EXPECT_EQ(map.filesystem, "fat32");
    expect_whole(map, 20u << 20, "another kind of FAT");
}

TEST(FatMap, clusters_marked_bad_are_not_read_and_it_says_so) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    std::ofstream(dir / "bad") << "20000\n20001\n30000\n";  // KiB
    make_fat(image, 60u << 20, "-F 16 -s 4 -l " + (dir / "bad").string());
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    FaultLayer worn(*disk, [](FaultLayer::Op, std::uint64_t at, std::uint64_t length) -> Status {
        for (std::uint64_t kib : {20000, 20001, 30000})
            if (at < (kib + 1) << 10 && kib << 10 < at + length) return make_error(disks::errors::kRead, "bad sector");
        return {};
    });
    auto map = map_used(worn).value();
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.state, VolumeState::Clean);
    ASSERT_EQ(map.notes.size(), 1u);
    EXPECT_TRUE(map.notes[0] == "clusters marked bad, not read: 2" ||
                map.notes[0] == "clusters marked bad, not read: 3")
        << map.notes[0];
    for (std::uint64_t kib : {20000, 20001, 30000}) EXPECT_FALSE(map.used.covers(kib << 10));
}

TEST(FatMap, what_lies_behind_the_last_cluster_is_kept) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    make_fat(image, 20u << 20, "-F 16");
    fs::resize_file(image, (20u << 20) + 3000);
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    for (std::uint64_t at : {20u << 20, (20u << 20) + 2999}) EXPECT_TRUE(map.used.covers(at));
}

TEST(FatMap, a_hibernated_windows_is_named_and_makes_every_sector_count) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    for (auto signature : {"hibr", "wake"}) {
        fs::remove(image);
        make_fat(image, 40u << 20, "-F 32 -s 1");
        std::ofstream(dir / "hiberfil.sys") << signature << std::string(100000, 'x');
        run({"mcopy", "-o", "-i", image.string(), (dir / "hiberfil.sys").string(), "::/"});
        auto map = map_of(image);
        bool hibernated = std::string_view(signature) == "hibr";
        EXPECT_EQ(map.state, hibernated ? VolumeState::Hibernated : VolumeState::Clean);
        EXPECT_EQ(map.used.total() == 40u << 20, hibernated);
    }
}

TEST(FatMap, volumes_without_a_text_in_the_boot_sector_are_told_by_their_values) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    make_fat(image, 20u << 20, "-F 16");
    poke(image, 0x26, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    auto map = map_of(image);
    EXPECT_EQ(map.filesystem, "fat16");
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.uuid, "");
    // A boot sector without a parameter block is none of ours.
    poke(image, 0x0b, {0, 0, 0, 0, 0, 0});
    EXPECT_EQ(map_of(image).filesystem, "");
}

TEST(FatMap, a_swap_area_that_was_formatted_is_not_taken_for_swap) {
    NEEDS_FAT_TOOLS();
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    make_fat(image, 40u << 20, "-F 32 -s 1");
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    ASSERT_TRUE(disk->write(4086, as_bytes("SWAPSPACE2")).ok());
    EXPECT_EQ(map_used(*disk).value().filesystem, "fat32");
}

class RealFat : public testing::TestWithParam<const char*> {};

TEST_P(RealFat, volumes_of_other_systems_are_mapped) {
    NEEDS_FAT_TOOLS();
    auto packed = shared_data() / "fs" / GetParam();
    if (!fs::exists(packed)) GTEST_SKIP() << packed << " is not here";
    auto dir = TempDir::create("fat").value();
    auto image = dir / "fs.img";
    fs::copy_file(packed, dir / "fs.img.xz");
    run({"xz", "-d", (dir / "fs.img.xz").string()});
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.label, blkid(image, "LABEL"));
    EXPECT_EQ(map.uuid, blkid(image, "UUID"));
    EXPECT_EQ(to_lower(blkid(image, "VERSION")), map.filesystem);
    // Not all of them are without fault (a label in one place only), but what is said of them must stay the same.
    auto said = [&] {
        std::string text;
        for (const auto& argv : std::vector<std::vector<std::string>>{
                 {"fsck.fat", "-n", "-v", image.string()}, {"mdir", "-/", "-a", "-i", image.string(), "::/"}}) {
            auto r = run_command(argv).value();
            text += r.output + r.error_text + std::to_string(r.exit_code);
        }
        return text;
    };
    auto before = said();
    EXPECT_NE(before.find("Data area"), std::string::npos) << before;
    scribble_outside(image, map);
    EXPECT_EQ(said(), before);
}

INSTANTIATE_TEST_SUITE_P(Fat, RealFat, testing::Values("fat32_xp_label1.img.xz", "dfvfs-fat12.raw.xz"));
