// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <iostream>

#include <boost/json.hpp>
#include <slipway_version.hpp>

#include "lib/base/exit_code.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/vmpatch/fill.hpp"
#include "vmscript/vmpatch/switches.hpp"

using namespace slipway;
using namespace slipway::vmpatch;

namespace {

namespace json = boost::json;

json::object json_of(const patches::LibraryFile& file) {
    return {{"name", file.key.name},
            {"version", file.key.version.text()},
            {"language", patches::language_code(file.key.language)},
            {"path", printable(file.path.string())}};
}

json::array texts(const std::vector<std::string>& lines) {
    json::array out;
    for (const auto& line : lines) out.push_back(json::value(printable(line)));
    return out;
}

void print_text(const Filled& filled, const std::string& library) {
    for (const auto& file : filled.files)
        std::cout << fmt::format("{:<6} {}  from {}\n", file.is_new ? "new" : "known", file.file.key.text(),
                                 printable(file.source));
    for (const auto& line : filled.left_out) std::cout << "left out: " << printable(line) << "\n";
    for (const auto& line : filled.warnings) std::cerr << "warning: " << printable(line) << "\n";
    const auto fresh =
        std::count_if(filled.files.begin(), filled.files.end(), [](const auto& file) { return file.is_new; });
    std::cout << fmt::format("{} new, {} known, in {}\n", fresh, filled.files.size() - static_cast<std::size_t>(fresh),
                             printable(library));
}

void print_json(const Filled& filled, const std::string& library) {
    json::array files;
    for (const auto& file : filled.files) {
        auto row = json_of(file.file);
        row["source"] = printable(file.source);
        row["new"] = file.is_new;
        files.push_back(std::move(row));
    }
    std::cout << json::serialize(json::object{{"library", printable(library)},
                                              {"files", std::move(files)},
                                              {"left_out", texts(filled.left_out)},
                                              {"warnings", texts(filled.warnings)}})
              << "\n";
}

Result<ExitCode> fill(const Switches& switches) {
    Filled all;
    for (const auto& source : switches.sources) {
        auto filled = TRY(fill_library(source, switches.library));
        for (auto& file : filled.files) all.files.push_back(std::move(file));
        for (auto& line : filled.left_out) all.left_out.push_back(std::move(line));
        for (auto& line : filled.warnings) all.warnings.push_back(std::move(line));
    }
    (switches.json ? print_json : print_text)(all, switches.library);
    if (!all.warnings.empty()) return kExitWarnings;
    return all.files.empty() ? kExitFailed : kExitDone;
}

ExitCode list(const Switches& switches) {
    const auto library = patches::Library::open({switches.library});
    if (switches.json) {
        json::array files;
        for (const auto& file : library.files()) files.push_back(json_of(file));
        std::cout << json::serialize(json::object{{"library", printable(switches.library)},
                                                  {"files", std::move(files)},
                                                  {"warnings", texts(library.notes())}})
                  << "\n";
    } else {
        for (const auto& file : library.files())
            std::cout << file.key.text() << "  " << printable(file.path.string()) << "\n";
        for (const auto& note : library.notes()) std::cerr << "warning: " << printable(note) << "\n";
        const auto count = library.files().size();
        std::cout << count << (count == 1 ? " file in " : " files in ") << printable(switches.library) << "\n";
    }
    return library.notes().empty() ? kExitDone : kExitWarnings;
}

}  // namespace

int main(int argc, char** argv) {
    const auto switches = parse_switches({argv + 1, argv + argc});
    if (!switches) {
        std::cerr << "error: " << switches.error().explain() << "\n";
        return kExitUsage;
    }
    switch (switches->command) {
        case Command::Help: std::cout << help_text(); return kExitDone;
        case Command::Version: std::cout << "vmpatch " << kVersion << "\n"; return kExitDone;
        case Command::List: return list(*switches);
        case Command::Fill: break;
    }
    const auto code = fill(*switches);
    if (code) return *code;
    std::cerr << "error: " << code.error().explain() << "\n";
    return kExitFailed;
}
