// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/selection.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::uint64_t kGptBackupSectors = 33;  // header and 128 entries (UEFI 2.10 §5.3)

}  // namespace

std::optional<ChunkRun> Selection::clip(ChunkRun run) const {
    auto from = std::max(run.first, first_chunk()), to = std::min(run.first + run.count, end_chunk());
    if (from >= to) return std::nullopt;
    if (run.kind == RunKind::Data)
        run.ids = {run.ids.begin() + static_cast<std::ptrdiff_t>(from - run.first),
                   run.ids.begin() + static_cast<std::ptrdiff_t>(to - run.first)};
    run.first = from;
    run.count = static_cast<std::uint32_t>(to - from);
    return run;
}

Result<Selection> select_part(const ManifestSummary& image, std::uint32_t disk, std::uint32_t volume) {
    if (disk >= image.disks.size())
        return make_error(errors::kNoDisk, "the image has {} disks, not number {}", image.disks.size(), disk);
    const auto& d = image.disks[disk];
    Selection all{&d, nullptr, 0, d.disk.size, printable(d.disk.name)};
    if (volume == 0) return all;
    bool of_one_volume = d.disk.table == TableKind::None && d.partitions.size() == 1;
    if (of_one_volume && d.partitions[0].number == volume) return all;
    for (const auto& v : d.volumes) {
        if (v.partition != volume) continue;
        if (v.excluded) return make_error(errors::kNoPartition, "partition {} was left out of the image", volume);
        return Selection{&d, &v, v.offset, v.offset + v.length, partition_name(all.name, volume)};
    }
    return make_error(errors::kNoPartition, "{} of the image has no partition {}", all.name, volume);
}

std::string partition_name(const std::string& disk, std::uint32_t partition) {
    if (partition == 0) return disk;
    bool digit = !disk.empty() && disk.back() >= '0' && disk.back() <= '9';
    return disk + (digit ? "p" : "") + std::to_string(partition);
}

std::string describe_loss(const std::string& disk, const std::vector<VolumeInfo>& volumes, const LossInfo& loss) {
    auto text = fmt::format("{} bytes at byte {} of {}", loss.length, loss.offset, printable(disk));
    std::string in;
    for (const auto& v : volumes) {
        if (loss.offset >= v.offset + v.length || loss.offset + loss.length <= v.offset) continue;
        in += in.empty() ? ", in " : " and ";
        in += printable(partition_name(disk, v.partition)) + " (" +
              printable(v.filesystem.empty() ? "unknown" : v.filesystem);
        if (!v.label.empty()) in += " '" + printable(v.label) + "'";
        in += ")";
    }
    return text + (in.empty() ? ", outside all volumes" : in);
}

std::uint64_t least_target(const DiskSummary& disk) {
    std::uint64_t end = 0;
    for (const auto& p : disk.partitions) end = std::max(end, p.offset + p.length);
    if (disk.disk.table == TableKind::None || end == 0) return disk.disk.size;
    return end + (disk.disk.table == TableKind::Gpt ? kGptBackupSectors * disk.disk.sector_size : 0);
}

}  // namespace slipway::imagestore
