// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/session.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::tftp {

std::string_view name_of(State state) {
    switch (state) {
        case State::Negotiating: return "negotiating";
        case State::Sending: return "sending";
        case State::Finished: return "finished";
        case State::Failed: return "failed";
    }
    return "?";
}

ReadSession::ReadSession(const Request& request, std::uint64_t file_size, const Limits& limits)
    : size_(file_size), timeout_(limits.timeout), retries_left_(limits.retries), retries_(limits.retries) {
    negotiate(request.options, limits);
    blocks_ = size_ / block_ + 1;
}

void ReadSession::negotiate(const OptionList& asked, const Limits& limits) {
    for (const auto& row : kOptions) {
        auto found = std::find_if(asked.begin(), asked.end(), [&](const auto& o) { return o.first == row.name; });
        if (found == asked.end()) continue;
        auto value = parse_u64(found->second);
        if (!value || *value < row.least || *value > row.most) continue;
        switch (row.option) {
            case Option::BlockSize:
                block_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits.max_block));
                break;
            case Option::Timeout: timeout_ = std::chrono::seconds(*value); break;
            case Option::TransferSize: value = size_; break;
            case Option::WindowSize:
                window_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits.max_window));
                break;
        }
        option_ack_.options.emplace_back(row.name, std::to_string(*value));
    }
}

Step ReadSession::start(Instant now) {
    if (option_ack_.options.empty()) {
        state_ = State::Sending;
        return send_window(now);
    }
    deadline_ = now + timeout_;
    return {.option_ack = true};
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
        state_ = State::Sending;
        retries_left_ = retries_;
        return send_window(now);
    }
    // The block in [acked, sent] with these low 16 bits; there is at most one, since a window is shorter than 65536.
    auto ahead = static_cast<std::uint16_t>(block - static_cast<std::uint16_t>(acked_));
    if (ahead > sent_ - acked_) return {};
    if (ahead == 0) {
        // A duplicate. Answering it with data would double every packet from here on (the Sorcerer's Apprentice). In a
        // window it also says that the first block of it was lost (RFC 7440 §4): then go back, but once, the rest is
        // the timer's.
        if (window_ == 1 || rewound_) return {};
        rewound_ = true;
        return send_window(now);
    }
    acked_ += ahead;
    rewound_ = false;
    retries_left_ = retries_;
    if (acked_ == blocks_) {
        state_ = State::Finished;
        return {};
    }
    return send_window(now);
}

Step ReadSession::on_time(Instant now) {
    if (ended() || now < deadline_) return {};
    if (retries_left_ == 0) return fail("the client went silent", ErrorPacket{ErrorCode::NotDefined, "timeout"});
    --retries_left_;
    if (state_ == State::Sending) return send_window(now);
    deadline_ = now + timeout_;
    return {.option_ack = true};
}

Step ReadSession::send_window(Instant now) {
    deadline_ = now + timeout_;
    auto count = std::min<std::uint64_t>(window_, blocks_ - acked_);
    auto last = acked_ + count;
    resent_ += std::min(sent_, last) - acked_;
    sent_ = std::max(sent_, last);
    return {.first = acked_ + 1, .count = static_cast<std::uint32_t>(count)};
}

Step ReadSession::fail(std::string_view why, std::optional<ErrorPacket> error) {
    state_ = State::Failed;
    why_ = why;
    return {.error = std::move(error)};
}

std::uint64_t ReadSession::acknowledged() const { return std::min(size_, acked_ * block_); }

ReadSession::Slice ReadSession::slice(std::uint64_t block) const {
    auto offset = (block - 1) * block_;
    return {offset, static_cast<std::uint32_t>(std::min<std::uint64_t>(block_, size_ - std::min(size_, offset)))};
}

}  // namespace slipway::tftp
