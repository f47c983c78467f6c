// SPDX-License-Identifier: GPL-3.0-or-later
// The options of a repair and its outcome as text: one list and one reading of it, for slipway-fixup and `slipway
// fixup`.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/identity_options.hpp"

namespace slipway::fixup {

// Lives as long as the App it was added to.
class Options {
public:
    // what_disk: what kinds of disk the program takes.
    void add_to(CLI::App& app, const std::string& what_disk);
    // What was given; files that it names are read. Errors: fixup.request, fixup.personality, fixup.drivers-file and
    // reading's.
    Result<RepairRequest> request() const;

private:
    RepairRequest request_;
    std::string target_, firmware_ = "bios", fix_hal_ = "auto";
    std::vector<std::string> patch_directories_;
    std::vector<std::string> nics_, luks_keys_, drivers_;  // keys: files; drivers: directories
    IdentityOptions identity_;
};

// For people: the system, each change, each warning.
std::string to_text(const RepairReport& report);
int exit_code(const RepairReport& report);

}  // namespace slipway::fixup
