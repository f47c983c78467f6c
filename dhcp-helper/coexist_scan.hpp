// SPDX-License-Identifier: GPL-3.0-or-later
// Where things are in the texts of other servers' configurations. Lexical: no server's whole grammar is known here,
// only what has to be known to add a fragment at a safe place.
#pragma once

#include "dhcp-helper/coexist.hpp"

namespace slipway::dhcp::coexist {

// A statement or member that bears on booting, outside comments.
struct Mention {
    // NextServer: an address, and no file beside it.
    enum class What { BootFile, NextServer, VendorClass, Include, Range, OurName } what;
    std::size_t line;
    std::string text;
};

struct Scan {
    std::vector<Mention> mentions;
    // Kea: where a member of Dhcp4's client-classes goes, else where the member itself goes.
    bool has_classes = false, first = false, after_comma = false;
    std::size_t insert_at = 0;
};

// An error names what makes the text unfit to be edited: unbalanced, unfinished, too deep, …
Result<Scan> scan(Kind kind, std::string_view text);

inline constexpr std::string_view kOurName = "slipway-netboot";

}  // namespace slipway::dhcp::coexist
