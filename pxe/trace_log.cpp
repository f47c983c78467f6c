// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/trace_log.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::pxe {

namespace {

constexpr std::size_t kAtOnce = 500;              // events in one answer
constexpr std::chrono::milliseconds kGather{20};  // so that a burst is one answer
constexpr std::size_t kMaxWaiters = 64;
constexpr unsigned kLooksPerSecond = 100;

}  // namespace

TraceLog::TraceLog(const Clock& clock, std::function<std::optional<MacAddress>(Ipv4Address)> neighbour,
                   TraceLimits limits)
    : clock_(clock), neighbour_(std::move(neighbour)), store_(limits), thread_([this] { run(); }) {}

TraceLog::~TraceLog() { stop(); }

void TraceLog::note(const MacAddress& mac, EventDetail detail) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    store_.add(mac, clock_.wall(), std::move(detail));
    if (waiters_.empty()) return;
    news_ = true;
    wake_.notify_one();
}

void TraceLog::note(Ipv4Address address, EventDetail detail) {
    std::optional<MacAddress> mac;
    {
        std::lock_guard lock(mutex_);
        mac = owner_of(address);
    }
    if (mac) note(*mac, std::move(detail));
}

std::optional<MacAddress> TraceLog::owner_of(Ipv4Address address) {
    if (auto mac = store_.owner(address)) return mac;
    auto mac = neighbour_of(address);
    return mac && store_.knows(*mac) ? mac : std::nullopt;
}

std::optional<MacAddress> TraceLog::neighbour_of(Ipv4Address address) {
    // The kernel's table is read line by line: whoever makes up addresses must not keep the boot service at it.
    if (!neighbour_) return std::nullopt;
    if (clock_.now() >= looks_until_) {
        looks_ = 0;
        looks_until_ = clock_.now() + std::chrono::seconds(1);
    }
    if (++looks_ > kLooksPerSecond) return std::nullopt;
    return neighbour_(address);
}

std::vector<MacAddress> TraceLog::holders(Ipv4Address address) {
    std::lock_guard lock(mutex_);
    std::vector<MacAddress> out;
    if (auto mac = neighbour_of(address)) out.push_back(*mac);
    if (auto mac = store_.owner(address); mac && out != std::vector{*mac}) out.push_back(*mac);
    return out;
}

bool TraceLog::knows(const MacAddress& mac) const {
    std::lock_guard lock(mutex_);
    return store_.knows(mac);
}

void TraceLog::claim(Ipv4Address address, const MacAddress& mac) {
    std::lock_guard lock(mutex_);
    store_.claim(address, mac);
}

std::optional<TraceLog::News> TraceLog::news_for(std::uint64_t after, const std::optional<MacAddress>& mac) const {
    // An id of an earlier life of the server: from the beginning.
    if (after > store_.last_id()) after = 0;
    auto events = store_.after(after, mac, kAtOnce);
    if (events.empty()) return std::nullopt;
    auto last = events.back().id;
    return News{std::move(events), last};
}

void TraceLog::wait(std::uint64_t after, std::optional<MacAddress> mac, std::chrono::milliseconds patience,
                    std::function<void(News)> done) {
    News news{{}, after};
    {
        std::lock_guard lock(mutex_);
        auto there = news_for(after, mac);
        if (there) {
            news = std::move(*there);
        } else if (!stopping_ && patience.count() > 0 && waiters_.size() < kMaxWaiters) {
            waiters_.push_back({after, mac, Instant::clock::now() + patience, std::move(done)});
            wake_.notify_one();  // it may be the next to give up
            return;
        }
    }
    done(std::move(news));
}

void TraceLog::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        auto next = Instant::clock::now() + std::chrono::minutes(1);
        for (const auto& w : waiters_) next = std::min(next, w.until);
        if (!news_) wake_.wait_until(lock, next);
        if (news_ && !stopping_) {  // what comes with it comes along
            wake_.wait_for(lock, kGather, [this] { return stopping_; });
        }
        news_ = false;
        auto now = Instant::clock::now();
        std::vector<std::pair<Waiter, News>> served;
        for (auto it = waiters_.begin(); it != waiters_.end();) {
            auto news = news_for(it->after, it->mac);
            if (!news && it->until > now && !stopping_) {
                ++it;
                continue;
            }
            served.emplace_back(std::move(*it), news ? std::move(*news) : News{{}, it->after});
            it = waiters_.erase(it);
        }
        lock.unlock();
        for (auto& [waiter, news] : served) waiter.done(std::move(news));
        lock.lock();
    }
}

std::uint64_t TraceLog::last_id() const {
    std::lock_guard lock(mutex_);
    return store_.last_id();
}
std::vector<BootEvent> TraceLog::of(const MacAddress& mac) const {
    std::lock_guard lock(mutex_);
    return store_.of(mac);
}
std::vector<Ipv4Address> TraceLog::addresses(const MacAddress& mac) const {
    std::lock_guard lock(mutex_);
    return store_.addresses(mac);
}
std::vector<MacAddress> TraceLog::machines() const {
    std::lock_guard lock(mutex_);
    return store_.machines();
}

void TraceLog::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    std::vector<Waiter> left;
    {
        std::lock_guard lock(mutex_);
        left.swap(waiters_);
    }
    for (auto& w : left) w.done({{}, w.after});
}

std::optional<MacAddress> neighbour_in(std::string_view table, Ipv4Address address) {
    auto wanted = address.text();
    for (const auto& line : split(table, '\n')) {
        std::vector<std::string> words;
        for (auto& word : split(line, ' '))
            if (!word.empty()) words.push_back(std::move(word));
        if (words.size() < 4 || words[0] != wanted) continue;
        auto mac = MacAddress::parse(words[3]);
        if (mac && !mac->is_zero()) return mac;
    }
    return std::nullopt;
}

}  // namespace slipway::pxe
