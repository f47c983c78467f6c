// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/chunk_index.hpp"

#include <cstring>

namespace slipway::imagestore {

std::uint64_t id_prefix(const ChunkId& id) {
    std::uint64_t out;
    std::memcpy(&out, id.octets.data(), sizeof out);
    return out;
}

void ChunkIndex::insert(const Slot& slot) {
    auto mask = slots_.size() - 1;
    auto at = slot.prefix & mask;
    while (slots_[at].place.offset != 0) at = (at + 1) & mask;
    slots_[at] = slot;
    ++used_;
}

void ChunkIndex::add(const ChunkId& id, ChunkPlace place) {
    if ((used_ + 1) * 4 > slots_.size() * 3) rebuild(slots_.empty() ? 1024 : slots_.size() * 2, {});
    insert({id_prefix(id), place});
}

std::vector<ChunkPlace> ChunkIndex::find(const ChunkId& id) const {
    std::vector<ChunkPlace> out;
    if (slots_.empty()) return out;
    auto prefix = id_prefix(id);
    auto mask = slots_.size() - 1;
    for (auto at = prefix & mask; slots_[at].place.offset != 0; at = (at + 1) & mask)
        if (slots_[at].prefix == prefix) out.push_back(slots_[at].place);
    return out;
}

void ChunkIndex::rebuild(std::size_t capacity, const std::function<bool(std::uint32_t)>& gone) {
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    used_ = 0;
    for (const auto& slot : old)
        if (slot.place.offset != 0 && !(gone && gone(slot.place.pack))) insert(slot);
}

void ChunkIndex::remove_packs(const std::function<bool(std::uint32_t)>& gone) {
    if (!slots_.empty()) rebuild(slots_.size(), gone);
}

}  // namespace slipway::imagestore
