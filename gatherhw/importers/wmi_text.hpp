// SPDX-License-Identifier: GPL-3.0-or-later
// WMI instances as text, parted by blank lines. Pure. Two forms, of which a file has one:
//   Name=Value      wmic … /format:list
//   Name  : Value   PowerShell's Format-List: the ':' of an instance stand in one column, what goes on is indented
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::gatherhw {

struct WmiInstance {
    std::string kind;                                                 // lower case: "win32_diskdrive"; empty: not known
    std::map<std::string, std::string, std::less<>> properties = {};  // by name in lower case

    std::string get(std::string_view lower_case_name) const;  // trimmed
    std::uint64_t number(std::string_view name) const;        // 0 when it is none
    bool is_true(std::string_view name) const;
    std::optional<bool> flag(std::string_view name) const;  // nothing when empty
    std::vector<std::string> items(
        std::string_view name) const;  // of {"a","b"}, {a, b...} or {1,2}; a bare value is one
};

// file_name: where the text has no class of its own, a "Win32_Volume" in it names it; else its properties may.
std::vector<WmiInstance> read_wmi(std::string_view utf8, std::string_view file_name);

}  // namespace slipway::gatherhw
