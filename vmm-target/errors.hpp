// SPDX-License-Identifier: GPL-3.0-or-later
// The VMM's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::vmm::errors {

inline constexpr ErrorId kDefinition{
    "vmm.definition", "Correct the VM definition; vmm-target/vm.xsd and vmscript's output show the form."};
inline constexpr ErrorId kNoVm{"vmm.no-vm", "Check the name; `slipway vm list` shows the machines of this host."};
inline constexpr ErrorId kVmExists{"vmm.vm-exists",
                                   "Delete the existing machine first (NAME_CleanupVM), or choose another name."};
inline constexpr ErrorId kDiskExists{"vmm.disk-exists",
                                     "A virtual disk is never overwritten: move the file away or choose another path."};
inline constexpr ErrorId kDiskMissing{"vmm.disk-missing", "Check the path of the virtual disk in the definition."};
inline constexpr ErrorId kLinkedDisk{
    "vmm.linked-disk",
    "Give the machine a whole disk that nothing else uses, by its lasting name in /dev/disk/by-id, with its size."};
inline constexpr ErrorId kMemory{"vmm.memory", "Stop another machine on this host, or give this one less memory.",
                                 true};
inline constexpr ErrorId kSpace{"vmm.space", "Free space on that file system, or use dynamically expanding disks.",
                                true};
inline constexpr ErrorId kState{"vmm.state",
                                "Bring the machine into the state that the message names, then try again."};
inline constexpr ErrorId kUndo{"vmm.undo", "Commit or discard the undo disk first."};
inline constexpr ErrorId kNoNetwork{"vmm.no-network", "Make it: slipway network create NAME."};
inline constexpr ErrorId kNetworkExists{"vmm.network-exists", "Remove the existing network first, or use it as it is."};
inline constexpr ErrorId kNetworkInUse{"vmm.network-in-use", "Delete the machines that are attached to it first."};
inline constexpr ErrorId kInterface{"vmm.interface", "Name a bridge, or a network card that carries no address."};
inline constexpr ErrorId kQemu{"vmm.qemu", "See QEMU's own words above; check that qemu-system-x86 is installed."};
inline constexpr ErrorId kQmp{"vmm.qmp", "Look at the machine's directory; stop and start it again.", true};
inline constexpr ErrorId kNoProof{"vmm.no-proof",
                                  "Look at the machine's screen; discard the undo disk, repair again and start again."};
inline constexpr ErrorId kRefused{
    "vmm.proof-refused", "The guest came up but not well, for the reason above: see its screen, repair it again."};
inline constexpr ErrorId kEnded{"vmm.ended",
                                "The machine went off by itself: look at its serial logs, start it again."};
inline constexpr ErrorId kCancelled{"vmm.cancelled", "Start the task again when it is wanted."};
inline constexpr ErrorId kTask{"vmm.task", "Correct the task's parameters; docs/architecture.md lists them."};

}  // namespace slipway::vmm::errors
