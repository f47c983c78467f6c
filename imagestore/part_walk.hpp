// SPDX-License-Identifier: GPL-3.0-or-later
// The runs of a manifest that lie in one disk or volume of it, in the order of the disk.
#pragma once

#include "imagestore/selection.hpp"

namespace slipway::imagestore {

class PartWalk {
public:
    PartWalk(const ManifestBytes& manifest, const Selection& part) : reader_(manifest), part_(part) {}
    Result<std::optional<ChunkRun>> next_run() {
        while (auto event = TRY(reader_.next())) {
            if (auto* info = std::get_if<DiskInfo>(&*event)) inside_ = info->index == part_.disk->disk.index;
            if (auto* run = std::get_if<ChunkRun>(&*event); run && inside_)
                if (auto clipped = part_.clip(std::move(*run))) return clipped;
            if (std::holds_alternative<DiskEnd>(*event) && inside_) return std::optional<ChunkRun>();
        }
        return std::optional<ChunkRun>();
    }

private:
    ManifestReader reader_;
    const Selection& part_;
    bool inside_ = false;
};

}  // namespace slipway::imagestore
