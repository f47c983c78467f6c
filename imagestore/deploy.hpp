// SPDX-License-Identifier: GPL-3.0-or-later
// Deploy: one disk of an image, or one volume of it, onto a target device.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "imagestore/broadcast.hpp"
#include "imagestore/chunk_source.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/progress.hpp"

namespace slipway::disks {
class BlockDevice;
}

namespace slipway::imagestore {

// Whether what the target holds is held against the image before anything is written, chunk by chunk and by hash: what
// is equal in its place is then neither asked for nor written (comparison.hpp).
enum class Compare {
    Auto,    // where 32 places read for a sample say that it pays
    Always,  // without a sample
    Never,   // the target is not read, unless it carries the mark of an unfinished deploy of this very manifest
};

struct DeployRequest {
    const ManifestBytes* manifest = nullptr;
    std::uint32_t disk = 0;  // index in the manifest
    // One volume alone, by its partition's number: the target is then its partition, not the disk. 0: all of the disk.
    std::uint32_t volume = 0;
    disks::BlockDevice* target = nullptr;  // not owned
    // This partition takes the space behind it on a larger target (lib/disks/table/fit_table.hpp); 0: none. The backup
    // of a GPT goes to the end of a larger target in any case.
    std::uint32_t grow = 0;
    // To go on after any interruption: as Compare::Always, and refused where the target begins otherwise than the image
    // does. A target that carries the mark of an unfinished deploy of this very manifest is compared without being
    // asked.
    bool resume = false;
    Compare compare = Compare::Auto;
    bool verify = false;  // read all back afterwards, from the medium where that can be had
    // The target is known to read as zeros (a new file or VHD): zero and unused chunks cost nothing, and no sample is
    // taken.
    bool target_is_blank = false;
    unsigned threads = 0;  // 0: one a core
    std::uint64_t memory_limit = 256u << 20;
    std::uint64_t rate_limit = 0;  // bytes written a second; 0: none
    // What the source gave is made durable so often, so that no more than that is asked for again after a power cut.
    std::chrono::milliseconds flush_every{5'000};
    ChunkBroadcast* broadcast = nullptr;  // heard before the source is asked for what is wanting; not owned
};

struct DeployReport {
    std::string source;  // as the image names it
    std::uint64_t disk_bytes = 0;
    std::uint64_t data_chunks = 0;
    std::uint64_t written_chunks = 0, written_bytes = 0;
    std::uint64_t fetched_bytes = 0;                      // encoded
    std::uint64_t sampled_chunks = 0, sampled_equal = 0;  // places read to see whether comparing pays
    std::uint64_t compared_chunks = 0;                    // 0, or all data chunks
    std::uint64_t kept_chunks = 0;                        // already right on the target
    std::uint64_t broadcast_chunks = 0;                   // of those written: heard, not asked for
    std::uint64_t cleared_bytes = 0;                      // zero and unused ranges discarded or zeroed
    std::uint64_t verified_bytes = 0;
    bool verified_on_medium = false;  // else through the page cache: the target has no other reads
    bool backup_table_moved = false;  // GPT: to the end of a larger target
    double seconds = 0, bytes_per_second = 0;
    // What DeployRequest::grow did; its file system still has its old size.
    struct Grown {
        std::uint64_t offset = 0, length = 0, before = 0;  // bytes on the target
        std::string filesystem;
    };
    std::optional<Grown> grown;
    std::vector<LossInfo> losses;          // ranges the source could not read: exit code 4
    std::vector<std::string> loss_places;  // the same with what they hit, for people
    std::vector<std::string> warnings;
};

struct Selection;
// What the image has nothing of in this part of it: ranges lost, and (as warnings) partitions left out.
void note_losses(const Selection& part, DeployReport& report);

// Errors: imagestore.target-too-small, .target-sectors, .no-disk, .no-partition, .inconsistent, .bad-manifest,
// .bad-chunk, .chunk-missing, .verify-failed, .cancelled, and the target's own. The manifest's digest is checked before
// the first byte is written. An error of fit_table comes when the image is laid down already, with the old table.
Result<DeployReport> deploy_disk(const DeployRequest& request, ChunkSource& source, const ProgressSink& progress = {},
                                 const std::atomic<bool>* cancel = nullptr);

}  // namespace slipway::imagestore
