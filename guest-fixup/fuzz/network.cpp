// SPDX-License-Identifier: GPL-3.0-or-later
// A guest's network configuration, whichever system reads it. The first byte says which file the text is; no text
// breaks a reader, an edit changes nothing but addresses, and a plan made on its own result is empty.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "guest-fixup/network.hpp"
#include "guest-fixup/network/plan.hpp"

using namespace slipway;
using namespace slipway::fixup;

namespace {

constexpr const char* kPaths[] = {"/etc/network/interfaces",
                                  "/etc/sysconfig/network-scripts/ifcfg-eth0",
                                  "/etc/sysconfig/network/ifcfg-a",
                                  "/etc/NetworkManager/system-connections/a.nmconnection",
                                  "/etc/NetworkManager/conf.d/a.conf",
                                  "/etc/netplan/50-cloud-init.yaml",
                                  "/etc/systemd/network/10-a.network",
                                  "/etc/systemd/network/10-a.netdev",
                                  "/etc/systemd/network/10-a.link",
                                  "/etc/wicked/ifconfig/a.xml",
                                  kPersistentRules,
                                  "/etc/iftab",
                                  kMactab,
                                  "/etc/systemd/network/10-slipway-eth0.link",
                                  "/etc/cloud/cloud.cfg.d/a.cfg",
                                  "/etc/dhcp/dhclient.conf"};

void applied(std::vector<ConfigFile>& files, const NetworkPlan& plan) {
    for (const auto& edit : plan.edits) {
        std::erase_if(files, [&](const ConfigFile& file) { return file.path == edit.path; });
        if (edit.text) files.push_back({edit.path, *edit.text});
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto which = data[0] >= 'a' ? data[0] - 'a' : data[0];
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const ConfigFile file{kPaths[static_cast<std::size_t>(which) % std::size(kPaths)], text};
    const auto reading = read_config(file);
    std::size_t done = 0;
    MacMap map;
    const MacAddress mac{{2, 0, 0, 0, 0, 1}};
    for (const auto& use : reading.selectors) {
        if (use.at < done || use.at + use.length > text.size()) std::abort();
        done = use.at + use.length;
        map[use.mac] = mac;
    }
    if (move_macs(text, reading.selectors, map).size() != text.size()) std::abort();
    (void)read_config({"/etc/default/grub", text, ConfigKind::CommandLine});
    (void)sources_of(text);
    (void)glob_matches(text.substr(0, 64), text.substr(text.size() / 2));
    const auto rules = edit_persistent_rules(text, "eth0", mac);
    if (edit_persistent_rules(rules, "eth0", mac) != rules) std::abort();

    for (const auto naming : {Naming::Links, Naming::Rules, Naming::Mactab}) {
        std::vector<ConfigFile> files{file};
        const std::vector<NicMapping> nics{
            {.old_name = "eth0", .old_mac = MacAddress{{0x52, 0x54, 0, 0, 0, 1}}, .new_mac = mac},
            {.old_mac = MacAddress{{0x52, 0x54, 0, 0, 0, 2}}, .new_mac = MacAddress{{2, 0, 0, 0, 0, 2}}}};
        GuestTraits traits{.naming = naming, .cloud_init = true};
        applied(files, plan_network(files, nics, traits));
        for (const auto& edit : plan_network(files, nics, traits).edits) {
            std::fprintf(stderr, "%s changes again, first of\n%s\n", edit.path.c_str(), text.c_str());
            std::abort();
        }
    }
    return 0;
}
