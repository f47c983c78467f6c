// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual Hard Disk, Microsoft "Virtual Hard Disk Image Format Specification" 1.0: fixed and dynamically expanding.
// All integers big-endian. Files we write carry creator application "win " so that readers take the size from the
// footer's current size and not from CHS.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "lib/base/uuid.hpp"
#include "lib/disks/block.hpp"

namespace slipway::disks {

inline constexpr std::uint64_t kVhdMaxBytes = 2040ull << 30;
inline constexpr std::uint32_t kVhdBlockBytes = 2u << 20;

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
    std::uint32_t block_bytes = 0;       // dynamic only
    std::uint64_t allocated_blocks = 0;  // dynamic only
    std::string parent_name;             // differencing only
    bool footer_copy_used = false;       // the footer at the end was damaged, the copy at the start served
};

// Named errors for a wrong checksum, a cut file, and anything that is no VHD.
Result<VhdInfo> inspect_vhd(const std::filesystem::path& path);
bool looks_like_vhd(const std::filesystem::path& path);

// size is rounded up to 512 bytes; over 2040 GiB is refused; an existing file is refused.
Result<std::unique_ptr<BlockDevice>> create_vhd(const std::filesystem::path& path, VhdKind kind, std::uint64_t size);
Result<std::unique_ptr<BlockDevice>> open_vhd(const std::filesystem::path& path, OpenMode mode);

}  // namespace slipway::disks
