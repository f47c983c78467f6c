// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a repair, each a thin applier over the pure transformers.
#pragma once

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/sandbox.hpp"
#include "guest-fixup/volumes.hpp"

namespace slipway::fixup {

enum class InitramfsTool { InitramfsTools, Dracut };

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

Status repair_device_names(Repair& repair);  // fstab, crypttab, resume, kernel command lines, device.map
// Debian's hook asks device-mapper what the root lies in, which it may not in our sandbox: crypttab tells it.
Status repair_crypttab(Repair& repair);
Status repair_firmware(Repair& repair);  // the EFI fallback loader
// links_changed: an initramfs carries copies of .link files, so it is made again then.
Status repair_network(Repair& repair, bool& links_changed);
// Before anything is changed: is this a system whose initramfs can be made fit?
Status check_initramfs(Repair& repair);
Status repair_initramfs(Repair& repair, bool make_again);
Status add_proof_unit(Repair& repair);

}  // namespace slipway::fixup
