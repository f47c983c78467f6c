// SPDX-License-Identifier: GPL-3.0-or-later
// The bodies of the four chunk calls:
//   ids    = id[32]*
//   flags  = u8*                          0 or 1, one an id
//   frames = (id[32] length:le32 encoded[length])*   length 1..kMaxFrame
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::channel {

inline constexpr std::size_t kMaxFrame = (1u << 20) + 1;  // an encoded chunk
inline constexpr std::size_t kMaxBody = 4u << 20;         // of one put; a frame more than fits starts the next
inline constexpr std::size_t kMaxIds = 65536;             // of one have or get

struct Frame {
    Digest id;
    ByteView encoded;  // into the body
};

std::string render_ids(std::span<const Digest> ids);
Result<std::vector<Digest>> parse_ids(std::string_view body);  // channel.bad-message
std::string render_flags(const std::vector<bool>& flags);
Result<std::vector<bool>> parse_flags(std::string_view body, std::size_t expected);
void append_frame(std::string& body, const Digest& id, ByteView encoded);
Result<std::vector<Frame>> parse_frames(std::string_view body);  // the views live as long as the body

}  // namespace slipway::channel
