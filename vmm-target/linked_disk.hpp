// SPDX-License-Identifier: GPL-3.0-or-later
// A linked disk: a disk of a machine that is a whole disk of this host, as Virtual Server 2005 had it. The host must
// not use it while a machine does, and no two machines may.
#pragma once

#include <filesystem>

#include "lib/base/fd.hpp"
#include "vmm-target/definition.hpp"

namespace slipway::vmm {

// Held exclusively (the kernel's own claim: mounting it, swapping on it or building on it fails with "busy") for as
// long as a copy of the descriptor is open. QEMU inherits one and knows nothing of it, so the claim ends with the
// machine.
class LinkedDisk {
public:
    // Nothing is written. Errors: vmm.disk-missing, vmm.linked-disk with what is against it: no block device, a
    // partition, another size than the definition says, read-only, or in use by this host or a machine.
    static Result<LinkedDisk> claim(const VmDisk& disk);

    int fd() const { return fd_.get(); }
    const std::filesystem::path& device() const { return device_; }  // what the path led to when it was claimed

private:
    LinkedDisk(UniqueFd fd, std::filesystem::path device) : fd_(std::move(fd)), device_(std::move(device)) {}
    UniqueFd fd_;
    std::filesystem::path device_;
};

}  // namespace slipway::vmm
