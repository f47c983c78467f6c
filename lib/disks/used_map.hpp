// SPDX-License-Identifier: GPL-3.0-or-later
// Which bytes of a volume hold something worth keeping. Parsers are our own, pure and read-only, since they run as
// root on hostile bytes. Whatever is unknown, inconsistent or needs recovery counts as used, all of it, with the
// reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/disks/block.hpp"

namespace slipway::disks {

struct Extent {
    std::uint64_t offset = 0;  // bytes
    std::uint64_t length = 0;
    bool operator==(const Extent&) const = default;
    std::uint64_t end() const { return offset + length; }
};

// Sorted, disjoint, not touching.
class ExtentList {
public:
    void add(Extent extent);  // must not start before the last one added; touching ones are joined
    const std::vector<Extent>& extents() const { return extents_; }
    std::uint64_t total() const;
    bool covers(std::uint64_t offset) const;

private:
    std::vector<Extent> extents_;
};

enum class VolumeState { Clean, NeedsRecovery, Hibernated, Unknown };
std::string_view name_of(VolumeState state);  // "clean", "needs-recovery", "hibernated", "unknown"

struct UsedMap {
    std::string filesystem;  // "ext4", "swap", "xfs", "ntfs", "lvm2", …; empty: nothing recognised
    std::string label;
    std::string uuid;  // as blkid prints it
    VolumeState state = VolumeState::Unknown;
    ExtentList used;                 // relative to the volume, cut to its size
    std::string why_all;             // not empty: every sector is used, and this is why
    std::string inside;              // what was found inside, for whoever reads: "vg0: root (ext4), swap"
    std::vector<std::string> notes;  // what an operator should know besides: "clusters marked bad, not read: 3"
};

class LuksOpener;

struct MapOptions {
    // NTFS: the content of pagefile.sys, swapfile.sys and hiberfil.sys is left out; it then reads as zeros.
    bool drop_page_files = false;
    // volumes/: opens encrypted volumes (not owned). None: they are opaque, all their sectors count.
    LuksOpener* luks = nullptr;
};

// What map_used reads first and hands to each file system's parser (less on a smaller volume): btrfs has its
// superblock at 64 KiB.
inline constexpr std::size_t kMapHeadBytes = 0x11000;

// A file system on one volume; LVM, md and LUKS, which lie below file systems, are looked through by volumes/.
// Only a read error is an Error.
Result<UsedMap> map_used(BlockDevice& volume, const MapOptions& options = {});

}  // namespace slipway::disks
