// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/sparse.hpp"

#include <algorithm>

#include "lib/disks/errors.hpp"

namespace slipway::disks::vhd {

namespace {

constexpr std::size_t kPendingBlocks = 128;   // 256 MiB of the usual blocks
constexpr std::size_t kCachedBitmaps = 4096;  // 2 MiB of the usual bitmaps
constexpr std::uint64_t kDataAlignment = 4096;
// Sectors become present by eights, as in the files of Windows: libvhdi misreads bitmaps whose runs end within a byte.
constexpr std::uint64_t kGroupBytes = 8 * kSectorBytes;

bool bit(const Bytes& bits, std::uint64_t sector) {
    return std::to_integer<unsigned>(bits[sector / 8]) >> (7 - sector % 8) & 1;
}

// Whether any of [first, last] changed.
bool set_bits(Bytes& bits, std::uint64_t first, std::uint64_t last) {
    bool changed = false;
    for (auto s = first; s <= last; ++s) {
        changed |= !bit(bits, s);
        bits[s / 8] |= std::byte{0x80} >> static_cast<int>(s % 8);
    }
    return changed;
}

// The end of the run of equal bits that begins at `sector`, at most `limit`.
std::uint64_t run_end(const Bytes& bits, std::uint64_t sector, std::uint64_t limit) {
    auto value = bit(bits, sector);
    auto whole = value ? std::byte{0xff} : std::byte{0};
    while (sector < limit && bit(bits, sector) == value) {
        if (sector % 8 == 0 && bits[sector / 8] == whole) sector += 8;
        else ++sector;
    }
    return std::min(sector, limit);
}

}  // namespace

SparseDisk::SparseDisk(File file, Image image, std::unique_ptr<BlockDevice> parent, bool fresh)
    : file_(std::move(file)), image_(std::move(image)), parent_(std::move(parent)), fresh_(fresh) {}

SparseDisk::~SparseDisk() {
    // Who wants to know whether it worked calls flush().
    if (writable()) (void)publish(false);
}

std::uint64_t SparseDisk::place_behind(std::uint64_t end, std::uint64_t bitmap_bytes) {
    return (end + bitmap_bytes + kDataAlignment - 1) / kDataAlignment * kDataAlignment - bitmap_bytes;
}

SparseDisk::Part SparseDisk::part_at(std::uint64_t offset, std::uint64_t end) const {
    auto within = offset % image_.header.block_bytes;
    return {static_cast<std::size_t>(offset / image_.header.block_bytes), within, offset,
            std::min<std::uint64_t>(end - offset, image_.header.block_bytes - within)};
}

Result<SparseDisk::Bitmap*> SparseDisk::bitmap_of(std::size_t block) {
    if (auto known = bitmaps_.find(block); known != bitmaps_.end()) return &known->second;
    if (bitmaps_.size() >= kCachedBitmaps) {
        if (writable()) TRY(publish(true));
        bitmaps_.clear();
    }
    Bitmap bitmap{Bytes(image_.header.bitmap_bytes()), false};
    TRY(file_.read(image_.block_place(block), bitmap.bits));
    return &bitmaps_.emplace(block, std::move(bitmap)).first->second;
}

Status SparseDisk::read_below(std::uint64_t offset, std::span<std::byte> out) {
    auto have = parent_ && offset < parent_->size() ? std::min<std::uint64_t>(out.size(), parent_->size() - offset) : 0;
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(have), out.end(), std::byte{0});
    if (have == 0) return {};
    return parent_->read(offset, out.first(have));
}

Status SparseDisk::read_part(const Part& part, std::span<std::byte> out) {
    Bytes bits;
    {
        std::lock_guard lock(mutex_);
        if (image_.table[part.block] != kUnallocated) bits = TRY(bitmap_of(part.block))->bits;
    }
    if (bits.empty()) return read_below(part.offset, out);
    return read_by(bits, part, out);
}

// Each sector from where its bit says it is.
Status SparseDisk::read_by(const Bytes& bits, const Part& part, std::span<std::byte> out) {
    auto last = (part.within + part.length - 1) / kSectorBytes;
    for (std::uint64_t done = 0; done < part.length;) {
        auto sector = (part.within + done) / kSectorBytes;
        auto stop = run_end(bits, sector, last + 1) * kSectorBytes;
        auto n = std::min(part.length, stop - part.within) - done;
        auto piece = out.subspan(done, n);
        if (bit(bits, sector)) TRY(file_.read(image_.data_place(part.block) + part.within + done, piece));
        else TRY(read_below(part.offset + done, piece));
        done += n;
    }
    return {};
}

Status SparseDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    for (std::uint64_t done = 0; done < buffer.size();) {
        auto part = part_at(offset + done, offset + buffer.size());
        TRY(read_part(part, buffer.subspan(done, part.length)));
        done += part.length;
    }
    return {};
}

Status SparseDisk::allocate(std::size_t block) {
    const auto& header = image_.header;
    auto start = place_behind(image_.end, header.bitmap_bytes());
    auto next = start + header.bitmap_bytes() + header.block_bytes;
    if (start / kSectorBytes >= kUnallocated)
        return make_error(errors::kVhdTooLarge, "the file is too large for another block");
    TRY(file_.write(next, encode_footer(image_.footer)));
    // What lies there (the old footer, or junk behind a damaged end) must not show as data.
    TRY(file_.clear(start, next - start));
    // All sectors of a dynamic disk's block are present: the hole behind the bitmap reads as zero.
    Bitmap bitmap{Bytes(header.bitmap_bytes(), parent_ ? std::byte{0} : std::byte{0xff}), true};
    bitmaps_[block] = std::move(bitmap);
    image_.table[block] = static_cast<std::uint32_t>(start / kSectorBytes);
    image_.end = next;
    dirty_first_ = std::min(dirty_first_, block);
    dirty_last_ = std::max(dirty_last_, block);
    ++pending_;
    return {};
}

Status SparseDisk::write_part(const Part& part, ByteView data) {
    if (image_.table[part.block] == kUnallocated) {
        if (!parent_ && all_zero(data)) return {};
        TRY(allocate(part.block));
    }
    auto* bitmap = TRY(bitmap_of(part.block));
    auto place = image_.data_place(part.block);
    auto end = part.within + part.length;
    auto from = part.within / kGroupBytes * kGroupBytes;
    auto to = std::min((end + kGroupBytes - 1) / kGroupBytes * kGroupBytes, std::uint64_t{image_.header.block_bytes});
    if (run_end(bitmap->bits, from / kSectorBytes, to / kSectorBytes) == to / kSectorBytes &&
        bit(bitmap->bits, from / kSectorBytes))
        return file_.write(place + part.within, data);
    if (from == part.within && to == end) {
        TRY(file_.write(place + from, data));
    } else {
        // What was seen in the rest of the first and the last group is written with the data.
        Bytes whole(to - from);
        auto base = part.offset - part.within;
        TRY(read_by(bitmap->bits, {part.block, from, base + from, to - from}, whole));
        std::copy(data.begin(), data.end(), whole.begin() + static_cast<std::ptrdiff_t>(part.within - from));
        TRY(file_.write(place + from, whole));
    }
    bitmap->dirty |= set_bits(bitmap->bits, from / kSectorBytes, to / kSectorBytes - 1);
    return {};
}

Status SparseDisk::write(std::uint64_t offset, ByteView data) {
    if (!writable()) return make_error(errors::kReadOnly, "a write to a VHD opened read-only");
    TRY(check_range(offset, data.size()));
    std::lock_guard lock(mutex_);
    for (std::uint64_t done = 0; done < data.size();) {
        auto part = part_at(offset + done, offset + data.size());
        TRY(write_part(part, data.subspan(done, part.length)));
        done += part.length;
        if (pending_ >= kPendingBlocks) TRY(publish(true));
    }
    return {};
}

// Whether the part reads as zero afterwards.
Result<bool> SparseDisk::discard_part(const Part& part) {
    if (image_.table[part.block] == kUnallocated) return !parent_;
    auto zeros = [&](std::uint64_t from, std::uint64_t to) -> Status {
        const Bytes zero(to - from);
        return write_part({part.block, from, part.offset - part.within + from, to - from}, zero);
    };
    auto end = part.within + part.length;
    auto first = (part.within + kGroupBytes - 1) / kGroupBytes * kGroupBytes, last = end / kGroupBytes * kGroupBytes;
    if (first >= last) {
        TRY(zeros(part.within, end));
        return true;
    }
    if (part.within < first) TRY(zeros(part.within, first));
    if (last < end) TRY(zeros(last, end));
    TRY(file_.clear(image_.data_place(part.block) + first, last - first));
    auto* bitmap = TRY(bitmap_of(part.block));
    bitmap->dirty |= set_bits(bitmap->bits, first / kSectorBytes, last / kSectorBytes - 1);
    return true;
}

Result<bool> SparseDisk::discard(std::uint64_t offset, std::uint64_t length) {
    if (!writable()) return make_error(errors::kReadOnly, "a discard on a VHD opened read-only");
    TRY(check_range(offset, length));
    std::lock_guard lock(mutex_);
    bool zero = true;
    for (auto end = offset + length; offset < end;) {
        auto part = part_at(offset, end);
        zero &= TRY(discard_part(part));
        offset += part.length;
    }
    return zero;
}

// Bitmaps and table, between two fsyncs when it is to be durable. Call with the lock held.
Status SparseDisk::publish(bool durable) {
    bool any = dirty_first_ <= dirty_last_;
    for (const auto& [block, bitmap] : bitmaps_) any |= bitmap.dirty;
    if (durable) TRY(file_.flush());
    if (!any) return {};
    for (auto& [block, bitmap] : bitmaps_) {
        if (!bitmap.dirty) continue;
        TRY(file_.write(image_.block_place(block), bitmap.bits));
        bitmap.dirty = false;
    }
    if (dirty_first_ <= dirty_last_) {
        ByteWriter entries;
        for (auto i = dirty_first_; i <= dirty_last_; ++i) entries.be32(image_.table[i]);
        TRY(file_.write(image_.header.table_offset + 4 * dirty_first_, entries.view()));
        dirty_first_ = SIZE_MAX;
        dirty_last_ = 0;
        pending_ = 0;
    }
    if (durable) TRY(file_.flush());
    return {};
}

Status SparseDisk::flush() {
    if (!writable()) return {};
    std::lock_guard lock(mutex_);
    return publish(true);
}

Result<bool> SparseDisk::read_past_cache() {
    std::lock_guard lock(mutex_);
    if (writable()) TRY(publish(true));
    bitmaps_.clear();
    bool past = TRY(file_.read_past_cache());
    TRY(check_table());
    if (parent_) past &= TRY(parent_->read_past_cache());
    return past;
}

// A table whose write-back failed is right in memory alone, and blocks are found by it.
Status SparseDisk::check_table() {
    constexpr std::size_t kEntries = 16384;
    Bytes there;
    for (std::size_t at = 0; at < image_.table.size(); at += kEntries) {
        const auto count = std::min(kEntries, image_.table.size() - at);
        ByteWriter entries;
        for (auto i = at; i < at + count; ++i) entries.be32(image_.table[i]);
        there.resize(4 * count);
        TRY(file_.read(image_.header.table_offset + 4 * at, there));
        if (!std::equal(there.begin(), there.end(), entries.view().begin()))
            return make_error(errors::kWrite, "{}: the table of its blocks is not there as it was written",
                              file_.path().string());
    }
    return {};
}

Result<DataRange> SparseDisk::next_own(std::uint64_t offset) {
    const auto block_bytes = image_.header.block_bytes;
    std::lock_guard lock(mutex_);
    while (offset < size()) {
        auto block = static_cast<std::size_t>(offset / block_bytes);
        auto base = std::uint64_t{block} * block_bytes;
        auto limit = std::min<std::uint64_t>(block_bytes, size() - base) / kSectorBytes;
        auto sector = (offset - base) / kSectorBytes;
        if (image_.table[block] != kUnallocated) {
            const auto& bits = TRY(bitmap_of(block))->bits;
            if (!bit(bits, sector)) sector = run_end(bits, sector, limit);
            if (sector < limit) {
                auto stop = base + run_end(bits, sector, limit) * kSectorBytes;
                offset = std::max(offset, base + sector * kSectorBytes);
                return DataRange{offset, stop - offset};
            }
        }
        offset = base + block_bytes;
    }
    return DataRange{};
}

// By whole blocks of this file: what a reader wants to know is what it need not read.
Result<DataRange> SparseDisk::next_data(std::uint64_t offset) {
    DataRange below;
    if (parent_ && offset < parent_->size()) below = TRY(parent_->next_data(offset));
    below.length = std::min(below.length, size() - std::min(size(), below.offset));
    std::lock_guard lock(mutex_);
    const auto block_bytes = image_.header.block_bytes;
    auto block = static_cast<std::size_t>(std::min(offset, size()) / block_bytes);
    while (block < image_.table.size() && image_.table[block] == kUnallocated) ++block;
    if (block >= image_.table.size()) return below;
    auto stop = block;
    while (stop < image_.table.size() && image_.table[stop] != kUnallocated) ++stop;
    auto start = std::max(offset, std::uint64_t{block} * block_bytes);
    DataRange own{start, std::min(size(), std::uint64_t{stop} * block_bytes) - start};
    return below.length != 0 && below.offset < own.offset ? below : own;
}

Status FixedDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    return file_.read(offset, buffer);
}

Status FixedDisk::write(std::uint64_t offset, ByteView data) {
    if (!writable()) return make_error(errors::kReadOnly, "a write to a VHD opened read-only");
    TRY(check_range(offset, data.size()));
    return file_.write(offset, data);
}

Result<bool> FixedDisk::discard(std::uint64_t offset, std::uint64_t length) {
    if (!writable()) return make_error(errors::kReadOnly, "a discard on a VHD opened read-only");
    TRY(check_range(offset, length));
    TRY(file_.clear(offset, length));
    return true;
}

Result<DataRange> FixedDisk::next_data(std::uint64_t offset) { return file_data_range(file_.fd(), offset, size()); }

}  // namespace slipway::disks::vhd
