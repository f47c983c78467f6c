// SPDX-License-Identifier: GPL-3.0-or-later
// The repair of a Windows whose volumes are mounted: docs/windows.md.
#pragma once

#include <functional>

#include "guest-fixup/disk_repair.hpp"

namespace slipway::fixup::windows {

// root.windows says where it is; the request may ask for a dry run or an undo. The journal, the kept originals and
// repair.json are in %SystemRoot%\slipway.
Result<RepairReport> repair_windows_root(const RepairRequest& request, MountedRoot root,
                                         const std::function<void(const std::string&)>& note);

// Of a mounted root that somebody gave: the Windows in it, when it holds one and is no Linux.
Result<std::optional<MountedWindows>> windows_in(const std::filesystem::path& root);

}  // namespace slipway::fixup::windows
