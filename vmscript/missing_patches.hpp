// SPDX-License-Identifier: GPL-3.0-or-later
// Which files the repair of a Windows will want from the patch library, told from its inventory. Pure but for reading
// the library beforehand. Nothing is guessed: what an answer hangs on and the inventory does not say is named.
//
// What an inventory has of a file may be its version alone (WMI), or all of it (a copy was imported). Then
//   which HAL hal.dll is       says the hardware ID of its device: setup installs the one by the other
//   which kernel is installed  says BuildType, unless boot.ini names another one
//   in which language          nothing: a file that the library has in no language at all is missing, others are open
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
    std::string version;        // "5.2.3790.3959"; empty: not known
    std::string original_name;  // "halmacpi.dll"; empty: not known
    std::string language;       // "0409", "0000"; empty: not known
};

struct HalFacts {
    std::string os_version;    // "5.2", "5.2.3790"
    std::string architecture;  // "x86", "i386", "amd64", …
    std::string hal;           // hardware ID: "acpiapic_mp"; empty: not known
    std::vector<SystemFileFact> files;
    std::optional<bool> multiprocessor = {};  // the kernel in use is for several processors
    bool pae = false;                         // ntkrnlpa.exe is the one in use
    std::string boot_ini = {};                // its text; empty: not known
};

struct MissingPatches {
    std::string why;                           // what happens to the HAL, in a sentence
    std::string refused;                       // what is asked for does not exist for this Windows; "": it does
    std::vector<std::string> unknown;          // "the version of system32\hal.dll": the answer is not whole without it
    std::vector<patches::WantedFile> wanted;   // all that the repair will install, as far as that is known
    std::vector<patches::WantedFile> missing;  // of these, what the library has not
    std::vector<std::string> any_language;     // "hal.dll 5.2.3790.3959, in whichever language": in no language there
    std::vector<std::string> warnings;
};

MissingPatches missing_patches(const HalFacts& facts, const patches::TargetMachine& target, patches::FixHal fix,
                               const patches::Library& library);

// What is missing for this machine in the libraries that the repair will look into: --hwpatchdir and the usual place. A
// library that is not there yet has nothing. Nothing where there is nothing to say: no Windows, or one that takes no
// patch files and what --fixhal asks for.
std::optional<PatchFiles> missing_patch_files(const gatherhw::Inventory& inventory, const Switches& switches);

}  // namespace slipway::vmscript
