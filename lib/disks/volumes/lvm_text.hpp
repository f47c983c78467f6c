// SPDX-License-Identifier: GPL-3.0-or-later
// The text in which LVM keeps its metadata (lvm2 lib/config, man lvm.conf): sections `name { … }`, settings
// `key = value`, values being numbers, "strings" or [lists]; `#` starts a comment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::disks {

using LvmValue = std::variant<std::int64_t, std::string>;

struct LvmSection {
    struct Setting {
        std::string key;
        std::vector<LvmValue> values;  // of a list, or the one
    };
    std::string name;
    std::vector<Setting> settings;
    std::vector<LvmSection> sections;

    const LvmSection* section(std::string_view called) const;
    const std::vector<LvmValue>* list(std::string_view key) const;
    std::string text(std::string_view key) const;                     // empty when absent
    std::optional<std::uint64_t> number(std::string_view key) const;  // not negative
    bool has(std::string_view key, std::string_view value) const;     // is `value` in that list?
};

inline constexpr std::size_t kMaxLvmText = 8u << 20;

// The unnamed root section. errors::kVolumeManager names the byte where the text is no LVM metadata.
Result<LvmSection> parse_lvm_text(std::string_view text);

}  // namespace slipway::disks
