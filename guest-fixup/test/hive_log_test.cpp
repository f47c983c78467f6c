// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/windows/hive.hpp"
#include "guest-fixup/windows/marvin32.hpp"
#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {
namespace {

using test::dump_hive;
using testing::ElementsAre;
using testing::IsEmpty;

// A hive as it was, and after one, two and three changes.
std::vector<std::string> history() {
    test::TestKey root;
    for (int i = 0; i < 40; ++i) root.key(fmt::format("Key{}", i)).set("Value", reg_sz(std::string(200, 'a')));
    std::vector<std::string> states{test::make_hive(root)};
    for (int i = 1; i <= 3; ++i) {
        auto hive = Hive::open(states.back(), "H").value();
        // The second makes the hive longer.
        for (int j = 0; j < (i == 2 ? 60 : 1); ++j)
            EXPECT_TRUE(hive.set("x", fmt::format("Key{}\\New", i + j % 30), fmt::format("v{}", j), reg_sz(std::string(100, 'b'))).ok());
        states.push_back(test::with_sequences(hive.bytes().value(), 7, 7));
    }
    EXPECT_GT(states[2].size(), states[1].size());
    return states;
}

TEST(HiveLog, marvin32_is_the_published_function) {
    // Test values of the public implementations.
    EXPECT_EQ(marvin32(0x004fb61a001bdbccULL, ""), 0x30ed35c100cd3c7dULL);
    EXPECT_EQ(marvin32(0x004fb61a001bdbccULL, "\xaf"), 0x48e73fc77d75ddc1ULL);
    EXPECT_EQ(marvin32(0x004fb61a001bdbccULL, "\xe7\x0f"), 0xb5f6e1fc485dbff8ULL);
}

TEST(HiveLog, what_windows_10_made_of_a_dirty_hive_is_what_we_make_of_it) {
    const auto dirty = test::shared_file("hives/dirty-windows10/NewDirtyHive");
    const auto log1 = test::shared_file("hives/dirty-windows10/NewDirtyHive.LOG1");
    const auto log2 = test::shared_file("hives/dirty-windows10/NewDirtyHive.LOG2");
    const auto theirs = test::shared_file("hives/dirty-windows10/RecoveredHive_Windows10");
    if (!dirty || !log1 || !log2 || !theirs) GTEST_SKIP() << "the dirty hive of Windows 10 is not there";
    EXPECT_TRUE(is_dirty(*dirty));
    for (const auto& logs : {std::vector{*log1, *log2}, std::vector{*log2, *log1}, std::vector{std::string(), *log1, *log2}}) {
        const auto done = replay(*dirty, logs);
        ASSERT_TRUE(done.ok()) << done.error().describe();
        EXPECT_FALSE(is_dirty(done->hive));
        EXPECT_NE(dump_hive(*dirty), dump_hive(*theirs));
        EXPECT_EQ(dump_hive(done->hive), dump_hive(*theirs));
        // Windows' own numbers, too, and every byte of the bins.
        EXPECT_EQ(regf::read_base_block(done->hive)->sequence1, regf::read_base_block(*theirs)->sequence1);
        EXPECT_EQ(done->hive.substr(0x1000, 0x5000), theirs->substr(0x1000, 0x5000));
        EXPECT_EQ(done->notes.size(), 2u);
    }
    EXPECT_THAT(replay(*dirty, {*log1, *log2})->notes,
                ElementsAre("log 1 of 2: 1 entry, sequence 2 to 2", "log 2 of 2: 3 entries, sequence 3 to 5"));
}

TEST(HiveLog, a_clean_hive_is_left_alone_whatever_its_logs_hold) {
    const auto states = history();
    const auto stopped = test::stopped_new_log(states[0], {states[1]});
    const auto done = replay(states[0], stopped.logs).value();
    EXPECT_EQ(done.hive, states[0]);
    EXPECT_THAT(done.notes, IsEmpty());
}

TEST(HiveLog, entries_over_two_logs_are_applied_in_their_order) {
    const auto states = history();
    const auto stopped = test::stopped_new_log(states[0], {states[1], states[2], states[3]});
    ASSERT_EQ(stopped.logs.size(), 2u);
    ASSERT_TRUE(Hive::open(stopped.hive, "H").error().is(errors::kHiveDirty));
    const auto done = replay(stopped.hive, {stopped.logs[1], stopped.logs[0]}).value();
    EXPECT_EQ(dump_hive(done.hive), dump_hive(states[3]));
    EXPECT_FALSE(is_dirty(done.hive));
    // Again: nothing is left to do.
    EXPECT_EQ(replay(done.hive, stopped.logs)->hive, done.hive);
}

TEST(HiveLog, what_follows_a_broken_entry_is_not_applied) {
    const auto states = history();
    const auto stopped = test::stopped_new_log(states[0], {states[1], states[2], states[3]});
    for (const auto& [log, expected] : {std::pair{1, 2}, std::pair{0, 0}}) {
        auto logs = stopped.logs;
        logs[static_cast<std::size_t>(log)][512 + 100] ^= 1;
        const auto done = replay(stopped.hive, logs);
        if (expected == 0) EXPECT_TRUE(done.error().is(errors::kHiveLog));
        else EXPECT_EQ(dump_hive(done->hive), dump_hive(states[static_cast<std::size_t>(expected)]));
    }
    // Cut in its last entry.
    auto cut = stopped.logs;
    cut[0].resize(cut[0].size() - 512);
    EXPECT_EQ(dump_hive(replay(stopped.hive, cut)->hive), dump_hive(states[1]));
}

TEST(HiveLog, entries_older_than_the_hive_are_passed_over) {
    const auto states = history();
    const auto stopped = test::stopped_new_log(states[0], {states[1], states[2], states[3]});
    const auto later = test::with_sequences(states[2], 10, 9);  // what the first log has is in it
    const auto done = replay(later, stopped.logs).value();
    EXPECT_EQ(dump_hive(done.hive), dump_hive(states[3]));
    EXPECT_EQ(done.notes.size(), 1u);
}

TEST(HiveLog, a_broken_base_block_comes_from_the_latest_log) {
    const auto states = history();
    const auto stopped = test::stopped_new_log(states[0], {states[1]});
    auto hive = stopped.hive;
    hive.replace(0, 512, std::string(512, 'x'));
    const auto done = replay(hive, stopped.logs).value();
    EXPECT_EQ(dump_hive(done.hive), dump_hive(states[1]));
    const auto old = test::stopped_old_log(states[0], states[3]);
    auto old_hive = old.hive;
    old_hive.replace(0, 512, std::string(512, 'x'));
    EXPECT_EQ(dump_hive(replay(old_hive, old.logs)->hive), dump_hive(states[3]));
}

TEST(HiveLog, an_old_log_of_512_byte_pages_completes_the_hive) {
    const auto states = history();
    const auto stopped = test::stopped_old_log(states[0], states[3]);
    const auto done = replay(stopped.hive, {std::string(), stopped.logs[0]}).value();
    EXPECT_EQ(dump_hive(done.hive), dump_hive(states[3]));
    EXPECT_FALSE(is_dirty(done.hive));
    EXPECT_EQ(done.notes.size(), 1u);
}

TEST(HiveLog, an_old_log_of_another_time_or_a_cut_one_is_not_taken) {
    const auto states = history();
    const auto stopped = test::stopped_old_log(states[0], states[3]);
    auto other = stopped.logs[0];
    regf::put_le32(other, regf::kWritten, 1);
    regf::set_checksum(other);
    EXPECT_TRUE(replay(stopped.hive, {other}).error().is(errors::kHiveLog));
    EXPECT_TRUE(replay(stopped.hive, {stopped.logs[0].substr(0, stopped.logs[0].size() - 512)}).error().is(errors::kHiveLog));
    EXPECT_TRUE(replay(stopped.hive, {}).error().is(errors::kHiveLog));
    EXPECT_TRUE(replay("regf", {}).error().is(errors::kHive));
    EXPECT_TRUE(replay(std::string(20000, 'x'), {}).error().is(errors::kHive));
}

TEST(HiveLog, a_hostile_log_cannot_make_a_hive_long_or_write_outside_it) {
    const auto states = history();
    const auto rehashed = [](std::string log) {
        const auto size = regf::le32(log, 512 + 4);
        const auto put = [&](std::size_t at, std::uint64_t hash) {
            regf::put_le32(log, at, static_cast<std::uint32_t>(hash));
            regf::put_le32(log, at + 4, static_cast<std::uint32_t>(hash >> 32));
        };
        put(512 + 24, marvin32(kLogSeed, std::string_view(log).substr(512 + 40, size - 40)));
        put(512 + 32, marvin32(kLogSeed, std::string_view(log).substr(512, 32)));
        return log;
    };
    const auto stopped = test::stopped_new_log(states[0], {states[1]});
    for (const auto& [field, value] : {std::pair<std::size_t, std::uint32_t>{16, 0x1f000000}, {40, 0x1f000000}, {40, 0xfffff000},
                                       {44, 0xfffff000}, {20, 0x7fffffff}, {16, 0}}) {
        auto log = stopped.logs[0];
        regf::put_le32(log, 512 + field, value);
        EXPECT_TRUE(replay(stopped.hive, {rehashed(log)}).error().is(errors::kHiveLog)) << field;
    }
    EXPECT_TRUE(replay(stopped.hive, {rehashed(stopped.logs[0])}).ok());
}

}  // namespace
}  // namespace slipway::fixup::windows
