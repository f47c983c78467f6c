// SPDX-License-Identifier: GPL-3.0-or-later
// One machine that is switched on: its ROM asks for an address and a boot program, iPXE asks for both again, fetches
// its script and what the script names.
#pragma once

#include <map>
#include <vector>

#include "tests/bench/storm/segment.hpp"

namespace slipway::storm {

// What all of them did.
struct Tally {
    std::vector<double> offer_ms;  // last DISCOVER sent -> the OFFER with a boot program heard
    std::vector<double> ready_s;   // switched on -> kernel and ramdisk there
    std::uint64_t tftp_bytes = 0, http_bytes = 0, repeats = 0;
    std::map<std::string, unsigned> failures;
};

asio::awaitable<void> switch_on(asio::io_context& io, Segment& segment, MacAddress mac, Instant when, Tally& tally);

}  // namespace slipway::storm
