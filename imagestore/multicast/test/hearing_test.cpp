// SPDX-License-Identifier: GPL-3.0-or-later
// Sender and receivers over this machine's loopback: real sockets, real threads.
#include "imagestore/multicast/hearing.hpp"

#include <gtest/gtest.h>

#include <random>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/multicast/errors.hpp"
#include "imagestore/multicast/sending.hpp"

namespace slipway::multicast {
namespace {

using namespace std::chrono_literals;

const Ipv4Address kLoopback = *Ipv4Address::parse("127.0.0.1");

struct Loopback : testing::Test {
    std::vector<Bytes> encoded;
    imagestore::MemoryManifest manifest;
    std::unique_ptr<imagestore::ManifestView> view;
    std::optional<imagestore::ChunkPlan> plan;
    std::unique_ptr<Sending> sending;
    std::set<std::uint32_t> unreadable;
    std::atomic<int> keys{0};

    void SetUp() override {
        std::mt19937 random(1);
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = 1;
        imagestore::DiskInfo disk;
        disk.size = 6 * imagestore::kChunkBytes;
        ASSERT_TRUE(w.image(info) && w.disk(disk));
        imagestore::ChunkEncoder encoder(1);
        for (int i = 0; i < 6; ++i) {
            Bytes chunk(imagestore::kChunkBytes);
            for (auto& b : chunk) b = static_cast<std::byte>(random());
            Bytes out;
            encoder.encode(chunk, out);
            encoded.push_back(out);
            ASSERT_TRUE(w.data(sha256(chunk)));
        }
        ASSERT_TRUE(w.end_disk() && w.finish());
        view = std::make_unique<imagestore::ManifestView>(manifest.bytes());
        plan = imagestore::ChunkPlan::of(*view).value();
    }
    void start(unsigned receivers, std::uint64_t bits = 400'000'000) {
        Sending::Options o;
        o.session.sender.session = 77;
        o.session.sender.key.fill(std::byte{9});
        o.session.sender.chunks = plan->size();
        o.session.sender.pace = {bits, false, 0};
        o.session.start_receivers = receivers;
        // A port of its own for each test that runs at the same time.
        o.group = {*Ipv4Address::parse("239.77.0.1"), static_cast<std::uint16_t>(20000 + ::getpid() % 20000)};
        o.on = segment_of(kLoopback).value();
        auto begun = Sending::start(
            o,
            [this](std::uint32_t chunk) -> Result<Bytes> {
                if (unreadable.contains(chunk)) return make_error(imagestore::errors::kChunkMissing, "{}", chunk);
                return encoded[chunk];
            },
            [this] {
                Key key{};
                key[0] = static_cast<std::byte>(++keys);
                return key;
            });
        ASSERT_TRUE(begun) << begun.error().describe();
        sending = std::move(*begun);
    }
};

struct Machine : SessionCalls {
    Loopback& test;
    std::string name;
    std::uint16_t listens_to = 0;  // another port: hears nothing
    IpAddress group, interface;    // others than the session's
    std::vector<Bytes> disk;
    std::vector<std::string> notes;
    std::vector<Advice> advice;
    Status result;
    std::function<Result<bool>(std::uint32_t)> trouble;
    std::atomic<bool> server_gone{false};

    Machine(Loopback& t, std::string n) : test(t), name(std::move(n)), disk(6) {}
    Result<std::optional<Invitation>> join(const std::vector<bool>& wanted) override {
        const auto grant = test.sending->join(name, wanted);
        const auto& o = test.sending->options();
        auto group = o.group;
        if (listens_to) group.port = listens_to;
        IpAddress sender = kLoopback;
        if (!this->group.is_zero()) group.group = this->group, sender = *IpAddress::parse("fe80::1");
        return std::optional(Invitation{group,
                                        {sender, test.sending->report_port()},
                                        kLoopback,
                                        77,
                                        grant.number,
                                        1376,
                                        false,
                                        o.session.sender.key,
                                        grant.key});
    }
    Result<Advice> tell(std::uint32_t number, const std::vector<bool>& wanted, bool asks_unicast) override {
        if (server_gone) return make_error(errors::kBadPacket, "no answer");
        advice.push_back(test.sending->tell(number, wanted, asks_unicast));
        return advice.back();
    }
    void work() {
        HearingOptions options;
        options.interface = interface;
        options.note = [this](const std::string& note) { notes.push_back(note); };
        Hearing hearing(*this, options);
        result = hearing.receive(
            *test.plan, std::vector<bool>(6, true), [&](std::uint32_t number, ByteView bytes) -> Result<bool> {
                if (trouble) return trouble(number);
                if (!std::equal(bytes.begin(), bytes.end(), test.encoded[number].begin(), test.encoded[number].end()))
                    return false;
                disk[number] = Bytes(bytes.begin(), bytes.end());
                return true;
            });
    }
    bool whole() const { return disk == test.encoded; }
};

void work_all(std::vector<std::unique_ptr<Machine>>& machines) {
    std::vector<std::jthread> threads;
    for (auto& m : machines) threads.emplace_back([&m] { m->work(); });
}

TEST_F(Loopback, four_machines_get_an_image_of_one_sending) {
    start(4);
    std::vector<std::unique_ptr<Machine>> machines;
    for (auto name : {"a", "b", "c", "d"}) machines.push_back(std::make_unique<Machine>(*this, name));
    work_all(machines);
    for (auto& m : machines) {
        EXPECT_TRUE(m->result);
        EXPECT_TRUE(m->whole()) << m->name;
        EXPECT_EQ(m->advice.back(), Advice::Done);
    }
    EXPECT_LT(sending->look().counts.bytes, 6.9 * imagestore::kChunkBytes);
    sending->finish();
    while (sending->look().state != SessionState::Over) std::this_thread::yield();
}

TEST_F(Loopback, one_with_a_broken_disk_ends_alone) {
    start(2);
    std::vector<std::unique_ptr<Machine>> machines;
    for (auto name : {"a", "b"}) machines.push_back(std::make_unique<Machine>(*this, name));
    machines[1]->trouble = [](std::uint32_t) -> Result<bool> {
        return make_error(imagestore::errors::kCancelled, "no space left");
    };
    work_all(machines);
    EXPECT_TRUE(machines[0]->whole());
    EXPECT_EQ(machines[1]->result.error().message(), "no space left");
}

TEST_F(Loopback, one_that_hears_nothing_is_told_to_ask) {
    start(2);
    std::vector<std::unique_ptr<Machine>> machines;
    for (auto name : {"a", "b"}) machines.push_back(std::make_unique<Machine>(*this, name));
    machines[1]->listens_to = 9;
    work_all(machines);
    EXPECT_TRUE(machines[0]->whole());
    EXPECT_TRUE(machines[1]->result);
    ASSERT_FALSE(machines[1]->notes.empty());
    EXPECT_NE(machines[1]->notes[0].find("no multicast is heard of 239.77.0.1"), std::string::npos);
    EXPECT_EQ(machines[1]->advice.back(), Advice::Unicast);
}

// The interface of 127.0.0.1 has no IPv6 address of a link, as none of a machine without IPv6.
TEST_F(Loopback, one_without_the_groups_family_says_so_and_asks) {
    start(2);
    std::vector<std::unique_ptr<Machine>> machines;
    for (auto name : {"a", "b"}) machines.push_back(std::make_unique<Machine>(*this, name));
    machines[1]->group = *IpAddress::parse("ff15::5157:7");
    machines[1]->interface = kLoopback;
    work_all(machines);
    EXPECT_TRUE(machines[0]->whole());
    EXPECT_TRUE(machines[1]->result);
    ASSERT_EQ(machines[1]->notes.size(), 1u) << "at once, not after three seconds";
    EXPECT_NE(machines[1]->notes[0].find("the multicast group [ff15::5157:7]:"), std::string::npos);
    EXPECT_NE(machines[1]->notes[0].find("no IPv6 address"), std::string::npos) << machines[1]->notes[0];
    EXPECT_EQ(machines[1]->advice.back(), Advice::Unicast);
}

TEST_F(Loopback, a_chunk_the_store_has_not_is_left_to_unicast) {
    unreadable = {4};
    start(1);
    Machine a(*this, "a");
    a.work();
    EXPECT_EQ(a.advice.back(), Advice::Unicast);
    EXPECT_TRUE(a.disk[4].empty());
    EXPECT_FALSE(a.disk[5].empty());
    auto bad = sending->take_bad_chunks();
    ASSERT_EQ(bad.size(), 1u);
    EXPECT_TRUE(bad[0].error->is(imagestore::errors::kChunkMissing));
}

TEST_F(Loopback, a_sender_that_goes_away_leaves_the_rest_to_unicast) {
    start(1, 8'000'000);
    Machine a(*this, "a");
    std::jthread thread([&] { a.work(); });
    while (sending->look().counts.packets < 500) std::this_thread::yield();
    a.server_gone = true;
    sending.reset();
    thread.join();
    EXPECT_TRUE(a.result) << "what is wanting is asked for, when a server is there again";
    EXPECT_FALSE(a.whole());
    ASSERT_FALSE(a.notes.empty());
    EXPECT_NE(a.notes[0].find("not heard any more"), std::string::npos);
}

}  // namespace
}  // namespace slipway::multicast
