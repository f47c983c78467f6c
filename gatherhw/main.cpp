// SPDX-License-Identifier: GPL-3.0-or-later
// gatherhw: the inventory of this machine as one XML file. Fully static: it runs from a stick or a read-only share
// on a machine where nothing can be installed.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <slipway_version.hpp>

#include "gatherhw/errors.hpp"
#include "gatherhw/probe.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

using namespace slipway;
using namespace slipway::gatherhw;

namespace {

struct Arguments {
    std::string output, root = "/";
    std::vector<std::string> import;  // KIND FILE…
    std::vector<std::string> mdstat, lvm, fstab, facts;  // to be laid over it
    bool json = false;
};

// A file name from what the machine calls itself.
std::string file_name(const Inventory& inventory, const Arguments& arguments) {
    std::string name;
    for (char c : inventory.system.host_name)
        name += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '_';
    return (name.empty() ? "machine" : name) + (arguments.json ? ".json" : ".xml");
}

std::filesystem::path program_directory(const char* argv0) {
    std::error_code error;
    auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) self = argv0;  // no /proc: as it was called
    return self.has_parent_path() ? self.parent_path() : ".";
}

// Beside the program; where that is read-only, the next place that takes it, and saying so.
Result<std::filesystem::path> write_somewhere(const std::string& xml, const std::string& name, const char* argv0) {
    std::vector<std::filesystem::path> places{program_directory(argv0), std::filesystem::path(".")};
    const char* temporary = std::getenv("TMPDIR");
    places.emplace_back(temporary != nullptr && *temporary != '\0' ? temporary : "/tmp");
    std::string refusals;
    for (const auto& place : places) {
        auto path = place / name;
        auto written = write_file_atomic(path, as_bytes(xml));
        if (written) return path;
        std::cerr << "warning: cannot write beside " << (place / "").string() << ": " << written.error().message()
                  << "\n";
        refusals += (refusals.empty() ? "" : "; ") + written.error().message();
    }
    return make_error(errors::kOutput, "no place takes {}: {}", name, refusals);
}

Result<std::string> write_output(const Arguments& arguments, const Inventory& inventory, const char* argv0) {
    auto xml = arguments.json ? to_json(inventory) : to_xml(inventory);
    if (arguments.output == "-") {
        TRY(write_full(STDOUT_FILENO, as_bytes(xml)));
        return std::string();
    }
    if (arguments.output.empty())
        return std::filesystem::absolute(TRY(write_somewhere(xml, file_name(inventory, arguments), argv0)))
            .lexically_normal()
            .string();
    auto written = write_file_atomic(arguments.output, as_bytes(xml));
    if (!written) return make_error(errors::kOutput, "{}", written.error().describe());
    return arguments.output;
}

int fail(const Error& error) {
    std::cerr << "error: " << error.explain() << "\n";
    return kExitFailed;
}

// The importers need libraries that this program does without: they are another one's, beside this or on PATH.
int import(const Arguments& arguments, const char* argv0) {
    std::vector<std::string> words{"gatherhw-import"};
    words.insert(words.end(), arguments.import.begin(), arguments.import.end());
    if (!arguments.output.empty()) words.insert(words.end(), {"--output", arguments.output});
    if (arguments.json) words.emplace_back("--json");
    const std::pair<const char*, const std::vector<std::string>&> over[] = {{"--mdstat", arguments.mdstat},
                                                                            {"--lvm", arguments.lvm},
                                                                            {"--fstab", arguments.fstab},
                                                                            {"--add", arguments.facts}};
    for (const auto& [option, files] : over)
        for (const auto& file : files) words.insert(words.end(), {option, file});
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    auto beside = (program_directory(argv0) / "gatherhw-import").string();
    ::execv(beside.c_str(), pointers.data());
    ::execvp("gatherhw-import", pointers.data());
    return fail(make_error(errors::kNoImporter, "{}: {}", beside, std::strerror(errno)));
}

int run(const Arguments& arguments, const char* argv0) {
    SystemClock clock;
    auto inventory = linux_probe({.root = arguments.root, .live = arguments.root == "/"}, clock)->collect();
    if (!inventory) return fail(inventory.error());
    for (const auto& item : inventory->unread)
        std::cerr << "warning: not read: " << printable(item.what) << ": " << printable(item.why) << "\n";
    auto place = write_output(arguments, *inventory, argv0);
    if (!place) return fail(place.error());
    if (!place->empty())
        std::cout << "inventory of " << printable(inventory->system.host_name) << ": " << inventory->disks.size()
                  << " disks, " << inventory->volumes.size() << " volumes, " << inventory->network.size()
                  << " network adapters\nwritten to " << *place << "\n";
    return inventory->unread.empty() ? kExitDone : kExitWarnings;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "gatherhw: writes the inventory of this machine to NAME.xml beside the program\n"
        "(where that is read-only: in the current directory, then in $TMPDIR or /tmp).\n"
        "Reads only; root sees more than others do."};
    Arguments arguments;
    app.add_option("-o,--output", arguments.output, "the file to write; - is standard output")->type_name("FILE");
    app.add_option("--root", arguments.root, "a captured tree with /proc, /sys and /etc, instead of this machine")
        ->type_name("DIRECTORY")
        ->check(CLI::ExistingDirectory);
    app.add_option("--import", arguments.import,
                   "from what another tool wrote down of a machine: lshw, udev, smbios or wmi and its file (wmi: "
                   "files); see gatherhw-import(1). Written to standard output unless --output is given")
        ->type_name("KIND FILE")
        ->expected(2, 101)
        ->excludes("--root");
    const std::pair<const char*, std::vector<std::string>&> linux_files[] = {
        {"--mdstat", arguments.mdstat}, {"--lvm", arguments.lvm}, {"--fstab", arguments.fstab}};
    for (const auto& [option, files] : linux_files)
        app.add_option(option, files, "with --import: see there")
            ->type_name("FILE")
            ->allow_extra_args(false)
            ->needs("--import");
    app.add_option("--add", arguments.facts, "with --import: what the dump does not tell and you know; see there")
        ->type_name("FACTS.xml")
        ->allow_extra_args(false)
        ->needs("--import");
    app.add_flag("--json", arguments.json, "as JSON instead of XML (vmscript reads XML)");
    app.set_version_flag("--version", kVersion);
    app.set_help_flag("-h,--help", "this text (so does /?)");
    app.footer(
        "Examples:\n  gatherhw\n  gatherhw --output /tmp/poseidon.xml\n  gatherhw --output - | less\n"
        "  gatherhw --import lshw poseidon.lshw --output poseidon.xml\n"
        "Exit codes: 0 done, 1 failed, 2 usage, 3 done, but not everything could be read (see the warnings).");
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]) == "/?") argv[i] = const_cast<char*>("--help");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kExitDone : kExitUsage;
    }
    return arguments.import.empty() ? run(arguments, argv[0]) : import(arguments, argv[0]);
}
