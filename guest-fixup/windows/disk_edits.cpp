// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/disk_edits.hpp"

#include <set>

#include "guest-fixup/claim.hpp"
#include "guest-fixup/errors.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint64_t kLargestRecord = 1u << 20;

}  // namespace

Result<std::vector<SectorEdit>> DiskEdits::recorded() const {
    const auto text = TRY(guest_.read(record(), kLargestRecord));
    if (!text) return std::vector<SectorEdit>();
    return parse_sectors(*text);
}

// Of runs before this one. Their numbers are given again after a run that did not finish: what is left of that one has
// this number, or a later one.
Result<std::vector<SectorEdit>> DiskEdits::finished() const {
    auto edits = TRY(recorded());
    std::erase_if(edits, [this](const auto& edit) { return edit.run >= guest_.run_number(); });
    return edits;
}

Result<std::string> DiskEdits::digest() const {
    if (!possible()) return std::string();
    const auto disk = TRY(open_under_claim(windows_.disk, disks::OpenMode::ReadOnly));
    std::set<std::uint64_t> offsets{0};
    for (const auto index : {windows_.place->boot_partition, windows_.place->windows_partition})
        if (const auto* partition = windows_.place->partition(index)) offsets.insert(partition->offset);
    Sha256 digest;
    Bytes sector(512);
    for (const auto offset : offsets) {
        TRY(disk->read(offset, sector));
        digest.update(sector);
    }
    return digest.finish().text();
}

Status DiskEdits::apply(const SectorWishes& wishes) {
    if (!possible()) return {};
    const auto mode = guest_.dry_run() ? disks::OpenMode::ReadOnly : disks::OpenMode::ReadWrite;
    const auto disk = TRY(open_under_claim(windows_.disk, mode));
    auto edits = TRY(plan_sectors(*disk, *windows_.place, wishes));
    if (edits.empty()) return {};
    for (auto& edit : edits) edit.run = guest_.run_number();
    if (!guest_.dry_run()) {
        TRY(guest_.write_unrecorded(record(), to_json(joined(TRY(finished()), edits)), 0600));
        applied_ = edits;
        TRY(write_sectors(*disk, *windows_.place, edits));
    }
    for (const auto& edit : edits) guest_.note_change(change_of(edit));
    return {};
}

Status DiskEdits::take_back() {
    if (applied_.empty()) return {};
    const auto disk = TRY(open_under_claim(windows_.disk, disks::OpenMode::ReadWrite));
    (void)TRY(take_back_sectors(*disk, *windows_.place, applied_, false));
    applied_.clear();
    return {};
}

Result<std::vector<Change>> DiskEdits::undo(bool dry_run, std::uint64_t since) const {
    const auto edits = edits_since(TRY(recorded()), since);
    if (edits.empty()) return std::vector<Change>();
    if (!possible())
        return make_error(errors::kRequest, "sectors of the disk were changed as well: give the disk, not its root");
    const auto mode = dry_run ? disks::OpenMode::ReadOnly : disks::OpenMode::ReadWrite;
    const auto disk = TRY(open_under_claim(windows_.disk, mode));
    return take_back_sectors(*disk, *windows_.place, edits, dry_run);
}

}  // namespace slipway::fixup::windows
