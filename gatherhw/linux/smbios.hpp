// SPDX-License-Identifier: GPL-3.0-or-later
// The SMBIOS structure table (DMTF DSP0134), as far as sysfs does not tell it already. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/bytes.hpp"

namespace slipway::gatherhw {

struct Smbios {
    std::string bios_vendor, bios_version, bios_date;  // type 0
    bool uefi_supported = false;                       // type 0: says nothing of how the machine was started
    bool virtual_machine = false;
    std::string manufacturer, model, serial, uuid;  // type 1
    std::string board;                              // type 2, the first
    std::string chassis;                            // type 3, the first
    std::uint32_t sockets = 0;                      // type 4 that are filled
    std::uint32_t cores = 0, threads = 0;           // 0: the table is too old to say
    std::string cpu_vendor, cpu_model;              // of the first
    std::uint32_t cpu_mhz = 0;
    bool cpu_64bit = false;
    std::uint64_t memory_limit_bytes = 0;  // sum of type 16 that are system memory
    std::uint64_t memory_bytes = 0;        // sum of type 17; 0: none listed
    std::vector<MemoryModule> modules;     // type 17 that are filled
};

// Never fails: a damaged table gives what stands before the damage.
// uuid_is_guid: from SMBIOS 2.6 on the UUID's first three fields are little-endian.
Smbios parse_smbios(ByteView table, bool uuid_is_guid = true);
// "kvm", "vmware", … by what a virtual machine says it is; empty for metal.
std::string hypervisor_named(std::string_view manufacturer, std::string_view model);

}  // namespace slipway::gatherhw
