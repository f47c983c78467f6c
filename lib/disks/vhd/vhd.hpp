// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual Hard Disk, Microsoft "Virtual Hard Disk Image Format Specification" 1.0: fixed, dynamically expanding and
// differencing disks as BlockDevices. Files we write carry creator application "win " so that readers take the size
// from the footer's current size and not from CHS. Whole-disk work is in operations.hpp, the bytes are in format.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/base/uuid.hpp"
#include "lib/disks/block.hpp"

namespace slipway::disks {

namespace vhd {
class Files;
}

inline constexpr std::uint64_t kVhdMaxBytes = 2040ull << 30;
inline constexpr std::uint32_t kVhdBlockBytes = 2u << 20;  // of a dynamic disk, unless another size is asked for

enum class VhdKind : std::uint32_t { Fixed = 2, Dynamic = 3, Differencing = 4 };
std::string_view name_of(VhdKind kind);  // "fixed", "dynamic", "differencing"

struct Chs {
    std::uint16_t cylinders = 0;
    std::uint8_t heads = 0;
    std::uint8_t sectors = 0;
    bool operator==(const Chs&) const = default;
};
// The specification's appendix "CHS calculation", from a size in 512-byte sectors.
Chs chs_of(std::uint64_t sectors);

struct VhdInfo {
    VhdKind kind = VhdKind::Fixed;
    std::uint64_t size = 0;  // bytes the guest sees
    std::uint64_t file_size = 0;
    Chs geometry;
    Uuid id;
    std::string creator;                 // four characters
    std::uint32_t timestamp = 0;         // seconds since 2000-01-01 UTC
    std::uint32_t block_bytes = 0;       // dynamic and differencing
    std::uint64_t allocated_blocks = 0;  // dynamic and differencing
    std::string parent_name;             // this and the next three: differencing only
    Uuid parent_id;
    std::filesystem::path parent;   // where it was found; empty: not found, and parent_problem says why
    std::string parent_problem;     // also: that it was written since
    bool footer_copy_used = false;  // the footer at the end was damaged, the copy at the start served
};

// Named errors for a wrong checksum, a cut file, and anything that is no VHD. A missing parent is no error here.
Result<VhdInfo> inspect_vhd(const std::filesystem::path& path);
// The differencing disks in the same directory that are built on this disk.
Result<std::vector<std::filesystem::path>> children_of(const std::filesystem::path& path);
// A running VM or another `slipway` writes it.
bool vhd_in_use(const std::filesystem::path& path);
bool looks_like_vhd(const std::filesystem::path& path);

// size is rounded up to 512 bytes; over 2040 GiB is refused; an existing file is refused. A differencing disk is made
// by create_difference. `files` is for tests; nullptr: the real ones.
Result<std::unique_ptr<BlockDevice>> create_vhd(const std::filesystem::path& path, VhdKind kind, std::uint64_t size,
                                                std::uint32_t block_bytes = kVhdBlockBytes,
                                                vhd::Files* files = nullptr);
// A differencing disk is opened with all its parents, which are only read. ReadWrite takes the locks QEMU takes:
// errors::kVhdInUse while another one uses the file. ReadOnly takes none. What is odd (a parent written since, a footer
// copy that served) is logged as a warning.
Result<std::unique_ptr<BlockDevice>> open_vhd(const std::filesystem::path& path, OpenMode mode);

}  // namespace slipway::disks
