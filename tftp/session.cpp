// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/session.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::tftp {

std::string_view name_of(State state) {
    switch (state) {
        case State::Negotiating: return "negotiating";
        case State::Offering: return "offering";
        case State::Sending: return "sending";
        case State::Finished: return "finished";
        case State::Failed: return "failed";
    }
    return "?";
}

ReadSession::ReadSession(const Request& request, std::size_t request_bytes, std::uint64_t size, const Limits& limits)
    : size_(size), timer_(limits), credit_(request_bytes), handshake_(limits.handshake) {
    negotiate(request.options, limits);
    fit_option_ack();
    blocks_ = size_ / block_ + 1;
}

void ReadSession::negotiate(const OptionList& asked, const Limits& limits) {
    for (const auto& row : kOptions) {
        auto value = value_of(asked, row);
        if (!value) continue;
        switch (row.option) {
            case Option::BlockSize:
                block_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits.max_block));
                break;
            case Option::Timeout: timer_.fix(std::chrono::seconds(*value)); break;
            case Option::TransferSize:
                // Quirk: curl 7.88 takes a size of 0 in an OACK for damage (error 71), so that of an empty file is
                // not told.
                if (size_ == kUnknownSize || size_ == 0) continue;
                value = size_;
                break;
            case Option::WindowSize:
                window_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits.max_window));
                break;
        }
        option_ack_.options.emplace_back(row.name, std::to_string(*value));
    }
}

// Only the size can have grown, by its digits, and only beside a very short name: then it is not told.
void ReadSession::fit_option_ack() {
    if (encode_packet(option_ack_).size() <= credit_) return;
    std::erase_if(option_ack_.options, [](const auto& o) { return o.first == "tsize"; });
}

Step ReadSession::start(Instant now) {
    state_ = option_ack_.options.empty() ? State::Offering : State::Negotiating;
    silent_since_ = now;
    return offer(now, false);
}

Step ReadSession::offer(Instant now, bool again) {
    if (state_ == State::Negotiating) {
        sent(now, again);
        credit_ -= std::min<std::uint64_t>(credit_, encode_packet(option_ack_).size());
        return {.option_ack = true};
    }
    credit_ = 0;
    return send_window(now, again);
}

Step ReadSession::on_request(std::size_t request_bytes, Instant now) {
    if (ended() || proved_) return {};
    credit_ += request_bytes;
    silent_since_ = now;
    return offer(now, true);
}

Step ReadSession::on_packet(const Packet& packet, Instant now) {
    if (ended()) return {};
    if (const auto* ack = std::get_if<Ack>(&packet)) return on_ack(ack->block, now);
    if (const auto* error = std::get_if<ErrorPacket>(&packet))
        return fail(
            fmt::format("the client ended it: {} {}", static_cast<unsigned>(error->code), printable(error->message)));
    return fail("a packet out of place", ErrorPacket{ErrorCode::IllegalOperation, "a read transfer is under way here"});
}

Step ReadSession::on_ack(std::uint16_t block, Instant now) {
    if (state_ == State::Negotiating) {
        if (block != 0) return {};
        progress(now);
        return send_window(now, false);
    }
    // The block in [acked, sent] with these low 16 bits; there is at most one, since a window is shorter than 65536.
    auto ahead = static_cast<std::uint16_t>(block - static_cast<std::uint16_t>(acked_));
    if (ahead > sent_ - acked_) return {};
    if (ahead == 0) return on_duplicate();
    if (ahead < sent_ - acked_) ++repeats_;  // a gap in the window
    progress(now);
    acked_ += ahead;
    if (acked_ == blocks_) {
        state_ = State::Finished;
        return {};
    }
    return send_window(now, false);
}

void ReadSession::progress(Instant now) {
    if (!sent_again_) timer_.measured(now - sent_at_);  // else nobody knows which of them is acknowledged (Karn)
    timer_.progress();
    recovered_ = repeats_;
    state_ = State::Sending;
    proved_ = true;
    hurried_ = false;
}

// Answering a duplicate with data would double every packet from here on (the Sorcerer's Apprentice). In a window it
// may also say that the first block of it was lost (RFC 7440 §4): if so, nothing better comes within a round trip, and
// then the window is sent again; if it was a mere duplicate, the acknowledgement of this window comes first.
Step ReadSession::on_duplicate() {
    if (window_ == 1 || hurried_ || !timer_.round_trip()) return {};
    hurried_ = true;
    deadline_ = std::min(deadline_, sent_at_ + 2 * *timer_.round_trip() + std::chrono::milliseconds(1));
    return {};
}

Step ReadSession::on_time(Instant now) {
    if (ended() || now < deadline_) return {};
    if (!proved_) return on_time_unproved(now);
    if (timer_.give_up()) return fail("the client went silent", ErrorPacket{ErrorCode::NotDefined, "timeout"});
    timer_.tried();
    return send_window(now, true);
}

// Nothing more is said to an address that never answered than it has paid for.
Step ReadSession::on_time_unproved(Instant now) {
    if (now - silent_since_ >= handshake_) return fail("the client never answered");
    if (state_ == State::Negotiating && encode_packet(option_ack_).size() <= credit_) {
        timer_.tried();
        return offer(now, true);
    }
    deadline_ = silent_since_ + handshake_;
    return {};
}

void ReadSession::sent(Instant now, bool again) {
    sent_at_ = now;
    sent_again_ = again;
    deadline_ = now + timer_.wait();
}

Step ReadSession::send_window(Instant now, bool again) {
    sent(now, again);
    auto count = std::min<std::uint64_t>(window_, blocks_ - acked_);
    auto last = acked_ + count;
    resent_ += std::min(sent_, last) - acked_;
    if (again && proved_) ++repeats_;
    sent_ = std::max(sent_, last);
    return {.first = acked_ + 1, .count = static_cast<std::uint32_t>(count)};
}

void ReadSession::ends_at(std::uint64_t size) {
    size_ = size;
    blocks_ = size_ / block_ + 1;
    sent_ = std::min(sent_, blocks_);
}

Step ReadSession::fail(std::string_view why, std::optional<ErrorPacket> error) {
    state_ = State::Failed;
    why_ = why;
    return {.error = std::move(error)};
}

std::uint64_t ReadSession::acknowledged() const {
    return state_ == State::Finished ? size_ : std::min(size_, acked_ * block_);
}

ReadSession::Slice ReadSession::slice(std::uint64_t block) const {
    auto offset = (block - 1) * block_;
    return {offset, static_cast<std::uint32_t>(std::min<std::uint64_t>(block_, size_ - std::min(size_, offset)))};
}

}  // namespace slipway::tftp
