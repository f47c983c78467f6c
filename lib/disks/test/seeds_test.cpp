// SPDX-License-Identifier: GPL-3.0-or-later
// The fuzz seeds get as far into their parsers as they are meant to: a seed that is turned away at once finds nothing.
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/disks/fuzz/piece_disk.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

UsedMap map_of_seed(const std::string& name, std::uint64_t mebibytes, const MapOptions& options = {}) {
    auto path = std::filesystem::path(SLIPWAY_SOURCE_DIR) / "lib/disks/fuzz" / ("seeds-" + name);
    auto input = read_text_file(path);
    EXPECT_TRUE(input.ok()) << path;
    fuzz::PieceDisk disk(as_bytes(*input), mebibytes << 20);
    return map_used(disk, options).value();
}

}  // namespace

TEST(FuzzSeeds, of_ntfs_reach_the_bitmap_and_the_page_files) {
    auto index = map_of_seed("ntfs/index-blocks", 2), dropped = map_of_seed("ntfs/index-blocks", 2, {true});
    EXPECT_EQ(index.why_all + dropped.why_all, "");
    EXPECT_GT(index.used.total(), dropped.used.total()) << "pagefile.sys is found in the index";
    EXPECT_EQ(map_of_seed("ntfs/page-files", 2).why_all, "");
    EXPECT_EQ(map_of_seed("ntfs/hibernated", 2).state, VolumeState::Hibernated);
}

TEST(FuzzSeeds, of_fat_reach_the_fats) {
    for (const auto* kind : {"fat12", "fat16", "fat32"}) {
        auto map = map_of_seed(std::string("fat/") + kind, 36);
        EXPECT_EQ(map.filesystem, kind);
        EXPECT_EQ(map.why_all, "");
        EXPECT_EQ(map.label, "SEED");
    }
}

TEST(FuzzSeeds, of_exfat_reach_the_bitmap) {
    auto map = map_of_seed("exfat/plain", 2);
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.label, "seed");
}
