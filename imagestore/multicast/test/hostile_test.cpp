// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions with somebody on the segment who means harm.
#include <gtest/gtest.h>

#include "imagestore/multicast/test/simulator.hpp"

namespace slipway::multicast {
namespace {

using namespace test;

Bytes flipped(Bytes packet, std::size_t at) {
    packet[at % packet.size()] ^= std::byte{1};
    return packet;
}

void all_whole(const Simulation& s) {
    for (const auto& node : s.nodes) EXPECT_EQ(node->disk, s.image()) << node->number;
}

TEST(MulticastHostile, what_an_outsider_sends_again_or_makes_up_is_dropped_and_counted) {
    for (bool clear : {false, true}) {
        Simulation s({.chunks = 20, .seed = 7, .clear = clear});
        for (unsigned i = 0; i < 4; ++i) s.add({});
        Random random(99);
        std::vector<Bytes> heard;
        std::uint64_t again = 0, changed = 0, noise = 0;
        s.on_wire = [&](const Bytes& packet) {
            heard.push_back(packet);
            if (heard.size() % 3 != 0) return;
            auto* victim = s.nodes[random.below(4)].get();
            // A packet of a while ago as it was, the present one changed in its body, and bytes of no meaning.
            s.inject(victim, heard[heard.size() - 1 - random.below(std::min<std::size_t>(heard.size(), 50))]);
            s.inject(victim, flipped(packet, kHeaderBytes + random.below(packet.size() - kHeaderBytes)));
            Bytes junk(random.below(1500));
            for (auto& b : junk) b = static_cast<std::byte>(random.next());
            s.inject(victim, junk);
            ++again, ++changed, ++noise;
        };
        ASSERT_TRUE(s.run());
        all_whole(s);
        ReceiverCounts sum;
        for (const auto& node : s.nodes) {
            EXPECT_EQ(node->wrong, 0u);
            sum += node->receiver->counts();
        }
        ASSERT_GT(again, 300u);
        // A copy that overtakes its original is the original; the other one is the copy then. Some are still on their
        // way.
        const auto dropped = sum.forged + sum.replayed + sum.malformed + sum.foreign, sent = again + changed + noise;
        EXPECT_LE(dropped, sent);
        EXPECT_GE(dropped + s.in_flight(), sent);
        EXPECT_GE(sum.replayed + s.in_flight(), again);
        EXPECT_EQ(sum.refused, 0u);
        EXPECT_EQ(s.sender->counts().repair_symbols, 0u) << "nothing was lost by it";
        EXPECT_TRUE(s.events.empty());
    }
}

TEST(MulticastHostile, one_that_says_its_disk_is_at_a_standstill_is_moved_aside_and_slows_nobody) {
    const auto seconds = [](bool lies) {
        Simulation s({.chunks = 200, .seed = 8});
        for (unsigned i = 0; i < 4; ++i) s.add({});
        Seal own(key_for(4));
        std::uint64_t packets = 0;
        s.on_wire = [&](const Bytes&) {
            if (!lies || ++packets % 10 != 0) return;
            ReportBody body;
            body.disk_behind = true;
            body.written_kib = 1;  // before anybody else has written
            ByteWriter writer;
            write_body(body, writer);
            s.inject(nullptr, own.close({PacketType::Report, false, 4, 1, 1'000'000 + packets}, writer.view()));
        };
        EXPECT_TRUE(s.run());
        for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(s.nodes[i]->receiver->lacking(), 0u);
        if (lies) {
            EXPECT_EQ(s.events.size(), 1u);
            EXPECT_EQ(s.events[0].kind, SenderEvent::Kind::AsideDisk);
            EXPECT_EQ(s.events[0].receiver, 4u);
        }
        return s.seconds();
    };
    EXPECT_LT(seconds(true), seconds(false) * 1.2);
}

TEST(MulticastHostile, nobody_speaks_to_the_sender_for_another) {
    Simulation s({.chunks = 20, .seed = 8});
    for (unsigned i = 0; i < 4; ++i) s.add({});
    std::vector<Bytes> said;
    s.on_report = [&](const Bytes& report) { said.push_back(report); };
    Random random(5);
    std::uint64_t packets = 0, again = 0, made_up = 0;
    // One of the receivers: "number 1 lost everything, its disk is behind", under its own key and the session's.
    Seal own(key_for(4)), session(key_for(1001));
    s.on_wire = [&](const Bytes&) {
        if (++packets % 10 != 0) return;
        ReportBody body;
        body.newest = packets;
        body.expected = 1000;
        body.disk_behind = true;
        body.written_kib = 1;
        for (std::uint32_t c = 0; c < 20; ++c) body.wanted.push_back({c, kWholeChunk, 255});
        ByteWriter writer;
        write_body(body, writer);
        const Header header{PacketType::Report, false, 1, 1, 1'000'000 + packets};
        s.inject(nullptr, own.close(header, writer.view()));
        s.inject(nullptr, session.close(header, writer.view()));
        made_up += 2;
        if (!said.empty()) {
            s.inject(nullptr, said[random.below(said.size())]);
            s.inject(nullptr, flipped(said.back(), kHeaderBytes));
            ++again, ++made_up;
        }
    };
    ASSERT_TRUE(s.run());
    all_whole(s);
    const auto& counts = s.sender->counts();
    EXPECT_EQ(counts.repair_symbols, 0u) << "what was asked for in another's name is not sent";
    EXPECT_TRUE(s.events.empty()) << "and nobody is moved aside for it";
    EXPECT_EQ(s.sender->round(), 1u);
    ASSERT_GT(again, 5u);
    EXPECT_GE(counts.replayed + s.in_flight(), again);
    EXPECT_GE(counts.forged + counts.replayed + s.in_flight(), made_up + again);
}

TEST(MulticastHostile, a_receiver_that_forges_the_sender_wastes_time_and_writes_nothing_wrong) {
    Simulation s({.chunks = 20, .seed = 9});
    for (unsigned i = 0; i < 4; ++i) s.add({});
    // It has the session's key, as all have. Of chunks 3 and 9 it is a little faster than the sender.
    Seal session(key_for(1001));
    std::set<std::uint32_t> done;
    s.on_wire = [&](const Bytes& packet) {
        const auto header = parse_header(packet);
        const auto inner = session.open(*header, packet);
        ASSERT_TRUE(header && inner);
        const auto body = parse_body(header->type, *inner);
        const auto* data = std::get_if<DataBody>(&*body);
        if (!data || (data->chunk != 3 && data->chunk != 9) || !done.insert(data->chunk).second) return;
        Bytes wrong(data->payload.begin(), data->payload.end());
        wrong[0] ^= std::byte{1};
        auto lie = *data;
        lie.payload = wrong;
        ByteWriter writer;
        write_body(lie, writer);
        const auto forged = session.close(*header, writer.view());
        for (auto& node : s.nodes) s.inject(node.get(), forged);
    };
    for (auto& node : s.nodes) node->link.delay = 5ms;
    ASSERT_TRUE(s.run());
    all_whole(s);
    for (const auto& node : s.nodes) EXPECT_EQ(node->receiver->counts().refused, 2u) << "their hashes came over TLS";
    EXPECT_EQ(s.sender->round(), 2u) << "they came again";
    EXPECT_LT(s.wire_factor(), 1.3);
}

}  // namespace
}  // namespace slipway::multicast
