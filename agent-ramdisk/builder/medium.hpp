// SPDX-License-Identifier: GPL-3.0-or-later
// The agent for machines that cannot boot from the network: an image that is a CD and a USB disk at once, for BIOS and
// UEFI (by grub-mkrescue), with all drivers; and a floppy that brings iPXE to a BIOS without PXE (by syslinux). Without
// a server the same medium works between the machine's disks and a USB disk, a share or a host (local.sh).
#pragma once

#include <filesystem>
#include <string>

#include "agent-ramdisk/builder/builder.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

struct MediumRequest {
    BuildRequest ramdisk;          // agent, ca, root, pre_system, level; the rest is the medium's own
    std::string server;            // "https://10.99.0.1:8443"; empty: for work without a server
    std::string bulk;              // "http://10.99.0.1:8480"
    std::string token;             // empty: asked for on the console of the machine
    std::string arguments;         // more of the kernel's command line: "console=ttyS0 slipway.run=…"
    std::filesystem::path script;  // what slipway.run=script runs
    std::filesystem::path slipway,
        fixup;                     // programs for the work without a server; those that are not there are left out
    std::filesystem::path output;  // a file
    std::int64_t made_unix = 0;    // no clock of a machine is earlier
    int cancel_fd = -1;            // readable when ramdisk.cancelled is set: ends the tools
};

struct MediumReport {
    BuildReport ramdisk;
    std::uint64_t bytes = 0;
};

// What grub.cfg says; pure. Errors: builder.medium, a value that would end its line or its word.
Result<std::string> grub_configuration(const MediumRequest& request);

// What would make all the work vain: a directory that is not there or not to be written to. An output that is a device
// is no file: --write-device is for it.
Status check_output(const std::filesystem::path& output);

Result<MediumReport> make_iso(const MediumRequest& request);

struct FloppyRequest {
    std::string http;  // where the boot script is: "http://10.99.0.1:8480"
    std::filesystem::path ipxe = "/usr/lib/ipxe/ipxe.lkrn";
    std::filesystem::path output;
    int cancel_fd = -1;
};
Result<std::string> floppy_script(const std::string& http);  // iPXE's; pure
Status make_floppy(const FloppyRequest& request);

// Onto a whole disk that nothing uses: the kernel itself refuses one that is mounted or otherwise held, and so are a
// partition and a disk that is too small. What was on the disk is gone.
Status check_device(const std::filesystem::path& device);  // before the image is made
Status write_to_device(const std::filesystem::path& image, const std::filesystem::path& device);

}  // namespace slipway::builder
