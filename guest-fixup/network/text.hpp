// SPDX-License-Identifier: GPL-3.0-or-later
// Reading configuration text by position, so that an edit changes an address and not one byte beside it. Pure, linear
// in the text, no allocation by what the text says.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/net.hpp"

namespace slipway::fixup {

// A piece of a text and where it stands.
struct Span {
    std::size_t at = 0;
    std::string_view text;

    Span from(std::size_t begin, std::size_t count = std::string_view::npos) const {
        return {at + begin, text.substr(begin, count)};
    }
};

struct MacUse {
    std::size_t at = 0, length = 0;
    MacAddress mac;
};
using MacMap = std::map<MacAddress, MacAddress>;

Span trimmed(Span text);
Span unquoted(Span text);                           // trimmed, without one pair of quotes around it
std::vector<Span> words_of(Span text);              // separated by white space
std::vector<Span> lines_of(std::string_view text);  // without their ends; endless ones are left out
// The words of each line that is no comment; a line that ends in '\' goes on in the next.
std::vector<std::vector<Span>> worded_lines(std::string_view text);

struct Setting {
    std::string_view section;  // of an INI file; empty before the first one
    Span key, value;           // trimmed
};
// KEY=VALUE lines of INI files and shell assignments; '#' and ';' begin comment lines.
std::vector<Setting> settings_of(std::string_view text);

// Every address written as six pairs, with ':' or '-' between, that is no part of something longer.
std::vector<MacUse> macs_in(Span text);
// Where an address of the map stands, its new one is put, all in one pass; '-' stays '-'.
std::string move_macs(std::string_view text, const std::vector<MacUse>& uses, const MacMap& new_by_old);

// A shell pattern of *, ? and [set] against a file or interface name.
bool glob_matches(std::string_view pattern, std::string_view name);
bool is_pattern(std::string_view text);

}  // namespace slipway::fixup
