// SPDX-License-Identifier: GPL-3.0-or-later
// slipway-ramdisk: makes the kernel and ramdisk that devices boot.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "agent-ramdisk/builder/builder.hpp"
#include "gatherhw/reader.hpp"
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
    command->add_option("--pre-system", request.pre_system,
                        "folder of drop-ins: the server's STATE/repository/user/PreSystem");
    command->add_option("--kernel", request.kernel, "version of an installed kernel; otherwise the newest");
    command->add_option("--level", request.level, "compression level of zstd")
        ->check(CLI::Range(1, 19))
        ->capture_default_str();
    command->add_flag("--json", json, "print JSON");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
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
