// SPDX-License-Identifier: GPL-3.0-or-later
// KVM or TCG: a /dev/kvm that opens is not yet one under which a guest boots.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/result.hpp"

namespace slipway::vmm {

// "kvm" when a probe guest (a kernel of this host's /boot) really booted under it, else "tcg". The answer is kept in
// cache for this kernel release. Takes up to half a minute the first time where there is a /dev/kvm.
std::string choose_accelerator(const std::string& qemu, const std::filesystem::path& cache);

}  // namespace slipway::vmm
