// SPDX-License-Identifier: GPL-3.0-or-later
// gatherhw-import: the inventory of a machine that is known only by what another tool wrote down of it. `gatherhw
// --import` starts it; it stands apart because it needs libraries that the static gatherhw does without.
#include <filesystem>
#include <iostream>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <slipway_version.hpp>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

using namespace slipway;
using namespace slipway::gatherhw;

namespace {

struct Arguments {
    std::string kind, output = "-", host_name;
    std::vector<std::string> files, mdstat, lvm, fstab, facts;
    bool json = false;
};

Result<std::vector<Dump>> read_dumps(const std::vector<std::string>& files) {
    std::vector<Dump> out;
    for (const auto& file : files) out.push_back({file, TRY_WITH(read_file(file, kMaxDump), "reading " + file)});
    return out;
}

Status add_stacks(const std::vector<std::string>& files, Status (*add)(Inventory&, std::string_view), Inventory& out) {
    for (const auto& file : files)
        TRY_WITH(add(out, TRY_WITH(read_text_file(file, kMaxDump), "reading " + file)), "importing " + file);
    return {};
}

Status add_files(const std::vector<std::string>& files, Inventory& inventory) {
    for (const auto& file : files) {
        auto xml = TRY_WITH(read_text_file(file, kMaxFacts), "reading " + file);
        for (const auto& text :
             TRY_WITH(add_facts(inventory, xml, std::filesystem::path(file).filename().string()), "adding " + file))
            std::cerr << "warning: " << printable(file) << ": " << text << "\n";
    }
    for (const auto& fact : inventory.added)
        std::cerr << "added: " << printable(fact.source) << ": " << printable(fact.what) << "\n";
    return {};
}

Status write_output(const Arguments& arguments, const std::string& text) {
    if (arguments.output == "-") return write_full(STDOUT_FILENO, as_bytes(text));
    auto written = write_file_atomic(arguments.output, as_bytes(text));
    if (!written) return make_error(errors::kOutput, "{}", written.error().describe());
    return {};
}

Result<ExitCode> run(const Arguments& arguments) {
    auto dumps = TRY(read_dumps(arguments.files));
    auto inventory = TRY_WITH(import_dumps(*dump_kind_named(arguments.kind), dumps), "importing " + arguments.files[0]);
    if (!arguments.host_name.empty()) inventory.system.host_name = arguments.host_name;
    TRY(add_stacks(arguments.mdstat, add_mdstat, inventory));
    TRY(add_stacks(arguments.lvm, add_lvm_backup, inventory));
    TRY(add_stacks(arguments.fstab, add_fstab, inventory));
    TRY(add_files(arguments.facts, inventory));
    for (const auto& item : inventory.unread)
        std::cerr << "warning: not known: " << printable(item.what) << ": " << printable(item.why) << "\n";
    TRY(write_output(arguments, arguments.json ? to_json(inventory) : to_xml(inventory)));
    return inventory.unread.empty() ? kExitDone : kExitWarnings;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "gatherhw-import: writes the inventory of a machine from what another tool wrote down of it.\n"
        "KIND: lshw (lshw -xml), udev (udevadm info --export-db), smbios (dmidecode --dump-bin, or the table in\n"
        "/sys/firmware/dmi/tables/DMI), wmi (wmic CLASS get /format:list, or PowerShell's\nGet-CimInstance "
        "CLASS | Format-List *; one FILE for each class, and copies of hal.dll,\nntoskrnl.exe, ntkrnlpa.exe and "
        "boot.ini). gatherhw itself, run on the machine, tells far more."};
    Arguments arguments;
    app.add_option("KIND", arguments.kind, "lshw, udev, smbios or wmi")
        ->required()
        ->check(CLI::IsMember({"lshw", "udev", "smbios", "wmi"}));
    app.add_option("FILE", arguments.files, "the dump, unpacked")->required()->check(CLI::ExistingFile);
    app.add_option("-o,--output", arguments.output, "the file to write; - is standard output (so by default)")
        ->type_name("FILE");
    app.add_option("--host-name", arguments.host_name, "what to call the machine, where the dump does not say")
        ->type_name("NAME");
    app.add_option("--mdstat", arguments.mdstat, "/proc/mdstat of that machine: its RAID arrays")
        ->type_name("FILE")
        ->allow_extra_args(false)
        ->check(CLI::ExistingFile);
    app.add_option("--lvm", arguments.lvm,
                   "a file of its /etc/lvm/backup (vgcfgbackup): the volumes of a group; may "
                   "be given again")
        ->type_name("FILE")
        ->allow_extra_args(false)
        ->check(CLI::ExistingFile);
    app.add_option("--fstab", arguments.fstab, "its /etc/fstab: where volumes are mounted")
        ->type_name("FILE")
        ->allow_extra_args(false)
        ->check(CLI::ExistingFile);
    app.add_option("--add", arguments.facts,
                   "what the dump does not tell and you know: an inventory with these facts alone, laid over it; may "
                   "be given again (docs/validation.md, \"Facts that a dump lacks\")")
        ->type_name("FACTS.xml")
        ->allow_extra_args(false)
        ->check(CLI::ExistingFile);
    app.add_flag("--json", arguments.json, "as JSON instead of XML");
    app.set_version_flag("--version", kVersion);
    app.set_help_flag("-h,--help", "this text");
    app.footer(
        "Examples:\n  lshw -xml -numeric >poseidon.lshw && gatherhw-import lshw poseidon.lshw -o poseidon.xml\n"
        "  gatherhw-import wmi Win32_*.wmi hal.dll ntoskrnl.exe ntkrnlpa.exe boot.ini -o hera.xml\n"
        "  PowerShell: Get-CimInstance Win32_Volume | Format-List * | Out-File -Width 4096 Win32_Volume.wmi\n"
        "  gatherhw --import smbios dmi.bin --json\n"
        "  gatherhw-import lshw poseidon.lshw --lvm VolGroup00 --fstab fstab -o poseidon.xml\n"
        "  gatherhw-import lshw poseidon.lshw --add poseidon-facts.xml -o poseidon.xml\n"
        "Exit codes: 0 done, 1 failed, 2 usage, 3 done, but the dump does not tell everything (see the warnings).");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kExitDone : kExitUsage;
    }
    auto code = run(arguments);
    if (code) return *code;
    std::cerr << "error: " << code.error().explain() << "\n";
    return kExitFailed;
}
