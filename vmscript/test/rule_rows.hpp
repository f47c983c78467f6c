// SPDX-License-Identifier: GPL-3.0-or-later
// What spoils a good machine, and what the rule then says: a row at least for each rule's worst verdict.
#pragma once

#include <functional>
#include <vector>

#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

struct RuleRow {
    const char* id;
    Verdict verdict;
    const char* says;
    std::function<void(gatherhw::Inventory&, Switches&, Surroundings&)> spoil;
};
std::vector<RuleRow> linux_rows();    // of good_source(): machine, disks, file systems, boot
std::vector<RuleRow> device_rows();   // of good_source(): network, services, devices, what is around
std::vector<RuleRow> windows_rows();  // of good_windows()

}  // namespace slipway::vmscript
