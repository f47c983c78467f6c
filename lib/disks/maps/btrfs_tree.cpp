// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/btrfs_tree.hpp"

#include <algorithm>

#include "lib/disks/errors.hpp"
#include "lib/disks/maps/checksums.hpp"

namespace slipway::disks {

namespace {

constexpr std::size_t kChecksumBytes = 32;
constexpr std::size_t kHeaderBytes = 101;
constexpr std::size_t kItemBytes = 25, kPointerBytes = 33;
constexpr unsigned kMaxLevels = 8;
constexpr BtrfsKey kLowest{}, kHighest{~0ull, 0xff, ~0ull};

BtrfsKey read_key(ByteReader& reader) {
    BtrfsKey key;
    key.object = reader.le64();
    key.type = reader.u8();
    key.offset = reader.le64();
    return key;
}

BtrfsKey key_at(ByteView block, std::size_t level, std::size_t index) {
    ByteReader reader(block);
    reader.seek(kHeaderBytes + index * (level == 0 ? kItemBytes : kPointerBytes));
    return read_key(reader);
}

}  // namespace

bool btrfs_checksum_ok(ByteView block, BtrfsChecksum kind) {
    if (block.size() < kChecksumBytes) return false;
    auto rest = block.subspan(kChecksumBytes);
    auto same = [&](const auto& digest) { return std::equal(digest.begin(), digest.end(), block.begin()); };
    ByteReader stored(block);
    switch (kind) {
        case BtrfsChecksum::Crc32c: return stored.le32() == crc32c(rest);
        case BtrfsChecksum::Xxhash64: return stored.le64() == xxh64(rest);
        case BtrfsChecksum::Sha256: return same(sha256_checksum(rest));
        case BtrfsChecksum::Blake2b: return same(blake2b_256(rest));
    }
    return false;
}

bool BtrfsChunkMap::add(const BtrfsChunk& chunk) {
    if (chunks_.size() >= kLimit || chunk.length == 0 || chunk.logical + chunk.length < chunk.logical) return false;
    if (!chunks_.empty() && chunk.logical < chunks_.back().logical + chunks_.back().length) return false;
    chunks_.push_back(chunk);
    return true;
}

BtrfsChunk* BtrfsChunkMap::find(std::uint64_t logical) {
    auto after = std::upper_bound(chunks_.begin(), chunks_.end(), logical,
                                  [](std::uint64_t value, const BtrfsChunk& c) { return value < c.logical; });
    if (after == chunks_.begin()) return nullptr;
    auto& chunk = *std::prev(after);
    return logical - chunk.logical < chunk.length ? &chunk : nullptr;
}

bool BtrfsTreeReader::keys_ascend(const Level& at, std::size_t level, const Pointer& from) const {
    auto last = key_at(at.content, level, 0);
    if (from.first && *from.first != last) return false;
    for (std::uint32_t i = 1; i < at.count; ++i) {
        auto key = key_at(at.content, level, i);
        if (key <= last) return false;
        last = key;
    }
    // And no further than where the parent's next block begins.
    for (auto above = level + 1; above < levels_.size(); ++above)
        if (const auto& parent = levels_[above]; parent.next < parent.count)
            return last < key_at(parent.content, above, parent.next);
    return true;
}

bool BtrfsTreeReader::is_sound(const BtrfsRoot& root, const Pointer& from, std::size_t level) {
    auto& at = levels_[level];
    if (!btrfs_checksum_ok(at.content, volume_.checksum)) return false;
    ByteReader reader(at.content);
    reader.skip(kChecksumBytes);
    bool id = Uuid{reader.array<16>()} == volume_.id;
    bool place = reader.le64() == from.logical;
    reader.skip(8 + 16);  // flags, chunk tree's id
    bool same = reader.le64() == from.generation && reader.le64() == root.owner;
    at.count = reader.le32();
    at.next = 0;
    if (!id || !place || !same || reader.u8() != level) return false;
    auto most = (at.content.size() - kHeaderBytes) / (level == 0 ? kItemBytes : kPointerBytes);
    if (at.count == 0) return level == 0 && !from.first;  // an empty tree
    return at.count <= most && keys_ascend(at, level, from);
}

Result<bool> BtrfsTreeReader::load_copy(std::uint64_t physical, const BtrfsRoot& root, const Pointer& from,
                                        std::size_t level) {
    auto& content = levels_[level].content;
    content.resize(volume_.node_bytes);
    TRY(device_.read(physical, content));
    return is_sound(root, from, level);
}

Status BtrfsTreeReader::load(const BtrfsRoot& root, const Pointer& from, std::size_t level) {
    auto* chunk = chunks_.find(from.logical);
    if (!chunk || chunk->length - (from.logical - chunk->logical) < volume_.node_bytes)
        return make_error(errors::kFilesystem, "tree {} has a block outside all chunks, at {}", root.owner,
                          from.logical);
    if (++visited_ > device_.size() / volume_.node_bytes)
        return make_error(errors::kFilesystem, "the trees have more blocks than the volume");
    std::optional<Error> unread;
    for (unsigned copy = 0; copy < chunk->copies; ++copy) {
        auto sound = load_copy(chunk->physical[copy] + (from.logical - chunk->logical), root, from, level);
        if (sound.ok() && *sound) return {};
        if (!sound.ok()) unread = std::move(sound).error();
    }
    if (unread) return std::move(*unread);
    return make_error(errors::kFilesystem, "tree {}'s block at {} is damaged", root.owner, from.logical);
}

BtrfsTreeReader::Pointer BtrfsTreeReader::pointer(const Level& at, std::uint32_t index) const {
    ByteReader reader(at.content);
    reader.seek(kHeaderBytes + index * kPointerBytes);
    Pointer to;
    to.first = read_key(reader);
    to.logical = reader.le64();
    to.generation = reader.le64();
    return to;
}

Status BtrfsTreeReader::read_leaf(Level& leaf, const BtrfsKey& from, const BtrfsKey& to, const OnItem& on_item) const {
    ByteReader reader(leaf.content);
    reader.seek(kHeaderBytes);
    auto data = ByteView(leaf.content).subspan(kHeaderBytes);
    for (; leaf.next < leaf.count; ++leaf.next) {
        BtrfsItem item{read_key(reader), {}};
        std::uint64_t offset = reader.le32(), size = reader.le32();
        if (offset + size > data.size() || offset < leaf.count * kItemBytes)
            return make_error(errors::kFilesystem, "an item of a tree lies outside its block");
        item.data = data.subspan(offset, size);
        if (item.key >= from && item.key <= to) TRY(on_item(item));
    }
    return {};
}

Status BtrfsTreeReader::walk(const BtrfsRoot& root, const BtrfsKey& from, const BtrfsKey& to, const OnItem& on_item) {
    if (root.level >= kMaxLevels) return make_error(errors::kFilesystem, "tree {} is too deep", root.owner);
    levels_.assign(std::size_t{root.level} + 1, {});
    TRY(load(root, {root.logical, root.generation, std::nullopt}, root.level));
    for (std::size_t level = root.level; level < levels_.size();) {
        auto& at = levels_[level];
        if (level == 0) TRY(read_leaf(at, from, to, on_item));
        // Children that end before the range are skipped, and so is all from the first one behind it.
        while (level > 0 && at.next + 1 < at.count && key_at(at.content, level, at.next + 1) <= from) ++at.next;
        if (at.next == at.count || (level > 0 && key_at(at.content, level, at.next) > to)) {
            ++level;
            continue;
        }
        TRY(load(root, pointer(at, at.next++), --level));
    }
    return {};
}

Status BtrfsTreeReader::walk(const BtrfsRoot& root, const OnItem& on_item) {
    return walk(root, kLowest, kHighest, on_item);
}

}  // namespace slipway::disks
