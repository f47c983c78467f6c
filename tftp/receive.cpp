// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/receive.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::tftp {

namespace {

constexpr std::chrono::seconds kLongestDally{10};

}  // namespace

std::string_view name_of(WriteState state) {
    switch (state) {
        case WriteState::Negotiating: return "negotiating";
        case WriteState::Receiving: return "receiving";
        case WriteState::Storing: return "storing";
        case WriteState::Dallying: return "dallying";
        case WriteState::Finished: return "finished";
        case WriteState::Failed: return "failed";
    }
    return "?";
}

WriteSession::WriteSession(const Request& request, std::size_t request_bytes, const Limits& limits)
    : limits_(limits), timer_(limits), credit_(request_bytes) {
    negotiate(request.options);
}

void WriteSession::negotiate(const OptionList& asked) {
    for (const auto& row : kOptions) {
        auto value = value_of(asked, row);
        if (!value) continue;
        switch (row.option) {
            case Option::BlockSize:
                block_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits_.max_block));
                break;
            case Option::Timeout: timer_.fix(std::chrono::seconds(*value)); break;
            case Option::TransferSize: announced_ = value; break;
            case Option::WindowSize:
                window_ = static_cast<std::uint32_t>(*value = std::min<std::uint64_t>(*value, limits_.max_window));
                break;
        }
        option_ack_.options.emplace_back(row.name, std::to_string(*value));
    }
}

WriteStep WriteSession::start(Instant now) {
    silent_since_ = now;
    if (announced_ && *announced_ > limits_.max_upload)
        return fail("more than is taken", ErrorPacket{ErrorCode::DiskFull, "too large"});
    return offer(now);
}

std::size_t WriteSession::offer_bytes() const {
    return option_ack_.options.empty() ? encode_packet(Ack{}).size() : encode_packet(option_ack_).size();
}

WriteStep WriteSession::offer(Instant now) {
    deadline_ = now + timer_.wait();
    credit_ -= std::min<std::uint64_t>(credit_, offer_bytes());
    if (option_ack_.options.empty()) return {.ack = std::uint16_t{0}};
    return {.option_ack = true};
}

WriteStep WriteSession::on_request(std::size_t request_bytes, Instant now) {
    if (state_ != WriteState::Negotiating) return {};
    credit_ += request_bytes;
    silent_since_ = now;
    return offer(now);
}

WriteStep WriteSession::on_packet(const Packet& packet, Instant now) {
    if (ended()) return {};
    if (const auto* data = std::get_if<Data>(&packet)) return on_data(*data, now);
    if (state_ == WriteState::Dallying) {
        if (std::holds_alternative<ErrorPacket>(packet)) state_ = WriteState::Finished;
        return {};
    }
    if (const auto* error = std::get_if<ErrorPacket>(&packet))
        return fail(
            fmt::format("the client ended it: {} {}", static_cast<unsigned>(error->code), printable(error->message)));
    return fail("a packet out of place",
                ErrorPacket{ErrorCode::IllegalOperation, "a write transfer is under way here"});
}

WriteStep WriteSession::on_data(const Data& data, Instant now) {
    if (state_ == WriteState::Storing) return {};
    bool next = data.block == static_cast<std::uint16_t>(got_ + 1);
    if (state_ == WriteState::Dallying || !next) return out_of_order(data, now);
    if (data.payload.size() > block_)
        return fail("a block larger than agreed", ErrorPacket{ErrorCode::IllegalOperation, "block too large"});
    if (received_ + data.payload.size() > limits_.max_upload)
        return fail("more than is taken", ErrorPacket{ErrorCode::DiskFull, "too large"});
    ++got_;
    received_ += data.payload.size();
    gap_told_ = false;
    timer_.progress();
    deadline_ = now + timer_.wait();
    if (data.payload.size() < block_) {
        state_ = WriteState::Storing;
        return {.store = true, .complete = true};
    }
    state_ = WriteState::Receiving;
    WriteStep step;
    if (++in_window_ >= window_) step = acknowledge(now);
    step.store = true;
    return step;
}

// An old block says that its acknowledgement was lost, or only the network has doubled it: acknowledged again at most
// once a round, since a sender that answers duplicates would double everything.
WriteStep WriteSession::out_of_order(const Data& data, Instant now) {
    if (state_ == WriteState::Negotiating) return {};
    if (state_ == WriteState::Dallying && data.block != static_cast<std::uint16_t>(got_)) return {};
    if (window_ > 1 && gap_told_ && state_ == WriteState::Receiving) return {};
    gap_told_ = true;
    return acknowledge(now);
}

WriteStep WriteSession::acknowledge(Instant now) {
    in_window_ = 0;
    if (state_ != WriteState::Dallying) deadline_ = now + timer_.wait();
    return {.ack = static_cast<std::uint16_t>(got_)};
}

WriteStep WriteSession::on_time(Instant now) {
    if (ended() || now < deadline_ || state_ == WriteState::Storing) return {};
    if (state_ == WriteState::Dallying) {
        state_ = WriteState::Finished;
        return {};
    }
    if (state_ == WriteState::Negotiating) {
        if (now - silent_since_ >= limits_.handshake) return fail("the client never answered");
        deadline_ = silent_since_ + limits_.handshake;
        if (offer_bytes() > credit_) return {};
        timer_.tried();
        return offer(now);
    }
    if (timer_.give_up()) return fail("the client went silent", ErrorPacket{ErrorCode::NotDefined, "timeout"});
    timer_.tried();
    gap_told_ = false;
    return acknowledge(now);
}

WriteStep WriteSession::stored(Instant now) {
    state_ = WriteState::Dallying;
    auto step = acknowledge(now);
    deadline_ = now + std::min<std::chrono::milliseconds>(3 * timer_.wait(), kLongestDally);
    return step;
}

WriteStep WriteSession::refused(ErrorPacket error) { return fail("not stored: " + error.message, std::move(error)); }

WriteStep WriteSession::fail(std::string_view why, std::optional<ErrorPacket> error) {
    state_ = WriteState::Failed;
    why_ = why;
    return {.error = std::move(error)};
}

}  // namespace slipway::tftp
