// SPDX-License-Identifier: GPL-3.0-or-later
// LUKS volumes by their headers (LUKS1 On-Disk Format 1.2.3 §2, LUKS2 On-Disk Format 1.1.2 §2.1). Whoever has a key
// gives an opener (lib/disks/luks/, a library of its own); without one a volume is opaque.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/disks/volumes/stack.hpp"

namespace slipway::disks {

struct LuksHeader {
    unsigned version = 1;  // 1 or 2
    std::string uuid, label;
};
// head: the first 4 KiB. nullopt: no LUKS header.
std::optional<LuksHeader> parse_luks_header(ByteView head);

struct OpenedLuks {
    std::unique_ptr<StackedVolume> plain;  // read-only, decrypted; its one member is the volume
    std::vector<Extent> header;            // what must be kept for the volume to open again
};

class LuksOpener {
public:
    virtual ~LuksOpener() = default;
    // errors::kLuksKey: no key fits. errors::kLuksUnsupported: a kind of encryption unknown to it.
    virtual Result<OpenedLuks> open(BlockDevice& volume, const LuksHeader& header) = 0;
};

}  // namespace slipway::disks
