// SPDX-License-Identifier: GPL-3.0-or-later
// Personalisation's text transformers: old file content in, new content out. Pure; what is so already comes back byte
// for byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/edits.hpp"

namespace slipway::fixup {

// A file of KEY=value lines (os-release, sysconfig, locale.conf): every KEY= line says value; without one it is added.
// value is one that needs no quoting.
std::string set_assignment(std::string_view text, std::string_view key, std::string_view value);
// What the last KEY= line says, without quotes; empty when there is none.
std::string assignment(std::string_view text, std::string_view key);

// /etc/hosts: old_names become new_names (full name first) where they stand, 127.0.1.1 is the new name's. warnings:
// addresses other than this machine's own loopback that carry the name.
Edited edit_hosts(std::string_view text, const std::vector<std::string>& old_names,
                  const std::vector<std::string>& new_names);

// line at the end, unless it is a line of text already.
std::string add_line(std::string_view text, std::string_view line);

// "web01.example.org" -> {"web01.example.org", "web01"}; "web01" -> {"web01"}.
std::vector<std::string> host_names(std::string_view host_name);

struct Account {
    std::string name;
    unsigned uid = 0, gid = 0;
    std::string home;
};
std::vector<Account> parse_passwd(std::string_view text);  // lines with a numeric uid and gid and an absolute home

}  // namespace slipway::fixup
