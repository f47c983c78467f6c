// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes are a device element; to move every partition it names and back again leaves it as it was, and its length
// never changes.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/bcd_device.hpp"

using namespace slipway::fixup::windows;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string element(reinterpret_cast<const char*>(data), size);
    const auto device = read_bcd_device(element);
    for (const auto& partition : device.partitions) {
        const PartitionIdentity other = MbrPartition{0xfeedbeef, 0x123456789000};
        if (partition == other) continue;
        const auto moved = relocated(element, {{partition, other}});
        if (moved.size() != element.size() || moved == element) std::abort();
        if (read_bcd_device(moved).partitions.size() != device.partitions.size()) std::abort();
        (void)to_text(partition);
        // Back, unless another one was called so already.
        bool alone = true;
        for (const auto& one : device.partitions) alone = alone && one != other;
        if (alone && std::holds_alternative<GptPartition>(partition) && relocated(moved, {{other, partition}}) != element)
            std::abort();
    }
    (void)parse_guid(element);
    return 0;
}
