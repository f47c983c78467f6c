// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever is accepted must survive a round trip and every walk over its references.
#include <cstdint>
#include <cstdlib>

#include "gatherhw/reader.hpp"
#include "gatherhw/writer.hpp"

using namespace slipway::gatherhw;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto read = read_inventory({reinterpret_cast<const char*>(data), size});
    if (!read) return 0;
    for (const auto& volume : read->inventory.volumes) (void)disks_of(read->inventory, volume);
    // Written text is clean: read again it is the same for ever after.
    auto once = read_inventory(to_xml(read->inventory));
    if (!once || to_xml(once->inventory) != to_xml(read_inventory(to_xml(once->inventory))->inventory)) std::abort();
    return 0;
}
