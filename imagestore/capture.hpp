// SPDX-License-Identifier: GPL-3.0-or-later
// Capture: disks -> chunks in a sink + one manifest. Each disk is read once, in order, and only
// where chunks have used bytes; hashing and compressing run on worker threads.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "imagestore/chunk_sink.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/progress.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::imagestore {

// What the disk says of itself; size and sector size come from the device.
struct DiskIdentity {
    std::string name;  // "sda", or the file's name
    std::string serial, model;
    std::uint32_t cylinders = 0, heads = 0, sectors = 0;  // zeros: not known
};

struct CaptureDisk {
    disks::BlockDevice* device = nullptr;  // not owned; only read
    DiskIdentity identity;
    // The device is this partition's content alone, and is captured as a volume without a disk around it. Its chunks
    // are those of the whole disk as long as the partition starts at a whole MiB.
    std::optional<PartitionInfo> volume;
};

struct CaptureReport;

struct CaptureRequest {
    std::string name;              // of the image
    std::string source;            // machine or file, for the record
    std::uint64_t created_ms = 0;  // the caller's clock, ms since 1970
    std::vector<CaptureDisk> disks;
    // Partitions left out: "sda2", or "2" / "1:2" (partition, or disk number from 0 and partition).
    std::vector<std::string> exclusions;
    bool all_sectors = false;       // no used-block maps
    disks::MapOptions map_options;  // keys of encrypted volumes, page files
    bool inconsistent = false;      // taken from a running system: never deployable
    // An earlier image of the same machine in the same store (not owned): chunks with its hash at the same place need
    // no asking. What is captured is read and hashed all the same.
    const ManifestBytes* base = nullptr;
    std::string base_name;
    // Sees volumes, sizes and warnings before anything is sent; its error ends the capture.
    std::function<Status(const CaptureReport&)> planned;
    int level = 1;                            // zstd
    unsigned threads = 0;                     // 0: one a core
    std::uint64_t memory_limit = 256u << 20;  // of the whole, about; at least kMinCaptureMemory
    std::uint64_t rate_limit = 0;             // bytes read a second; 0: none
};
inline constexpr std::uint64_t kMinCaptureMemory = 12u << 20;

struct CaptureVolumeNote {
    std::uint32_t disk = 0;
    VolumeInfo volume;
};

struct CaptureLoss {
    std::uint32_t disk = 0;
    LossInfo range;
};

struct CaptureReport {
    std::string image;  // "web@3"
    std::uint32_t version = 0;
    std::uint64_t disk_bytes = 0;    // sizes of the disks
    std::uint64_t used_bytes = 0;    // bytes to read by the maps
    std::uint64_t bytes_read = 0;    // from the disks
    std::uint64_t zero_bytes = 0;    // in chunks that were zero
    std::uint64_t unused_bytes = 0;  // in chunks without a used byte
    std::uint64_t data_chunks = 0;
    std::uint64_t sent_chunks = 0, sent_bytes = 0;                  // put; bytes as encoded
    std::uint64_t deduplicated_chunks = 0, deduplicated_bytes = 0;  // known to the sink; plain bytes
    std::uint64_t raw_chunks = 0;                                   // sent without compression
    // With a base: data chunks it has at the same place, and those that are new or changed.
    std::string base;
    std::uint64_t base_chunks = 0, changed_chunks = 0, changed_bytes = 0;
    unsigned rounds = 0;  // of sending again what a commit missed
    std::uint64_t manifest_bytes = 0;
    double seconds = 0, bytes_per_second = 0;  // bytes_read over seconds
    // Share of the run each part was busy (0..1; of all workers together for work).
    double read_busy = 0, work_busy = 0, sink_busy = 0;
    std::string bottleneck;  // "source disk 97 % busy"
    std::vector<CaptureVolumeNote> volumes;
    std::vector<CaptureLoss> losses;    // unreadable source ranges, zero in the image: exit code 4
    std::vector<std::string> warnings;  // volumes taken whole and why
    bool odd_table = false;             // a partition table that is damaged or contradicts itself; see the warnings
};

// A partition as the manifest says it.
PartitionInfo describe(const disks::Partition& partition, disks::TableKind table);

// A raw disk from a pipe: all of it is read, in order; zeros cost nothing. What its size and partition table are is
// known at the end, so the runs wait in a spool file for the manifest. Of the request, `disks` is not used. A chunk
// that a commit misses cannot be read again: imagestore.commit-incomplete.
Result<CaptureReport> capture_stream(const CaptureRequest& request, int in, const DiskIdentity& identity,
                                     ChunkSink& sink, const ProgressSink& progress = {},
                                     const std::atomic<bool>* cancel = nullptr);

// Errors: imagestore.cancelled, .source-failing, .commit-incomplete, .no-partition, .bad-name, and
// whatever the sink says (base.no-space is temporary: capture again, nothing is sent twice).
Result<CaptureReport> capture_disks(const CaptureRequest& request, ChunkSink& sink, const ProgressSink& progress = {},
                                    const std::atomic<bool>* cancel = nullptr);

}  // namespace slipway::imagestore
