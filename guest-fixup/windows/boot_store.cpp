// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/windows/bcd.hpp"
#include "guest-fixup/windows/boot_moves.hpp"
#include "guest-fixup/windows/hive_files.hpp"
#include "guest-fixup/windows/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostNamed = 8;

bool is_here(const DiskPlace& place, const PartitionIdentity& wanted) {
    return std::any_of(place.layout.partitions.begin(), place.layout.partitions.end(), [&](const auto& partition) {
        const auto identity = identity_of(place, partition);
        return identity && *identity == wanted;
    });
}

std::optional<PartitionIdentity> only_partition(const std::optional<BcdDevice>& device) {
    if (!device || device->kind != BcdDeviceKind::Partition || device->partitions.size() != 1) return std::nullopt;
    return device->partitions.front();
}

void add(std::vector<Relocation>& moves, const PartitionIdentity& from, const PartitionIdentity& to) {
    const bool known = std::any_of(moves.begin(), moves.end(), [&](const auto& move) { return move.from == from; });
    if (!known && from != to) moves.push_back({from, to});
}

// Its other partitions follow a disk whose signature is another now.
void follow_signature(const DiskPlace& place, std::uint32_t old, std::vector<Relocation>& moves) {
    for (const auto& partition : place.layout.partitions)
        if (const auto now = identity_of(place, partition); now && std::holds_alternative<MbrPartition>(*now))
            add(moves, MbrPartition{old, partition.offset}, *now);
}

// A loader's file and its boot partition are the firmware's kind; another name in the store would not make it start.
void warn_of_other_firmware(WindowsRepair& repair, const BcdStore& store) {
    const bool uefi = repair.request.firmware == Firmware::Uefi;
    auto loaders = loaders_of_other_firmware(store, uefi);
    if (loaders.size() > kMostNamed) loaders.resize(kMostNamed);
    for (const auto& loader : loaders)
        repair.warn(fmt::format("The boot entry {} will not start: its loader is {}, and the target's firmware is {}.",
                                printable(loader.description.empty() ? loader.id : loader.description),
                                printable(loader.path), uefi ? "UEFI" : "a BIOS"));
}

}  // namespace

std::optional<PartitionIdentity> identity_of(const DiskPlace& place, const disks::Partition& partition) {
    if (place.layout.table == disks::TableKind::Gpt)
        return GptPartition{place.layout.gpt_id.to_guid(), partition.id.to_guid()};
    if (place.layout.table != disks::TableKind::Mbr || place.layout.mbr_signature == 0) return std::nullopt;
    return MbrPartition{place.layout.mbr_signature, partition.offset};
}

std::vector<Relocation> boot_moves(const BcdStore& store, const DiskPlace& place) {
    std::vector<Relocation> moves;
    const auto moved = [&](const std::optional<BcdDevice>& device, unsigned index) {
        const auto from = only_partition(device);
        const auto* partition = place.partition(index);
        const auto to = partition ? identity_of(place, *partition) : std::nullopt;
        if (!from || !to || is_here(place, *from)) return;
        add(moves, *from, *to);
        if (const auto* mbr = std::get_if<MbrPartition>(&*from)) follow_signature(place, mbr->signature, moves);
    };
    const auto chosen = store.default_object();
    if (const auto loader = chosen ? store.object(*chosen) : std::nullopt) {
        moved(loader->os_device, place.windows_partition);
        moved(loader->device, place.windows_partition);
    }
    if (const auto manager = store.object(kBootManager)) moved(manager->device, place.boot_partition);
    return moves;
}

Status repair_boot_store(WindowsRepair& repair) {
    if (!repair.disk || !repair.windows.at_least(6, 0)) return {};
    const auto& boot = repair.windows.boot;
    const bool gpt = repair.disk->layout.table == disks::TableKind::Gpt;
    const auto path = find_path(repair.guest, boot + (gpt ? "/EFI/Microsoft/Boot/BCD" : "/Boot/BCD"));
    if (!path) {
        repair.warn("the boot store (BCD) was not found: whether it names this disk is not known");
        return {};
    }
    auto loaded = TRY(load_hive(repair.guest, *path, "BCD"));
    auto store = TRY_WITH(BcdStore::of(loaded.hive), *path);
    TRY_WITH(store.relocate(boot_moves(store, *repair.disk)), *path);
    warn_of_other_firmware(repair, store);
    return write_hive(repair.guest, loaded);
}

}  // namespace slipway::fixup::windows
