// SPDX-License-Identifier: GPL-3.0-or-later
// What may go out when, as values.
#include "deploy-server/distribution/rates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr std::uint64_t M = 1'000'000;
const Ipv4Address kOffice = *Ipv4Address::parse("10.99.0.1"), kRack = *Ipv4Address::parse("10.98.0.1");

TEST(Rates, a_time_of_day_is_hours_and_minutes) {
    EXPECT_EQ(parse_day_minute("00:00"), 0u);
    EXPECT_EQ(parse_day_minute("6:30"), 390u);
    EXPECT_EQ(parse_day_minute("24:00"), 1440u);
    for (auto wrong : {"", "22", "22:", ":30", "22:5", "24:01", "25:00", "22:60", "-1:00", "022:00", "22:00x"})
        EXPECT_FALSE(parse_day_minute(wrong)) << wrong;
    EXPECT_EQ(day_minute_text(390), "06:30");
}

TEST(Rates, a_window_may_go_over_midnight) {
    const std::vector<RateWindow> windows{{22 * 60, 6 * 60, 0}, {12 * 60, 13 * 60, 50 * M}};
    auto rate = [&](const char* time) -> std::optional<std::uint64_t> {
        const auto* window = window_at(windows, *parse_day_minute(time));
        return window ? std::optional(window->rate) : std::nullopt;
    };
    EXPECT_EQ(rate("21:59"), std::nullopt);
    EXPECT_EQ(rate("22:00"), 0u);
    EXPECT_EQ(rate("00:00"), 0u);
    EXPECT_EQ(rate("05:59"), 0u);
    EXPECT_EQ(rate("06:00"), std::nullopt);
    EXPECT_EQ(rate("12:30"), 50 * M);
    EXPECT_TRUE(window_at(std::vector<RateWindow>{{60, 60, 1}}, 0)) << "from an hour to itself: all day";
}

TEST(Rates, full_speed_at_night) {
    DistributionSettings s;
    s.rate = 100 * M;
    s.limits = {{kOffice, 300 * M}};
    s.windows = {{22 * 60, 6 * 60, 0}};
    EXPECT_EQ(job_rate(s, 12 * 60), 100 * M);
    EXPECT_EQ(interface_rate(s, kOffice, 12 * 60), 300 * M);
    EXPECT_EQ(interface_rate(s, kRack, 12 * 60), 0u) << "has no limit";
    EXPECT_EQ(job_rate(s, 23 * 60), 0u);
    EXPECT_EQ(interface_rate(s, kOffice, 23 * 60), 0u);
}

TEST(Rates, what_one_cannot_use_goes_to_the_others) {
    const auto most = [](std::uint64_t bits, unsigned weight = 1) { return Claim{weight, 0, bits}; };
    const auto wants = [](std::uint64_t bits, unsigned weight = 1) { return Claim{weight, bits, 0}; };
    const auto shares = [](std::uint64_t total, std::vector<Claim> claims) { return fair_shares(total, claims); };
    EXPECT_THAT(shares(90, {{}, {}, {}}), ElementsAre(30, 30, 30));
    EXPECT_THAT(shares(90, {{}, most(10), {}}), ElementsAre(40, 10, 40));
    EXPECT_THAT(shares(90, {most(20), most(10), most(30)}), ElementsAre(20, 10, 30));
    EXPECT_THAT(shares(0, {most(20), {}}), ElementsAre(20, 0)) << "no limit: each its most";
    EXPECT_THAT(shares(1, {{}, {}, {}}), ElementsAre(1, 1, 1)) << "0 would be no limit";
    EXPECT_TRUE(shares(5, {}).empty());
    EXPECT_THAT(shares(90, {most(0, 7), {}, {}}), ElementsAre(70, 10, 10)) << "seven machines weigh seven";
    EXPECT_THAT(shares(90, {most(20, 7), {}, {}}), ElementsAre(20, 35, 35));
    EXPECT_THAT(shares(90, {{}, wants(10), {}}), ElementsAre(40, 10, 40));
    EXPECT_THAT(shares(90, {wants(10), wants(20)}), ElementsAre(40, 50)) << "what nobody wants is not kept back";
    EXPECT_THAT(shares(90, {Claim{1, 10, 15}, wants(20)}), ElementsAre(15, 75));
    EXPECT_THAT(shares(90, {wants(80), {}}), ElementsAre(45, 45)) << "who wants more than a fair part gets that";
}

std::vector<std::uint64_t> shared(std::vector<Sharing::Flow> flows, const DistributionSettings& s,
                                  std::vector<Sharing::Ceiling> given = {}, unsigned minute = 720) {
    Sharing::share(flows, s, given, minute);
    std::vector<std::uint64_t> out;
    for (const auto& f : flows) out.push_back(f.rate / M);
    return out;
}

TEST(Rates, an_interface_is_shared_by_its_jobs_and_a_job_by_its_session_and_its_machines_by_unicast) {
    DistributionSettings s;
    s.limits = {{kOffice, 300 * M}};
    // Job 1: a session of one machine and two machines by unicast; job 2: one machine; job 3 on another interface.
    const std::vector<Sharing::Flow> flows{{1, kOffice}, {1, kOffice, 2}, {2, kOffice}, {3, kRack}};
    EXPECT_THAT(shared(flows, s), ElementsAre(50, 100, 150, 0));
    EXPECT_THAT(shared(flows, s, {{2, 60 * M}}), ElementsAre(80, 160, 60, 0)) << "slipway job throttle 2 60M";
    s.rate = 90 * M;
    EXPECT_THAT(shared(flows, s), ElementsAre(30, 60, 90, 90)) << "each job has its ceiling";
    EXPECT_THAT(shared(flows, s, {{3, 5 * M}}), ElementsAre(30, 60, 90, 5));
    s.windows = {{22 * 60, 6 * 60, 0}};
    EXPECT_THAT(shared(flows, s, {{2, 60 * M}}, 60), ElementsAre(0, 0, 60, 0))
        << "at night there is no limit, but what a job was given by hand stays";
}

TEST(Rates, five_machines_that_hear_nothing_leave_the_others_their_session) {
    DistributionSettings s;
    s.rate = 100 * M;
    EXPECT_THAT(shared({{1, kOffice, 35}, {1, kOffice, 5}}, s), ElementsAre(87, 12)) << "as many as each serves";
    EXPECT_THAT(shared({{1, kOffice, 35}, {1, kOffice, 5, 5 * M}}, s), ElementsAre(95, 5)) << "their line is slow";
    EXPECT_THAT(shared({{1, kOffice, 2, 20 * M}, {1, kOffice, 38}}, s), ElementsAre(5, 95));
    EXPECT_THAT(shared({{1, kOffice, 38, 20 * M}, {1, kOffice, 2}}, s), ElementsAre(20, 80)) << "and the session's";
}

TEST(Rates, what_a_job_does_not_use_of_an_interface_goes_to_the_other) {
    DistributionSettings s;
    s.limits = {{kOffice, 100 * M}};
    EXPECT_THAT(shared({{1, kOffice, 40, 10 * M}, {1, kOffice, 1, 2 * M}, {2, kOffice}}, s), ElementsAre(10, 2, 88));
    s.rate = 60 * M;
    EXPECT_THAT(shared({{1, kOffice, 40, 10 * M}, {2, kOffice}}, s), ElementsAre(40, 60)) << "as far as it may";
}

// A flow of a session and one by unicast, of which the second one can take so much; looked at every quarter second.
struct Line {
    DistributionSettings settings;
    Instant now{1s};
    Use session{true}, unicast{false};
    double session_sent = 0, unicast_sent = 0;
    std::uint64_t to_session = 0, to_unicast = 0;
    void run(std::chrono::seconds time, double session_takes, double unicast_takes) {
        for (const auto end = now + time; now < end; now += 250ms) {
            session.look(static_cast<std::uint64_t>(session_sent), to_session, now);
            if (unicast_takes > static_cast<double>(to_unicast)) unicast.held();
            unicast.look(static_cast<std::uint64_t>(unicast_sent), to_unicast, now);
            std::vector<Sharing::Flow> flows{{1, kOffice, 35, session.wants()}, {1, kOffice, 5, unicast.wants()}};
            Sharing::share(flows, settings, {}, 720);
            to_session = flows[0].rate, to_unicast = flows[1].rate;
            session_sent += std::min(session_takes, static_cast<double>(to_session)) / 8 / 4;
            unicast_sent += std::min(unicast_takes, static_cast<double>(to_unicast)) / 8 / 4;
        }
    }
};

TEST(Rates, a_share_follows_what_is_used_of_it_and_grows_again_when_it_holds_its_flow_back) {
    Line line;
    line.settings.rate = 100 * M;
    line.run(6s, 1e9, 4e6);
    EXPECT_NEAR(static_cast<double>(line.to_unicast), 6e6, 0.1e6) << "4M, a quarter more and 1M";
    EXPECT_NEAR(static_cast<double>(line.to_session), 94e6, 0.1e6);
    line.run(4s, 1e9, 1e9);
    EXPECT_NEAR(static_cast<double>(line.to_unicast), 12.5e6, 0.1e6) << "five of forty machines";
    line.run(30s, 20e6, 1e9);
    EXPECT_NEAR(static_cast<double>(line.to_session), 26e6, 0.5e6);
    EXPECT_NEAR(static_cast<double>(line.to_unicast), 74e6, 0.5e6);
    line.run(4s, 1e9, 1e9);
    EXPECT_NEAR(static_cast<double>(line.to_session), 87.5e6, 0.1e6) << "back within seconds";
    line.settings.rate = 0;
    line.run(1s, 1e9, 1e9);
    EXPECT_EQ(line.to_session + line.to_unicast, 0u) << "no ceiling, no shares";
}

TEST(Rates, a_job_on_two_interfaces_has_one_ceiling) {
    DistributionSettings s;
    s.rate = 90 * M;
    EXPECT_THAT(shared({{1, kOffice}, {1, kOffice}, {1, kRack}}, s), ElementsAre(30, 30, 30));
    EXPECT_THAT(shared({{1, kOffice, 8}, {1, kRack, 1, 2 * M}}, s), ElementsAre(88, 2)) << "where it is used";
}

TEST(Rates, answers_by_unicast_keep_to_the_rate_over_any_five_seconds) {
    Instant now{1s};
    Meter meter(now);
    meter.set_rate(100 * M, now);
    // A machine that asks for the next 8 MiB as soon as it has the last.
    std::vector<std::pair<Instant, double>> sent;
    for (double total = 0; now < Instant{60s};) {
        const auto place = meter.add(8u << 20, now);
        for (Instant due = meter.due(place, now); due > now; due = meter.due(place, now)) now = due;
        sent.emplace_back(now, total += 8 << 20);
    }
    for (std::size_t i = 0, j = 0; i < sent.size(); ++i) {
        while (j < sent.size() && sent[j].first - sent[i].first < 5s) ++j;
        if (j == sent.size()) break;
        const auto bits = (sent[j].second - sent[i].second) * 8;
        const auto seconds = std::chrono::duration<double>(sent[j].first - sent[i].first).count();
        EXPECT_NEAR(bits / seconds, 100e6, 5e6);
    }
}

TEST(Rates, an_answer_is_a_quarter_of_a_seconds_or_a_chunk) {
    EXPECT_EQ(chunks_of_an_answer(0), 8u) << "no ceiling";
    EXPECT_EQ(chunks_of_an_answer(1), 1u);
    EXPECT_EQ(chunks_of_an_answer(50 * M), 1u);
    EXPECT_EQ(chunks_of_an_answer(100 * M), 2u);
    EXPECT_EQ(chunks_of_an_answer(1000 * M), 8u);
}

// Forty machines by unicast, each of which asks for the next chunks as soon as it has the last ones.
struct Forty {
    std::vector<std::pair<Instant, double>> sent;  // when, bits up to then
    Instant::duration longest{};                   // that one waited for its answer
    Forty(std::uint64_t rate, std::size_t chunks) {
        constexpr std::size_t kChunk = 1u << 20;
        Instant now{1s};
        Meter row(now);
        row.set_rate(rate, now);
        std::deque<std::pair<Instant, double>> waiting;  // since when, its place
        for (int i = 0; i < 40; ++i) waiting.emplace_back(now, row.add(chunks * kChunk, now));
        for (double bits = 0; now < Instant{300s};) {
            const auto [since, place] = waiting.front();
            waiting.pop_front();
            for (auto due = row.due(place, now); due > now; due = row.due(place, now)) now = due;
            longest = std::max(longest, now - since);
            sent.emplace_back(now, bits += static_cast<double>(chunks * kChunk) * 8);
            waiting.emplace_back(now, row.add(chunks * kChunk, now));
        }
    }
    // The most and the least of any five seconds, in bits a second.
    std::pair<double, double> any_five_seconds() const {
        double most = 0, least = 1e18;
        std::size_t i = 0, j = 0;
        for (auto from = Instant{1s}; from + 5s < sent.back().first; from += 10ms) {
            while (sent[i].first < from) ++i;
            while (sent[j].first < from + 5s) ++j;
            const auto bits = (i ? sent[j - 1].second - sent[i - 1].second : sent[j - 1].second) / 5;
            most = std::max(most, bits), least = std::min(least, bits);
        }
        return {most, least};
    }
};

TEST(Rates, forty_machines_by_unicast_keep_to_a_ceiling_and_none_waits_too_long) {
    for (const auto rate : {50 * M, 100 * M, 400 * M, 1000 * M}) {
        const Forty forty(rate, chunks_of_an_answer(rate));
        const auto [most, least] = forty.any_five_seconds();
        EXPECT_LE(most, static_cast<double>(rate) * 1.05) << rate;
        EXPECT_GE(least, static_cast<double>(rate) * 0.95) << rate;
        EXPECT_LT(forty.longest, 10s) << rate;
    }
    EXPECT_LT(Forty(10 * M, chunks_of_an_answer(10 * M)).longest, 40s) << "a quarter of a megabit each";
    EXPECT_GT(Forty(50 * M, 8).longest, 40s) << "with 8 MiB an answer it would have to go before its time";
}

TEST(Rates, a_machine_on_a_slow_line_is_not_held_up_between_its_answers) {
    Instant now{1s};
    Meter meter(now);
    meter.set_rate(8 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(meter.add(1 * M, now), now) - now).count(), 1, 0.01);
    now += 1s;
    for (int i = 0; i < 5; ++i) {
        now += 2s;  // on its way, twice as long as the rate gives it
        EXPECT_EQ(meter.due(meter.add(1 * M, now), now), now);
    }
    now += 500ms;
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(meter.add(1 * M, now), now) - now).count(), 0.5, 0.01)
        << "one that is faster waits for the rest of its time";
    now += 3600s;
    (void)meter.add(1 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(meter.add(1 * M, now), now) - now).count(), 1, 0.01)
        << "no more than one answer is saved up";
}

TEST(Rates, an_answer_that_waits_goes_at_the_new_rate_when_it_changes) {
    Instant now{1s};
    Meter meter(now);
    EXPECT_EQ(meter.due(meter.add(50 * M, now), now), now) << "without a limit at once";
    meter.set_rate(8 * M, now);
    const auto place = meter.add(10 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(place, now) - now).count(), 10, 0.01);
    now += 5s;
    meter.set_rate(40 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(place, now) - now).count(), 1, 0.01);
    const auto second = meter.add(5 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(second, now) - now).count(), 2, 0.01) << "in a row";
    meter.set_rate(0, now);
    EXPECT_EQ(meter.due(second, now), now);
}

TEST(Rates, what_was_not_used_is_not_saved_up) {
    Instant now{1s};
    Meter meter(now);
    meter.set_rate(8 * M, now);
    now += 3600s;
    const auto place = meter.add(2 * M, now);
    EXPECT_NEAR(std::chrono::duration<double>(meter.due(place, now) - now).count(), 2, 0.01);
    EXPECT_NEAR(meter.waiting(now + 1s), 1e6, 1e4);
}

}  // namespace
}  // namespace slipway::server
