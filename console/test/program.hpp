// SPDX-License-Identifier: GPL-3.0-or-later
// The real program, for the tests.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "lib/base/process.hpp"

namespace slipway::console {

struct Run {
    int code = -1;
    std::string out, error;
};

inline std::string slipway_program() {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return std::string(bin ? bin : "bin") + "/slipway";
}

inline Run slipway_run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), slipway_program());
    CommandOptions options;
    options.environment = {"SLIPWAY_URL=", "XDG_CONFIG_HOME=/nonexistent"};
    auto r = run_command(arguments, options);
    if (!r) return {};
    return {r->exit_code, r->output, r->error_text};
}

}  // namespace slipway::console
