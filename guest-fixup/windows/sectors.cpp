// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/sectors.hpp"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/ntfs_boot_sector.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::fixup::windows {

namespace {

namespace json = boost::json;

constexpr std::size_t kSector = 512, kMostText = 512;

std::string hex_of(ByteView bytes) {
    std::string out;
    for (auto byte : bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return out;
}

std::optional<Bytes> sector_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    const auto* text = value ? value->if_string() : nullptr;
    if (!text || text->size() != 2 * kSector) return std::nullopt;
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    Bytes out(kSector);
    for (std::size_t i = 0; i < kSector; ++i) {
        const int high = digit((*text)[2 * i]), low = digit((*text)[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out[i] = static_cast<std::byte>(high * 16 + low);
    }
    return out;
}

std::optional<SectorEdit> edit_of(const json::value& value) {
    const auto* object = value.if_object();
    if (!object) return std::nullopt;
    const auto *offset = object->if_contains("offset"), *what = object->if_contains("what");
    auto before = sector_of(*object, "before"), after = sector_of(*object, "after");
    if (!offset || !what || !what->is_string() || !before || !after) return std::nullopt;
    boost::system::error_code bad;
    const auto number = offset->to_number<std::uint64_t>(bad);
    if (bad || what->as_string().size() > kMostText) return std::nullopt;
    SectorEdit edit{number, std::string(what->as_string().c_str(), what->as_string().size()), *std::move(before),
                    *std::move(after)};
    if (const auto* run = object->if_contains("run")) edit.run = run->to_number<std::uint64_t>(bad);
    if (bad) return std::nullopt;
    return edit;
}

Result<Bytes> read_sector(disks::BlockDevice& disk, std::uint64_t offset) {
    Bytes out(kSector);
    TRY(disk.read(offset, out));
    return out;
}

bool may_be_meant(const DiskPlace& place, std::uint64_t offset) {
    return offset == 0 || std::any_of(place.layout.partitions.begin(), place.layout.partitions.end(),
                                      [&](const auto& p) { return p.offset == offset; });
}

std::string shown(const BootGeometry& geometry) {
    return fmt::format("{} heads, {} sectors, {} hidden", geometry.heads, geometry.sectors, geometry.hidden);
}

// Two wishes for one sector are one edit.
void add(std::vector<SectorEdit>& edits, SectorEdit edit) {
    for (auto& known : edits)
        if (known.offset == edit.offset) {
            if (known.what.size() + edit.what.size() < kMostText) known.what += "; " + edit.what;
            known.after = std::move(edit.after);
            known.run = edit.run;
            return;
        }
    edits.push_back(std::move(edit));
}

Status plan_boot_sector(disks::BlockDevice& disk, const DiskPlace& place, const disks::Partition& partition,
                        bool geometry, std::vector<SectorEdit>& edits) {
    const auto sector = TRY(read_sector(disk, partition.offset));
    const auto old = read_boot_geometry(sector);
    if (!old) return {};
    auto wanted = *old;
    wanted.hidden = static_cast<std::uint32_t>(partition.offset / kSector);
    if (geometry) {
        const auto bios = bios_geometry(place.disk_size);
        wanted.heads = bios.heads;
        wanted.sectors = bios.sectors;
    }
    if (wanted == *old || partition.offset / kSector > 0xffffffff) return {};
    add(edits, {partition.offset,
                fmt::format("boot sector of partition {}: {}; was {}", partition.index, shown(wanted), shown(*old)),
                sector, with_boot_geometry(sector, wanted)});
    return {};
}

// Without the edits of a sector before the last one that met what no earlier one had made of it: what others wrote
// meanwhile, such as one more partition, is not lost.
std::vector<SectorEdit> behind_others(const std::vector<SectorEdit>& edits) {
    std::vector<SectorEdit> out;
    for (const auto& edit : edits) {
        const auto here = [&](const SectorEdit& known) { return known.offset == edit.offset; };
        const auto led_here = [&](const SectorEdit& known) {
            return here(known) && (edit.before == known.before || edit.before == known.after);
        };
        if (std::none_of(out.begin(), out.end(), led_here)) std::erase_if(out, here);
        out.push_back(edit);
    }
    return out;
}

// What all of them did to one sector.
struct SectorHistory {
    SectorEdit whole;  // from the first before to the last after
    Bytes now;
    bool others = false;  // had changed it before that
};

// In the order of their first edits; errors::kChangedSince when one is nothing that they made of it.
Result<std::vector<SectorHistory>> look_at_all(disks::BlockDevice& disk, const DiskPlace& place,
                                               const std::vector<SectorEdit>& all) {
    const auto edits = behind_others(all);
    std::vector<SectorHistory> out;
    std::vector<SectorEdit> whole;
    for (const auto& edit : edits) add(whole, edit);
    for (auto& sector : whole) {
        const auto offset = sector.offset;
        if (!may_be_meant(place, offset))
            return make_error(errors::kJournal, "sectors.json names the sector at {}, where no partition begins",
                              offset);
        auto now = TRY(read_sector(disk, offset));
        if (std::none_of(edits.begin(), edits.end(), [&](const auto& edit) {
                return edit.offset == offset && (now == edit.before || now == edit.after);
            }))
            return make_error(errors::kChangedSince, "the {} at byte {} of the disk",
                              offset == 0 ? "partition table" : "boot sector", offset);
        const auto of_it = [&](const auto& edit) { return edit.offset == offset; };
        out.push_back(
            {std::move(sector), std::move(now),
             std::count_if(all.begin(), all.end(), of_it) != std::count_if(edits.begin(), edits.end(), of_it)});
    }
    return out;
}

}  // namespace

std::string to_json(const std::vector<SectorEdit>& edits) {
    json::array sectors;
    for (const auto& edit : edits)
        sectors.push_back({{"offset", edit.offset},
                           {"what", edit.what},
                           {"before", hex_of(edit.before)},
                           {"after", hex_of(edit.after)},
                           {"run", edit.run}});
    return json::serialize(json::object{{"sectors", std::move(sectors)}}) + "\n";
}

Result<std::vector<SectorEdit>> parse_sectors(std::string_view text) {
    const auto damaged = [] { return make_error(errors::kJournal, "sectors.json is damaged"); };
    json::parse_options options;
    options.max_depth = 4;
    options.allow_invalid_utf8 = true;
    boost::system::error_code bad;
    const auto value = json::parse(text.substr(0, 1u << 20), bad, {}, options);
    const auto* object = bad ? nullptr : value.if_object();
    const auto* sectors = object ? object->if_contains("sectors") : nullptr;
    if (!sectors || !sectors->is_array() || sectors->as_array().size() > kMostSectors) return damaged();
    std::vector<SectorEdit> edits;
    for (const auto& item : sectors->as_array()) {
        auto edit = edit_of(item);
        if (!edit) return damaged();
        edits.push_back(*std::move(edit));
    }
    return edits;
}

std::vector<SectorEdit> joined(const std::vector<SectorEdit>& finished, const std::vector<SectorEdit>& later) {
    std::vector<SectorEdit> out;
    for (const auto& edit : behind_others(finished)) add(out, edit);
    out.insert(out.end(), later.begin(), later.end());
    return out;
}

std::vector<SectorEdit> edits_since(std::vector<SectorEdit> edits, std::uint64_t run) {
    std::erase_if(edits, [run](const auto& edit) { return edit.run < run; });
    return edits;
}

Result<std::vector<SectorEdit>> plan_sectors(disks::BlockDevice& disk, const DiskPlace& place,
                                             const SectorWishes& wishes) {
    std::vector<SectorEdit> edits;
    if (place.layout.table != disks::TableKind::Mbr || place.sector_size != kSector) return edits;
    const auto mbr = TRY(read_sector(disk, 0));
    if (wishes.lost_signature != 0 && disk_signature(mbr) == 0)
        add(edits, {0, fmt::format("partition table: the disk's signature {:08x} again", wishes.lost_signature), mbr,
                    with_disk_signature(mbr, wishes.lost_signature)});
    if (wishes.geometry) {
        const auto bios = bios_geometry(place.disk_size);
        const auto now = edits.empty() ? mbr : edits.front().after;
        if (auto fitted = fit_partition_table(now, bios))
            add(edits, {0,
                        fmt::format("partition table: cylinders of {} heads and {} sectors, as the BIOS counts",
                                    bios.heads, bios.sectors),
                        mbr, *std::move(fitted)});
    }
    for (const auto index : std::set{place.boot_partition, place.windows_partition}) {
        const auto* partition = place.partition(index);
        // A logical partition counts from its own boot record, or from the disk: nobody starts from there by it.
        if (!partition || partition->index > 4) continue;
        TRY(plan_boot_sector(disk, place, *partition, wishes.geometry, edits));
    }
    return edits;
}

Status write_sectors(disks::BlockDevice& disk, const DiskPlace& place, const std::vector<SectorEdit>& edits) {
    for (const auto& [edit, now, others] : TRY(look_at_all(disk, place, edits)))
        if (now != edit.after) TRY(disk.write(edit.offset, edit.after));
    return edits.empty() ? Status() : disk.flush();
}

Result<std::vector<Change>> take_back_sectors(disks::BlockDevice& disk, const DiskPlace& place,
                                              const std::vector<SectorEdit>& edits, bool dry_run) {
    std::vector<Change> done;
    auto sectors = TRY(look_at_all(disk, place, edits));
    std::reverse(sectors.begin(), sectors.end());
    for (const auto& [edit, now, others] : sectors) {
        if (now == edit.before) continue;
        if (!dry_run) TRY(disk.write(edit.offset, edit.before));
        auto change = change_of(edit);
        if (others) change.what += " (no further back: others had changed the sector before that)";
        done.push_back({"undo: " + change.what, change.where, change.after, change.before});
    }
    if (!done.empty() && !dry_run) TRY(disk.flush());
    return done;
}

Change change_of(const SectorEdit& edit) {
    const auto digest = [](ByteView bytes) { return fmt::format("sha256:{} {}", sha256(bytes).text(), bytes.size()); };
    return {edit.what, fmt::format("disk: sector {}", edit.offset / kSector), digest(edit.before), digest(edit.after)};
}

}  // namespace slipway::fixup::windows
