// SPDX-License-Identifier: GPL-3.0-or-later
// What of folders with Windows drivers goes with a request: the INF files of storage controllers and network adapters,
// which is what a first boot needs, and the files those name. A whole virtio-win is much more than a request carries,
// and Windows installs the rest by itself once it runs.
#pragma once

#include <filesystem>
#include <vector>

#include "guest-fixup/fixup.hpp"

namespace slipway::fixup {

inline constexpr std::uint64_t kMostDriverBytes = 22u << 20;  // a request is one line of wire::kMaxLine, in hexadecimal

// Names are the files' paths here, with '/'. Errors: fixup.drivers, fixup.request, reading's.
Result<std::vector<PackageFile>> read_driver_directories(const std::vector<std::filesystem::path>& directories);

}  // namespace slipway::fixup
