// SPDX-License-Identifier: GPL-3.0-or-later
// Random access to the chunks a manifest names. The manifest stays where it is: a mark for each 64 KiB of it says which
// chunk is named there (64 KiB of marks for the 256 MiB manifest of a full 8 TiB disk), the rest is read when asked
// for.
#pragma once

#include <vector>

#include "imagestore/manifest.hpp"

namespace slipway::imagestore {

class ImageMap {
    struct Mark {
        std::uint64_t chunk = 0, offset = 0;  // the first chunk of the runs record at that offset
    };
    struct DiskMarks {
        std::vector<Mark> marks;
        std::uint64_t end = 0;  // where the disk's runs end in the manifest
        std::uint64_t chunks = 0;
    };

public:
    // Reads all of the manifest once, checking digest and structure. `bytes` outlives the map.
    // Errors: imagestore.bad-manifest, imagestore.newer-format.
    static Result<ImageMap> create(const ManifestBytes& bytes);
    const ManifestSummary& summary() const { return summary_; }

    // Walks the runs of one disk. Refers to the map. What it reads again is checked again.
    class Cursor {
    public:
        // The next run, or a piece of it; the first starts at the chunk that was asked for. Nothing at the disk's end.
        Result<std::optional<ChunkRun>> next();

    private:
        friend class ImageMap;
        Cursor(const ManifestBytes& bytes, Mark from, const DiskMarks& disk, std::uint64_t wanted)
            : bytes_(&bytes),
              offset_(from.offset),
              end_(disk.end),
              chunk_(from.chunk),
              chunks_(disk.chunks),
              wanted_(wanted) {}
        Status load_record();
        const ManifestBytes* bytes_;
        std::uint64_t offset_, end_;    // of the next record, of the disk's runs
        std::uint64_t chunk_, chunks_;  // the next chunk, of how many
        std::uint64_t wanted_;          // runs before it are passed over
        Bytes record_;
        std::size_t at_ = 0;
    };
    // disk < summary().disks.size(); chunk below its chunk count, or at it (then the cursor is at its end).
    Cursor from(std::uint32_t disk, std::uint64_t chunk = 0) const;

private:
    explicit ImageMap(const ManifestBytes& bytes) : bytes_(&bytes) {}
    const ManifestBytes* bytes_;
    ManifestSummary summary_;
    std::vector<DiskMarks> disks_;
};

}  // namespace slipway::imagestore
