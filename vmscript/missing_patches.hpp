// SPDX-License-Identifier: GPL-3.0-or-later
// Which files the repair of a Windows will want from the patch library, told from its inventory. Pure but for reading
// the library beforehand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/patches/hal_policy.hpp"
#include "vmscript/switches.hpp"
#include "vmscript/validation/surroundings.hpp"

namespace slipway::vmscript {

// What an inventory says of a file of system32.
struct SystemFileFact {
    std::string path;           // "C:\WINDOWS\system32\hal.dll"
    std::string version;        // "5.2.3790.3959"
    std::string original_name;  // "halmacpi.dll"
    std::string language;       // "0409"; empty: neutral
};

struct HalFacts {
    std::string os_version;    // "5.2", "5.2.3790"
    std::string architecture;  // "x86", "i386", "amd64", …
    std::string hal;           // hardware ID: "acpiapic_mp"
    std::vector<SystemFileFact> files;
};

struct MissingPatches {
    bool known = true;                         // false: the inventory does not say which files there are; why says so
    std::string why;                           // what happens to the HAL, in a sentence
    std::vector<patches::WantedFile> wanted;   // all that the repair will install
    std::vector<patches::WantedFile> missing;  // of these, what the library has not
    std::vector<std::string> warnings;
};

// Errors: patches.hal (what is asked for does not exist for this Windows).
Result<MissingPatches> missing_patches(const HalFacts& facts, const patches::TargetMachine& target, patches::FixHal fix,
                                       const patches::Library& library);

// What is missing for this machine in the libraries that the repair will look into: --hwpatchdir and the usual place. A
// library that is not there yet has nothing. Nothing when its Windows takes no patch files, or when the inventory says
// too little. Errors: patches.hal.
Result<std::optional<PatchFiles>> missing_patch_files(const gatherhw::Inventory& inventory, const Switches& switches);

}  // namespace slipway::vmscript
