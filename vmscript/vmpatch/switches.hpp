// SPDX-License-Identifier: GPL-3.0-or-later
// vmpatch's command line in both spellings, as vmscript's: --s PATH, --s=PATH and VSMT's /s:PATH, any case.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/patches/library.hpp"

namespace slipway::vmpatch {

enum class Command { Fill, List, Help, Version };

struct Switches {
    Command command = Command::Fill;
    std::vector<std::string> sources;
    std::string library = patches::kDefaultLibrary;
    bool json = false;
};

// arguments without the program's name. Errors: vmpatch.usage.
Result<Switches> parse_switches(const std::vector<std::string>& arguments);
std::string help_text();

}  // namespace slipway::vmpatch
