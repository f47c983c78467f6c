// SPDX-License-Identifier: GPL-3.0-or-later
// The files that switches name, and writing the generated ones without losing what an operator edited.
#pragma once

#include <filesystem>

#include "lib/base/result.hpp"
#include "vmscript/render.hpp"

namespace slipway::vmscript {

// service_driver_state, a file's name, becomes the file's text: the sequences go to machines that do not have the file.
// What is in it is read at the repair. device_list and agent_drivers as well, for the validation.
// Errors: vmscript.bad-value, and those of a file that cannot be read.
Status load_files(Switches& switches);

// Makes BASE/p2v/NAME/ with the files and BASE/p2v/slipway_initenv.sh where that is absent; returns the directory.
// Errors: vmscript.edited when a file there has another content and force is false (nothing is written then).
Result<std::filesystem::path> write_files(const std::filesystem::path& base, const std::string& name,
                                          const std::vector<GeneratedFile>& files, bool force);

}  // namespace slipway::vmscript
