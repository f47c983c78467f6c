// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 by OpenSSL. Target slipway_digest.
#pragma once

#include <array>
#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/bytes.hpp"

namespace slipway {

struct Digest {
    std::array<std::byte, 32> octets{};
    auto operator<=>(const Digest&) const = default;
    std::string text() const { return to_hex(octets); }
    static std::optional<Digest> parse(std::string_view hex);
};

class Sha256 {
public:
    Sha256();
    void update(ByteView data);
    Digest finish();  // once

private:
    struct Free {
        void operator()(void* context) const;
    };
    std::unique_ptr<void, Free> context_;
};

Digest sha256(ByteView data);

}  // namespace slipway

template <>
struct std::hash<slipway::Digest> {
    std::size_t operator()(const slipway::Digest& d) const noexcept {
        std::size_t h = 0;
        for (std::size_t i = 0; i < sizeof h; ++i) h = h << 8 | std::to_integer<std::size_t>(d.octets[i]);
        return h;
    }
};
