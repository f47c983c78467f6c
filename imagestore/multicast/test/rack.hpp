// SPDX-License-Identifier: GPL-3.0-or-later
// A server's session and machines that take part in it, in simulated time: machines whose processor is slow or not
// given to them for seconds, whose kernel keeps so many datagrams and no more, and whose calls take their time. What
// they do with their time is Listener's affair, as on real ones. The same seed gives the same run.
#pragma once

#include <deque>

#include "imagestore/multicast/listener.hpp"
#include "imagestore/multicast/test/simulator.hpp"

namespace slipway::multicast::test {

// No processor from here to there. What comes meanwhile waits in the adapter's ring, if it has room, and is in the
// machine's hands a moment after it goes on.
struct Stall {
    std::chrono::milliseconds from, to;
    bool holds(Instant at) const { return at >= Instant(from) && at < Instant(to); }
};

struct Build {
    std::chrono::microseconds packet{20};   // of processor for each datagram
    std::size_t holds = 2048, ring = 1256;  // datagrams that wait to be read, and while it is stalled; more are lost
    std::vector<Stall> stalls;
    std::chrono::milliseconds call{20};  // of the agent channel
    std::vector<Stall> cuts;             // of its line; a call that falls into one is answered after it
    double loss = 0;
    std::uint64_t bits = 0;          // a second of its link, whose queue is 64 KiB; 0: as fast as it comes
    std::uint64_t disk = 0;          // bytes a second it writes; 0: at once
    std::size_t memory = 16u << 20;  // for unfinished chunks; as much again waits for the disk
    bool dies = false;               // at its first stall, for good
    bool hears_data = true;          // false: only small packets come through
    bool mute = false;               // its reports do not come through
};

class Rack;

class Machine final : public Surroundings {
public:
    Machine(Rack& rack, std::string name, Build build);
    void join();
    void turn_if_due(Instant now);
    void arrive(const std::shared_ptr<const Bytes>& packet, Instant at);
    bool whole() const;
    bool by_unicast() const { return listener_ && listener_->over() && lacking() > 0; }
    std::uint32_t lacking() const { return listener_->receiver().lacking(); }
    // Moved aside: when it has fetched by unicast what it lacked, over a link that is its own then.
    Instant fetched() const;
    bool ended() const { return dead_ || (listener_ && (listener_->over() || lacking() == 0)); }

    Instant now() override { return clock_; }
    std::vector<ByteView> receive() override;
    void report(ByteView packet) override;
    std::size_t room() override;
    void put(Receiver::Whole chunk) override;
    bool listen(bool on) override {
        in_group_ = on;
        return true;
    }
    std::vector<Written> written() override;
    std::optional<Advice> tell(const std::vector<bool>& wanted, bool asks_unicast) override;

    const std::string name;
    Instant finished{};
    std::uint64_t overrun = 0;  // datagrams its kernel had no room for
    std::vector<Advice> advice;

private:
    void work(std::chrono::nanoseconds time);
    void out_of_stalls();
    bool is_cut(Instant at) const {
        return std::any_of(build_.cuts.begin(), build_.cuts.end(), [&](const Stall& cut) { return cut.holds(at); });
    }
    Rack& rack_;
    Build build_;
    Instant clock_;
    std::uint32_t number_ = 0;
    std::deque<std::pair<Instant, std::shared_ptr<const Bytes>>> waiting_;
    std::vector<std::shared_ptr<const Bytes>> read_;
    std::vector<Bytes> disk_;
    struct Writing {
        Written what;
        Instant done;
    };
    std::deque<Writing> writing_;
    std::optional<Listener> listener_;
    Instant rests_until_{}, line_free_{}, left_{}, disk_free_{};
    bool dead_ = false, in_group_ = true;
};

class Rack {
public:
    struct Options {
        std::uint32_t chunks = 40, chunk_bytes = 100'000;
        PaceOptions pace{40'000'000, false, 20'000'000};
        std::uint64_t seed = 1;
        std::chrono::seconds limit{300};
        std::function<void(Rack&, Instant)> each_tick;
    };
    explicit Rack(Options o) : options(o), random(o.seed) {
        for (std::uint32_t c = 0; c < o.chunks; ++c) {
            Bytes bytes(o.chunk_bytes - c % 5 * 11);
            for (auto& b : bytes) b = static_cast<std::byte>(random.next());
            image.push_back(std::move(bytes));
        }
    }
    Machine& add(const Build& build) {
        return *machines.emplace_back(std::make_unique<Machine>(*this, fmt::format("m{}", machines.size()), build));
    }
    // Until every machine has all, or is sent away. False: the limit came first.
    bool run() {
        SessionOptions o;
        o.sender.session = 9;
        o.sender.key = key_for(9);
        o.sender.chunks = options.chunks;
        o.sender.pace = options.pace;
        o.start_receivers = static_cast<unsigned>(machines.size());
        session = std::make_unique<Session>(
            o, [this](std::uint32_t c) -> Result<Bytes> { return image[c]; }, [this] { return key_for(++keys_); }, now);
        for (auto& m : machines) m->join();
        const auto end = now + options.limit;
        for (auto tick = now; tick < end; tick += 1ms) {
            serve_until(tick);
            if (options.each_tick) options.each_tick(*this, tick);
            for (auto& m : machines) m->turn_if_due(tick);
            if (std::all_of(machines.begin(), machines.end(), [](auto& m) { return m->ended(); })) return true;
        }
        return false;
    }
    // The server's side up to a moment; a machine in the middle of its work asks for it, so that what it has not read
    // yet goes on coming.
    void serve_until(Instant until) {
        while (true) {
            auto next = session->deadline(now);
            if (!reports.empty()) next = std::min(next, reports.front().first);
            if (next > until) break;
            now = std::max(now, next);
            while (!reports.empty() && reports.front().first <= now) {
                session->on_packet(reports.front().second, now);
                reports.pop_front();
            }
            bool sent = false;
            while (auto packet = session->poll(now)) {
                const auto shared = std::make_shared<const Bytes>(std::move(*packet));
                if (on_wire) on_wire(shared);
                for (auto& m : machines) m->arrive(shared, now + 500us);
                sent = true;
            }
            if (!sent && session->deadline(now) <= now) now += 1us;
        }
        now = std::max(now, until);
    }
    bool chance(double p) { return p > 0 && static_cast<double>(random.next() >> 11) / 9007199254740992.0 < p; }
    double seconds(Instant at) const { return std::chrono::duration<double>(at.time_since_epoch()).count(); }
    double copies() const {
        std::size_t sum = 0;
        for (const auto& c : image) sum += c.size();
        return static_cast<double>(session->sender().counts().bytes) / static_cast<double>(sum);
    }

    Options options;
    Random random;
    Instant now{std::chrono::nanoseconds(1)};
    std::unique_ptr<Session> session;
    std::vector<std::unique_ptr<Machine>> machines;
    std::vector<Bytes> image;
    std::deque<std::pair<Instant, Bytes>> reports;
    std::function<void(const std::shared_ptr<const Bytes>&)> on_wire;

private:
    std::uint32_t keys_ = 100;
};

inline Machine::Machine(Rack& rack, std::string n, Build build)
    : name(std::move(n)), rack_(rack), build_(std::move(build)), clock_(rack.now), disk_(rack.options.chunks) {}

inline void Machine::join() {
    const auto grant = rack_.session->join(name, std::vector<bool>(rack_.options.chunks, true), rack_.now);
    ReceiverOptions o;
    o.session = 9;
    o.number = number_ = grant.number;
    o.session_key = key_for(9);
    o.own_key = grant.key;
    o.symbol_bytes = 1376;
    o.max_chunk = rack_.options.chunk_bytes;
    o.memory = build_.memory;
    o.seed = rack_.options.seed + grant.number;
    listener_.emplace(o, std::vector<bool>(rack_.options.chunks, true), build_.holds, *this);
}

inline void Machine::out_of_stalls() {
    for (const auto& stall : build_.stalls)
        if (stall.holds(clock_)) {
            clock_ = Instant(stall.to);
            dead_ |= build_.dies;
        }
}

inline void Machine::work(std::chrono::nanoseconds time) {
    clock_ += time;
    out_of_stalls();
}

inline void Machine::turn_if_due(Instant now) {
    if (ended() || clock_ > now) return;
    const bool comes = !waiting_.empty() && waiting_.front().first <= now && now >= rests_until_;
    const bool wrote = !writing_.empty() && writing_.front().done <= now;
    if (!comes && !wrote && now < listener_->deadline(clock_)) return;
    clock_ = std::max(clock_, now);
    out_of_stalls();
    if (dead_ || clock_ > now) return;
    listener_->turn();
    rests_until_ = clock_ + listener_->rest();
    if (listener_->over()) {
        left_ = clock_;
        clock_ = std::max(clock_, disk_free_);  // what is whole is written
        listener_->take_written();
    }
    if (lacking() > 0) return;
    finished = clock_;
    (void)listener_->tell(false);
}

inline void Machine::arrive(const std::shared_ptr<const Bytes>& packet, Instant at) {
    if (ended() || !in_group_ || is_cut(at) || rack_.chance(build_.loss) ||
        (!build_.hears_data && packet->size() > 1000))
        return;
    auto there = at;
    if (build_.bits > 0 && !pass(line_free_, build_.bits, 64u << 10, packet->size() + 28, there)) return;
    auto room = build_.holds;
    for (const auto& stall : build_.stalls)
        if (stall.holds(at)) there = Instant(stall.to) + 5ms, room = build_.ring;
    if (waiting_.size() >= room) ++overrun;
    else waiting_.emplace_back(waiting_.empty() ? there : std::max(there, waiting_.back().first), packet);
}

inline std::vector<ByteView> Machine::receive() {
    rack_.serve_until(clock_);
    read_.clear();
    std::vector<ByteView> out;
    while (!waiting_.empty() && waiting_.front().first <= clock_ && out.size() < kAtOnce) {
        read_.push_back(std::move(waiting_.front().second));
        waiting_.pop_front();
        out.emplace_back(*read_.back());
    }
    work(build_.packet * static_cast<int>(out.size()));
    return out;
}

inline void Machine::report(ByteView packet) {
    if (build_.mute || is_cut(clock_)) return;
    rack_.serve_until(clock_);
    rack_.reports.emplace_back(rack_.now + 500us, Bytes(packet.begin(), packet.end()));
}

inline void Machine::put(Receiver::Whole chunk) {
    const auto bytes = chunk.encoded.size();
    disk_free_ = std::max(disk_free_, clock_);
    const std::chrono::nanoseconds took(build_.disk > 0 ? bytes * 1'000'000'000 / build_.disk : 0);
    disk_free_ += took;
    writing_.push_back({{chunk.chunk, chunk.encoded == rack_.image[chunk.chunk], bytes, took}, disk_free_});
    disk_[chunk.chunk] = std::move(chunk.encoded);
}

inline std::size_t Machine::room() {
    std::size_t waiting = 0;
    for (const auto& w : writing_) waiting += w.done > clock_ ? w.what.bytes : 0;
    return build_.memory - std::min(waiting, build_.memory);
}

inline std::vector<Written> Machine::written() {
    std::vector<Written> out;
    for (; !writing_.empty() && writing_.front().done <= clock_; writing_.pop_front())
        out.push_back(writing_.front().what);
    return out;
}

inline std::optional<Advice> Machine::tell(const std::vector<bool>& wanted, bool asks_unicast) {
    work(build_.call);
    for (const auto& cut : build_.cuts)
        if (cut.holds(clock_)) clock_ = Instant(cut.to) + build_.call;
    rack_.serve_until(clock_);
    advice.push_back(rack_.session->tell(number_, wanted, asks_unicast, rack_.now));
    return advice.back();
}

inline Instant Machine::fetched() const {
    std::uint64_t bits = 0;
    for (std::size_t c = 0; c < disk_.size(); ++c)
        if (disk_[c].empty()) bits += 8 * rack_.image[c].size();
    return left_ + std::chrono::microseconds(bits * 1'000'000 / build_.bits);
}

inline bool Machine::whole() const { return disk_ == rack_.image; }

}  // namespace slipway::multicast::test
