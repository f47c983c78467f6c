// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes that lie over other volumes: each reads through its members, and says where on them a range of its own
// bytes lies, so that used blocks found inside can be carried down to the disks.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "lib/disks/block.hpp"
#include "lib/disks/volumes/extent_set.hpp"

namespace slipway::disks {

// Read-only. The members outlive it.
class StackedVolume : public BlockDevice {
public:
    StackedVolume(std::vector<BlockDevice*> members, std::uint64_t size) : members_(std::move(members)), size_(size) {}
    std::uint64_t size() const override { return size_; }
    unsigned sector_size() const override { return members_.empty() ? 512 : members_.front()->sector_size(); }
    bool writable() const override { return false; }
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return {}; }

    const std::vector<BlockDevice*>& members() const { return members_; }
    // Adds what must be kept of each member (by its index) for these bytes, which lie inside size(), to be read back.
    virtual void place(Extent bytes, std::span<ExtentSet> members) const = 0;

protected:
    std::vector<BlockDevice*> members_;
    std::uint64_t size_;
};

// A place on a member.
struct Area {
    std::size_t member = 0;
    std::uint64_t offset = 0;
};

// [start, start + length) of the volume.
//   Linear    one area
//   Striped   chunks in turn over the areas; length is a whole number of chunks an area, but for the last chunk row
//   Mirrored  each area holds all of it; the first is read
struct Segment {
    enum class Kind { Linear, Striped, Mirrored } kind = Kind::Linear;
    std::uint64_t start = 0, length = 0;
    std::uint64_t chunk = 0;  // bytes; Striped only, not 0
    std::vector<Area> areas;  // not empty
};

// LVM's linear and striped volumes, md's linear, raid0 and raid1, partitions. Whoever makes the segments (sorted,
// without gaps or overlap) has held them against the members' sizes.
class SegmentedVolume final : public StackedVolume {
public:
    SegmentedVolume(std::vector<BlockDevice*> members, std::vector<Segment> segments);
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    void place(Extent bytes, std::span<ExtentSet> members) const override;

private:
    std::vector<Segment>::const_iterator segment_at(std::uint64_t offset) const;
    std::vector<Segment> segments_;
};

}  // namespace slipway::disks
