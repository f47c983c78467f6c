// SPDX-License-Identifier: GPL-3.0-or-later
// UUIDs in RFC 4122 byte order, random bytes for tokens and nonces.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"

namespace slipway {

struct Uuid {
    std::array<std::byte, 16> octets{};
    auto operator<=>(const Uuid&) const = default;

    static Uuid random();  // version 4
    static std::optional<Uuid> parse(std::string_view text);  // 8-4-4-4-12, any case
    // Microsoft's GUID byte order (first three fields little-endian): GPT, SMBIOS, PXE option 97.
    static Uuid from_guid(std::span<const std::byte, 16> bytes);
    std::array<std::byte, 16> to_guid() const;
    std::string text() const;  // lower case
    bool is_zero() const { return *this == Uuid{}; }
};

// From the kernel's generator (getrandom).
void fill_random(std::span<std::byte> out);
std::string random_token(std::size_t bytes = 32);  // lower-case hex

}  // namespace slipway
