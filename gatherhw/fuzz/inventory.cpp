// SPDX-License-Identifier: GPL-3.0-or-later
// Read whole, and as facts added to another inventory. Whatever is accepted must survive a round trip and every walk
// over its references.
#include <cstdint>
#include <cstdlib>

#include "gatherhw/reader.hpp"
#include "gatherhw/writer.hpp"

using namespace slipway::gatherhw;

namespace {

// As facts over a machine that has one of each.
void add(std::string_view xml) {
    Inventory machine;
    machine.controllers = {{.id = "controller0", .driver = {}, .pci = {}}};
    machine.disks.resize(1);
    machine.disks[0].name = "sda";
    machine.disks[0].size = 1u << 30;
    machine.disks[0].controller = "controller0";
    machine.disks[0].partitions = {{.index = 1, .name = "sda1", .offset = 512, .length = 512}};
    machine.volumes.resize(1);
    machine.volumes[0].name = "sda1";
    machine.unread = {{"firmware", "not said"}};
    const auto before = machine;
    if (!add_facts(machine, xml, "facts")) {
        if (!(machine == before)) std::abort();
    } else if (!read_inventory(to_xml(machine))) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    add({reinterpret_cast<const char*>(data), size});
    auto read = read_inventory({reinterpret_cast<const char*>(data), size});
    if (!read) return 0;
    for (const auto& volume : read->inventory.volumes) (void)disks_of(read->inventory, volume);
    // Written text is clean: read again it is the same for ever after.
    auto once = read_inventory(to_xml(read->inventory));
    if (!once || to_xml(once->inventory) != to_xml(read_inventory(to_xml(once->inventory))->inventory)) std::abort();
    return 0;
}
