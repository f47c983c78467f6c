// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "lib/patches/archive.hpp"

namespace slipway::patches {

namespace {

constexpr std::size_t kHeader = 36;  // CFHEADER without its optional members
constexpr std::size_t kBlock = 1u << 20;
constexpr std::uint64_t kLargestProgram = 2ull << 30;  // the largest service pack has 0.4 GiB

// Where the bytes are a header of a cabinet that ends within `room`.
std::optional<CabinetPlace> header_at(ByteView bytes, std::uint64_t room) {
    if (bytes.size() < kHeader) return std::nullopt;
    ByteReader in(bytes.subspan(4));
    const auto zero1 = in.le32();
    const std::uint64_t size = in.le32();
    const auto zero2 = in.le32();
    const std::uint64_t files_at = in.le32();
    const auto zero3 = in.le32();
    const auto version = in.le16();  // minor 3, major 1
    const auto folders = in.le16(), files = in.le16(), flags = in.le16();
    if (in.failed() || zero1 != 0 || zero2 != 0 || zero3 != 0 || version != 0x103 || folders == 0 || files == 0)
        return std::nullopt;
    if (size < kHeader || size > room || files_at < kHeader || files_at >= size) return std::nullopt;
    return CabinetPlace{0, size, (flags & 1) != 0, (flags & 2) != 0};
}

}  // namespace

std::vector<CabinetPlace> find_cabinets(const ArchiveBytes& program) {
    constexpr std::string_view kSignature = "MSCF";
    std::vector<CabinetPlace> out;
    const auto end = std::min(program.size(), kLargestProgram);
    Bytes block(std::min<std::uint64_t>(kBlock, end));
    for (std::uint64_t at = 0; at + kHeader <= end && out.size() < kMostCabinets;) {
        const auto count = program.read(at, block);
        if (count < static_cast<std::int64_t>(kHeader)) break;
        const auto bytes = ByteView(block).first(static_cast<std::size_t>(count));
        const auto text = as_text(bytes);
        auto next = at + bytes.size() - (kHeader - 1);  // a header may lie across two blocks
        for (auto found = text.find(kSignature); found != text.npos; found = text.find(kSignature, found + 1)) {
            if (bytes.size() - found < kHeader) break;
            auto place = header_at(bytes.subspan(found), end - at - found);
            if (!place) continue;
            place->offset = at + found;
            out.push_back(*place);
            next = place->offset + place->size;
            break;
        }
        at = next;
    }
    return out;
}

}  // namespace slipway::patches
