// SPDX-License-Identifier: GPL-3.0-or-later
// How an Inventory is filled. probe_linux.cpp reads the running system or a captured tree of one,
// probe_fake.cpp answers what it was given.
#pragma once

#include <filesystem>
#include <memory>

#include "gatherhw/model.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/result.hpp"

namespace slipway::gatherhw {

class Probe {
public:
    virtual ~Probe() = default;
    // Never fails because something could not be read: that is listed in Inventory::unread. An
    // Error means that there was no machine to look at.
    virtual Result<Inventory> collect() = 0;
};

struct LinuxProbeOptions {
    std::filesystem::path root = "/";  // the tree that holds /proc, /sys, /etc, /boot, /dev
    // Use system calls for what no file tells (addresses, used bytes, permanent MACs, geometry).
    // Only right when root is the running system.
    bool live = true;
    // Open block devices (read-only) for partition types, file systems and labels.
    bool read_disks = true;
};
// clock must outlive the probe.
std::unique_ptr<Probe> linux_probe(LinuxProbeOptions options, const Clock& clock);
std::unique_ptr<Probe> fake_probe(Inventory answer);

}  // namespace slipway::gatherhw
