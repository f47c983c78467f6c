// SPDX-License-Identifier: GPL-3.0-or-later
// Plan -> the files of p2v/NAME/. Pure: the same plan gives the same bytes, so that edits can be told from what was
// generated.
#pragma once

#include <string>
#include <vector>

#include "gatherhw/model.hpp"
#include "vmscript/plan.hpp"

namespace slipway::vmscript {

struct GeneratedFile {
    std::string name;
    std::string text;
    bool executable = false;
};

// The twelve files of one migration, named as VSMT names them.
std::vector<GeneratedFile> render_files(const Plan& plan, const gatherhw::Inventory& inventory);
// slipway_initenv.sh: the defaults of all migrations, one directory above.
GeneratedFile render_initenv();

// ---- by topic
std::vector<GeneratedFile> render_scripts(const Plan& plan);    // render_scripts.cpp
std::vector<GeneratedFile> render_sequences(const Plan& plan);  // render_sequences.cpp
std::string render_definition(const Plan& plan);                // the VM, urn:slipway:vm:1 (render_definition.cpp)
std::string render_readme(const Plan& plan);
std::string render_boot_configuration(const gatherhw::Inventory& inventory);

std::vector<std::string> source_nics(const Plan& plan);  // "ens18=OLD-MAC", "Local Area Connection=OLD-MAC"
// "ens18=OLD-MAC=NEW-MAC;…", as the repair task takes it.
std::string nics_parameter(const Plan& plan);
// Disks and volumes, as the capture task takes them.
std::string disks_parameter(const Plan& plan);
std::string exclude_parameter(const Plan& plan);

}  // namespace slipway::vmscript
