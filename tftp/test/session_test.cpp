// SPDX-License-Identifier: GPL-3.0-or-later
// Whole conversations in memory: a session, a client, and a network that may lose packets. Time is a number.
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "tftp/session.hpp"

using namespace slipway;
using namespace slipway::tftp;
using namespace std::chrono_literals;

namespace {

Request read_of(OptionList options) { return {.file = "f", .mode = "octet", .options = std::move(options)}; }

// A receiver as RFC 1350 and RFC 7440 have it. It acknowledges the last block in order: at a window's end, at a gap,
// when silent.
struct Receiver {
    std::uint32_t block = kDefaultBlock, window = 1;
    std::uint64_t got = 0, bytes = 0;
    std::uint32_t in_window = 0;
    bool whole = false, gap_told = false;

    std::optional<std::uint16_t> on_option_ack(const OptionAck& options) {
        for (const auto& [name, value] : options.options) {
            if (name == "blksize") block = static_cast<std::uint32_t>(std::stoul(value));
            if (name == "windowsize") window = static_cast<std::uint32_t>(std::stoul(value));
        }
        return got == 0 ? std::optional<std::uint16_t>(0) : std::nullopt;
    }
    std::optional<std::uint16_t> on_data(std::uint64_t number, const ReadSession::Slice& slice) {
        auto wire = static_cast<std::uint16_t>(number);
        if (wire != static_cast<std::uint16_t>(got + 1)) {
            if (window == 1) return static_cast<std::uint16_t>(got);  // a duplicate is acknowledged again: RFC 1350
            if (std::exchange(gap_told, true)) return std::nullopt;
            in_window = 0;
            return static_cast<std::uint16_t>(got);
        }
        EXPECT_EQ(slice.offset, bytes);
        ++got;
        bytes += slice.length;
        gap_told = false;
        whole = slice.length < block;
        if (++in_window < window && !whole) return std::nullopt;
        in_window = 0;
        return static_cast<std::uint16_t>(got);
    }
};

struct Conversation {
    ReadSession session;
    Receiver receiver;
    unsigned loss_percent = 0;
    std::mt19937 random{1};
    Instant now{};
    std::uint64_t data_packets = 0;

    bool lost() { return random() % 100 < loss_percent; }

    // Runs until both are done, time passing only when nothing is under way.
    void run() {
        auto step = session.start(now);
        for (int guard = 0; guard < 4'000'000; ++guard) {
            auto acks = deliver(step);
            step = {};
            for (auto ack : acks)
                if (!lost()) {
                    auto next = session.on_packet(Ack{ack}, now);
                    if (next.option_ack || next.count) step = next;
                }
            if (session.ended()) return;
            if (step.option_ack || step.count) continue;
            receiver.gap_told = false;  // its own timer
            step = session.on_time(now = session.deadline());
        }
        FAIL() << "the conversation does not end";
    }

    std::vector<std::uint16_t> deliver(const Step& step) {
        std::vector<std::uint16_t> acks;
        auto note = [&](std::optional<std::uint16_t> ack) {
            if (ack) acks.push_back(*ack);
        };
        if (step.option_ack && !lost()) note(receiver.on_option_ack(session.option_ack()));
        for (std::uint32_t i = 0; i < step.count; ++i) {
            ++data_packets;
            if (!lost()) note(receiver.on_data(step.first + i, session.slice(step.first + i)));
        }
        return acks;
    }
};

Conversation talk(std::uint64_t size, OptionList options, unsigned loss = 0, unsigned seed = 1) {
    Limits limits;
    limits.max_block = 65464;
    limits.retries = loss ? 100 : 8;
    Conversation c{ReadSession(read_of(std::move(options)), size, limits), {}};
    c.loss_percent = loss;
    c.random.seed(seed);
    c.run();
    return c;
}

}  // namespace

TEST(TftpSession, sizes_at_the_edges_of_a_block_arrive_whole) {
    for (std::uint64_t size : {0, 1, 511, 512, 513, 1024, 51200}) {
        auto c = talk(size, {});
        EXPECT_EQ(c.session.state(), State::Finished);
        EXPECT_EQ(c.receiver.bytes, size);
        EXPECT_TRUE(c.receiver.whole);
        EXPECT_EQ(c.data_packets, size / 512 + 1);
    }
}

TEST(TftpSession, options_are_answered_within_the_limits_and_nonsense_is_left_out) {
    ReadSession s(
        read_of({{"tsize", "0"}, {"blksize", "9000"}, {"windowsize", "1000"}, {"timeout", "3"}, {"multicast", ""}}),
        777, {});
    EXPECT_TRUE(s.start({}).option_ack);
    EXPECT_EQ(s.option_ack().options,
              (OptionList{{"blksize", "1468"}, {"timeout", "3"}, {"tsize", "777"}, {"windowsize", "64"}}));
    EXPECT_EQ(s.deadline(), Instant(3s));
    ReadSession bad(read_of({{"blksize", "7"}, {"windowsize", "0"}, {"timeout", "x"}, {"tsize", "-1"}}), 777, {});
    EXPECT_EQ(bad.start({}).count, 1u);  // none accepted: data at once
}

TEST(TftpSession, block_number_rolls_over_past_65535) {
    auto c = talk(8ull * 200'000, {{"blksize", "8"}});
    EXPECT_EQ(c.session.state(), State::Finished);
    EXPECT_EQ(c.receiver.got, 200'001u);
    c = talk(8ull * 200'000, {{"blksize", "8"}, {"windowsize", "64"}}, 3, 7);
    EXPECT_EQ(c.receiver.got, 200'001u);
    EXPECT_EQ(c.receiver.bytes, 8u * 200'000);
}

TEST(TftpSession, loss_only_costs_time) {
    unsigned base = std::random_device{}();
    std::printf("seed %u\n", base);
    for (unsigned loss : {5, 20, 40})
        for (const char* window : {"1", "4", "16"})
            for (unsigned i = 0; i < 10; ++i) {
                auto c = talk(100'000, {{"blksize", "1432"}, {"windowsize", window}}, loss, base + i);
                // The last ACK may be lost for good: then the client is whole although the session is not.
                EXPECT_TRUE(c.receiver.whole);
                EXPECT_EQ(c.receiver.bytes, 100'000u)
                    << "loss " << loss << " window " << window << " seed " << base + i;
            }
}

TEST(TftpSession, duplicate_acknowledgements_send_nothing_twice) {
    ReadSession s(read_of({}), 10'000, {});
    EXPECT_EQ(s.start({}).first, 1u);
    EXPECT_EQ(s.on_packet(Ack{1}, {}).first, 2u);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(s.on_packet(Ack{1}, {}).count, 0u);  // the Sorcerer's Apprentice
    EXPECT_EQ(s.on_packet(Ack{7}, {}).count, 0u);                              // a block never sent
    EXPECT_EQ(s.on_packet(Ack{2}, {}).first, 3u);
    EXPECT_EQ(s.on_packet(Ack{1}, {}).count, 0u);
    EXPECT_EQ(s.resent(), 0u);
}

TEST(TftpSession, window_goes_back_to_the_gap_once) {
    ReadSession s(read_of({{"windowsize", "4"}}), 100'000, {});
    s.start({});
    auto step = s.on_packet(Ack{0}, {});
    EXPECT_EQ(step.first, 1u);
    EXPECT_EQ(step.count, 4u);
    step = s.on_packet(Ack{2}, {});  // 3 was lost
    EXPECT_EQ(step.first, 3u);
    EXPECT_EQ(step.count, 4u);
    step = s.on_packet(Ack{2}, {});  // 3 was lost again
    EXPECT_EQ(step.first, 3u);
    EXPECT_EQ(s.on_packet(Ack{2}, {}).count, 0u);
}

TEST(TftpSession, oack_lost_twice_then_goes_on) {
    ReadSession s(read_of({{"blksize", "1024"}}), 100, {});
    EXPECT_TRUE(s.start({}).option_ack);
    EXPECT_FALSE(s.on_time(Instant(999ms)).option_ack);
    EXPECT_TRUE(s.on_time(Instant(1s)).option_ack);
    EXPECT_TRUE(s.on_time(Instant(2s)).option_ack);
    EXPECT_EQ(s.on_packet(Ack{0}, Instant(2s)).count, 1u);
    EXPECT_EQ(s.on_packet(Ack{1}, Instant(2s)).count, 0u);
    EXPECT_EQ(s.state(), State::Finished);
}

TEST(TftpSession, every_state_takes_every_event) {
    auto at = [](State state) {
        ReadSession s(read_of(state == State::Negotiating ? OptionList{{"blksize", "512"}} : OptionList{}), 100, {});
        s.start({});
        if (state == State::Finished) s.on_packet(Ack{1}, {});
        if (state == State::Failed) s.on_packet(ErrorPacket{}, {});
        EXPECT_EQ(s.state(), state);
        return s;
    };
    struct Row {
        State before;
        Packet event;
        State after;
    };
    std::vector<Row> rows;
    for (auto end : {State::Finished, State::Failed})
        for (const Packet& p : {Packet(Ack{0}), Packet(Ack{1}), Packet(ErrorPacket{}), Packet(Data{}),
                                Packet(OptionAck{}), Packet(Request{})})
            rows.push_back({end, p, end});
    for (auto state : {State::Negotiating, State::Sending}) {
        rows.push_back({state, ErrorPacket{ErrorCode::OptionRefused, "no"}, State::Failed});
        rows.push_back({state, Data{1, {}}, State::Failed});
        rows.push_back({state, OptionAck{}, State::Failed});
        rows.push_back({state, Request{}, State::Failed});
        rows.push_back({state, Ack{0}, State::Sending});
    }
    rows.push_back({State::Negotiating, Ack{1}, State::Negotiating});
    rows.push_back({State::Sending, Ack{1}, State::Finished});
    for (const auto& row : rows) {
        auto s = at(row.before);
        auto step = s.on_packet(row.event, {});
        EXPECT_EQ(s.state(), row.after) << name_of(row.before) << " event " << row.event.index();
        EXPECT_TRUE(!s.ended() || step.count == 0);
    }
    for (auto state : {State::Negotiating, State::Sending, State::Finished, State::Failed}) {
        auto s = at(state);
        for (int i = 1; i < 20; ++i) s.on_time(Instant(std::chrono::hours(i)));
        EXPECT_TRUE(s.ended());
    }
}
