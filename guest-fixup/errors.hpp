// SPDX-License-Identifier: GPL-3.0-or-later
// The repair's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::fixup::errors {

inline constexpr ErrorId kRequest{"fixup.request",
                                  "Correct the request; slipway-fixup --help shows the accepted forms.", false};
inline constexpr ErrorId kNotRoot{"fixup.not-root", "Run as root: the repair mounts the guest's file systems.", false};
inline constexpr ErrorId kNoLoop{
    "fixup.no-loop",
    "Load the loop module (modprobe loop), free a loop device (losetup -a), or use `slipway fixup --appliance always`.",
    false};
inline constexpr ErrorId kImageFormat{
    "fixup.image-format",
    "Raw disks and VHDs are repaired: convert it (qemu-img convert -O raw). `slipway fixup` also opens dynamic and "
    "differencing VHDs, in its appliance.",
    false};
inline constexpr ErrorId kNoRoot{
    "fixup.no-root", "Check that this is the system disk, and give the machine's other disks too (--more-disk).",
    false};
inline constexpr ErrorId kManyRoots{"fixup.many-roots", "Say which one is meant: --root-volume with one of the names.",
                                    false};
inline constexpr ErrorId kNeedsAgent{"fixup.needs-agent",
                                     "Use `slipway fixup`, which runs the agent as an appliance, or repair in the "
                                     "agent; its ramdisk needs the repair tools (slipway-ramdisk build --repair-tools).",
                                     false};
inline constexpr ErrorId kIncomplete{
    "fixup.incomplete", "Give the other disks of the machine too: --more-disk, or `more-disks` of the task.", false};
inline constexpr ErrorId kLocked{
    "fixup.locked", "Give the passphrase or the key file of the encrypted volume: --luks-key FILE.", false};
inline constexpr ErrorId kInUse{"fixup.in-use",
                                "Something on this host uses the disk: unmount it, deactivate its volume group "
                                "(vgchange -an) or stop its array (mdadm --stop) first.",
                                false};
inline constexpr ErrorId kBusy{"fixup.busy", "Wait until the other repair has ended, then repair again.", true};
inline constexpr ErrorId kReadOnly{
    "fixup.read-only", "Nothing was changed. Give a disk that can be written to, or look with --dry-run.", false};
inline constexpr ErrorId kCutShort{"fixup.cut-short",
                                   "The image is only a part of a disk: copy or capture the disk again, whole.", false};
inline constexpr ErrorId kActivate{
    "fixup.activate", "See the tool's own words above; the disk may need a check by its own system.", false};
inline constexpr ErrorId kMount{"fixup.mount", "Run fsck on a copy of that file system, then repair again.", false};
inline constexpr ErrorId kDirty{
    "fixup.dirty", "Boot the source and shut it down cleanly, then capture again; or run fsck on the deployed disk.",
    false};
inline constexpr ErrorId kDistribution{"fixup.distribution",
                                       "Install the distribution's own initramfs tool in the source and capture again; "
                                       "or add the target's drivers to its initramfs by hand before capture.",
                                       false};
inline constexpr ErrorId kNoKernel{"fixup.no-kernel", "Install a kernel package in the source and capture again.",
                                   false};
inline constexpr ErrorId kNoDriver{
    "fixup.no-driver", "Install the distribution's full kernel in the source, or choose another target controller.",
    false};
inline constexpr ErrorId kInitramfs{
    "fixup.initramfs",
    "See the guest tool's own words above; often the guest's disk is full. The old initramfs is in place again.",
    false};
inline constexpr ErrorId kBootLoader{
    "fixup.boot-loader",
    "Choose the target's firmware that the system is set up for, or set the source up for the other and capture again.",
    false};
inline constexpr ErrorId kLilo{
    "fixup.lilo", "Install GRUB in the source in place of LILO and capture again; LILO cannot be set up offline.",
    false};
inline constexpr ErrorId kGuestFile{
    "fixup.guest-file", "The file in the guest is not of the expected kind; look at it from a rescue system.", false};
inline constexpr ErrorId kJournal{
    "fixup.journal",
    "Nothing was changed. Move the journal's directory in the guest away "
    "(/var/lib/slipway/repair; of a Windows slipway\\repair and slipway\\sectors.json in "
    "%SystemRoot%) and repair again; what earlier repairs changed can then not be undone.",
    false};
inline constexpr ErrorId kChangedSince{
    "fixup.changed-since",
    "Nothing was undone: these files were changed after the repair, as a Windows that starts does with its registry. "
    "Deploy again from the image; or, to lose those changes, copy the kept originals over the files by hand and undo "
    "again (docs/repair.md, \"When an undo is refused\").",
    false};
inline constexpr ErrorId kGuestFull{
    "fixup.guest-full",
    "Everything is as it was. Free space on the guest's file system, or deploy to a larger disk, and repair again.",
    false};
inline constexpr ErrorId kCancelled{"fixup.cancelled", "Start the repair again when wanted.", true};
inline constexpr ErrorId kNotTakenBack{
    "fixup.not-taken-back",
    "Start the repair again, or --undo: the guest's journal knows what is open, and it begins with that.", true};
inline constexpr ErrorId kWire{"fixup.wire", "Use a slipway-fixup of the same version as `slipway`; run it again.",
                               false};
inline constexpr ErrorId kNetwork{"fixup.network", "Check the --nic mapping against the inventory.", false};

// ---- personality, vendor agents
inline constexpr ErrorId kPersonality{
    "fixup.personality", "Correct the personality: docs/repair.md, \"Personality\", has its members.", false};
inline constexpr ErrorId kDriversFile{"fixup.drivers-file",
                                      "Correct the drivers file: <Configuration> with <Service Name= "
                                      "Start=\"Disable\"/>, <Driver Name= Start=\"Disable\"/> "
                                      "and <Program Name= Action=\"Remove\"/>, in UTF-8.",
                                      false};

// ---- Windows
inline constexpr ErrorId kHive{"fixup.hive",
                               "The registry file is damaged: restore it from the guest's own copy (RegBack, repair, "
                               "System Volume Information), or capture the source again.",
                               false};
inline constexpr ErrorId kHiveDirty{"fixup.hive-dirty", "Its transaction log has to be replayed first.", false};
inline constexpr ErrorId kHiveEdit{
    "fixup.hive-edit", "Nothing was written. Make this change in the running source, and capture it again.", false};
inline constexpr ErrorId kNoCharacterSets{
    "fixup.no-character-sets",
    "Install the C library's gconv modules ISO8859-1 and UTF-16 here (Debian: libc6); make the agent's ramdisk again.",
    false};
inline constexpr ErrorId kHiveLog{
    "fixup.hive-log", "Start the source, shut it down cleanly (shutdown /s /t 0), and capture it again.", false};
inline constexpr ErrorId kHibernated{"fixup.hibernated",
                                     "Start the source, switch fast startup and hibernation off (powercfg /h off), "
                                     "shut it down cleanly, and capture it again.",
                                     false};
inline constexpr ErrorId kWindows{"fixup.windows", "Check that this is the disk with the system's own Windows folder.",
                                  false};
inline constexpr ErrorId kPatches{
    "fixup.patches", "Put the files named into the patch library with vmpatch /s:PATH, and repair again.", false};
inline constexpr ErrorId kDrivers{
    "fixup.drivers",
    "Give the folder with the driver for this Windows and machine, whole: its .inf, .sys and .cat files (--drivers).",
    false};

}  // namespace slipway::fixup::errors
