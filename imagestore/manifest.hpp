// SPDX-License-Identifier: GPL-3.0-or-later
// The manifest of an image: the disks of one machine, what is on them, and the chunks that hold it.
// Written and read as a stream: neither side holds more than one record of at most 64 KiB.
//
// Bytes, version 1 (all integers little-endian; docs/formats/imagestore.md has the same):
//   manifest = header record* trailer
//   header   = "SLIPMANI" version:u16=1 zero:u16 chunk_bytes:u32=1048576               (16 bytes)
//   record   = type:u8 length:u32 body[length], length <= 65536
//   trailer  = "SLIPMEND" size:u64 sha256[32]                                          (48 bytes)
//              size = bytes before the trailer; sha256 over them and the trailer's first 16 bytes
//   string   = length:u16 UTF-8 bytes
// Records come in this order: image, then for each disk: disk, partition*, volume*, runs*, loss*,
// disk-end. Types from 0x80 up may be skipped by a reader that does not know them; another
// unknown type is imagestore.newer-format. A body may grow at its end; what is beyond the known fields is skipped
// (runs excepted).
//   1 image     created:u64 (ms since 1970) flags:u32 (bit 0: inconsistent, never deployable)
//               disks:u32 source:string writer:string
//   2 disk      index:u32 size:u64 sector:u32 cylinders:u32 heads:u32 sectors:u32
//               table:u8 (0 none, 1 mbr, 2 gpt) name:string serial:string model:string table_id:string
//   3 partition number:u32 offset:u64 length:u64 flags:u32 (bit 0: active) type:string name:string uuid:string
//   4 volume    partition:u32 (0: the whole disk) offset:u64 length:u64 used:u64 state:u8 flags:u32
//               (bit 0: every sector taken, bit 1: excluded) filesystem:string label:string uuid:string note:string
//               state: 0 unknown, 1 clean, 2 needs recovery, 3 hibernated
//   5 runs      (kind:u8 count:u32 ids[count*32 if kind = 2])*, count >= 1
//               kind: 0 unused (no used byte), 1 zero, 2 data; all runs of a disk together
//               cover its ceil(size / chunk_bytes) chunks
//   6 loss      offset:u64 length:u64: source bytes that could not be read, zero in the image
// The image of one volume is a disk of table 0 with one partition record: number, type, name and uuid are those of
// the partition it was taken from, offset 0 and the disk's length. The volume record then says partition 0.
//   7 disk-end  chunks:u64 (as above) data:u64 (of them kind 2)
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "imagestore/chunk.hpp"
#include "imagestore/chunk_sink.hpp"

namespace slipway::imagestore {

inline constexpr std::uint16_t kManifestVersion = 1;
inline constexpr std::size_t kManifestRecordLimit = 65536;
inline constexpr std::uint64_t kMaxDiskBytes = 1ull << 60;
inline constexpr std::uint32_t kMaxDisks = 256;

struct ImageInfo {
    std::uint64_t created_ms = 0;  // since 1970
    bool inconsistent = false;     // taken from a running system: never deployable
    std::uint32_t disk_count = 0;
    std::string source;  // the machine's or the file's name
    std::string writer;  // "slipway 0.1.0"
};

enum class TableKind : std::uint8_t { None = 0, Mbr = 1, Gpt = 2 };
std::string_view name_of(TableKind kind);

struct DiskInfo {
    std::uint32_t index = 0;
    std::uint64_t size = 0;  // bytes
    std::uint32_t sector_size = 512;
    std::uint32_t cylinders = 0, heads = 0, sectors = 0;  // zeros: not known
    TableKind table = TableKind::None;
    std::string name;  // "sda"
    std::string serial, model;
    std::string table_id;  // MBR signature or GPT disk GUID
    std::uint64_t chunk_count() const { return (size + kChunkBytes - 1) / kChunkBytes; }
    // Length of chunk n: kChunkBytes, the last one maybe less.
    std::uint32_t chunk_length(std::uint64_t n) const;
};

struct PartitionInfo {
    std::uint32_t number = 0;
    std::uint64_t offset = 0, length = 0;  // bytes on the disk
    bool active = false;
    std::string type, name, uuid;
};

enum class VolumeState : std::uint8_t { Unknown = 0, Clean = 1, NeedsRecovery = 2, Hibernated = 3 };
std::string_view name_of(VolumeState state);

struct VolumeInfo {
    std::uint32_t partition = 0;           // 0: the whole disk is one volume
    std::uint64_t offset = 0, length = 0;  // bytes on the disk
    std::uint64_t used = 0;                // bytes taken
    VolumeState state = VolumeState::Unknown;
    bool every_sector = false;  // no used-block map: all of it was taken; see note
    bool excluded = false;
    std::string filesystem, label, uuid, note;
};

enum class RunKind : std::uint8_t { Unused = 0, Zero = 1, Data = 2 };

// A run as the reader gives it; a long one may come in pieces.
struct ChunkRun {
    std::uint64_t first = 0;  // chunk number on its disk
    std::uint32_t count = 0;
    RunKind kind = RunKind::Unused;
    std::vector<ChunkId> ids;  // count of them when Data
};

struct LossInfo {
    std::uint64_t offset = 0, length = 0;
};

struct DiskEnd {
    std::uint64_t chunks = 0, data = 0;
};

// ---- writing

// Where the writer's bytes go.
class ManifestOutput {
public:
    virtual ~ManifestOutput() = default;
    virtual Status write(ByteView bytes) = 0;
};

class MemoryManifest final : public ManifestOutput {
public:
    Status write(ByteView bytes) override {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return {};
    }
    const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
};

// Calls in the order of the grammar; out of order is a bug (asserted).
class ManifestWriter {
public:
    explicit ManifestWriter(ManifestOutput& output) : output_(output) {}
    Status image(const ImageInfo& info);
    Status disk(const DiskInfo& info);
    Status partition(const PartitionInfo& info);
    Status volume(const VolumeInfo& info);
    Status run(RunKind kind, std::uint32_t count);  // Unused or Zero
    Status data(const ChunkId& id);
    Status loss(const LossInfo& loss);
    Status end_disk();
    Status finish();

private:
    Status record(std::uint8_t type, ByteView body);
    Status raw(ByteView bytes);
    Status flush_run();
    Status flush_body();

    ManifestOutput& output_;
    Sha256 hash_;
    std::uint64_t written_ = 0, chunks_ = 0, data_ = 0;
    ByteWriter body_;  // of the runs record being filled
    RunKind kind_ = RunKind::Unused;
    std::uint64_t count_ = 0;
    std::vector<ChunkId> ids_;
};

// ---- reading

using ManifestEvent = std::variant<ImageInfo, DiskInfo, PartitionInfo, VolumeInfo, ChunkRun, LossInfo, DiskEnd>;

// Pulls one event after another out of hostile bytes. Holds at most one record. Every count, order
// and length is checked as it comes; the trailer's digest when the end is reached, so whoever acts
// on events before the end calls check_manifest() first.
class ManifestReader {
public:
    explicit ManifestReader(const ManifestBytes& bytes) : bytes_(bytes) {}
    // The next event; nothing once the trailer has been read and agrees.
    // Errors: imagestore.bad-manifest, imagestore.newer-format.
    Result<std::optional<ManifestEvent>> next();
    // Where the record of the last event starts.
    std::uint64_t record_offset() const { return record_at_; }

private:
    Result<std::optional<ManifestEvent>> event(std::uint8_t type, ByteView body);
    Status header();
    Status trailer();
    Status load(std::span<std::byte> out);
    Result<std::optional<ManifestEvent>> run_event();

    const ManifestBytes& bytes_;
    Sha256 hash_;
    std::uint64_t offset_ = 0, end_ = 0, record_at_ = 0;
    bool started_ = false, done_ = false;
    Bytes record_;
    std::size_t run_offset_ = 0;
    bool in_runs_ = false;
    int stage_ = 0;
    std::uint32_t disks_seen_ = 0, disks_told_ = 0;
    DiskInfo disk_;
    std::uint64_t chunks_ = 0, data_ = 0;
};

// What `image show` prints and what a deploy plans with: everything but the runs.
struct DiskSummary {
    DiskInfo disk;
    std::vector<PartitionInfo> partitions;
    std::vector<VolumeInfo> volumes;
    std::vector<LossInfo> losses;
    std::uint64_t data_chunks = 0, zero_chunks = 0, unused_chunks = 0;
};
struct ManifestSummary {
    ImageInfo image;
    std::vector<DiskSummary> disks;
    std::uint64_t manifest_bytes = 0;
};
// Sees every event, and where in the manifest its record starts.
using ManifestObserver = std::function<void(const ManifestEvent& event, std::uint64_t record_offset)>;
// Reads all of it, checking digest and structure.
Result<ManifestSummary> summarize(const ManifestBytes& bytes, const ManifestObserver& each = {});
Status check_manifest(const ManifestBytes& bytes);

}  // namespace slipway::imagestore
