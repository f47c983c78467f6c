// SPDX-License-Identifier: GPL-3.0-or-later
// What makes an installed system this one machine, as rows: cleared before it is captured as a template for many. What
// is cleared is not kept anywhere: it is secret, or large, or both.
#pragma once

#include <span>
#include <string_view>

namespace slipway::fixup {

enum class Clearing {
    Remove,      // files that fit
    Empty,       // files that fit stay, empty: their owner and mode matter to who writes them
    RemoveBelow  // all files below the directories that fit; the directories stay
};

struct TemplateRow {
    std::string_view what;
    std::string_view directory;  // "~": every home directory of /etc/passwd
    std::string_view pattern;    // of names in it
    Clearing clearing = Clearing::Remove;
};
std::span<const TemplateRow> template_rows();

// A log that rotation put aside goes; one that is being written stays, empty.
bool rotated(std::string_view file_name);

// Lines that bind a configuration file to this machine's cards: HWADDR= and UUID= of ifcfg, mac-address= and uuid= of
// NetworkManager's connections.
std::string without_card(std::string_view text);

}  // namespace slipway::fixup
