// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/services.hpp"

#include <algorithm>
#include <set>

#include "guest-fixup/forget.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kUnits = "/etc/systemd/system";
constexpr const char* kUnitDirectories[] = {kUnits, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                            "/lib/systemd/system"};
constexpr std::string_view kUnitKinds[] = {".service", ".timer", ".socket", ".path"};
constexpr std::string_view kNote = "# Slipway: ";

std::string in_directory(std::string_view directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

// The unit files that pattern means: NAME alone means its service, timer, socket and path.
std::set<std::string> units_of(const Guest& guest, std::string_view pattern) {
    std::set<std::string> units;
    const bool kind_given =
        std::any_of(std::begin(kUnitKinds), std::end(kUnitKinds), [&](auto kind) { return pattern.ends_with(kind); });
    for (const char* directory : kUnitDirectories)
        for (const auto& name : guest.list(directory))
            for (const auto kind : kUnitKinds) {
                if (!name.ends_with(kind)) continue;
                const auto stem = std::string_view(name).substr(0, name.size() - kind.size());
                if (kind_given ? fits(name, pattern) : fits(stem, pattern)) units.insert(name);
            }
    return units;
}

Status take_from_wants(Guest& guest, const std::string& what, const std::string& unit) {
    for (const char* kind : {"*.wants", "*.requires"})
        for (const auto& directory : matching(guest, kUnits, kind))
            TRY(remove_link(guest, what, in_directory(directory, unit)));
    return {};
}

Status mask(Guest& guest, const std::string& what, const std::string& unit) {
    const auto path = in_directory(kUnits, unit);
    const auto link = link_target(guest, path);
    if (!link && guest.exists(path)) return take_from_wants(guest, what, unit);
    return guest.symlink(what, path, "/dev/null");
}

Result<std::string> unit_text(const Guest& guest, const std::string& unit) {
    for (const char* directory : kUnitDirectories)
        if (auto text = guest.read(in_directory(directory, unit), 1u << 20); text && *text) return std::move(**text);
    return std::string();
}

Status disable_units(Guest& guest, const std::string& what, std::string_view pattern, bool foreign_only) {
    auto units = units_of(guest, pattern);
    // systemd makes a unit of an init script; a mask holds for that too.
    if (const auto scripts = sysv_scripts(guest); !scripts.empty())
        for (const auto& name : guest.list(scripts))
            if (fits(name, pattern)) units.insert(name + ".service");
    for (const auto& unit : units)
        if (!foreign_only || !only_elsewhere(TRY(unit_text(guest, unit)))) TRY(mask(guest, what, unit));
    return {};
}

// "S20foo" -> "K80foo", as chkconfig has it: stopped where it was started.
Status disable_sysv(Guest& guest, const std::string& what, std::string_view pattern) {
    for (const auto& directory : runlevel_directories(guest))
        for (const auto& link : guest.list(directory)) {
            const auto number = link.size() > 3 && link[0] == 'S' ? parse_u64(link.substr(1, 2)) : std::nullopt;
            if (!number || !fits(std::string_view(link).substr(3), pattern)) continue;
            const auto target = link_target(guest, in_directory(directory, link));
            if (!target) continue;
            TRY(guest.symlink(what,
                              fmt::format("{}/K{:02}{}", directory, *number == 0 ? 99 : 100 - *number, link.substr(3)),
                              *target));
            TRY(remove_link(guest, what, in_directory(directory, link)));
        }
    return {};
}

Status disable_others(Guest& guest, const std::string& what, std::string_view pattern) {
    for (const auto& level : guest.list("/etc/runlevels"))
        for (const auto& link : matching(guest, in_directory("/etc/runlevels", level), pattern))
            TRY(remove_link(guest, what, link));
    for (const auto& job : matching(guest, "/etc/init", std::string(pattern) + ".conf"))
        TRY(guest.write(what, job.substr(0, job.size() - 5) + ".override", "manual\n"));
    return {};
}

std::string plain_module(std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

std::string_view first_word(std::string_view text) {
    text = trim(text);
    return text.substr(0, text.find_first_of(" \t;&|<>"));
}

std::string_view file_name(std::string_view word) { return word.substr(word.find_last_of('/') + 1); }

bool whole_command(std::string_view line) {
    line = trim(line);
    for (std::string_view end : {"\\", "then", "do", "{", "&&", "||", "|"})
        if (line.ends_with(end)) return false;
    return true;
}

bool starts_at_boot(std::string_view cron_line, std::string_view program) {
    if (!trim(cron_line).starts_with("@reboot")) return false;
    for (const auto& word : split(trim(cron_line), ' '))
        if (file_name(word) == program) return true;
    return false;
}

}  // namespace

InitSystem init_of(const Guest& guest) {
    if (guest.exists("/usr/lib/systemd/systemd") || guest.exists("/lib/systemd/systemd")) return InitSystem::Systemd;
    if (guest.exists("/sbin/openrc-run") || guest.exists("/sbin/openrc")) return InitSystem::OpenRc;
    return sysv_scripts(guest).empty() ? InitSystem::None : InitSystem::SysV;
}

std::string sysv_scripts(const Guest& guest) {
    for (const char* directory : {"/etc/init.d", "/etc/rc.d/init.d"})
        if (guest.exists(directory)) return directory;
    return {};
}

std::vector<std::string> runlevel_directories(const Guest& guest) {
    std::vector<std::string> out;
    std::set<std::string> real;  // /etc/rc3.d may be a link to /etc/rc.d/rc3.d
    for (const char* form : {"/etc/rc{}.d", "/etc/rc.d/rc{}.d", "/etc/init.d/rc{}.d"})
        for (char level : {'1', '2', '3', '4', '5', 'S'}) {
            const auto directory = fmt::format(fmt::runtime(form), level);
            const auto place = guest.resolve(directory);
            if (place && real.insert(place->string()).second) out.push_back(directory);
        }
    return out;
}

bool valid_pattern(std::string_view pattern) {
    if (pattern.size() > 128 || pattern.empty() || pattern[0] == '.' || pattern[0] == '-') return false;
    std::size_t letters = 0, stars = 0;
    for (char c : pattern) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && std::string_view("_.@:+-*").find(c) == std::string_view::npos) return false;
        letters += letter;
        stars += c == '*';
    }
    return stars == 0 ? letters > 0 : letters >= 3;
}

bool only_elsewhere(std::string_view unit) {
    bool here = false, elsewhere = false;
    map_lines(unit, [&](std::string_view line) {
        constexpr std::string_view kCondition = "ConditionVirtualization=";
        if (!line.starts_with(kCondition)) return std::string();
        const auto value = trim(line.substr(kCondition.size()));
        if (value.empty()) elsewhere = here = false;  // systemd: the list begins anew
        else if (value == "vmware" || value == "oracle" || value == "microsoft" || value == "xen" ||
                 value == "parallels")
            elsewhere = true;
        else if (value.starts_with('|')) here = true;  // one of several may do
        return std::string();
    });
    return elsewhere && !here;
}

Status disable_service(Guest& guest, const std::string& what, std::string_view pattern, bool foreign_only) {
    if (init_of(guest) == InitSystem::Systemd) TRY(disable_units(guest, what, pattern, foreign_only));
    else {
        for (auto kind : kUnitKinds)
            if (pattern.ends_with(kind)) pattern.remove_suffix(kind.size());
        TRY(disable_sysv(guest, what, pattern));
        TRY(disable_others(guest, what, pattern));
    }
    return {};
}

std::string unlist_module(std::string_view text, std::string_view module) {
    return map_lines(text, [&](std::string_view line) {
        return plain_module(first_word(line)) == plain_module(module) ? fmt::format("{}{}", kNote, line)
                                                                      : std::string(line);
    });
}

std::string drop_from_lists(std::string_view text, std::string_view module) {
    return map_lines(text, [&](std::string_view line) {
        const auto start = trim(line);
        const bool list = start.starts_with("INITRD_MODULES=") || start.starts_with("MODULES=(") ||
                          start.starts_with("add_drivers+=") || start.starts_with("force_drivers+=");
        if (!list) return std::string(line);
        std::string out;
        std::size_t at = 0;
        constexpr std::string_view kEnds = " \t\"'()=";
        while (at < line.size()) {
            const auto end = std::min(line.find_first_of(kEnds, at), line.size());
            const auto word = line.substr(at, end - at);
            if (word.empty() || plain_module(word) != plain_module(module)) out += word;
            else if (end < line.size() && line[end] == ' ') {  // with the space behind it
                at = end + 1;
                continue;
            }
            if (end < line.size()) out += line[end];
            at = end + 1;
        }
        return out;
    });
}

std::string comment_program(std::string_view text, std::string_view program, Startup kind) {
    bool continued = false;
    return map_lines(text, [&](std::string_view line) {
        const bool begins = !continued;
        continued = line.ends_with('\\');
        const auto start = trim(line);
        if (start.empty() || start[0] == '#' || !begins) return std::string(line);
        if (kind == Startup::Cron)
            return starts_at_boot(line, program) ? fmt::format("{}{}", kNote, line) : std::string(line);
        if (kind == Startup::Inittab) {
            const auto fields = split(line, ':');
            return fields.size() >= 4 && file_name(first_word(fields[3])) == program ? fmt::format("{}{}", kNote, line)
                                                                                     : std::string(line);
        }
        // A comment alone would leave an empty "then".
        return file_name(first_word(line)) == program && whole_command(line) ? fmt::format(":  {}{}", kNote, line)
                                                                             : std::string(line);
    });
}

namespace {

Status edit_files(Guest& guest, const std::string& what, const std::vector<std::string>& paths,
                  const std::function<std::string(const std::string&)>& edit) {
    for (const auto& path : paths)
        if (auto text = guest.read(path, 1u << 20); text && *text) TRY(guest.write(what, path, edit(**text)));
    return {};
}

}  // namespace

Status unlist_module_everywhere(Guest& guest, const std::string& what, const std::string& module,
                                bool& initramfs_changed) {
    auto unlist = [&](const std::string& text) { return unlist_module(text, module); };
    auto listed = matching(guest, "/etc/modules-load.d", "*.conf");
    listed.push_back("/etc/modules");
    TRY(edit_files(guest, what, listed, unlist));
    const auto before = guest.journal().size();
    TRY(edit_files(guest, what, {"/etc/initramfs-tools/modules"}, unlist));
    auto lists = matching(guest, "/etc/dracut.conf.d", "*.conf");
    for (const char* path : {"/etc/dracut.conf", "/etc/sysconfig/kernel", "/etc/mkinitcpio.conf"})
        lists.push_back(path);
    TRY(edit_files(guest, what, lists, [&](const std::string& text) { return drop_from_lists(text, module); }));
    initramfs_changed = initramfs_changed || guest.journal().size() != before;
    return {};
}

Status remove_program(Guest& guest, const std::string& what, const std::string& program) {
    const auto desktop = program.ends_with(".desktop") ? program : program + ".desktop";
    const auto autostart = "/etc/xdg/autostart/" + desktop;
    if (link_target(guest, autostart)) TRY(remove_link(guest, what, autostart));
    else TRY(guest.remove(what, autostart));
    auto comment = [&](Startup kind) {
        return [&program, kind](const std::string& text) { return comment_program(text, program, kind); };
    };
    TRY(edit_files(guest, what,
                   {"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.d/boot.local", "/etc/init.d/boot.local"},
                   comment(Startup::Script)));
    TRY(edit_files(guest, what, {"/etc/inittab"}, comment(Startup::Inittab)));
    std::vector<std::string> crons{"/etc/crontab"};
    for (const char* directory : {"/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"})
        for (const auto& name : guest.list(directory)) crons.push_back(in_directory(directory, name));
    return edit_files(guest, what, crons, comment(Startup::Cron));
}

}  // namespace slipway::fixup
