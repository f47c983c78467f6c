// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/uuid.hpp"

#include <cstdlib>
#include <sys/random.h>

namespace slipway {

void fill_random(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        auto n = ::getrandom(out.data() + done, out.size() - done, 0);
        if (n > 0) done += static_cast<std::size_t>(n);
    }
}

std::string random_token(std::size_t bytes) {
    Bytes buffer(bytes);
    fill_random(buffer);
    return to_hex(buffer);
}

Uuid Uuid::random() {
    Uuid id;
    fill_random(id.octets);
    id.octets[6] = (id.octets[6] & std::byte{0x0f}) | std::byte{0x40};
    id.octets[8] = (id.octets[8] & std::byte{0x3f}) | std::byte{0x80};
    return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text[i] == '-')) return std::nullopt;
        if (!dash) digits += text[i];
    }
    auto bytes = from_hex(digits);
    if (!bytes) return std::nullopt;
    Uuid id;
    for (std::size_t i = 0; i < 16; ++i) id.octets[i] = (*bytes)[i];
    return id;
}

static std::array<std::byte, 16> swap_guid(std::span<const std::byte, 16> in) {
    static constexpr std::size_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::array<std::byte, 16> out;
    for (std::size_t i = 0; i < 16; ++i) out[i] = in[order[i]];
    return out;
}

Uuid Uuid::from_guid(std::span<const std::byte, 16> bytes) { return {swap_guid(bytes)}; }
std::array<std::byte, 16> Uuid::to_guid() const { return swap_guid(octets); }

std::string Uuid::text() const {
    auto hex = to_hex(octets);
    for (std::size_t at : {8u, 13u, 18u, 23u}) hex.insert(at, "-");
    return hex;
}

}  // namespace slipway
