// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/nt.hpp"

#include "lib/base/strings.hpp"

namespace slipway::vmscript {

namespace {

std::optional<unsigned> number(std::string_view text) {
    constexpr std::uint64_t kMost = 1'000'000;
    auto value = parse_u64(text);
    return value && *value <= kMost ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
}

}  // namespace

std::optional<NtVersion> nt_version(const gatherhw::OperatingSystem& os) {
    if (os.family != "windows") return std::nullopt;
    auto parts = split(os.version, '.');
    auto major = number(parts[0]), minor = parts.size() > 1 ? number(parts[1]) : std::nullopt;
    if (!major || !minor) return std::nullopt;
    return NtVersion{*major, *minor};
}

std::optional<unsigned> nt_build(const gatherhw::OperatingSystem& os) {
    if (auto build = number(os.build)) return build;
    auto parts = split(os.version, '.');
    return parts.size() > 2 ? number(parts[2]) : std::nullopt;
}

std::optional<unsigned> service_pack(const gatherhw::OperatingSystem& os) {
    std::string_view text = trim(os.service_level);
    while (!text.empty() && (text[0] < '0' || text[0] > '9')) text.remove_prefix(1);
    return number(text.substr(0, text.find_first_not_of("0123456789")));
}

}  // namespace slipway::vmscript
