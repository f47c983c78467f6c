// SPDX-License-Identifier: GPL-3.0-or-later
// A Windows of a file tree and two hives, for tests of single steps.
#pragma once

#include <functional>

#include "guest-fixup/guest.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::test {

struct WindowsGuest {
    FakeRoot root;
    TestKey system_tree, software_tree;
    std::string system, software;  // hives; made of the trees at the first run when empty
    RepairRequest request;
    windows::WindowsSystem windows{"/WINDOWS",     "Windows", 6, 1, 7601, 1, false, windows::Architecture::X86,
                                   "ControlSet001"};

    struct Outcome {
        Status status;
        std::vector<Change> changes;  // of both hives and the files
        std::vector<std::string> warnings;
    };
    Outcome run(const std::function<Status(windows::WindowsRepair&)>& step, bool dry_run = false) {
        if (system.empty()) system = make_hive(system_tree);
        if (software.empty()) software = make_hive(software_tree);
        auto system_hive = windows::Hive::open(system, "SYSTEM").value();
        auto software_hive = windows::Hive::open(software, "SOFTWARE").value();
        auto guest = Guest::open(root.path(), dry_run).value();
        RepairReport report;
        windows::WindowsRepair repair{
            request, guest, windows, system_hive, software_hive, report, [](const std::string&) {}};
        Outcome out{step(repair), guest.journal(), {}};
        for (auto* hive : {&system_hive, &software_hive})
            out.changes.insert(out.changes.end(), hive->journal().begin(), hive->journal().end());
        out.warnings = report.warnings;
        if (!dry_run) {
            system = system_hive.bytes().value();
            software = software_hive.bytes().value();
        }
        return out;
    }
    windows::Hive system_hive() const { return windows::Hive::open(system, "SYSTEM").value(); }
    windows::Hive software_hive() const { return windows::Hive::open(software, "SOFTWARE").value(); }
    // The one file in a directory; "" when there is none or more.
    std::string only_file(const std::string& directory) const {
        std::string found;
        for (const auto& [name, content] : root.everything())
            if (name.starts_with(directory + "/")) {
                if (!found.empty()) return "";
                found = name;
            }
        return found;
    }
};

}  // namespace slipway::fixup::test
