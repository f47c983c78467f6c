// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/target.hpp"

#include "lib/base/strings.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

std::string_view name_of(VmState state) {
    switch (state) {
        case VmState::Invalid: return "invalid";
        case VmState::TurnedOff: return "turned-off";
        case VmState::Running: return "running";
        case VmState::Paused: return "paused";
    }
    return "";
}

std::optional<BootFrom> parse_boot(std::string_view name) {
    if (name == "disk") return BootFrom::Disk;
    if (name == "network") return BootFrom::Network;
    return std::nullopt;
}

std::string_view name_of(BootFrom boot) { return boot == BootFrom::Network ? "network" : "disk"; }

Result<VmState> Target::state(const std::string& name) { return TRY(info(name)).state; }

Result<std::unique_ptr<Target>> select_target(std::string_view driver, const QemuOptions& options) {
    if (driver == "null") return make_null_target(options.host);
    if (driver == "qemu") return make_qemu_target(options);
    return make_error(errors::kTask, "unknown driver '{}': null or qemu", printable(driver));
}

}  // namespace slipway::vmm
