// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/first_boot.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/personality_edits.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

std::string first_line(std::string_view text) { return std::string(trim(text.substr(0, text.find('\n')))); }

// Red Hat's file; SUSE has a directory of this name.
std::optional<std::string> red_hat_network(const Guest& guest) {
    auto text = guest.read("/etc/sysconfig/network");
    return text ? *std::move(text) : std::nullopt;
}

// The names this machine had, wherever its distribution keeps them.
Result<std::vector<std::string>> old_names(const Guest& guest) {
    std::vector<std::string> names;
    auto add = [&](const std::string& name) {
        if (!valid_host_name(name) || name == "localhost") return;
        for (auto& part : host_names(name))
            if (std::find(names.begin(), names.end(), part) == names.end()) names.push_back(std::move(part));
    };
    for (const char* path : {"/etc/hostname", "/etc/HOSTNAME"}) add(first_line(TRY(guest.read(path)).value_or("")));
    add(assignment(red_hat_network(guest).value_or(""), "HOSTNAME"));
    add(assignment(TRY(guest.read("/etc/conf.d/hostname")).value_or(""), "hostname"));
    return names;
}

Status set_host_name(Repair& repair, const std::string& name) {
    if (name.empty()) return {};
    auto& guest = repair.guest;
    const std::string what = "host name " + name;
    const auto names = host_names(name);
    const auto old = TRY(old_names(guest));
    const auto sysconfig = red_hat_network(guest);
    const bool in_sysconfig = sysconfig && !assignment(*sysconfig, "HOSTNAME").empty();
    if (in_sysconfig) TRY(guest.write(what, "/etc/sysconfig/network", set_assignment(*sysconfig, "HOSTNAME", name)));
    if (TRY(guest.read("/etc/HOSTNAME"))) TRY(guest.write(what, "/etc/HOSTNAME", name + "\n"));
    if (const auto text = TRY(guest.read("/etc/conf.d/hostname")))
        TRY(guest.write(what, "/etc/conf.d/hostname", set_assignment(*text, "hostname", name)));
    // hostname(5): Debian keeps the short name there.
    const auto kept = guest.exists("/etc/debian_version") ? names.back() : name;
    if (guest.exists("/etc/hostname") || !(in_sysconfig || guest.exists("/etc/HOSTNAME")))
        if (!guest.exists("/etc/HOSTNAME") || guest.resolve("/etc/HOSTNAME") != guest.resolve("/etc/hostname"))
            TRY(guest.write(what, "/etc/hostname", kept + "\n"));
    const auto hosts = edit_hosts(TRY(guest.read("/etc/hosts")).value_or("127.0.0.1\tlocalhost\n"), old, names);
    repair.warn(hosts.warnings);
    TRY(guest.write(what, "/etc/hosts", hosts.text));
    if (const auto mail = TRY(guest.read("/etc/mailname")))
        if (std::find(old.begin(), old.end(), first_line(*mail)) != old.end())
            TRY(guest.write(what, "/etc/mailname", name + "\n"));
    return {};
}

// Kernels of later updates are to go on where the boot loader has these.
Status keep_entry_token(Repair& repair, const std::string& old_id) {
    auto& guest = repair.guest;
    if (!valid_machine_id(old_id) || guest.exists("/etc/kernel/entry-token")) return {};
    for (const char* directory : {"/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"})
        if (!matching(guest, directory, old_id + "-*.conf").empty())
            return guest.write("machine-id: the boot loader's entries keep their name", "/etc/kernel/entry-token",
                               old_id + "\n");
    return {};
}

}  // namespace

Status set_machine_id(Repair& repair, MachineId wanted, const std::string& given) {
    if (wanted == MachineId::Keep) return {};
    auto& guest = repair.guest;
    constexpr const char *kId = "/etc/machine-id", *kBus = "/var/lib/dbus/machine-id", *kWhat = "machine-id";
    TRY(keep_entry_token(repair, first_line(TRY(guest.read(kId)).value_or(""))));
    const bool systemd = init_of(guest) == InitSystem::Systemd;
    if (!systemd && wanted != MachineId::Given) {
        // D-Bus makes a missing one at its start; an empty one stops it.
        TRY(forget(guest, kWhat, kId));
        return forget(guest, kWhat, kBus);
    }
    const auto content = wanted == MachineId::Given           ? given + "\n"
                         : wanted == MachineId::Uninitialized ? std::string("uninitialized\n")
                                                              : std::string();
    if (systemd || guest.exists(kId)) TRY(guest.write(kWhat, kId, content, 0444));
    if (link_target(guest, kBus) || (!guest.exists(kBus) && !link_target(guest, kBus))) return {};
    return systemd ? guest.symlink(kWhat, kBus, "/etc/machine-id") : guest.write(kWhat, kBus, content, 0444);
}

namespace {

// Does the distribution make missing host keys when sshd starts?
bool makes_host_keys(const Guest& guest) {
    for (const char* directory : {"/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"})
        for (const char* unit : {"sshd-keygen.service", "sshd-keygen@.service", "sshdgenkeys.service"})
            if (guest.exists(fmt::format("{}/{}", directory, unit))) return true;
    for (const char* program : {"/usr/sbin/sshd-gen-keys-start", "/usr/libexec/openssh/sshd-keygen"})
        if (guest.exists(program)) return true;
    if (init_of(guest) == InitSystem::Systemd) return false;
    for (const char* script : {"sshd", "ssh"})
        if (auto text = guest.read(fmt::format("{}/{}", sysv_scripts(guest), script), 1u << 20);
            text && *text && (*text)->find("ssh-keygen") != std::string::npos)
            return true;
    return false;
}

}  // namespace

Status new_host_keys(Repair& repair) {
    auto& guest = repair.guest;
    // Also where no sshd is (any more): one that is installed later would take them.
    for (const char* pattern : {"ssh_host_*_key", "ssh_host_*_key.pub", "ssh_host_key", "ssh_host_key.pub"})
        for (const auto& key : matching(guest, "/etc/ssh", pattern)) TRY(forget(guest, "SSH host key removed", key));
    return !guest.exists("/usr/sbin/sshd") || makes_host_keys(guest) ? Status() : add_host_keys_unit(repair);
}

namespace {

Status set_time_zone(Repair& repair, const std::string& zone) {
    if (zone.empty()) return {};
    auto& guest = repair.guest;
    const std::string what = "time zone " + zone;
    if (!guest.exists("/usr/share/zoneinfo/" + zone)) {
        repair.warn(fmt::format("this system has no time zone {}: its time zone stays", zone));
        return {};
    }
    TRY(guest.symlink(what, "/etc/localtime", "../usr/share/zoneinfo/" + zone));
    if (TRY(guest.read("/etc/timezone"))) TRY(guest.write(what, "/etc/timezone", zone + "\n"));
    // Older Red Hat and SUSE write /etc/localtime anew from it.
    if (const auto clock = TRY(guest.read("/etc/sysconfig/clock")))
        for (const char* key : {"ZONE", "TIMEZONE"})
            if (!assignment(*clock, key).empty())
                TRY(guest.write(what, "/etc/sysconfig/clock", set_assignment(*clock, key, zone)));
    return {};
}

Status set_locale(Repair& repair, const std::string& locale) {
    if (locale.empty()) return {};
    auto& guest = repair.guest;
    const auto stem = locale.substr(0, locale.find('.'));
    const bool known = stem == "C" || stem == "POSIX" || guest.exists("/usr/lib/locale/locale-archive") ||
                       !matching(guest, "/usr/lib/locale", stem + "*").empty();
    if (!known) repair.warn(fmt::format("this system has no locale {}: programs will fall back to C", locale));
    const char* path = guest.exists("/etc/debian_version") && !guest.exists("/etc/locale.conf") ? "/etc/default/locale"
                                                                                                : "/etc/locale.conf";
    return guest.write("locale " + locale, path, set_assignment(TRY(guest.read(path)).value_or(""), "LANG", locale));
}

Status own(const fs::path& place, const Account& account, unsigned mode) {
    if (::lchown(place.c_str(), account.uid, account.gid) != 0 || ::chmod(place.c_str(), mode) != 0)
        return errno_error(errno, place.string());
    return {};
}

Status authorize(Repair& repair, const AuthorizedKey& key) {
    auto& guest = repair.guest;
    const auto accounts = parse_passwd(TRY(guest.read("/etc/passwd")).value_or(""));
    const auto account =
        std::find_if(accounts.begin(), accounts.end(), [&](const auto& a) { return a.name == key.user; });
    const auto home = account == accounts.end() ? std::nullopt : guest.resolve(account->home);
    if (!home || !fs::is_directory(*home)) {
        repair.warn(fmt::format("there is no user {} with a home directory: the key was not added", key.user));
        return {};
    }
    const auto directory = account->home + "/.ssh", path = directory + "/authorized_keys";
    const auto place = guest.resolve(directory);
    // The user's own links could point at another's files, which would become the user's.
    if ((place && *place != *home / ".ssh") || link_target(guest, path)) {
        repair.warn(fmt::format("{} of {} is a link: the key was not added", path, key.user));
        return {};
    }
    const bool new_directory = !place, new_file = !guest.exists(path);
    TRY(guest.write("key of " + key.user, path, add_line(TRY(guest.read(path)).value_or(""), key.key), 0600));
    if (guest.dry_run()) return {};
    if (new_directory) TRY(own(*home / ".ssh", *account, 0700));
    return new_file ? own(*home / ".ssh/authorized_keys", *account, 0600) : Status();
}

// It would set name and network again from what it knows of its first boot.
Status hold_cloud_init(Repair& repair, const Personality& personality) {
    auto& guest = repair.guest;
    if (!guest.exists("/etc/cloud/cloud.cfg") || (personality.host_name.empty() && personality.interfaces.empty()))
        return {};
    std::string text = "# Written by Slipway: said by the personality.\n";
    if (!personality.host_name.empty()) text += "preserve_hostname: true\n";
    if (!personality.interfaces.empty()) text += "network: {config: disabled}\n";
    return guest.write("cloud-init leaves name and network alone", "/etc/cloud/cloud.cfg.d/99-slipway.cfg", text);
}

}  // namespace

Status personalise(Repair& repair, std::vector<FirstBootScript>& first_boot) {
    if (repair.request.personality.empty()) return {};
    repair.note("personality");
    const auto personality = TRY(parse_personality(repair.request.personality));
    TRY(set_host_name(repair, personality.host_name));
    TRY(set_machine_id(repair, personality.machine_id, personality.given_machine_id));
    if (personality.new_ssh_host_keys) TRY(new_host_keys(repair));
    TRY(set_addresses(repair, personality.interfaces));
    TRY(set_time_zone(repair, personality.time_zone));
    TRY(set_locale(repair, personality.locale));
    for (const auto& key : personality.authorized_keys) TRY(authorize(repair, key));
    TRY(hold_cloud_init(repair, personality));
    for (const auto& script : personality.first_boot) {
        if (script.text.starts_with("#!")) first_boot.push_back(script);
        else repair.warn(fmt::format("first-boot script {} is one of Windows: not run here", script.name));
    }
    return {};
}

}  // namespace slipway::fixup
