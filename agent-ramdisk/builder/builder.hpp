// SPDX-License-Identifier: GPL-3.0-or-later
// Makes what a device boots: Debian's kernel, and a ramdisk of exactly the files that the Deployment Agent needs, as a
// cpio archive (cpio.hpp) compressed by zstd. The same inputs make the same bytes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

struct BuildRequest {
    std::filesystem::path agent;                     // slipway-agent-da; a script serves as well (tests)
    std::filesystem::path ca;                        // PEM, goes to /etc/slipway/ca.pem
    std::filesystem::path output;                    // the server's STATE/boot: gets `kernel` and `ramdisk/NAME`
    std::string name = "default";                    // or the device that alone boots this ramdisk
    std::optional<gatherhw::Inventory> inventory;    // modules for this machine alone; without: the default set
    std::string kernel;                              // "6.1.0-28-amd64"; empty: the newest installed
    std::filesystem::path root = "/";                // where kernel, modules, libraries and busybox are taken from
    std::filesystem::path busybox = "/bin/busybox";  // static; below root
    int level = 12;                                  // of zstd: 19 is a tenth smaller and takes ten times as long
};

struct BuildReport {
    std::filesystem::path kernel, ramdisk;
    std::string kernel_version;
    std::uint64_t kernel_bytes = 0, ramdisk_bytes = 0;
    std::uint64_t unpacked_bytes = 0;  // of the ramdisk: what it takes of the machine's memory
    std::uint64_t agent_bytes = 0;     // of these: the agent and its libraries, without symbols
    std::uint64_t module_bytes = 0;
    std::vector<std::string> modules, libraries;
    std::vector<std::string> notes;  // what an operator may want to know: modules that this kernel has not
};

Result<BuildReport> build_ramdisk(const BuildRequest& request);

// The installed kernels that have modules and an image, newest last.
std::vector<std::string> installed_kernels(const std::filesystem::path& root);

}  // namespace slipway::builder
