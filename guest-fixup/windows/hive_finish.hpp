// SPDX-License-Identifier: GPL-3.0-or-later
// What libhivex leaves undone in a file it has written (hive.cpp says why). Pure: bytes in, bytes out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup::windows {

// Longer values are big data from 1.4 on, which libhivex does not write.
inline constexpr std::size_t kLargestWritten = 16344;

struct KeptData {
    std::uint32_t cell = 0;  // of the "db" record, or of data longer than a segment
    std::uint32_t size = 0;
};

// Keys by the offsets of their cells.
struct Finish {
    std::map<std::uint32_t, std::map<std::size_t, KeptData>> big;  // -> index of a value -> its data, in use again
    std::vector<KeptData> freed;                                   // big data that nobody has any more
    std::set<std::uint32_t> lists;  // keys below these were added or removed: lists that Windows takes

    void apply(std::string& hive) const;
};

// The key's list of subkeys, or a part of it, is of kind "li".
bool has_plain_list(std::string_view hive, std::uint32_t key);

}  // namespace slipway::fixup::windows
