// SPDX-License-Identifier: GPL-3.0-or-later
// Partition tables, read as hostile bytes: MBR with extended and logical partitions, GPT (UEFI 2.10 §5.3, both
// copies, CRCs), or none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/uuid.hpp"
#include "lib/disks/block.hpp"

namespace slipway::disks {

enum class TableKind { None, Mbr, Gpt };
std::string_view name_of(TableKind kind);  // "none", "mbr", "gpt"

struct Partition {
    unsigned index = 0;         // as Linux numbers it: sda1 is 1, logical ones from 5
    std::uint64_t offset = 0;   // bytes from the start of the disk
    std::uint64_t length = 0;   // bytes
    std::uint8_t mbr_type = 0;  // MBR only
    Uuid type;                  // GPT only
    Uuid id;                    // GPT only
    std::string name;           // GPT only, UTF-8
    bool active = false;        // MBR boot flag, or GPT legacy-BIOS-bootable
};

struct DiskLayout {
    TableKind table = TableKind::None;
    std::uint32_t mbr_signature = 0;  // bytes 0x1b8, little-endian
    Uuid gpt_id;
    std::vector<Partition> partitions;  // by offset; extended containers are not listed
    // They overlap one that is listed, or leave the disk: nobody knows whose the bytes are, so all of them are kept.
    std::vector<Partition> refused;
    std::vector<std::uint64_t> boot_records;  // MBR: where the logical partitions' boot records lie, bytes
    std::uint64_t reach = 0;         // the first byte behind all partitions and boot records, of refused ones too
    std::vector<std::string> notes;  // what was odd: "primary GPT damaged, backup used"
};

// Only a read error of the device is an Error: a damaged table gives TableKind::None and a note, so that the disk is
// still captured sector by sector. Partitions that leave the disk or overlap are refused with a note; the bytes they
// cover are to be captured whole, whatever another volume says of them.
Result<DiskLayout> read_layout(BlockDevice& disk);

}  // namespace slipway::disks
