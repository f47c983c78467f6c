// SPDX-License-Identifier: GPL-3.0-or-later
// The sectors that a repair changes, and their record in the guest: the thin side of sectors.hpp.
#pragma once

#include "guest-fixup/guest.hpp"
#include "guest-fixup/windows/mounted.hpp"
#include "guest-fixup/windows/sectors.hpp"

namespace slipway::fixup::windows {

class DiskEdits {
public:
    DiskEdits(Guest& guest, const MountedWindows& windows) : guest_(guest), windows_(windows) {}

    // What they are now, for the digest of all that a repair looks at.
    Result<std::string> digest() const;
    // Recorded first, then written. Nothing without a disk.
    Status apply(const SectorWishes& wishes);
    // What apply() wrote, when the repair fails after it.
    Status take_back();
    // All that repairs have written, from that run on; before the guest's files go back, its record among them.
    Result<std::vector<Change>> undo(bool dry_run, std::uint64_t since = 0) const;

private:
    bool possible() const { return !windows_.disk.empty() && windows_.place; }
    std::string record() const { return guest_.journal_base() + "/slipway/sectors.json"; }
    Result<std::vector<SectorEdit>> recorded() const;
    Result<std::vector<SectorEdit>> finished() const;

    Guest& guest_;
    const MountedWindows& windows_;
    std::vector<SectorEdit> applied_;
};

}  // namespace slipway::fixup::windows
