// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/stack.hpp"

#include <algorithm>

#include "lib/disks/errors.hpp"

namespace slipway::disks {

Status StackedVolume::write(std::uint64_t, ByteView) {
    return make_error(errors::kReadOnly, "a write to a volume that is only looked through");
}

Result<bool> StackedVolume::discard(std::uint64_t, std::uint64_t) {
    return make_error(errors::kReadOnly, "a discard on a volume that is only looked through");
}

namespace {

// Where `at` of a striped segment lies, and how much of its chunk is left.
struct Spot {
    Area area;
    std::uint64_t left;
};

Spot striped_at(const Segment& segment, std::uint64_t at) {
    auto chunk = at / segment.chunk, inside = at % segment.chunk, width = std::uint64_t{segment.areas.size()};
    const auto& area = segment.areas[chunk % width];
    return {{area.member, area.offset + chunk / width * segment.chunk + inside}, segment.chunk - inside};
}

void place_striped(const Segment& segment, Extent bytes, std::span<ExtentSet> members) {
    auto row = segment.chunk * segment.areas.size();
    while (bytes.length > 0) {
        // Whole rows are one range on each area, however many they are.
        if (auto rows = bytes.offset % row == 0 ? bytes.length / row : 0) {
            for (const auto& area : segment.areas)
                members[area.member].add({area.offset + bytes.offset / row * segment.chunk, rows * segment.chunk});
            bytes = {bytes.offset + rows * row, bytes.length - rows * row};
            continue;
        }
        auto spot = striped_at(segment, bytes.offset);
        auto n = std::min(bytes.length, spot.left);
        members[spot.area.member].add({spot.area.offset, n});
        bytes = {bytes.offset + n, bytes.length - n};
    }
}

std::uint64_t end_of(const std::vector<Segment>& segments) {
    return segments.empty() ? 0 : segments.back().start + segments.back().length;
}

}  // namespace

SegmentedVolume::SegmentedVolume(std::vector<BlockDevice*> members, std::vector<Segment> segments)
    : StackedVolume(std::move(members), end_of(segments)), segments_(std::move(segments)) {}

std::vector<Segment>::const_iterator SegmentedVolume::segment_at(std::uint64_t offset) const {
    return std::prev(std::upper_bound(segments_.begin(), segments_.end(), offset,
                                      [](std::uint64_t at, const Segment& s) { return at < s.start; }));
}

Status SegmentedVolume::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    while (!buffer.empty()) {
        const auto& segment = *segment_at(offset);
        auto at = offset - segment.start;
        Spot spot{{segment.areas[0].member, segment.areas[0].offset + at}, segment.length - at};
        if (segment.kind == Segment::Kind::Striped) spot = striped_at(segment, at);
        auto n = std::min<std::uint64_t>({buffer.size(), spot.left, segment.length - at});
        TRY(members_[spot.area.member]->read(spot.area.offset, buffer.first(n)));
        buffer = buffer.subspan(n);
        offset += n;
    }
    return {};
}

void SegmentedVolume::place(Extent bytes, std::span<ExtentSet> members) const {
    for (; bytes.length > 0;) {
        const auto& segment = *segment_at(bytes.offset);
        Extent inside{bytes.offset - segment.start, 0};
        inside.length = std::min(bytes.length, segment.length - inside.offset);
        if (segment.kind == Segment::Kind::Striped) place_striped(segment, inside, members);
        else
            for (const auto& area : segment.areas)
                members[area.member].add({area.offset + inside.offset, inside.length});
        bytes = {bytes.offset + inside.length, bytes.length - inside.length};
    }
}

}  // namespace slipway::disks
