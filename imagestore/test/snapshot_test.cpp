// SPDX-License-Identifier: GPL-3.0-or-later
// Snapshots of volumes in use: the policy, and the commands on a fake LVM.
#include "imagestore/snapshot.hpp"

#include <gtest/gtest.h>

#include "imagestore/errors.hpp"

using namespace slipway;
using namespace slipway::imagestore;

namespace {

constexpr std::uint64_t kGiB = 1u << 30;

// Remembers what it was told; lvcreate fails when `full`, and the snapshot is invalid afterwards when `overflown`.
struct FakeLvm {
    std::vector<std::string> told;
    bool full = false, overflown = false;
    CommandRunner runner() {
        return [this](const std::vector<std::string>& argv) -> Result<CommandResult> {
            std::string line;
            for (const auto& word : argv) line += (line.empty() ? "" : " ") + word;
            told.push_back(line);
            if (argv[0] == "lvcreate" && full) return CommandResult{5, "", "  insufficient free space\n"};
            if (argv[0] == "lvs" && argv.back() == "/dev/sda2") return CommandResult{5, "", "not a logical volume"};
            if (argv[0] == "lvs" && argv.back() == "/dev/vg0/root")
                return CommandResult{0, "  vg0|root|10737418240|2147483648|-wi-ao----\n", ""};
            if (argv[0] == "lvs") return CommandResult{0, overflown ? "  swi-I-s---\n" : "  swi-a-s---\n", ""};
            return CommandResult{0, "", ""};
        };
    }
};

}  // namespace

TEST(Snapshot, is_made_checked_and_removed_again) {
    FakeLvm lvm;
    auto volume = find_logical_volume("/dev/vg0/root", lvm.runner());
    ASSERT_TRUE(volume.has_value());
    lvm.told.clear();
    {
        auto snapshot = Snapshot::create(plan_snapshot(volume, "slipway-7"), lvm.runner());
        ASSERT_TRUE(snapshot.ok());
        EXPECT_EQ(snapshot->device(), "/dev/vg0/slipway-7");
        EXPECT_TRUE(snapshot->still_whole().ok());
        lvm.overflown = true;
        EXPECT_TRUE(snapshot->still_whole().error().is(errors::kSnapshot));
    }
    ASSERT_EQ(lvm.told.size(), 4u);
    EXPECT_EQ(lvm.told.front(), "lvcreate --snapshot --name slipway-7 --size 2147483648b vg0/root");
    EXPECT_EQ(lvm.told.back(), "lvremove --force vg0/slipway-7");
}

TEST(Snapshot, one_that_could_not_be_made_is_not_removed) {
    FakeLvm lvm;
    lvm.full = true;
    auto snapshot =
        Snapshot::create(plan_snapshot(LogicalVolume{"vg0", "root", kGiB, kGiB, false, false}, "s"), lvm.runner());
    ASSERT_FALSE(snapshot.ok());
    EXPECT_NE(snapshot.error().message().find("insufficient free space"), std::string::npos);
    EXPECT_EQ(lvm.told.size(), 1u);
}

TEST(Snapshot, is_not_planned_where_there_can_be_none) {
    FakeLvm lvm;
    EXPECT_FALSE(find_logical_volume("/dev/sda2", lvm.runner()).has_value());
    EXPECT_NE(plan_snapshot(std::nullopt, "s").why_not, "");
    auto tight = plan_snapshot(LogicalVolume{"vg0", "root", 100 * kGiB, kGiB, false, false}, "s");
    EXPECT_TRUE(tight.create.empty());
    EXPECT_NE(tight.why_not.find("5.0 GiB"), std::string::npos) << tight.why_not;
    EXPECT_NE(plan_snapshot(LogicalVolume{"vg0", "snap", kGiB, kGiB, false, true}, "s").why_not, "");
    // A thin one takes its space from the pool.
    auto thin = plan_snapshot(LogicalVolume{"vg0", "root", 100 * kGiB, 0, true, false}, "s");
    EXPECT_EQ(thin.create.back(), "vg0/root");
    EXPECT_EQ(std::count(thin.create.begin(), thin.create.end(), "--size"), 0);
    // A snapshot never needs more than its origin has.
    auto roomy = plan_snapshot(LogicalVolume{"vg0", "root", kGiB, 50 * kGiB, false, false}, "s");
    EXPECT_NE(std::find(roomy.create.begin(), roomy.create.end(), "1073741824b"), roomy.create.end());
}

TEST(Snapshot, odd_words_of_lvs_are_no_volume) {
    for (const char* line : {"", "vg0|root|x|1|-wi", "vg0|root|1|1|", "|root|1|1|-wi", "vg0|root|1|1|-wi|more"})
        EXPECT_FALSE(parse_logical_volume(line).has_value()) << line;
}
