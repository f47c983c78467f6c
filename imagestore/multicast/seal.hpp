// SPDX-License-Identifier: GPL-3.0-or-later
// Packets sealed with ChaCha20-Poly1305 (RFC 8439): nonce = source, number; associated data = header, and the body too
// where it goes in the clear. And the window that lets each number pass once.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "imagestore/multicast/wire.hpp"

namespace slipway::multicast {

using Key = std::array<std::byte, 32>;

// One key and one direction. Not for several threads at once.
class Seal {
public:
    explicit Seal(const Key& key);
    Seal(Seal&&) noexcept;
    Seal& operator=(Seal&&) noexcept;
    ~Seal();

    // header, then the body as the writer has it, becomes a whole packet. A (source, number) may be sealed only once.
    Bytes close(const Header& header, ByteView body);
    // The body of a packet whose header was parsed; it refers to memory that the next call reuses. Nothing when the
    // tag is another.
    std::optional<ByteView> open(const Header& header, ByteView packet);

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// The last 4096 numbers of one source. New ones move it on; older ones than it holds do not pass.
class ReplayWindow {
public:
    static constexpr std::uint64_t kSpan = 4096;
    bool fresh(std::uint64_t number) const;
    void pass(std::uint64_t number);  // it was authentic
    std::optional<std::uint64_t> newest() const { return any_ ? std::optional(newest_) : std::nullopt; }

private:
    bool any_ = false;
    std::uint64_t newest_ = 0;
    std::array<std::uint64_t, kSpan / 64> seen_{};
};

}  // namespace slipway::multicast
