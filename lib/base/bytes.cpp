// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/bytes.hpp"

#include <algorithm>
#include <cstring>

namespace slipway {

Bytes to_bytes(std::string_view text) {
    auto view = as_bytes(text);
    return {view.begin(), view.end()};
}

std::string to_hex(ByteView bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (auto b : bytes) {
        out += digits[std::to_integer<unsigned>(b) >> 4];
        out += digits[std::to_integer<unsigned>(b) & 15];
    }
    return out;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    Bytes out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return out;
}

bool all_zero(ByteView bytes) {
    // A range equals itself shifted by one exactly when all its bytes are the first one.
    return bytes.empty() || (bytes[0] == std::byte{0} &&
                             std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

ByteView ByteReader::take(std::size_t count) {
    if (count > remaining()) {
        failed_ = true;
        offset_ = bytes_.size();
        return {};
    }
    auto view = bytes_.subspan(offset_, count);
    offset_ += count;
    return view;
}

void ByteReader::seek(std::size_t offset) {
    if (offset > bytes_.size()) {
        failed_ = true;
        offset = bytes_.size();
    }
    offset_ = offset;
}

std::uint64_t ByteReader::be(std::size_t count) {
    std::uint64_t value = 0;
    for (auto b : take(count)) value = value << 8 | std::to_integer<std::uint64_t>(b);
    return value;
}

std::uint64_t ByteReader::le(std::size_t count) {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (auto b : take(count)) {
        value |= std::to_integer<std::uint64_t>(b) << shift;
        shift += 8;
    }
    return value;
}

ByteWriter& ByteWriter::bytes(ByteView view) {
    buffer_.insert(buffer_.end(), view.begin(), view.end());
    return *this;
}

ByteWriter& ByteWriter::zeros(std::size_t count) {
    buffer_.resize(buffer_.size() + count);
    return *this;
}

ByteWriter& ByteWriter::pad_to(std::size_t size) {
    if (size > buffer_.size()) buffer_.resize(size);
    return *this;
}

ByteWriter& ByteWriter::be(std::uint64_t value, std::size_t count) {
    for (std::size_t i = count; i-- > 0;) buffer_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
}

ByteWriter& ByteWriter::le(std::uint64_t value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) buffer_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
}

}  // namespace slipway
