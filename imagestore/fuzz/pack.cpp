// SPDX-License-Identifier: GPL-3.0-or-later
// The structures of a pack, whose checksums are made right here so that what is behind them is reached: an index that
// is accepted points into its pack, and is written again as the same bytes.
#include <cstdlib>

#include "imagestore/pack.hpp"

using namespace slipway;
using namespace slipway::imagestore;

namespace {

void check_index(ByteView bytes, const PackFooter& footer) {
    auto entries = parse_index(bytes, footer);
    if (!entries) return;
    if (entries->size() != footer.count) std::abort();
    const PackEntry* before = nullptr;
    for (const auto& entry : *entries) {
        if (entry.offset < kPackHeaderBytes || entry.end() > footer.index_offset) std::abort();
        if (before && entry.id < before->id) std::abort();
        before = &entry;
    }
}

// The last four bytes become the CRC of those before.
Bytes closed(ByteView bytes) {
    Bytes out(bytes.begin(), bytes.end() - 4);
    ByteWriter crc;
    crc.le32(crc32c(out));
    out.insert(out.end(), crc.view().begin(), crc.view().end());
    return out;
}

}  // namespace

// Input: a footer, then an index.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    (void)parse_record_header(bytes.first(std::min(size, kRecordHeaderBytes))).ok();
    if (size < kPackFooterBytes) return 0;
    const auto head = closed(bytes.first(kPackFooterBytes));
    const auto index = bytes.subspan(kPackFooterBytes);
    (void)parse_pack_header(head).ok();
    ByteReader reader(head);
    reader.seek(16);
    const auto index_offset = reader.le64();
    for (const auto file_bytes : {index_offset + index.size() + kPackFooterBytes, std::uint64_t{size}}) {
        auto footer = parse_footer(head, file_bytes);
        if (!footer) continue;
        if (footer->index_offset + std::uint64_t{footer->count} * kIndexEntryBytes + kPackFooterBytes != file_bytes)
            std::abort();
        check_index(index, *footer);
        footer->index_crc = crc32c(index);
        check_index(index, *footer);
    }
    // The same index in a pack of another size.
    check_index(index, {{}, static_cast<std::uint32_t>(index.size() / kIndexEntryBytes), index_offset, crc32c(index)});
    return 0;
}
