// SPDX-License-Identifier: GPL-3.0-or-later
// All volumes of the guest's disks: partitions, and what lies over them once it is active on this host.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/mounts.hpp"
#include "guest-fixup/sandbox.hpp"
#include "guest-fixup/stacks.hpp"

namespace slipway::fixup {

class GuestVolumes {
public:
    static Result<std::unique_ptr<GuestVolumes>> open(const RepairRequest& request);
    ~GuestVolumes() { (void)close(); }

    // Activates, round by round, whatever can be: arrays, encrypted volumes, groups. What cannot is a trouble, which
    // matters when the root, or what it needs, is not found.
    Status look_through();
    const std::vector<Error>& troubles() const { return troubles_; }
    // The one to tell when something is missing.
    std::optional<Error> worst_trouble() const;
    const std::vector<std::string>& warnings() const { return warnings_; }
    // fixup.cut-short, where a disk ends before its volumes do.
    std::optional<Error> cut_short() const;

    const std::vector<Volume>& volumes() const { return volumes_; }
    // A block device for a volume, made when first asked for.
    Result<std::filesystem::path> device_of(std::size_t volume);
    // Gives the mapping of an encrypted volume the name that the guest's crypttab says.
    Status rename_luks(std::size_t volume, const std::string& name);
    void add_name(std::size_t volume, std::string name);
    void set_subvolumes(std::size_t volume, std::vector<std::string> names);
    // Nodes and links that the guest's tools look for.
    Result<SandboxDevices> sandbox_devices();

    // All volumes unmounted: takes down what was activated and writes the disks out. Says what is still active.
    Result<std::vector<std::string>> close();

private:
    explicit GuestVolumes(const RepairRequest& request)
        : request_(request), stacks_(request.dry_run, request.cancel_fd) {}
    Result<bool> start_arrays();
    Result<bool> open_luks();
    Result<bool> start_groups();
    Result<std::filesystem::path> member_device(std::size_t volume);
    Result<std::vector<std::filesystem::path>> member_devices(const std::vector<std::size_t>& members);
    Status add_array(const ArrayPlan& plan, const std::filesystem::path& node);
    Status add_over(std::vector<std::size_t> parents, Volume volume);
    bool enough(VolumeKind kind);
    bool pending(std::size_t volume, std::string_view filesystem) const;

    const RepairRequest& request_;
    std::vector<GuestDisk> disks_;
    std::vector<Volume> volumes_;
    std::vector<char> settled_;  // of volumes_: looked through, or given up
    std::vector<Error> troubles_;
    std::vector<std::string> warnings_;
    std::vector<LoopDevice> loops_;  // partitions of arrays that the kernel does not see
    ActiveStacks stacks_;            // goes before the loops below it
    std::optional<Error> lacking_md_, lacking_dm_;
    bool closed_ = false;
};

}  // namespace slipway::fixup
