// SPDX-License-Identifier: GPL-3.0-or-later
// The `disk` task: a new partition table, partitions, the active flag, or a clean disk, by libparted.
#include <memory>

#include <parted/parted.h>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/task.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/table/parted.hpp"

namespace slipway::agent {

namespace {

template <auto F>
struct Call {
    template <typename T>
    void operator()(T* p) const {
        F(p);
    }
};
using Device = std::unique_ptr<PedDevice, Call<ped_device_destroy>>;
using Disk = std::unique_ptr<PedDisk, Call<ped_disk_destroy>>;
using Constraint = std::unique_ptr<PedConstraint, Call<ped_constraint_destroy>>;

Error failed(const char* what) {
    return make_error(errors::kPartition, "{}: {}", what, disks::PartedSession::message());
}

Status commit(PedDisk* disk) {
    if (!ped_disk_commit_to_dev(disk)) return failed("writing the partition table");
    return {};
}

Status init(PedDevice* device, const std::string& table) {
    const auto* type = ped_disk_type_get(table == "mbr" ? "msdos" : table.c_str());
    if (!type || (table != "mbr" && table != "gpt"))
        return make_error(errors::kParameter, "table '{}' is not mbr or gpt", table);
    Disk disk(ped_disk_new_fresh(device, type));
    if (!disk) return failed("making a partition table");
    return commit(disk.get());
}

// size in bytes; 0 or "rest": all that is left.
Status partition(PedDevice* device, std::uint64_t size, const std::string& type) {
    Disk disk(ped_disk_new(device));
    if (!disk) return failed("reading the partition table");
    const PedSector alignment = static_cast<PedSector>((1u << 20) / device->sector_size);
    PedSector start = alignment;
    for (auto* part = ped_disk_next_partition(disk.get(), nullptr); part;
         part = ped_disk_next_partition(disk.get(), part))
        if (part->num > 0) start = std::max(start, (part->geom.end / alignment + 1) * alignment);
    PedSector last = device->length - (device->length > 2 * alignment ? alignment : 1) - 1;
    PedSector end =
        size ? start + static_cast<PedSector>(size / static_cast<std::uint64_t>(device->sector_size)) - 1 : last;
    if (start >= device->length || end > last)
        return make_error(errors::kPartition, "no room: it would end at sector {} of {}", end, device->length);
    const auto* filesystem = type.empty() ? nullptr : ped_file_system_type_get(type.c_str());
    if (!type.empty() && !filesystem) return make_error(errors::kParameter, "unknown partition type '{}'", type);
    PedPartition* made = ped_partition_new(disk.get(), PED_PARTITION_NORMAL, filesystem, start, end);
    if (!made) return failed("making a partition");
    Constraint constraint(ped_constraint_exact(&made->geom));
    if (!ped_disk_add_partition(disk.get(), made, constraint.get())) {
        ped_partition_destroy(made);
        return failed("adding a partition");
    }
    return commit(disk.get());
}

Status activate(PedDevice* device, int index) {
    Disk disk(ped_disk_new(device));
    if (!disk) return failed("reading the partition table");
    auto* part = ped_disk_get_partition(disk.get(), index);
    if (!part) return make_error(errors::kPartition, "there is no partition {}", index);
    auto flag = std::string_view(disk->type->name) == "gpt" ? PED_PARTITION_LEGACY_BOOT : PED_PARTITION_BOOT;
    if (!ped_partition_set_flag(part, flag, 1)) return failed("setting the active flag");
    return commit(disk.get());
}

Status clean(PedDevice* device) {
    if (!ped_device_open(device)) return failed("opening the disk");
    bool done = ped_disk_clobber(device) != 0;
    ped_device_close(device);
    return done ? Status() : Status(failed("removing the partition table"));
}

Status act(TaskContext& context, PedDevice* device, const std::string& action) {
    if (action == "clean") return clean(device);
    if (action == "init") return init(device, context.get("table", "mbr"));
    if (action == "partition") {
        auto text = context.get("size", "rest");
        auto size = text == "rest" ? std::optional<std::uint64_t>(0) : parse_size(text);
        if (!size) return make_error(errors::kParameter, "size '{}' is not a size such as 40G, or rest", text);
        return partition(device, *size, context.get("type"));
    }
    if (action == "active") {
        auto index = parse_u64(context.get("index", "1"));
        if (!index || *index > 128)
            return make_error(errors::kParameter, "index '{}' is not a partition number", context.get("index"));
        return activate(device, static_cast<int>(*index));
    }
    return make_error(errors::kParameter, "action '{}' is not init, partition, active or clean", action);
}

}  // namespace

Result<TaskOutcome> disk_task(TaskContext& context) {
    auto name = TRY(context.need("disk")), action = TRY(context.need("action"));
    for (const auto& disk : TRY(context.machine.disks())) {
        if (name != disk.name && name != disk.path && name != disk.serial) continue;
        { TRY(context.machine.open_target(disk)); }  // refuses a disk in use
        disks::PartedSession session;
        Device device(ped_device_get(disk.path.c_str()));
        if (!device) return failed("opening the disk");
        TRY(act(context, device.get(), action));
        TRY(context.machine.reread(disk));
        TaskOutcome outcome;
        outcome.result = {{"summary", action + " of " + disk.path}};
        return outcome;
    }
    return make_error(errors::kNoDisk, "the machine has no disk '{}'", name);
}

}  // namespace slipway::agent
