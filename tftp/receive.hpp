// SPDX-License-Identifier: GPL-3.0-or-later
// One write transfer as a pure state machine, the mirror of session.hpp.
//
//   state        | request again   | next block             | other block         | time                      | error
//   Negotiating  | send OACK again | store, as Receiving    | -                   | OACK if paid for, or fail | fail
//   Receiving    | -               | store; ACK at the end  | ACK the last, once  | ACK the last, or fail     | fail
//                |                 | of a window            | a gap               |                           |
//                |                 | shorter: store, Storing|                     |                           |
//   Storing      | -               | -                      | -                   | -                         | fail
//   Dallying     | -               | -                      | the last: ACK again | finished                  |
//   finished Finished, Failed: nothing any more
//
// Negotiating without options sends ACK 0 where OACK is said. Storing waits for stored() or refused(): the last
// acknowledgement says that the file is there. Dallying answers a client that has not heard it (RFC 1350 §6).
#pragma once

#include <string_view>

#include "lib/base/clock.hpp"
#include "tftp/codec.hpp"
#include "tftp/retry.hpp"

namespace slipway::tftp {

enum class WriteState { Negotiating, Receiving, Storing, Dallying, Finished, Failed };
std::string_view name_of(WriteState state);

// What the driver is to do now, in this order: store the packet's payload, complete the file (and call stored() or
// refused()), send.
struct WriteStep {
    bool store = false, complete = false;
    bool option_ack = false;
    std::optional<std::uint16_t> ack;
    std::optional<ErrorPacket> error;
};

class WriteSession {
public:
    WriteSession(const Request& request, std::size_t request_bytes, const Limits& limits);

    WriteStep start(Instant now);
    WriteStep on_request(std::size_t request_bytes, Instant now);
    WriteStep on_packet(const Packet& packet, Instant now);
    WriteStep on_time(Instant now);
    WriteStep stored(Instant now);         // the file is complete
    WriteStep refused(ErrorPacket error);  // it cannot be stored

    WriteState state() const { return state_; }
    bool ended() const { return state_ == WriteState::Finished || state_ == WriteState::Failed; }
    bool proved() const { return state_ != WriteState::Negotiating; }
    std::string_view why() const { return why_; }
    Instant deadline() const { return deadline_; }
    const OptionAck& option_ack() const { return option_ack_; }
    std::uint64_t received() const { return received_; }  // bytes stored

private:
    void negotiate(const OptionList& asked);
    std::size_t offer_bytes() const;
    WriteStep offer(Instant now);
    WriteStep on_data(const Data& data, Instant now);
    WriteStep out_of_order(const Data& data, Instant now);
    WriteStep acknowledge(Instant now);
    WriteStep fail(std::string_view why, std::optional<ErrorPacket> error = {});

    Limits limits_;
    std::uint32_t block_ = kDefaultBlock, window_ = 1;
    std::optional<std::uint64_t> announced_;  // tsize
    RetryTimer timer_;
    OptionAck option_ack_;
    WriteState state_ = WriteState::Negotiating;
    std::uint64_t got_ = 0;  // blocks in order
    std::uint64_t received_ = 0;
    std::uint32_t in_window_ = 0;
    bool gap_told_ = false;
    std::uint64_t credit_;
    Instant deadline_{}, silent_since_{};
    std::string why_;
};

}  // namespace slipway::tftp
