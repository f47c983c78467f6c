// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/model.hpp"

#include <algorithm>
#include <set>

#include "gatherhw/names.hpp"

namespace slipway::gatherhw {

std::string_view name_of(Firmware value) { return name_in_table(value); }
std::string_view name_of(ControllerKind value) { return name_in_table(value); }
std::string_view name_of(TableKind value) { return name_in_table(value); }
std::string_view name_of(VolumeKind value) { return name_in_table(value); }
std::string_view name_of(VolumeState value) { return name_in_table(value); }
std::string_view name_of(AdapterKind value) { return name_in_table(value); }
std::string_view name_of(AddressOrigin value) { return name_in_table(value); }
std::string_view name_of(PortKind value) { return name_in_table(value); }
std::string_view name_of(BusKind value) { return name_in_table(value); }
std::string_view name_of(Health value) { return name_in_table(value); }
std::string_view name_of(LicenceChannel value) { return name_in_table(value); }
std::string_view name_of(LogTopic value) { return name_in_table(value); }

namespace {

template <typename List, typename Matches>
auto find_in(const List& list, Matches matches) -> const typename List::value_type* {
    auto found = std::find_if(list.begin(), list.end(), matches);
    return found == list.end() ? nullptr : &*found;
}

bool is_named(const Volume& volume, std::string_view name) {
    if (name.empty()) return false;
    if (name == volume.name || name == volume.path || name == volume.label) return true;
    if (name.starts_with("LABEL=")) return name.substr(6) == volume.label;
    if (name.starts_with("UUID=")) return name.substr(5) == volume.uuid;
    return std::find(volume.mount_points.begin(), volume.mount_points.end(), name) != volume.mount_points.end();
}

// seen guards against volumes that name each other (hostile input).
void collect_disks(const Inventory& inventory, std::string_view name, std::set<std::string>& seen,
                   std::set<std::string>& disks) {
    if (!seen.emplace(name).second) return;
    if (find_disk(inventory, name)) disks.emplace(name);
    for (const auto& disk : inventory.disks)
        if (find_in(disk.partitions, [&](const Partition& p) { return p.name == name; })) disks.insert(disk.name);
    if (const auto* volume = find_volume(inventory, name))
        for (const auto& below : volume->backing) collect_disks(inventory, below, seen, disks);
}

}  // namespace

const Disk* find_disk(const Inventory& inventory, std::string_view name) {
    return find_in(inventory.disks, [&](const Disk& d) { return d.name == name; });
}

const StorageController* find_controller(const Inventory& inventory, std::string_view id) {
    return find_in(inventory.controllers, [&](const StorageController& c) { return c.id == id; });
}

const Volume* find_volume(const Inventory& inventory, std::string_view name) {
    return find_in(inventory.volumes, [&](const Volume& v) { return v.name == name; });
}

std::vector<const Volume*> volumes_named(const Inventory& inventory, std::string_view name) {
    std::vector<const Volume*> found;
    for (const auto& volume : inventory.volumes)
        if (is_named(volume, name)) found.push_back(&volume);
    return found;
}

std::vector<std::string> disks_of(const Inventory& inventory, const Volume& volume) {
    std::set<std::string> seen, disks;
    collect_disks(inventory, volume.name, seen, disks);
    for (const auto& below : volume.backing) collect_disks(inventory, below, seen, disks);
    return {disks.begin(), disks.end()};
}

bool is_efi_system_partition(const Partition& partition) {
    return partition.type == "0xef" || partition.type == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
}

bool is_bios_boot_partition(const Partition& partition) {
    return partition.type == "21686148-6449-6e6f-744e-656564454649";
}

std::vector<std::string> shared_macs(const Inventory& inventory) {
    std::set<std::string> seen, twice;
    for (const auto& a : inventory.network) {
        if (a.kind != AdapterKind::Physical && a.kind != AdapterKind::Wireless) continue;
        const auto& mac = a.permanent_mac.empty() ? a.mac : a.permanent_mac;
        if (!mac.empty() && !seen.insert(mac).second) twice.insert(mac);
    }
    return {twice.begin(), twice.end()};
}

}  // namespace slipway::gatherhw
