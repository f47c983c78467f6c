// SPDX-License-Identifier: GPL-3.0-or-later
// An NTFS volume read by file record: streams with their runs (attribute lists followed), the root directory.
// Nothing is read whole but what is bounded: a file record, an attribute list (256 KiB, NTFS's own limit), an index
// block (64 KiB). An Error is errors::kFilesystem for what is malformed, or the device's own.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/disks/block.hpp"
#include "lib/disks/maps/cluster_extents.hpp"
#include "lib/disks/maps/ntfs_records.hpp"

namespace slipway::disks::ntfs {

struct Stream {
    Bytes value;  // resident
    bool resident = false;
    RunList runs;
    std::uint64_t bytes = 0, initialized = 0;  // what lies past `initialized` reads as zeros
    std::uint16_t flags = 0;

    // Where it lies on the volume, holes left out.
    std::vector<ClusterRun> clusters() const;
};

class Volume {
public:
    // Reads the boot sector's file table; boot has no flaw, and its clusters lie inside the device.
    static Result<Volume> open(BlockDevice& device, const Boot& boot);

    Result<FileRecord> record(std::uint64_t number);
    // nullopt: the file has no such attribute.
    Result<std::optional<Stream>> stream(const FileRecord& file, std::uint32_t type, std::string_view name = {});
    Result<Stream> needed_stream(std::uint64_t number, std::uint32_t type = kData, std::string_view name = {});
    // The raw content: compressed streams are not expanded.
    Status read(const Stream& stream, std::uint64_t offset, std::span<std::byte> buffer);
    Status read_clusters(std::uint64_t cluster, std::uint64_t offset, std::span<std::byte> buffer);

    // The file records of the root directory's files with these names, in any case.
    template <std::size_t N>
    Result<std::array<std::optional<FileRecord>, N>> find_in_root(const std::array<std::string_view, N>& names) {
        std::array<std::optional<FileRecord>, N> found;
        TRY(search_root(names, found));
        return found;
    }

    const Boot& boot() const { return boot_; }

private:
    Volume(BlockDevice& device, const Boot& boot) : device_(device), boot_(boot) {}
    Result<bool> gather(const FileRecord& file, std::uint32_t type, std::string_view name, Stream& out);
    Status take(const Attribute& attribute, Stream& out);
    Result<Bytes> read_record(std::uint64_t number);
    Status search_root(std::span<const std::string_view> names, std::span<std::optional<FileRecord>> found);
    Status search_index(ByteView header, std::span<const std::string_view> names,
                        std::span<std::optional<FileRecord>> found);

    BlockDevice& device_;
    Boot boot_;
    Stream mft_;
};

}  // namespace slipway::disks::ntfs
