// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/sending.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"

namespace slipway::multicast {

namespace {

using namespace std::chrono_literals;

constexpr int kAtOnce = 64;          // packets before others have their turn at the session
constexpr int kReportsAtOnce = 128;  // and before packets are sent: whoever floods its port does not stop it
constexpr auto kLeastSleep = 500us;  // the pace makes up for it
constexpr auto kCount = 100ms;       // its pulse, when nothing else changes it

}  // namespace

Result<std::unique_ptr<Sending>> Sending::start(Options options, ChunkFeed feed, std::function<Key()> key) {
    options.session.sender.per_packet = headers_of(options.group.group.is_v4());
    auto socket = TRY(GroupSender::open(options.group, options.on, options.ttl, options.reports));
    std::unique_ptr<Sending> sending(
        new Sending(std::move(options), std::move(socket), std::move(feed), std::move(key)));
    if (!sending->wake_.valid()) return errno_error(errno, "an eventfd");
    sending->thread_ = std::thread([s = sending.get()] { s->run(); });
    return sending;
}

Sending::Sending(Options options, GroupSender socket, ChunkFeed feed, std::function<Key()> key)
    : options_(std::move(options)),
      socket_(std::move(socket)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      session_(options_.session, std::move(feed), std::move(key), Instant::clock::now()) {}

static std::string_view why(AsideReason reason) {
    switch (reason) {
        case AsideReason::None: return "the session has no more that it lacks";
        case AsideReason::Loss: return "it loses much more than the others";
        case AsideReason::Disk: return "its disk is much slower than the others'";
        case AsideReason::Silent: return "it was not heard any more";
        case AsideReason::Asked: return "it hears no multicast, or has asked for it";
        case AsideReason::Vain: return "nothing that is sent reaches it";
        case AsideReason::Mute: return "no report of it arrives here";
    }
    return "";
}

void Sending::log_unicast(std::uint32_t number) const {
    for (const auto& m : look().members)
        if (m.number == number && m.present)
            log::info("multicast", "{} goes on by unicast, lacking {} of {} chunks: {}", m.name, m.lacking,
                      options_.session.sender.chunks, why(m.aside));
}

void Sending::wake() const {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

// The session's thread looks again afterwards.
template <class F>
auto Sending::with(F&& f) {
    struct Wake {
        const Sending& sending;
        ~Wake() { sending.wake(); }
    } wake{*this};
    struct Count {
        Sending& sending;
        ~Count() { sending.take_pulse(); }
    };
    const auto held = hold();
    const Count count{*this};
    return f(Instant::clock::now());
}

std::unique_lock<std::mutex> Sending::hold() const {
    const std::lock_guard turn(turn_);
    return std::unique_lock(mutex_);
}

void Sending::take_pulse() {
    const auto& sender = session_.sender();
    state_ = session_.state();
    listeners_ = session_.listeners();
    rate_ = sender.rate();
    sent_ = sender.counts().bytes;
    reports_ = sender.counts().reports;
}

Sending::Pulse Sending::pulse() const { return {state_, listeners_, rate_, sent_, reports_}; }

Sending::~Sending() {
    with([&](Instant) { stopped_ = true; });
    if (thread_.joinable()) thread_.join();
}

Session::Grant Sending::join(const std::string& name, std::vector<bool> wanted) {
    return with([&](Instant now) { return session_.join(name, std::move(wanted), now); });
}
Advice Sending::tell(std::uint32_t number, std::vector<bool> wanted, bool asks_unicast) {
    const auto advice = with([&](Instant now) { return session_.tell(number, std::move(wanted), asks_unicast, now); });
    if (advice == Advice::Unicast) log_unicast(number);
    return advice;
}
void Sending::leave(std::uint32_t number) {
    with([&](Instant) { session_.leave(number); });
}
void Sending::expect(unsigned receivers) {
    expected_ = receivers;
    wake();
}
void Sending::finish() {
    with([&](Instant now) { session_.finish(now); });
}
void Sending::set_ceiling(std::uint64_t bits) {
    ceiling_ = static_cast<std::int64_t>(bits);
    wake();
}
void Sending::carry_out_orders(Instant now) {
    if (const auto receivers = expected_.exchange(0)) session_.expect(receivers, now);
    if (const auto bits = ceiling_.exchange(kAsBefore); bits != kAsBefore)
        session_.set_ceiling(static_cast<std::uint64_t>(bits));
}
void Sending::pause(bool paused) {
    with([&](Instant now) { session_.pause(paused, now); });
}

Sending::Look Sending::look() const {
    const auto held = hold();
    const auto& sender = session_.sender();
    return {session_.state(), sender.round(), sender.rate(), sender.counts(), session_.members()};
}

std::vector<Session::BadChunk> Sending::take_bad_chunks() {
    const auto held = hold();
    return session_.take_bad_chunks();
}

void Sending::run() {
    Instant counted{};
    while (true) {
        Instant until;
        {
            const auto held = hold();
            if (stopped_) return;
            auto now = Instant::clock::now();
            carry_out_orders(now);
            bool more = true;
            for (int i = 0; more && i < kReportsAtOnce; ++i) {
                const auto report = socket_.receive();
                if (report) session_.on_packet(*report, now);
                more = report.has_value();
            }
            if (!send_what_is_due(now)) until = now + kLeastSleep;
            else until = session_.deadline(now);
            if (now - counted >= kCount || session_.state() != state_) {
                counted = now;
                take_pulse();
            }
        }
        wait(until);
    }
}

// False: the interface takes no more for now.
bool Sending::send_what_is_due(Instant now) {
    for (int i = 0; i < kAtOnce; ++i) {
        if (!held_) held_ = session_.poll(now);
        if (!held_) return true;
        if (!socket_.send(*held_)) return false;
        held_.reset();
    }
    return true;
}

void Sending::wait(Instant until) {
    const auto now = Instant::clock::now();
    if (until <= now) return;
    const auto left =
        std::min<std::chrono::nanoseconds>(std::max<std::chrono::nanoseconds>(until - now, kLeastSleep), 1s);
    const timespec limit{static_cast<time_t>(left.count() / 1'000'000'000),
                         static_cast<long>(left.count() % 1'000'000'000)};
    pollfd fds[] = {{socket_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    (void)::ppoll(fds, 2, &limit, nullptr);
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
}

}  // namespace slipway::multicast
