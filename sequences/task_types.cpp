// SPDX-License-Identifier: GPL-3.0-or-later
// The rows of docs/architecture.md "Task types".
#include <algorithm>

#include "sequences/model.hpp"

namespace slipway::sequences {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using P = ParameterType;

constexpr Target kController[] = {Target::Controller};
constexpr Target kDevice[] = {Target::Device};
constexpr Target kEither[] = {Target::Device, Target::Controller};
constexpr Target kVmHost[] = {Target::VmHost};

constexpr P kPower[] = {{"state", true, "on|off|cycle"}};
constexpr P kCapture[] = {
    {"image", true}, {"disks"}, {"exclude"}, {"volume"}, {"nonetencrypt", false, "true|false"}, {"level"},
};
constexpr P kDeploy[] = {
    {"image", true},
    {"disk"},
    {"volume"},
    {"partition"},
    {"nonetencrypt", false, "true|false"},
    {"verify", false, "true|false"},
    {"multicast", false, "auto|off"},
    // What the disk holds already is looked for first.
    {"compare", false, "auto|always|never"},
};
constexpr P kDisk[] = {
    {"action", true, "init|partition|active|clean"}, {"disk", true}, {"table"}, {"size"}, {"index"}, {"type"},
};
constexpr P kRepair[] = {
    {"disk"},
    {"target-controller"},
    {"firmware"},
    {"proof-nonce"},
    {"nics"},
    {"service-driver-file"},
    // What another hypervisor's tools left; qemu-guest-agent.
    {"leftovers", false, "disable|keep"},
    {"guest-agent", false, "true|false"},
    {"guest-agent-packages"},
    {"driver-directories"},
    // Who the machine is: a document, and single members of it that come before what the document says.
    {"personality"},
    {"device"},
    {"hostname"},
    {"machine-id"},
    {"ssh-host-keys"},
    {"addresses"},
    {"timezone"},
    {"locale"},
    {"authorized-key"},
    {"join-script"},
    {"first-boot-script"},
    {"template", false, "no|also|only"},
    // Finding the root.
    {"more-disks"},
    {"luks-key-files"},
    {"root-volume"},
    // HAL and kernel of an old Windows; the directories of the patch library are the agent's.
    {"fix-hal", false, "auto|none|acpi|nacpi"},
    {"patch-directory"},
    {"processors"},
};
constexpr P kScript[] = {{"script", true}};
constexpr P kCopy[] = {{"source", true}, {"destination", true}};
constexpr P kReboot[] = {{"to", false, "da|disk"}};
constexpr P kNetwork[] = {{"network", true}, {"interface"}, {"if_exists", false, "same|fail"}, {"vmhost"}};
constexpr P kCheckHost[] = {{"definition", true}, {"if_exists", false, "same|fail"}, {"vmhost"}};
constexpr P kCreateVm[] = {{"definition", true}, {"if_exists", false, "same|fail|replace"}, {"vmhost"}};
constexpr P kVm[] = {{"vm", true}, {"vmhost"}};
constexpr P kGoneVm[] = {{"vm", true}, {"if_absent", false, "done|fail"}, {"vmhost"}};
constexpr P kDeleteVm[] = {
    {"vm", true}, {"definition"}, {"if_other", false, "fail|done"}, {"if_absent", false, "done|fail"}, {"vmhost"},
};
constexpr P kStopVm[] = {{"vm", true}, {"grace"}, {"if_absent", false, "done|fail"}, {"vmhost"}};
constexpr P kStartVm[] = {
    {"vm", true},
    {"boot", false, "network|disk"},
    {"undo", false, "true|false"},
    {"vmhost"},
};
constexpr P kProof[] = {{"vm", true}, {"nonce", true}, {"timeout"}, {"vmhost"}};

// clang-format off
constexpr TaskType kTypes[] = {
    // name             targets      parameters  timeout       reboot probe
    {"take-control",    kController, {},         minutes(1),   false, true},
    {"release-control", kController, {},         minutes(1),   false, true},
    {"delete-device",   kController, {},         minutes(1),   false, true},
    {"boot-to-da",      kController, {},         minutes(30),  true,  true},
    {"boot-to-disk",    kController, {},         minutes(10),  true,  true},
    {"power",           kController, kPower,     minutes(5),   false, true},
    {"wait-agent",      kController, {},         minutes(30),  false, true},
    {"wait-off",        kController, {},         minutes(10),  false, true},
    {"inventory",       kDevice,     {},         minutes(10),  false, true},
    {"capture-image",   kDevice,     kCapture,   hours(24),    false, true},
    {"deploy-image",    kDevice,     kDeploy,    hours(24),    false, true},
    {"disk",            kDevice,     kDisk,      minutes(10),  false, true},
    {"repair",          kDevice,     kRepair,    hours(1),     false, true},
    {"run-script",      kEither,     kScript,    hours(1),     false, false},
    {"copy-file",       kEither,     kCopy,      hours(1),     false, true},
    {"shutdown",        kDevice,     {},         minutes(10),  true,  true},
    {"reboot",          kDevice,     kReboot,    minutes(10),  true,  true},
    {"check-vmhost",    kVmHost,     kCheckHost, minutes(5),   false, true},
    {"create-network",  kVmHost,     kNetwork,   minutes(5),   false, true},
    {"create-vm",       kVmHost,     kCreateVm,  minutes(30),  false, true},
    {"delete-vm",       kVmHost,     kDeleteVm,  minutes(10),  false, true},
    {"start-vm",        kVmHost,     kStartVm,   minutes(5),   false, true},
    {"stop-vm",         kVmHost,     kStopVm,    minutes(5),   false, true},
    {"screenshot",      kVmHost,     kVm,        minutes(5),   false, true},
    {"boot-proof",      kVmHost,     kProof,     hours(1),     false, true},
    {"commit-undo",     kVmHost,     kVm,        hours(2),     false, true},
    {"discard-undo",    kVmHost,     kGoneVm,    minutes(10),  false, true},
};
// clang-format on

}  // namespace

std::span<const TaskType> task_types() { return kTypes; }

const TaskType* find_task_type(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.name == name; });
    return found == std::end(kTypes) ? nullptr : found;
}

const ParameterType* TaskType::parameter(std::string_view parameter_name) const {
    auto found =
        std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.name == parameter_name; });
    return found == parameters.end() ? nullptr : &*found;
}

bool TaskType::allows(Target target) const {
    return std::find(targets.begin(), targets.end(), target) != targets.end();
}

}  // namespace slipway::sequences
