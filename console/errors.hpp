// SPDX-License-Identifier: GPL-3.0-or-later
// The console's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::console::errors {

inline constexpr ErrorId kNoServer{
    "console.no-server", "Set SLIPWAY_URL, or run `slipway server login --url URL --ca FILE --token-file FILE`.",
    false};
inline constexpr ErrorId kBadAnswer{"console.bad-answer",
                                    "Check that SLIPWAY_URL names a Slipway server of this version.", false};
inline constexpr ErrorId kJobFailed{"console.job-failed", "See `slipway job show ID` for the failed step and its log.",
                                    false};
inline constexpr ErrorId kSourceInUse{
    "console.source-in-use",
    "Unmount it (or mount it read-only), or capture the machine from the agent; --live takes it as it runs.", false};
inline constexpr ErrorId kHibernated{"console.hibernated",
                                     "Start Windows and shut it down fully (`shutdown /s /t 0`, fast startup off), or "
                                     "leave the volume out by --exclude; "
                                     "--allow-hibernated takes it as it is.",
                                     false};
inline constexpr ErrorId kTargetInUse{"console.target-in-use",
                                      "Unmount it first, if it is really the disk to be overwritten.", false};
inline constexpr ErrorId kInterrupted{
    "console.interrupted", "Follow it again with `slipway job wait ID`, or stop it with `slipway job cancel ID`.",
    false};
inline constexpr ErrorId kNotFit{"console.not-fit",
                                 "See `vmscript --hwvalidate --hwinfofile FILE` for what to do about each.", false};
inline constexpr ErrorId kOtherMachine{
    "console.other-machine",
    "The source is captured under a name of its own: undo the earlier migration with NAME_CleanupVM.sh, or choose "
    "another name.",
    false};
inline constexpr ErrorId kInTheClear{
    "console.in-the-clear", "Give the server's https URL: the token would be open to anyone on the way.", false};
inline constexpr ErrorId kTerminal{"console.terminal", "Send standard output into a pipe or a file.", false};
inline constexpr ErrorId kNoFuse{"console.no-fuse",
                                 "Load the module (`modprobe fuse`); in a container pass /dev/fuse in and allow "
                                 "mounting. Without it, `slipway image "
                                 "deploy` writes a disk of the image into a file.",
                                 false};
inline constexpr ErrorId kMountPoint{
    "console.mount-point",
    "Give an empty directory, or one to be made; a dead mount is taken away by `slipway image unmount DIR`.", false};
inline constexpr ErrorId kMountFailed{
    "console.mount-failed", "Mount as root, or install fuse3 for a user's own mounts; `dmesg` may say more.", false};
inline constexpr ErrorId kNotMounted{"console.not-mounted", "`findmnt -t fuse.slipway` lists the mounted images.",
                                     false};
inline constexpr ErrorId kMountBusy{
    "console.mount-busy", "Close what uses it (`fuser -vm DIR` lists the processes), then unmount again.", true};
inline constexpr ErrorId kNeedsRoot{
    "console.needs-root", "Run it as root, or without --files: the disks and volumes are served as files then.", false};
inline constexpr ErrorId kManyVersions{
    "console.many-versions", "Name the one to delete as NAME@VERSION, or give --all-versions to delete them all.",
    false};
inline constexpr ErrorId kDeployInterrupted{
    "console.deploy-interrupted",
    "Run the same command again with --resume: what is there already stays, only the rest is written.", false};
inline constexpr ErrorId kNoReservation{
    "console.no-reservation", "See `slipway dhcp show`; what the server's --dhcp reserves stands there.", false};
inline constexpr ErrorId kNoProgram{"console.no-program",
                                    "Install Slipway as a whole, or run slipway-ramdisk where it is.", false};
inline constexpr ErrorId kNoAppliance{"console.no-appliance",
                                      "Install qemu-system-x86, busybox-static and linux-image-amd64; `--appliance "
                                      "never` repairs by this machine's kernel "
                                      "alone.",
                                      false};
inline constexpr ErrorId kApplianceEnded{
    "console.appliance-ended",
    "Run the same command again: what was changed is known in the disk's journal. If it ends so again, see its last "
    "words above.",
    true};
inline constexpr ErrorId kApplianceSilent{
    "console.appliance-silent",
    "Run the same command again, when this machine has less to do; the appliance was ended.", true};
inline constexpr ErrorId kRepairInterrupted{
    "console.repair-interrupted",
    "Run the same command again, or --undo: it begins with what the disk's journal has open.", false};
inline constexpr ErrorId kUsage{"console.usage", "See --help for the accepted forms.", false};

}  // namespace slipway::console::errors
