// SPDX-License-Identifier: GPL-3.0-or-later
// One read transfer as a pure state machine: packets and time are events, what to send is the result.
//
//   state        | request again       | ack of block           | time past deadline         | error of the peer
//   Negotiating  | send OACK again     | 0: send window 1…      | OACK if paid for, or fail  | fail
//   Offering     | send block 1 again  | 1: as Sending          | wait, or fail              | fail
//   Sending      | -                   | new: send next window, | send window again, or fail | fail
//                |                     | last: finished         |                            |
//   Finished, Failed: nothing any more
//
// Negotiating and Offering are before the client's first acknowledgement: until then its address may be a lie, and what
// is sent is paid for by what was received. An OACK is never longer than its request (tsize is left out when it would
// be), and the timer sends it again only while request bytes are left over; a client that hears nothing asks again and
// so pays itself. RFC 1350 has no answer shorter than a block to a request without options: it gets that one block each
// time it is heard, never by the timer.
//
// Block numbers are 16 bits on the wire and 64 here, so a file may have more than 65535 blocks (the number rolls over
// to 0).
#pragma once

#include <chrono>
#include <string_view>

#include "lib/base/clock.hpp"
#include "tftp/codec.hpp"
#include "tftp/retry.hpp"

namespace slipway::tftp {

enum class State { Negotiating, Offering, Sending, Finished, Failed };
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
    // The request is a read; size is what is read, kUnknownSize when that is seen only while reading (netascii): then
    // ends_at() tells it.
    static constexpr std::uint64_t kUnknownSize = UINT64_MAX;
    ReadSession(const Request& request, std::size_t request_bytes, std::uint64_t size, const Limits& limits);

    Step start(Instant now);
    Step on_request(std::size_t request_bytes, Instant now);  // the same request, heard again
    Step on_packet(const Packet& packet, Instant now);
    Step on_time(Instant now);
    // The content has so many bytes. Before the step's last block is sent: none behind its end is.
    void ends_at(std::uint64_t size);

    State state() const { return state_; }
    bool ended() const { return state_ == State::Finished || state_ == State::Failed; }
    bool plain() const { return option_ack_.options.empty(); }  // answered by a block
    bool proved() const { return proved_; }                     // the client has acknowledged something
    std::string_view why() const { return why_; }               // of a failure
    Instant deadline() const { return deadline_; }
    const OptionAck& option_ack() const { return option_ack_; }
    std::uint32_t block_size() const { return block_; }
    std::uint64_t acknowledged() const;  // bytes
    std::uint64_t size() const { return size_ == kUnknownSize ? 0 : size_; }
    std::uint64_t resent() const { return resent_; }
    std::uint64_t blocks_acknowledged() const { return acked_; }
    // How often something was sent again that was acknowledged later: losses on the way, and not a client that is gone.
    std::uint64_t recovered() const { return recovered_; }

    struct Slice {
        std::uint64_t offset = 0;
        std::uint32_t length = 0;  // less than the block size: the last one, may be 0
    };
    Slice slice(std::uint64_t block) const;

private:
    void negotiate(const OptionList& asked, const Limits& limits);
    void fit_option_ack();
    Step offer(Instant now, bool again);
    Step on_ack(std::uint16_t block, Instant now);
    Step on_duplicate();
    Step on_time_unproved(Instant now);
    void progress(Instant now);
    void sent(Instant now, bool again);
    Step send_window(Instant now, bool again);
    Step fail(std::string_view why, std::optional<ErrorPacket> error = {});

    std::uint64_t size_;
    std::uint32_t block_ = kDefaultBlock, window_ = 1;
    RetryTimer timer_;
    OptionAck option_ack_;
    State state_ = State::Negotiating;
    std::uint64_t blocks_ = 0;  // of the file
    std::uint64_t acked_ = 0, sent_ = 0;
    std::uint64_t credit_ = 0;  // bytes received and not yet answered, while not proved
    bool proved_ = false;
    bool sent_again_ = false;  // what is under way now
    bool hurried_ = false;     // a duplicate has brought the deadline forward since the last progress
    std::uint64_t resent_ = 0, repeats_ = 0, recovered_ = 0;
    Instant deadline_{}, sent_at_{}, silent_since_{};
    std::chrono::milliseconds handshake_;
    std::string why_;
};

}  // namespace slipway::tftp
