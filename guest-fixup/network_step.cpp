// SPDX-License-Identifier: GPL-3.0-or-later
// Reads the files that configure a guest's network, and applies what network/plan.hpp plans for them.
#include <algorithm>
#include <set>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/network.hpp"
#include "guest-fixup/network/names_unit.hpp"
#include "guest-fixup/network/plan.hpp"
#include "guest-fixup/network_system.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostFiles = 512, kMostBytes = 8u << 20, kLargest = 1u << 20;
constexpr int kDeepestSource = 4;

class Files {
public:
    Files(const Guest& guest, std::vector<std::string>& warnings) : guest_(guest), warnings_(warnings) {}

    void add(const std::string& path, ConfigKind kind = ConfigKind::ByPath,
             bool (*wanted)(std::string_view) = nullptr) {
        if (!seen_.insert(path).second || !guest_.exists(path)) return;
        if (files.size() >= kMostFiles || bytes_ >= kMostBytes) {
            if (!full_)
                warnings_.push_back("more network configuration files than are looked at: " + path +
                                    " and what follows");
            full_ = true;
            return;
        }
        auto text = guest_.read(path, kLargest);
        if (!text) {
            // A link to /dev/null switches a file off.
            if (const auto place = guest_.resolve(path); !place || place->filename() != "null")
                warnings_.push_back(path + " was not looked at: " + text.error().message());
            return;
        }
        if (!*text || (wanted && !wanted(**text))) return;
        bytes_ += (*text)->size();
        files.push_back({path, std::move(**text), kind});
    }
    // Names that match; entries that are directories are none of them.
    void add_all(const std::string& directory, std::string_view pattern, bool (*wanted)(std::string_view) = nullptr,
                 ConfigKind kind = ConfigKind::ByPath) {
        for (const auto& name : names_in(directory))
            if (glob_matches(pattern, name) && !is_backup(name)) add(directory + "/" + name, kind, wanted);
    }
    void add_interfaces(const std::string& path, int depth);
    std::vector<std::string> names_in(const std::string& directory) const {
        auto names = guest_.list(directory);
        if (names.size() > kMostFiles) names.resize(kMostFiles);
        return names;
    }

    std::vector<ConfigFile> files;

private:
    const Guest& guest_;
    std::vector<std::string>& warnings_;
    std::set<std::string> seen_;
    std::size_t bytes_ = 0;
    bool full_ = false;
};

// With what it sources: patterns in the last part of a path only, as all that are written by hand have it.
void Files::add_interfaces(const std::string& path, int depth) {
    const auto before = files.size();
    add(path, ConfigKind::Ifupdown);
    if (files.size() == before || depth == kDeepestSource) return;
    const auto sources = sources_of(files.back().text);
    auto absolute = [&](const std::string& source) {
        return source.starts_with('/') ? source : path.substr(0, path.rfind('/') + 1) + source;
    };
    for (const auto& source : sources.files) {
        const auto full = absolute(source);
        const auto directory = full.substr(0, full.rfind('/'));
        const auto leaf = full.substr(full.rfind('/') + 1);
        if (is_pattern(directory) || full.find_first_of("$`") != std::string::npos)
            warnings_.push_back(path + " sources " + printable(source) + ", which was not followed");
        else if (!is_pattern(leaf)) add_interfaces(full, depth + 1);
        else
            for (const auto& name : names_in(directory))
                if (glob_matches(leaf, name) && !name.starts_with('.'))
                    add_interfaces(directory + "/" + name, depth + 1);
    }
    for (const auto& source : sources.directories)
        for (const auto& name : names_in(absolute(source)))
            if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                std::string::npos)
                add_interfaces(absolute(source) + "/" + name, depth + 1);
}

bool has_mac(std::string_view text) { return !macs_in({0, text}).empty(); }
bool has_network(std::string_view text) { return text.find("network:") != std::string_view::npos; }

void add_systemd(Files& files, const std::string& directory, bool (*wanted)(std::string_view)) {
    for (const auto& name : files.names_in(directory)) {
        const bool unit = name.ends_with(".network") || name.ends_with(".netdev") || name.ends_with(".link");
        if (unit) files.add(directory + "/" + name, ConfigKind::ByPath, wanted);
        if (name.ends_with(".d")) files.add_all(directory + "/" + name, "*.conf", wanted);
    }
}

}  // namespace

std::vector<ConfigFile> network_files(const Guest& guest, std::vector<std::string>& warnings) {
    Files files(guest, warnings);
    files.add_all("/etc/udev/rules.d", "*.rules");
    add_systemd(files, "/etc/systemd/network", nullptr);
    // What a distribution ships is for no card in particular.
    for (const char* directory : {"/usr/local/lib/systemd/network", "/usr/lib/systemd/network"})
        add_systemd(files, directory, has_mac);
    files.add_interfaces("/etc/network/interfaces", 0);
    for (const char* directory : {"/etc/sysconfig/network-scripts", "/etc/sysconfig/network",
                                  "/etc/sysconfig/networking/devices", "/etc/sysconfig/networking/profiles/default"})
        files.add_all(directory, "ifcfg-*");
    files.add_all("/etc/NetworkManager/system-connections", "[!.]*");
    files.add_all("/usr/lib/NetworkManager/system-connections", "*.nmconnection");
    files.add("/etc/NetworkManager/NetworkManager.conf");
    files.add_all("/etc/NetworkManager/conf.d", "*.conf");
    for (const char* directory : {"/etc/netplan", "/usr/lib/netplan"}) files.add_all(directory, "*.yaml");
    files.add_all("/etc/cloud/cloud.cfg.d", "*.cfg", has_network);
    files.add_all("/etc/wicked", "*.xml");
    files.add_all("/etc/wicked/ifconfig", "*.xml");
    files.add(kNamesUnit, ConfigKind::Text);
    files.add(kNamesWanted, ConfigKind::Text);
    files.add("/etc/iftab");
    files.add(kMactab);
    for (const char* path : {"/etc/dhcp/dhclient.conf", "/etc/dhcp3/dhclient.conf", "/etc/dhcpcd.conf", "/etc/rc.local",
                             "/etc/rc.d/rc.local"})
        files.add(path, ConfigKind::Text);
    for (const char* path : {"/etc/default/grub", "/etc/kernel/cmdline", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg",
                             "/boot/grub/grub.conf", "/boot/grub/menu.lst"})
        files.add(path, ConfigKind::CommandLine, has_mac);
    files.add_all("/boot/loader/entries", "*.conf", has_mac, ConfigKind::CommandLine);
    return std::move(files.files);
}

namespace {

// A file in /etc of the same name, empty or a link to /dev/null, switches a rule of /usr off.
bool links_switched_off(const Guest& guest) {
    const auto names = guest.list("/etc/udev/rules.d");
    if (std::find(names.begin(), names.end(), "80-net-setup-link.rules") == names.end()) return false;
    const auto text = guest.read("/etc/udev/rules.d/80-net-setup-link.rules", kLargest);
    return !text || !*text || trim(**text).empty();
}

// The personality is written after this step: what it says of an adapter is not missing.
bool has_setup(const std::vector<InterfaceSetup>& setups, const NicMapping& nic) {
    return std::any_of(setups.begin(), setups.end(), [&](const auto& setup) {
        return setup.mac == nic.new_mac || (!setup.name.empty() && setup.name == nic.old_name);
    });
}

GuestTraits traits_of(const Guest& guest, const std::vector<ConfigFile>& files) {
    GuestTraits traits;
    const bool links = guest.exists("/usr/lib/systemd/network") || guest.exists("/lib/systemd/network");
    const bool udev = guest.exists("/usr/lib/udev") || guest.exists("/lib/udev");
    const bool mdev = guest.exists("/etc/mdev.conf") || guest.exists("/sbin/mdev");
    traits.naming = links && !links_switched_off(guest) ? Naming::Links
                    : mdev && !udev                     ? Naming::Mactab
                                                        : Naming::Rules;
    traits.swaps_names = !links && traits.naming == Naming::Rules;
    traits.systemd = links;
    const auto programs = network_programs(guest, files);
    traits.asks_dhcp = programs.asks_dhcp;
    traits.connman = programs.connman;
    traits.cloud_init = guest.exists("/etc/cloud/cloud.cfg") && !guest.exists("/etc/cloud/cloud-init.disabled");
    for (const auto& file : files)
        if (file.path.starts_with("/etc/cloud/") && file.text.find("config: disabled") != std::string::npos)
            traits.cloud_init = false;
    return traits;
}

}  // namespace

// What names the new cards already is wanted as it is: clearing a template's old names leaves it.
static void want_names(Repair& repair, const std::vector<ConfigFile>& files) {
    for (const auto& file : files)
        for (const auto& interface : read_config(file).interfaces)
            for (const auto& nic : repair.request.nics)
                if (interface.names_only && interface.selects == nic.new_mac) repair.guest.want(file.path);
}

Status repair_network(Repair& repair, bool& links_changed) {
    for (const auto& nic : repair.request.nics)
        if (!nic.old_name.empty() && !valid_interface(nic.old_name))
            return make_error(errors::kNetwork, "'{}' is no interface of a Linux", nic.old_name);
    const auto before = repair.guest.journal().size();
    std::vector<InterfaceSetup> setups;
    if (const auto& text = repair.request.personality; !text.empty()) setups = TRY(parse_personality(text)).interfaces;
    const auto files = network_files(repair.guest, repair.report.warnings);
    auto traits = traits_of(repair.guest, files);
    for (const auto& nic : repair.request.nics)
        if (has_setup(setups, nic)) traits.set_up.push_back(nic.new_mac);
    const auto plan = plan_network(files, repair.request.nics, traits);
    want_names(repair, files);
    for (const auto& edit : plan.edits) {
        if (edit.text) TRY(repair.guest.write(edit.what, edit.path, *edit.text));
        else TRY(repair.guest.remove(edit.what, edit.path));
    }
    repair.warn(plan.warnings);
    links_changed = repair.guest.journal().size() != before;
    return {};
}

}  // namespace slipway::fixup
