// SPDX-License-Identifier: GPL-3.0-or-later
// Where chunks may be: 16 bytes a chunk, so that a store of terabytes fits a small memory. It holds
// 64 bits of each id; whoever asks checks the record itself, since a hostile disk could be made to
// agree in 64 bits with another chunk.
#pragma once

#include <functional>
#include <vector>

#include "imagestore/chunk.hpp"

namespace slipway::imagestore {

std::uint64_t id_prefix(const ChunkId& id);

struct ChunkPlace {
    std::uint32_t pack = 0;    // number of the pack in this process
    std::uint32_t offset = 0;  // of the record, never 0
};

class ChunkIndex {
public:
    void add(const ChunkId& id, ChunkPlace place);
    // Every place whose 64 bits agree.
    std::vector<ChunkPlace> find(const ChunkId& id) const;
    void remove_packs(const std::function<bool(std::uint32_t pack)>& gone);
    std::size_t size() const { return used_; }

private:
    struct Slot {
        std::uint64_t prefix = 0;
        ChunkPlace place;
    };
    void insert(const Slot& slot);
    void rebuild(std::size_t capacity, const std::function<bool(std::uint32_t)>& gone);

    std::vector<Slot> slots_;  // open addressing, power of two, at most 3/4 full
    std::size_t used_ = 0;
};

}  // namespace slipway::imagestore
