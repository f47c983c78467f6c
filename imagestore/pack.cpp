// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/pack.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "imagestore/errors.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::string_view kHeaderMagic = "SLIPPACK", kFooterMagic = "SLIPPEND", kRecordMagic = "CHNK";
constexpr std::uint16_t kPackVersion = 1;

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
        table[i] = c;
    }
    return table;
}
constexpr auto kTable = make_table();

std::uint32_t crc_by_table(ByteView bytes, std::uint32_t crc) {
    for (auto b : bytes) crc = kTable[(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
// The instruction is there since 2008, and forty times faster than the table.
__attribute__((target("sse4.2"))) std::uint32_t crc_by_instruction(ByteView bytes, std::uint32_t crc) {
    std::uint64_t wide = crc;
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + i, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; i < bytes.size(); ++i) crc = __builtin_ia32_crc32qi(crc, std::to_integer<unsigned char>(bytes[i]));
    return crc;
}
#endif

Status check_closing_crc(ByteView bytes, std::string_view what) {
    ByteReader reader(bytes.last(4));
    if (crc32c(bytes.first(bytes.size() - 4)) == reader.le32()) return {};
    return make_error(errors::kBadPack, "the pack's {} fails its checksum", what);
}

void close_with_crc(ByteWriter& out) { out.le32(crc32c(out.view())); }

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t previous) {
    std::uint32_t crc = ~previous;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_by_instruction(bytes, crc);
#endif
    return ~crc_by_table(bytes, crc);
}

Bytes encode_pack_header(const Uuid& id, std::uint64_t created_ms) {
    ByteWriter out;
    out.text(kHeaderMagic).le16(kPackVersion).le16(kPackHeaderBytes).le32(0).bytes(id.octets).le64(created_ms);
    out.pad_to(kPackHeaderBytes - 4);
    close_with_crc(out);
    return std::move(out).take();
}

Result<Uuid> parse_pack_header(ByteView bytes) {
    ByteReader in(bytes);
    if (bytes.size() != kPackHeaderBytes || in.text(8) != kHeaderMagic)
        return make_error(errors::kBadPack, "it does not start as a pack");
    auto version = in.le16();
    TRY(check_closing_crc(bytes, "header"));
    if (version != kPackVersion) return make_error(errors::kNewerFormat, "pack version {}", version);
    in.skip(6);
    return Uuid{in.array<16>()};
}

Bytes encode_record_header(const ChunkId& id, ByteView chunk) {
    ByteWriter out;
    out.text(kRecordMagic).le32(static_cast<std::uint32_t>(chunk.size())).bytes(id.octets);
    auto crc = crc32c(chunk, crc32c(out.view()));
    out.le32(crc).le32(0);
    return std::move(out).take();
}

Result<RecordHeader> parse_record_header(ByteView bytes) {
    ByteReader in(bytes);
    RecordHeader header;
    if (bytes.size() != kRecordHeaderBytes || in.text(4) != kRecordMagic)
        return make_error(errors::kBadPack, "no chunk record where one should be");
    header.length = in.le32();
    header.id.octets = in.array<32>();
    header.crc = in.le32();
    if (header.length < 2 || header.length > kMaxEncodedBytes || in.le32() != 0)
        return make_error(errors::kBadPack, "a chunk record of impossible length {}", header.length);
    return header;
}

Status check_record(ByteView header, ByteView chunk) {
    auto parsed = TRY(parse_record_header(header));
    if (parsed.length == chunk.size() && crc32c(chunk, crc32c(header.first(40))) == parsed.crc) return {};
    return make_error(errors::kBadPack, "the record of chunk {} fails its checksum", parsed.id.text());
}

Bytes encode_index(std::vector<PackEntry>& entries) {
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return std::tie(a.id, a.offset) < std::tie(b.id, b.offset); });
    ByteWriter out;
    for (const auto& e : entries) out.bytes(e.id.octets).le64(e.offset).le32(e.length);
    return std::move(out).take();
}

Result<std::vector<PackEntry>> parse_index(ByteView bytes, const PackFooter& footer) {
    if (bytes.size() != footer.count * kIndexEntryBytes || crc32c(bytes) != footer.index_crc)
        return make_error(errors::kBadPack, "the pack's index fails its checksum");
    std::vector<PackEntry> out;
    out.reserve(footer.count);
    ByteReader in(bytes);
    for (std::uint32_t i = 0; i < footer.count; ++i) {
        PackEntry e;
        e.id.octets = in.array<32>();
        e.offset = in.le64();
        e.length = in.le32();
        bool fits = e.offset >= kPackHeaderBytes && e.length >= 2 && e.length <= kMaxEncodedBytes &&
                    e.offset <= footer.index_offset && e.end() <= footer.index_offset;
        if (!fits) return make_error(errors::kBadPack, "an index entry points outside the pack");
        if (!out.empty() && e.id < out.back().id) return make_error(errors::kBadPack, "the pack's index is not sorted");
        out.push_back(e);
    }
    return out;
}

Bytes encode_footer(const PackFooter& footer) {
    ByteWriter out;
    out.text(kFooterMagic).le16(kPackVersion).le16(kPackFooterBytes).le32(footer.count).le64(footer.index_offset);
    out.le32(footer.index_crc).le32(0).bytes(footer.id.octets);
    out.pad_to(kPackFooterBytes - 4);
    close_with_crc(out);
    return std::move(out).take();
}

Result<PackFooter> parse_footer(ByteView bytes, std::uint64_t file_bytes) {
    ByteReader in(bytes);
    if (bytes.size() != kPackFooterBytes || in.text(8) != kFooterMagic)
        return make_error(errors::kBadPack, "it does not end as a pack");
    auto version = in.le16();
    TRY(check_closing_crc(bytes, "footer"));
    if (version != kPackVersion) return make_error(errors::kNewerFormat, "pack version {}", version);
    PackFooter footer;
    in.skip(2);
    footer.count = in.le32();
    footer.index_offset = in.le64();
    footer.index_crc = in.le32();
    in.skip(4);
    footer.id.octets = in.array<16>();
    bool fits = footer.index_offset >= kPackHeaderBytes && footer.index_offset <= kMaxPackBytes &&
                footer.index_offset + footer.count * std::uint64_t{kIndexEntryBytes} + kPackFooterBytes == file_bytes;
    if (!fits) return make_error(errors::kBadPack, "the footer does not describe a file of {} bytes", file_bytes);
    return footer;
}

}  // namespace slipway::imagestore
