// SPDX-License-Identifier: GPL-3.0-or-later
// Disks as values of one interface, and layers that stack on it (offset window, read-only, statistics, faults).
// All offsets and lengths are bytes. Any alignment is accepted.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/result.hpp"
#include "lib/disks/past_cache.hpp"

namespace slipway::disks {

struct DataRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

class BlockDevice {
public:
    virtual ~BlockDevice() = default;
    virtual std::uint64_t size() const = 0;
    virtual unsigned sector_size() const { return 512; }  // logical: 512 or 4096
    virtual bool writable() const = 0;
    // True when bytes never written read as zero (a new sparse file): a deploy need not write zeroes.
    virtual bool reads_zero_when_new() const { return false; }

    // Fills buffer from offset; a range past the end is errors::kRange. Safe from several threads.
    virtual Status read(std::uint64_t offset, std::span<std::byte> buffer) = 0;
    virtual Status write(std::uint64_t offset, ByteView data) = 0;
    // The range need not keep its content. Afterwards it reads as zero exactly when this returns true.
    virtual Result<bool> discard(std::uint64_t offset, std::uint64_t length) = 0;
    virtual Status flush() = 0;  // durable after it
    // The first range at or behind offset that may hold something but zeroes; length 0: there is none.
    virtual Result<DataRange> next_data(std::uint64_t offset) {
        return DataRange{offset, offset < size() ? size() - offset : 0};
    }
    // For who must know what the medium holds: flushes, and from then on reads come from the medium (past_cache.hpp);
    // call it while no other thread reads. False where that cannot be had: what the kernel remembers is then dropped as
    // far as it goes, once, so call it again before the next reads that matter.
    virtual Result<bool> read_past_cache() {
        TRY(flush());
        return false;
    }

protected:
    Status check_range(std::uint64_t offset, std::uint64_t length) const;
};

enum class OpenMode { ReadOnly, ReadWrite };

// A raw file or a block device. Sources are opened O_RDONLY. discard punches holes or uses BLKDISCARD/BLKZEROOUT.
class FileDisk final : public BlockDevice {
public:
    static Result<std::unique_ptr<FileDisk>> open(const std::filesystem::path& path, OpenMode mode);
    // Makes a sparse file of that size, which has its name when it has its size; refuses an existing one.
    static Result<std::unique_ptr<FileDisk>> create(const std::filesystem::path& path, std::uint64_t size);

    std::uint64_t size() const override { return size_; }
    unsigned sector_size() const override { return sector_size_; }
    bool writable() const override { return mode_ == OpenMode::ReadWrite; }
    bool reads_zero_when_new() const override { return fresh_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override;
    Result<bool> read_past_cache() override;
    Result<DataRange> next_data(std::uint64_t offset) override;

    int fd() const { return fd_.get(); }
    bool is_block_device() const { return block_device_; }

private:
    FileDisk(UniqueFd fd, OpenMode mode) : fd_(std::move(fd)), mode_(mode) {}
    UniqueFd fd_;
    PastCache direct_;  // valid once read_past_cache() was called and could be
    OpenMode mode_;
    std::uint64_t size_ = 0;
    unsigned sector_size_ = 512;
    bool block_device_ = false;
    bool fresh_ = false;
    std::atomic<std::uint64_t> unhinted_{0};  // bytes written since the kernel was last told to begin writing them out
};

// next_data of the first `size` bytes of an open file, by its holes.
Result<DataRange> file_data_range(int fd, std::uint64_t offset, std::uint64_t size);

// Opens a raw file, a block device, or a VHD (told by its footer; see vhd.hpp).
Result<std::unique_ptr<BlockDevice>> open_disk(const std::filesystem::path& path, OpenMode mode);

class MemoryDisk final : public BlockDevice {
public:
    explicit MemoryDisk(std::uint64_t size, unsigned sector_size = 512) : content_(size), sector_size_(sector_size) {}
    explicit MemoryDisk(Bytes content) : content_(std::move(content)) {}
    std::uint64_t size() const override { return content_.size(); }
    unsigned sector_size() const override { return sector_size_; }
    bool writable() const override { return true; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return {}; }
    Bytes& content() { return content_; }

private:
    Bytes content_;
    unsigned sector_size_ = 512;
};

// The layers below refer to a device that outlives them.

// A window [start, start + length) of a device, such as a partition.
class OffsetLayer final : public BlockDevice {
public:
    OffsetLayer(BlockDevice& below, std::uint64_t start, std::uint64_t length)
        : below_(below), start_(start), length_(length) {}
    std::uint64_t size() const override { return length_; }
    unsigned sector_size() const override { return below_.sector_size(); }
    bool writable() const override { return below_.writable(); }
    bool reads_zero_when_new() const override { return below_.reads_zero_when_new(); }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return below_.flush(); }
    Result<bool> read_past_cache() override { return below_.read_past_cache(); }

private:
    BlockDevice& below_;
    std::uint64_t start_, length_;
};

// Passes everything through; the base of the layers below.
class PassLayer : public BlockDevice {
public:
    explicit PassLayer(BlockDevice& below) : below_(below) {}
    std::uint64_t size() const override { return below_.size(); }
    unsigned sector_size() const override { return below_.sector_size(); }
    bool writable() const override { return below_.writable(); }
    bool reads_zero_when_new() const override { return below_.reads_zero_when_new(); }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override { return below_.read(offset, buffer); }
    Status write(std::uint64_t offset, ByteView data) override { return below_.write(offset, data); }
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override { return below_.discard(offset, length); }
    Status flush() override { return below_.flush(); }
    Result<bool> read_past_cache() override { return below_.read_past_cache(); }

protected:
    BlockDevice& below_;
};

class ReadOnlyLayer final : public PassLayer {
public:
    using PassLayer::PassLayer;
    bool writable() const override { return false; }
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
};

struct IoCounters {
    std::atomic<std::uint64_t> reads{0}, read_bytes{0}, writes{0}, written_bytes{0}, discards{0}, flushes{0};
};

class StatsLayer final : public PassLayer {
public:
    using PassLayer::PassLayer;
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override;
    Result<bool> read_past_cache() override;
    const IoCounters& counters() const { return counters_; }

private:
    IoCounters counters_;
};

// For tests: `rule` sees every operation before it happens and may fail it.
class FaultLayer final : public PassLayer {
public:
    enum class Op { Read, Write, Discard, Flush };
    using Rule = std::function<Status(Op, std::uint64_t offset, std::uint64_t length)>;
    FaultLayer(BlockDevice& below, Rule rule) : PassLayer(below), rule_(std::move(rule)) {}
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override;
    Result<bool> read_past_cache() override;  // a Flush to the rule

private:
    Rule rule_;
};

}  // namespace slipway::disks
