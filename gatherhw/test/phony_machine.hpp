// SPDX-License-Identifier: GPL-3.0-or-later
// A machine's /proc, /sys, /etc and a disk image, made in a directory: a BIOS server with a SAS controller, one MBR
// disk (ext4 root, swap), two e1000 cards, a serial port, a DVD drive and a RAID of two NVMe disks under LVM.
#pragma once

#include <filesystem>

namespace slipway::gatherhw {
void make_phony_machine(const std::filesystem::path& root);
}
