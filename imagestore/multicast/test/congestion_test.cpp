// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/congestion.hpp"

#include <gtest/gtest.h>

#include "imagestore/multicast/receiver.hpp"

namespace slipway::multicast {
namespace {

using namespace std::chrono_literals;

TEST(MulticastCongestion, the_rate_of_a_tcp_is_that_of_rfc_5348) {
    // s = 1460, R = 0.1 s, p = 0.01: 1460 / (0.1 * (0.08165 + 12 * 0.06124 * 0.01 * 1.0032)) bytes a second.
    EXPECT_NEAR(tcp_rate(1460, 100ms, 0.01), 8 * 1460 / 0.0089022, 200);
    EXPECT_NEAR(tcp_rate(1460, 50ms, 0.01), 2 * tcp_rate(1460, 100ms, 0.01), 1);
    EXPECT_GT(tcp_rate(1460, 100ms, 0), 1e11) << "nothing lost, no bound";
    EXPECT_LT(tcp_rate(1460, 100ms, 1), 4000);
    for (const double p : {1e-5, 1e-3, 0.1}) EXPECT_NEAR(events_at(1460, 20ms, tcp_rate(1460, 20ms, p)), p, p * 1e-6);
    EXPECT_LE(events_at(1460, 20ms, 1e-3), 1.0);
}

TEST(MulticastCongestion, what_is_lost_until_the_rate_is_lowered_is_one_event) {
    LossEvents events;
    EXPECT_EQ(events.rate(), 0);
    events.passed(999);
    const Instant start{1s};
    EXPECT_TRUE(events.lost(start, 20ms));
    EXPECT_DOUBLE_EQ(events.rate(), 0.001);
    EXPECT_FALSE(events.lost(start + 200ms, 20ms)) << "its sender does not know yet";
    events.lowered(start + 300ms);
    EXPECT_FALSE(events.lost(start + 299ms, 20ms)) << "sent before";
    EXPECT_TRUE(events.lost(start + 300ms, 20ms));
    events.lowered(start + 301ms);
    EXPECT_FALSE(events.lost(start + 319ms, 20ms)) << "a round trip at least";
    EXPECT_TRUE(events.lost(start + 320ms, 20ms));
}

TEST(MulticastCongestion, the_last_eight_intervals_count_and_a_long_quiet_time_does) {
    LossEvents events;
    Instant now{1s};
    const auto event_after = [&](std::uint64_t packets) {
        events.passed(packets - 1);
        EXPECT_TRUE(events.lost(now += 1s, 20ms));
        events.lowered(now + 100ms);
    };
    event_after(1'000'000);
    for (int i = 0; i < 8; ++i) event_after(100);
    EXPECT_NEAR(events.rate(), 0.01, 1e-9) << "the first one is forgotten";
    events.passed(50);
    EXPECT_NEAR(events.rate(), 0.01, 1e-9) << "an interval that is not over makes it no worse";
    events.passed(950);
    EXPECT_NEAR(1 / events.rate(), (1000 + 100 * 5.0) / 6.0, 1) << "but better";
    events.begin(0.002);
    EXPECT_NEAR(events.rate(), 0.002, 1e-9);
}

TEST(MulticastCongestion, only_what_three_of_four_have_missed_is_common) {
    CommonLoss common;
    for (int receiver = 0; receiver < 2; ++receiver) common.add(5, 0b0111);
    EXPECT_TRUE(common.take(4).empty()) << "two of four have told";
    common.add(5, 0b0010);
    auto told = common.take(4);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].block, 5u);
    EXPECT_EQ(told[0].lost, 0b0010u);
    common.add(5, 0b1111);
    common.add(4, 0b1111);
    EXPECT_TRUE(common.take(1).empty()) << "too late";
    common.add(9, 1);
    common.add(6, 0);
    told = common.take(1);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].block, 6u) << "in their order";
    EXPECT_EQ(told[1].lost, 1u) << "of one alone its own";
}

// SYNC after SYNC, a tenth of a millisecond apart; each 97th does not come. What is told of it by a receiver that
// speaks so often.
std::vector<ReportBody> reports_of(std::chrono::milliseconds every) {
    Key key{}, own{};
    own[0] = std::byte{1};
    Seal session(key), reader(own);
    const Instant start{1s};
    Receiver receiver(
        {.session = 7, .number = 1, .session_key = key, .own_key = own, .symbol_bytes = 64, .max_chunk = 64}, {true},
        start);
    ByteWriter sync;
    write_body(SyncBody{.backoff_ms = 20}, sync);
    std::vector<ReportBody> out;
    for (std::uint64_t n = 0; n < 30'000; ++n) {
        const auto now = start + n * 100us;
        if (n % 97 != 5)
            receiver.on_packet(session.close({PacketType::Sync, false, kSenderSource, 7, n}, sync.view()), now);
        if (n % static_cast<std::uint64_t>(every / 100us) != 0) continue;
        if (const auto report = receiver.poll(now)) {
            const auto inner = reader.open(*parse_header(*report), *report);
            out.push_back(std::get<ReportBody>(parse_body(PacketType::Report, *inner).value()));
        }
    }
    return out;
}

TEST(MulticastCongestion, a_receiver_tells_of_each_loss_twice_or_of_blocks_that_all_tell_of) {
    for (const auto& [every, stride] : {std::pair{50ms, 1}, {100ms, 1}, {1000ms, 5}}) {
        const auto reports = reports_of(every);
        ASSERT_GE(reports.size(), 2u);
        std::map<std::uint64_t, unsigned> told;
        for (const auto& report : reports) {
            EXPECT_LE(report.stride, stride) << "no coarser than it must be";
            ASSERT_EQ(report.block % (1u << report.stride), 0u);
            EXPECT_LE((report.block + 1) * kToldPackets, report.newest) << "nothing that may still come";
            for (std::size_t j = 0; j < report.lost.size(); ++j) {
                const auto block = report.block - (j << report.stride);
                ++told[block];
                for (unsigned i = 0; i < kToldPackets; ++i)
                    ASSERT_EQ(report.lost[j] >> i & 1, (block * kToldPackets + i) % 97 == 5) << block << ' ' << i;
            }
        }
        EXPECT_EQ(reports.back().stride, stride);
        const auto last = reports[reports.size() - 2].block;
        ASSERT_GE(last, 64u);
        for (auto block = last / 32 * 32; block > 32; block -= 32) EXPECT_GE(told[block], 2u) << block;
    }
}

TEST(MulticastCongestion, numbers_without_an_end_take_no_more_memory) {
    CommonLoss common;
    for (std::uint64_t b = 0; b < 100'000; ++b) common.add(b * 1'000'003, ~std::uint64_t{0});
    EXPECT_LE(common.take(1).size(), 1024u);
}

}  // namespace
}  // namespace slipway::multicast
