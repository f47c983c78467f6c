// SPDX-License-Identifier: GPL-3.0-or-later
// Makes what a device boots: Debian's kernel, and a ramdisk of exactly the files that the Deployment Agent needs, as a
// cpio archive (cpio.hpp) compressed by zstd. The same inputs make the same bytes, so a ramdisk is kept by its content:
//   OUTPUT/kernel                          the kernel of all ramdisks
//   OUTPUT/ramdisk/by-content/KEY          KEY: SHA-256 of what goes in (plan_ramdisk)
//   OUTPUT/ramdisk/NAME                    a hard link to one of them: its link count says whether it is used
//   OUTPUT/about/by-content/KEY.json, OUTPUT/about/NAME.json   the BuildReport
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent-ramdisk/builder/dropins.hpp"
#include "agent-ramdisk/builder/modules.hpp"
#include "gatherhw/model.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

struct BuildRequest {
    std::filesystem::path agent;                   // slipway-agent-da, or a script (tests); empty: none
    std::filesystem::path ca;                      // PEM, goes to /etc/slipway/ca.pem; empty: a medium without a server
    std::filesystem::path output;                  // the server's STATE/boot
    std::string name = "default";                  // or the device that alone boots this ramdisk
    std::optional<gatherhw::Inventory> inventory;  // modules for this machine alone; without: the default set
    ModuleSet set = ModuleSet::Machine;            // Broad: for machines of which nothing is known
    std::string kernel;                            // "6.1.0-28-amd64"; empty: the newest installed
    bool keep_kernel = false;                      // OUTPUT/kernel stays; `kernel` is that one's version
    std::filesystem::path pre_system;              // drop-ins; empty: none
    std::filesystem::path root = "/";              // where kernel, modules, libraries and busybox are taken from
    std::filesystem::path busybox = "/bin/busybox";  // static; below root
    int level = 12;                                  // of zstd: 19 is a tenth smaller and takes ten times as long
    std::vector<std::filesystem::path> programs;     // more of them, with their libraries: to /usr/bin
    bool repair_tools = false;  // lvm, mdadm, cryptsetup and their drivers; also when the inventory has such volumes
    std::vector<std::string> more_modules;
    std::vector<std::pair<std::string, std::filesystem::path>> more_files;  // path in the ramdisk (0755), file
    std::string by = "slipway-ramdisk";                                     // who asked, for the report
    std::function<void(const std::string&)> say;                            // what is being done; may be empty
    const std::atomic<bool>* cancelled = nullptr;                           // set by a signal: builder.interrupted
};

struct ModuleLine {
    std::string name;
    std::uint64_t bytes = 0;  // unpacked
    std::string why;
};

struct BuildReport {
    std::filesystem::path kernel, ramdisk;
    std::string key, by;
    std::string kernel_version;
    std::uint64_t kernel_bytes = 0, ramdisk_bytes = 0;
    std::uint64_t unpacked_bytes = 0;  // of the ramdisk: what it takes of the machine's memory
    std::uint64_t agent_bytes = 0;     // of these: the agent and its libraries, without symbols
    std::uint64_t module_bytes = 0;    // as they lie in the ramdisk, packed by xz
    std::uint64_t firmware_bytes = 0, drop_in_bytes = 0;
    std::vector<ModuleLine> modules;
    std::vector<std::string> libraries, firmware;
    std::vector<std::string> notes;  // what an operator may want to know: modules that this kernel has not
    bool built = false;              // false: it was there already
};
std::string to_json(const BuildReport& report);
Result<BuildReport> report_from_json(std::string_view text);

// The modules of one kernel and the drop-ins for it: read once, used for many machines.
struct KernelModules {
    std::string version;
    std::filesystem::path directory;  // /lib/modules/VERSION
    ModuleIndex index;
    DropIns drop_ins;
};
Result<std::shared_ptr<const KernelModules>> read_kernel_modules(const std::filesystem::path& root,
                                                                 const std::string& version,
                                                                 const std::filesystem::path& pre_system);

// Takes a ramdisk of the same content, or makes it, and gives it its name. Two that run at once make the same files.
Result<BuildReport> build_ramdisk(const BuildRequest& request, const KernelModules* modules = nullptr);

// Gives a ramdisk that is there another name, with the modules' reasons of `report`. An error when it is gone.
Result<BuildReport> name_ramdisk(const BuildRequest& request, BuildReport report);

// What a running agent fetches, as a cpio archive that is not compressed (its modules are): the folder PostSystem.
// Empty: nothing is in it.
struct PostSystem {
    Bytes archive;
    std::vector<std::string> notes;
};
Result<PostSystem> build_post_system(const std::filesystem::path& root, const std::string& version,
                                     const std::filesystem::path& folder);

// Ramdisks that no name refers to go once they are older than ten minutes.
void remove_unused(const std::filesystem::path& output);

// The installed kernels that have modules and an image, newest last.
std::vector<std::string> installed_kernels(const std::filesystem::path& root);

}  // namespace slipway::builder
