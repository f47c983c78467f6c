// SPDX-License-Identifier: GPL-3.0-or-later
// GRUB's environment block (grubenv): a first line of comment, KEY=VALUE lines with \ before \ and newlines, filled up
// with # to its length, which GRUB writes in place and so must stay. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slipway::fixup {

std::optional<std::string> environment_value(std::string_view block, std::string_view key);
// The block with the key set, or without it when value is empty; as it was when it is no block or has no room.
std::string set_environment(std::string_view block, std::string_view key, std::string_view value);

}  // namespace slipway::fixup
