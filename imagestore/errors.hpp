// SPDX-License-Identifier: GPL-3.0-or-later
// The imagestore room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::imagestore::errors {

inline constexpr ErrorId kNotAStore{
    "imagestore.not-a-store",
    "Give the directory of a Slipway store; a new one is made by the first capture into an empty directory.", false};
inline constexpr ErrorId kNewerFormat{"imagestore.newer-format",
                                      "Use the Slipway version that wrote it, or a later one.", false};
inline constexpr ErrorId kBadName{
    "imagestore.bad-name",
    "Use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64; a version is NAME@NUMBER.",
    false};
inline constexpr ErrorId kNoImage{"imagestore.no-image",
                                  "See `slipway image list` for the names and versions in this store.", false};
inline constexpr ErrorId kBadManifest{
    "imagestore.bad-manifest",
    "The manifest is damaged: run `slipway image verify`, then use another version or capture again.", false};
inline constexpr ErrorId kBadPack{
    "imagestore.bad-pack",
    "Run `slipway image verify --heal`: it names the images that are hurt; then capture those machines again.", false};
inline constexpr ErrorId kBadChunk{
    "imagestore.bad-chunk",
    "The chunk does not hold what its name says: run `slipway image verify --heal`; over a network, try again.", false};
inline constexpr ErrorId kChunkMissing{
    "imagestore.chunk-missing",
    "Run `slipway image verify --heal`: it names the images that are hurt; then capture those machines again.", false};
inline constexpr ErrorId kCommitIncomplete{
    "imagestore.commit-incomplete",
    "Chunks vanished while the capture ran (gc with too short a grace, or a failing disk); capture again.", true};
inline constexpr ErrorId kTargetTooSmall{"imagestore.target-too-small",
                                         "Choose a target disk of at least the size named.", false};
inline constexpr ErrorId kTargetSectors{"imagestore.target-sectors",
                                        "Choose a target whose logical sector size is that of the source disk.", false};
inline constexpr ErrorId kNoDisk{"imagestore.no-disk", "See `slipway image show NAME` for the disks of the image.",
                                 false};
inline constexpr ErrorId kVerifyFailed{
    "imagestore.verify-failed",
    "The target gave back other bytes than were written; replace the target disk, or check its cable and memory.",
    false};
inline constexpr ErrorId kInconsistent{
    "imagestore.inconsistent",
    "The image was taken from a running system and serves only as the --base of an offline capture; deploy that one.",
    false};
inline constexpr ErrorId kCancelled{"imagestore.cancelled",
                                    "Start it again when wanted: what is stored is not sent twice.", false};
inline constexpr ErrorId kSourceFailing{
    "imagestore.source-failing",
    "The source disk fails too often to go on; copy it with a rescue tool first and capture the copy.", false};
inline constexpr ErrorId kNoPartition{
    "imagestore.no-partition", "See `slipway image show` or the source's partition table for the numbers.", false};
inline constexpr ErrorId kWriterBroken{
    "imagestore.writer-broken",
    "An earlier write to the store failed; free space or mend the disk, then start the capture again.", true};
inline constexpr ErrorId kBadArchive{
    "imagestore.bad-archive",
    "Copy the file again from where it was exported, or export it again; what was imported so far is kept.", false};
inline constexpr ErrorId kNoEarlier{
    "imagestore.no-earlier", "Name both: `slipway image diff A B`; `slipway image list` has the versions.", false};
inline constexpr ErrorId kMemory{"imagestore.memory", "Give a larger --memory.", false};

inline constexpr ErrorId kCutSource{
    "imagestore.cut-source",
    "The other side ended early: start it again. What is stored is not stored twice, and no image was made.", false};
inline constexpr ErrorId kNotUnfinished{
    "imagestore.not-unfinished",
    "Leave --resume out to lay the image over a device; remove a file, or give another name.", false};
inline constexpr ErrorId kEmptySource{
    "imagestore.empty-source",
    "Check that it is the right disk, and the program on the other side of a pipe; then start again.", false};
inline constexpr ErrorId kSnapshot{
    "imagestore.snapshot", "Free space in the volume group or unmount the volume; nothing was kept of this capture.",
    false};

}  // namespace slipway::imagestore::errors
