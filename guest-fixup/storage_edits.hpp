// SPDX-License-Identifier: GPL-3.0-or-later
// Text transformers of what names the old machine's disks and drivers beside fstab: md, LVM, modprobe, SUSE's
// sysconfig. Pure; a second time changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/edits.hpp"

namespace slipway::fixup {

// mdadm.conf(5): DEVICE lines of disk names become "DEVICE partitions"; devices= goes where an ARRAY has a UUID or a
// name, without one it is warned of.
Edited edit_mdadm(std::string_view text);

// lvmdevices(8): does the devices file know its disks by what belongs to the old machine (WWID, serial number, name)?
// Then LVM would find none of them.
bool devices_file_is_stale(std::string_view text);

// lvm.conf(5): a filter that accepts disks by the old machine's names and rejects the rest is commented out. One of
// several lines is only warned of.
Edited edit_lvm_filter(std::string_view text);

// modprobe.d(5) and modprobe.conf: blacklist and install lines that keep a needed module away, and aliases of adapters
// that are gone, commented out; the first scsi_hostadapter is this controller's driver.
Edited edit_modprobe(std::string_view text, std::string_view file, const std::vector<std::string>& modules);

// SUSE's /etc/sysconfig/kernel: INITRD_MODULES.
std::string add_initrd_modules(std::string_view text, const std::vector<std::string>& modules);

// Lines of hdparm.conf, smartd.conf and the like that name a disk by its old name.
bool names_old_disks(std::string_view text);

}  // namespace slipway::fixup
