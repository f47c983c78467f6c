// SPDX-License-Identifier: GPL-3.0-or-later
// What validation says of a machine: rows of findings, each by a rule.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/exit_code.hpp"

namespace slipway::vmscript {

// NotChecked: the fact is not known, and to_do says where it comes from. It is no worse than OK.
enum class Verdict { Ok, NotChecked, Note, Warning, Error };
std::string_view name_of(Verdict verdict);  // "OK", "not checked", "note", "warning", "error"

enum class Group {
    Inventory,
    Processor,
    Memory,
    Disks,
    FileSystems,
    Boot,
    System,
    Network,
    Services,
    Devices,
    Agent,
    Space,
    Fleet
};
std::span<const Group> all_groups();             // in the order they are shown
std::string_view name_of(Group group);           // "file-systems", as --group takes it
std::string_view title_of(Group group);          // "File systems"
const Group* find_group(std::string_view name);  // nullptr: no such group

struct Finding {
    std::string id;  // of the rule: "disk-size"
    Group group = Group::Inventory;
    std::string title;  // of the rule: "Size of a disk"
    std::string what;   // "disk sda, 3.0 GiB"
    Verdict verdict = Verdict::Ok;
    std::string found;      // one sentence
    std::string why;        // why it matters
    std::string to_do;      // empty when nothing
    bool forcible = false;  // an error that --forcegenerate passes over: what is missing may come before the deployment
};

Verdict worst(const std::vector<Finding>& findings);
ExitCode exit_code_of(Verdict verdict);  // 0 up to a note, 3 a warning, 1 an error

}  // namespace slipway::vmscript
