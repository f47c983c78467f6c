// SPDX-License-Identifier: GPL-3.0-or-later
// A session, and a receiver of it, that hear authentic packets of somebody who means harm: another receiver, which has
// the session's key and one of its own. The input is a list of steps, a byte each and what it needs.
#include <algorithm>
#include <cstdlib>

#include "imagestore/multicast/receiver.hpp"
#include "imagestore/multicast/session.hpp"

using namespace slipway;
using namespace slipway::multicast;

namespace {

constexpr std::uint32_t kChunks = 5, kSymbol = 64, kLargest = 9000, kUnreadable = 3;
constexpr std::size_t kMemory = 24'000;
constexpr std::uint64_t kCeiling = 50'000'000;

void must(bool holds) {
    if (!holds) std::abort();
}
Key key_of(std::uint32_t number) {
    Key key{};
    key[0] = static_cast<std::byte>(number);
    return key;
}
template <class T>
Bytes body_of(const T& body) {
    ByteWriter writer;
    write_body(body, writer);
    return std::move(writer).take();
}

class Play {
public:
    explicit Play(ByteView input)
        : in_(input),
          session_(
              session_options(), feed, [this] { return key_of(++keys_); }, now_),
          session_key_(key_of(99)) {
        for (const auto* name : {"ours", "another", "a third"})
            (void)session_.join(name, std::vector<bool>(kChunks, true), now_);
        for (std::uint32_t n = 1; n <= 3; ++n) own_keys_.emplace_back(key_of(n));
        ReceiverOptions o;
        o.session = 7;
        o.session_key = key_of(99);
        o.own_key = key_of(1);
        o.symbol_bytes = kSymbol;
        o.max_chunk = kLargest;
        o.memory = kMemory;
        o.first_report = 1'000'000;
        receiver_.emplace(o, std::vector<bool>(kChunks, true), now_);
    }
    void run() {
        for (int steps = 0; !in_.at_end() && !in_.failed() && steps < 400; ++steps) {
            step(in_.u8());
            check();
        }
    }

private:
    static SessionOptions session_options() {
        SessionOptions o;
        o.sender.session = 7;
        o.sender.key = key_of(99);
        o.sender.chunks = kChunks;
        o.sender.symbol_bytes = kSymbol;
        o.sender.pace = {kCeiling, true, 1'000'000};
        o.sender.cache = 20'000;
        o.start_receivers = 3;
        return o;
    }
    static Result<Bytes> feed(std::uint32_t chunk) {
        must(chunk < kChunks);
        if (chunk == kUnreadable) return make_error(kGone, "chunk {}", chunk);
        return Bytes(chunk == 0 ? 1 : 2000 * chunk, std::byte{7});
    }
    static constexpr ErrorId kGone{"fuzz.gone", "none", false};

    void step(std::uint8_t what) {
        switch (what % 10) {
            case 0: now_ += std::chrono::milliseconds(in_.be16() % 5000); break;
            case 1: to_receiver(PacketType::Data, forged_data()); break;
            case 2: to_receiver(PacketType::Sync, forged_sync()); break;
            case 3: to_receiver(PacketType::Aside, some_bytes()); break;
            case 4: to_receiver(what & 0x80 ? PacketType::Data : PacketType::Sync, some_bytes()); break;
            case 5: to_session(some_bytes()); break;
            case 6: to_session(forged_report()); break;
            case 7: exchange(); break;
            case 8: over_the_channel(); break;
            case 9: take(); break;
        }
    }
    Bytes some_bytes() {
        const auto bytes = in_.take(std::min<std::size_t>(in_.u8(), in_.remaining()));
        return Bytes(bytes.begin(), bytes.end());
    }
    std::vector<Deficit> deficits() {
        std::vector<Deficit> out;
        for (auto left = in_.u8() % 5; left > 0; --left) {
            const auto chunk = in_.u8();
            const std::uint16_t block = in_.u8();
            out.push_back({chunk, block == 255 ? kWholeChunk : block, std::max<std::uint8_t>(in_.u8(), 1)});
        }
        return out;
    }
    Bytes forged_data() {
        const Bytes payload(kSymbol, std::byte{in_.u8()});
        const auto chunk = in_.u8();
        const std::uint16_t block = in_.u8() % 8, symbol = in_.u8();
        return body_of(DataBody{chunk, block, symbol, in_.be16(), payload});
    }
    Bytes forged_sync() {
        SyncBody sync;
        sync.state = static_cast<SyncState>(in_.u8() % 4);
        sync.round = in_.u8();
        sync.next = in_.u8() % 2 ? in_.u8() : UINT32_MAX;
        sync.backoff_ms = in_.u8();
        sync.known = deficits();
        return body_of(sync);
    }
    Bytes forged_report() {
        ReportBody report;
        const auto sent = session_.sender().counts().packets;
        const auto flags = in_.u8();
        report.newest = flags & 1 ? in_.be64() : sent - std::min<std::uint64_t>(sent, in_.u8());
        report.expected = flags & 2 ? in_.be32() : in_.u8();
        report.received = in_.u8();
        report.stride = in_.u8() % (kMaxStride + 1);
        report.block = (flags & 4 ? in_.be64() : report.newest / kToldPackets) >> report.stride << report.stride;
        report.lost.assign(in_.u8() % (kToldBlocks + 1), in_.be64());
        report.held_ms = in_.u8();
        report.room_kib = in_.be32();
        report.written_kib = in_.be32();
        report.disk_behind = flags & 8;
        report.round_complete = flags & 16;
        report.wanted = deficits();
        return body_of(report);
    }
    void to_receiver(PacketType type, const Bytes& body) {
        number_ += 1 + in_.u8() % 130;
        receiver_->on_packet(session_key_.close({type, false, kSenderSource, 7, number_}, body), now_);
    }
    void to_session(const Bytes& body) {
        const auto who = in_.u8() % 3u;
        session_.on_packet(own_keys_[who].close({PacketType::Report, false, who + 1, 7, ++reported_}, body), now_);
    }
    // What they say to each other by themselves.
    void exchange() {
        int packets = 0;
        while (auto packet = session_.poll(now_)) {
            must(++packets < 5000);  // the pace ends it
            must(packet->size() <= 1500 - 28);
            receiver_->on_packet(*packet, now_);
            if (const auto header = parse_header(*packet)) number_ = std::max(number_, header->number);
        }
        if (const auto report = receiver_->poll(now_)) session_.on_packet(*report, now_);
        now_ = std::max(now_, std::min(session_.deadline(now_), now_ + std::chrono::milliseconds(100)));
    }
    void over_the_channel() {
        const auto what = in_.u8();
        std::vector<bool> wanted;
        for (unsigned c = 0; c < kChunks; ++c) wanted.push_back(what >> c & 1);
        switch (in_.u8() % 5) {
            case 0: (void)session_.tell(1 + what % 4, wanted, what & 0x80, now_); break;
            case 1: (void)session_.join(what & 0x40 ? "another" : "a fourth", wanted, now_); break;
            case 2: session_.leave(1 + what % 4); break;
            case 3: session_.pause(what & 1, now_); break;
            case 4: session_.set_ceiling(what & 1 ? kCeiling : 1'000'000); break;
        }
    }
    void take() {
        const auto what = in_.u8();
        receiver_->set_room(what & 1 ? 0 : std::size_t{what} << 10);
        while (const auto whole = receiver_->take()) {
            must(whole->chunk < kChunks && whole->encoded.size() <= kLargest);
            if (what & 2) receiver_->stored(whole->chunk);
            else receiver_->refused(whole->chunk);
        }
    }
    void check() {
        const auto& wanted = receiver_->wanted();
        must(wanted.size() == kChunks &&
             receiver_->lacking() == static_cast<std::uint32_t>(std::count(wanted.begin(), wanted.end(), true)));
        must(receiver_->memory() <= kMemory);
        const auto rate = session_.sender().rate();
        must(rate > 0 && rate <= kCeiling);
        for (const auto& member : session_.members()) must(member.view.loss >= 0 && member.view.loss <= 1);
    }

    ByteReader in_;
    Instant now_{std::chrono::seconds(1)};
    std::uint32_t keys_ = 0;
    Session session_;
    Seal session_key_;
    std::vector<Seal> own_keys_;
    std::optional<Receiver> receiver_;
    std::uint64_t number_ = 0, reported_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Play(std::as_bytes(std::span(data, size))).run();
    return 0;
}
