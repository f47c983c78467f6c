// SPDX-License-Identifier: GPL-3.0-or-later
// NTFS on-disk structures as values: boot sector, update sequences, file records, attributes, runs, index entries, log
// restart pages. Pure functions of bytes. Layout: linux-ntfs "NTFS Documentation", Linux fs/ntfs3/ntfs.h.
// What is malformed is an errors::kFilesystem that says where.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::disks::ntfs {

// File records with a fixed number.
inline constexpr std::uint64_t kMft = 0, kMftMirror = 1, kLogFile = 2, kVolume = 3, kRoot = 5, kBitmap = 6, kBoot = 7,
                               kBadClusters = 8;

enum AttributeType : std::uint32_t {
    kAttributeList = 0x20,
    kVolumeName = 0x60,
    kVolumeInformation = 0x70,
    kData = 0x80,
    kIndexRoot = 0x90,
    kIndexAllocation = 0xa0,
    kBitmapAttribute = 0xb0,
    kEndOfAttributes = 0xffffffff,
};

inline constexpr std::uint32_t kMaxClusterBytes = 2u << 20;
inline constexpr std::uint32_t kMaxRecordBytes = 4096;
// Of one stream, over all its file records: 6 MiB. System files and page files stay far below.
inline constexpr std::size_t kMaxRuns = 1u << 18;

struct Boot {
    std::uint32_t sector_bytes = 0;   // 512..4096
    std::uint32_t cluster_bytes = 0;  // 512..2 MiB
    std::uint32_t record_bytes = 0;   // 512..4096
    std::uint64_t clusters = 0;
    std::uint64_t mft_cluster = 0, mirror_cluster = 0;
    std::uint64_t serial = 0;
    std::string flaw;  // not empty: an impossible value; nothing above may be used but the serial
};

// head: the first 512 bytes or more. nullopt: not NTFS by its signature.
std::optional<Boot> parse_boot(ByteView head);

// Checks the magic and puts back the last two bytes of each 512-byte stride (update sequence array).
Status unprotect(std::span<std::byte> block, std::string_view magic);

struct Attribute {
    std::uint32_t type = 0;
    ByteView name;  // UTF-16LE
    bool resident = true;
    std::uint16_t flags = 0;  // kCompressed, …
    ByteView value;           // resident
    // Not resident. The sizes count only where first_vcn is 0.
    std::uint64_t first_vcn = 0, last_vcn = 0;
    std::uint64_t data_bytes = 0, initialized_bytes = 0;
    ByteView runs;  // encoded

    bool named(std::string_view ascii) const;
};

inline constexpr std::uint16_t kCompressed = 0x00ff, kEncrypted = 0x4000, kSparse = 0x8000;

// Owns its bytes; attributes point into them.
struct FileRecord {
    FileRecord() = default;
    FileRecord(FileRecord&&) = default;
    FileRecord& operator=(FileRecord&&) = default;

    std::uint64_t number = 0;
    std::uint16_t sequence = 0;
    bool in_use = false, directory = false;
    std::uint64_t base = 0;  // reference of the base record; 0: this is one
    std::uint32_t bytes_in_use = 0;
    Bytes bytes;
    std::vector<Attribute> attributes;

    const Attribute* find(std::uint32_t type, std::string_view name) const;
};

inline std::uint64_t number_of(std::uint64_t reference) { return reference & 0xffffffffffff; }
inline std::uint16_t sequence_of(std::uint64_t reference) { return static_cast<std::uint16_t>(reference >> 48); }

Result<FileRecord> parse_record(Bytes bytes, std::uint64_t number);

inline constexpr std::uint64_t kHole = ~std::uint64_t{0};

struct Run {
    std::uint64_t vcn = 0, count = 0;
    std::uint64_t cluster = kHole;  // kHole: sparse, reads as zeros
};

class RunList {
public:
    // Decodes an attribute's mapping pairs, which must go on where the list ends; every cluster lies below `clusters`.
    Status append(const Attribute& attribute, std::uint64_t clusters);
    const Run* find(std::uint64_t vcn) const;
    std::uint64_t end() const { return runs_.empty() ? 0 : runs_.back().vcn + runs_.back().count; }
    const std::vector<Run>& runs() const { return runs_; }

private:
    std::vector<Run> runs_;
};

struct ListEntry {  // of $ATTRIBUTE_LIST
    std::uint32_t type = 0;
    ByteView name;
    std::uint64_t first_vcn = 0;
    std::uint64_t record = 0;  // reference
    bool named(std::string_view ascii) const;
};
Result<std::vector<ListEntry>> parse_attribute_list(ByteView list);

struct IndexEntry {
    std::uint64_t record = 0;  // reference
    ByteView name;             // UTF-16LE
};
// Entries of a directory from an index header on ($INDEX_ROOT at 16, INDX block at 24).
Result<std::vector<IndexEntry>> parse_index(ByteView header);
bool name_is(ByteView utf16, std::string_view ascii);  // any case

// One restart page of $LogFile; nullopt: not a sound one.
struct RestartPage {
    std::uint64_t lsn = 0;
    std::uint16_t major = 0;
    bool clean = false;  // no client in use, or marked clean: no record needs to be played back
};
std::optional<RestartPage> parse_restart_page(ByteView page);

}  // namespace slipway::disks::ntfs
