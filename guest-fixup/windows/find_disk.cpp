// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/find_disk.hpp"

#include <algorithm>

#include "guest-fixup/guest.hpp"
#include "guest-fixup/windows/errors.hpp"
#include "guest-fixup/windows/find_windows.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::fixup::windows {

namespace {

namespace fs = std::filesystem;

bool may_hold_windows(const Volume& volume) { return volume.filesystem == "ntfs" || volume.filesystem == "vfat"; }

// What a second system on the same volume is told apart by.
std::vector<std::string> roots_on(const Guest& guest) {
    auto roots = system_roots(guest);
    if (roots.size() < 2) return roots;
    const auto path = find_path(guest, "/boot.ini");
    const auto text = path ? guest.read(*path, 1u << 20) : Result<std::optional<std::string>>(std::nullopt);
    if (!text || !*text) return roots;
    if (auto named = named_by_boot_ini(**text, roots)) return {*named};
    return roots;
}

// Hibernation and fast startup keep the file system's own state in memory: whoever writes beside it damages it.
Status refuse_in_use(const fs::path& device, const Volume& volume) {
    auto disk = TRY(disks::FileDisk::open(device, disks::OpenMode::ReadOnly));
    const auto map = TRY(disks::map_used(*disk));
    if (map.state == disks::VolumeState::Hibernated)
        return make_error(errors::kHibernated, "{}: {}", describe(volume), map.why_all);
    if (map.state == disks::VolumeState::NeedsRecovery)
        return make_error(errors::kWindowsDirty, "{}: {}", describe(volume),
                          map.why_all.empty() ? "it was not shut down" : map.why_all);
    return {};
}

const Uuid kEfiSystem = *Uuid::parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");

Result<DiskPlace> place_of(const fs::path& file, const Volume& volume) {
    auto disk = TRY(disks::open_disk(file, disks::OpenMode::ReadOnly));
    DiskPlace place;
    place.layout = TRY(disks::read_layout(*disk));
    place.disk_size = disk->size();
    place.sector_size = disk->sector_size();
    place.windows_partition = volume.index;
    const bool gpt = place.layout.table == disks::TableKind::Gpt;
    for (const auto& partition : place.layout.partitions)
        if (place.boot_partition == 0 && (gpt ? partition.type == kEfiSystem : partition.active))
            place.boot_partition = partition.index;
    return place;
}

// A directory of the guest that nothing of the repair looks into; what is in it is out of sight meanwhile.
std::optional<std::string> boot_mount_point(const Guest& guest, const std::string& root) {
    for (const auto& path : {std::string("/System Volume Information"), root + "/Temp", std::string("/$Recycle.Bin")})
        if (auto found = find_path(guest, path)) return found;
    return std::nullopt;
}

// The active partition, or the EFI system partition, when that is another volume of the same disk.
Status mount_boot(GuestVolumes& all, const FoundWindows& found, const fs::path& place, bool read_only,
                  MountStack& mounts, MountedWindows& windows, std::vector<std::string>& warnings) {
    const auto index = windows.place->boot_partition;
    const auto disk = all.volumes()[found.volume].disk;
    if (index == 0 || index == windows.place->windows_partition) return {};
    for (std::size_t i = 0; i < all.volumes().size(); ++i) {
        const auto volume = all.volumes()[i];
        if (volume.kind != VolumeKind::Partition || volume.disk != disk || volume.index != index) continue;
        if (!may_hold_windows(volume)) return {};
        const auto guest = TRY(Guest::open(place, true));
        const auto point = boot_mount_point(guest, found.root);
        const auto where = point ? guest.resolve(*point) : std::nullopt;
        if (!where) {
            warnings.push_back(describe(volume) + ", which starts it, has no place to be mounted: it was left alone");
            return {};
        }
        auto mounted = mounts.mount(TRY(all.device_of(i)), *where, volume, read_only);
        if (!mounted) {
            warnings.push_back(describe(volume) + ", which starts it, was left alone: " + mounted.error().describe());
            return {};
        }
        windows.boot = *point;
        windows.boot_name = describe(volume);
        return {};
    }
    return {};
}

}  // namespace

std::string name_of(const FoundWindows& found, const std::vector<FoundWindows>& all,
                    const std::vector<Volume>& volumes) {
    const auto here = std::count_if(all.begin(), all.end(), [&](const auto& f) { return f.volume == found.volume; });
    return describe(volumes[found.volume]) + (here > 1 ? ":" + printable(found.root.substr(1)) : "");
}

Result<std::vector<FoundWindows>> find_windows(GuestVolumes& all, const fs::path& place) {
    std::vector<FoundWindows> found;
    std::optional<Error> trouble;
    for (std::size_t i = 0; i < all.volumes().size(); ++i) {
        const auto volume = all.volumes()[i];
        if (volume.filesystem == "BitLocker")
            trouble = make_error(errors::kBitLocker, "{} is encrypted by BitLocker", describe(volume));
        if (!may_hold_windows(volume)) continue;
        auto looked = [&]() -> Result<std::vector<std::string>> {
            MountStack mounts;
            TRY(mounts.mount(TRY(all.device_of(i)), place, volume, true));
            return roots_on(TRY(Guest::open(place, true)));
        }();
        if (!looked && (!trouble || !trouble->is(errors::kBitLocker))) trouble = std::move(looked).error();
        else if (looked)
            for (auto& root : *looked) found.push_back({i, std::move(root)});
    }
    if (found.empty() && trouble) return *std::move(trouble);
    return found;
}

std::vector<FoundWindows> called(const std::vector<FoundWindows>& found, const std::vector<Volume>& volumes,
                                 std::string_view wanted) {
    std::vector<FoundWindows> out;
    for (const auto& one : found) {
        const auto& volume = volumes[one.volume];
        const auto full = describe(volume) + ":" + one.root.substr(1);
        if (wanted.empty() || wanted == describe(volume) || iequals(wanted, full) || iequals(wanted, volume.uuid) ||
            iequals(wanted, "UUID=" + volume.uuid))
            out.push_back(one);
    }
    return out;
}

Result<RepairReport> repair_found(GuestVolumes& all, const RepairRequest& request, const FoundWindows& found,
                                  const fs::path& place, const RepairRoot& repair_root) {
    const auto device = TRY(all.device_of(found.volume));
    const auto volume = all.volumes()[found.volume];
    TRY(refuse_in_use(device, volume));
    const auto& disk = volume.disk == 0 ? request.disk : request.more_disks[volume.disk - 1];
    MountedRoot mounted{.path = place, .warnings = all.warnings()};
    mounted.windows.emplace();
    mounted.windows->root = found.root;
    mounted.windows->disk = disk;
    mounted.windows->place = TRY(place_of(disk, volume));
    MountStack mounts;
    TRY(mounts.mount(device, place, volume, request.dry_run));
    TRY(mount_boot(all, found, place, request.dry_run, mounts, *mounted.windows, mounted.warnings));
    mounted.volumes = all.volumes();
    mounted.disk = volume.disk;
    mounted.name = volume.index == 0 ? disk.string() : fmt::format("{} partition {}", disk.string(), volume.index);
    return repair_root(std::move(mounted));
}

}  // namespace slipway::fixup::windows
