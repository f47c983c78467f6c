// SPDX-License-Identifier: GPL-3.0-or-later
// What an agent and the server say about a multicast session (docs/protocols/multicast.md): where it is, with its keys,
// and what a receiver lacks. A bitmap has one bit a chunk of the plan, the lowest bit of its first byte for chunk 0.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/ip.hpp"
#include "lib/base/result.hpp"

namespace slipway::channel {

struct MulticastInvitation {
    IpAddress group, sender;  // of one family; reports go to sender:report_port
    std::uint16_t port = 0, report_port = 0;
    std::uint64_t session = 0;
    std::uint32_t number = 0, symbol_bytes = 0;
    bool clear = false;
    std::array<std::byte, 32> session_key{}, own_key{};
    IpAddress you;  // the receiver, as the server sees it: which of its interfaces the channel goes by; none: not said
};
std::string render(const MulticastInvitation& invitation);
// Error: channel.bad-message.
Result<MulticastInvitation> parse_multicast_invitation(std::string_view text);

std::string render_bitmap(const std::vector<bool>& bits);
// Exactly `count` bits, the rest of the last byte 0. Error: channel.bad-message.
Result<std::vector<bool>> parse_bitmap(std::string_view bytes, std::size_t count);

}  // namespace slipway::channel
