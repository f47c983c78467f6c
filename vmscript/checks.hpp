// SPDX-License-Identifier: GPL-3.0-or-later
// What would stop or trouble the migration of a machine: rows of findings over its inventory. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/exit_code.hpp"
#include "vmscript/switches.hpp"

namespace slipway::vmscript {

enum class Verdict { Ok, Warning, Error };
std::string_view name_of(Verdict verdict);  // "OK", "warning", "error"

struct Finding {
    std::string id;    // "disk-size"
    std::string what;  // "disk sda, 3.0 GiB"
    Verdict verdict = Verdict::Ok;
    std::string meaning;  // one sentence
    std::string to_do;    // empty when nothing
};

// reader_warnings: what the inventory's reader did not know.
std::vector<Finding> check(const gatherhw::Inventory& inventory, const Switches& switches,
                           const std::vector<std::string>& reader_warnings = {});

Verdict worst(const std::vector<Finding>& findings);
ExitCode exit_code_of(Verdict verdict);  // 0, 3, 1

std::string findings_text(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings);
std::string findings_json(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings);

}  // namespace slipway::vmscript
