// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/disk_repair.hpp"

#include <algorithm>
#include <set>
#include <variant>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/roots.hpp"
#include "guest-fixup/windows/find_disk.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

std::string root_spec(const std::vector<FstabEntry>& entries) {
    std::string spec;
    for (const auto& entry : entries)
        if (entry.mount_point == "/") spec = entry.spec;
    return spec;
}

using System = std::variant<FoundRoot, windows::FoundWindows>;

// Windows, where that is what is meant; nullopt: it is a Linux, or nothing was found.
Result<std::optional<windows::FoundWindows>> choose_windows(const std::vector<windows::FoundWindows>& found,
                                                            const std::vector<FoundRoot>& roots,
                                                            const std::vector<Volume>& volumes,
                                                            const std::string& wanted) {
    const auto fit = windows::called(found, volumes, wanted);
    if (fit.empty()) return std::optional<windows::FoundWindows>();
    if (fit.size() == 1 && (roots.empty() || !wanted.empty())) return std::optional(fit.front());
    std::vector<std::string> names;
    for (const auto& one : fit) names.push_back(windows::name_of(one, found, volumes) + " (Windows)");
    for (const auto& root : roots) names.push_back(name_of(root, volumes));
    return make_error(errors::kManyRoots, "{} systems are there: {}", names.size(), join(names, ", "));
}

Result<System> find_the_root(GuestVolumes& all, const RepairRequest& request, const fs::path& place) {
    auto linux_roots = find_roots(all, place);
    const auto roots = linux_roots ? *linux_roots : std::vector<FoundRoot>();
    auto windows = windows::find_windows(all, place);
    if (!linux_roots && (!windows || windows->empty())) return std::move(linux_roots).error();
    if (const auto chosen = TRY(choose_windows(windows ? *windows : std::vector<windows::FoundWindows>(), roots,
                                               all.volumes(), request.root_volume)))
        return System(*chosen);
    if (windows && !windows->empty() && roots.empty()) {
        std::vector<std::string> names;
        for (const auto& one : *windows) names.push_back(windows::name_of(one, *windows, all.volumes()) + " (Windows)");
        return make_error(errors::kManyRoots, "'{}' is none of: {}", printable(request.root_volume), join(names, ", "));
    }
    // A group that could not be activated says more than that nothing was found.
    if (auto trouble = all.worst_trouble(); trouble && roots.empty()) return *std::move(trouble);
    if (!windows && roots.empty()) return std::move(windows).error();
    auto root = TRY(choose_root(roots, all.volumes(), request.root_volume));
    if (all.volumes()[root.volume].errors)
        return make_error(errors::kDirty, "the file system of {} says that it has errors",
                          describe(all.volumes()[root.volume]));
    return System(std::move(root));
}

// Mappings by the names that the guest gives them. What keeps its other name is found by it all the same, but not by
// the guest's tools.
void name_encrypted(GuestVolumes& all, const FoundRoot& root, std::vector<std::string>& warnings) {
    const DeviceNames names(all.volumes(), root_spec(parse_fstab(root.fstab)), all.volumes()[root.volume].disk);
    for (const auto& entry : parse_crypttab(root.crypttab)) {
        const auto* source = names.find(entry.source);
        if (!source) continue;
        const auto number = static_cast<std::size_t>(source - names.volumes().data());
        for (std::size_t i = 0; i < all.volumes().size(); ++i) {
            const auto& volume = all.volumes()[i];
            if (volume.kind != VolumeKind::Luks || volume.parents != std::vector{number}) continue;
            if (auto renamed = all.rename_luks(i, entry.name); !renamed) {
                warnings.push_back(fmt::format("{} could not be called {} meanwhile: {}", describe(volume),
                                               printable(entry.name), renamed.error().message()));
                all.add_name(i, "/dev/mapper/" + entry.name);
            }
        }
    }
}

// The rest of fstab that is on these disks: /boot, /usr, /var, the EFI system partition.
Result<MountPlan> mount_the_rest(GuestVolumes& all, const FoundRoot& root, const fs::path& place, bool read_only,
                                 MountStack& mounts, std::vector<std::string>& warnings) {
    const auto entries = parse_fstab(root.fstab);
    const DeviceNames names(all.volumes(), root_spec(entries), all.volumes()[root.volume].disk);
    auto plan = plan_mounts(entries, names, root.volume, root.subvolume);
    if (!plan.missing.empty()) {
        if (auto trouble = all.worst_trouble()) return *std::move(trouble);
        return make_error(errors::kIncomplete, "on none of the given disks: {}", join(plan.missing, ", "));
    }
    if (plan.cut)
        warnings.push_back("fstab names more file systems of these disks than are mounted: the rest was left out");
    const auto guest = TRY(Guest::open(place, true));
    for (const auto& mount : plan.mounts) {
        const auto where = guest.resolve(mount.where);
        if (!where) continue;
        const auto volume = all.volumes()[mount.volume];
        auto mounted = [&]() -> Status {
            std::string options;
            if (volume.filesystem == "btrfs") options = TRY(btrfs_options(all, mount.volume, mount.subvolume));
            return mounts.mount(TRY(all.device_of(mount.volume)), *where, volume, read_only, options);
        }();
        if (!mounted && (mount.needed || volume.filesystem == "vfat"))
            return std::move(mounted).error().with(printable(mount.where));
        if (!mounted) warnings.push_back(printable(mount.where) + " was left out: " + mounted.error().describe());
    }
    return plan;
}

// The encrypted volumes that must be open before these are there.
std::vector<std::string> encrypted_below(const std::vector<Volume>& volumes, const std::vector<std::size_t>& upper) {
    std::vector<std::string> out;
    std::vector<std::size_t> todo(upper.begin(), upper.end());
    std::set<std::size_t> seen;
    while (!todo.empty()) {
        const auto number = todo.back();
        todo.pop_back();
        if (!seen.insert(number).second) continue;
        const auto& volume = volumes[number];
        if (volume.kind == VolumeKind::Luks && !volume.names.empty())
            out.push_back(fs::path(volume.names.back()).filename().string());
        todo.insert(todo.end(), volume.parents.begin(), volume.parents.end());
    }
    return out;
}

Result<RepairReport> repair_found(GuestVolumes& all, const RepairRequest& request, const FoundRoot& root,
                                  const fs::path& place, const RepairRoot& repair_root) {
    MountedRoot mounted{.path = place, .warnings = all.warnings()};
    for (const auto& trouble : all.troubles())
        if (!trouble.is(errors::kLocked)) mounted.warnings.push_back("not looked into: " + trouble.describe());
    name_encrypted(all, root, mounted.warnings);
    MountStack mounts;
    const auto device = TRY(all.device_of(root.volume));
    const auto volume = all.volumes()[root.volume];
    std::string options;
    if (volume.filesystem == "btrfs") options = TRY(btrfs_options(all, root.volume, root.subvolume));
    TRY(mounts.mount(device, place, volume, request.dry_run, options));
    const auto plan = TRY(mount_the_rest(all, root, place, request.dry_run, mounts, mounted.warnings));
    mounted.devices = TRY(all.sandbox_devices());
    mounted.volumes = all.volumes();
    mounted.disk = volume.disk;
    std::vector<std::size_t> early{root.volume};
    for (const auto& mount : plan.mounts)
        if (mount.where == "/usr") early.push_back(mount.volume);
    mounted.encrypted = encrypted_below(mounted.volumes, early);
    const auto& disk = volume.disk == 0 ? request.disk : request.more_disks[volume.disk - 1];
    mounted.name = volume.kind == VolumeKind::Partition && volume.index == 0
                       ? disk.string()
                       : fmt::format("{} {}", disk.string(),
                                     volume.kind == VolumeKind::Partition ? fmt::format("partition {}", volume.index)
                                                                          : describe(volume));
    if (!root.subvolume.empty()) mounted.name += " subvolume " + printable(root.subvolume);
    return repair_root(std::move(mounted));
}

}  // namespace

Result<RepairReport> repair_disk(const RepairRequest& request, const fs::path& place,
                                 const std::function<void(const std::string&)>& note, const RepairRoot& repair_root) {
    TRY(enter_private_mounts());
    auto all = TRY(GuestVolumes::open(request));
    // Also where the root is whole: who copied the disk does not know that a part of it is not there.
    if (auto cut = all->cut_short()) return *std::move(cut);
    note("volumes");
    TRY(all->look_through());
    auto repaired = [&]() -> Result<RepairReport> {
        const auto system = TRY(find_the_root(*all, request, place));
        if (const auto* windows = std::get_if<windows::FoundWindows>(&system))
            return windows::repair_found(*all, request, *windows, place, repair_root);
        return repair_found(*all, request, std::get<FoundRoot>(system), place, repair_root);
    }();
    auto left = TRY(all->close());
    if (repaired)
        for (const auto& what : left) repaired->warnings.push_back("still active on this host: " + what);
    return repaired;
}

}  // namespace slipway::fixup
