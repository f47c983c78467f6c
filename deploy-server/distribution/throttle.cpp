// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "deploy-server/distribution/distribution.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 250ms;   // at the clock, and at who is at work
constexpr auto kCount = 1s;     // who may still come
constexpr auto kActive = 5s;    // who asked for nothing for so long leaves its share to the others
constexpr auto kLongest = 40s;  // an answer is held; agents take a silence of 60 s for death

}  // namespace

Distribution::Distribution(Database& db, imagestore::Store& store, const Clock& clock)
    : db_(db), store_(store), clock_(clock) {}

Distribution::~Distribution() { stop(); }

void Distribution::stop() {
    Sessions gone;
    std::vector<std::function<void()>> waiting;
    {
        std::lock_guard hold(mutex_);
        stopped_ = true;
        gone.swap(sessions_);
        waiting = take_due(Instant::clock::now(), true);
        wake_.notify_all();
    }
    for (auto& send : waiting) send();
    if (thread_.joinable()) thread_.join();
}

Status Distribution::load() {
    auto settings = TRY(db_.distribution_settings());
    std::lock_guard hold(mutex_);
    settings_ = std::move(settings);
    return {};
}

DistributionSettings Distribution::settings() const {
    std::lock_guard hold(mutex_);
    return settings_;
}

const RateWindow* Distribution::window_now(const DistributionSettings& settings) const {
    return window_at(settings.windows, day_minute(clock_.wall()));
}

Status Distribution::set(const DistributionSettings& settings) {
    TRY(db_.set_distribution_settings(settings));
    std::lock_guard hold(mutex_);
    settings_ = settings;
    share(Instant::clock::now());
    wake_.notify_all();
    return {};
}

Status Distribution::throttle(std::int64_t job, std::uint64_t bits) {
    const auto row = TRY(db_.job(job));
    using sequences::RunState;
    if (!row || (row->state != RunState::Queued && row->state != RunState::Running))
        return make_error(errors::kNoJob, "nothing is sent for job {}: it is unknown or has ended", job);
    std::lock_guard hold(mutex_);
    const auto whole = row->parent ? row->parent : job;
    if (bits) given_[whole] = bits;
    else given_.erase(whole);
    share(Instant::clock::now());
    wake_.notify_all();
    return {};
}

void Distribution::look_after() {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    wake_.notify_all();
}

Distribution::Unicast& Distribution::unicast_of(const HeldTask& task, const std::string& peer_address, Instant now) {
    if (auto found = unicasts_.find(task.key); found != unicasts_.end()) return found->second;
    Unicast made{task.job, "", {}, Meter(now), now, 0, false, {}};
    if (const auto job = db_.job(task.job); job && *job) {
        made.device = (*job)->device;
        if ((*job)->parent) made.job = (*job)->parent;
    }
    made.interface = multicast::segment_towards(peer_address).value_or(multicast::Segment{}).address;
    auto& out = unicasts_.emplace(task.key, std::move(made)).first->second;
    share(now);
    look_after();
    return out;
}

void Distribution::pass(const HeldTask& task, const std::string& peer_address, std::size_t bytes,
                        std::function<void()> send) {
    const auto now = Instant::clock::now();
    {
        std::lock_guard hold(mutex_);
        auto& flow = unicast_of(task, peer_address, now);
        const bool was_idle = now - flow.last >= kActive;
        flow.last = now;
        flow.bytes += bytes;
        if (was_idle) share(now);
        const auto place = flow.meter.add(bytes, now);
        if (!stopped_ && (!flow.row.empty() || flow.meter.due(place, now) > now)) {
            flow.row.push_back({place, now + kLongest, std::move(send)});
            wake_.notify_all();
            return;
        }
    }
    send();
}

// Who is at work shares; a session that waits, and a machine that asks for nothing, has what it would get among them.
void Distribution::share(Instant now) {
    const auto minute = day_minute(clock_.wall());
    std::vector<Sharing::Ceiling> given;
    for (const auto& [job, rate] : given_) given.push_back({job, rate});
    std::vector<Session*> sessions;
    std::vector<Unicast*> machines;
    std::vector<bool> active;
    std::vector<Sharing::Flow> all, working;
    for (auto& [key, session] : sessions_) {
        using multicast::SessionState;
        const auto state = session->sending->pulse().state;
        sessions.push_back(session.get());
        active.push_back(state == SessionState::Sending || state == SessionState::Asking);
        all.push_back({session->job, session->interface, 0});
    }
    for (auto& [key, flow] : unicasts_) {
        machines.push_back(&flow);
        active.push_back(!flow.row.empty() || now - flow.last < kActive);
        all.push_back({flow.job, flow.interface, 0});
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        if (active[i]) working.push_back(all[i]);
    Sharing::share(all, settings_, given, minute);
    Sharing::share(working, settings_, given, minute);
    for (std::size_t i = 0, at = 0; i < all.size(); ++i) {
        const auto rate = active[i] ? working[at++].rate : all[i].rate;
        if (i >= sessions.size()) {
            machines[i - sessions.size()]->meter.set_rate(rate, now);
        } else if (sessions[i]->ceiling != rate) {
            sessions[i]->ceiling = rate;
            sessions[i]->sending->set_ceiling(rate);
        }
    }
}

std::vector<std::function<void()>> Distribution::take_due(Instant now, bool all) {
    std::vector<std::function<void()>> out;
    for (auto& [key, flow] : unicasts_)
        while (!flow.row.empty()) {
            auto& first = flow.row.front();
            if (!all && flow.meter.due(first.place, now) > now && first.latest > now) break;
            flow.last = now;
            out.push_back(std::move(first.send));
            flow.row.pop_front();
        }
    std::erase_if(unicasts_, [](const auto& u) { return u.second.over && u.second.row.empty(); });
    return out;
}

Instant Distribution::next_due(Instant now) {
    if (sessions_.empty() && unicasts_.empty()) return now + 3600s;
    auto next = now + kLook;
    for (auto& [key, flow] : unicasts_)
        if (!flow.row.empty())
            next = std::min({next, flow.meter.due(flow.row.front().place, now), flow.row.front().latest});
    return next;
}

void Distribution::run() {
    std::unique_lock lock(mutex_);
    Instant counted{};
    while (!stopped_) {
        const auto now = Instant::clock::now();
        if (now - counted >= kCount) {
            counted = now;
            lock.unlock();
            count_again();
            lock.lock();
            continue;
        }
        share(now);
        auto due = take_due(now, false);
        if (due.empty()) {
            wake_.wait_until(lock, next_due(now));
            continue;
        }
        lock.unlock();
        for (auto& send : due) send();
        lock.lock();
    }
}

std::vector<Distribution::UnicastView> Distribution::unicasts() {
    std::lock_guard hold(mutex_);
    std::vector<UnicastView> out;
    for (const auto& [key, flow] : unicasts_)
        out.push_back({flow.job, flow.device, flow.interface, flow.meter.rate(), flow.bytes});
    return out;
}

}  // namespace slipway::server
