// SPDX-License-Identifier: GPL-3.0-or-later
// The volumes of one machine as they are found: given ones first, then each that lies over earlier ones. So a
// member's number is always less than its volume's, and there are no cycles.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/disks/used_map.hpp"
#include "lib/disks/volumes/lvm.hpp"
#include "lib/disks/volumes/md.hpp"

namespace slipway::disks {

struct VolumeNode {
    std::string name, kind;  // as InnerVolume
    BlockDevice* device = nullptr;
    std::unique_ptr<StackedVolume> stack;  // none: a given volume
    std::vector<std::size_t> members;      // of the stack, in its order
    std::vector<std::size_t> inside;       // the volumes found in it that have a name of their own
    unsigned depth = 0;
    bool hidden = false;   // a part of another one (a thin pool's data); not looked into
    bool settled = false;  // its role is known: assembled, or taken whole

    std::optional<MdSuper> md;
    std::optional<LvmLabel> lvm;
    LvmMetadata lvm_metadata;

    UsedMap map;
    ExtentSet used;  // collects what is kept of it; unused when map.why_all is set
};

struct VolumeGraph {
    std::deque<VolumeNode> nodes;  // references stay valid
    std::vector<std::string> warnings;

    VolumeNode& operator[](std::size_t number) { return nodes[number]; }

    // nullopt: too many, or nested too deeply; the caller takes the members whole.
    std::optional<std::size_t> add(std::string name, std::string kind, std::unique_ptr<StackedVolume> stack,
                                   std::vector<std::size_t> members, bool hidden = false);
    void take_whole(std::size_t number, std::string why);
};

inline constexpr unsigned kMaxVolumeDepth = 8;
inline constexpr std::size_t kMaxInnerVolumes = 8192;

// LVM: makes volumes of every group whose physical volumes are all there; with `forced` of the others too, as far as
// they go. True when volumes were added.
bool assemble_groups(VolumeGraph& graph, bool forced);

}  // namespace slipway::disks
