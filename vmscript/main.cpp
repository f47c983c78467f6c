// SPDX-License-Identifier: GPL-3.0-or-later
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

#include <slipway_version.hpp>

#include "gatherhw/reader.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/drop_ins.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/missing_patches.hpp"
#include "vmscript/output.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"
#include "vmscript/switches.hpp"
#include "vmscript/validation/report.hpp"
#include "vmscript/validation/validate.hpp"

using namespace slipway;
using namespace slipway::vmscript;

namespace {

ReportOptions report_options(const Switches& switches) {
    ReportOptions options{.groups = switches.groups, .only_problems = switches.only_problems};
    if (::isatty(STDOUT_FILENO) == 0) return options;
    winsize size{};
    constexpr unsigned short kNarrow = 40;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= kNarrow) options.width = size.ws_col;
    const char* plain = std::getenv("NO_COLOR");
    options.colour = plain == nullptr || *plain == '\0';
    return options;
}

Result<std::vector<Finding>> findings_of(const Switches& switches, const gatherhw::ReadInventory& read) {
    auto around = TRY(read_surroundings(switches));
    around.patch_files = missing_patch_files(read.inventory, switches);
    around.drop_ins = drop_in_drivers(read.inventory, switches);
    around.now = static_cast<std::uint64_t>(std::max<std::int64_t>(0, unix_milliseconds(SystemClock().wall()) / 1000));
    return validate(read.inventory, switches, around, read.warnings);
}

Result<ExitCode> run_validation(const Switches& switches, const gatherhw::ReadInventory& read) {
    const auto findings = TRY(findings_of(switches, read));
    const auto options = report_options(switches);
    if (!switches.html_file.empty())
        TRY_WITH(write_file_atomic(switches.html_file, as_bytes(report_html(read.inventory, findings, options))),
                 "writing " + switches.html_file);
    std::cout << (switches.json ? report_json(read.inventory, findings, options)
                                : report_text(read.inventory, findings, options));
    return exit_code_of(worst(findings));
}

Result<ExitCode> generate(const Switches& switches, const gatherhw::ReadInventory& read) {
    std::vector<std::string> errors;
    for (const auto& f : TRY(findings_of(switches, read))) {
        const bool goes_on = f.verdict == Verdict::Warning || (f.forcible && switches.force);
        if (f.verdict == Verdict::Error && !goes_on) errors.push_back(f.what + ": " + f.found);
        if (f.verdict >= Verdict::Warning && goes_on)
            std::cerr << "warning: " << f.what << ": " << f.found << " " << f.to_do << "\n";
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
    return switches.command == Command::Validate ? run_validation(switches, read) : generate(switches, read);
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
    if (switches->command == Command::ListRules) {
        std::cout << (switches->json ? rules_json() : rules_text(report_options(*switches).width));
        return kExitDone;
    }
    auto code = run(*switches);
    if (code) return *code;
    std::cerr << "error: " << code.error().explain() << "\n";
    return kExitFailed;
}
