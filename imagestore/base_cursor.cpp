// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/base_cursor.hpp"

#include <algorithm>

namespace slipway::imagestore {

Result<BaseCursor> BaseCursor::create(const ManifestBytes& base) {
    BaseCursor cursor(base);
    for (auto& d : TRY(summarize(base)).disks) cursor.disks_.push_back(std::move(d.disk));
    return cursor;
}

void BaseCursor::open(const DiskInfo& disk) {
    asked_ = disk.index;
    run_.reset();
    inside_.reset();
    reader_.reset();
    auto same = std::find_if(disks_.begin(), disks_.end(), [&](const DiskInfo& d) {
        return disk.serial.empty() || d.serial.empty() ? d.index == disk.index : d.serial == disk.serial;
    });
    if (same == disks_.end()) return;
    wanted_ = same->index;
    reader_.emplace(*base_);
}

// The next run of the wanted disk.
bool BaseCursor::advance() {
    run_.reset();
    while (reader_) {
        auto event = reader_->next();
        bool over = !event || !*event || (std::holds_alternative<DiskEnd>(**event) && inside_ == wanted_);
        if (over) {
            reader_.reset();
            return false;
        }
        if (auto* info = std::get_if<DiskInfo>(&**event)) inside_ = info->index;
        auto* run = std::get_if<ChunkRun>(&**event);
        if (!run || inside_ != wanted_) continue;
        run_ = std::move(*run);
        return true;
    }
    return false;
}

std::optional<ChunkId> BaseCursor::at(const DiskInfo& disk, std::uint64_t chunk) {
    if (asked_ != disk.index) open(disk);
    while (!run_ || run_->first + run_->count <= chunk)
        if (!advance()) return std::nullopt;
    if (run_->kind != RunKind::Data || chunk < run_->first) return std::nullopt;
    return run_->ids[chunk - run_->first];
}

}  // namespace slipway::imagestore
