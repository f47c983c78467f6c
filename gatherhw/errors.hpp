// SPDX-License-Identifier: GPL-3.0-or-later
// gatherhw's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::gatherhw::errors {

inline constexpr ErrorId kNotInventory{
    "gatherhw.not-an-inventory",
    "Give the XML file that gatherhw wrote on the source machine (root element 'inventory', namespace "
    "urn:slipway:inventory:1)."};
inline constexpr ErrorId kBadInventory{
    "gatherhw.bad-inventory",
    "The inventory was damaged or edited: run gatherhw on the source machine again, or correct the line named."};
inline constexpr ErrorId kOutput{
    "gatherhw.output",
    "Give a place that can be written: gatherhw --output /tmp/machine.xml, or --output - for standard output."};
inline constexpr ErrorId kBadDump{
    "gatherhw.bad-dump",
    "Give a file of the kind named: lshw -xml, udevadm info --export-db, dmidecode --dump-bin FILE, wmic CLASS get "
    "/format:list, Get-CimInstance CLASS | Format-List *, /proc/mdstat, /etc/lvm/backup/GROUP or /etc/fstab, each as "
    "it was written, unpacked and whole."};
inline constexpr ErrorId kNoImporter{
    "gatherhw.no-importer",
    "Install gatherhw-import beside gatherhw, or where PATH leads; the stick's copy of "
    "gatherhw alone cannot import."};
inline constexpr ErrorId kTooManyDumps{
    "gatherhw.too-many-dumps", "Give one file; only wmi takes several, one for each class of the same machine."};
inline constexpr ErrorId kNoRoot{"gatherhw.no-root",
                                 "Give the directory that holds the machine's /proc, /sys and /etc."};

}  // namespace slipway::gatherhw::errors
