// SPDX-License-Identifier: GPL-3.0-or-later
// What a Linux kernel log says of disks, file systems and memory that fail. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

// The findings of a log text, one for each topic and device, in the order they first appear. At most
// kMaxLogFindings; the last kLogLines lines of each are kept.
inline constexpr std::size_t kMaxLogFindings = 100;
std::vector<LogFinding> read_kernel_log(std::string_view text, std::string_view source);

}  // namespace slipway::gatherhw
