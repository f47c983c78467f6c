// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/image_map.hpp"

#include <algorithm>
#include <cassert>

#include "imagestore/errors.hpp"
#include "imagestore/manifest_wire.hpp"

namespace slipway::imagestore {

using namespace wire;

namespace {

constexpr std::uint64_t kMarkEvery = 64u << 10;

Error changed() { return make_error(errors::kBadManifest, "it changed while the image was open"); }

}  // namespace

Result<ImageMap> ImageMap::create(const ManifestBytes& bytes) {
    ImageMap map(bytes);
    std::uint64_t last_record = 0;
    auto note = [&](const ManifestEvent& event, std::uint64_t offset) {
        if (const auto* disk = std::get_if<DiskInfo>(&event))
            map.disks_.push_back({.marks = {}, .end = 0, .chunks = disk->chunk_count()});
        if (map.disks_.empty()) return;
        auto& disk = map.disks_.back();
        if (const auto* run = std::get_if<ChunkRun>(&event)) {
            bool first_of_record = offset != last_record;
            last_record = offset;
            bool due = disk.marks.empty() || offset - disk.marks.back().offset >= kMarkEvery;
            if (first_of_record && due) disk.marks.push_back({run->first, offset});
        }
        bool after_runs = std::holds_alternative<LossInfo>(event) || std::holds_alternative<DiskEnd>(event);
        if (after_runs && disk.end == 0) disk.end = offset;
    };
    map.summary_ = TRY(summarize(bytes, note));
    return map;
}

ImageMap::Cursor ImageMap::from(std::uint32_t disk, std::uint64_t chunk) const {
    const auto& marks = disks_.at(disk).marks;
    assert(!marks.empty());  // a disk has a size, so it has runs
    auto after = std::upper_bound(marks.begin(), marks.end(), chunk,
                                  [](std::uint64_t wanted, const Mark& mark) { return wanted < mark.chunk; });
    return {*bytes_, *std::prev(after), disks_[disk], chunk};
}

// Leaves record_ empty where a record of another kind may be skipped.
Status ImageMap::Cursor::load_record() {
    std::array<std::byte, kRecordPrefixBytes> prefix;
    if (end_ - offset_ < prefix.size()) return changed();
    TRY(bytes_->read(offset_, prefix));
    offset_ += prefix.size();
    ByteReader in(prefix);
    auto type = in.u8();
    auto length = in.le32();
    if (length > kManifestRecordLimit || length > end_ - offset_ || (type != kRuns && type < kSkippable))
        return changed();
    record_.resize(type == kRuns ? length : 0);
    at_ = 0;
    if (!record_.empty()) TRY(bytes_->read(offset_, record_));
    offset_ += length;
    return {};
}

Result<std::optional<ChunkRun>> ImageMap::Cursor::next() {
    for (;;) {
        while (at_ == record_.size()) {
            if (offset_ >= end_ || chunk_ >= chunks_) return std::optional<ChunkRun>();
            TRY(load_record());
        }
        ByteReader in(record_);
        in.seek(at_);
        auto kind = in.u8();
        auto count = in.le32();
        auto ids = kind == static_cast<std::uint8_t>(RunKind::Data) ? count : 0u;
        if (in.failed() || count == 0 || kind > static_cast<std::uint8_t>(RunKind::Data) || count > chunks_ - chunk_ ||
            ids > in.remaining() / kIdBytes)
            return changed();
        auto first = chunk_;
        chunk_ += count;
        at_ = in.offset() + ids * kIdBytes;
        if (chunk_ <= wanted_) continue;
        auto passed = first < wanted_ ? static_cast<std::uint32_t>(wanted_ - first) : 0u;
        ChunkRun run{first + passed, count - passed, static_cast<RunKind>(kind), {}};
        if (ids) {
            in.skip(passed * kIdBytes);
            run.ids.resize(run.count);
            for (auto& id : run.ids) id.octets = in.array<32>();
        }
        return std::optional(std::move(run));
    }
}

}  // namespace slipway::imagestore
