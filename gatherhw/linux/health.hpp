// SPDX-License-Identifier: GPL-3.0-or-later
// What a disk says of its own health: the one question that every ATA and NVMe disk answers at once.
#pragma once

#include <string>

#include "gatherhw/model.hpp"
#include "lib/base/bytes.hpp"

namespace slipway::gatherhw {

struct HealthAnswer {
    Health health = Health::Unknown;
    std::string evidence;  // empty when unknown
    bool operator==(const HealthAnswer&) const = default;
};

// Pure. sense: of an ATA PASS-THROUGH that carried SMART RETURN STATUS (ACS-3 7.48.8, SAT-3 12.2.5: descriptor form).
HealthAnswer read_ata_sense(ByteView sense);
// Pure. log: the SMART / Health Information page (NVMe 1.4, 5.14.1.2).
HealthAnswer read_nvme_log(ByteView log);

// Asks the open disk; nothing is written, and a disk that does not answer in seconds is unknown.
HealthAnswer ask_health(int fd, BusKind bus);

}  // namespace slipway::gatherhw
