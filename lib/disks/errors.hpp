// SPDX-License-Identifier: GPL-3.0-or-later
// The disk room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::disks::errors {

inline constexpr ErrorId kRange{
    "disks.range", "The disk or image is shorter than its own tables say; capture or copy it again.", false};
inline constexpr ErrorId kReadOnly{"disks.read-only",
                                   "Open the disk for writing, if it is really the one to be written.", false};
inline constexpr ErrorId kRead{
    "disks.read", "The medium could not be read there; a capture goes on and lists the lost range.", false};
inline constexpr ErrorId kWrite{"disks.write", "The medium could not be written there; replace it, then deploy again.",
                                false};
inline constexpr ErrorId kTable{"disks.partition-table",
                                "The partition table is damaged; the disk is captured sector by sector.", false};
inline constexpr ErrorId kVhdFooter{
    "disks.vhd-footer",
    "See `slipway vhd check FILE`; --repair mends what the copies allow. Else restore the file from its source.",
    false};
inline constexpr ErrorId kVhdHeader{
    "disks.vhd-header",
    "See `slipway vhd check FILE`; --repair mends what the copies allow. Else restore the file from its source.",
    false};
inline constexpr ErrorId kVhdUnsupported{
    "disks.vhd-unsupported", "See `slipway vhd --help` for what can be done with which kind of disk.", false};
inline constexpr ErrorId kVhdTooLarge{"disks.vhd-too-large", "A VHD holds at most 2040 GiB; use a raw disk instead.",
                                      false};
inline constexpr ErrorId kVhdParent{
    "disks.vhd-parent", "Bring the parent back, or name where it is: `slipway vhd reconnect FILE --parent PARENT`.",
    false};
inline constexpr ErrorId kVhdInUse{"disks.vhd-in-use", "Turn the virtual machine off, or wait for the other program.",
                                   true};
inline constexpr ErrorId kVhdHasChildren{
    "disks.vhd-has-children", "Merge the children first (`slipway vhd merge CHILD`), or work on the youngest of them.",
    false};
inline constexpr ErrorId kVhdCancelled{"disks.vhd-cancelled", "Nothing was changed under its name; run it again.",
                                       false};
inline constexpr ErrorId kFilesystem{"disks.filesystem", "The volume is captured sector by sector.", false};
inline constexpr ErrorId kVolumeManager{
    "disks.volume-manager", "The volumes below are captured sector by sector; see pvck, mdadm --examine.", false};
inline constexpr ErrorId kLuksKey{"disks.luks-key",
                                  "No key given opens the volume; try it with cryptsetup open --test-passphrase.", false};
inline constexpr ErrorId kLuksUnsupported{
    "disks.luks-unsupported", "The encrypted volume is captured sector by sector.", false};

inline constexpr ErrorId kNoPartition{"disks.no-partition",
                                      "See the disk's partition table (`slipway image show`) for the numbers.", false};
inline constexpr ErrorId kNoRoom{
    "disks.no-room", "Name the partition that the free space follows (the last one), or deploy without --grow.", false};
inline constexpr ErrorId kNbd{"disks.nbd", "The program at the other end is no NBD client, or it ended; start it again.",
                              false};

}  // namespace slipway::disks::errors
