// SPDX-License-Identifier: GPL-3.0-or-later
// What the maps of Microsoft's file systems share: texts of a volume's head, and whose volume it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::disks {

// UTF-16LE up to its first NUL, as UTF-8; unpaired surrogates become U+FFFD, control characters are escaped.
std::string utf16_label(ByteView bytes);
// A 32-bit volume serial as blkid prints it: "1A2B-3C4D".
std::string serial_text(std::uint32_t serial);
// Boot sectors outlive their file system: mdadm and others leave sector 0 as it was. The name of what else claims this
// volume ("mdraid", "lvm2", "btrfs", "ext"), or empty. head: as map_used reads it.
std::string_view other_owner(ByteView head);
// An error's chain without its name: why a volume is taken whole.
std::string reason_of(const Error& error);

}  // namespace slipway::disks
