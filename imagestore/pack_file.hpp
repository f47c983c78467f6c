// SPDX-License-Identifier: GPL-3.0-or-later
// Packs as files: reading their entries, walking their records, writing and sealing new ones.
#pragma once

#include <filesystem>
#include <unordered_set>

#include "imagestore/files.hpp"
#include "imagestore/pack.hpp"

namespace slipway::imagestore {

Result<std::uint64_t> file_size(int fd);

// Walks the records from the header on. `each` gets the entry and whether its checksum agrees;
// returns where the walk ended: at the first bytes that are no record (the index of a sealed
// pack, or what a dead writer left half-written).
Result<std::uint64_t> walk_records(Files& files, int fd, std::uint64_t end,
                                   const std::function<void(const PackEntry&, bool good)>& each);

struct PackContents {
    Uuid id;
    std::vector<PackEntry> entries;  // sorted by id
    std::uint64_t index_offset = 0;
};
// By the pack's own header, footer and index; imagestore.bad-pack when one of them is damaged.
Result<PackContents> read_contents(Files& files, int fd);
// As read_contents(); a damaged index is replaced by walking the records, so that one flipped bit
// does not hide a pack.
Result<std::vector<PackEntry>> find_entries(Files& files, int fd);

// A pack being written. Move-only; holds the temporary file's lock.
class PackWriter {
public:
    static Result<PackWriter> create(std::shared_ptr<Files> files, const std::filesystem::path& directory,
                                     std::uint64_t created_ms);
    // Takes over a dead writer's temporary file: its whole records are kept, the rest is cut.
    // Nothing when its writer lives or it is gone by now.
    static Result<std::optional<PackWriter>> adopt(std::shared_ptr<Files> files, const std::filesystem::path& temp);

    Status append(const ChunkId& id, ByteView encoded);
    Status sync();
    // Index, footer, fsync, rename, fsync of the directory. The writer is done then.
    Result<std::filesystem::path> seal();
    // Removes the temporary file.
    void discard();

    bool contains(const ChunkId& id) const { return ids_.contains(id); }
    std::uint64_t size() const { return size_; }
    std::uint64_t unsynced() const { return size_ - synced_; }
    const std::vector<PackEntry>& entries() const { return entries_; }

private:
    PackWriter() = default;
    std::shared_ptr<Files> files_;
    std::filesystem::path temp_, directory_;
    UniqueFd fd_;
    Uuid id_;
    std::uint64_t size_ = 0, synced_ = 0, hinted_ = 0;
    bool directory_synced_ = false;
    std::vector<PackEntry> entries_;
    std::unordered_set<ChunkId> ids_;
};

}  // namespace slipway::imagestore
