// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/format.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks {

std::string_view name_of(VhdKind kind) {
    switch (kind) {
        case VhdKind::Fixed: return "fixed";
        case VhdKind::Dynamic: return "dynamic";
        case VhdKind::Differencing: return "differencing";
    }
    return "?";
}

Chs chs_of(std::uint64_t sectors) {
    sectors = std::min<std::uint64_t>(sectors, 65535ull * 16 * 255);
    std::uint64_t per_track = 0, heads = 0, cylinders_times_heads = 0;
    if (sectors >= 65535ull * 16 * 63) {
        per_track = 255;
        heads = 16;
        cylinders_times_heads = sectors / per_track;
    } else {
        per_track = 17;
        cylinders_times_heads = sectors / per_track;
        heads = std::max<std::uint64_t>(4, (cylinders_times_heads + 1023) / 1024);
        if (cylinders_times_heads >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            cylinders_times_heads = sectors / per_track;
        }
        if (cylinders_times_heads >= heads * 1024) {
            per_track = 63;
            heads = 16;
            cylinders_times_heads = sectors / per_track;
        }
    }
    return {static_cast<std::uint16_t>(cylinders_times_heads / heads), static_cast<std::uint8_t>(heads),
            static_cast<std::uint8_t>(per_track)};
}

namespace vhd {

namespace {

constexpr std::uint32_t kFeatures = 2, kVersion = 0x00010000;
constexpr std::size_t kFooterChecksumAt = 64, kHeaderChecksumAt = 36;
constexpr std::size_t kParentNameBytes = 512;

void put_checksum(Bytes& bytes, std::size_t at) {
    auto sum = checksum_of(bytes, at);
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
}

std::uint32_t stored_checksum(ByteView bytes, std::size_t at) {
    ByteReader r(bytes);
    r.seek(at);
    return r.be32();
}

void append_utf8(std::string& out, std::uint32_t c) {
    auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        tail(0);
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xf0 | c >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

// The code point at the start of a text that is not empty, and how many bytes it takes.
std::pair<std::uint32_t, std::size_t> next_code_point(std::string_view text) {
    auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    if (byte(0) < 0x80) return {byte(0), 1};
    auto length = utf8_length(text);
    if (length == 0) return {0xfffd, 1};
    auto c = byte(0) & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) c = c << 6 | (byte(i) & 0x3f);
    return {c, length};
}

}  // namespace

std::uint32_t checksum_of(ByteView bytes, std::size_t checksum_at) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (i < checksum_at || i >= checksum_at + 4) sum += std::to_integer<std::uint32_t>(bytes[i]);
    return ~sum;
}

std::uint32_t since_2000(std::int64_t unix_seconds) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(unix_seconds - kEpoch2000, 0, 0xffffffff));
}

Bytes encode_footer(const Footer& f) {
    ByteWriter w;
    w.text(kFooterCookie).be32(kFeatures).be32(kVersion).be64(f.data_offset).be32(f.timestamp).text(f.creator);
    w.be32(f.creator_version).text(f.creator_host).be64(f.original_size).be64(f.size);
    w.be16(f.geometry.cylinders).u8(f.geometry.heads).u8(f.geometry.sectors);
    w.be32(static_cast<std::uint32_t>(f.kind)).be32(0).bytes(f.id.octets).u8(f.saved_state).pad_to(kFooterBytes);
    auto bytes = std::move(w).take();
    put_checksum(bytes, kFooterChecksumAt);
    return bytes;
}

Result<Footer> parse_footer_unchecked(ByteView bytes) {
    ByteReader r(bytes);
    if (r.text(8) != kFooterCookie) return make_error(errors::kVhdFooter, "no VHD footer");
    Footer f;
    r.skip(4);
    auto version = r.be32();
    f.data_offset = r.be64();
    f.timestamp = r.be32();
    f.creator = std::string(r.text(4));
    f.creator_version = r.be32();
    f.creator_host = std::string(r.text(4));
    f.original_size = r.be64();
    f.size = r.be64();
    f.geometry.cylinders = r.be16();
    f.geometry.heads = r.u8();
    f.geometry.sectors = r.u8();
    auto kind = r.be32();
    r.skip(4);
    f.id = Uuid{r.array<16>()};
    f.saved_state = r.u8();
    if (r.failed() || bytes.size() < kFooterBytes) return make_error(errors::kVhdFooter, "the footer is cut");
    // The major version alone makes a file unreadable.
    if (version >> 16 != kVersion >> 16)
        return make_error(errors::kVhdUnsupported, "format version {}.{}", version >> 16, version & 0xffff);
    if (kind < 2 || kind > 4) return make_error(errors::kVhdUnsupported, "disk type {}", kind);
    f.kind = static_cast<VhdKind>(kind);
    if (f.size > kVhdMaxBytes) return make_error(errors::kVhdFooter, "a size of {} bytes is over 2040 GiB", f.size);
    if (f.size == 0 || f.size % kSectorBytes != 0)
        return make_error(errors::kVhdFooter, "a size of {} bytes is not whole sectors", f.size);
    return f;
}

Result<Footer> parse_footer(ByteView bytes) {
    if (bytes.size() >= kFooterBytes && as_text(bytes.first(8)) == kFooterCookie) {
        auto stored = stored_checksum(bytes, kFooterChecksumAt);
        if (auto want = checksum_of(bytes.first(kFooterBytes), kFooterChecksumAt); want != stored)
            return make_error(errors::kVhdFooter, "the footer's checksum is {:#010x}, its bytes give {:#010x}", stored,
                              want);
    }
    return parse_footer_unchecked(bytes);
}

Bytes encode_header(const DynamicHeader& h) {
    ByteWriter w;
    w.text(kHeaderCookie).be64(kNoOffset).be64(h.table_offset).be32(kVersion).be32(h.entries).be32(h.block_bytes);
    w.be32(0).bytes(h.parent_id.octets).be32(h.parent_timestamp).be32(0);
    auto name = to_utf16(h.parent_name, true);
    // Cut at a whole unit, with room for the terminator; the locators hold the path in full.
    name.resize(std::min(name.size(), kParentNameBytes - 2));
    w.bytes(name).pad_to(64 + kParentNameBytes);
    for (const auto& l : h.locators)
        w.text(l.platform).be32(l.data_space).be32(l.data_length).be32(0).be64(l.data_offset);
    w.pad_to(kHeaderBytes);
    auto bytes = std::move(w).take();
    put_checksum(bytes, kHeaderChecksumAt);
    return bytes;
}

Result<DynamicHeader> parse_header_unchecked(ByteView bytes) {
    ByteReader r(bytes);
    if (r.text(8) != kHeaderCookie) return make_error(errors::kVhdHeader, "no dynamic disk header");
    r.skip(8);
    DynamicHeader h;
    h.table_offset = r.be64();
    r.skip(4);
    h.entries = r.be32();
    h.block_bytes = r.be32();
    r.skip(4);
    h.parent_id = Uuid{r.array<16>()};
    h.parent_timestamp = r.be32();
    r.skip(4);
    h.parent_name = from_utf16(r.take(kParentNameBytes), true);
    for (std::size_t i = 0; i < kLocators; ++i) {
        ParentLocator l;
        l.platform = std::string(r.text(4));
        l.data_space = r.be32();
        l.data_length = r.be32();
        r.skip(4);
        l.data_offset = r.be64();
        if (l.platform != std::string_view("\0\0\0\0", 4)) h.locators.push_back(std::move(l));
    }
    if (r.failed() || bytes.size() < kHeaderBytes)
        return make_error(errors::kVhdHeader, "the dynamic disk header is cut");
    return h;
}

Bytes with_header_checksum(Bytes bytes) {
    put_checksum(bytes, kHeaderChecksumAt);
    return bytes;
}

Status check_block_bytes(std::uint32_t block_bytes, std::uint64_t disk_size) {
    bool power = block_bytes && (block_bytes & (block_bytes - 1)) == 0;
    if (!power || block_bytes < kMinBlockBytes || block_bytes > kMaxBlockBytes)
        return make_error(errors::kVhdHeader, "a block size of {} bytes", block_bytes);
    if (disk_size / block_bytes >= kMaxTableEntries)
        return make_error(errors::kVhdUnsupported, "a disk of {} bytes in blocks of {}", disk_size, block_bytes);
    return {};
}

Status check_header(const DynamicHeader& h, std::uint64_t disk_size) {
    TRY(check_block_bytes(h.block_bytes, disk_size));
    if (std::uint64_t{h.entries} * h.block_bytes < disk_size)
        return make_error(errors::kVhdHeader, "{} blocks of {} bytes do not reach {} bytes", h.entries, h.block_bytes,
                          disk_size);
    if (h.table_offset < kFooterBytes || h.table_offset > std::uint64_t{1} << 62)
        return make_error(errors::kVhdHeader, "a block table at byte {}", h.table_offset);
    return {};
}

Result<DynamicHeader> parse_header(ByteView bytes, std::uint64_t disk_size) {
    auto header = TRY(parse_header_unchecked(bytes));
    auto stored = stored_checksum(bytes, kHeaderChecksumAt);
    if (auto want = checksum_of(bytes.first(kHeaderBytes), kHeaderChecksumAt); want != stored)
        return make_error(errors::kVhdHeader, "the dynamic disk header's checksum is {:#010x}, its bytes give {:#010x}",
                          stored, want);
    TRY(check_header(header, disk_size));
    return header;
}

std::vector<std::uint32_t> parse_table(ByteView bytes) {
    std::vector<std::uint32_t> table;
    table.reserve(bytes.size() / 4);
    ByteReader r(bytes);
    while (r.remaining() >= 4) table.push_back(r.be32());
    return table;
}

Bytes encode_table(const std::vector<std::uint32_t>& table) {
    ByteWriter w;
    for (auto entry : table) w.be32(entry);
    while (w.size() % kSectorBytes) w.be32(kUnallocated);
    return std::move(w).take();
}

std::string text_of(const TableFault& fault, const DynamicHeader& header) {
    auto where = fmt::format("block {} (disk bytes {}+{}) at file byte {}", fault.block,
                             std::uint64_t{fault.block} * header.block_bytes, header.block_bytes,
                             std::uint64_t{fault.entry} * kSectorBytes);
    switch (fault.kind) {
        case TableFault::Kind::BehindEnd: return where + " does not lie in the file";
        case TableFault::Kind::Overlap: return where + fmt::format(" shares bytes with block {}", fault.other);
        case TableFault::Kind::InMetadata: return where + " lies in the header or the block table";
    }
    return where;
}

std::vector<TableFault> check_table(const std::vector<std::uint32_t>& table, const DynamicHeader& header,
                                    std::uint64_t file_size, std::size_t limit) {
    using Kind = TableFault::Kind;
    std::vector<TableFault> faults;
    std::vector<std::uint32_t> order;  // allocated blocks by place
    auto length = header.bitmap_bytes() + header.block_bytes;
    auto start = [&](std::uint32_t block) { return std::uint64_t{table[block]} * kSectorBytes; };
    auto meets = [&](std::uint32_t block, std::uint64_t from, std::uint64_t bytes) {
        return start(block) < from + bytes && from < start(block) + length;
    };
    for (std::uint32_t block = 0; block < table.size() && faults.size() < limit; ++block) {
        if (table[block] == kUnallocated) continue;
        if (start(block) + length > file_size) {
            faults.push_back({block, table[block], Kind::BehindEnd, 0});
        } else if (meets(block, 0, kFooterBytes + kHeaderBytes) ||
                   meets(block, header.table_offset, std::uint64_t{header.entries} * 4)) {
            faults.push_back({block, table[block], Kind::InMetadata, 0});
        } else {
            order.push_back(block);
        }
    }
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return table[a] < table[b]; });
    for (std::size_t i = 1; i < order.size() && faults.size() < limit; ++i)
        if (start(order[i - 1]) + length > start(order[i]))
            faults.push_back({order[i], table[order[i]], Kind::Overlap, order[i - 1]});
    return faults;
}

std::uint64_t end_of_blocks(const std::vector<std::uint32_t>& table, const DynamicHeader& header,
                            std::uint64_t file_size) {
    auto up = [](std::uint64_t n) { return (n + kSectorBytes - 1) / kSectorBytes * kSectorBytes; };
    auto end = std::max<std::uint64_t>(up(header.table_offset + header.table_bytes()), kFooterBytes + kHeaderBytes);
    for (const auto& l : header.locators)
        if (l.data_offset < file_size && l.data_length <= file_size - l.data_offset)
            end = std::max(end, up(l.data_offset + l.data_length));
    for (auto entry : table) {
        if (entry == kUnallocated) continue;
        auto stop = std::uint64_t{entry} * kSectorBytes + header.bitmap_bytes() + header.block_bytes;
        if (stop <= file_size) end = std::max(end, stop);
    }
    return end;
}

std::string from_utf16(ByteView bytes, bool big_endian) {
    std::string out;
    ByteReader r(bytes);
    auto unit = [&] { return big_endian ? r.be16() : r.le16(); };
    while (r.remaining() >= 2) {
        std::uint32_t c = unit();
        if (c == 0) break;
        if (c >= 0xd800 && c < 0xdc00 && r.remaining() >= 2) {
            auto at = r.offset();
            std::uint32_t low = unit();
            if (low >= 0xdc00 && low < 0xe000) {
                append_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
                continue;
            }
            r.seek(at);
        }
        append_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
    return out;
}

Bytes to_utf16(std::string_view utf8, bool big_endian) {
    ByteWriter w;
    auto unit = [&](std::uint32_t u) {
        big_endian ? w.be16(static_cast<std::uint16_t>(u)) : w.le16(static_cast<std::uint16_t>(u));
    };
    while (!utf8.empty()) {
        auto [c, length] = next_code_point(utf8);
        utf8.remove_prefix(length);
        if (c >= 0x10000) {
            unit(0xd800 + ((c - 0x10000) >> 10));
            unit(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            unit(c);
        }
    }
    return std::move(w).take();
}

}  // namespace vhd
}  // namespace slipway::disks
