// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/forget.hpp"
#include "guest-fixup/personality.hpp"
#include "guest-fixup/proof.hpp"
#include "guest-fixup/windows/answer_file.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/places.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

std::string in_folder(const WindowsRepair& repair, std::string_view rest) {
    return fmt::format("{}/{}", first_boot_folder(repair.windows), rest);
}

// "2500-network" of "2500-network.HASH.cmd".
std::string_view without_hash(std::string_view id) { return id.substr(0, id.find('.')); }

// How a script is asked for, by its order.
std::string_view option_of(std::string_view id) {
    const auto order = parse_u64(id.substr(0, id.find('-'))).value_or(0);
    return order == kDriversOrder   ? "--drivers"
           : order == kNetworkOrder ? "--nic or --address"
           : order == kAgentOrder   ? "--guest-agent-package"
           : order == kCrashOrder   ? "nothing: the old value is there again"
                                    : "the personality, --join-script or --first-boot-script";
}

// Files below `directory` that only an earlier repair wanted. A script that waits there has never run: what it was to
// do is not done now.
Status remove_stale(WindowsRepair& repair, const std::string& directory) {
    for (const auto& name : repair.guest.list(in_folder(repair, directory))) {
        const auto path = in_folder(repair, directory + "/" + name);
        if (repair.guest.wants(path) || repair.guest.planned_absent(path)) continue;
        if (directory == "scripts")
            repair.warn(
                fmt::format("first boot: script {} of an earlier repair has not run yet and is taken out, for "
                            "this request does not ask for it. Repair again with it if it is wanted ({})",
                            printable(without_hash(name)), option_of(name)));
        TRY(repair.guest.remove("first boot: an earlier repair's file", path));
    }
    return {};
}

bool anything_to_do(const WindowsRepair& repair) {
    return repair.guest.wants(in_folder(repair, "scripts")) || repair.guest.wants(in_folder(repair, "proof.cmd"));
}

// What AutoReboot was, where repair_crash_control keeps it.
std::optional<std::uint32_t> auto_reboot_before(const WindowsRepair& repair) {
    const auto kept = repair.system.number(repair.windows.control_set + "\\Control\\CrashControl", "SlipwayAutoReboot");
    if (!kept) return std::nullopt;
    return static_cast<std::uint32_t>(*kept);
}

Status add_own_scripts(WindowsRepair& repair, const Personality& personality) {
    unsigned order = kOwnOrder;
    for (const auto& script : personality.first_boot) {
        if (script.text.starts_with("#!")) {
            repair.warn(fmt::format("first-boot script {} is one of Unix: not run by Windows", script.name));
            continue;
        }
        TRY(put_script(repair, order, script.name, crlf(script.text), true));
        order += 10;
    }
    return {};
}

// What the personality says that is of Linux, or that sysprep alone can do.
void tell_what_is_left_out(WindowsRepair& repair, const Personality& personality) {
    if (personality.machine_id != MachineId::Keep || personality.new_ssh_host_keys ||
        !personality.authorized_keys.empty())
        repair.warn("machine ids, SSH host keys and authorized keys are of Linux: not set in this Windows");
    if (!personality.windows && (!personality.time_zone.empty() || !personality.locale.empty()))
        repair.warn("time zone and locale come with sysprep's answer file alone (the personality's \"windows\")");
}

// qemu-guest-agent: started by itself where it is installed, else installed by its .msi.
Status add_guest_agent(WindowsRepair& repair) {
    if (!repair.request.guest_agent) return {};
    const auto service = repair.windows.services() + "\\QEMU-GA";
    if (repair.system.has(service))
        return repair.system.set("guest agent: starts by itself", service, "Start", reg_dword(2));
    for (const auto& package : repair.request.guest_agent_packages) {
        if (!to_lower(package.name).ends_with(".msi")) continue;
        const auto file = TRY(put_file(repair, "guest-agent", "msi", package.content));
        return put_script(repair, kAgentOrder, "guest-agent",
                          crlf(fmt::format("@echo off\n\"%SystemRoot%\\System32\\msiexec.exe\" /i "
                                           "\"%SystemRoot%\\slipway\\FirstBoot\\files\\{}\" /qn /norestart\n",
                                           file)));
    }
    repair.warn("qemu-guest-agent is not installed in this Windows, and no .msi of it was given");
    return {};
}

// Winlogon's own start of the runner; nothing of the registry is touched on a prepared image.
Status register_runner(WindowsRepair& repair) {
    auto& system = repair.system;
    const auto type = system.number("Setup", "SetupType").value_or(0);
    const auto command = system.string("Setup", "CmdLine").value_or("");
    if (type == 2 && command == kSetupCommand) return {};
    if (type != 0) {
        if (repair.windows.major < 6) {
            if (repair.guest.wants(place_for(repair.guest, kCmdlinesPath))) return {};
            repair.warn(
                "this image is prepared by sysprep: its own setup runs at the first boot, and Slipway's first-boot "
                "scripts and boot proof do not. Name %SystemRoot%\\slipway\\FirstBoot\\run.cmd in its cmdlines.txt");
            return {};
        }
        const auto path = repair.windows.root + "/Setup/Scripts/SetupComplete.cmd";
        const auto found = place_for(repair.guest, path);
        const auto old = TRY(repair.guest.read(found, 1u << 20)).value_or("");
        return repair.guest.write("first boot: started at the end of Windows' own setup", found, with_runner(old));
    }
    const auto values = setup_values(system, repair.windows.major);
    if (!values) {
        repair.warn("SYSTEM\\Setup has a CmdLine that could not be put back: first-boot scripts are not started");
        return {};
    }
    TRY(repair.guest.write("first boot: puts SYSTEM\\Setup back as it was", in_folder(repair, "setup.reg"), *values));
    TRY(system.set_string("first boot: winlogon runs the scripts, before anybody logs on", "Setup", "CmdLine",
                          kSetupCommand));
    return system.set("first boot: winlogon runs the scripts, before anybody logs on", "Setup", "SetupType",
                      reg_dword(2));
}

}  // namespace

std::string first_boot_folder(const WindowsSystem& windows) { return windows.root + "/slipway/FirstBoot"; }

Result<std::string> put_file(WindowsRepair& repair, std::string_view name, std::string_view ending,
                             const std::string& content, const std::string& about) {
    auto file = fmt::format("{}.{}.{}", name, sha256(as_bytes(content)).text().substr(0, 12), ending);
    TRY(repair.guest.write(about.empty() ? fmt::format("first boot: for the script {}", name) : about,
                           in_folder(repair, "files/" + file), content));
    return file;
}

Status put_script(WindowsRepair& repair, unsigned order, const std::string& name, const std::string& text,
                  bool secret) {
    const auto id = script_id(order, name, text);
    if (repair.guest.exists(in_folder(repair, "done/" + id))) return {};
    for (const auto& other : repair.guest.list(in_folder(repair, "scripts")))
        if (other != id && without_hash(other) == without_hash(id))
            TRY(repair.guest.remove("first boot: an earlier repair's script", in_folder(repair, "scripts/" + other)));
    repair.guest.want(in_folder(repair, "scripts"));
    const auto what = fmt::format("first boot: script {}, run once", name);
    if (secret) return write_private(repair.guest, what, in_folder(repair, "scripts/" + id), text);
    return repair.guest.write(what, in_folder(repair, "scripts/" + id), text);
}

Status restore_auto_reboot(WindowsRepair& repair, std::uint32_t before) {
    const auto file = TRY(put_file(repair, "crash-control", "reg", crash_control_values(before)));
    const auto text = crlf("@echo off\n" + regedit_line(file));
    // Where it was is in the registry only until the script has run: it is wanted again.
    TRY(repair.guest.remove("first boot: to be done again",
                            in_folder(repair, "done/" + script_id(kCrashOrder, "crash-control", text))));
    return put_script(repair, kCrashOrder, "crash-control", text);
}

Status add_first_boot(WindowsRepair& repair) {
    repair.note("first boot");
    Personality personality;
    if (!repair.request.personality.empty()) personality = TRY(parse_personality(repair.request.personality));
    tell_what_is_left_out(repair, personality);
    TRY(add_guest_agent(repair));
    TRY(add_own_scripts(repair, personality));
    if (const auto before = auto_reboot_before(repair)) TRY(restore_auto_reboot(repair, *before));
    const auto& nonce = repair.request.proof_nonce;
    if (!nonce.empty() && !repair.guest.exists(in_folder(repair, "done/proof." + nonce)))
        TRY(repair.guest.write("boot proof: command", in_folder(repair, "proof.cmd"), proof_command(nonce)));
    TRY(remove_stale(repair, "scripts"));
    TRY(remove_stale(repair, "files"));
    TRY(add_answer_file(repair, personality));
    if (!anything_to_do(repair)) return {};
    TRY(repair.guest.write("first boot: runs the scripts in their order", in_folder(repair, "run.cmd"), runner()));
    return register_runner(repair);
}

}  // namespace slipway::fixup::windows
