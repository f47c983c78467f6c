// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of Store, shared by its source files only.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <unordered_map>

#include "imagestore/chunk_index.hpp"
#include "imagestore/pack_file.hpp"
#include "imagestore/store.hpp"

namespace slipway::imagestore {

// A chunk's record, found and its header agreed with the id.
struct FoundRecord {
    std::shared_ptr<UniqueFd> fd;  // shared: the cache may drop it while another thread reads
    std::string pack;              // file name
    std::uint32_t offset = 0, length = 0;
    std::array<std::byte, kRecordHeaderBytes> header{};
};

struct Store::State {
    std::filesystem::path directory;
    std::string id;
    StoreOptions options;
    std::shared_ptr<Files> files;

    std::filesystem::path packs() const { return directory / "packs"; }
    std::filesystem::path images() const { return directory / "images"; }
    std::filesystem::path pack_path(const std::string& name) const { return packs() / name; }

    // Looks at the packs directory: adds new packs, drops vanished ones.
    Status refresh();
    Status add_pack(const std::string& name);
    void add_entries(const std::string& name, const std::vector<PackEntry>& entries);
    // Every place of the chunk that still is one; empty when there is none.
    Result<std::vector<FoundRecord>> find(const ChunkId& id);
    Result<std::shared_ptr<UniqueFd>> open_pack(std::uint32_t number);
    Result<UniqueFd> lock(bool exclusive) const;

    std::mutex mutex;                     // the only one; guards what follows
    std::vector<std::string> pack_names;  // by number; empty: gone
    std::unordered_map<std::string, std::uint32_t> pack_numbers;
    ChunkIndex index;
    std::list<std::pair<std::uint32_t, std::shared_ptr<UniqueFd>>> open_packs;  // most recent first
};

inline constexpr std::size_t kOpenPacks = 64;

Result<std::vector<std::string>> list_directory(const std::filesystem::path& directory);  // sorted names
std::optional<std::uint32_t> parse_version(std::string_view file_name);                   // "3"

}  // namespace slipway::imagestore
