// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include "deploy-server/distribution/distribution.hpp"
#include "deploy-server/distribution/errors.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kLookIn = 1s;  // on sessions: who may still come, whether anybody is heard
constexpr auto kActive = 5s;  // who asked for nothing for so long leaves its share to the others
constexpr int kReaders = 2;

}  // namespace

Distribution::Distribution(Database& db, imagestore::Store& store, const Clock& clock)
    : db_(db), store_(store), clock_(clock) {}

Distribution::~Distribution() { stop(); }

void Distribution::stop() {
    Sessions gone;
    std::vector<Waiting> waiting;
    {
        std::lock_guard hold(mutex_);
        stopped_ = true;
        gone.swap(sessions_);
        waiting = take_all();
        wake_.notify_all();
        read_wake_.notify_all();
    }
    for (auto& w : waiting) w.refuse(make_error(errors::kBusy, "the server stops"));
    if (thread_.joinable()) thread_.join();
    for (auto& reader : readers_)
        if (reader.joinable()) reader.join();
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

Result<std::int64_t> Distribution::throttle(std::int64_t job, std::uint64_t bits) {
    const auto row = TRY(db_.job(job));
    using sequences::RunState;
    if (!row || (row->state != RunState::Queued && row->state != RunState::Running))
        return make_error(errors::kNoJob, "nothing is sent for job {}: it is unknown or has ended", job);
    const auto whole = row->parent ? row->parent : job;
    TRY(db_.set_job_rate(whole, bits));
    std::lock_guard hold(mutex_);
    if (auto known = given_.find(whole); known != given_.end()) known->second = bits;
    share(Instant::clock::now());
    wake_.notify_all();
    return whole;
}

// A job whose machines come again, after a restart or a resume, has what it was given.
void Distribution::recall_rate(std::int64_t job) {
    if (given_.contains(job)) return;
    const auto row = db_.job(job);
    given_[job] = row && *row ? (*row)->rate : 0;
}

void Distribution::look_after() {
    if (!thread_.joinable() && !stopped_) {
        thread_ = std::thread([this] { run(); });
        for (int i = 0; i < kReaders; ++i) readers_.emplace_back([this] { read(); });
    }
    wake_.notify_all();
}

bool Distribution::Unicast::active(Instant now) const { return waiting > 0 || now - last < kActive; }

Distribution::Unicast& Distribution::unicast_of(const HeldTask& task, const std::string& peer_address, Instant now) {
    if (auto found = unicasts_.find(task.key); found != unicasts_.end()) return found->second;
    Unicast made{task.job, "", {}, now, 0, 0, false};
    if (const auto job = db_.job(task.job); job && *job) {
        made.device = (*job)->device;
        if ((*job)->parent) made.job = (*job)->parent;
    }
    made.interface = multicast::segment_towards(peer_address).value_or(multicast::Segment{}).address;
    recall_rate(made.job);
    rows_.try_emplace({made.job, made.interface}, Row{Meter(now)});
    auto& out = unicasts_.emplace(task.key, std::move(made)).first->second;
    share(now);
    look_after();
    return out;
}

std::size_t Distribution::chunks_at_once(const HeldTask& task, const std::string& peer_address) {
    std::uint64_t rate = 0;
    {
        std::lock_guard hold(mutex_);
        const auto& machine = unicast_of(task, peer_address, Instant::clock::now());
        rate = rows_.at({machine.job, machine.interface}).meter.rate();
    }
    forget_if_over(task.key);
    return chunks_of_an_answer(rate);
}

unsigned Distribution::active_in(const Rows::key_type& row, Instant now) const {
    return static_cast<unsigned>(std::count_if(unicasts_.begin(), unicasts_.end(), [&](const auto& u) {
        return u.second.job == row.first && u.second.interface == row.second && u.second.active(now);
    }));
}

// What each used of its share since it was looked at last.
void Distribution::measure(Instant now) {
    for (auto& [key, session] : sessions_) {
        const auto pulse = session->sending->pulse();
        if (pulse.state == multicast::SessionState::Sending) session->use.look(pulse.sent, session->ceiling, now);
        else session->use.rest();
    }
    for (auto& [key, row] : rows_) {
        if (!row.waiting.empty()) row.use.held();
        row.use.look(row.bytes, row.meter.rate(), now);
    }
}

// Who is at work shares; a session that waits, and machines that ask for nothing, have what they would get among them.
void Distribution::share(Instant now) {
    measure(now);
    const auto minute = day_minute(clock_.wall());
    std::vector<Sharing::Ceiling> given;
    for (const auto& [job, rate] : given_)
        if (rate) given.push_back({job, rate});
    std::vector<bool> active;
    std::vector<Sharing::Flow> all, working;
    const auto add = [&](std::int64_t job, const IpAddress& interface, bool works, unsigned weight, const Use& use) {
        active.push_back(works);
        all.push_back({job, interface, std::max(1u, weight), 0, 0});
        if (works) working.push_back({job, interface, std::max(1u, weight), use.wants(), 0});
    };
    for (const auto& [key, session] : sessions_) {
        using multicast::SessionState;
        const auto pulse = session->sending->pulse();
        const bool works = pulse.state == SessionState::Sending || pulse.state == SessionState::Asking;
        add(session->job, session->interface, works, pulse.listeners, session->use);
    }
    for (const auto& [key, row] : rows_) {
        const auto machines = active_in(key, now);
        add(key.first, key.second, machines > 0, machines, row.use);
    }
    Sharing::share(all, settings_, given, minute);
    Sharing::share(working, settings_, given, minute);
    std::size_t i = 0, at = 0;
    const auto next = [&] {
        const auto rate = active[i] ? working[at++].rate : all[i].rate;
        ++i;
        return rate;
    };
    for (auto& [key, session] : sessions_)
        if (const auto rate = next(); session->ceiling != rate) {
            session->ceiling = rate;
            session->sending->set_ceiling(rate);
        }
    for (auto& [key, row] : rows_) row.meter.set_rate(next(), now);
}

void Distribution::forget_those_that_are_over() {
    std::erase_if(unicasts_, [](const auto& u) { return u.second.over && u.second.waiting == 0; });
    std::set<Rows::key_type> rows;
    std::set<std::int64_t> jobs;
    for (const auto& [key, session] : sessions_) jobs.insert(session->job);
    for (const auto& [key, machine] : unicasts_) {
        rows.emplace(machine.job, machine.interface);
        jobs.insert(machine.job);
    }
    std::erase_if(rows_, [&](const auto& row) { return !rows.contains(row.first); });
    std::erase_if(given_, [&](const auto& given) { return !jobs.contains(given.first); });
}

void Distribution::run() {
    std::unique_lock lock(mutex_);
    Instant looked_in{};
    while (!stopped_) {
        const auto now = Instant::clock::now();
        if (now - looked_in >= kLookIn) {
            looked_in = now;
            lock.unlock();
            look_in_on_sessions(now);
            lock.lock();
            continue;
        }
        share(now);
        auto due = take_due(now);
        if (due.empty()) {
            wake_.wait_until(lock, next_due(now));
            continue;
        }
        for (auto& answer : due) reads_.push_back(std::move(answer));
        read_wake_.notify_all();
    }
}

std::vector<Distribution::UnicastView> Distribution::unicasts() {
    std::lock_guard hold(mutex_);
    const auto now = Instant::clock::now();
    std::vector<UnicastView> out;
    for (const auto& [key, machine] : unicasts_) {
        const Rows::key_type row{machine.job, machine.interface};
        // Its part of what its row may send.
        const auto rate = rows_.at(row).meter.rate();
        const auto machines = std::max(1u, active_in(row, now));
        out.push_back({machine.job, machine.device, machine.interface,
                       rate ? std::max<std::uint64_t>(1, rate / machines) : 0, machine.bytes});
    }
    return out;
}

}  // namespace slipway::server
