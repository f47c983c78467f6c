// SPDX-License-Identifier: GPL-3.0-or-later
// What values hold, and how people see them.
#include <algorithm>

#include "guest-fixup/windows/hive.hpp"
#include "guest-fixup/windows/regf.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {
namespace {

std::string terminated(std::string_view utf8) {
    auto data = regf::to_utf16(utf8);
    data.append(2, '\0');
    return data;
}

std::string number(std::uint64_t value, std::size_t bytes) {
    std::string data;
    for (std::size_t i = 0; i < bytes; ++i) data += static_cast<char>(value >> (8 * i));
    return data;
}

std::string hex(std::string_view data) {
    std::string text;
    for (const char c : data) text += fmt::format("{}{:02x}", text.empty() ? "" : " ", static_cast<std::uint8_t>(c));
    return text;
}

}  // namespace

RegValue reg_sz(std::string_view utf8) { return {RegType::Sz, terminated(utf8)}; }
RegValue reg_expand_sz(std::string_view utf8) { return {RegType::ExpandSz, terminated(utf8)}; }
RegValue reg_dword(std::uint32_t value) { return {RegType::Dword, number(value, 4)}; }
RegValue reg_qword(std::uint64_t value) { return {RegType::Qword, number(value, 8)}; }
RegValue reg_binary(std::string_view bytes) { return {RegType::Binary, std::string(bytes)}; }

RegValue reg_multi_sz(const std::vector<std::string>& utf8) {
    RegValue value{RegType::MultiSz, {}};
    for (const auto& text : utf8) value.data += terminated(text);
    value.data.append(2, '\0');
    return value;
}

std::optional<std::string> as_string(const RegValue& value) {
    if (value.type != RegType::Sz && value.type != RegType::ExpandSz) return std::nullopt;
    auto text = regf::from_utf16(value.data);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

std::optional<std::vector<std::string>> as_strings(const RegValue& value) {
    if (value.type != RegType::MultiSz) return std::nullopt;
    const auto text = regf::from_utf16(value.data);
    std::vector<std::string> all;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\0', at), text.size());
        if (end == at) break;
        all.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return all;
}

std::optional<std::uint64_t> as_number(const RegValue& value) {
    const auto& data = value.data;
    switch (value.type) {
        case RegType::Dword: return data.size() == 4 ? std::optional<std::uint64_t>(regf::le32(data, 0)) : std::nullopt;
        case RegType::Qword: return data.size() == 8 ? std::optional(regf::le64(data, 0)) : std::nullopt;
        case RegType::DwordBigEndian:
            return data.size() == 4 ? std::optional<std::uint64_t>(__builtin_bswap32(regf::le32(data, 0)))
                                    : std::nullopt;
        default: return std::nullopt;
    }
}

std::string shown(const RegValue& value) {
    constexpr std::size_t kLongest = 4096;  // of text; no more of a value goes into a journal
    constexpr std::size_t kBytes = 64;
    if (value.data.size() <= kLongest) {
        if (const auto text = as_string(value)) return '"' + printable(*text) + '"';
        if (const auto all = as_strings(value)) {
            std::string text;
            for (const auto& one : *all) text += (text.empty() ? "\"" : ", \"") + printable(one) + '"';
            return '[' + text + ']';
        }
    }
    if (const auto found = as_number(value)) return fmt::format("0x{:x}", *found);
    const auto type = value.type == RegType::Binary ? "" : fmt::format("({:x})", static_cast<std::uint32_t>(value.type));
    if (value.data.size() <= kBytes) return fmt::format("hex{}:{}", type, hex(value.data));
    return fmt::format("hex{}:sha256:{} {}", type, sha256(as_bytes(value.data)).text(), value.data.size());
}

}  // namespace slipway::fixup::windows
