// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/network.hpp"
#include "guest-fixup/steps.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kRules = "/etc/udev/rules.d/70-persistent-net.rules";
constexpr const char* kLinks = "/etc/systemd/network";
constexpr std::string_view kOurLink = "10-slipway-";

struct ConfigFile {
    std::string path, text;
};

Result<std::vector<ConfigFile>> network_files(const Guest& guest) {
    std::vector<std::string> paths{kRules, "/etc/network/interfaces"};
    for (const char* directory : {kLinks, "/etc/network/interfaces.d", "/etc/sysconfig/network-scripts",
                                  "/etc/sysconfig/network", "/etc/NetworkManager/system-connections", "/etc/netplan"})
        for (const auto& name : guest.list(directory)) {
            const bool ifcfg = std::string_view(directory).starts_with("/etc/sysconfig");
            if (!ifcfg || name.starts_with("ifcfg-")) paths.push_back(directory + ("/" + name));
        }
    std::vector<ConfigFile> files;
    for (const auto& path : paths) {
        auto text = guest.read(path, 1u << 20);
        if (text && *text) files.push_back({path, std::move(**text)});
    }
    return files;
}

// The name an adapter had: as given, by its old address, or the only one this system configures.
std::string old_name_of(const NicMapping& nic, const RepairRequest& request, const std::vector<ConfigFile>& files) {
    if (!nic.old_name.empty()) return nic.old_name;
    for (const auto& file : files)
        for (const auto& known : named_macs(file.text))
            if (known.mac == nic.old_mac || known.mac == nic.new_mac) return known.name;
    std::set<std::string> names;
    for (const auto& file : files)
        for (const auto& name : interfaces_in(file.path, file.text)) names.insert(name);
    return request.nics.size() == 1 && names.size() == 1 ? *names.begin() : "";
}

struct NamedNic {
    std::string name;
    MacAddress mac;
};

Status write_links(Repair& repair, const std::vector<NamedNic>& nics) {
    auto& guest = repair.guest;
    for (const auto& file : guest.list(kLinks)) {
        if (!file.starts_with(kOurLink)) continue;
        const auto path = kLinks + ("/" + file);
        for (const auto& known : named_macs(TRY(guest.read(path)).value_or("")))
            for (const auto& nic : nics)
                if (known.mac == nic.mac && known.name != nic.name) TRY(guest.remove("an earlier repair's name", path));
    }
    for (const auto& nic : nics)
        TRY(guest.write("interface name " + nic.name, fmt::format("{}/{}{}.link", kLinks, kOurLink, nic.name),
                        link_file(nic.name, nic.mac)));
    return {};
}

Status edit_configuration(Repair& repair, const std::vector<ConfigFile>& files, const std::vector<NamedNic>& nics,
                          const MacMap& macs, bool by_rules) {
    std::optional<std::string> rules;
    for (const auto& file : files) {
        // hwaddress in interfaces sets an address; it does not look for one.
        if (file.path.starts_with("/etc/network/")) continue;
        auto text = replace_macs(file.text, macs);
        if (file.path == kRules) rules = text;
        else TRY(repair.guest.write("new MAC address", file.path, text));
    }
    if (!rules && !by_rules) return {};
    auto text = rules.value_or("");
    for (const auto& nic : nics) {
        text = edit_persistent_rules(text, nic.name, nic.mac);
        if (by_rules && text.find("NAME=\"" + nic.name + "\"") == std::string::npos)
            text += persistent_rule(nic.name, nic.mac);
    }
    return repair.guest.write("interface names", kRules, text);
}

}  // namespace

Status repair_network(Repair& repair, bool& links_changed) {
    const auto before = repair.guest.journal().size();
    const auto files = TRY(network_files(repair.guest));
    std::vector<NamedNic> nics;
    MacMap macs;
    for (const auto& nic : repair.request.nics) {
        const auto name = old_name_of(nic, repair.request, files);
        if (name.empty()) {
            repair.warn(
                fmt::format("no interface name is known for the adapter that is {} now: "
                            "its network may need to be configured by hand",
                            nic.new_mac.text()));
            continue;
        }
        if (nic.old_mac) macs[*nic.old_mac] = nic.new_mac;
        for (const auto& file : files)
            for (const auto& known : named_macs(file.text))
                if (known.name == name) macs[known.mac] = nic.new_mac;
        nics.push_back({name, nic.new_mac});
    }
    if (nics.empty()) return {};
    if (nics.size() > 1 && std::count_if(nics.begin(), nics.end(), [](auto& n) { return kernel_reserved(n.name); }) > 1)
        repair.warn(
            "several adapters have the kernel's own names (eth0, eth1): check their order after the first boot");
    const bool by_rules =
        !repair.guest.exists("/usr/lib/systemd/network") && !repair.guest.exists("/lib/systemd/network");
    TRY(edit_configuration(repair, files, nics, macs, by_rules));
    if (!by_rules) TRY(write_links(repair, nics));
    links_changed = repair.guest.journal().size() != before;
    return {};
}

}  // namespace slipway::fixup
