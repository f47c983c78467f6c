// SPDX-License-Identifier: GPL-3.0-or-later
// The text transformers: old file content in, new content out. Pure; text that needs no change comes back byte for
// byte, so that a second run changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/text_lines.hpp"
#include "guest-fixup/volumes.hpp"

namespace slipway::fixup {

struct Edited {
    std::string text;
    std::vector<std::string> warnings;
};

struct FstabEntry {
    std::string spec, mount_point, type, options;
};
std::vector<FstabEntry> parse_fstab(std::string_view text);

// The devices of fstab(5) by UUID; comments, spacing and the other fields stay.
Edited edit_fstab(std::string_view text, const DeviceNames& names);
// crypttab(5): the second field.
Edited edit_crypttab(std::string_view text, const DeviceNames& names);
// crypttab(5): the option `initramfs` for these mappings.
Edited edit_crypttab_for_initramfs(std::string_view text, const std::vector<std::string>& mappings);
// Kernel command lines wherever they stand (grub.cfg, /etc/default/grub, loader entries, /etc/kernel/cmdline,
// initramfs-tools' RESUME=): root=, resume= and RESUME= by UUID.
Edited edit_command_lines(std::string_view text, const DeviceNames& names);
// /etc/default/grub: also GRUB_DISABLE_LINUX_UUID and GRUB_DISABLE_LINUX_PARTUUID off, which would undo it.
Edited edit_grub_defaults(std::string_view text, const DeviceNames& names);
// What root= of the first kernel command line in text says; empty when there is none.
std::string root_argument(std::string_view text);
// The file systems that GRUB looks for by "search --fs-uuid".
std::vector<std::string> searched_uuids(std::string_view text);

}  // namespace slipway::fixup
