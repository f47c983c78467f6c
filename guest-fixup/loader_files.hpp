// SPDX-License-Identifier: GPL-3.0-or-later
// Where the boot loaders of a guest keep their configuration.
#pragma once

#include "guest-fixup/boot_menu.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/kernel_arguments.hpp"

namespace slipway::fixup {

struct LoaderFile {
    std::string path;
    LoaderSyntax syntax;
};
// Those that are there, with kernel command lines in them.
std::vector<LoaderFile> loader_files(const Guest& guest);

// Where a file system with boot files may be mounted; "" is the root itself.
const std::vector<std::string>& boot_places();
// The mounted EFI system partition; empty when there is none.
std::string find_esp(const Guest& guest);

// The entries of the boot loader specification in one of boot_places().
Result<EntryFiles> read_entry_files(const Guest& guest, const std::string& place);
// A path of a loader, which counts from the root of its file system, as the guest's; empty when there is no such file.
std::string path_in_guest(const Guest& guest, const std::string& place, std::string_view path);

}  // namespace slipway::fixup
