// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a repair, each a thin applier over the pure transformers.
#pragma once

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/personality.hpp"
#include "guest-fixup/sandbox.hpp"
#include "guest-fixup/volumes.hpp"

namespace slipway::fixup {

struct Repair {
    const RepairRequest& request;
    Guest& guest;
    const DeviceNames& names;
    const GuestRunner& run;
    RepairReport& report;
    std::function<void(const std::string&)> note;
    std::vector<std::string> encrypted;  // crypttab's names of what / and /usr lie in

    void warn(std::string text) { report.warnings.push_back(std::move(text)); }
    void warn(const std::vector<std::string>& texts) {
        for (const auto& text : texts) warn(text);
    }
};

// The guest's files that may hold kernel command lines.
std::vector<std::string> command_line_files(const Guest& guest);
Status repair_device_names(Repair& repair);  // fstab, crypttab, resume, kernel command lines, device.map
// Debian's hook asks device-mapper what the root lies in, which it may not in our sandbox: crypttab tells it.
Status repair_crypttab(Repair& repair);
Status repair_firmware(Repair& repair);  // the EFI fallback loader; BIOS and UEFI
// links_changed: an initramfs carries copies of .link files, so it is made again then.
Status repair_network(Repair& repair, bool& links_changed);
// Before anything is changed: is this a system whose initramfs can be made fit?
Status check_initramfs(Repair& repair);
Status repair_initramfs(Repair& repair, bool make_again);
// LILO alone is refused, before anything is changed.
Status check_boot_loader(Repair& repair);
Status repair_consoles(Repair& repair);  // and module blacklists, on kernel command lines; inittab, securetty
// After the initramfs: the kernel that each loader starts by itself is a fit one; systemd-boot's copies are new.
Status repair_loaders(Repair& repair);
Status label_new_files(Repair& repair);  // last: SELinux
Status add_proof_unit(Repair& repair);
// ---- what is not to start on the new hardware; before the initramfs, which carries copies of what they change
Status quiet_leftovers(Repair& repair, bool& initramfs_changed);
Status apply_drivers_file(Repair& repair, bool& initramfs_changed);
// ---- who the machine is; last, since what they forget cannot be taken back
// Leaves what this repair itself has written.
Status prepare_template(Repair& repair);
// The template's first-boot scripts have run; its clones' have not.
Status forget_first_boot(Repair& repair);
Status enable_guest_agent(Repair& repair, std::vector<FirstBootScript>& first_boot);
Status personalise(Repair& repair, std::vector<FirstBootScript>& first_boot);
Status add_first_boot(Repair& repair, const std::vector<FirstBootScript>& scripts);
Status set_machine_id(Repair& repair, MachineId wanted, const std::string& given);
Status new_host_keys(Repair& repair);
Status add_host_keys_unit(Repair& repair);
Status set_addresses(Repair& repair, const std::vector<InterfaceSetup>& interfaces);

// inputs.cpp: whether anything is different from what the last repair left. The request and the volumes as a digest:
std::string request_digest(const RepairRequest& request, const std::vector<Volume>& volumes);
// True, and the report filled as it was, when a repair with this request would look at nothing new.
bool as_the_last_repair_left_it(const Guest& guest, const std::string& request, RepairReport& report);
Status remember_inputs(Guest& guest, const std::string& request, RepairReport& report);

}  // namespace slipway::fixup
