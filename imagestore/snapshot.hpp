// SPDX-License-Identifier: GPL-3.0-or-later
// A still picture of a volume that is in use, where its volume manager gives one: LVM. (A btrfs snapshot is a subvolume
// of the same blocks, no device to be captured.) Policy is pure; commands go through a runner.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"

namespace slipway::imagestore {

using CommandRunner = std::function<Result<CommandResult>(const std::vector<std::string>& argv)>;

// As lvs(8) tells it.
struct LogicalVolume {
    std::string group, name;
    std::uint64_t size = 0, group_free = 0;  // bytes
    bool thin = false;
    bool snapshot = false;
};

struct SnapshotPlan {
    std::vector<std::string> create, remove, check;  // argv each; create is empty when there can be none
    std::string device;                              // to capture instead
    std::string why_not;
};

// The logical volume that `device` is; nothing when it is none, or LVM's tools are not there.
std::optional<LogicalVolume> find_logical_volume(const std::string& device, const CommandRunner& run);
// One line of `lvs --noheadings --nosuffix --units b --separator | -o vg_name,lv_name,lv_size,vg_free,lv_attr`.
std::optional<LogicalVolume> parse_logical_volume(const std::string& line);

// A classic snapshot gets as much space as its origin has, if there is so much; it is refused below a twentieth of it
// (at least 64 MiB), since one that fills up is worth nothing. `name` of the snapshot, new in its group.
SnapshotPlan plan_snapshot(const std::optional<LogicalVolume>& volume, const std::string& name);

// Made while it lives. The kernel freezes the mounted file system for as long as the snapshot takes to be made (a
// suspended device-mapper device locks its file system), so fsfreeze is not called: around lvcreate it could lock that
// out as well.
class Snapshot {
public:
    // Error: imagestore.snapshot, with what the command said.
    static Result<Snapshot> create(SnapshotPlan plan, CommandRunner run);
    Snapshot(Snapshot&& other) noexcept;
    Snapshot& operator=(Snapshot&&) = delete;
    ~Snapshot();
    const std::string& device() const { return plan_.device; }
    // After the capture: is it still whole? One that filled up reads as errors. Error: imagestore.snapshot.
    Status still_whole() const;

private:
    Snapshot(SnapshotPlan plan, CommandRunner run) : plan_(std::move(plan)), run_(std::move(run)) {}
    SnapshotPlan plan_;
    CommandRunner run_;
};

}  // namespace slipway::imagestore
