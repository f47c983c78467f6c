// SPDX-License-Identifier: GPL-3.0-or-later
// The folders repository/user/PreSystem and PostSystem, where an operator drops in what Debian's kernel has not:
//   modules/…/NAME.ko[.xz]  drivers; each says itself for which kernel it is, others are left out with a note
//   firmware/…              becomes /lib/firmware/…
//   files/…                 becomes /…; executables in files/etc/slipway/{pre,post}-system.d/ are run, in order of name
//   without-driver          ids (VVVV:DDDD) that may have no driver
// PreSystem is in the ramdisk: what it takes to reach network and disks. PostSystem is fetched by the agent that has
// reached the server: the rest.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "agent-ramdisk/builder/modules.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

struct DropInFile {
    std::string path;  // in the ramdisk, without leading slash
    unsigned mode = 0644;
    Bytes content;
    std::string target;  // a symbolic link's; content is empty then
};

struct DropInModule {
    ExtraModule module;
    std::vector<std::string> firmware;
    Bytes content;  // unpacked
};

struct DropIns {
    std::vector<DropInModule> modules;  // for the kernel asked for
    std::vector<DropInFile> files;      // firmware and files
    std::set<std::string> without_driver;
    std::vector<std::string> notes;  // what was left out, and why
    bool empty() const { return modules.empty() && files.empty(); }
};

inline constexpr std::uint64_t kMaxDropIns = 512u << 20;  // bytes of a folder
inline constexpr std::size_t kMaxDropInFiles = 20000;

// A folder that is not there has nothing in it. Errors: builder.drop-in (too much), and what reading a file fails with.
Result<DropIns> read_drop_ins(const std::filesystem::path& folder, const std::string& kernel_version);

// Of a .ko or .ko.xz: its content unpacked.
Result<Bytes> unpack_module(Bytes file, const std::string& name);

}  // namespace slipway::builder
