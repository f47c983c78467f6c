// SPDX-License-Identifier: GPL-3.0-or-later
// Services that start by themselves, programs that run at boot or logon.
#include <algorithm>
#include <set>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr auto kUnits = "/etc/systemd/system";

// "name@instance.service" is described by "name@.service".
std::string template_of(const std::string& unit) {
    auto at = unit.find('@'), dot = unit.rfind('.');
    return at == std::string::npos || dot == std::string::npos ? unit : unit.substr(0, at + 1) + unit.substr(dot);
}

void read_unit(Tree& tree, const std::string& path, Service& service) {
    std::vector<std::string> lines;
    for (const auto& candidate : {path, "/lib/systemd/system/" + template_of(service.name),
                                  "/usr/lib/systemd/system/" + template_of(service.name)})
        if (lines.empty()) lines = tree.lines(candidate);
    for (const auto& line : lines) {
        if (service.description.empty() && line.starts_with("Description=")) service.description = line.substr(12);
        if (service.command.empty() && line.starts_with("ExecStart=")) service.command = line.substr(10);
        if (service.account.empty() && line.starts_with("User=")) service.account = line.substr(5);
    }
}

void probe_systemd(Tree& tree, Inventory& out) {
    for (const auto& name : tree.list(kUnits)) {
        auto path = std::string(kUnits) + "/" + name;
        if (tree.link_target(path) == "/dev/null") out.services.push_back({name, "", "masked", "", ""});
        if (!name.ends_with(".wants") && !name.ends_with(".requires")) continue;
        for (const auto& unit : tree.list(path)) {
            Service service{.name = unit, .start = "enabled", .wanted_by = name.substr(0, name.rfind('.'))};
            read_unit(tree, path + "/" + unit, service);
            out.services.push_back(std::move(service));
        }
    }
}

// S01name in the directories of the runlevels a server runs in; systemd reads these too, for scripts without a unit.
void probe_sysv(Tree& tree, Inventory& out) {
    std::set<std::string> seen;
    for (const auto& s : out.services) seen.insert(s.name.substr(0, s.name.rfind('.')));
    for (std::string level : {"rcS.d", "rc2.d", "rc3.d", "rc5.d"})
        for (std::string base : {"/etc/", "/etc/rc.d/"})
            for (const auto& link : tree.list(base + level)) {
                if (link.size() < 4 || link[0] != 'S') continue;
                auto name = link.substr(3);
                bool has_unit = tree.exists("/lib/systemd/system/" + name + ".service") ||
                                tree.exists("/usr/lib/systemd/system/" + name + ".service");
                if (has_unit || !seen.insert(name).second) continue;
                auto script = tree.resolve(base + level + "/" + link).value_or("");
                out.services.push_back({name, "", "sysv", level, script});
            }
}

void probe_crontab(Tree& tree, const std::string& file, bool with_user, Inventory& out) {
    for (const auto& line : tree.lines(file)) {
        auto w = words(line);
        std::size_t skip = with_user ? 2 : 1;
        if (w.size() <= skip || w[0] != "@reboot") continue;
        auto command = join({w.begin() + static_cast<std::ptrdiff_t>(skip), w.end()}, " ");
        out.autorun.push_back({base_name(words(command)[0]), command, file + " (@reboot)"});
    }
}

void probe_autorun(Tree& tree, Inventory& out) {
    for (std::string file : {"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/init.d/boot.local"})
        for (const auto& line : tree.lines(file)) {
            auto text = trim(line);
            if (text.empty() || text.starts_with('#') || text.starts_with("exit ") || text == "exit") continue;
            out.autorun.push_back({base_name(file), std::string(text), file});
        }
    probe_crontab(tree, "/etc/crontab", true, out);
    for (const auto& name : tree.list("/etc/cron.d")) probe_crontab(tree, "/etc/cron.d/" + name, true, out);
    for (std::string directory : {"/var/spool/cron/crontabs", "/var/spool/cron"})
        for (const auto& name : tree.list(directory)) probe_crontab(tree, directory + "/" + name, false, out);
    for (const auto& name : tree.list("/etc/xdg/autostart")) {
        AutorunProgram program{.source = "/etc/xdg/autostart/" + name};
        for (const auto& line : tree.lines(program.source)) {
            if (program.name.empty() && line.starts_with("Name=")) program.name = line.substr(5);
            if (program.command.empty() && line.starts_with("Exec=")) program.command = line.substr(5);
        }
        if (!program.command.empty()) out.autorun.push_back(std::move(program));
    }
}

}  // namespace

void probe_software(Tree& tree, Inventory& out) {
    probe_systemd(tree, out);
    probe_sysv(tree, out);
    probe_autorun(tree, out);
}

}  // namespace slipway::gatherhw
