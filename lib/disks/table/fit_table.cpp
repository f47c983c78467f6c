// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/table/fit_table.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <parted/parted.h>

#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/table/parted.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kMaxMbrSectors = 0xffffffff;
constexpr std::size_t kMbrDiskId = 0x1b8, kMbrDiskIdBytes = 6, kMbrRecords = 0x1be, kMbrRecordBytes = 16;
constexpr std::uint8_t kTypeProtective = 0xee;

template <auto F>
struct Call {
    template <typename T>
    void operator()(T* p) const {
        F(p);
    }
};
using PartedDevice = std::unique_ptr<PedDevice, Call<ped_device_destroy>>;
using PartedDisk = std::unique_ptr<PedDisk, Call<ped_disk_destroy>>;
using Geometry = std::unique_ptr<PedGeometry, Call<ped_geometry_destroy>>;
using Constraint = std::unique_ptr<PedConstraint, Call<ped_constraint_destroy>>;

// A file has sectors of 512 bytes; the copy has those of its disk.
class SectorLayer final : public PassLayer {
public:
    SectorLayer(BlockDevice& below, unsigned sector) : PassLayer(below), sector_(sector) {}
    unsigned sector_size() const override { return sector_; }

private:
    unsigned sector_;
};

struct Region {
    std::uint64_t offset, length;
};

struct GptPlaces {
    std::uint64_t entries, backup;  // LBA
    std::uint64_t entry_bytes;
};

// Where a primary GPT says its parts are; read_layout has checked its CRCs.
Result<std::optional<GptPlaces>> gpt_places(BlockDevice& disk) {
    Bytes sector(disk.sector_size());
    TRY(disk.read(disk.sector_size(), sector));
    ByteReader in(sector);
    if (in.text(8) != "EFI PART") return std::optional<GptPlaces>();
    GptPlaces places{};
    in.seek(32);
    places.backup = in.le64();
    in.seek(72);
    places.entries = in.le64();
    places.entry_bytes = std::uint64_t{in.le32()} * in.le32();
    // All of it is read into memory; real tables have 16 KiB behind sector 2.
    constexpr std::uint64_t kMost = 16 * kMiB;
    if (places.entry_bytes == 0 || places.entry_bytes > kMost || places.entries > kMost / disk.sector_size())
        return std::optional<GptPlaces>();
    return std::optional(places);
}

// The sectors of the disk that may change, in the order in which they are written: the backup of a GPT before its
// primary, which names it.
Result<std::vector<Region>> regions_of(BlockDevice& disk, const DiskLayout& layout) {
    std::vector<Region> out;
    const std::uint64_t sector = disk.sector_size();
    auto add = [&](std::uint64_t offset, std::uint64_t length) {
        if (offset < disk.size()) out.push_back({offset, std::min(length, disk.size() - offset)});
    };
    if (layout.table == TableKind::Gpt) {
        auto places = TRY(gpt_places(disk));
        if (!places) return make_error(errors::kTable, "the primary GPT is damaged: it is not changed");
        auto tail = (places->entry_bytes + sector - 1) / sector * sector + sector;
        add(disk.size() - std::min(disk.size(), tail), tail);
        auto old_end = places->backup < disk.size() / sector ? (places->backup + 1) * sector : disk.size();
        add(old_end - std::min(old_end, tail), tail);
        add(0, std::max(kMiB, (places->entries * sector + places->entry_bytes + sector - 1) / sector * sector));
        return out;
    }
    for (auto at : layout.boot_records) add(at, sector);
    add(0, sector);
    return out;
}

Status copy_regions(BlockDevice& from, BlockDevice& to, const std::vector<Region>& regions) {
    for (const auto& r : regions) {
        Bytes bytes(r.length);
        TRY(from.read(r.offset, bytes));
        TRY(to.write(r.offset, bytes));
    }
    return {};
}

// Sector by sector, those that differ.
Status write_changes(BlockDevice& from, BlockDevice& to, const std::vector<Region>& regions) {
    for (const auto& r : regions) {
        Bytes want(r.length), have(r.length);
        TRY(from.read(r.offset, want));
        TRY(to.read(r.offset, have));
        for (std::size_t at = 0; at < want.size(); at += to.sector_size()) {
            auto length = std::min<std::size_t>(to.sector_size(), want.size() - at);
            auto piece = ByteView(want).subspan(at, length);
            if (!std::equal(piece.begin(), piece.end(), have.begin() + static_cast<std::ptrdiff_t>(at)))
                TRY(to.write(r.offset + at, piece));
        }
        TRY(to.flush());
    }
    return {};
}

struct Range {
    PedSector start, end;
};

// The partition and the free space right behind it, down to a whole MiB.
std::optional<Range> with_space_behind(const PedDevice* device, const PedPartition* part) {
    const bool msdos = std::string_view(part->disk->type->name) == "msdos";
    const bool logical = part->type & PED_PARTITION_LOGICAL;
    auto end = logical ? ped_disk_extended_partition(part->disk)->geom.end : device->length - 1;
    for (const auto* next = part->next; next; next = next->next) {
        // Metadata is a boot record before a logical partition or the backup GPT; at the end of an MBR disk it is
        // only what is left of a cylinder.
        bool stop = next->num > 0 || ((next->type & PED_PARTITION_METADATA) && (!msdos || logical));
        if (!stop) continue;
        end = next->geom.start - 1;
        break;
    }
    if (msdos) end = std::min(end, part->geom.start + static_cast<PedSector>(kMaxMbrSectors) - 1);
    auto alignment = static_cast<PedSector>(kMiB / static_cast<std::uint64_t>(device->sector_size));
    end = (end + 1) / alignment * alignment - 1;
    if (end <= part->geom.end) return std::nullopt;
    return Range{part->geom.start, end};
}

Status set_range(PedDisk* disk, PedPartition* part, const Range& range) {
    Geometry geometry(ped_geometry_new(disk->dev, range.start, range.end - range.start + 1));
    Constraint exact(geometry ? ped_constraint_exact(geometry.get()) : nullptr);
    if (!exact || !ped_disk_set_partition_geom(disk, part, exact.get(), range.start, range.end))
        return make_error(errors::kTable, "growing partition {}: {}", part->num, PartedSession::message());
    return {};
}

Status grow_partition(PedDisk* disk, unsigned number) {
    auto* part = ped_disk_get_partition(disk, static_cast<int>(number));
    if (!part) return make_error(errors::kNoPartition, "the table has no partition {}", number);
    if (part->type & PED_PARTITION_EXTENDED)
        return make_error(errors::kNoPartition, "partition {} is a container: name the partition inside it", number);
    if (part->type & PED_PARTITION_LOGICAL) {
        // The container first; it may have space inside already.
        auto* container = ped_disk_extended_partition(disk);
        if (auto range = with_space_behind(disk->dev, container)) TRY(set_range(disk, container, *range));
        part = ped_disk_get_partition(disk, static_cast<int>(number));
    }
    auto range = with_space_behind(disk->dev, part);
    if (!range)
        return make_error(errors::kNoRoom, "there is no free MiB right behind partition {}, which ends at byte {}",
                          number, (part->geom.end + 1) * disk->dev->sector_size);
    return set_range(disk, part, *range);
}

Status edit(const std::string& path, unsigned sector_size, unsigned grow) {
    PartedSession session;
    PartedDevice device(ped_device_get(path.c_str()));
    if (!device) return make_error(errors::kTable, "{}", PartedSession::message());
    device->length = device->length * device->sector_size / sector_size;
    device->sector_size = device->phys_sector_size = sector_size;
    PartedDisk disk(ped_disk_new(device.get()));
    if (!disk) return make_error(errors::kTable, "reading the table: {}", PartedSession::message());
    if (grow) TRY(grow_partition(disk.get(), grow));
    if (!ped_disk_commit_to_dev(disk.get()))
        return make_error(errors::kTable, "writing the table: {}", PartedSession::message());
    return {};
}

bool is_hybrid(ByteView mbr) {
    for (std::size_t i = 0; i < 4; ++i) {
        auto type = std::to_integer<std::uint8_t>(mbr[kMbrRecords + i * kMbrRecordBytes + 4]);
        if (type != 0 && type != kTypeProtective) return true;
    }
    return false;
}

// The hybrid record of a partition that has grown gets its new length.
void follow_in_hybrid(Bytes& mbr, const Partition& grown, unsigned sector) {
    for (std::size_t i = 0; i < 4; ++i) {
        auto at = kMbrRecords + i * kMbrRecordBytes;
        ByteReader record(ByteView(mbr).subspan(at, kMbrRecordBytes));
        record.skip(4);
        auto type = record.u8();
        record.skip(3);
        if (type == kTypeProtective || std::uint64_t{record.le32()} * sector != grown.offset) continue;
        ByteWriter count;
        count.le32(static_cast<std::uint32_t>(std::min<std::uint64_t>(grown.length / sector, kMaxMbrSectors)));
        std::copy(count.view().begin(), count.view().end(), mbr.begin() + static_cast<std::ptrdiff_t>(at + 12));
    }
}

// libparted makes a fresh disk id where there was none, and a plain protective MBR of a hybrid one.
Status keep_first_sector(BlockDevice& copy, ByteView before, const DiskLayout& layout, const FitReport& report) {
    Bytes now(before.size());
    TRY(copy.read(0, now));
    if (layout.table == TableKind::Gpt && is_hybrid(before)) {
        std::copy(before.begin(), before.end(), now.begin());
        if (report.grown) follow_in_hybrid(now, *report.grown, copy.sector_size());
    }
    std::copy_n(before.begin() + kMbrDiskId, kMbrDiskIdBytes, now.begin() + kMbrDiskId);
    return copy.write(0, now);
}

// What libparted made differs from what was there in the grown partition's length alone.
Result<std::optional<Partition>> check_changes(const DiskLayout& before, const DiskLayout& after, unsigned grow) {
    bool same = before.table == after.table && before.gpt_id == after.gpt_id &&
                before.partitions.size() == after.partitions.size() && after.notes.empty();
    std::optional<Partition> grown;
    for (std::size_t i = 0; same && i < before.partitions.size(); ++i) {
        const auto &a = before.partitions[i], &b = after.partitions[i];
        same = a.index == b.index && a.offset == b.offset && a.mbr_type == b.mbr_type && a.type == b.type &&
               a.id == b.id && a.name == b.name && a.active == b.active &&
               (a.index == grow ? b.length > a.length : a.length == b.length);
        if (a.index == grow) grown = b;
        for (auto at : after.boot_records) same = same && (at < b.offset || at >= b.offset + b.length);
    }
    if (!same)
        return make_error(errors::kTable, "libparted would change more than the size of the table: it is not changed");
    return grown;
}

}  // namespace

Result<FitReport> fit_table(BlockDevice& disk, unsigned grow) {
    FitReport report;
    auto before = TRY(read_layout(disk));
    if (grow != 0 && before.table == TableKind::None)
        return make_error(errors::kNoPartition, "the disk has no partition table");
    if (before.table != TableKind::Gpt && grow == 0) return report;
    auto regions = TRY(regions_of(disk, before));
    auto places = before.table == TableKind::Gpt ? TRY(gpt_places(disk)) : std::nullopt;
    report.backup_moved = places && places->backup + 1 < disk.size() / disk.sector_size();
    if (!report.backup_moved && grow == 0) return report;

    auto directory = TRY(TempDir::create("table"));
    auto path = directory / "table.img";
    auto file = TRY(FileDisk::create(path, disk.size() / disk.sector_size() * disk.sector_size()));
    SectorLayer copy(*file, disk.sector_size());
    TRY(copy_regions(disk, copy, regions));
    // What lies at the end of the disk is no part of the table yet.
    if (report.backup_moved) {
        Bytes zeros(regions.front().length);
        auto old_end = (places->backup + 1) * disk.sector_size();
        auto start = std::max(regions.front().offset, old_end);
        if (auto end = regions.front().offset + regions.front().length; start < end)
            TRY(copy.write(start, ByteView(zeros).first(end - start)));
    }
    Bytes first(disk.sector_size());
    TRY(disk.read(0, first));
    TRY(edit(path.string(), disk.sector_size(), grow));
    auto after = TRY(read_layout(copy));
    report.grown = TRY(check_changes(before, after, grow));
    for (const auto& p : before.partitions)
        if (p.index == grow) report.grown_from = p.length;
    if (before.table == TableKind::Gpt && is_hybrid(first)) report.notes.emplace_back("the hybrid MBR is kept");
    TRY(keep_first_sector(copy, first, before, report));
    // libparted may move the boot record of a logical partition within the gap before it.
    for (auto at : after.boot_records) regions.insert(regions.begin(), {at, disk.sector_size()});
    TRY(write_changes(copy, disk, regions));
    return report;
}

}  // namespace slipway::disks
