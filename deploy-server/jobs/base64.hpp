// SPDX-License-Identifier: GPL-3.0-or-later
// Base64 (RFC 4648 §4), strict: padding is needed, nothing else than the alphabet is accepted.
#pragma once

#include <optional>
#include <string_view>

#include "lib/base/bytes.hpp"

namespace slipway::server {

inline std::optional<Bytes> from_base64(std::string_view text) {
    static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    Bytes out;
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto value = i + padding >= text.size() ? 0 : kAlphabet.find(text[i]);
        if (value == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        if (i % 4 != 3) continue;
        for (int shift : {16, 8, 0}) out.push_back(static_cast<std::byte>(bits >> shift & 0xff));
        bits = 0;
    }
    out.resize(out.size() - padding);
    return out;
}

}  // namespace slipway::server
