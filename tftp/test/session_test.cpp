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

Request read_of(OptionList options) { return {.file = "kernel", .mode = "octet", .options = std::move(options)}; }

std::size_t bytes_of(const Request& request) { return encode_packet(request).size(); }

ReadSession session_of(OptionList options, std::uint64_t size, Limits limits = {}) {
    auto request = read_of(std::move(options));
    return ReadSession(request, bytes_of(request), size, limits);
}

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
    unsigned loss_percent = 0;  // the same for doubling and for swapping two neighbours
    std::mt19937 random{1};
    Instant now{};
    std::uint64_t data_packets = 0;

    bool lost() { return random() % 100 < loss_percent; }

    // What the network makes of a flight of packets.
    template <typename T>
    std::vector<T> carry(const std::vector<T>& sent) {
        std::vector<T> out;
        for (const auto& packet : sent) {
            if (lost()) continue;
            out.push_back(packet);
            if (lost()) out.push_back(packet);
            if (out.size() > 1 && lost()) std::swap(out.back(), out[out.size() - 2]);
        }
        return out;
    }

    // Runs until the session is done, time passing only when nothing is under way.
    void run() {
        std::vector<Step> steps{session.start(now)};
        for (int guard = 0; guard < 12'000'000 && !session.ended(); ++guard) {
            std::vector<std::uint16_t> acks;
            for (const auto& step : steps) deliver(step, acks);
            steps.clear();
            for (auto ack : carry(acks)) {
                auto step = session.on_packet(Ack{ack}, now);
                if (step.option_ack || step.count) steps.push_back(step);
            }
            if (session.ended() || !steps.empty()) continue;
            receiver.gap_told = false;  // its own timer
            now = session.deadline();
            if (!session.proved()) steps.push_back(session.on_request(50, now));  // heard nothing: asks again
            else steps.push_back(session.on_time(now));
        }
        EXPECT_TRUE(session.ended()) << "the conversation does not end";
    }

    void deliver(const Step& step, std::vector<std::uint16_t>& acks) {
        auto note = [&](std::optional<std::uint16_t> ack) {
            if (ack) acks.push_back(*ack);
        };
        if (step.option_ack && !lost()) note(receiver.on_option_ack(session.option_ack()));
        std::vector<std::uint64_t> blocks;
        for (std::uint32_t i = 0; i < step.count; ++i) blocks.push_back(step.first + i);
        data_packets += blocks.size();
        for (auto block : carry(blocks)) note(receiver.on_data(block, session.slice(block)));
    }
};

Conversation talk(std::uint64_t size, OptionList options, unsigned loss = 0, unsigned seed = 1) {
    Limits limits;
    limits.max_block = 65464;
    limits.retries = loss ? 100 : 8;
    Conversation c{session_of(std::move(options), size, limits), {}};
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
    auto s = session_of(
        {{"tsize", "0"}, {"blksize", "9000"}, {"windowsize", "1000"}, {"timeout", "3"}, {"multicast", ""}}, 777);
    EXPECT_TRUE(s.start({}).option_ack);
    EXPECT_EQ(s.option_ack().options,
              (OptionList{{"blksize", "1468"}, {"timeout", "3"}, {"tsize", "777"}, {"windowsize", "64"}}));
    EXPECT_EQ(s.deadline(), Instant(3s));
    auto bad = session_of({{"blksize", "7"}, {"windowsize", "0"}, {"timeout", "x"}, {"tsize", "-1"}}, 777);
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
    auto s = session_of({}, 10'000);
    EXPECT_EQ(s.start({}).first, 1u);
    EXPECT_EQ(s.on_packet(Ack{1}, {}).first, 2u);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(s.on_packet(Ack{1}, {}).count, 0u);  // the Sorcerer's Apprentice
    EXPECT_EQ(s.on_packet(Ack{7}, {}).count, 0u);                              // a block never sent
    EXPECT_EQ(s.on_packet(Ack{2}, {}).first, 3u);
    EXPECT_EQ(s.on_packet(Ack{1}, {}).count, 0u);
    EXPECT_EQ(s.resent(), 0u);
}

TEST(TftpSession, window_goes_back_to_the_gap) {
    auto s = session_of({{"windowsize", "4"}}, 100'000);
    s.start({});
    auto step = s.on_packet(Ack{0}, Instant(10ms));
    EXPECT_EQ(step.first, 1u);
    EXPECT_EQ(step.count, 4u);
    step = s.on_packet(Ack{2}, Instant(20ms));  // 3 was lost
    EXPECT_EQ(step.first, 3u);
    EXPECT_EQ(step.count, 4u);
    // 3 was lost again, or the acknowledgement was doubled on its way: known when a round trip has passed.
    EXPECT_EQ(s.on_packet(Ack{2}, Instant(30ms)).count, 0u);
    EXPECT_LE(s.deadline(), Instant(45ms));
    EXPECT_EQ(s.on_packet(Ack{2}, Instant(31ms)).count, 0u);
    EXPECT_EQ(s.on_time(Instant(45ms)).first, 3u);
}

TEST(TftpSession, a_loss_on_the_way_is_told_from_a_client_that_is_gone) {
    auto s = session_of({{"blksize", "1024"}}, 10'000);
    s.start({});
    s.on_packet(Ack{0}, Instant(20ms));
    s.on_packet(Ack{1}, Instant(40ms));
    EXPECT_EQ(s.recovered(), 0u);
    s.on_time(s.deadline());  // 2 was lost, and arrives now
    s.on_packet(Ack{2}, s.deadline());
    EXPECT_EQ(s.recovered(), 1u);
    EXPECT_EQ(s.blocks_acknowledged(), 2u);
    while (!s.ended()) s.on_time(s.deadline());
    EXPECT_EQ(s.recovered(), 1u);  // what was sent to nobody is no loss
    EXPECT_GT(s.resent(), 5u);
    auto windowed = session_of({{"windowsize", "4"}}, 100'000);
    windowed.start({});
    windowed.on_packet(Ack{0}, Instant(10ms));
    windowed.on_packet(Ack{2}, Instant(20ms));  // 3 was lost
    EXPECT_EQ(windowed.recovered(), 1u);
}

TEST(TftpSession, doubled_acknowledgements_do_not_double_a_windowed_transfer) {
    auto s = session_of({{"windowsize", "4"}, {"blksize", "8"}}, 8ull * 4000);
    std::uint64_t sent = 0;
    Instant now{};
    s.start(now);
    for (std::uint64_t acked = 0; !s.ended(); acked += 4) {
        sent += s.on_packet(Ack{static_cast<std::uint16_t>(std::min<std::uint64_t>(acked, 4001))}, now += 5ms).count;
        sent += s.on_packet(Ack{static_cast<std::uint16_t>(std::min<std::uint64_t>(acked, 4001))}, now += 1ms).count;
        sent += s.on_time(now).count;
    }
    EXPECT_EQ(s.state(), State::Finished);
    EXPECT_EQ(sent, 4001u);
    EXPECT_EQ(s.resent(), 0u);
}

TEST(TftpSession, each_silence_is_waited_for_twice_as_long) {
    auto s = session_of({{"blksize", "1024"}}, 10'000);
    s.start({});
    s.on_packet(Ack{0}, Instant(20ms));
    s.on_packet(Ack{1}, Instant(40ms));  // a round trip of 20 ms: the shortest wait, 100 ms
    std::vector<std::int64_t> waits;
    auto now = Instant(40ms);
    while (!s.ended()) {
        waits.push_back((s.deadline() - now) / 1ms);
        now = s.deadline();
        auto step = s.on_time(now);
        EXPECT_TRUE(s.ended() || step.first == 2u);
    }
    EXPECT_EQ(waits, (std::vector<std::int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000}));
    EXPECT_EQ(s.why(), "the client went silent");
}

TEST(TftpSession, the_timeout_a_client_asks_for_is_kept) {
    auto s = session_of({{"timeout", "3"}}, 10'000);
    s.start({});
    s.on_packet(Ack{0}, Instant(20ms));
    s.on_packet(Ack{1}, Instant(40ms));
    EXPECT_EQ(s.deadline(), Instant(3040ms));
}

// What a spoofed address is sent at most: as many bytes as were asked with, whatever time passes.
TEST(TftpSession, nothing_is_amplified_before_the_client_acknowledges) {
    for (const OptionList& options : {OptionList{{"windowsize", "4"}, {"tsize", "0"}},
                                      OptionList{{"blksize", "1468"}, {"windowsize", "64"}, {"tsize", "0"}},
                                      OptionList{{"timeout", "1"}, {"tsize", "0"}}})
        for (std::string file : {"k", "boot/a/longer/name/of/a/kernel"}) {
            Request request{.file = file, .mode = "octet", .options = options};
            auto asked = bytes_of(request);
            ReadSession s(request, asked, 4ull << 30, {});
            std::size_t in = asked, out = 0;
            auto count = [&](const Step& step) {
                EXPECT_EQ(step.count, 0u);
                if (step.option_ack) out += encode_packet(s.option_ack()).size();
                EXPECT_FALSE(step.error);
                EXPECT_LE(out, in) << file;
            };
            count(s.start({}));
            auto now = Instant{};
            for (int i = 0; i < 5; ++i) {
                count(s.on_time(now += 2s));
                in += asked;
                count(s.on_request(asked, now));
            }
            EXPECT_GE(out, 6 * encode_packet(s.option_ack()).size());  // each request is answered
            while (!s.ended()) count(s.on_time(now = s.deadline()));
            EXPECT_EQ(s.why(), "the client never answered");
        }
}

TEST(TftpSession, a_request_without_options_gets_one_block_each_time_it_is_heard) {
    auto s = session_of({}, 10'000);
    EXPECT_EQ(s.start({}).count, 1u);
    for (int i = 1; i < 9; ++i) EXPECT_EQ(s.on_time(Instant(std::chrono::seconds(i))).count, 0u);
    auto step = s.on_request(20, Instant(9s));
    EXPECT_EQ(step.first, 1u);
    EXPECT_EQ(step.count, 1u);
    EXPECT_EQ(s.on_packet(Ack{1}, Instant(9s)).first, 2u);
    EXPECT_EQ(s.on_request(20, Instant(9s)).count, 0u);  // late, and answered long ago
    EXPECT_EQ(s.on_time(Instant(60s)).first, 2u);        // proved: the timer sends again
}

TEST(TftpSession, oack_is_sent_again_for_a_request_heard_again) {
    auto s = session_of({{"blksize", "1024"}}, 100);
    EXPECT_TRUE(s.start({}).option_ack);
    EXPECT_TRUE(s.on_request(40, Instant(1s)).option_ack);
    EXPECT_TRUE(s.on_request(40, Instant(2s)).option_ack);
    EXPECT_EQ(s.on_packet(Ack{0}, Instant(2s)).count, 1u);
    EXPECT_FALSE(s.on_request(40, Instant(2s)).option_ack);
    EXPECT_EQ(s.on_packet(Ack{1}, Instant(2s)).count, 0u);
    EXPECT_EQ(s.state(), State::Finished);
    EXPECT_EQ(s.acknowledged(), 100u);
}

TEST(TftpSession, content_of_unknown_size_ends_where_the_reader_says) {
    auto request = read_of({{"tsize", "0"}, {"windowsize", "4"}});
    ReadSession s(request, bytes_of(request), ReadSession::kUnknownSize, {});
    s.start({});
    EXPECT_EQ(s.option_ack().options, (OptionList{{"windowsize", "4"}}));  // the size cannot be told
    EXPECT_EQ(s.on_packet(Ack{0}, {}).count, 4u);
    s.ends_at(1024);  // two whole blocks and an empty one
    EXPECT_EQ(s.slice(3).length, 0u);
    EXPECT_EQ(s.on_packet(Ack{4}, {}).count, 0u);  // a block never sent
    EXPECT_EQ(s.state(), State::Sending);
    s.on_packet(Ack{3}, {});
    EXPECT_EQ(s.state(), State::Finished);
    EXPECT_EQ(s.acknowledged(), 1024u);
}

// Every block of 4 GiB and a little more in blocks of 512, so that the number rolls over 128 times.
TEST(TftpSession, four_gigabytes_in_blocks_of_512) {
    constexpr std::uint64_t kSize = (4ull << 30) + 700;
    auto s = session_of({{"windowsize", "64"}, {"tsize", "0"}}, kSize);
    s.start({});
    EXPECT_EQ(s.option_ack().options, (OptionList{{"tsize", "4294967996"}, {"windowsize", "64"}}));
    auto step = s.on_packet(Ack{0}, {});
    std::uint64_t bytes = 0, next = 1;
    while (!s.ended()) {
        ASSERT_EQ(step.first, next);
        for (std::uint32_t i = 0; i < step.count; ++i) {
            auto slice = s.slice(next++);
            ASSERT_EQ(slice.offset, bytes);
            bytes += slice.length;
        }
        step = s.on_packet(Ack{static_cast<std::uint16_t>(next - 1)}, {});
    }
    EXPECT_EQ(s.state(), State::Finished);
    EXPECT_EQ(bytes, kSize);
    EXPECT_EQ(next - 1, kSize / 512 + 1);
}

TEST(TftpSession, every_state_takes_every_event) {
    auto at = [](State state) {
        auto s = session_of(state == State::Negotiating ? OptionList{{"blksize", "512"}} : OptionList{}, 700);
        s.start({});
        if (state == State::Sending || state == State::Finished) s.on_packet(Ack{1}, {});
        if (state == State::Finished) s.on_packet(Ack{2}, {});
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
    for (auto state : {State::Negotiating, State::Offering, State::Sending}) {
        rows.push_back({state, ErrorPacket{ErrorCode::OptionRefused, "no"}, State::Failed});
        rows.push_back({state, Data{1, {}}, State::Failed});
        rows.push_back({state, OptionAck{}, State::Failed});
        rows.push_back({state, Request{}, State::Failed});
        rows.push_back({state, Ack{9}, state});
    }
    rows.push_back({State::Negotiating, Ack{0}, State::Sending});
    rows.push_back({State::Negotiating, Ack{1}, State::Negotiating});
    rows.push_back({State::Offering, Ack{0}, State::Offering});
    rows.push_back({State::Offering, Ack{1}, State::Sending});
    rows.push_back({State::Sending, Ack{1}, State::Sending});
    rows.push_back({State::Sending, Ack{2}, State::Finished});
    for (const auto& row : rows) {
        auto s = at(row.before);
        auto step = s.on_packet(row.event, {});
        EXPECT_EQ(s.state(), row.after) << name_of(row.before) << " event " << row.event.index();
        EXPECT_TRUE(!s.ended() || step.count == 0);
    }
    for (auto state : {State::Negotiating, State::Offering, State::Sending, State::Finished, State::Failed}) {
        auto s = at(state);
        auto step = s.on_request(40, {});
        EXPECT_EQ(s.state(), state);
        EXPECT_EQ(step.option_ack, state == State::Negotiating);
        EXPECT_EQ(step.count, state == State::Offering ? 1u : 0u);
        for (int i = 1; i < 20; ++i) s.on_time(Instant(std::chrono::hours(i)));
        EXPECT_TRUE(s.ended());
    }
}
