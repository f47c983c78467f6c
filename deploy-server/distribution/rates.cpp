// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/rates.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>

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

std::vector<std::uint64_t> fair_shares(std::uint64_t total, std::span<const std::uint64_t> ceilings) {
    std::vector<std::uint64_t> out(ceilings.begin(), ceilings.end());
    if (total == 0) return out;
    std::vector<std::size_t> order(out.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto least = [&](std::size_t i) {
        return ceilings[i] ? ceilings[i] : std::numeric_limits<std::uint64_t>::max();
    };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return least(a) < least(b); });
    auto left = total;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto equal = left / (order.size() - i);
        // 0 would be "no limit".
        out[order[i]] = std::max<std::uint64_t>(1, std::min(least(order[i]), equal));
        left -= std::min(left, out[order[i]]);
    }
    return out;
}

void Sharing::share(std::vector<Flow>& flows, const DistributionSettings& settings, std::span<const Ceiling> given,
                    unsigned minute) {
    const auto usual = job_rate(settings, minute);
    const auto ceiling_of = [&](std::int64_t job) {
        for (const auto& c : given)
            if (c.job == job) return c.rate;
        return usual;
    };
    // A job that goes out by several interfaces has its ceiling on each of them, by the number of its flows there.
    std::map<std::int64_t, std::size_t> sizes;
    for (const auto& flow : flows) ++sizes[flow.job];
    std::map<IpAddress, std::map<std::int64_t, std::vector<Flow*>>> by_interface;
    for (auto& flow : flows) by_interface[flow.interface][flow.job].push_back(&flow);
    for (auto& [interface, jobs] : by_interface) {
        std::vector<std::uint64_t> ceilings;
        for (const auto& [job, members] : jobs) {
            const auto whole = ceiling_of(job);
            ceilings.push_back(whole ? std::max<std::uint64_t>(1, whole * members.size() / sizes[job]) : 0);
        }
        const auto shares = fair_shares(interface_rate(settings, interface, minute), ceilings);
        std::size_t at = 0;
        for (auto& [job, members] : jobs) {
            const auto share = shares[at++];
            for (auto* flow : members) flow->rate = share ? std::max<std::uint64_t>(1, share / members.size()) : 0;
        }
    }
}

void Meter::turn(Instant now) {
    if (now > last_ && rate_ > 0)
        passed_ += static_cast<double>(rate_) / 8 * std::chrono::duration<double>(now - last_).count();
    last_ = std::max(last_, now);
    // What was not used is lost.
    if (rate_ == 0 || passed_ > end_) passed_ = end_;
}

void Meter::set_rate(std::uint64_t bits, Instant now) {
    turn(now);
    rate_ = bits;
    turn(now);
}

double Meter::add(std::size_t bytes, Instant now) {
    turn(now);
    end_ += static_cast<double>(bytes);
    return end_;
}

Instant Meter::due(double place, Instant now) {
    turn(now);
    if (place <= passed_) return now;
    const auto seconds = std::min(86400.0, (place - passed_) * 8 / static_cast<double>(rate_));
    return now + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9) + 1);
}

double Meter::waiting(Instant now) {
    turn(now);
    return end_ - passed_;
}

}  // namespace slipway::server
