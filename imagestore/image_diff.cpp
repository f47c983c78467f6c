// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/image_diff.hpp"

#include <algorithm>
#include <map>

#include "lib/base/strings.hpp"

namespace slipway::imagestore {

std::string_view name_of(Presence presence) {
    switch (presence) {
        case Presence::Both: return "both";
        case Presence::OnlyA: return "removed";
        case Presence::OnlyB: return "added";
    }
    return "?";
}

DiffBytes ImageDiff::bytes() const {
    DiffBytes out;
    for (const auto& disk : disks) {
        out.changed += disk.bytes.changed;
        out.added += disk.bytes.added;
        out.removed += disk.bytes.removed;
    }
    return out;
}

bool ImageDiff::same() const {
    return bytes().total() == 0 && std::all_of(disks.begin(), disks.end(), [](const auto& disk) {
               return disk.presence == Presence::Both && disk.table.empty() && disk.old_size == disk.disk.size;
           });
}

namespace {

std::uint64_t overlap(std::uint64_t start, std::uint64_t end, const VolumeInfo& volume) {
    auto from = std::max(start, volume.offset), to = std::min(end, volume.offset + volume.length);
    return from < to ? to - from : 0;
}

// The runs of one side as a stream of which any number of chunks can be taken.
class Side {
public:
    // Nothing: a disk that is not there, which has no chunks.
    explicit Side(std::optional<ImageMap::Cursor> cursor) : cursor_(std::move(cursor)) {}

    // Chunks of one kind that lie ahead; 0 at the end.
    Result<std::uint32_t> ahead() {
        if (taken_ == run_.count && cursor_) {
            auto next = TRY(cursor_->next());
            if (!next) cursor_.reset();
            run_ = next ? std::move(*next) : ChunkRun();
            taken_ = 0;
        }
        return run_.count - taken_;
    }
    bool has_data() const { return taken_ < run_.count && run_.kind == RunKind::Data; }
    const ChunkId& id(std::uint32_t i) const { return run_.ids[taken_ + i]; }
    void take(std::uint32_t count) { taken_ += std::min(count, run_.count - taken_); }

private:
    std::optional<ImageMap::Cursor> cursor_;
    ChunkRun run_;
    std::uint32_t taken_ = 0;
};

class DiskCompare {
public:
    DiskCompare(DiskDiff& out, const DiskSummary* a, const DiskSummary* b) : out_(out), a_(a), b_(b) {
        out_.presence = !a ? Presence::OnlyB : !b ? Presence::OnlyA : Presence::Both;
        out_.disk = (b ? b : a)->disk;
        out_.old_size = a ? a->disk.size : 0;
        pair_volumes();
        if (a && b) compare_tables();
    }

    Status run(Side a, Side b) {
        std::uint64_t chunk = 0;
        for (;;) {
            auto left = TRY(a.ahead()), right = TRY(b.ahead());
            if (left == 0 && right == 0) return {};
            auto count = left && right ? std::min(left, right) : std::max(left, right);
            if (a.has_data() && b.has_data()) both(a, b, chunk, count);
            else if (b.has_data()) note(&DiffBytes::added, chunk, count);
            else if (a.has_data()) note(&DiffBytes::removed, chunk, count);
            a.take(count);
            b.take(count);
            chunk += count;
        }
    }

private:
    void both(const Side& a, const Side& b, std::uint64_t chunk, std::uint32_t count) {
        // Neighbours that changed are told in one go.
        std::uint32_t start = 0;
        for (std::uint32_t i = 0; i <= count; ++i) {
            bool differs = i < count && a.id(i) != b.id(i);
            if (differs) continue;
            if (i > start) note(&DiffBytes::changed, chunk + start, i - start);
            if (i < count) ++out_.same_chunks;
            start = i + 1;
        }
    }

    void note(std::uint64_t DiffBytes::*what, std::uint64_t chunk, std::uint32_t count) {
        bool in_a = what == &DiffBytes::removed;
        auto size = in_a ? a_->disk.size : b_->disk.size;
        auto start = chunk * kChunkBytes, end = std::min(size, (chunk + count) * kChunkBytes);
        out_.bytes.*what += end - start;
        for (std::size_t i = 0; i < out_.volumes.size(); ++i) {
            const auto* volume = in_a ? sides_[i].a : sides_[i].b;
            if (volume) out_.volumes[i].bytes.*what += overlap(start, end, *volume);
        }
    }

    // Hostile manifests may name a partition twice: the first counts.
    void pair_volumes() {
        std::map<std::uint32_t, VolumeSides> by_partition;
        for (const auto* disk : {a_, b_})
            if (disk)
                for (const auto& volume : disk->volumes) {
                    auto& sides = by_partition[volume.partition];
                    auto& side = disk == a_ ? sides.a : sides.b;
                    if (!side) side = &volume;
                }
        for (const auto& [partition, sides] : by_partition) {
            VolumeDiff diff;
            diff.presence = !sides.a ? Presence::OnlyB : !sides.b ? Presence::OnlyA : Presence::Both;
            diff.volume = sides.b ? *sides.b : *sides.a;
            if (sides.a && sides.b) {
                diff.moved = sides.a->offset != sides.b->offset;
                diff.resized = sides.a->length != sides.b->length;
                diff.reformatted = sides.a->filesystem != sides.b->filesystem || sides.a->uuid != sides.b->uuid;
            }
            out_.volumes.push_back(std::move(diff));
            sides_.push_back(sides);
        }
    }

    void compare_tables() {
        auto say = [&](std::string text) { out_.table.push_back(std::move(text)); };
        if (a_->disk.table != b_->disk.table)
            say(fmt::format("table {} is now {}", name_of(a_->disk.table), name_of(b_->disk.table)));
        else if (a_->disk.table_id != b_->disk.table_id)
            say(fmt::format("table id {} is now {}", a_->disk.table_id, b_->disk.table_id));
        std::map<std::uint32_t, std::pair<const PartitionInfo*, const PartitionInfo*>> partitions;
        for (const auto& p : a_->partitions) partitions[p.number].first = &p;
        for (const auto& p : b_->partitions) partitions[p.number].second = &p;
        for (const auto& [number, sides] : partitions) {
            auto [was, is] = sides;
            if (!was) say(fmt::format("partition {} added, {}", number, human_bytes(is->length)));
            else if (!is) say(fmt::format("partition {} removed, {}", number, human_bytes(was->length)));
            else compare(number, *was, *is, say);
        }
    }

    template <typename Say>
    static void compare(std::uint32_t number, const PartitionInfo& was, const PartitionInfo& is, const Say& say) {
        if (was.offset != is.offset)
            say(fmt::format("partition {} moved from byte {} to {}", number, was.offset, is.offset));
        if (was.length != is.length)
            say(fmt::format("partition {} resized from {} to {}", number, human_bytes(was.length),
                            human_bytes(is.length)));
        if (was.type != is.type) say(fmt::format("partition {} type {} is now {}", number, was.type, is.type));
        if (was.uuid != is.uuid) say(fmt::format("partition {} id {} is now {}", number, was.uuid, is.uuid));
        if (was.name != is.name) say(fmt::format("partition {} name '{}' is now '{}'", number, was.name, is.name));
        if (was.active != is.active)
            say(fmt::format("partition {} is {} active", number, is.active ? "now" : "no longer"));
    }

    struct VolumeSides {
        const VolumeInfo* a = nullptr;
        const VolumeInfo* b = nullptr;
    };
    DiskDiff& out_;
    const DiskSummary* a_;
    const DiskSummary* b_;
    std::vector<VolumeSides> sides_;  // as out_.volumes
};

using Pair = std::pair<std::optional<std::uint32_t>, std::optional<std::uint32_t>>;

// By serial where both have one of it, the rest by order.
std::vector<Pair> pair_disks(const ManifestSummary& a, const ManifestSummary& b) {
    std::vector<Pair> out;
    std::vector<bool> taken(a.disks.size());
    for (std::uint32_t i = 0; i < b.disks.size(); ++i) {
        out.push_back({std::nullopt, i});
        const auto& serial = b.disks[i].disk.serial;
        for (std::uint32_t k = 0; k < a.disks.size() && !serial.empty() && !out.back().first; ++k)
            if (!taken[k] && a.disks[k].disk.serial == serial) {
                out.back().first = k;
                taken[k] = true;
            }
    }
    auto differ = [&](std::uint32_t k, std::uint32_t i) {
        const auto &was = a.disks[k].disk.serial, &is = b.disks[i].disk.serial;
        return !was.empty() && !is.empty() && was != is;
    };
    for (auto& [left, right] : out)
        for (std::uint32_t k = 0; k < a.disks.size() && !left; ++k)
            if (!taken[k] && !differ(k, *right)) {
                left = k;
                taken[k] = true;
            }
    for (std::uint32_t k = 0; k < a.disks.size(); ++k)
        if (!taken[k]) out.push_back({k, std::nullopt});
    return out;
}

}  // namespace

Result<ImageDiff> diff_images(const ImageMap& a, const ImageMap& b) {
    ImageDiff out;
    for (const auto& [left, right] : pair_disks(a.summary(), b.summary())) {
        auto side = [](const ImageMap& map, std::optional<std::uint32_t> disk) {
            return Side(disk ? std::optional(map.from(*disk)) : std::nullopt);
        };
        DiskCompare compare(out.disks.emplace_back(), left ? &a.summary().disks[*left] : nullptr,
                            right ? &b.summary().disks[*right] : nullptr);
        TRY(compare.run(side(a, left), side(b, right)));
    }
    return out;
}

}  // namespace slipway::imagestore
