// SPDX-License-Identifier: GPL-3.0-or-later
// Deploy: one disk of an image onto a target device.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "imagestore/chunk_source.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/progress.hpp"

namespace slipway::disks {
class BlockDevice;
}

namespace slipway::imagestore {

struct DeployRequest {
    const ManifestBytes* manifest = nullptr;
    std::uint32_t disk = 0;                // index in the manifest
    disks::BlockDevice* target = nullptr;  // not owned
    // Each chunk of the target is hashed first, and only differing ones are fetched: the way to go
    // on after any interruption. A target that carries the marker of an unfinished deploy of this very
    // manifest is resumed without being asked.
    bool resume = false;
    bool verify = false;  // read all back afterwards
    // The target is known to read as zeros (a new file or VHD): zero and unused chunks cost nothing.
    bool target_is_blank = false;
    unsigned threads = 0;  // 0: one a core
    std::uint64_t memory_limit = 256u << 20;
    std::uint64_t rate_limit = 0;  // bytes written a second; 0: none
};

struct DeployReport {
    std::string source;  // as the image names it
    std::uint64_t disk_bytes = 0;
    std::uint64_t data_chunks = 0;
    std::uint64_t written_chunks = 0, written_bytes = 0;
    std::uint64_t fetched_bytes = 0;  // encoded
    std::uint64_t kept_chunks = 0;    // already right on the target (resume)
    std::uint64_t cleared_bytes = 0;  // zero and unused ranges discarded or zeroed
    std::uint64_t verified_bytes = 0;
    bool backup_table_moved = false;  // GPT: to the end of a larger target
    double seconds = 0, bytes_per_second = 0;
    std::vector<LossInfo> losses;  // ranges the source could not read: exit code 4
    std::vector<std::string> warnings;
};

// Errors: imagestore.target-too-small, .target-sectors, .no-disk, .bad-manifest, .bad-chunk,
// .chunk-missing, .verify-failed, .cancelled, and the target's own. The manifest's digest is checked before the
// first byte is written.
Result<DeployReport> deploy_disk(const DeployRequest& request, ChunkSource& source, const ProgressSink& progress = {},
                                 const std::atomic<bool>* cancel = nullptr);

}  // namespace slipway::imagestore
