// SPDX-License-Identifier: GPL-3.0-or-later
#include <iostream>

#include <slipway_version.hpp>

#include "gatherhw/reader.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/checks.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/output.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"
#include "vmscript/switches.hpp"

using namespace slipway;
using namespace slipway::vmscript;

namespace {

Result<ExitCode> validate(const Switches& switches, const gatherhw::ReadInventory& read) {
    auto findings = check(read.inventory, switches, read.warnings);
    std::cout << (switches.json ? findings_json(read.inventory, findings) : findings_text(read.inventory, findings));
    return exit_code_of(worst(findings));
}

// An NT source is captured and deployed like any other; only its repair is not in this version.
bool forced(const Finding& f, const Switches& switches, const gatherhw::Inventory& inventory) {
    return switches.force && inventory.os.family == "windows" && (f.id == "os" || f.id == "root");
}

Result<ExitCode> generate(const Switches& switches, const gatherhw::ReadInventory& read) {
    std::vector<std::string> errors;
    for (const auto& f : check(read.inventory, switches, read.warnings)) {
        const bool goes_on = f.verdict == Verdict::Warning || forced(f, switches, read.inventory);
        if (f.verdict == Verdict::Error && !goes_on) errors.push_back(f.what + ": " + f.meaning);
        if (f.verdict != Verdict::Ok && goes_on)
            std::cerr << "warning: " << f.what << ": " << f.meaning << " " << f.to_do << "\n";
    }
    if (!errors.empty()) return make_error(errors::kNotFit, "{}", join(errors, "; "));
    auto plan = TRY(make_plan(read.inventory, switches));
    auto files = render_files(plan, read.inventory);
    auto directory = TRY(write_files(switches.task_sequence_path, plan.name, files, switches.force));
    std::cout << "written: " << directory.string() << " (" << files.size() << " files); begin with "
              << (directory / (plan.name + "_P2V_readme.txt")).string() << "\n";
    return kExitDone;
}

Result<ExitCode> run(const Switches& switches) {
    constexpr std::uint64_t kLimit = 64u << 20;
    auto xml = TRY_WITH(read_text_file(switches.hw_info_file, kLimit), "reading the inventory");
    auto read = TRY_WITH(gatherhw::read_inventory(xml), "reading " + switches.hw_info_file);
    return switches.command == Command::Validate ? validate(switches, read) : generate(switches, read);
}

}  // namespace

int main(int argc, char** argv) {
    auto switches = parse_switches({argv + 1, argv + argc});
    if (switches)
        if (auto loaded = load_files(*switches); !loaded) switches = std::move(loaded).error();
    if (!switches) {
        std::cerr << "error: " << switches.error().explain() << "\n";
        return kExitUsage;
    }
    if (switches->command == Command::Help) {
        std::cout << help_text();
        return kExitDone;
    }
    if (switches->command == Command::Version) {
        std::cout << "vmscript " << kVersion << "\n";
        return kExitDone;
    }
    auto code = run(*switches);
    if (code) return *code;
    std::cerr << "error: " << code.error().explain() << "\n";
    return kExitFailed;
}
