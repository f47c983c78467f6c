// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/layout.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace slipway::disks {

namespace {

constexpr std::uint8_t kTypeExtended = 0x05, kTypeExtendedLba = 0x0f, kTypeExtendedLinux = 0x85, kTypeProtective = 0xee;
constexpr std::uint64_t kMaxLba = 1ull << 50;  // as bytes it still fits
constexpr unsigned kMaxLogical = 128;          // a chain longer than this is a loop or an attack

bool is_extended(std::uint8_t type) {
    return type == kTypeExtended || type == kTypeExtendedLba || type == kTypeExtendedLinux;
}

struct MbrEntry {
    std::uint8_t status = 0, type = 0;
    std::uint32_t start = 0, count = 0;  // sectors
    bool used() const { return type != 0 && count != 0; }
};

struct BootRecord {
    bool valid = false;
    std::uint32_t signature = 0;
    std::array<MbrEntry, 4> entries;
};

BootRecord parse_boot_record(ByteView sector) {
    BootRecord record;
    ByteReader reader(sector);
    reader.seek(0x1b8);
    record.signature = reader.le32();
    reader.seek(0x1be);
    bool sane = true;
    for (auto& e : record.entries) {
        e.status = reader.u8();
        reader.skip(3);
        e.type = reader.u8();
        reader.skip(3);
        e.start = reader.le32();
        e.count = reader.le32();
        // A FAT or NTFS boot sector has 55 AA too, but text or code where a table has 0 or 80.
        sane = sane && (e.status & 0x7f) == 0;
    }
    record.valid = reader.be16() == 0x55aa && !reader.failed() && sane;
    return record;
}

// CRC-32 (IEEE 802.3, reflected), as GPT uses it.
std::uint32_t crc32(ByteView bytes) {
    std::uint32_t crc = 0xffffffff;
    for (auto b : bytes) {
        crc ^= std::to_integer<std::uint32_t>(b);
        for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
    }
    return ~crc;
}

void append_utf8(std::string& out, std::uint32_t c) {
    if (c < 0x80) out += static_cast<char>(c);
    else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xe0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

// UTF-16LE to UTF-8; surrogates become U+FFFD, which is enough for a partition's name.
std::string utf16_name(ByteView bytes) {
    std::string out;
    ByteReader reader(bytes);
    while (reader.remaining() >= 2) {
        std::uint32_t c = reader.le16();
        if (c == 0) break;
        append_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
    return out;
}

struct GptHeader {
    std::uint64_t backup_lba = 0, entries_lba = 0;
    std::uint32_t entry_count = 0, entry_size = 0, entries_crc = 0;
    Uuid disk_id;
};

std::optional<GptHeader> parse_gpt_header(ByteView sector, std::uint64_t lba) {
    ByteReader reader(sector);
    if (reader.text(8) != "EFI PART") return std::nullopt;
    reader.skip(4);
    auto header_size = reader.le32();
    auto crc = reader.le32();
    if (header_size < 92 || header_size > sector.size()) return std::nullopt;
    Bytes copy(sector.begin(), sector.begin() + header_size);
    std::fill_n(copy.begin() + 16, 4, std::byte{0});
    if (crc32(copy) != crc) return std::nullopt;
    reader.skip(4);
    if (reader.le64() != lba) return std::nullopt;
    GptHeader header;
    header.backup_lba = reader.le64();
    reader.skip(16);
    header.disk_id = Uuid::from_guid(reader.array<16>());
    header.entries_lba = reader.le64();
    header.entry_count = reader.le32();
    header.entry_size = reader.le32();
    header.entries_crc = reader.le32();
    bool sane = header.entry_size >= 128 && header.entry_size <= 4096 && header.entry_count <= 4096;
    return !reader.failed() && sane ? std::optional(header) : std::nullopt;
}

class Reader {
public:
    explicit Reader(BlockDevice& disk) : disk_(disk), sector_(disk.sector_size()) {}

    Result<DiskLayout> read();

private:
    Result<Bytes> sectors(std::uint64_t lba, std::uint64_t count);
    bool inside(std::uint64_t lba, std::uint64_t count) const {
        auto total = disk_.size() / sector_;
        return lba < total && count <= total - lba;
    }
    Status read_mbr(const BootRecord& record);
    Status read_logical(std::uint32_t extended_start);
    void add_mbr(unsigned index, const MbrEntry& entry, std::uint64_t base);
    Result<bool> read_gpt();
    Result<bool> read_gpt_at(std::uint64_t lba);
    void drop_bad_partitions();
    template <typename... Args>
    void note(fmt::format_string<Args...> f, Args&&... args) {
        layout_.notes.push_back(fmt::format(f, std::forward<Args>(args)...));
    }

    BlockDevice& disk_;
    std::uint64_t sector_;
    DiskLayout layout_;
};

Result<Bytes> Reader::sectors(std::uint64_t lba, std::uint64_t count) {
    Bytes out(count * sector_);
    TRY(disk_.read(lba * sector_, out));
    return out;
}

void Reader::add_mbr(unsigned index, const MbrEntry& entry, std::uint64_t base) {
    Partition p;
    p.index = index;
    p.offset = (base + entry.start) * sector_;
    p.length = entry.count * sector_;
    p.mbr_type = entry.type;
    p.active = entry.status == 0x80;
    layout_.partitions.push_back(std::move(p));
}

Status Reader::read_logical(std::uint32_t extended_start) {
    std::uint64_t at = extended_start;
    for (unsigned index = 5; index < 5 + kMaxLogical; ++index) {
        if (!inside(at, 1)) {
            note("the chain of logical partitions leaves the disk at sector {}", at);
            layout_.reach = std::max(layout_.reach, (at + 1) * sector_);
            return {};
        }
        auto record = parse_boot_record(TRY(sectors(at, 1)));
        if (!record.valid) {
            note("the chain of logical partitions is broken at sector {}", at);
            return {};
        }
        layout_.boot_records.push_back(at * sector_);
        if (record.entries[0].used()) add_mbr(index, record.entries[0], at);
        const auto& next = record.entries[1];
        if (!next.used() || !is_extended(next.type)) return {};
        auto next_at = std::uint64_t{extended_start} + next.start;
        if (next_at <= at) {
            note("the chain of logical partitions loops at sector {}", at);
            return {};
        }
        at = next_at;
    }
    note("more than {} logical partitions; the rest is taken as unclaimed space", kMaxLogical);
    return {};
}

Status Reader::read_mbr(const BootRecord& record) {
    layout_.table = TableKind::Mbr;
    for (unsigned i = 0; i < 4; ++i) {
        const auto& entry = record.entries[i];
        if (!entry.used()) continue;
        if (is_extended(entry.type)) TRY(read_logical(entry.start));
        else add_mbr(i + 1, entry, 0);
    }
    return {};
}

Result<bool> Reader::read_gpt_at(std::uint64_t lba) {
    if (!inside(lba, 1)) return false;
    auto header = parse_gpt_header(TRY(sectors(lba, 1)), lba);
    if (!header) return false;
    auto table_bytes = std::uint64_t{header->entry_count} * header->entry_size;
    auto table_sectors = (table_bytes + sector_ - 1) / sector_;
    if (!inside(header->entries_lba, table_sectors)) return false;
    auto table = TRY(sectors(header->entries_lba, table_sectors));
    if (crc32(ByteView(table).first(table_bytes)) != header->entries_crc) return false;
    layout_.table = TableKind::Gpt;
    layout_.gpt_id = header->disk_id;
    for (unsigned i = 0; i < header->entry_count; ++i) {
        ByteReader reader(ByteView(table).subspan(std::size_t{i} * header->entry_size, header->entry_size));
        Partition p;
        p.index = i + 1;
        p.type = Uuid::from_guid(reader.array<16>());
        p.id = Uuid::from_guid(reader.array<16>());
        auto first = reader.le64();
        auto last = reader.le64();
        p.active = reader.le64() & 4;
        p.name = utf16_name(reader.take(72));
        if (p.type.is_zero()) continue;
        if (last < first || last > kMaxLba) {
            note("GPT partition {} has no sense: sectors {} to {}", p.index, first, last);
            continue;
        }
        p.offset = first * sector_;
        p.length = (last - first + 1) * sector_;
        layout_.partitions.push_back(std::move(p));
    }
    return true;
}

Result<bool> Reader::read_gpt() {
    if (TRY(read_gpt_at(1))) return true;
    if (disk_.size() < 2 * sector_ || !TRY(read_gpt_at(disk_.size() / sector_ - 1))) return false;
    note("the primary GPT is damaged; its backup at the end of the disk was used");
    return true;
}

void Reader::drop_bad_partitions() {
    auto& list = layout_.partitions;
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
    std::vector<Partition> good;
    for (auto& p : list) {
        layout_.reach = std::max(layout_.reach, p.offset + p.length);
        bool outside = p.offset > disk_.size() || p.length > disk_.size() - p.offset;
        bool overlaps = !good.empty() && p.offset < good.back().offset + good.back().length;
        if (outside) note("partition {} leaves the disk; all bytes there are kept", p.index);
        else if (overlaps)
            note("partition {} overlaps partition {}; all its bytes are kept", p.index, good.back().index);
        (outside || overlaps ? layout_.refused : good).push_back(std::move(p));
    }
    list = std::move(good);
}

Result<DiskLayout> Reader::read() {
    if (disk_.size() < sector_) return layout_;
    auto record = parse_boot_record(TRY(sectors(0, 1)));
    bool protective = record.valid && std::any_of(record.entries.begin(), record.entries.end(),
                                                  [](const auto& e) { return e.type == kTypeProtective; });
    if (record.valid) layout_.mbr_signature = record.signature;
    if (protective) {
        if (!TRY(read_gpt())) note("a protective MBR, but no valid GPT");
    } else if (record.valid &&
               std::any_of(record.entries.begin(), record.entries.end(), [](const auto& e) { return e.used(); })) {
        TRY(read_mbr(record));
    }
    drop_bad_partitions();
    return std::move(layout_);
}

}  // namespace

std::string_view name_of(TableKind kind) {
    switch (kind) {
        case TableKind::None: return "none";
        case TableKind::Mbr: return "mbr";
        case TableKind::Gpt: return "gpt";
    }
    return "?";
}

Result<DiskLayout> read_layout(BlockDevice& disk) { return Reader(disk).read(); }

}  // namespace slipway::disks
