// SPDX-License-Identifier: GPL-3.0-or-later
// Mounting NTFS: by the kernel's ntfs3 where it has that, else by ntfs-3g, which runs beside this thread and ends with
// it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/process.hpp"

namespace slipway::fixup {

// flags as mount(2). nullopt: the kernel serves it. Everything belongs to root and nobody else may look in. The journal
// of NTFS is never thrown away: a volume that was not shut down is refused by both. Errors: fixup.ntfs-damaged (it
// cannot be mounted), fixup.ntfs (there is nothing to mount it by).
Result<std::optional<Child>> mount_ntfs(const std::filesystem::path& device, const std::filesystem::path& where,
                                        unsigned long flags);
// A program's lines of words as one line to show.
std::string in_one_line(std::string_view words);
// After the last unmount: until it has written everything.
void wait_for_ntfs(Child& server);

}  // namespace slipway::fixup
