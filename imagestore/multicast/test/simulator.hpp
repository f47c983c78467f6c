// SPDX-License-Identifier: GPL-3.0-or-later
// A session in simulated time: one sender, any number of receivers, links that lose, delay, reorder, repeat and are
// narrow. The same seed gives the same run to the packet.
#pragma once

#include <functional>
#include <queue>

#include "imagestore/multicast/receiver.hpp"
#include "imagestore/multicast/sender.hpp"
#include "imagestore/multicast/test/tcp.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::multicast::test {

using namespace std::chrono_literals;

struct Link {
    double loss = 0;       // of packets towards the receiver
    double loss_back = 0;  // of its reports
    std::chrono::microseconds delay{500}, jitter{0};
    double repeated = 0;     // packets that come twice
    std::uint64_t bits = 0;  // a second; 0: as fast as they come
    std::size_t queue = 64u << 10;
    std::uint64_t disk = 0;  // bytes a second it writes; 0: at once
};

inline Key key_for(std::uint32_t number) {
    Key key{};
    for (unsigned i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(number * 7 + i);
    return key;
}

// A line with a queue: false when the packet finds it full.
inline bool pass(Instant& line_free, std::uint64_t bits, std::size_t queue, std::size_t bytes, Instant& at) {
    const auto takes = [&](std::size_t n) {
        return std::chrono::nanoseconds(
            static_cast<std::int64_t>(8e9 * static_cast<double>(n) / static_cast<double>(bits)));
    };
    if (line_free > at + takes(queue)) return false;
    line_free = std::max(line_free, at) + takes(bytes);
    at = line_free;
    return true;
}

class Simulation {
public:
    struct Node {
        std::unique_ptr<Receiver> receiver;
        Link link;
        std::uint32_t number = 0;
        bool up = true, aside = false, listening = true;
        Instant line_free{}, disk_free{}, finished{};
        std::deque<std::pair<Instant, std::size_t>> writing;
        std::vector<Bytes> disk;  // chunks it wrote
        std::size_t wrong = 0;
    };
    struct Options {
        std::uint32_t chunks = 16, chunk_bytes = 100'000;
        std::uint64_t bits = 40'000'000;  // the sender's ceiling
        bool adaptive = false;
        std::uint64_t line = 0;  // what the sender's own link carries; 0: anything
        std::size_t line_queue = 64u << 10;
        std::uint64_t seed = 1;
        std::size_t memory = 16u << 20;
        bool clear = false;
        std::chrono::seconds limit{600};
    };

    explicit Simulation(Options options) : options_(options), random_(options.seed) {
        for (std::uint32_t c = 0; c < options_.chunks; ++c) {
            Bytes bytes(options_.chunk_bytes - c % 7 * 13);
            for (auto& b : bytes) b = static_cast<std::byte>(random_.next());
            image_.push_back(std::move(bytes));
        }
        make_sender();
    }

    void make_sender() {
        SenderOptions o;
        o.session = ++session_;
        o.key = key_for(1000 + static_cast<std::uint32_t>(session_));
        o.clear = options_.clear;
        o.chunks = options_.chunks;
        o.pace = {options_.bits, options_.adaptive, 20'000'000};
        sender = std::make_unique<Sender>(
            o,
            [this](std::uint32_t chunk) -> Result<Bytes> {
                if (unreadable.contains(chunk)) return make_error(kGone, "chunk {}", chunk);
                return image_[chunk];
            },
            now);
        first_round_ = true;
    }

    Node& add(Link link, std::vector<bool> wanted = {}) {
        auto& node = nodes.emplace_back(std::make_unique<Node>());
        node->link = link;
        node->number = static_cast<std::uint32_t>(nodes.size());
        node->disk.resize(options_.chunks);
        if (wanted.empty()) wanted.assign(options_.chunks, true);
        join(*node, std::move(wanted));
        return *node;
    }
    // Again, with what it has on its disk; a new number and so a new key.
    void join(Node& node, std::vector<bool> wanted) {
        ReceiverOptions o;
        o.session = session_;
        o.number = ++numbers_;
        o.session_key = key_for(1000 + static_cast<std::uint32_t>(session_));
        o.own_key = key_for(o.number);
        o.clear = options_.clear;
        o.symbol_bytes = 1376;
        o.max_chunk = options_.chunk_bytes;
        o.memory = options_.memory;
        o.seed = options_.seed + o.number;
        node.number = o.number;
        node.receiver = std::make_unique<Receiver>(o, std::move(wanted), now);
        node.up = true;
        sender->add_receiver(o.number, o.own_key, now);
        plan(node);
    }
    void leave(Node& node) {
        node.up = false;
        sender->remove_receiver(node.number);
    }
    std::vector<bool> lacking(const Node& node) const {
        std::vector<bool> out;
        for (const auto& c : node.disk) out.push_back(c.empty());
        return out;
    }

    // Until all have all (or were moved aside), or `until` says stop. False: the limit came first.
    bool run(const std::function<bool()>& until = {}) {
        const auto end = now + options_.limit;
        while (now < end) {
            if (until && until()) return true;
            if (!rounds()) return true;
            step();
        }
        return false;
    }

    double seconds() const { return std::chrono::duration<double>(now.time_since_epoch()).count(); }
    std::size_t image_bytes() const {
        std::size_t sum = 0;
        for (const auto& c : image_) sum += c.size();
        return sum;
    }
    double wire_factor() const {
        return static_cast<double>(sender->counts().bytes) / static_cast<double>(image_bytes());
    }
    bool whole(const Node& node) const { return node.disk == image_ && node.wrong == 0; }
    std::size_t in_flight() const { return arrivals_.size(); }
    const std::vector<Bytes>& image() const { return image_; }

    Instant now{std::chrono::nanoseconds(1)};
    std::unique_ptr<Sender> sender;
    std::vector<std::unique_ptr<Node>> nodes;
    std::unique_ptr<TcpFlow> rival;  // over the sender's own link
    std::vector<SenderEvent> events;
    std::set<std::uint32_t> unreadable, named;    // named: by an event
    std::function<void(const Bytes&)> on_wire;    // sees all that the sender sends
    std::function<void(const Bytes&)> on_report;  // and all that it is sent
    // From somebody else; nullptr: to the sender.
    void inject(Node* to, Bytes packet) { arrive(to, Link{}, std::move(packet)); }

private:
    static constexpr ErrorId kGone{"test.gone", "none", false};
    struct Arrival {
        Instant at;
        std::uint64_t order;
        Node* to;  // nullptr: the sender
        std::shared_ptr<const Bytes> packet;
        bool operator>(const Arrival& o) const { return std::tie(at, order) > std::tie(o.at, o.order); }
    };
    using Plan = std::tuple<Instant, std::uint32_t, Node*>;  // by number: addresses are others in each run

    bool chance(double p) { return p > 0 && static_cast<double>(random_.next() >> 11) / 9007199254740992.0 < p; }
    void plan(Node& node) { plans_.emplace(node.receiver->deadline(), node.number, &node); }

    // What the deploy server does over the agent channel. False when nobody lacks anything.
    bool rounds() {
        while (auto event = sender->take_event()) {
            for (auto& node : nodes)
                if (node->up && node->number == event->receiver) {
                    node->aside = true;
                    node->up = false;
                }
            if (event->kind == SenderEvent::Kind::Unreadable) named.insert(event->chunk);
            events.push_back(*event);
        }
        if (!first_round_ && !sender->round_over(now)) return true;
        first_round_ = false;
        std::vector<std::uint32_t> chunks;
        for (std::uint32_t c = 0; c < options_.chunks; ++c)
            if (!named.contains(c) &&
                std::any_of(nodes.begin(), nodes.end(), [&](auto& n) { return n->up && n->receiver->wanted()[c]; }))
                chunks.push_back(c);
        if (chunks.empty()) return false;
        sender->begin_round(std::move(chunks), now);
        return true;
    }

    void step() {
        while (auto packet = sender->poll(now)) send(*packet);
        auto next = sender->deadline(now);
        if (rival) {
            rival->turn(now, [&](std::size_t bytes, Instant& at) {
                return pass(line_free_, options_.line, options_.line_queue, bytes, at);
            });
            next = std::min(next, rival->deadline());
        }
        if (!arrivals_.empty()) next = std::min(next, arrivals_.top().at);
        while (!plans_.empty() && std::get<Instant>(plans_.top()) <= now) {
            auto* node = std::get<Node*>(plans_.top());
            plans_.pop();
            if (!node->up) continue;
            if (auto report = node->receiver->poll(now)) {
                if (on_report) on_report(*report);
                if (!chance(node->link.loss_back)) arrive(nullptr, node->link, *report);
                plan(*node);
            } else if (node->receiver->deadline() > now) {
                plan(*node);
            }
        }
        if (!plans_.empty()) next = std::min(next, std::get<Instant>(plans_.top()));
        now = std::max(now + 1us, next);
        while (!arrivals_.empty() && arrivals_.top().at <= now) {
            auto arrival = arrivals_.top();
            arrivals_.pop();
            if (!arrival.to) sender->on_packet(*arrival.packet, now);
            else if (arrival.to->up) deliver(*arrival.to, *arrival.packet);
        }
    }

    void send(const Bytes& packet) {
        if (on_wire) on_wire(packet);
        auto at = now;
        if (options_.line > 0 && !pass(line_free_, options_.line, options_.line_queue, packet.size() + 28, at)) return;
        auto shared = std::make_shared<const Bytes>(packet);
        for (auto& node : nodes) {
            if (!node->up || !node->listening || chance(node->link.loss)) continue;
            auto there = at;
            if (node->link.bits > 0 &&
                !pass(node->line_free, node->link.bits, node->link.queue, packet.size() + 28, there))
                continue;
            const int times = chance(node->link.repeated) ? 2 : 1;
            for (int i = 0; i < times; ++i) arrive(node.get(), node->link, shared, there);
        }
    }
    void arrive(Node* to, const Link& link, Bytes packet) {
        arrive(to, link, std::make_shared<const Bytes>(std::move(packet)), now);
    }
    void arrive(Node* to, const Link& link, std::shared_ptr<const Bytes> packet, Instant from) {
        const auto late =
            link.jitter.count() > 0
                ? std::chrono::microseconds(random_.below(static_cast<std::uint64_t>(link.jitter.count())))
                : 0us;
        arrivals_.push({from + link.delay + late, order_++, to, std::move(packet)});
    }

    void deliver(Node& node, const Bytes& packet) {
        auto& r = *node.receiver;
        if (node.link.disk > 0) write(node);
        const auto before = r.deadline();
        r.on_packet(packet, now);
        while (auto whole = r.take()) {
            if (whole->encoded != image_[whole->chunk]) {
                ++node.wrong;
                r.refused(whole->chunk);
                continue;
            }
            if (node.link.disk > 0) {
                node.disk_free = std::max(node.disk_free, now) +
                                 std::chrono::microseconds(whole->encoded.size() * 1'000'000 / node.link.disk);
                node.writing.emplace_back(node.disk_free, whole->encoded.size());
            } else {
                r.add_written(whole->encoded.size(), 0ms, now);
            }
            node.disk[whole->chunk] = std::move(whole->encoded);
            r.stored(whole->chunk);
            if (r.lacking() == 0) node.finished = now;
        }
        if (r.deadline() < before) plan(node);
    }

    // Half a MiB may wait for its disk.
    void write(Node& node) {
        for (; !node.writing.empty() && node.writing.front().first <= now; node.writing.pop_front())
            node.receiver->add_written(
                node.writing.front().second,
                std::chrono::microseconds(node.writing.front().second * 1'000'000 / node.link.disk),
                node.writing.front().first);
        std::size_t waits = 0;
        for (const auto& [done, bytes] : node.writing) waits += bytes;
        node.receiver->set_room(kRoom - std::min(waits, kRoom));
    }
    static constexpr std::size_t kRoom = 512u << 10;

    Options options_;
    Random random_;
    std::vector<Bytes> image_;
    std::uint64_t session_ = 0, order_ = 0;
    std::uint32_t numbers_ = 0;
    bool first_round_ = true;
    Instant line_free_{};
    std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
    std::priority_queue<Plan, std::vector<Plan>, std::greater<>> plans_;
};

}  // namespace slipway::multicast::test
