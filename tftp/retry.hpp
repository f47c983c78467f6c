// SPDX-License-Identifier: GPL-3.0-or-later
// When to send again: the round trip is measured (RFC 6298), each try without progress waits twice as long.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "lib/base/clock.hpp"

namespace slipway::tftp {

struct Limits {
    std::uint32_t max_block = 1468;  // with 28 bytes of headers and 4 of TFTP inside an Ethernet frame
    std::uint32_t max_window = 64;
    std::chrono::milliseconds timeout{1000};  // until a round trip is known, unless the client asks for another (RFC
                                              // 2349): then for all of the transfer
    std::chrono::milliseconds least_wait{100}, longest_wait{8000};
    unsigned retries = 8;                         // without progress
    std::chrono::milliseconds handshake{10'000};  // for the first acknowledgement
    std::uint64_t max_upload = 16u << 20;         // bytes
};

class RetryTimer {
public:
    explicit RetryTimer(const Limits& limits) : limits_(limits), wait_(limits.timeout), left_(limits.retries) {}

    void fix(std::chrono::seconds timeout);  // the client asked for it
    void measured(Instant::duration round_trip);
    void progress();  // something new was acknowledged
    bool give_up() const { return left_ == 0; }
    void tried();
    std::chrono::milliseconds wait() const;                                  // from now to the next try
    std::optional<Instant::duration> round_trip() const { return smooth_; }  // none measured yet

private:
    Limits limits_;
    std::chrono::milliseconds wait_;
    bool fixed_ = false;
    unsigned left_, tries_ = 0;
    std::optional<Instant::duration> smooth_;
    Instant::duration variation_{};
};

}  // namespace slipway::tftp
