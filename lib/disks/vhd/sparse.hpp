// SPDX-License-Identifier: GPL-3.0-or-later
// Dynamically expanding and differencing disks as BlockDevices. A sector whose bitmap bit is clear reads as zero in a
// dynamic disk and from the parent in a differencing one, whatever the file holds there.
//
// New blocks go behind the last one, each with a new footer behind it. Bitmaps and table name a sector or a block only
// after its bytes are durable: they are kept in memory and written between two fsyncs, by flush(), every kPendingBlocks
// new blocks, and (without fsync) when the disk is closed. So a crash at any instant, of the process or the machine,
// leaves a disk that opens, with at worst the writes since the last flush missing.
#pragma once

#include <map>
#include <mutex>

#include "lib/disks/vhd/image.hpp"

namespace slipway::disks::vhd {

class SparseDisk final : public BlockDevice {
public:
    // `parent` is null for a dynamic disk. `fresh`: the file has just been made, so all of it reads as zero.
    SparseDisk(File file, Image image, std::unique_ptr<BlockDevice> parent, bool fresh);
    ~SparseDisk() override;

    std::uint64_t size() const override { return image_.footer.size; }
    bool writable() const override { return file_.writable(); }
    bool reads_zero_when_new() const override { return fresh_ && !parent_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override;
    // The table and the bitmaps are read again, too; a table that is not as it was written is errors::kWrite.
    Result<bool> read_past_cache() override;
    Result<DataRange> next_data(std::uint64_t offset) override;

    // The first run of sectors at or behind offset that this file itself holds, not its parents. Ends with its block.
    Result<DataRange> next_own(std::uint64_t offset);

    File& file() { return file_; }
    const Image& image() const { return image_; }
    BlockDevice* parent() { return parent_.get(); }

    // Where a new block's bitmap begins, behind `end`: its data is then aligned to 4 KiB.
    static std::uint64_t place_behind(std::uint64_t end, std::uint64_t bitmap_bytes);

private:
    struct Bitmap {
        Bytes bits;
        bool dirty = false;
    };
    // A part of a range that lies in one block.
    struct Part {
        std::size_t block;
        std::uint64_t within, offset, length;  // offset: on the disk
    };

    Part part_at(std::uint64_t offset, std::uint64_t end) const;
    Status read_part(const Part& part, std::span<std::byte> out);
    Status read_by(const Bytes& bits, const Part& part, std::span<std::byte> out);
    Status read_below(std::uint64_t offset, std::span<std::byte> out);
    Status write_part(const Part& part, ByteView data);
    Result<bool> discard_part(const Part& part);
    Status allocate(std::size_t block);
    Result<Bitmap*> bitmap_of(std::size_t block);
    Status publish(bool durable);
    Status check_table();

    File file_;
    Image image_;
    std::unique_ptr<BlockDevice> parent_;
    bool fresh_;
    std::mutex mutex_;                                     // guards image_.table, image_.end and all below
    std::map<std::size_t, Bitmap> bitmaps_;                // a cache of what is in the file, and what is not there yet
    std::size_t dirty_first_ = SIZE_MAX, dirty_last_ = 0;  // table entries not written yet
    std::size_t pending_ = 0;                              // new blocks among them
};

// A fixed VHD is the raw disk with a footer behind it.
class FixedDisk final : public BlockDevice {
public:
    FixedDisk(File file, Image image, bool fresh) : file_(std::move(file)), image_(std::move(image)), fresh_(fresh) {}

    std::uint64_t size() const override { return image_.footer.size; }
    bool writable() const override { return file_.writable(); }
    bool reads_zero_when_new() const override { return fresh_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return file_.flush(); }
    Result<bool> read_past_cache() override { return file_.read_past_cache(); }
    Result<DataRange> next_data(std::uint64_t offset) override;
    File& file() { return file_; }
    const Image& image() const { return image_; }

private:
    File file_;
    Image image_;
    bool fresh_;
};

}  // namespace slipway::disks::vhd
