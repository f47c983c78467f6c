// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/new_chunks.hpp"

#include <algorithm>

#include "imagestore/chunk_index.hpp"

namespace slipway::imagestore {

Result<ChunkSet> ChunkSet::of(const ManifestBytes& manifest) {
    ChunkSet out;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next()))
        if (const auto* run = std::get_if<ChunkRun>(&*event))
            for (const auto& id : run->ids) out.prefixes_.push_back(id_prefix(id));
    std::sort(out.prefixes_.begin(), out.prefixes_.end());
    out.prefixes_.erase(std::unique(out.prefixes_.begin(), out.prefixes_.end()), out.prefixes_.end());
    return out;
}

std::size_t ChunkSet::place(const ChunkId& id) const {
    auto found = std::lower_bound(prefixes_.begin(), prefixes_.end(), id_prefix(id));
    if (found == prefixes_.end() || *found != id_prefix(id)) return prefixes_.size();
    return static_cast<std::size_t>(found - prefixes_.begin());
}

Result<NewChunks> count_new(const ManifestBytes& manifest, const ChunkSet& own, const ChunkSet& before, Store& store) {
    NewChunks out;
    std::vector<bool> counted(own.size());
    DiskInfo disk;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next())) {
        if (const auto* info = std::get_if<DiskInfo>(&*event)) disk = *info;
        const auto* run = std::get_if<ChunkRun>(&*event);
        for (std::size_t i = 0; run && i < run->ids.size(); ++i) {
            auto place = own.place(run->ids[i]);
            if (place == own.size() || counted[place] || before.contains(run->ids[i])) continue;
            counted[place] = true;
            ++out.chunks;
            out.bytes += disk.chunk_length(run->first + i);
            out.stored_bytes += TRY(store.stored_length(run->ids[i])).value_or(0);
        }
    }
    return out;
}

}  // namespace slipway::imagestore
