// SPDX-License-Identifier: GPL-3.0-or-later
// What a device element of a BCD store holds, as far as it is known. Pure. The format is not published; layout as seen
// in real stores (GUEST-FACTS 9: GPT and RAM disks), for MBR and virtual disks as the public tool of J. P. Zeller for
// making such stores writes it (update_device.sh, GPL-3.0; facts only). All little endian.
//
//   0 GUID of an object with more options, or zero      16 descriptor
//   descriptor: u32 type, u32 flags, u32 length of it all, u32 0, then by type
//     type 6, a partition (length 0x48), or one in a virtual disk (longer: the file's own partition lies in the rest):
//       16 partition: GPT its GUID; MBR u64 its first byte, u64 0
//       32 u32 0, or 6: virtual    36 u32 style: 0 GPT, 1 MBR    40 disk: GPT its GUID; MBR u32 its signature
//       the rest of 0x48 is zero
//     type 5, the one it was booted from: zeros
//     type 0, a file as a disk (a RAM disk's WIM): the descriptor of the file's partition lies in it
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::fixup::windows {

// As it lies there, the first three fields little endian.
using Guid = std::array<std::byte, 16>;
std::string to_text(const Guid& guid);                      // "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
std::optional<Guid> parse_guid(std::string_view text);      // with braces or without, any case

struct GptPartition {
    Guid disk{}, partition{};
    bool operator==(const GptPartition&) const = default;
};
struct MbrPartition {
    std::uint32_t signature = 0;
    std::uint64_t offset = 0;  // bytes
    bool operator==(const MbrPartition&) const = default;
};
using PartitionIdentity = std::variant<GptPartition, MbrPartition>;
std::string to_text(const PartitionIdentity& partition);  // for people

enum class BcdDeviceKind { Partition, Boot, File, Other };
struct BcdDevice {
    BcdDeviceKind kind = BcdDeviceKind::Other;
    // It names, in the order they lie in: one for Partition, those inside for File (also a virtual disk's).
    std::vector<PartitionIdentity> partitions;
};
// Never fails: what is not known is Other.
BcdDevice read_bcd_device(std::string_view element);

// A new Partition element.
std::string partition_device(const PartitionIdentity& partition);

struct Relocation {
    PartitionIdentity from, to;
};
// With every partition of `from` replaced, each once; all else byte for byte.
std::string relocated(std::string_view element, const std::vector<Relocation>& moves);

}  // namespace slipway::fixup::windows
