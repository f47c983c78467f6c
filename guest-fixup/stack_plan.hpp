// SPDX-License-Identifier: GPL-3.0-or-later
// What may be activated on this host, and how: arrays with their members, volume groups, encrypted volumes. Pure: over
// superblocks and metadata that were read (hostile bytes), and over what is active on this host already.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/volumes.hpp"
#include "lib/disks/volumes/lvm.hpp"
#include "lib/disks/volumes/md.hpp"

namespace slipway::fixup {

// A volume (by its place in the list) that is part of something.
struct MdMember {
    std::size_t volume = 0;
    disks::MdSuper super;
};
struct PhysicalVolume {
    std::size_t volume = 0;
    disks::LvmLabel label;
    disks::LvmMetadata metadata;
};

struct ArrayPlan {
    std::string id;                    // "ad3e8c1f:…", as mdadm writes it
    std::string name;                  // "md0", "md/root": the guest's name below /dev
    std::vector<std::size_t> members;  // those of the newest state
    bool degraded = false;             // it was so when it was last stopped
    std::string refused;               // not empty: why it is not started
};
// A member that is only missing here, and was in the array when it was last written, is no reason to start without it:
// the two would differ from then on. One that had been lost before is.
std::vector<ArrayPlan> plan_arrays(const std::vector<MdMember>& members);

struct GroupPlan {
    std::string name, uuid;
    std::string system_id;  // whose host it is; empty: anybody's
    std::vector<std::size_t> members;
    std::set<std::string> snapshots;  // its volumes that are snapshots of others: no systems of their own
    std::string refused;
};
// The groups of those physical volumes that are all there.
std::vector<GroupPlan> plan_groups(const std::vector<PhysicalVolume>& physical);

// A device-mapper device as the kernel shows it.
struct Mapping {
    std::string name, uuid;
};
// "vg--a", "root" for "vg----a-root"; nothing when there is no group in it.
struct LogicalName {
    std::string group, volume;
};
std::optional<LogicalName> parse_mapping_name(std::string_view name);
std::string mapping_name(std::string_view group, std::string_view volume);
// The visible logical volumes of a group among all mappings: no parts of pools, mirrors or snapshots.
std::vector<Mapping> volumes_of_group(const std::vector<Mapping>& all, std::string_view group_uuid);
// Is a group of that name or that UUID active already?
bool group_is_active(const std::vector<Mapping>& all, std::string_view name, std::string_view uuid);

// Names that may stand in a command line and in /dev/mapper.
bool valid_group_name(std::string_view name);
bool valid_mapping_name(std::string_view name);

// lvm's --config: this run's devices alone, no udev, no daemons, no backups, locks below `run`.
std::string lvm_config(const std::vector<std::filesystem::path>& devices, const GroupPlan& group,
                       const std::filesystem::path& run, bool read_only, bool thin_check);

}  // namespace slipway::fixup
