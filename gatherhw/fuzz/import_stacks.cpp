// SPDX-License-Identifier: GPL-3.0-or-later
// mdstat, LVM backups and fstab over a machine that has a disk and an array: the first letter says which.
#include "gatherhw/fuzz/import_any.hpp"

using namespace slipway::gatherhw;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    Inventory machine;
    machine.disks.resize(2);
    machine.disks[0].name = "sda";
    machine.disks[0].partitions = {{.index = 1, .name = "sda1"}, {.index = 2, .name = "sda2"}};
    machine.disks[1].name = "sdb";
    machine.volumes = {{.name = "sda1", .path = "/dev/sda1", .backing = {"sda"}, .uuid = "01"},
                       {.name = "md0", .path = "/dev/md0", .kind = VolumeKind::Md, .backing = {"sda2", "sdb"}}};
    const auto before = machine;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto add = text[0] == 'P'                                       ? add_mdstat
               : text[0] == '/' || text[0] == 'U' || text[0] == 'L' ? add_fstab
                                                                    : add_lvm_backup;
    if (!add(machine, text)) {
        if (!(machine == before)) std::abort();
        return 0;
    }
    for (const auto& volume : machine.volumes) (void)disks_of(machine, volume);
    if (!read_inventory(to_xml(machine))) std::abort();
    return 0;
}
