// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/host.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <cerrno>
#include <map>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace {

namespace fs = std::filesystem;

// What QEMU itself takes beside the guest's memory: code, video memory, caches.
constexpr std::uint64_t kQemuBytes = 96u << 20;

Result<std::uint64_t> available_memory() {
    for (const auto& line : split(TRY(read_text_file("/proc/meminfo")), '\n')) {
        if (!line.starts_with("MemAvailable:")) continue;
        auto value = trim(std::string_view(line).substr(13));
        if (value.ends_with(" kB")) value.remove_suffix(3);
        if (auto kib = parse_u64(trim(value))) return *kib * 1024;
    }
    return make_error(errors::kMemory, "/proc/meminfo does not say what is available");
}

// The nearest directory above path that exists.
fs::path existing(fs::path path) {
    std::error_code none;
    while (!fs::exists(path, none) && path.has_relative_path()) path = path.parent_path();
    return path.empty() ? fs::path(".") : path;
}

Result<std::uint64_t> available_space(const fs::path& path) {
    struct statvfs info {};
    if (::statvfs(existing(path).c_str(), &info) != 0) return errno_error(errno, path.string());
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace

HostResources HostResources::of_this_machine() { return {available_memory, available_space}; }

fs::path disk_path(const VmDisk& disk, const fs::path& directory) { return directory / disk.path; }

Status check_memory(const HostResources& host, const VmDefinition& definition) {
    const auto wanted = (static_cast<std::uint64_t>(definition.memory_mib) << 20) + kQemuBytes;
    const auto free = TRY(host.free_memory());
    if (wanted > free)
        return make_error(errors::kMemory, "{} needs {}, this host has {} available", definition.name,
                          human_bytes(wanted), human_bytes(free));
    return {};
}

Status check_space(const HostResources& host, const VmDefinition& definition, const fs::path& directory) {
    struct Demand {
        std::uint64_t bytes = 0;
        fs::path path;
    };
    std::map<dev_t, Demand> demands;
    for (const auto& disk : definition.disks) {
        if (!disk.create) continue;
        const auto path = disk_path(disk, directory);
        struct stat info {};
        if (::stat(existing(path).c_str(), &info) != 0) return errno_error(errno, path.string());
        auto& demand = demands[info.st_dev];
        demand.path = path;
        // An empty dynamic disk: its headers and four bytes a block of 2 MiB.
        demand.bytes += disk.kind == DiskKind::Fixed ? disk.size_bytes + 512 : (disk.size_bytes >> 19) + 65536;
    }
    for (const auto& [device, demand] : demands) {
        const auto free = TRY(host.free_space(demand.path));
        if (demand.bytes > free)
            return make_error(errors::kSpace, "the disks of {} need {}, {} has {} free", definition.name,
                              human_bytes(demand.bytes), demand.path.parent_path().string(), human_bytes(free));
    }
    return {};
}

}  // namespace slipway::vmm
