// SPDX-License-Identifier: GPL-3.0-or-later
// Boot loaders that are in no package, made from what is: one of each for every address of ours, since they have it in
// them.
//
//   grubia32.efi  a GRUB of Debian's modules for UEFI IA32
//   localx64.efi  the same for x64, which starts the local disk and asks nobody
//   shimx64.img   a FAT file system with Debian's signed shim and GRUB, for UEFI HTTP boot. Started by HTTP itself,
//   GRUB knows
//                 neither network nor server; from a disk image it reads its grub.cfg there, and asks for an address.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::server {

struct MadeLoader {
    std::string name;
    std::string failure;  // why it could not be made; empty: it was
};
// Into directory/ADDRESS/. What cannot be made is no error: it is missed when a client asks, by name.
std::vector<MadeLoader> make_loaders(const std::filesystem::path& directory, Ipv4Address ours,
                                     const std::filesystem::path& root = "/");

}  // namespace slipway::server
