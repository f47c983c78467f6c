// SPDX-License-Identifier: GPL-3.0-or-later
// The chunks of a part of an image as its target holds them, first to last, less those that are unused. A thread reads
// a few ahead of whoever looks at them: reads past the page cache have no read-ahead of the kernel.
#pragma once

#include <array>
#include <thread>

#include "imagestore/part_walk.hpp"
#include "imagestore/queue.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {

class ReadBack {
public:
    struct Piece {
        std::uint64_t chunk = 0;
        RunKind kind = RunKind::Data;  // or Zero
        ChunkId id;                    // when Data
        Bytes there;
    };
    // All of them outlive it.
    ReadBack(disks::BlockDevice& target, const ManifestBytes& manifest, const Selection& part);
    ~ReadBack();
    // Good until the next call; null at the end. Errors: imagestore.bad-manifest, the target's own.
    Result<const Piece*> next();

private:
    void read_all();
    Status read_run(const ChunkRun& run);

    disks::BlockDevice& target_;
    const DiskInfo& disk_;
    PartWalk walk_;
    std::array<Piece, 3> pieces_;
    Queue<Piece*> free_, read_;  // null in read_: the end, see end_
    Piece* shown_ = nullptr;
    Status end_;  // by the thread, before its null
    std::jthread thread_;
};

}  // namespace slipway::imagestore
