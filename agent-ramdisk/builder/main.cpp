// SPDX-License-Identifier: GPL-3.0-or-later
// slipway-ramdisk: makes the kernel and ramdisk that devices boot.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "agent-ramdisk/builder/builder.hpp"
#include "agent-ramdisk/builder/drivers.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/medium.hpp"
#include "gatherhw/reader.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "slipway_version.hpp"

using namespace slipway;

namespace {

Result<builder::BuildReport> build(builder::BuildRequest request, const std::string& inventory) {
    if (!inventory.empty())
        request.inventory = TRY_WITH(gatherhw::read_inventory(TRY(read_text_file(inventory))), inventory).inventory;
    return builder::build_ramdisk(request);
}

// It becomes a file name, and a segment of a URL.
bool valid(const std::string& name) {
    return !name.empty() && name.size() <= 64 && name[0] != '.' &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               std::string::npos;
}

void print_text(const builder::BuildReport& r) {
    std::printf("%s: %s (Linux %s)\n", r.kernel.c_str(), human_bytes(r.kernel_bytes).c_str(), r.kernel_version.c_str());
    std::printf("%s: %s, unpacked %s (agent and its %zu libraries %s, %zu modules %s)\n", r.ramdisk.c_str(),
                human_bytes(r.ramdisk_bytes).c_str(), human_bytes(r.unpacked_bytes).c_str(), r.libraries.size(),
                human_bytes(r.agent_bytes).c_str(), r.modules.size(), human_bytes(r.module_bytes).c_str());
    if (!r.built) std::printf("it was there already, as %.12s\n", r.key.c_str());
    for (const auto& note : r.notes) std::printf("note: %s\n", note.c_str());
}

// A signal ends the work at its next step, and the tools at once: what they wrote goes with them.
std::atomic<bool> g_cancelled{false};
int g_cancel_pipe[2] = {-1, -1};

// The end that becomes readable.
Result<int> catch_signals() {
    if (::pipe2(g_cancel_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return errno_error(errno, "pipe");
    struct sigaction action {};
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;  // the second one ends the program
    action.sa_handler = [](int) {
        g_cancelled.store(true);
        (void)!::write(g_cancel_pipe[1], "", 1);
    };
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
    return g_cancel_pipe[0];
}

// Standard output has the outcome alone.
void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

struct MediumArguments {
    builder::MediumRequest request;
    std::string token_file, write_device;
    bool json = false;
};

// Programs that stand where this one does.
std::filesystem::path beside(const char* name) {
    std::error_code failed;
    auto here = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
    for (const auto& directory : {here, here / "../bin", here / "../sbin"})
        if (std::filesystem::exists(directory / name)) return directory / name;
    return {};
}

Status make_medium(MediumArguments& a) {
    auto& r = a.request;
    if (r.ramdisk.agent.empty()) r.ramdisk.agent = beside("slipway-agent-da");
    r.slipway = beside("slipway");
    r.fixup = beside("slipway-fixup");
    if (!r.server.empty() && r.ramdisk.ca.empty())
        return make_error(builder::errors::kMedium, "--server needs --ca, the certificate that it is known by");
    if (!a.token_file.empty()) r.token = trim(TRY(read_text_file(a.token_file, 4096)));
    TRY(builder::check_output(r.output));
    if (!a.write_device.empty()) TRY(builder::check_device(a.write_device));
    r.cancel_fd = TRY(catch_signals());
    r.ramdisk.cancelled = &g_cancelled;
    r.ramdisk.say = say;
    r.made_unix = unix_milliseconds(SystemClock().wall()) / 1000;
    auto report = TRY(builder::make_iso(r));
    if (!a.write_device.empty()) say("writing onto " + a.write_device + "…");
    if (!a.write_device.empty()) TRY(builder::write_to_device(r.output, a.write_device));
    if (a.json) {
        std::printf("{\"output\":\"%s\",\"bytes\":%llu,\"ramdisk\":%s}\n", r.output.c_str(),
                    static_cast<unsigned long long>(report.bytes), builder::to_json(report.ramdisk).c_str());
        return {};
    }
    std::printf("%s: %s (Linux %s, %zu modules, ramdisk %s), for BIOS and UEFI, as CD and as USB disk\n",
                r.output.c_str(), human_bytes(report.bytes).c_str(), report.ramdisk.kernel_version.c_str(),
                report.ramdisk.modules.size(), human_bytes(report.ramdisk.ramdisk_bytes).c_str());
    if (!a.write_device.empty()) std::printf("%s: written\n", a.write_device.c_str());
    return {};
}

int outcome(const Status& status) {
    if (status) return kExitDone;
    std::fprintf(stderr, "error: %s\n", status.error().explain().c_str());
    return kExitFailed;
}

// It is kept by its content, so one that is there already is found in the time it takes to hash what would go in.
Status make_appliance(builder::BuildRequest request, bool json) {
    auto fixup = beside("slipway-fixup");
    if (fixup.empty()) return make_error(builder::errors::kNeeded, "slipway-fixup is not beside this program");
    const auto installed = builder::installed_kernels(request.root);
    if (request.kernel.empty() && !installed.empty()) request.kernel = installed.back();
    // A place for each version: a kernel is never paired with the modules of another.
    request.output /= request.kernel;
    request.programs.push_back(fixup);
    request.set = builder::ModuleSet::Appliance;
    request.repair_tools = true;
    request.name = "appliance";
    TRY(catch_signals());
    request.cancelled = &g_cancelled;
    request.say = say;
    auto report = TRY(builder::build_ramdisk(request));
    // Its own name may be another version's by the time that somebody opens it.
    report.ramdisk = request.output / "ramdisk/by-content" / report.key;
    builder::remove_unused(request.output);
    if (json) std::printf("%s\n", builder::to_json(report).c_str());
    else print_text(report);
    return {};
}

CLI::App* add_appliance(CLI::App& app, builder::BuildRequest& r) {
    auto* c = app.add_subcommand("appliance", "Make the kernel and ramdisk in which `slipway fixup` repairs a disk");
    c->add_option("--output", r.output, "directory that keeps them")->required();
    c->add_option("--kernel", r.kernel, "version of an installed kernel; otherwise the newest");
    c->footer("Example:\n  slipway-ramdisk appliance --output /var/cache/slipway/appliance\n");
    return c;
}

CLI::App* add_medium(CLI::App& app, MediumArguments& a) {
    auto* c = app.add_subcommand("medium", "Make a CD or USB image of the agent, also for work without a server");
    auto& r = a.request;
    c->add_option("--output", r.output, "the image file")->required();
    c->add_option("--server", r.server,
                  "https://ADDRESS:8443; without it the medium is for work without a server alone");
    c->add_option("--bulk", r.bulk, "http://ADDRESS:8480, for tasks with nonetencrypt");
    c->add_option("--ca", r.ramdisk.ca, "the controller's CA certificate (PEM)");
    c->add_option("--token-file", a.token_file,
                  "file with a token of `slipway device enroll`; without it the machine asks for one on its console");
    c->add_option("--append", r.arguments, "more of the kernel's command line: console=ttyS0, slipway.run=…");
    c->add_option("--script", r.script, "shell script that slipway.run=script runs");
    c->add_option("--agent", r.ramdisk.agent, "the agent's program; otherwise slipway-agent-da beside this one");
    c->add_option("--pre-system", r.ramdisk.pre_system, "folder of drop-ins");
    c->add_flag("--repair-tools", r.ramdisk.repair_tools,
                "lvm, mdadm, cryptsetup and ntfs-3g with their drivers, for repairs");
    c->add_option("--kernel", r.ramdisk.kernel, "version of an installed kernel; otherwise the newest");
    c->add_option("--level", r.ramdisk.level, "compression level of zstd")
        ->check(CLI::Range(1, 19))
        ->capture_default_str();
    c->add_option("--write-device", a.write_device,
                  "write the image onto this USB disk too: all that is on it is lost; one in use is refused");
    c->add_flag("--json", a.json, "print JSON");
    c->footer(
        "Examples:\n  slipway-ramdisk medium --output rescue.iso\n"
        "  slipway-ramdisk medium --output agent.iso --server https://10.99.0.1:8443 --ca ca.pem\n"
        "  slipway-ramdisk medium --output capture.iso --append slipway.run=capture,web,sda,usb:BACKUP\n"
        "  slipway-ramdisk medium --output stick.img --write-device /dev/sdb\n");
    return c;
}

struct DriversArguments {
    std::filesystem::path root = "/", pre_system;
    std::string inventory, kernel;
    bool json = false;
};

CLI::App* add_drivers(CLI::App& app, DriversArguments& a) {
    auto* c = app.add_subcommand(
        "drivers", "Say which of a machine's network cards and disk controllers the agent has no driver for");
    c->add_option("--inventory", a.inventory, "inventory XML of the machine")->required();
    c->add_option("--pre-system", a.pre_system, "folder of drop-ins: the server's STATE/repository/user/PreSystem");
    c->add_option("--kernel", a.kernel, "version of an installed kernel; otherwise the newest");
    c->add_option("--root", a.root, "directory that lib/modules is in")->capture_default_str();
    c->add_flag("--json", a.json, "print JSON, as vmscript --agentdrivers takes it");
    c->footer(
        "Exit codes: 0 it may boot, 1 failed, 3 a driver is missing that it does not boot without.\n"
        "Example:\n  slipway-ramdisk drivers --inventory poseidon.xml --json >drivers.json\n");
    return c;
}

Result<ExitCode> tell_drivers(DriversArguments a) {
    const auto machine = TRY_WITH(gatherhw::read_inventory(TRY(read_text_file(a.inventory))), a.inventory).inventory;
    if (const auto installed = builder::installed_kernels(a.root); a.kernel.empty() && !installed.empty())
        a.kernel = installed.back();
    if (a.kernel.empty()) return make_error(builder::errors::kKernel, "no kernel is installed");
    const auto modules = TRY(builder::read_kernel_modules(a.root, a.kernel, a.pre_system));
    // The card that boots is not known here: any that has a driver will do.
    const auto check = builder::check_drivers(modules->index, machine, {}, modules->drop_ins.without_driver);
    if (a.json) {
        std::printf("%s\n", builder::to_json(check, a.kernel).c_str());
    } else {
        for (const auto& m : check.missing)
            std::printf("%s %s%s: %s\n",
                        m.kind == builder::MissingDriver::Kind::Network ? "network card" : "disk controller",
                        printable(m.id).c_str(), m.name.empty() ? "" : printable(" (" + m.name + ")").c_str(),
                        m.fatal ? builder::advice(m, a.kernel).c_str() : m.why.c_str());
        if (check.missing.empty()) std::printf("Linux %s has a driver for each\n", a.kernel.c_str());
    }
    return check.may_boot() ? kExitDone : kExitWarnings;
}

CLI::App* add_floppy(CLI::App& app, builder::FloppyRequest& r) {
    auto* c =
        app.add_subcommand("floppy", "Make a floppy image with iPXE, for a BIOS that cannot boot from the network");
    c->add_option("--output", r.output, "the image file, 1.44 MB")->required();
    c->add_option("--http", r.http, "the server's boot HTTP, http://ADDRESS:8480")->required();
    c->add_option("--ipxe", r.ipxe, "iPXE's kernel image")->capture_default_str();
    c->footer("Example:\n  slipway-ramdisk floppy --output floppy.img --http http://10.99.0.1:8480\n");
    return c;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Makes the kernel and ramdisk that a device boots into the Deployment Agent.");
    app.footer(
        "Examples:\n  slipway-ramdisk build --agent slipway-agent-da --ca ca.pem --output /var/lib/slipway/boot\n"
        "  slipway-ramdisk build --agent slipway-agent-da --ca ca.pem --output /var/lib/slipway/boot --name poseidon "
        "--inventory poseidon.xml\n");
    app.set_version_flag("--version", std::string("slipway-ramdisk ") + kVersion);
    app.require_subcommand(1);
    auto* command = app.add_subcommand("build", "Write DIR/kernel and DIR/ramdisk");
    builder::BuildRequest request;
    std::string inventory;
    bool json = false;
    command->add_option("--agent", request.agent, "the agent's program")->required();
    command->add_option("--ca", request.ca, "the controller's CA certificate (PEM)")->required();
    command->add_option("--output", request.output, "gets kernel and ramdisk/NAME: the server's STATE/boot")
        ->required();
    command->add_option("--name", request.name, "default, or the device that alone boots it")
        ->check(CLI::Validator([](std::string& n) { return valid(n) ? "" : "letters, digits, '.', '_' and '-' only"; },
                               "NAME"))
        ->capture_default_str();
    command->add_option("--inventory", inventory,
                        "inventory XML of the device: only its drivers; otherwise those of common machines");
    command->add_flag_callback(
        "--broad", [&] { request.set = builder::ModuleSet::Broad; },
        "the drivers of all wired cards and disk controllers: for machines of which nothing is known");
    command->add_flag(
        "--repair-tools", request.repair_tools,
        "lvm, mdadm, cryptsetup and ntfs-3g with their drivers, for the repair of systems on LVM, RAID, LUKS or NTFS; "
        "they come by themselves with an inventory that has such volumes");
    command->add_option("--pre-system", request.pre_system,
                        "folder of drop-ins: the server's STATE/repository/user/PreSystem");
    command->add_option("--kernel", request.kernel, "version of an installed kernel; otherwise the newest");
    command->add_option("--level", request.level, "compression level of zstd")
        ->check(CLI::Range(1, 19))
        ->capture_default_str();
    command->add_flag("--json", json, "print JSON");
    MediumArguments medium;
    builder::FloppyRequest floppy;
    auto* medium_app = add_medium(app, medium);
    auto* floppy_app = add_floppy(app, floppy);
    DriversArguments drivers;
    auto* drivers_app = add_drivers(app, drivers);
    builder::BuildRequest appliance;
    auto* appliance_app = add_appliance(app, appliance);
    appliance_app->add_flag("--json", json, "print JSON");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    if (*drivers_app) {
        const auto code = tell_drivers(drivers);
        if (code) return *code;
        return outcome(code.error());
    }
    if (*medium_app) return outcome(make_medium(medium));
    if (*appliance_app) return outcome(make_appliance(std::move(appliance), json));
    if (*floppy_app) {
        auto cancel = catch_signals();
        if (cancel) floppy.cancel_fd = *cancel;
        auto made = builder::make_floppy(floppy);
        if (made) std::printf("%s: 1.44 MB, boots by %s\n", floppy.output.c_str(), floppy.http.c_str());
        return outcome(made);
    }
    auto report = build(std::move(request), inventory);
    if (!report.ok()) {
        std::fprintf(stderr, "error: %s\n", report.error().explain().c_str());
        return kExitFailed;
    }
    if (json) std::printf("%s\n", builder::to_json(*report).c_str());
    else print_text(*report);
    return kExitDone;
}
