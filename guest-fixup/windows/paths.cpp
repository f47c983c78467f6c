// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/system.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

std::string_view name_of(Architecture architecture) {
    switch (architecture) {
        case Architecture::X86: return "x86";
        case Architecture::Amd64: return "amd64";
        case Architecture::Arm64: break;
    }
    return "arm64";
}

std::optional<std::string> find_path(const Guest& guest, std::string_view path) {
    std::string found;
    std::size_t depth = 0;
    for (const auto& part : split(path, '/')) {
        if (part.empty()) continue;
        if (part == "." || part == ".." || ++depth > 64) return std::nullopt;
        const auto names = guest.list(found.empty() ? "/" : found);
        const auto match = [&](bool exact) {
            return std::find_if(names.begin(), names.end(), [&](const auto& name) {
                return (exact ? name == part : iequals(name, part)) && !guest.planned_absent(found + "/" + name);
            });
        };
        auto at = match(true);
        if (at == names.end()) at = match(false);
        if (at != names.end()) found += "/" + *at;
        else if (guest.exists(found + "/" + part)) found += "/" + part;  // what a dry run would have made
        else return std::nullopt;
    }
    return found.empty() ? "/" : found;
}

}  // namespace slipway::fixup::windows
