// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "vmm-target/definition.hpp"
#include "vmscript/render.hpp"

namespace slipway::vmscript {

namespace {

vmm::Controller controller_of(Controller controller) {
    switch (controller) {
        case Controller::Ide: return vmm::Controller::Ide;
        case Controller::Sata: return vmm::Controller::Sata;
        case Controller::Scsi: return vmm::Controller::ScsiLsi;
        case Controller::Virtio: return vmm::Controller::VirtioBlk;
    }
    return vmm::Controller::Ide;
}

}  // namespace

std::string render_definition(const Plan& plan) {
    vmm::VmDefinition vm;
    vm.name = plan.name;
    vm.memory_mib = static_cast<std::uint32_t>(plan.memory_mib);
    vm.processors = plan.processors;
    vm.firmware = plan.uefi ? vmm::Firmware::Uefi : vmm::Firmware::Bios;
    vm.directory = plan.config_path;
    for (const auto& d : plan.disks)
        vm.disks.push_back({.path = d.vhd,
                            .kind = plan.dynamic_disks ? vmm::DiskKind::Dynamic : vmm::DiskKind::Fixed,
                            .size_bytes = d.size,
                            .controller = controller_of(plan.controller)});
    for (const auto& n : plan.nics)
        vm.adapters.push_back({.mac = MacAddress::parse(n.new_mac).value_or(MacAddress{}), .network = plan.network});
    vm.uuid = vmm::derived_uuid(vm);
    return vmm::render_definition(vm);
}

}  // namespace slipway::vmscript
