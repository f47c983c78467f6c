// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/one_volume.hpp"

#include "imagestore/errors.hpp"
#include "imagestore/plan.hpp"
#include "imagestore/selection.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

Result<OneVolume> find_volume(const std::vector<CaptureDisk>& disks, const std::string& word) {
    std::vector<std::string> names;
    for (std::uint32_t d = 0; d < disks.size(); ++d) {
        const auto& disk = disks[d];
        names.push_back(printable(disk.identity.name));
        auto layout = TRY(disks::read_layout(*disk.device));
        for (const auto& p : layout.partitions) {
            if (!names_partition(word, {d, disk.identity.name, {}, false, false}, p.index)) continue;
            OneVolume out;
            out.window = std::make_unique<disks::OffsetLayer>(*disk.device, p.offset, p.length);
            out.disk = {out.window.get(), {}, describe(p, layout.table)};
            // Without the disk's serial number: a deploy finds disks by it.
            out.disk.identity.name = partition_name(disk.identity.name, p.index);
            return out;
        }
    }
    return make_error(errors::kNoPartition, "{} has no partition '{}'", join(names, ", "), printable(word));
}

Result<std::unique_ptr<disks::OffsetLayer>> open_partition(disks::BlockDevice& disk, std::uint32_t number) {
    auto layout = TRY(disks::read_layout(disk));
    for (const auto& p : layout.partitions)
        if (p.index == number) return std::make_unique<disks::OffsetLayer>(disk, p.offset, p.length);
    return make_error(errors::kNoPartition, "the target has no partition {}", number);
}

}  // namespace slipway::imagestore
