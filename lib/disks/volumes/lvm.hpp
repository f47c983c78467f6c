// SPDX-License-Identifier: GPL-3.0-or-later
// LVM2 as it lies on physical volumes: label, metadata areas, and what their text says of the volume group.
// Sources: lvm2 lib/format_text/layout.h (label, pv_header, mda_header), man lvmsystemid, `pvck --dump metadata`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/disks/used_map.hpp"
#include "lib/disks/volumes/lvm_text.hpp"

namespace slipway::disks {

struct LvmLabel {
    std::string uuid;           // "LYXQ6v-…": 32 characters, as LVM writes it
    std::uint64_t bytes = 0;    // the device's size when it was made
    std::uint64_t data = 0;     // start of the first data area
    std::vector<Extent> areas;  // of metadata
};
// head: the first 2 KiB or more; the label is in one of the first four sectors. nullopt: no LVM label, or one whose
// CRC does not agree.
std::optional<LvmLabel> parse_lvm_label(ByteView head);
// "LYXQ6v-…" from 32 characters without dashes.
std::string lvm_uuid(std::string_view plain);

struct LvmPhysical {
    std::string name;  // "pv0"
    std::string uuid;
    std::uint64_t start = 0;  // bytes: the first extent
    std::uint64_t extents = 0;
};

struct LvmArea {
    std::string of;            // the name of a physical volume, or of another logical one
    std::uint64_t extent = 0;  // its first
};

struct LvmSegment {
    std::uint64_t start = 0, extents = 0;
    std::string type;                              // "striped", "thin", "thin-pool", "raid1", …
    std::uint64_t stripe = 0;                      // bytes; "striped" over more than one area
    std::vector<LvmArea> areas;                    // of "stripes", "mirrors", "raids": whatever names a place
    std::vector<std::string> uses;                 // every logical volume it names
    std::map<std::string, std::string> texts;      // its other settings: "thin_pool", "metadata", "external_origin"
    std::map<std::string, std::uint64_t> numbers;  // "device_id", "transaction_id", "chunk_size" (in sectors)
};

struct LvmLogical {
    std::string name, uuid;
    bool visible = false;
    std::vector<LvmSegment> segments;  // by start
    std::uint64_t extents() const { return segments.empty() ? 0 : segments.back().start + segments.back().extents; }
};

struct LvmGroup {
    std::string name, uuid;
    std::uint64_t seqno = 0;
    std::uint64_t extent_bytes = 0;
    std::map<std::string, LvmPhysical> physical;  // by name
    std::map<std::string, LvmLogical> logical;    // by name
};

// A group from its text: extents within their volumes, segments without gaps, names that exist.
Result<LvmGroup> parse_lvm_group(std::string_view text);

struct LvmMetadata {
    std::optional<LvmGroup> group;  // none: this volume carries no copy of the text (its area is ignored, or none)
    std::string text;
};
// What the metadata areas of a volume say. errors::kVolumeManager: an area is damaged, or two of them disagree.
Result<LvmMetadata> read_lvm_metadata(BlockDevice& volume, const LvmLabel& label);

}  // namespace slipway::disks
