// SPDX-License-Identifier: GPL-3.0-or-later
// Drivers of the processor that is gone, and what a Windows that does not come up shows.
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

namespace {

// cpu.inf's services. They speak to power management of one maker's processors: on another's, or a virtual one, NT 5.x
// stops with 0x7E (KB 953356). Windows Vista and later ask the processor first.
constexpr const char* kProcessorServices[] = {"intelppm", "processor", "p3",     "amdk6", "amdk7",
                                              "amdk8",    "amdppm",    "crusoe", "viac7"};
constexpr std::uint32_t kDisabled = 4;

}  // namespace

Status repair_processor(WindowsRepair& repair) {
    if (repair.windows.major != 5) return {};
    for (const auto* service : kProcessorServices) {
        const auto key = repair.windows.services() + "\\" + service;
        const auto start = repair.system.number(key, "Start");
        if (!start || *start == kDisabled) continue;
        TRY(repair.system.set(std::string("processor: ") + service + " does not start", key, "Start",
                              reg_dword(kDisabled)));
    }
    return {};
}

// A stop error that can be read: until a good boot, when the first-boot script puts back what is kept beside it.
Status repair_crash_control(WindowsRepair& repair) {
    const auto key = repair.windows.control_set + "\\Control\\CrashControl";
    const auto restart = repair.system.get(key, "AutoReboot");
    if (!restart || as_number(*restart).value_or(0) == 0) return {};
    const auto what = "crash control: a stop error stays on the screen; the old value comes back at the first boot";
    TRY(repair.system.set(what, key, "SlipwayAutoReboot", *restart));
    return repair.system.set(what, key, "AutoReboot", reg_dword(0));
}

}  // namespace slipway::fixup::windows
