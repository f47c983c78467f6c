// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/plan.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/disks/volumes/volume_set.hpp"

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

bool is_excluded(const PlanOptions& options, unsigned partition) {
    return partition != 0 && std::any_of(options.exclusions.begin(), options.exclusions.end(),
                                         [&](const auto& e) { return names_partition(e, options, partition); });
}

// The disk's volumes by its partition table, and what no volume claims.
Result<DiskPlan> lay_out(const PlanDisk& disk) {
    DiskPlan plan;
    auto size = disk.device->size();
    if (!disk.options.bare) plan.layout = TRY(disks::read_layout(*disk.device));
    for (const auto& note : plan.layout.notes) plan.warnings.push_back(disk.options.disk_name + ": " + note);
    if (plan.layout.table == disks::TableKind::None) {
        VolumeInfo whole;
        whole.length = size;
        plan.volumes.push_back(std::move(whole));
        return plan;
    }
    for (const auto& partition : plan.layout.partitions) {
        VolumeInfo volume;
        volume.partition = partition.index;
        volume.offset = partition.offset;
        volume.length = partition.length;
        volume.excluded = is_excluded(disk.options, partition.index);
        plan.volumes.push_back(std::move(volume));
    }
    return plan;
}

void fill_volume(const PlanOptions& options, const disks::UsedMap& map, VolumeInfo& volume, DiskPlan& plan) {
    volume.filesystem = map.filesystem;
    volume.label = map.label;
    volume.uuid = map.uuid;
    volume.state = state_of(map.state);
    if (!volume.excluded && !options.all_sectors)
        for (const auto& note : map.notes)
            plan.warnings.push_back(fmt::format("{}: {}", volume_name(options, volume.partition), note));
    volume.note = map.inside;
    if (volume.excluded) {
        volume.note = "left out by request";
    } else if (options.all_sectors || !map.why_all.empty()) {
        volume.every_sector = true;
        volume.note = options.all_sectors ? "every sector by request" : map.why_all;
        volume.used = volume.length;
        plan.used.add({volume.offset, volume.length});
        if (!options.all_sectors)
            plan.warnings.push_back(fmt::format("{} ({}) is taken sector by sector: {}",
                                                volume_name(options, volume.partition),
                                                map.filesystem.empty() ? "unknown" : map.filesystem, map.why_all));
    } else {
        for (const auto& extent : map.used.extents()) plan.used.add({volume.offset + extent.offset, extent.length});
        volume.used = map.used.total();
    }
}

// A partition inside another's range would otherwise be that one's free space.
void keep_refused(DiskPlan& plan, std::uint64_t disk_bytes) {
    if (plan.layout.refused.empty()) return;
    auto extents = plan.used.extents();
    for (const auto& p : plan.layout.refused)
        if (p.offset < disk_bytes) extents.push_back({p.offset, std::min(p.length, disk_bytes - p.offset)});
    std::sort(extents.begin(), extents.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
    plan.used = {};
    for (const auto& extent : extents) plan.used.add(extent);
}

// `maps` has one for each volume of the disk, in their order.
void fill_disk(const PlanDisk& disk, std::span<const disks::UsedMap> maps, DiskPlan& plan) {
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < plan.volumes.size(); ++i) {
        auto& volume = plan.volumes[i];
        if (volume.offset > at) plan.used.add({at, volume.offset - at});
        fill_volume(disk.options, maps[i], volume, plan);
        at = volume.offset + volume.length;
    }
    if (at < disk.device->size()) plan.used.add({at, disk.device->size() - at});
    keep_refused(plan, disk.device->size());
}

}  // namespace

bool names_partition(const std::string& exclusion, const PlanOptions& disk, unsigned partition) {
    auto number = std::to_string(partition);
    return exclusion == volume_name(disk, partition) || exclusion == "/dev/" + volume_name(disk, partition) ||
           exclusion == fmt::format("{}:{}", disk.disk, number) || (disk.disk == 0 && exclusion == number);
}

Result<std::vector<DiskPlan>> plan_disks(const std::vector<PlanDisk>& disks, const disks::MapOptions& options) {
    std::vector<DiskPlan> plans;
    std::vector<std::unique_ptr<disks::BlockDevice>> windows;
    std::vector<disks::BlockDevice*> volumes;
    for (const auto& disk : disks) {
        plans.push_back(TRY_WITH(lay_out(disk), "looking at " + disk.options.disk_name));
        for (const auto& volume : plans.back().volumes) {
            windows.push_back(std::make_unique<disks::OffsetLayer>(*disk.device, volume.offset, volume.length));
            volumes.push_back(windows.back().get());
        }
    }
    auto set = TRY_WITH(disks::VolumeSet::assemble(volumes, options), "looking at the volumes");
    std::span<const disks::UsedMap> maps(set.maps());
    for (std::size_t d = 0; d < disks.size(); ++d) {
        fill_disk(disks[d], maps.first(plans[d].volumes.size()), plans[d]);
        maps = maps.subspan(plans[d].volumes.size());
    }
    bool mapped = std::any_of(disks.begin(), disks.end(), [](const PlanDisk& d) { return !d.options.all_sectors; });
    if (mapped)
        for (const auto& warning : set.warnings()) plans.front().warnings.push_back(warning);
    return plans;
}

Result<DiskPlan> plan_disk(disks::BlockDevice& disk, const PlanOptions& options) {
    auto plans = TRY(plan_disks({{&disk, options}}));
    return std::move(plans.front());
}

}  // namespace slipway::imagestore
