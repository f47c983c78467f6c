// SPDX-License-Identifier: GPL-3.0-or-later
// The check that a host can carry a machine, before anything of it is made.
#pragma once

#include "vmm-target/target.hpp"

namespace slipway::vmm {

Status check_memory(const HostResources& host, const VmDefinition& definition);
// directory: where relative disks go. Fixed disks count whole, dynamic ones with what an empty one takes.
Status check_space(const HostResources& host, const VmDefinition& definition, const std::filesystem::path& directory);
std::filesystem::path disk_path(const VmDisk& disk, const std::filesystem::path& directory);

}  // namespace slipway::vmm
