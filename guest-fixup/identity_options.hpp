// SPDX-License-Identifier: GPL-3.0-or-later
// The options that say who the machine is, and what of its old hardware is not to start.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/personality.hpp"

namespace slipway::fixup {

// Lives as long as the App it was added to.
class IdentityOptions {
public:
    void add_to(CLI::App& app);
    // A template is prepared, which alone needs no --target.
    bool template_only() const { return prepare_template_; }
    // Files are read here. alone: nothing else is to be repaired. Errors: fixup.personality, fixup.drivers-file and
    // reading's.
    Status apply(RepairRequest& request, bool alone) const;

private:
    std::string personality_, device_, drivers_file_;  // files, but for the device
    PersonalityValues values_;
    std::vector<std::string> addresses_, packages_;
    std::string authorized_key_, join_script_, first_boot_script_;  // files
    bool guest_agent_ = false, keep_leftovers_ = false, prepare_template_ = false;
};

}  // namespace slipway::fixup
