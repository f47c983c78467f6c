// SPDX-License-Identifier: GPL-3.0-or-later
// A Windows as its WMI dumps, by class: what an administrator's wmic wrote of it. Tests change a class, or add a file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "lib/base/exit_code.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::vmscript {

using WmiDumps = std::map<std::string, std::string>;  // file name -> its bytes

// HERA, Windows Server 2003 SP2 on a BIOS with four processors and an MBR disk; nothing of its HAL and kernels.
WmiDumps server_2003_dumps();
// ATLAS, Windows Server 2016 on a GPT disk with an EFI system partition.
WmiDumps server_2016_dumps();

// The same as PowerShell lists it: Get-CimInstance CLASS | Format-List * | Out-File -Width 4096.
std::string format_list(const std::string& wmic);

// Replaces one text of a dump, which must be there once.
void change(WmiDumps& dumps, const std::string& file, const std::string& from, const std::string& to);

struct Said {
    std::string id, verdict, what, found, to_do;
};

// The import and the validation by the programs.
class WmiMigration {
public:
    // Imports the dumps as x.xml. Returns what the importer says on its way.
    std::string import(const WmiDumps& dumps) const;
    // What one rule says of x.xml, or all of them (""); an exit code of no verdict is a failure.
    std::vector<Said> said(const std::string& rule, std::vector<std::string> switches = {}) const;
    CommandResult run(const std::string& program, std::vector<std::string> arguments) const;
    std::string inventory() const;
    std::filesystem::path directory() const { return dir_.path(); }

private:
    TempDir dir_ = TempDir::create("wmi").value();
};

}  // namespace slipway::vmscript
