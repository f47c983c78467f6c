// SPDX-License-Identifier: GPL-3.0-or-later
// What the configuration of another DHCP server needs so that a proxyDHCP service works beside it, as edits of its
// text: nothing outside our marks is changed, and remove(add(text)) == text.
//
// A proxyDHCP service on another machine needs nothing: it hears each broadcast itself. On the same machine a client
// that hears the DHCP server's offer has to be told to ask port 4011 of that machine too: option 60 "PXEClient" in the
// offer says so (PXE 2.1 §2.2.3).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::dhcp::coexist {

enum class Kind { Isc, Kea, Dnsmasq };
std::string_view name_of(Kind kind);  // "isc", "kea", "dnsmasq"
std::optional<Kind> kind_named(std::string_view name);
// By what the text says; the file's name decides when it says nothing.
std::optional<Kind> kind_of(const std::filesystem::path& path, std::string_view text);

inline constexpr std::size_t kLargestConfig = 8u << 20;
inline constexpr int kDeepest = 64;  // nesting

// What `add` puts in, with its marks, for a file with line ends of its own.
std::string fragment(Kind kind);

// What names `address` as next-server, and no boot file beside it.
std::string next_server_line(Kind kind, std::string_view address);

Result<std::string> add(Kind kind, std::string_view text);     // the same text when it is there already
Result<std::string> remove(Kind kind, std::string_view text);  // the same text when it is not there

struct Finding {
    std::string id;        // "boot-file", "next-server", "option-60", "includes", "no-fragment", "needless-fragment"
    std::size_t line = 0;  // 0: the file as a whole
    std::string text;      // what is there and what to do
    bool trouble = true;   // else worth knowing
};
// What stands in the way of a proxyDHCP service on the same host, or on another one.
Result<std::vector<Finding>> check(Kind kind, std::string_view text, bool same_host);

}  // namespace slipway::dhcp::coexist
