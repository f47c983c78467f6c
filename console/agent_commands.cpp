// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway agent …`: the ramdisks that devices boot, and media for those that cannot boot from the network.
#include <algorithm>
#include <filesystem>
#include <optional>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/maker.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::console {

namespace json = boost::json;

std::string missing_drivers_text(const json::value& r) {
    std::string out;
    for (const auto& m : array_at(r, "missing")) {
        bool fatal = member(m, "fatal") && member(m, "fatal")->is_bool() && member(m, "fatal")->get_bool();
        out += fmt::format("  no driver   {} {} {} ({})\n", text_at(m, "kind"), text_at(m, "id"), text_at(m, "name"),
                           text_at(m, "why"));
        if (fatal) out += "              " + text_at(m, "advice") + "\n";
    }
    return out;
}

namespace {

std::string size_of(const json::value& r, const char* key) {
    auto bytes = number_at(r, key);
    return bytes ? human_bytes(bytes) : "-";
}

Result<ExitCode> list(const Context& context) {
    auto client = TRY(RestClient::open());
    auto all = TRY(client.get("/agent/ramdisks"));
    Table table({"RAMDISK", "STATE", "BY", "BOOTS", "KERNEL", "RAMDISK", "UNPACKED", "MODULES", "MODULE BYTES"});
    for (const auto& r : array_at(all, "items"))
        table.row({text_at(r, "name"), text_at(r, "state"), text_at(r, "source"), text_at(r, "boots"),
                   size_of(r, "kernel_bytes"), size_of(r, "ramdisk_bytes"), size_of(r, "unpacked_bytes"),
                   std::to_string(number_at(r, "module_count")), size_of(r, "module_bytes")});
    auto version = text_at(all, "kernel_version");
    auto head =
        version.empty() ? std::string("there is no kernel yet: `slipway agent build`\n") : "Linux " + version + "\n";
    context.print(head + table.text(), all);
    return kExitDone;
}

std::string ramdisk_text(const json::value& r) {
    auto out = fmt::format(
        "{}\n  state       {}\n  chosen by   {}\n  boots       {}\n  kernel      {} {}\n  ramdisk     {}, unpacked {}\n"
        "  of which    agent {}, modules {}, firmware {}, drop-ins {}\n",
        text_at(r, "name"), text_at(r, "state"), text_at(r, "source"), text_at(r, "boots"),
        text_at(r, "kernel_version"), size_of(r, "kernel_bytes"), size_of(r, "ramdisk_bytes"),
        size_of(r, "unpacked_bytes"), size_of(r, "agent_bytes"), size_of(r, "module_bytes"),
        size_of(r, "firmware_bytes"), size_of(r, "drop_in_bytes"));
    if (auto error = text_at(r, "error"); !error.empty()) out += "  error       " + error + "\n";
    out += missing_drivers_text(r);
    Table table({"MODULE", "BYTES", "WHY"});
    for (const auto& m : array_at(r, "modules"))
        table.row({text_at(m, "name"), std::to_string(number_at(m, "bytes")), text_at(m, "why")});
    if (!table.empty()) out += table.text();
    for (const auto& note : array_at(r, "notes"))
        if (note.is_string()) out += "note: " + printable(std::string_view(note.get_string())) + "\n";
    return out;
}

Result<ExitCode> show(const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open());
    auto ramdisk = TRY(client.get("/agent/ramdisks/" + segment(name)));
    context.print(ramdisk_text(ramdisk), ramdisk);
    return kExitDone;
}

bool under_way(const json::value& r) {
    auto state = text_at(r, "state");
    return state == "waiting" || state == "building";
}

// The server builds behind our back, and answers when it is done.
Result<json::value> wait_until_built(RestClient& client, const std::string& path) {
    while (true) {
        auto answer = TRY(client.get(path + "?wait=5"));
        const auto& items = array_at(answer, "items");
        bool busy = under_way(answer) || std::any_of(items.begin(), items.end(), under_way);
        if (!busy || cancel_flag()) return answer;
    }
}

Result<ExitCode> build(const std::string& device, const Context& context) {
    auto client = TRY(RestClient::open());
    TRY(client.post("/agent/ramdisks", device.empty() ? json::object() : json::object{{"device", device}}));
    auto answer =
        TRY(wait_until_built(client, device.empty() ? "/agent/ramdisks" : "/agent/ramdisks/" + segment(device)));
    json::array items = device.empty() ? array_at(answer, "items") : json::array{answer};
    std::string text;
    ExitCode code = kExitDone;
    for (const auto& r : items) {
        auto state = text_at(r, "state");
        text += fmt::format("{}: {}, kernel {}, ramdisk {}, {} modules {}\n", text_at(r, "name"), state,
                            size_of(r, "kernel_bytes"), size_of(r, "ramdisk_bytes"), number_at(r, "module_count"),
                            size_of(r, "module_bytes"));
        if (auto error = text_at(r, "error"); !error.empty()) text += "  " + error + "\n";
        text += missing_drivers_text(r);
        // Nothing has failed: it boots the common drivers, and gets a ramdisk of its own from what its agent tells.
        if (state == "unknown-hardware")
            text +=
                "  its hardware is not known yet: it boots " + text_at(r, "boots") + " until its agent has told it\n";
        if (state == "refused" || state == "no-kernel") code = std::max(code, kExitWarnings);
        if (state == "failed") return context.print(text, answer), kExitFailed;
    }
    context.print(text, answer);
    return code;
}

// ---- media: made here, of this machine's kernel, by slipway-ramdisk; the server is asked for a token alone

struct MediumArguments {
    std::string output, device, server, append, script, write_device, http;
    bool no_server = false;
};

// It is in a process group of its own, so that a signal for us is for us alone: it is told, and cleans up.
int wait_for(Child& child) {
    UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
    pollfd watch{ended.get(), POLLIN, 0};
    while (ended.valid() && !cancel_flag())
        if (::poll(&watch, 1, 300) > 0) break;
    if (cancel_flag()) child.signal(SIGTERM);
    return child.wait();
}

// What it prints, and its exit code, are ours.
Result<ExitCode> run_maker(std::vector<std::string> argv, const Context& context) {
    argv.insert(argv.begin(), TRY(ramdisk_maker()));
    if (context.json && argv[1] == "medium") argv.push_back("--json");
    CommandOptions options;
    options.before_exec = [] { return ::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 ? 0 : errno; };  // whatever ends us
    auto child = TRY(Child::spawn(argv, {}, options));
    auto code = wait_for(child);
    if (context.json && argv[1] == "floppy") context.print({}, {{"made", code == 0}});
    return code == 0 ? kExitDone : kExitFailed;
}

Result<ExitCode> make_medium(const MediumArguments& a, const Context& context) {
    std::vector<std::string> argv{"medium", "--output", a.output};
    std::optional<TempDir> kept;
    if (!a.no_server) {
        auto login = TRY(find_login(a.server));
        kept = TRY(TempDir::create("agent-medium"));
        TRY(write_file_atomic(*kept / "ca.pem", as_bytes(login.ca_pem)));
        argv.insert(argv.end(), {"--server", login.url, "--ca", (*kept / "ca.pem").string()});
    }
    if (!a.device.empty()) {
        auto client = TRY(RestClient::open(a.server));
        auto answer = TRY(client.post("/devices/" + segment(a.device) + "/enrollment-token", json::object()));
        TRY(write_file_atomic(*kept / "token", as_bytes(text_at(answer, "token")), 0600));
        argv.insert(argv.end(), {"--token-file", (*kept / "token").string()});
    }
    auto add = [&](const char* option, const std::string& value) {
        if (!value.empty()) argv.insert(argv.end(), {option, value});
    };
    add("--append", a.append);
    add("--script", a.script);
    add("--write-device", a.write_device);
    return run_maker(std::move(argv), context);
}

void add_medium_options(CLI::App& app, MediumArguments& a) {
    app.add_option("--output", a.output, "the image file")->required();
    auto* no_server = app.add_flag("--no-server", a.no_server, "only for work without a server");
    app.add_option("--server", a.server, "URL of the server; without it the one logged in to")->excludes(no_server);
    app.add_option("--device", a.device,
                   "device that the medium is for: a token, good once and for an hour, is on it; otherwise the machine "
                   "asks for one")
        ->excludes(no_server);
    app.add_option("--append", a.append, "more of the kernel's command line: console=ttyS0, slipway.run=…");
    app.add_option("--script", a.script, "file: shell script that slipway.run=script runs");
}

void add_media(CLI::App& agent, Context& context) {
    auto a = std::make_shared<MediumArguments>();
    auto* iso =
        add_command(agent, context, "iso", "Make a CD of the agent, for BIOS and UEFI (it is a USB image as well)",
                    "  slipway agent iso --output agent.iso\n"
                    "  slipway agent iso --output poseidon.iso --device poseidon\n"
                    "  slipway agent iso --output capture.iso --no-server --append "
                    "slipway.run=capture,web,sda,usb:BACKUP\n");
    add_medium_options(*iso, *a);
    on_command(*iso, context, [=, &context] { return make_medium(*a, context); });
    auto* usb = add_command(agent, context, "usb", "Make a USB disk of the agent, or its image",
                            "  slipway agent usb --output stick.img\n"
                            "  slipway agent usb --output stick.img --write-device /dev/sdb\n");
    add_medium_options(*usb, *a);
    usb->add_option("--write-device", a->write_device,
                    "write it onto this disk: all that is on it is lost; one in use is refused");
    on_command(*usb, context, [=, &context] { return make_medium(*a, context); });
    auto* floppy = add_command(agent, context, "floppy",
                               "Make a boot floppy's image, for a BIOS that cannot boot from the network",
                               "  slipway agent floppy --output floppy.img --http http://10.99.0.1:8480\n");
    floppy->add_option("--output", a->output, "the image file")->required();
    floppy->add_option("--http", a->http, "the server's boot HTTP, http://ADDRESS:8480")->required();
    on_command(*floppy, context, [=, &context] {
        return run_maker({"floppy", "--output", a->output, "--http", a->http}, context);
    });
}

}  // namespace

void add_agent_commands(CLI::App& root, Context& context) {
    auto* agent = root.add_subcommand("agent", "The Deployment Agent's ramdisks and media");
    agent->require_subcommand(1);
    auto* list_app = add_command(*agent, context, "list", "The ramdisks of all devices, with their sizes");
    on_command(*list_app, context, [&context] { return list(context); });

    auto name = std::make_shared<std::string>(), device = std::make_shared<std::string>();
    auto* show_app = add_command(*agent, context, "show", "One ramdisk: its modules and why, drivers that are missing",
                                 "  slipway agent show poseidon\n  slipway agent show default\n");
    show_app->add_option("name", *name, "a device, default or broad")->required();
    on_command(*show_app, context, [=, &context] { return show(*name, context); });

    auto* build_app =
        add_command(*agent, context, "build", "Build ramdisks and wait for them",
                    "  slipway agent build            kernel, default and broad ramdisk, all devices'\n"
                    "  slipway agent build poseidon   one device's, also where it was made by hand\n"
                    "Exit codes: 0 made, or not needed while a device's hardware is unknown; 3 a device is "
                    "refused, since a\ndriver is missing, or has no kernel (`slipway agent build` makes it); 1 "
                    "one could not be made.\n");
    build_app->add_option("device", *device, "a device; otherwise all");
    add_media(*agent, context);
    on_command(*build_app, context, [=, &context] { return build(*device, context); });
}

}  // namespace slipway::console
