// SPDX-License-Identifier: GPL-3.0-or-later
// Uploads in memory: a write session, a sender, and a network that loses, doubles and swaps packets.
#include <random>

#include <gtest/gtest.h>

#include "tftp/receive.hpp"

using namespace slipway;
using namespace slipway::tftp;
using namespace std::chrono_literals;

namespace {

WriteSession session_of(OptionList options, Limits limits = {}) {
    Request request{.write = true, .file = "f", .mode = "octet", .options = std::move(options)};
    return WriteSession(request, encode_packet(request).size(), limits);
}

Data block(std::uint64_t number, std::size_t bytes) { return {static_cast<std::uint16_t>(number), Bytes(bytes)}; }

// A sender as the foreign clients are: a window from the last acknowledgement on, again when nothing comes.
struct Upload {
    WriteSession session;
    std::uint64_t size;
    std::uint32_t block_size = kDefaultBlock, window = 1;
    unsigned loss_percent = 0;
    std::mt19937 random{1};
    std::uint64_t acked = 0, stored = 0;
    bool ready = false, told = false;
    Instant now{};

    bool lost() { return random() % 100 < loss_percent; }
    std::uint64_t blocks() const { return size / block_size + 1; }

    void hear(const WriteStep& step) {
        for (int copies = lost() ? 0 : lost() ? 2 : 1; copies > 0; --copies) {
            if (step.option_ack) ready = true;
            if (!step.ack) continue;
            ready = true;
            auto ahead = static_cast<std::uint16_t>(*step.ack - static_cast<std::uint16_t>(acked));
            if (ahead <= window) acked += ahead;
            told = acked == blocks();
        }
    }
    void give(std::uint64_t number) {
        auto bytes = number < blocks() ? block_size : size % block_size;
        auto step = session.on_packet(block(number, bytes), now);
        if (step.store) stored += bytes;
        if (step.complete) step = session.stored(now);
        hear(step);
    }
    void run() {
        hear(session.start(now));
        for (int guard = 0; guard < 2'000'000 && !session.ended() && !told; ++guard) {
            if (!ready) {
                hear(session.on_request(60, now += 1s));
                continue;
            }
            auto before = acked;
            std::vector<std::uint64_t> flight;
            for (auto n = acked + 1; n <= std::min(acked + window, blocks()); ++n) {
                if (lost()) continue;
                flight.push_back(n);
                if (lost()) flight.push_back(n);
                if (flight.size() > 1 && lost()) std::swap(flight.back(), flight[flight.size() - 2]);
            }
            for (auto n : flight) give(n);
            if (acked == before) hear(session.on_time(now += 1s));
        }
    }
};

Upload send(std::uint64_t size, OptionList options, unsigned loss = 0, unsigned seed = 1) {
    Limits limits;
    limits.max_upload = 1ull << 32;
    limits.retries = loss ? 100 : 8;
    limits.handshake = 1h;
    auto number = [&](std::string_view name, std::uint32_t otherwise) {
        for (const auto& [n, value] : options)
            if (n == name) return static_cast<std::uint32_t>(std::stoul(value));
        return otherwise;
    };
    Upload u{session_of(options, limits), size, number("blksize", kDefaultBlock), number("windowsize", 1)};
    u.loss_percent = loss;
    u.random.seed(seed);
    u.run();
    return u;
}

}  // namespace

TEST(TftpReceive, sizes_at_the_edges_of_a_block_are_stored_whole) {
    for (std::uint64_t size : {0, 1, 511, 512, 513, 1024, 51200}) {
        auto u = send(size, {});
        EXPECT_EQ(u.session.state(), WriteState::Dallying);
        EXPECT_EQ(u.stored, size);
        EXPECT_TRUE(u.told);
    }
}

TEST(TftpReceive, block_number_rolls_over_past_65535) {
    for (const char* window : {"1", "16"}) {
        auto u = send(8ull * 200'000, {{"blksize", "8"}, {"windowsize", window}});
        EXPECT_EQ(u.stored, 8u * 200'000);
        EXPECT_TRUE(u.told);
    }
}

TEST(TftpReceive, loss_only_costs_time) {
    unsigned base = std::random_device{}();
    std::printf("seed %u\n", base);
    for (unsigned loss : {5, 20, 40})
        for (const char* window : {"1", "4", "16"})
            for (unsigned i = 0; i < 10; ++i) {
                auto u = send(100'000, {{"blksize", "1432"}, {"windowsize", window}}, loss, base + i);
                EXPECT_EQ(u.stored, 100'000u) << "loss " << loss << " window " << window << " seed " << base + i;
            }
}

TEST(TftpReceive, what_is_too_large_is_refused_at_once_or_when_it_is_seen) {
    Limits limits;
    limits.max_upload = 1000;
    auto told = session_of({{"tsize", "1001"}}, limits);
    EXPECT_EQ(told.start({}).error->code, ErrorCode::DiskFull);
    EXPECT_EQ(told.state(), WriteState::Failed);
    auto s = session_of({{"tsize", "1000"}}, limits);
    EXPECT_TRUE(s.start({}).option_ack);
    EXPECT_TRUE(s.on_packet(block(1, 512), {}).store);
    EXPECT_EQ(s.on_packet(block(2, 500), {}).error->code, ErrorCode::DiskFull);
    EXPECT_EQ(s.state(), WriteState::Failed);
    auto longer = session_of({}, {});
    longer.start({});
    EXPECT_EQ(longer.on_packet(block(1, 513), {}).error->code, ErrorCode::IllegalOperation);
}

TEST(TftpReceive, the_last_acknowledgement_waits_for_the_file_and_is_repeated) {
    auto s = session_of({});
    EXPECT_EQ(s.start({}).ack, std::uint16_t{0});
    auto step = s.on_packet(block(1, 10), {});
    EXPECT_TRUE(step.store && step.complete && !step.ack);
    EXPECT_EQ(s.state(), WriteState::Storing);
    EXPECT_FALSE(s.on_packet(block(1, 10), {}).ack);  // not there yet
    EXPECT_EQ(s.stored({}).ack, std::uint16_t{1});
    EXPECT_EQ(s.on_packet(block(1, 10), {}).ack, std::uint16_t{1});  // it was lost
    EXPECT_FALSE(s.on_packet(block(1, 10), {}).store);
    s.on_time(s.deadline());
    EXPECT_EQ(s.state(), WriteState::Finished);
}

TEST(TftpReceive, nothing_is_amplified_before_the_first_block) {
    for (const OptionList& options : {OptionList{}, OptionList{{"tsize", "0"}, {"blksize", "1468"}}}) {
        Request request{.write = true, .file = "f", .mode = "octet", .options = options};
        auto asked = encode_packet(request).size(), in = asked, out = std::size_t{0};
        WriteSession s(request, asked, {});
        auto count = [&](const WriteStep& step) {
            if (step.option_ack) out += encode_packet(s.option_ack()).size();
            if (step.ack) out += 4;
            EXPECT_FALSE(step.error);
            EXPECT_LE(out, in);
        };
        count(s.start({}));
        while (!s.ended()) count(s.on_time(s.deadline()));
        EXPECT_EQ(s.why(), "the client never answered");
    }
}

TEST(TftpReceive, every_state_takes_every_event) {
    using enum WriteState;
    auto at = [](WriteState state) {
        auto s = session_of({});
        s.start({});
        if (state != Negotiating) s.on_packet(block(1, 512), {});
        if (state == Storing || state == Dallying || state == Finished) s.on_packet(block(2, 1), {});
        if (state == Dallying || state == Finished) s.stored({});
        if (state == Finished) s.on_time(s.deadline());
        if (state == Failed) s.on_packet(ErrorPacket{}, {});
        EXPECT_EQ(name_of(s.state()), name_of(state));
        return s;
    };
    struct Row {
        WriteState before;
        Packet event;
        WriteState after;
        bool acks;
    };
    std::vector<Row> rows{{Negotiating, block(1, 512), Receiving, true},
                          {Negotiating, block(2, 512), Negotiating, false},
                          {Negotiating, block(1, 3), Storing, false},
                          {Receiving, block(2, 512), Receiving, true},
                          {Receiving, block(1, 512), Receiving, true},
                          {Receiving, block(2, 3), Storing, false},
                          {Storing, block(2, 1), Storing, false},
                          {Dallying, block(2, 1), Dallying, true},
                          {Dallying, block(1, 512), Dallying, false},
                          {Dallying, ErrorPacket{}, Finished, false},
                          {Dallying, Ack{}, Dallying, false}};
    for (auto state : {Negotiating, Receiving, Storing}) {
        rows.push_back({state, ErrorPacket{}, Failed, false});
        for (const Packet& p : {Packet(Ack{}), Packet(OptionAck{}), Packet(Request{})})
            rows.push_back({state, p, Failed, false});
    }
    for (auto end : {Finished, Failed})
        for (const Packet& p :
             {Packet(block(1, 1)), Packet(Ack{}), Packet(ErrorPacket{}), Packet(OptionAck{}), Packet(Request{})})
            rows.push_back({end, p, end, false});
    for (const auto& row : rows) {
        auto s = at(row.before);
        auto step = s.on_packet(row.event, {});
        EXPECT_EQ(name_of(s.state()), name_of(row.after)) << name_of(row.before) << " event " << row.event.index();
        EXPECT_EQ(step.ack.has_value(), row.acks) << name_of(row.before) << " event " << row.event.index();
    }
    for (auto state : {Negotiating, Receiving, Storing, Dallying, Finished, Failed}) {
        auto s = at(state);
        EXPECT_EQ(s.on_request(40, {}).ack.has_value(), state == Negotiating);
        for (int i = 1; i < 20; ++i) s.on_time(Instant(std::chrono::hours(i)));
        EXPECT_EQ(s.ended(), state != Storing);  // the disk is not the client's fault
        if (state == Storing) {
            s.refused({ErrorCode::DiskFull, "disk full"});
            EXPECT_EQ(s.state(), Failed);
        }
    }
}
