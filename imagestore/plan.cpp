// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/plan.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

VolumeState state_of(disks::VolumeState state) {
    switch (state) {
        case disks::VolumeState::Clean: return VolumeState::Clean;
        case disks::VolumeState::NeedsRecovery: return VolumeState::NeedsRecovery;
        case disks::VolumeState::Hibernated: return VolumeState::Hibernated;
        case disks::VolumeState::Unknown: break;
    }
    return VolumeState::Unknown;
}

std::string volume_name(const PlanOptions& options, unsigned partition) {
    if (partition == 0) return options.disk_name;
    bool digit = !options.disk_name.empty() && options.disk_name.back() >= '0' && options.disk_name.back() <= '9';
    return options.disk_name + (digit ? "p" : "") + std::to_string(partition);
}

Status add_volume(disks::BlockDevice& disk, const PlanOptions& options, VolumeInfo volume, DiskPlan& plan) {
    auto name = volume_name(options, volume.partition);
    for (const auto& exclusion : options.exclusions)
        volume.excluded =
            volume.excluded || (volume.partition != 0 && names_partition(exclusion, options, volume.partition));
    disks::OffsetLayer window(disk, volume.offset, volume.length);
    auto map = TRY_WITH(disks::map_used(window), "looking at " + name);
    volume.filesystem = map.filesystem;
    volume.label = map.label;
    volume.uuid = map.uuid;
    volume.state = state_of(map.state);
    if (!volume.excluded && !options.all_sectors)
        for (const auto& note : map.notes) plan.warnings.push_back(fmt::format("{}: {}", name, note));
    if (volume.excluded) {
        volume.note = "left out by request";
    } else if (options.all_sectors || !map.why_all.empty()) {
        volume.every_sector = true;
        volume.note = options.all_sectors ? "every sector by request" : map.why_all;
        volume.used = volume.length;
        plan.used.add({volume.offset, volume.length});
        if (!options.all_sectors)
            plan.warnings.push_back(fmt::format("{} ({}) is taken sector by sector: {}", name,
                                                map.filesystem.empty() ? "unknown" : map.filesystem, map.why_all));
    } else {
        for (const auto& extent : map.used.extents()) plan.used.add({volume.offset + extent.offset, extent.length});
        volume.used = map.used.total();
    }
    plan.volumes.push_back(std::move(volume));
    return {};
}

}  // namespace

bool names_partition(const std::string& exclusion, const PlanOptions& disk, unsigned partition) {
    auto number = std::to_string(partition);
    return exclusion == volume_name(disk, partition) || exclusion == "/dev/" + volume_name(disk, partition) ||
           exclusion == fmt::format("{}:{}", disk.disk, number) || (disk.disk == 0 && exclusion == number);
}

Result<DiskPlan> plan_disk(disks::BlockDevice& disk, const PlanOptions& options) {
    DiskPlan plan;
    plan.layout = TRY(disks::read_layout(disk));
    for (const auto& note : plan.layout.notes) plan.warnings.push_back(options.disk_name + ": " + note);
    if (plan.layout.table == disks::TableKind::None) {
        VolumeInfo whole;
        whole.length = disk.size();
        TRY(add_volume(disk, options, whole, plan));
        return plan;
    }
    std::uint64_t at = 0;
    for (const auto& partition : plan.layout.partitions) {
        if (partition.offset > at) plan.used.add({at, partition.offset - at});
        VolumeInfo volume;
        volume.partition = partition.index;
        volume.offset = partition.offset;
        volume.length = partition.length;
        TRY(add_volume(disk, options, volume, plan));
        at = partition.offset + partition.length;
    }
    if (at < disk.size()) plan.used.add({at, disk.size() - at});
    return plan;
}

}  // namespace slipway::imagestore
