// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/first_boot.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

std::string in_first_boot(std::string_view rest) { return fmt::format("{}/{}", kFirstBoot, rest); }

// What makes the runner run, and the file or link that does so last.
std::vector<std::string> starters(const Guest& guest, std::string_view name, InitSystem init) {
    switch (init) {
        case InitSystem::Systemd:
            return {fmt::format("/etc/systemd/system/{}.service", name),
                    fmt::format("/etc/systemd/system/multi-user.target.wants/{}.service", name)};
        case InitSystem::OpenRc:
            return {fmt::format("/etc/init.d/{}", name), fmt::format("/etc/runlevels/default/{}", name)};
        case InitSystem::SysV: break;
        case InitSystem::None: return {};
    }
    std::vector<std::string> out{fmt::format("{}/{}", sysv_scripts(guest), name)};
    for (const auto& directory : runlevel_directories(guest))
        if (std::string_view("2345").find(directory[directory.size() - 3]) != std::string_view::npos)
            out.push_back(fmt::format("{}/S99{}", directory, name));
    return out;
}

Status enable(Guest& guest, const std::string& what, const std::vector<std::string>& files, const std::string& text,
              InitSystem init) {
    TRY(guest.write(what, files[0], text, init == InitSystem::Systemd ? 0644 : 0755));
    for (std::size_t i = 1; i < files.size(); ++i)
        TRY(guest.symlink(what, files[i],
                          init == InitSystem::Systemd ? "../" + files[0].substr(files[0].rfind('/') + 1) : files[0]));
    return {};
}

}  // namespace

Status add_first_boot(Repair& repair, const std::vector<FirstBootScript>& scripts) {
    auto& guest = repair.guest;
    std::vector<std::pair<std::string, const FirstBootScript*>> wanted;
    unsigned order = 0;
    for (const auto& script : scripts) {
        const auto id = first_boot_id(script);
        order += 10;
        if (!guest.exists(in_first_boot("done/" + id)))
            wanted.emplace_back(fmt::format("{:03}-{}", order, id), &script);
    }
    // Scripts of an earlier repair that never ran would run between these.
    for (const auto& name : guest.list(in_first_boot("scripts")))
        if (!scripts.empty() &&
            std::none_of(wanted.begin(), wanted.end(), [&](const auto& script) { return script.first == name; }))
            TRY(forget(guest, "first boot: an earlier repair's script", in_first_boot("scripts/" + name)));
    if (wanted.empty()) return {};
    const auto init = init_of(guest);
    if (init == InitSystem::None) {
        repair.warn("this system's way to start services is not known: its first-boot scripts were not put in place");
        return {};
    }
    const auto files = starters(guest, kFirstBootName, init);
    for (const auto& [name, script] : wanted)
        TRY(write_private(guest, "first boot: script " + script->name, in_first_boot("scripts/" + name), script->text,
                          0700));
    auto own = files;
    std::reverse(own.begin(), own.end());  // the links go first
    own.push_back(in_first_boot("run"));
    TRY(guest.write("first boot: runner", in_first_boot("run"), first_boot_runner(own), 0700));
    const auto text = init == InitSystem::Systemd ? first_boot_unit()
                      : init == InitSystem::OpenRc
                          ? first_boot_openrc()
                          : sysv_script(kFirstBootName, "/bin/sh " + in_first_boot("run"), "$remote_fs $network", "");
    return enable(guest, "first boot: enabled", files, text, init);
}

Status add_host_keys_unit(Repair& repair) {
    auto& guest = repair.guest;
    const auto init = init_of(guest);
    if (init == InitSystem::Systemd)
        return enable(guest, "SSH host keys at the first boot", starters(guest, kHostKeysName, init), host_keys_unit(),
                      init);
    if (init != InitSystem::SysV) {
        repair.warn("nothing in this system makes new SSH host keys: run ssh-keygen -A at its console");
        return {};
    }
    auto files = starters(guest, kHostKeysName, init);
    for (std::size_t i = 1; i < files.size(); ++i)  // before sshd, which is S10 to S55
        files[i].replace(files[i].rfind("/S99") + 2, 2, "01");
    return enable(guest, "SSH host keys at the first boot", files,
                  sysv_script(kHostKeysName, "ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -A",
                              "$remote_fs", "ssh sshd"),
                  init);
}

namespace {

bool has_guest_agent(const Guest& guest) {
    for (const char* path : {"/usr/sbin/qemu-ga", "/usr/bin/qemu-ga", "/sbin/qemu-ga"})
        if (guest.exists(path)) return true;
    return false;
}

// Where [Install] wants it; a unit without it is started by udev when the channel is there.
Status enable_agent_unit(Guest& guest) {
    for (const char* directory : {"/usr/lib/systemd/system", "/lib/systemd/system"}) {
        const auto unit = fmt::format("{}/qemu-guest-agent.service", directory);
        const auto text = TRY(guest.read(unit, 1u << 20));
        if (!text) continue;
        const std::string mask = "/etc/systemd/system/qemu-guest-agent.service";
        if (link_target(guest, mask) == "/dev/null") TRY(remove_link(guest, "guest agent: no longer masked", mask));
        for (const auto& line : split(*text, '\n')) {
            constexpr std::string_view kWanted = "WantedBy=";
            if (!line.starts_with(kWanted)) continue;
            const std::string target(trim(std::string_view(line).substr(kWanted.size())));
            if (!valid_pattern(target)) continue;
            TRY(guest.symlink("guest agent: enabled",
                              fmt::format("/etc/systemd/system/{}.wants/qemu-guest-agent.service", target), unit));
        }
        return {};
    }
    return {};
}

Status enable_agent_script(Guest& guest, InitSystem init) {
    const auto script = sysv_scripts(guest);
    for (const char* name : {"qemu-guest-agent", "qemu-ga"}) {
        if (script.empty() || !guest.exists(fmt::format("{}/{}", script, name))) continue;
        const auto files = starters(guest, name, init);
        for (std::size_t i = 1; i < files.size(); ++i) TRY(guest.symlink("guest agent: enabled", files[i], files[0]));
        return {};
    }
    return {};
}

}  // namespace

Status enable_guest_agent(Repair& repair, std::vector<FirstBootScript>& first_boot) {
    auto& guest = repair.guest;
    if (!repair.request.guest_agent) return {};
    if (has_guest_agent(guest)) {
        const auto init = init_of(guest);
        return init == InitSystem::Systemd ? enable_agent_unit(guest) : enable_agent_script(guest, init);
    }
    const bool debian = guest.exists("/usr/bin/dpkg");
    const auto script = package_script(debian);
    if (repair.request.guest_agent_packages.empty()) {
        repair.warn(
            "qemu-guest-agent is not installed in this system, and no package of it was given: nothing can be "
            "installed "
            "offline without one");
        return {};
    }
    if (guest.exists(in_first_boot("done/" + first_boot_id(script)))) return {};
    for (const auto& package : repair.request.guest_agent_packages) {
        if (!valid_pattern(package.name) || !package.name.ends_with(debian ? ".deb" : ".rpm")) {
            repair.warn(fmt::format("{} is no package for this system", printable(package.name)));
            return {};
        }
        TRY(write_private(guest, "guest agent: package for the first boot", in_first_boot("packages/" + package.name),
                          package.content));
    }
    first_boot.insert(first_boot.begin(), script);
    return {};
}

}  // namespace slipway::fixup
