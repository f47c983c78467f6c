// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/swap_map.hpp"

#include <algorithm>
#include <array>

#include "lib/base/uuid.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;
constexpr std::size_t kSignatureBytes = 10;
constexpr std::array kSwapSignatures{"SWAPSPACE2"sv};
// What suspend-to-disk tools write in its place: swsusp, uswsusp, TuxOnIce.
constexpr std::array kHibernateSignatures{"S1SUSPEND"sv, "S2SUSPEND"sv, "ULSUSPEND"sv, "LINHIB0001"sv,
                                          "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"sv};

}  // namespace

std::optional<SwapHeader> parse_swap_header(ByteView head) {
    for (std::uint32_t page : {4096u, 8192u, 16384u, 65536u}) {
        if (head.size() < page) break;
        auto signature = as_text(head.subspan(page - kSignatureBytes, kSignatureBytes));
        auto matches = [&](std::string_view s) { return signature.starts_with(s); };
        bool swap = std::any_of(kSwapSignatures.begin(), kSwapSignatures.end(), matches);
        bool hibernated = std::any_of(kHibernateSignatures.begin(), kHibernateSignatures.end(), matches);
        if (!swap && !hibernated) continue;
        SwapHeader header{page, hibernated, {}, {}};
        ByteReader reader(head);
        reader.seek(1024 + 12);  // version, last_page, nr_badpages
        Uuid id{reader.array<16>()};
        header.uuid = id.text();
        auto label = reader.text(16);
        header.label = std::string(label.substr(0, label.find('\0')));
        return header;
    }
    return std::nullopt;
}

UsedMap map_swap(const BlockDevice& volume, const SwapHeader& header) {
    UsedMap map;
    map.filesystem = "swap";
    map.label = header.label;
    map.uuid = header.uuid;
    map.state = header.hibernated ? VolumeState::Hibernated : VolumeState::Clean;
    if (header.hibernated) map.why_all = "the swap area holds a hibernation image, which is kept";
    map.used.add({0, header.hibernated ? volume.size() : std::min<std::uint64_t>(header.page_bytes, volume.size())});
    return map;
}

}  // namespace slipway::disks
