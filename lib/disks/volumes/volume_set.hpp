// SPDX-License-Identifier: GPL-3.0-or-later
// All volumes of all disks of one machine at once: md arrays, LVM groups and encrypted volumes are looked through, in
// any order of nesting, so that each given volume counts by the used blocks of what lies inside. Nothing is ever
// activated; all reading is by the parsers beside this. What is incomplete, unclean or unknown is taken whole, and
// says why.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/disks/used_map.hpp"
#include "lib/disks/volumes/luks.hpp"

namespace slipway::disks {

struct VolumeGraph;

struct InnerVolume {
    std::string name;               // "vg0/root", "md127", "md127p1", "luks-UUID"
    std::string kind;               // "lvm", "thin", "raid5", "luks", "partition"
    bool hidden = false;            // a part of others (a thin pool's data): no volume of its own
    BlockDevice* device = nullptr;  // read-only, of the set
    UsedMap map;
    std::vector<std::size_t> members;  // numbers: given volumes from 0 on, then the inner ones in their order
};

// Refers to the given volumes, which outlive it; owns the inner ones. May be moved.
class VolumeSet {
public:
    // Only a read error on a given volume is an Error.
    static Result<VolumeSet> assemble(std::span<BlockDevice* const> volumes, const MapOptions& options = {});
    ~VolumeSet();
    VolumeSet(VolumeSet&&) noexcept;
    VolumeSet& operator=(VolumeSet&&) noexcept;

    const std::vector<UsedMap>& maps() const { return maps_; }        // one for each given volume
    const std::vector<InnerVolume>& inner() const { return inner_; }  // members before what lies over them
    // Inner volumes that are taken whole, and why: "vg0/root (ext4): the journal is to be recovered".
    const std::vector<std::string>& warnings() const { return warnings_; }

private:
    explicit VolumeSet(std::unique_ptr<VolumeGraph> graph);
    std::unique_ptr<VolumeGraph> graph_;
    std::vector<UsedMap> maps_;
    std::vector<InnerVolume> inner_;
    std::vector<std::string> warnings_;
};

// The same for who wants the maps alone.
Result<std::vector<UsedMap>> map_volumes(std::span<BlockDevice* const> volumes, const MapOptions& options = {});

}  // namespace slipway::disks
