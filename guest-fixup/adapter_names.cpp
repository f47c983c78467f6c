// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cctype>

#include "guest-fixup/network.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

bool valid_interface(std::string_view name) {
    return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return c < 128 && (std::isalnum(c) || c == '-' || c == '_' || c == '.');
           });
}

bool valid_adapter_name(std::string_view name) {
    return valid_interface(name) ||
           (!name.empty() && name.size() <= 80 && printable(name) == name && trim(name) == name &&
            std::all_of(name.begin(), name.end(), [](unsigned char c) {
                return c >= 128 || std::isalnum(c) ||
                       std::string_view(" ()#*._-").find(static_cast<char>(c)) != std::string_view::npos;
            }));
}

}  // namespace slipway::fixup
