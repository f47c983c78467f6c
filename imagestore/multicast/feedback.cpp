// SPDX-License-Identifier: GPL-3.0-or-later
// What the receivers' reports say of the rate.
#include <algorithm>
#include <bit>
#include <utility>

#include "imagestore/multicast/middle.hpp"
#include "imagestore/multicast/sender.hpp"

namespace slipway::multicast {

namespace {

// So much older than what is sent now: they do not keep up, or might not at more.
constexpr std::chrono::milliseconds kLagging{300}, kNoLag{150};
constexpr std::chrono::milliseconds kToldOf{100};
constexpr double kGoesBy = 0.75;    // of the rate
constexpr double kOverload = 0.15;  // losses of most receivers beyond it are of one cause, whichever packets they hit
constexpr std::uint64_t kEnough = 128;  // packets, to speak of a share of them
constexpr std::chrono::milliseconds kTimesApart{2};
constexpr std::size_t kKeptTimes = 8192;  // eight seconds at least
// Of a round trip: more is a machine that is behind, less is not told apart from how it batches.
constexpr std::chrono::milliseconds kLeastTrip{2}, kMostTrip{150};
constexpr double kUsualTrip = 0.02, kTripWeight = 0.1;

}  // namespace

// A receiver with deep buffers tells of what was sent seconds ago, and of a part that came whole. So it becomes faster
// only by what most have told of all that went out since the rate changed last, and where that went by as it was sent
// (as RFC 5348, 4.3, bounds a rate by what is received).
void Sender::look_at_losses(Instant now) {
    if (now < next_look_) return;
    const auto most = loss_of_most();
    auto losses = common_losses();
    if (most && *most > kOverload) losses.share = std::max(losses.share, *most);
    const auto lag = lag_of_most();
    const bool keeps_up = most && lag <= kNoLag && passes_most() >= kGoesBy * static_cast<double>(pace_.rate());
    const bool loses = losses.event || losses.share > Pace::kBearable;
    if (!loses && lag <= kLagging && !keeps_up) return;
    next_look_ = now + Pace::kReact;
    const bool searched = pace_.searching();
    const bool other = lag > kLagging && !loses ? pace_.on_lag(most_take())
                       : loses || keeps_up      ? pace_.on_losses(losses, now)
                                                : false;
    if (losses.event) {
        loss_events_.lowered(now);
        if (searched) loss_events_.begin(events_at(packet_bytes(), round_trip(), static_cast<double>(pace_.rate())));
    }
    if (!other) return;
    rate_since_ = number_;
    told_ = lost_ = 0;
}

// Machines that are slower than the line lose each other packets than the next: none is missed by all of them. But
// where most lose much, it is the rate that they cannot hold, and moving one after the other aside would be wrong.
// What they lost at an earlier rate says nothing; nothing while most have told of no other.
std::optional<double> Sender::loss_of_most() const {
    std::vector<double> losses;
    for (const auto& [number, member] : audience_)
        if (member.told_from >= rate_since_) losses.push_back(member.told_loss);
    if (losses.size() * 2 <= audience_.size()) return std::nullopt;
    return middle_of(std::move(losses));
}

// A packet is lost to most when it is to three of four; of one alone, when it is to that one.
Pace::Losses Sender::common_losses() {
    Pace::Losses out;
    // Seconds behind, it is no line that is full: on_lag() is for those.
    const bool counts = lag_of_most() <= kLagging;
    const auto trip = round_trip();
    for (const auto& block : common_.take(audience_.size())) {
        if (block.block * kToldPackets >= rate_since_)
            told_ += kToldPackets, lost_ += static_cast<unsigned>(std::popcount(block.lost));
        if (!counts) continue;
        for (unsigned i = 0; i < kToldPackets; ++i) {
            const auto sent = block.lost >> i & 1 ? sent_at(block.block * kToldPackets + i) : std::nullopt;
            if (!sent) loss_events_.passed(1);
            else out.event |= loss_events_.lost(*sent, trip);
        }
    }
    if (told_ >= kEnough)
        out.share = static_cast<double>(std::exchange(lost_, 0)) / static_cast<double>(std::exchange(told_, 0));
    out.fair = tcp_rate(packet_bytes(), trip, loss_events_.rate());
    return out;
}

double Sender::packet_bytes() const {
    return static_cast<double>(kHeaderBytes + kDataHeadBytes + options_.symbol_bytes + kTagBytes + options_.per_packet);
}

Instant::duration Sender::round_trip() const {
    std::vector<double> trips;
    for (const auto& [number, member] : audience_)
        if (member.round_trip) trips.push_back(*member.round_trip);
    const auto middle = std::chrono::duration<double>(trips.empty() ? kUsualTrip : middle_of(std::move(trips)));
    return std::clamp<Instant::duration>(std::chrono::duration_cast<Instant::duration>(middle), kLeastTrip, kMostTrip);
}

void Sender::note_losses(Member& member, const ReportBody& report) {
    if (report.block >= number_ / kToldPackets) return;
    const auto known = std::exchange(member.told_block, std::max(member.told_block, report.block + 1));
    for (std::size_t i = 0; i < report.lost.size(); ++i) {
        const auto back = std::uint64_t{i} << report.stride;
        if (back > report.block || report.block - back < known) return;
        common_.add(report.block - back, report.lost[i]);
    }
}

void Sender::note_sent(Instant now) {
    if (!when_.empty() && now - when_.back().second < kTimesApart) return;
    when_.emplace_back(number_ - 1, now);
    if (when_.size() > kKeptTimes) when_.pop_front();
}

// Nothing: too long ago.
std::optional<Instant> Sender::sent_at(std::uint64_t number) const {
    const auto after = std::upper_bound(when_.begin(), when_.end(), number,
                                        [](std::uint64_t n, const auto& at) { return n < at.first; });
    return after == when_.begin() ? std::nullopt : std::optional(std::prev(after)->second);
}

// One with deep buffers is seconds behind before it loses any. A few packets say nothing of a rate.
void Sender::note_told(Member& member, const ReportBody& report, Instant now) const {
    if (report.expected > number_ || report.newest >= number_) return;
    // What is older than the oldest that is known is as old as that.
    const auto sent = sent_at(report.newest).value_or(when_.empty() ? now : when_.front().second);
    member.lag = std::max(Instant::duration{}, now - sent - std::chrono::milliseconds(report.held_ms));
    const auto trip = std::chrono::duration<double>(member.lag).count();
    member.round_trip = member.round_trip.value_or(trip) * (1 - kTripWeight) + trip * kTripWeight;
    member.telling_expected += report.expected;
    member.telling_received += std::min(report.received, report.expected);
    const auto since = now - member.telling_since;
    if (since < kToldOf || member.telling_expected == 0) return;
    const auto bits = [&](std::uint64_t packets) {
        return 8.0 * static_cast<double>(packets * (options_.symbol_bytes + options_.per_packet)) /
               std::chrono::duration<double>(since).count();
    };
    member.told_from = report.newest + 1 - std::min(member.telling_expected, report.newest + 1);
    member.told_loss = 1 - static_cast<double>(member.telling_received) / static_cast<double>(member.telling_expected);
    member.passes = bits(member.telling_expected);
    member.took = std::exchange(member.takes, bits(member.telling_received));
    member.telling_since = now;
    member.telling_expected = member.telling_received = 0;
}

// How fast what is sent goes by at the middle one, lost or not: less than the rate, where it waits in buffers.
double Sender::passes_most() const {
    std::vector<double> bits;
    for (const auto& [number, member] : audience_) bits.push_back(member.passes);
    return middle_of(std::move(bits));
}

Instant::duration Sender::lag_of_most() const {
    std::vector<double> lags;
    for (const auto& [number, member] : audience_) lags.push_back(static_cast<double>(member.lag.count()));
    return Instant::duration(static_cast<std::int64_t>(middle_of(std::move(lags))));
}

// A machine that stood still for one report's time has taken nothing in that: the better of two counts.
double Sender::most_take() const {
    std::vector<double> bits;
    for (const auto& [number, member] : audience_)
        if (member.lag > kLagging) bits.push_back(std::max(member.takes, member.took));
    return middle_of(std::move(bits));
}

}  // namespace slipway::multicast
