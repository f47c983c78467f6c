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

unsigned boot_partition_of(const disks::DiskLayout& layout) {
    const bool gpt = layout.table == disks::TableKind::Gpt;
    for (const auto& partition : layout.partitions)
        if (gpt ? partition.type == kEfiSystem : partition.active) return partition.index;
    return 0;
}

// Of every given disk, in their order.
Result<std::vector<disks::DiskLayout>> layouts_of(const RepairRequest& request) {
    std::vector<fs::path> paths{request.disk};
    paths.insert(paths.end(), request.more_disks.begin(), request.more_disks.end());
    std::vector<disks::DiskLayout> out;
    for (const auto& path : paths) {
        auto disk = TRY(disks::open_disk(path, disks::OpenMode::ReadOnly));
        out.push_back(TRY_WITH(disks::read_layout(*disk), path.string()));
    }
    return out;
}

Result<DiskPlace> place_of(const fs::path& file, const Volume& volume, disks::DiskLayout layout) {
    const auto disk = TRY(disks::open_disk(file, disks::OpenMode::ReadOnly));
    DiskPlace place;
    place.layout = std::move(layout);
    place.disk_size = disk->size();
    place.sector_size = disk->sector_size();
    place.windows_partition = volume.index;
    place.boot_partition = boot_partition_of(place.layout);
    return place;
}

// The disk that starts it is the firmware's first.
void count_as_firmware(DiskPlace& place, const std::vector<disks::DiskLayout>& layouts, unsigned disk, unsigned boot) {
    place.signatures = {layouts[boot].mbr_signature};
    for (unsigned i = 0; i < layouts.size(); ++i) {
        if (i == disk && i != boot) place.number = static_cast<unsigned>(place.signatures.size());
        if (i != boot) place.signatures.push_back(layouts[i].mbr_signature);
    }
}

// A directory of the guest that nothing of the repair looks into; what is in it is out of sight meanwhile.
std::optional<std::string> boot_mount_point(const Guest& guest, const std::string& root) {
    for (const auto& path : {std::string("/System Volume Information"), root + "/Temp", std::string("/$Recycle.Bin")})
        if (auto found = find_path(guest, path)) return found;
    return std::nullopt;
}

// What the firmware starts, below a directory of the guest.
bool starts_windows(const Guest& guest, const std::string& at, disks::TableKind table) {
    const bool gpt = table == disks::TableKind::Gpt;
    for (const char* name : {"/ntldr", "/boot.ini", "/bootmgr", "/Boot/BCD"})
        if (!gpt && find_path(guest, at + name)) return true;
    return gpt && find_path(guest, at + "/EFI/Microsoft/Boot/BCD").has_value();
}

// Where the volume that starts Windows is looked for and mounted: over a directory of Windows' own, which is mounted.
class BootVolume {
public:
    BootVolume(GuestVolumes& all, const FoundWindows& found, fs::path place)
        : all_(all), windows_(all.volumes()[found.volume]), root_(found.root), place_(std::move(place)) {}

    // Its own disk's active partition or EFI system partition. When neither that nor Windows' own volume starts
    // anything, the first other disk's that does. nullopt: it is Windows' volume, or there is none.
    Result<std::optional<std::size_t>> find(const std::vector<disks::DiskLayout>& layouts) const {
        const auto own = volume(windows_.disk, boot_partition_of(layouts[windows_.disk]));
        const auto table = layouts[windows_.disk].table;
        if (layouts.size() == 1 || (own && holds_it(*own, table))) return own;
        if (starts_windows(TRY(Guest::open(place_, true)), "", table)) return own;
        for (unsigned disk = 0; disk < layouts.size(); ++disk) {
            if (disk == windows_.disk || layouts[disk].table != table) continue;
            const auto other = volume(disk, boot_partition_of(layouts[disk]));
            if (other && holds_it(*other, table)) return other;
        }
        return own;
    }

    // Where it is mounted then; an error that is none of the volume's own is that there is no place.
    Result<std::string> mount(std::size_t number, bool read_only, MountStack& mounts) const {
        const auto guest = TRY(Guest::open(place_, true));
        const auto point = boot_mount_point(guest, root_);
        const auto where = point ? guest.resolve(*point) : std::nullopt;
        if (!where) return make_error(errors::kMount, "there is no place in it to mount that");
        TRY(mounts.mount(TRY(all_.device_of(number)), *where, all_.volumes()[number], read_only));
        return *point;
    }

private:
    std::optional<std::size_t> volume(unsigned disk, unsigned index) const {
        if (index == 0 || (disk == windows_.disk && index == windows_.index)) return std::nullopt;
        for (std::size_t i = 0; i < all_.volumes().size(); ++i) {
            const auto& one = all_.volumes()[i];
            if (one.kind == VolumeKind::Partition && one.disk == disk && one.index == index)
                return may_hold_windows(one) ? std::optional(i) : std::nullopt;
        }
        return std::nullopt;
    }
    bool holds_it(std::size_t number, disks::TableKind table) const {
        MountStack mounts;
        const auto point = mount(number, true, mounts);
        const auto guest = point ? Guest::open(place_, true) : Result<Guest>(point.error());
        return guest && starts_windows(*guest, *point, table);
    }

    GuestVolumes& all_;
    const Volume windows_;
    const std::string& root_;
    const fs::path place_;
};

Status mount_boot(GuestVolumes& all, const FoundWindows& found, const fs::path& place, bool read_only,
                  const std::vector<disks::DiskLayout>& layouts, MountStack& mounts, MountedRoot& mounted) {
    auto& windows = *mounted.windows;
    const auto disk = all.volumes()[found.volume].disk;
    const BootVolume boot(all, found, place);
    const auto number = TRY(boot.find(layouts));
    const auto volume = number ? std::optional(all.volumes()[*number]) : std::nullopt;
    count_as_firmware(*windows.place, layouts, disk, volume ? volume->disk : disk);
    if (!volume) return {};
    windows.boot_name = describe(*volume);
    if (volume->disk != disk) {
        TRY(refuse_in_use(TRY(all.device_of(*number)), *volume));
        if (volume->disk == 0) windows.boot_name += " of disk 1";
        windows.place->boot_partition = 0;
        if (windows.place->layout.table == disks::TableKind::Mbr)
            mounted.warnings.push_back(windows.boot_name +
                                       ", which starts it, keeps its boot sector and partition table: "
                                       "only those of Windows' own disk are looked at");
    }
    auto point = boot.mount(*number, read_only, mounts);
    if (!point)
        mounted.warnings.push_back(windows.boot_name +
                                   ", which starts it, was left alone: " + point.error().describe());
    else windows.boot = *std::move(point);
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
    const auto layouts = TRY(layouts_of(request));
    mounted.windows->place = TRY(place_of(disk, volume, layouts[volume.disk]));
    MountStack mounts;
    TRY(mounts.mount(device, place, volume, request.dry_run));
    TRY(mount_boot(all, found, place, request.dry_run, layouts, mounts, mounted));
    mounted.volumes = all.volumes();
    mounted.disk = volume.disk;
    mounted.name = volume.index == 0 ? disk.string() : fmt::format("{} partition {}", disk.string(), volume.index);
    return repair_root(std::move(mounted));
}

}  // namespace slipway::fixup::windows
