// SPDX-License-Identifier: GPL-3.0-or-later
// NTFS 1.2, 3.0 and 3.1 by used clusters.
//
// Kept: every cluster that $Bitmap calls used, and everything behind the last cluster (the backup boot sector).
// Clusters that $BadClus names are not read: they hold no file, and reading them stalls or fails. A note has their
// number.
// The whole volume is kept, with the reason in why_all, when
//   - Windows is hibernated on it, or "fast startup" left its session there: hiberfil.sys in the root directory begins
//     with "hibr" or "rstr", any case (state Hibernated);
//   - it is marked dirty, chkdsk is under way, or $LogFile was not closed: an in-use client and no clean mark in the
//     newer restart page, or log version 2, which Windows 8 and later leaves only while it holds metadata in memory
//     (state NeedsRecovery; the rule of ntfs-3g and Linux ntfs3);
//   - anything in the structures read does not add up: $MFT and $MFTMirr differ in the first four records, $Bitmap is
//     shorter than the volume, or calls clusters of $MFT, $MFTMirr, $LogFile, $Bitmap or $Boot free, …
// MapOptions::drop_page_files leaves out the clusters of \pagefile.sys, \swapfile.sys and \hiberfil.sys (that last one
// when its header says that nothing is to be resumed). Compressed, encrypted or sparse ones are kept. A cluster that
// another of these files, or a system file above, has as well makes the whole volume count; other files' runs are not
// searched for it: that would take the whole file table, and a volume that is not dirty has no such clusters.
// Compression, encryption, reparse points and deduplication do not matter here: their clusters are in $Bitmap.
//
// Limits: clusters to 2 MiB, file records to 4 KiB, 2^18 runs of a system file, 64 MiB of root directory. $Bitmap is
// streamed; with the worst fragmentation a map takes 32 MiB.
#pragma once

#include "lib/disks/maps/ntfs_records.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::disks {

// head: as map_used reads it. Only a read error is an Error.
Result<UsedMap> map_ntfs(BlockDevice& volume, ByteView head, const ntfs::Boot& boot, const MapOptions& options);

}  // namespace slipway::disks
