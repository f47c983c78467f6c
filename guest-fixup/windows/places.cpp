// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/places.hpp"

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

std::string place_for(const Guest& guest, std::string_view path) {
    std::string_view rest;
    for (auto head = path;; head = head.substr(0, head.rfind('/'))) {
        if (head.empty() || head == "/") return std::string(path);
        rest = path.substr(head.size());
        if (auto found = find_path(guest, head)) return *found + std::string(rest);
    }
}

}  // namespace slipway::fixup::windows
