// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/fixup/choice.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <algorithm>

#include <fmt/format.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/volumes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::console {

namespace {

// What the names of layers mean to people. A host does not open them, also where it could: a guest's volume group has a
// name that this machine's may have too.
std::string layer_name(const std::string& filesystem) {
    if (filesystem == "LVM2_member") return "LVM";
    if (filesystem == "linux_raid_member") return "a RAID array";
    if (filesystem == "crypto_LUKS") return "an encrypted volume";
    return {};
}

bool is_mounted(const std::string& filesystem) {
    return filesystem == "ext4" || filesystem == "xfs" || filesystem == "btrfs" || filesystem == "vfat" ||
           filesystem == "ntfs";
}

// Beside a Linux it is data, which is not looked at for long.
bool matters(const std::string& filesystem, const DiskFacts& disk) {
    if (filesystem != "ntfs") return true;
    return std::none_of(disk.filesystems.begin(), disk.filesystems.end(),
                        [](const auto& other) { return other == "ext4" || other == "xfs" || other == "btrfs"; });
}

}  // namespace

std::string why_appliance(const DiskFacts& disk, const HostFacts& host) {
    if (!disk.vhd.empty() && disk.vhd != "fixed") return fmt::format("a {} VHD is no disk to the kernel", disk.vhd);
    if (!host.root) return "mounting needs root";
    for (const auto& filesystem : disk.filesystems)
        if (const auto layer = layer_name(filesystem); !layer.empty()) return layer + " is on it";
    if (!host.loop) return "this kernel has no loop devices";
    for (const auto& filesystem : disk.filesystems)
        if (is_mounted(filesystem) && matters(filesystem, disk) && !host.mounts(filesystem))
            return fmt::format("this kernel does not mount {}", filesystem);
    return {};
}

Result<DiskFacts> look_at_disks(const std::vector<std::filesystem::path>& paths) {
    DiskFacts facts;
    for (const auto& path : paths) {
        auto fd = TRY(open_fd(path, O_RDONLY));
        Bytes start(512);
        start.resize(TRY(pread_full(fd.get(), start, 0)));
        if (const auto format = fixup::foreign_format(start); !format.empty())
            return make_error(fixup::errors::kImageFormat, "{} is a {} image", path.string(), format);
        // One that is not fixed decides.
        if (disks::looks_like_vhd(path) && (facts.vhd.empty() || facts.vhd == "fixed"))
            facts.vhd = disks::name_of(TRY(disks::inspect_vhd(path)).kind);
        auto disk = TRY(disks::open_disk(path, disks::OpenMode::ReadOnly));
        for (const auto& volume : TRY(fixup::read_volumes(*disk))) facts.filesystems.push_back(volume.filesystem);
    }
    return facts;
}

HostFacts look_at_host() {
    HostFacts host;
    host.root = ::geteuid() == 0;
    host.loop = ::access("/dev/loop-control", R_OK | W_OK) == 0;
    utsname name{};
    ::uname(&name);
    const auto known = read_text_file("/proc/filesystems").value_or("");
    const auto modules = read_text_file(fmt::format("/lib/modules/{}/modules.dep", name.release)).value_or("");
    host.mounts = [known, modules](const std::string& filesystem) {
        // By the kernel's driver, or by the program.
        if (filesystem == "ntfs" && ::access("/usr/bin/ntfs-3g", X_OK) == 0 && ::access("/dev/fuse", R_OK | W_OK) == 0)
            return true;
        const auto driver = filesystem == "ntfs" ? "ntfs3" : filesystem;
        for (const auto& line : split(known, '\n'))
            if (line.ends_with("\t" + driver)) return true;
        return modules.find("/" + driver + ".ko") != std::string::npos;
    };
    return host;
}

}  // namespace slipway::console
