// SPDX-License-Identifier: GPL-3.0-or-later
// Bounds-checked reading and writing of byte formats. Never cast a packed struct onto a buffer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slipway {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
Bytes to_bytes(std::string_view text);
std::string to_hex(ByteView bytes);                       // lower case, no separators
std::optional<Bytes> from_hex(std::string_view text);    // even length, any case
bool all_zero(ByteView bytes);

// A cursor over hostile bytes. A read past the end makes the reader fail and returns zero values;
// check failed() once after a group of reads.
class ByteReader {
public:
    explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

    bool failed() const { return failed_; }
    std::size_t offset() const { return offset_; }
    std::size_t remaining() const { return bytes_.size() - offset_; }
    bool at_end() const { return remaining() == 0; }

    std::uint8_t u8() { return static_cast<std::uint8_t>(be(1)); }
    std::uint16_t be16() { return static_cast<std::uint16_t>(be(2)); }
    std::uint32_t be32() { return static_cast<std::uint32_t>(be(4)); }
    std::uint64_t be64() { return be(8); }
    std::uint16_t le16() { return static_cast<std::uint16_t>(le(2)); }
    std::uint32_t le32() { return static_cast<std::uint32_t>(le(4)); }
    std::uint64_t le64() { return le(8); }

    ByteView take(std::size_t count);       // empty and failed when fewer remain
    std::string_view text(std::size_t count) { return as_text(take(count)); }
    void skip(std::size_t count) { (void)take(count); }
    void seek(std::size_t offset);          // absolute; failed when past the end

    template <std::size_t N>
    std::array<std::byte, N> array() {
        std::array<std::byte, N> out{};
        auto view = take(N);
        for (std::size_t i = 0; i < view.size(); ++i) out[i] = view[i];
        return out;
    }

private:
    std::uint64_t be(std::size_t count);
    std::uint64_t le(std::size_t count);

    ByteView bytes_;
    std::size_t offset_ = 0;
    bool failed_ = false;
};

// Appends to a growing buffer.
class ByteWriter {
public:
    ByteWriter& u8(std::uint8_t v) { return be(v, 1); }
    ByteWriter& be16(std::uint16_t v) { return be(v, 2); }
    ByteWriter& be32(std::uint32_t v) { return be(v, 4); }
    ByteWriter& be64(std::uint64_t v) { return be(v, 8); }
    ByteWriter& le16(std::uint16_t v) { return le(v, 2); }
    ByteWriter& le32(std::uint32_t v) { return le(v, 4); }
    ByteWriter& le64(std::uint64_t v) { return le(v, 8); }
    ByteWriter& bytes(ByteView view);
    ByteWriter& text(std::string_view view) { return bytes(as_bytes(view)); }
    ByteWriter& zeros(std::size_t count);
    ByteWriter& pad_to(std::size_t size);   // zeros until size() == size

    std::size_t size() const { return buffer_.size(); }
    ByteView view() const { return buffer_; }
    Bytes take() && { return std::move(buffer_); }

private:
    ByteWriter& be(std::uint64_t value, std::size_t count);
    ByteWriter& le(std::uint64_t value, std::size_t count);

    Bytes buffer_;
};

}  // namespace slipway
