// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/roots.hpp"

#include <sys/stat.h>
#include <algorithm>
#include <set>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/guest.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxSubvolumes = 64, kMaxMounts = 64, kMaxCrypttab = 64;
constexpr std::uint64_t kSubvolumeInode = 256;

std::string_view without_slashes(std::string_view path) {
    while (path.starts_with('/')) path.remove_prefix(1);
    while (path.ends_with('/')) path.remove_suffix(1);
    return path;
}

std::string subvolume_of(std::string_view options) {
    for (const auto& option : split(options, ','))
        if (option.starts_with("subvol=")) {
            const auto name = without_slashes(std::string_view(option).substr(7));
            if (name.size() < 256) return std::string(name);
        }
    return {};
}

bool has_option(std::string_view options, std::string_view wanted) {
    for (const auto& option : split(options, ','))
        if (option == wanted) return true;
    return false;
}

// "/boot//efi/" -> "/boot/efi"; nothing for what is no place below the root.
std::string plain_path(std::string_view path) {
    std::string out;
    if (!path.starts_with('/')) return {};
    for (const auto& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == "..") return {};
        out += "/" + part;
    }
    return out;
}

bool needed_place(std::string_view where) { return where == "/boot" || where == "/usr" || where == "/var"; }

std::string_view unquoted(std::string_view text) {
    const bool quoted =
        text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
    return quoted ? text.substr(1, text.size() - 2) : text;
}

std::string distribution_of(const Guest& guest) {
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
        auto text = guest.read(path, 1u << 20);
        if (!text || !*text) continue;
        for (const auto& line : split(**text, '\n'))
            if (line.starts_with("PRETTY_NAME=")) return printable(unquoted(trim(std::string_view(line).substr(12))));
    }
    return {};
}

// nullopt: no system lives there.
Result<std::optional<FoundRoot>> look_into(GuestVolumes& all, std::size_t number, const std::string& subvolume,
                                           const fs::path& place) {
    const auto& volume = all.volumes()[number];
    MountStack mounts;
    std::string options;
    if (volume.filesystem == "btrfs") options = TRY(btrfs_options(all, number, subvolume));
    TRY(mounts.mount(TRY(all.device_of(number)), place, volume, true, options));
    const auto guest = TRY(Guest::open(place, true));
    const bool named =
        guest.exists("/etc/os-release") || guest.exists("/usr/lib/os-release") || guest.exists("/etc/fstab");
    if (!named || !guest.exists("/etc") || (!guest.exists("/sbin") && !guest.exists("/usr")))
        return std::optional<FoundRoot>();
    FoundRoot root{.volume = number, .subvolume = subvolume, .distribution = distribution_of(guest)};
    root.fstab = TRY(guest.read("/etc/fstab")).value_or("");
    root.crypttab = TRY(guest.read("/etc/crypttab")).value_or("");
    return std::optional(std::move(root));
}

// The subvolumes just below the top of a btrfs.
Result<std::vector<std::string>> top_subvolumes(GuestVolumes& all, std::size_t number, const fs::path& place) {
    MountStack mounts;
    auto options = TRY(btrfs_options(all, number, {}));
    options += options.empty() ? "subvolid=5" : ",subvolid=5";
    TRY(mounts.mount(TRY(all.device_of(number)), place, all.volumes()[number], true, options));
    std::vector<std::string> out;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(place, none)) {
        struct stat info {};
        const auto name = entry.path().filename().string();
        if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_ino != kSubvolumeInode)
            continue;
        // In mount options a comma would be the next option.
        if (out.size() < kMaxSubvolumes && name.find(',') == std::string::npos) out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
}

Result<std::vector<FoundRoot>> btrfs_roots(GuestVolumes& all, std::size_t number, const fs::path& place) {
    std::vector<FoundRoot> roots;
    const auto plain = TRY(look_into(all, number, {}, place));
    if (plain) {
        const auto wanted = root_subvolume(parse_fstab(plain->fstab));
        if (!wanted.empty())
            if (auto named = look_into(all, number, wanted, place); named && *named) return std::vector{**named};
        return std::vector{*plain};
    }
    for (const auto& name : TRY(top_subvolumes(all, number, place)))
        if (auto root = TRY(look_into(all, number, name, place))) roots.push_back(std::move(*root));
    return without_snapshots(std::move(roots));
}

// What `root_volume` may say of it.
bool is_called(const FoundRoot& root, const std::vector<Volume>& volumes, std::string_view wanted) {
    const auto& volume = volumes[root.volume];
    std::vector<std::string> names{describe(volume), "UUID=" + volume.uuid, volume.uuid};
    names.insert(names.end(), volume.names.begin(), volume.names.end());
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return !name.empty() && (wanted == name || (!root.subvolume.empty() && wanted == name + ":" + root.subvolume));
    });
}

}  // namespace

bool mountable(const Volume& volume) {
    return volume.filesystem == "ext4" || volume.filesystem == "xfs" || volume.filesystem == "btrfs";
}

std::string name_of(const FoundRoot& root, const std::vector<Volume>& volumes) {
    const auto& volume = volumes[root.volume];
    if (!root.subvolume.empty()) return "UUID=" + volume.uuid + ":" + printable(root.subvolume);
    return describe(volume);
}

std::string root_subvolume(const std::vector<FstabEntry>& entries) {
    for (const auto& entry : entries)
        if (entry.mount_point == "/" && entry.type == "btrfs") return subvolume_of(entry.options);
    return {};
}

std::vector<FoundRoot> without_snapshots(std::vector<FoundRoot> roots) {
    auto copies = [&](const FoundRoot& root) {
        const auto own = root_subvolume(parse_fstab(root.fstab));
        return !own.empty() && own != root.subvolume &&
               std::any_of(roots.begin(), roots.end(), [&](const auto& other) { return other.subvolume == own; });
    };
    std::vector<FoundRoot> out;
    for (const auto& root : roots)
        if (!copies(root)) out.push_back(root);
    return out.empty() ? roots : out;
}

Result<FoundRoot> choose_root(const std::vector<FoundRoot>& roots, const std::vector<Volume>& volumes,
                              const std::string& wanted) {
    std::string systems;
    for (const auto& root : roots)
        systems += fmt::format("{}{}{}", systems.empty() ? "" : ", ", name_of(root, volumes),
                               root.distribution.empty() ? "" : " (" + root.distribution + ")");
    std::vector<const FoundRoot*> fit;
    for (const auto& root : roots)
        if (wanted.empty() || is_called(root, volumes, wanted)) fit.push_back(&root);
    if (fit.size() == 1) return *fit.front();
    if (roots.empty()) {
        std::string seen;
        for (const auto& volume : volumes)
            seen += fmt::format("{}{}: {}", seen.empty() ? "" : ", ", describe(volume),
                                volume.filesystem.empty() ? "unknown" : volume.filesystem);
        return make_error(errors::kNoRoot, "no volume holds a Linux system; seen: {}", seen);
    }
    if (fit.empty()) return make_error(errors::kManyRoots, "'{}' is none of: {}", printable(wanted), systems);
    return make_error(errors::kManyRoots, "{} Linux systems are there: {}", roots.size(), systems);
}

MountPlan plan_mounts(const std::vector<FstabEntry>& entries, const DeviceNames& names, std::size_t root_volume,
                      const std::string& root_subvolume) {
    MountPlan plan;
    std::set<std::string> taken{""};
    for (const auto& entry : entries) {
        const auto where = plain_path(entry.mount_point);
        if (where.empty() || has_option(entry.options, "bind") || has_option(entry.options, "rbind")) continue;
        const auto* volume = names.find(entry.spec);
        const bool needed = needed_place(where);
        if (!volume) {
            const bool device = entry.spec.starts_with("/dev/") || entry.spec.find('=') != std::string::npos;
            if (needed && device && !has_option(entry.options, "nofail"))
                plan.missing.push_back(fmt::format("{} ({})", where, printable(entry.spec)));
            continue;
        }
        const auto number = static_cast<std::size_t>(volume - names.volumes().data());
        const bool btrfs = volume->filesystem == "btrfs";
        auto subvolume = btrfs ? subvolume_of(entry.options) : std::string();
        const bool root = number == root_volume && (!btrfs || subvolume.empty() || subvolume == root_subvolume);
        if (root || (!mountable(*volume) && volume->filesystem != "vfat")) continue;
        if (!taken.insert(where).second) continue;
        if (plan.mounts.size() >= kMaxMounts) {
            plan.cut = true;
            continue;
        }
        plan.mounts.push_back({number, where, std::move(subvolume), needed});
    }
    std::stable_sort(plan.mounts.begin(), plan.mounts.end(),
                     [](const auto& a, const auto& b) { return a.where < b.where; });
    return plan;
}

std::vector<CrypttabEntry> parse_crypttab(std::string_view text) {
    std::vector<CrypttabEntry> out;
    for (const auto& line : split(text.substr(0, 1u << 20), '\n')) {
        if (line.size() > kLongestLine || out.size() >= kMaxCrypttab) continue;
        std::vector<std::string> words;
        for (std::size_t at = 0; (at = line.find_first_not_of(" \t\r", at)) != std::string::npos && words.size() < 2;) {
            const auto end = std::min(line.find_first_of(" \t\r", at), line.size());
            words.push_back(line.substr(at, end - at));
            at = end;
        }
        if (words.size() == 2 && words[0][0] != '#') out.push_back({words[0], words[1]});
    }
    return out;
}

Result<std::string> btrfs_options(GuestVolumes& guest, std::size_t number, const std::string& subvolume) {
    std::vector<std::string> options;
    // By value: asking for devices may fill the list.
    const auto uuid = guest.volumes()[number].uuid;
    for (std::size_t i = 0; i < guest.volumes().size(); ++i)
        if (i != number && guest.volumes()[i].filesystem == "btrfs" && guest.volumes()[i].uuid == uuid)
            options.push_back("device=" + TRY(guest.device_of(i)).string());
    if (!subvolume.empty()) options.push_back("subvol=/" + subvolume);
    return join(options, ",");
}

Result<std::vector<FoundRoot>> find_roots(GuestVolumes& all, const fs::path& place) {
    std::vector<FoundRoot> roots;
    std::optional<Error> unreadable;
    std::set<std::string> seen;  // a btrfs over several volumes is one
    for (std::size_t i = 0; i < all.volumes().size(); ++i) {
        const auto volume = all.volumes()[i];
        if (!mountable(volume) || (volume.filesystem == "btrfs" && !seen.insert(volume.uuid).second)) continue;
        auto found = [&]() -> Result<std::vector<FoundRoot>> {
            if (volume.filesystem == "btrfs") return btrfs_roots(all, i, place);
            auto root = TRY(look_into(all, i, {}, place));
            return root ? std::vector{*root} : std::vector<FoundRoot>();
        }();
        if (!found) unreadable = std::move(found).error();  // matters only when no other is the root
        else roots.insert(roots.end(), found->begin(), found->end());
    }
    if (roots.empty() && unreadable) return *std::move(unreadable);
    return roots;
}

}  // namespace slipway::fixup
