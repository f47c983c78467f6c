// SPDX-License-Identifier: GPL-3.0-or-later
// One read transfer as a pure state machine: packets and time are events, what to send is the result.
//
//   state        | ack of block           | time past deadline          | error of the peer
//   Negotiating  | 0: send window 1…      | send OACK again, or fail    | fail
//   Sending      | new: send next window, | send window again, or fail  | fail
//                | last: finished         |                             |
//   Finished, Failed: nothing any more
//
// Block numbers are 16 bits on the wire and 64 here, so a file may have more than 65535 blocks (the number rolls over
// to 0).
#pragma once

#include <chrono>
#include <string_view>

#include "lib/base/clock.hpp"
#include "tftp/codec.hpp"

namespace slipway::tftp {

struct Limits {
    std::uint32_t max_block = 1468;  // with 28 bytes of headers and 4 of TFTP inside an Ethernet frame
    std::uint32_t max_window = 64;
    std::chrono::seconds timeout{1};  // unless the client asks for another
    unsigned retries = 8;
};

enum class State { Negotiating, Sending, Finished, Failed };
std::string_view name_of(State state);

// What the driver is to send now: the OACK, or `count` blocks from `first` on (numbered from 1), or an error.
struct Step {
    bool option_ack = false;
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::optional<ErrorPacket> error;
};

class ReadSession {
public:
    // The request must be a read of mode octet.
    ReadSession(const Request& request, std::uint64_t file_size, const Limits& limits);

    Step start(Instant now);
    Step on_packet(const Packet& packet, Instant now);
    Step on_time(Instant now);

    State state() const { return state_; }
    bool ended() const { return state_ == State::Finished || state_ == State::Failed; }
    std::string_view why() const { return why_; }  // of a failure
    Instant deadline() const { return deadline_; }
    const OptionAck& option_ack() const { return option_ack_; }
    std::uint64_t acknowledged() const;  // bytes
    std::uint64_t resent() const { return resent_; }

    struct Slice {
        std::uint64_t offset = 0;
        std::uint32_t length = 0;  // less than the block size: the last one, may be 0
    };
    Slice slice(std::uint64_t block) const;

private:
    void negotiate(const OptionList& asked, const Limits& limits);
    Step on_ack(std::uint16_t block, Instant now);
    Step send_window(Instant now);
    Step fail(std::string_view why, std::optional<ErrorPacket> error = {});

    std::uint64_t size_;
    std::uint32_t block_ = kDefaultBlock, window_ = 1;
    std::chrono::seconds timeout_;
    unsigned retries_left_, retries_;
    OptionAck option_ack_;
    State state_ = State::Negotiating;
    std::uint64_t blocks_ = 0;  // of the file
    std::uint64_t acked_ = 0, sent_ = 0;
    bool rewound_ = false;  // went back already since the last progress
    std::uint64_t resent_ = 0;
    Instant deadline_{};
    std::string why_;
};

}  // namespace slipway::tftp
