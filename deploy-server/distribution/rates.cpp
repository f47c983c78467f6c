// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/rates.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "lib/base/strings.hpp"

namespace slipway::server {

std::optional<unsigned> parse_day_minute(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon > 2 || text.size() != colon + 3) return std::nullopt;
    const auto hour = parse_u64(text.substr(0, colon)), minute = parse_u64(text.substr(colon + 1));
    if (!hour || !minute || *minute > 59 || *hour > 24 || (*hour == 24 && *minute > 0)) return std::nullopt;
    return static_cast<unsigned>(*hour * 60 + *minute);
}

std::string day_minute_text(unsigned minute) { return fmt::format("{:02}:{:02}", minute / 60, minute % 60); }

const RateWindow* window_at(std::span<const RateWindow> windows, unsigned minute) {
    for (const auto& w : windows)
        if (w.from < w.to ? minute >= w.from && minute < w.to : minute >= w.from || minute < w.to) return &w;
    return nullptr;
}

unsigned day_minute(WallTime now) {
    const auto seconds = std::chrono::system_clock::to_time_t(now);
    std::tm local{};
    ::localtime_r(&seconds, &local);
    return static_cast<unsigned>(local.tm_hour * 60 + local.tm_min);
}

std::uint64_t job_rate(const DistributionSettings& settings, unsigned minute) {
    const auto* window = window_at(settings.windows, minute);
    return window ? window->rate : settings.rate;
}

std::uint64_t interface_rate(const DistributionSettings& settings, const IpAddress& interface, unsigned minute) {
    for (const auto& limit : settings.limits) {
        if (limit.interface != interface) continue;
        const auto* window = window_at(settings.windows, minute);
        return window ? window->rate : limit.rate;
    }
    return 0;
}

namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// Fills all alike, by weight, each up to its limit, until nothing is left.
std::vector<double> fill(double total, std::span<const Claim> claims, const std::vector<double>& limits) {
    std::vector<std::size_t> order(claims.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto level = [&](std::size_t i) { return limits[i] / claims[i].weight; };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return level(a) < level(b); });
    double weights = 0;
    for (const auto& claim : claims) weights += claim.weight;
    std::vector<double> out(claims.size());
    for (const auto i : order) {
        out[i] = std::min(limits[i], total * claims[i].weight / weights);
        total -= out[i];
        weights -= claims[i].weight;
    }
    return out;
}

double limit_of(std::uint64_t bits) { return bits ? static_cast<double>(bits) : kNoLimit; }

}  // namespace

std::vector<std::uint64_t> fair_shares(std::uint64_t total, std::span<const Claim> claims) {
    std::vector<std::uint64_t> out;
    if (total == 0) {
        for (const auto& claim : claims) out.push_back(claim.most);
        return out;
    }
    std::vector<double> limits;
    for (const auto& claim : claims) limits.push_back(std::min(limit_of(claim.wants), limit_of(claim.most)));
    const auto wanted = fill(static_cast<double>(total), claims, limits);
    for (std::size_t i = 0; i < claims.size(); ++i) limits[i] = limit_of(claims[i].most) - wanted[i];
    const auto left = static_cast<double>(total) - std::accumulate(wanted.begin(), wanted.end(), 0.0);
    const auto more = fill(std::max(0.0, left), claims, limits);
    for (std::size_t i = 0; i < claims.size(); ++i)  // 0 would be "no limit"
        out.push_back(std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted[i] + more[i] + 0.5)));
    return out;
}

namespace {

// Of flows that are shared as one.
Claim together(std::span<Sharing::Flow* const> flows) {
    Claim out{0, 0, 0};
    bool known = true;
    for (const auto* flow : flows) {
        out.weight += flow->weight;
        out.wants += flow->wants;
        known = known && flow->wants > 0;
    }
    if (!known) out.wants = 0;
    return out;
}

}  // namespace

void Sharing::share(std::vector<Flow>& flows, const DistributionSettings& settings, std::span<const Ceiling> given,
                    unsigned minute) {
    const auto usual = job_rate(settings, minute);
    const auto ceiling_of = [&](std::int64_t job) {
        for (const auto& c : given)
            if (c.job == job) return c.rate;
        return usual;
    };
    struct Part {  // what of a job goes out by one interface
        std::int64_t job;
        std::vector<Flow*> flows;
        std::uint64_t most = 0;
    };
    std::map<IpAddress, std::vector<Part>> interfaces;
    std::map<std::int64_t, std::map<IpAddress, std::vector<Flow*>>> jobs;
    for (auto& flow : flows) jobs[flow.job][flow.interface].push_back(&flow);
    for (auto& [job, parts] : jobs) {
        std::vector<Claim> claims;
        for (const auto& [interface, members] : parts) claims.push_back(together(members));
        const auto ceiling = ceiling_of(job);
        const auto shares = fair_shares(ceiling, claims);
        std::size_t at = 0;
        for (auto& [interface, members] : parts)
            interfaces[interface].push_back({job, std::move(members), ceiling ? shares[at++] : 0});
    }
    for (auto& [interface, parts] : interfaces) {
        std::vector<Claim> claims;
        for (const auto& part : parts) claims.push_back({1, together(part.flows).wants, part.most});
        const auto shares = fair_shares(interface_rate(settings, interface, minute), claims);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            std::vector<Claim> members;
            for (const auto* flow : parts[i].flows) members.push_back({flow->weight, flow->wants, 0});
            const auto rates = fair_shares(shares[i], members);
            for (std::size_t j = 0; j < rates.size(); ++j) parts[i].flows[j]->rate = rates[j];
        }
    }
}

namespace {

using namespace std::chrono_literals;

constexpr auto kSeen = 4s;          // over which use is measured
constexpr auto kKnown = 2s;         // not by less
constexpr auto kLookEvery = 200ms;  // at the most
constexpr double kRoom = 1.25;      // what it is given beyond what it used, to become faster
constexpr double kLeast = 1e6;      // and at least that, bits a second
constexpr double kGrows = 1.5;      // with each look at which it was held back
constexpr double kShrinks = 0.9;    // at the most, with each
constexpr double kAtCeiling = 0.8;  // of the ceiling: it is held back

double bits_a_second(std::uint64_t bytes, Instant::duration time) {
    return static_cast<double>(bytes) * 8 / std::chrono::duration<double>(time).count();
}

}  // namespace

void Use::look(std::uint64_t sent, std::uint64_t ceiling, Instant now) {
    if (!seen_.empty() && now - seen_.back().first < kLookEvery) return;
    if (even_ && !seen_.empty() && ceiling > 0)
        held_ |= bits_a_second(sent - seen_.back().second, now - seen_.back().first) >=
                 kAtCeiling * static_cast<double>(ceiling);
    seen_.emplace_back(now, sent);
    while (now - seen_.front().first > kSeen) seen_.pop_front();
    const bool held = std::exchange(held_, false);
    if (ceiling == 0) {
        wants_ = 0;
    } else if (held) {
        if (wants_ > 0) wants_ = std::max(wants_, static_cast<double>(ceiling)) * kGrows;
    } else if (const auto time = now - seen_.front().first; time >= kKnown) {
        const auto used = bits_a_second(sent - seen_.front().second, time) * kRoom + kLeast;
        wants_ = wants_ > 0 ? std::max(used, wants_ * kShrinks) : used;
    }
}

std::size_t chunks_of_an_answer(std::uint64_t bits) {
    constexpr std::uint64_t kMost = 8, kChunkBits = std::uint64_t{8} << 20;
    return static_cast<std::size_t>(bits == 0 ? kMost : std::clamp<std::uint64_t>(bits / 4 / kChunkBits, 1, kMost));
}

void Meter::turn(Instant now) {
    if (now > last_ && rate_ > 0)
        passed_ += static_cast<double>(rate_) / 8 * std::chrono::duration<double>(now - last_).count();
    last_ = std::max(last_, now);
    // What was not used is lost.
    if (rate_ == 0) passed_ = end_;
    passed_ = std::min(passed_, end_ + last_size_);
}

void Meter::set_rate(std::uint64_t bits, Instant now) {
    turn(now);
    rate_ = bits;
    turn(now);
}

double Meter::add(std::size_t bytes, Instant now) {
    turn(now);
    end_ += static_cast<double>(bytes);
    last_size_ = static_cast<double>(bytes);
    return end_;
}

void Meter::take_back(std::size_t bytes, Instant now) {
    turn(now);
    end_ -= static_cast<double>(bytes);
    turn(now);
}

Instant Meter::due(double place, Instant now) {
    turn(now);
    if (place <= passed_) return now;
    const auto seconds = std::min(86400.0, (place - passed_) * 8 / static_cast<double>(rate_));
    return now + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9) + 1);
}

double Meter::waiting(Instant now) {
    turn(now);
    return std::max(0.0, end_ - passed_);
}

}  // namespace slipway::server
