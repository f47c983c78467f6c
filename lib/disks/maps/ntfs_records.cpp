// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/ntfs_records.hpp"

#include <algorithm>
#include <bit>

#include "lib/disks/errors.hpp"

namespace slipway::disks::ntfs {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t kStride = 512;                       // of update sequences, whatever the sector
constexpr std::uint64_t kMaxVcn = std::uint64_t{1} << 42;  // so that bytes fit in 63 bits with every cluster size
constexpr std::uint16_t kRecordInUse = 1, kRecordDirectory = 2;
constexpr std::uint16_t kIndexEntryLast = 2;
constexpr std::uint16_t kNoClient = 0xffff, kRestartClean = 2;

// Sectors a cluster: up to 128 as they are, above as a negative power of two.
std::uint64_t cluster_sectors(std::uint8_t value) {
    if (value <= 0x80) return value;
    unsigned shift = 256u - value;
    return shift <= 12 ? std::uint64_t{1} << shift : 0;
}

// Clusters a record: positive as they are, negative a power of two of bytes.
std::uint64_t record_size(std::uint8_t value, std::uint32_t cluster_bytes) {
    if (value < 0x80) return std::uint64_t{value} * cluster_bytes;
    unsigned shift = 256u - value;
    return shift < 32 ? std::uint64_t{1} << shift : 0;
}

std::string check_boot(Boot& boot, ByteReader reader) {
    boot.sector_bytes = reader.le16();
    auto sectors_a_cluster = cluster_sectors(reader.u8());
    bool fat_fields = false;  // of a BIOS parameter block, all zero in NTFS
    for (int i = 0; i < 7; ++i) fat_fields = reader.u8() != 0 || fat_fields;
    reader.seek(0x28);
    auto sectors = reader.le64();
    boot.mft_cluster = reader.le64();
    boot.mirror_cluster = reader.le64();
    auto a_record = reader.u8();
    if (!std::has_single_bit(boot.sector_bytes) || boot.sector_bytes < 512 || boot.sector_bytes > 4096)
        return "an impossible sector size";
    auto cluster_bytes = sectors_a_cluster * boot.sector_bytes;
    if (!std::has_single_bit(cluster_bytes) || cluster_bytes > kMaxClusterBytes) return "an impossible cluster size";
    boot.cluster_bytes = static_cast<std::uint32_t>(cluster_bytes);
    auto record_bytes = record_size(a_record, boot.cluster_bytes);
    if (!std::has_single_bit(record_bytes) || record_bytes < kStride || record_bytes > kMaxRecordBytes)
        return "an impossible file record size";
    boot.record_bytes = static_cast<std::uint32_t>(record_bytes);
    if (fat_fields) return "its boot sector has FAT values as well";
    boot.clusters = sectors / sectors_a_cluster;
    if (boot.clusters == 0 || boot.clusters > std::uint64_t{1} << 48) return "an impossible number of clusters";
    if (boot.mft_cluster >= boot.clusters || boot.mirror_cluster >= boot.clusters)
        return "the file table lies outside the volume";
    return {};
}

Result<Attribute> parse_attribute(ByteView bytes, std::uint64_t record) {
    auto bad = [&] { return make_error(errors::kFilesystem, "file record {} has a malformed attribute", record); };
    ByteReader reader(bytes);
    Attribute a;
    a.type = reader.le32();
    reader.skip(4);
    a.resident = reader.u8() == 0;
    std::size_t name_units = reader.u8();
    std::size_t name_at = reader.le16();
    a.flags = reader.le16();
    reader.skip(2);
    if (a.resident) {
        std::size_t length = reader.le32(), at = reader.le16();
        reader.seek(at);
        a.value = reader.take(length);
    } else {
        a.first_vcn = reader.le64();
        a.last_vcn = reader.le64();
        std::size_t runs_at = reader.le16();
        reader.skip(6 + 8);  // compression unit, allocated size
        a.data_bytes = reader.le64();
        a.initialized_bytes = reader.le64();
        if (reader.failed() || runs_at < 0x40 || runs_at > bytes.size()) return bad();
        a.runs = bytes.subspan(runs_at);
    }
    if (name_units != 0) {
        reader.seek(name_at);
        a.name = reader.take(name_units * 2);
    }
    if (reader.failed()) return bad();
    return a;
}

// A number of 0 to 8 bytes, little-endian.
std::uint64_t number(ByteView bytes, bool is_signed) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << 8 * i;
    bool negative = is_signed && !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
    if (negative && bytes.size() < 8) value |= ~std::uint64_t{0} << 8 * bytes.size();
    return value;
}

}  // namespace

std::optional<Boot> parse_boot(ByteView head) {
    if (head.size() < 512 || as_text(head.subspan(3, 8)) != "NTFS    "sv) return std::nullopt;
    Boot boot;
    ByteReader reader(head);
    reader.seek(0x48);
    boot.serial = reader.le64();
    reader.seek(0x0b);
    boot.flaw = check_boot(boot, reader);
    return boot;
}

Status unprotect(std::span<std::byte> block, std::string_view magic) {
    auto bad = [&](std::string_view what) { return make_error(errors::kFilesystem, "a {} block {}", magic, what); };
    ByteReader reader(block);
    if (reader.text(4) != magic) return bad("has no signature");
    std::size_t at = reader.le16(), count = reader.le16();
    if (block.size() % kStride != 0 || count != block.size() / kStride + 1 || at < 8 || at % 2 != 0 ||
        at + count * 2 > kStride - 2)
        return bad("has an impossible update sequence");
    for (std::size_t i = 1; i < count; ++i) {
        auto end = block.subspan(i * kStride - 2, 2);
        if (end[0] != block[at] || end[1] != block[at + 1]) return bad("was written only in part");
        end[0] = block[at + 2 * i];
        end[1] = block[at + 2 * i + 1];
    }
    return {};
}

bool name_is(ByteView utf16, std::string_view ascii) {
    if (utf16.size() != ascii.size() * 2) return false;
    auto lower = [](unsigned c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    for (std::size_t i = 0; i < ascii.size(); ++i) {
        auto unit = std::to_integer<unsigned>(utf16[2 * i]) | std::to_integer<unsigned>(utf16[2 * i + 1]) << 8;
        if (lower(unit) != lower(static_cast<unsigned char>(ascii[i]))) return false;
    }
    return true;
}

bool Attribute::named(std::string_view ascii) const { return name_is(name, ascii); }
bool ListEntry::named(std::string_view ascii) const { return name_is(name, ascii); }

const Attribute* FileRecord::find(std::uint32_t type, std::string_view name) const {
    auto found = std::find_if(attributes.begin(), attributes.end(),
                              [&](const Attribute& a) { return a.type == type && a.named(name); });
    return found == attributes.end() ? nullptr : &*found;
}

Result<FileRecord> parse_record(Bytes bytes, std::uint64_t number) {
    TRY_WITH(unprotect(bytes, "FILE"), fmt::format("file record {}", number));
    FileRecord record;
    record.number = number;
    record.bytes = std::move(bytes);
    ByteReader reader(record.bytes);
    reader.seek(0x10);
    record.sequence = reader.le16();
    reader.skip(2);
    std::size_t at = reader.le16();
    auto flags = reader.le16();
    record.in_use = flags & kRecordInUse;
    record.directory = flags & kRecordDirectory;
    record.bytes_in_use = reader.le32();
    reader.skip(4);
    record.base = reader.le64();
    auto bad = [&](std::string_view what) {
        return make_error(errors::kFilesystem, "file record {} {}", number, what);
    };
    if (record.bytes_in_use > record.bytes.size()) return bad("is longer than it can be");
    auto used = ByteView(record.bytes).first(record.bytes_in_use);
    while (true) {
        ByteReader head(used);
        head.seek(at);
        auto type = head.le32();
        if (head.failed()) return bad("has no end");
        if (type == kEndOfAttributes) return record;
        std::size_t length = head.le32();
        if (head.failed() || length < 0x18 || length > used.size() - at) return bad("has a malformed attribute");
        record.attributes.push_back(TRY(parse_attribute(used.subspan(at, length), number)));
        at += length;
    }
}

Status RunList::append(const Attribute& attribute, std::uint64_t clusters) {
    auto bad = [](std::string_view what) { return make_error(errors::kFilesystem, "a run list {}", what); };
    auto vcn = end();
    if (attribute.first_vcn != vcn) return bad("does not go on where it stopped");
    if (attribute.last_vcn + 1 > kMaxVcn) return bad("is impossibly long");
    std::uint64_t cluster = 0;
    ByteReader reader(attribute.runs);
    while (true) {
        auto header = reader.u8();
        if (header == 0) break;
        std::size_t count_bytes = header & 15, cluster_bytes = header >> 4;
        if (count_bytes == 0 || count_bytes > 8 || cluster_bytes > 8) return bad("is malformed");
        auto count = number(reader.take(count_bytes), false);
        auto step = reader.take(cluster_bytes);
        if (reader.failed()) return bad("is cut");
        if (count == 0 || count > clusters || vcn > attribute.last_vcn || count > attribute.last_vcn - vcn + 1)
            return bad("is longer than its attribute");
        Run run{vcn, count, kHole};
        if (cluster_bytes != 0) {
            cluster += number(step, true);  // modulo 2^64
            if (cluster >= clusters || count > clusters - cluster) return bad("leaves the volume");
            run.cluster = cluster;
        }
        if (runs_.size() == kMaxRuns) return bad("is too long");
        runs_.push_back(run);
        vcn += count;
    }
    if (reader.failed()) return bad("has no end");
    if (vcn != attribute.last_vcn + 1) return bad("is shorter than its attribute");
    return {};
}

const Run* RunList::find(std::uint64_t vcn) const {
    auto after = std::upper_bound(runs_.begin(), runs_.end(), vcn,
                                  [](std::uint64_t value, const Run& run) { return value < run.vcn; });
    if (after == runs_.begin()) return nullptr;
    const auto& run = *std::prev(after);
    return vcn - run.vcn < run.count ? &run : nullptr;
}

Result<std::vector<ListEntry>> parse_attribute_list(ByteView list) {
    constexpr std::size_t kFixed = 0x1a;
    std::vector<ListEntry> entries;
    while (!list.empty()) {
        ByteReader reader(list);
        ListEntry entry;
        entry.type = reader.le32();
        std::size_t length = reader.le16(), name_units = reader.u8(), name_at = reader.u8();
        entry.first_vcn = reader.le64();
        entry.record = reader.le64();
        if (reader.failed() || length < kFixed || length > list.size() || name_at + name_units * 2 > length)
            return make_error(errors::kFilesystem, "an attribute list is malformed");
        entry.name = list.subspan(name_at, name_units * 2);
        entries.push_back(entry);
        list = list.subspan(length);
    }
    return entries;
}

Result<std::vector<IndexEntry>> parse_index(ByteView header) {
    constexpr std::size_t kFixed = 0x10, kNameUnits = 0x40, kName = 0x42;  // the latter two in the key ($FILE_NAME)
    auto bad = [] { return make_error(errors::kFilesystem, "a directory's index is malformed"); };
    ByteReader reader(header);
    std::size_t at = reader.le32(), end = reader.le32();
    if (reader.failed() || at < kFixed || end > header.size()) return bad();
    std::vector<IndexEntry> entries;
    while (true) {
        if (at > end || end - at < kFixed) return bad();
        ByteReader entry(header.subspan(at, end - at));
        IndexEntry found;
        found.record = entry.le64();
        std::size_t length = entry.le16(), key = entry.le16();
        if (entry.le16() & kIndexEntryLast) return entries;
        if (length < kFixed || length > end - at || key < kName || key > length - kFixed) return bad();
        entry.seek(kFixed + kNameUnits);
        std::size_t units = entry.u8();
        if (kName + units * 2 > key) return bad();
        entry.seek(kFixed + kName);
        found.name = entry.take(units * 2);
        entries.push_back(found);
        at += length;
    }
}

std::optional<RestartPage> parse_restart_page(ByteView page) {
    constexpr std::size_t kFixed = 0x30;
    ByteReader reader(page);
    auto magic = reader.text(4);
    if (magic != "RSTR"sv && magic != "CHKD"sv) return std::nullopt;
    reader.seek(0x10);
    std::size_t page_bytes = reader.le32();
    if (!std::has_single_bit(page_bytes) || page_bytes < kStride || page_bytes > page.size()) return std::nullopt;
    Bytes sound(page.begin(), page.begin() + static_cast<std::ptrdiff_t>(page_bytes));
    if (!unprotect(sound, magic).ok()) return std::nullopt;
    ByteReader head(sound);
    head.seek(0x18);
    std::size_t area = head.le16();
    head.skip(2);
    RestartPage restart;
    restart.major = head.le16();
    if (area < 0x1e || area % 8 != 0 || area + kFixed > sound.size()) return std::nullopt;
    head.seek(area);
    restart.lsn = head.le64();
    head.skip(4);
    auto in_use = head.le16(), flags = head.le16();
    restart.clean = in_use == kNoClient || flags & kRestartClean;
    return restart;
}

}  // namespace slipway::disks::ntfs
