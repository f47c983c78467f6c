// SPDX-License-Identifier: GPL-3.0-or-later
// What can be done with whole virtual disks. Sources are only read; a new file appears under its name when it is
// complete and durable, not before; a file changed in place is the old one or the new one after a crash at any instant,
// or `check_vhd` says what is wrong with it and mends it.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/progress.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::disks {

namespace vhd {
class Files;
}

// What every operation takes.
struct VhdWork {
    ProgressSink progress;
    const std::atomic<bool>* cancel = nullptr;  // looked at between blocks: errors::kVhdCancelled
    vhd::Files* files = nullptr;                // for tests; nullptr: the real ones
};

enum class DiskFormat { Raw, Fixed, Dynamic, Qcow2, Vhdx };
std::string_view name_of(DiskFormat format);  // "raw", "fixed", "dynamic", "qcow2", "vhdx"
std::optional<DiskFormat> parse_disk_format(std::string_view text);

struct ConvertRequest {
    std::filesystem::path from;  // a raw file, a block device or a VHD of any kind, with its parents
    std::filesystem::path to;    // refused when it exists
    DiskFormat format = DiskFormat::Dynamic;
    std::uint32_t block_bytes = kVhdBlockBytes;  // Dynamic: of the new file
    bool despite_children = false;               // a source with children is refused without it
};
struct ConvertReport {
    std::uint64_t size = 0;        // of the disk
    std::uint64_t data_bytes = 0;  // what was not zero, in the copy's granularity; raw, fixed, dynamic
    std::uint64_t file_size = 0;   // of the new file
    std::vector<std::string> warnings;
};
// Qcow2 and Vhdx are made by qemu-img, which must be installed.
Result<ConvertReport> convert_disk(const ConvertRequest& request, const VhdWork& work = {});

struct CompactReport {
    std::uint64_t before = 0, after = 0;  // file sizes
    std::uint64_t unused_bytes = 0;       // dropped because their file system does not use them
    std::vector<std::string> notes;       // volumes whose unused blocks could not be told
};
// A dynamic disk without its blocks of zeroes, and with `drop_unused` without what clean file systems of known kinds do
// not use (which reads as zero afterwards). Written anew beside the old file, which it then replaces.
Result<CompactReport> compact_vhd(const std::filesystem::path& path, bool drop_unused, const VhdWork& work = {});

// Makes an empty differencing disk on a parent of any VHD kind.
struct DifferenceReport {
    std::uint64_t size = 0;
    Uuid id, parent_id;
};
Result<DifferenceReport> create_difference(const std::filesystem::path& parent, const std::filesystem::path& child,
                                           std::uint32_t block_bytes = kVhdBlockBytes, const VhdWork& work = {});
// Names the parent's new place in the child; refused unless the UUID is that of the child's parent. Returns warnings.
Result<std::vector<std::string>> reconnect_vhd(const std::filesystem::path& child, const std::filesystem::path& parent,
                                               const VhdWork& work = {});

struct MergeReport {
    std::filesystem::path parent;
    std::uint64_t merged_bytes = 0;  // what the child held
    bool child_removed = false;
};
// Writes what a differencing disk holds into its parent and removes the child. Until then the child stays whole and
// reads the same: after a crash the merge is done again from the start. Refused while the child has children, or the
// parent has others. (Into a new disk: convert_disk.)
Result<MergeReport> merge_vhd(const std::filesystem::path& child, bool keep_child, const VhdWork& work = {});

struct ResizeReport {
    std::uint64_t before = 0, after = 0;  // of the disk
};
// Grows a fixed or dynamic disk; what is new reads as zero.
Result<ResizeReport> resize_vhd(const std::filesystem::path& path, std::uint64_t size, const VhdWork& work = {});

struct CheckFinding {
    enum class Severity { Note, Warning, Error } severity = Severity::Error;
    std::string text;
    bool mendable = false;
    bool mended = false;
};
struct CheckReport {
    std::vector<CheckFinding> findings;
    bool sound() const;  // no error and no warning is left
    bool errors_left() const;
};
// Everything that is wrong with a file, each by name. With `repair`, what the copies allow is mended: a footer from
// its copy, a checksum where everything under it is consistent. Content and block table are never changed.
Result<CheckReport> check_vhd(const std::filesystem::path& path, bool repair, const VhdWork& work = {});

}  // namespace slipway::disks
