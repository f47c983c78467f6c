// SPDX-License-Identifier: GPL-3.0-or-later
// dm-thin pools: which block of a pool's data holds which block of a thin volume.
// Sources: Linux drivers/md/dm-thin-metadata.c (superblock, the two trees), drivers/md/persistent-data/
// (dm-btree-internal.h: nodes; dm-block-manager.h: checksums), Documentation/device-mapper/thin-provisioning.rst.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "lib/disks/volumes/stack.hpp"

namespace slipway::disks {

// Blocks [virtual_block, + count) of the thin volume are blocks [data_block, + count) of the pool.
struct ThinRun {
    std::uint64_t virtual_block = 0, data_block = 0, count = 0;
};

struct ThinPool {
    std::uint64_t block_bytes = 0;
    std::uint64_t transaction = 0;
    std::map<std::uint64_t, std::vector<ThinRun>> devices;  // by device id; runs by virtual block
};

// metadata: the pool's metadata volume; data_bytes: the size of its data volume. errors::kVolumeManager: damaged,
// wants a check, or larger than is looked through.
Result<ThinPool> read_thin_pool(BlockDevice& metadata, std::uint64_t data_bytes);

// A thin volume over the pool's data volume, its one member. What was never written reads as zeros.
class ThinVolume final : public StackedVolume {
public:
    ThinVolume(BlockDevice& data, std::uint64_t size, std::uint64_t block_bytes, const std::vector<ThinRun>& runs)
        : StackedVolume({&data}, size), block_(block_bytes), runs_(runs) {}
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    void place(Extent bytes, std::span<ExtentSet> members) const override;

private:
    // Where a byte lies in the pool (nothing: nowhere), and how many after it are of the same kind.
    struct Spot {
        bool mapped;
        std::uint64_t at, left;
    };
    Spot spot(std::uint64_t offset) const;

    std::uint64_t block_;
    std::vector<ThinRun> runs_;
};

}  // namespace slipway::disks
