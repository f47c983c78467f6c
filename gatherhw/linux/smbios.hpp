// SPDX-License-Identifier: GPL-3.0-or-later
// The SMBIOS structure table (DMTF DSP0134), as far as sysfs does not tell it already.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/bytes.hpp"

namespace slipway::gatherhw {

struct Smbios {
    std::string bios_vendor, bios_version, bios_date;  // type 0
    std::string manufacturer, model, serial, uuid;     // type 1
    std::uint64_t memory_bytes = 0;                    // sum of type 17; 0: none listed
};

// Never fails: a damaged table gives what stands before the damage.
// uuid_is_guid: from SMBIOS 2.6 on the UUID's first three fields are little-endian.
Smbios parse_smbios(ByteView table, bool uuid_is_guid = true);

}  // namespace slipway::gatherhw
