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
    "Load the loop module (modprobe loop), free a loop device (losetup -a), or run the repair in the agent.", false};
inline constexpr ErrorId kImageFormat{
    "fixup.image-format",
    "Convert the image to raw or a fixed VHD, or run the repair in the agent, where the disk is a real one.", false};
inline constexpr ErrorId kNoRoot{
    "fixup.no-root", "Check that this is the system disk, and give the machine's other disks too (--more-disk).",
    false};
inline constexpr ErrorId kManyRoots{"fixup.many-roots", "Say which one is meant: --root-volume with one of the names.",
                                    false};
inline constexpr ErrorId kNeedsAgent{"fixup.needs-agent",
                                     "Use `slipway fixup`, which runs the agent as an appliance, or repair in the "
                                     "agent; its ramdisk needs the repair tools (slipway-ramdisk --repair-tools).",
                                     false};
inline constexpr ErrorId kIncomplete{
    "fixup.incomplete", "Give the other disks of the machine too: --more-disk, or `more-disks` of the task.", false};
inline constexpr ErrorId kLocked{
    "fixup.locked", "Give the passphrase or the key file of the encrypted volume: --luks-key FILE.", false};
inline constexpr ErrorId kInUse{"fixup.in-use",
                                "Something on this host uses the disk: unmount it, deactivate its volume group "
                                "(vgchange -an) or stop its array (mdadm --stop) first.",
                                false};
inline constexpr ErrorId kActivate{
    "fixup.activate", "See the tool's own words above; the disk may need a check by its own system.", false};
inline constexpr ErrorId kMount{"fixup.mount", "Run fsck on a copy of that file system, then repair again.", false};
inline constexpr ErrorId kDirty{
    "fixup.dirty", "Boot the source and shut it down cleanly, then capture again; or run fsck on the deployed disk.",
    false};
inline constexpr ErrorId kDistribution{"fixup.distribution",
                                       "Debian and Ubuntu (initramfs-tools) and systems with dracut are repaired; on "
                                       "another, add the target's drivers to its initramfs by hand before capture.",
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
    "fixup.boot-loader", "See the guest tool's own words above; grub-install can be run from a rescue system.", false};
inline constexpr ErrorId kGuestFile{
    "fixup.guest-file", "The file in the guest is not of the expected kind; look at it from a rescue system.", false};
inline constexpr ErrorId kNetwork{"fixup.network", "Check the --nic mapping against the inventory.", false};

}  // namespace slipway::fixup::errors
