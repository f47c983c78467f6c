// SPDX-License-Identifier: GPL-3.0-or-later
// The personality's document, and a guest's files that it is written into: what is accepted is safe in a line of each,
// and done twice it is as done once.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/addresses.hpp"
#include "guest-fixup/leftovers.hpp"
#include "guest-fixup/personality_edits.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/template.hpp"

using namespace slipway::fixup;

namespace {

void same(const std::string& once, const std::string& twice) {
    if (once != twice) std::abort();
}

void one_line(std::string_view text) {
    for (char c : text)
        if (static_cast<unsigned char>(c) <= ' ' || std::string_view("'\"\\$`;").find(c) != std::string_view::npos)
            std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto read = parse_personality(text, "web01")) {
        for (const auto* value : {&read->host_name, &read->time_zone, &read->locale, &read->given_machine_id})
            one_line(*value);
        for (const auto& setup : read->interfaces)
            for (const auto* list : {&setup.addresses, &setup.gateways, &setup.dns, &setup.search})
                for (const auto& value : *list) one_line(value);
        for (const auto& script : read->first_boot) one_line(script.name);
    }
    if (const auto flat = personality_of(text, "web01", {{"hostname", std::string(text.substr(0, 70))}});
        flat && !flat->empty())
        if (!parse_personality(*flat)) std::abort();
    if (const auto flat = personality_of("", "", {{"addresses", std::string(text)}}); flat && !flat->empty())
        if (!parse_personality(*flat)) std::abort();
    const std::vector<std::string> old{"old.example.org", "old"}, now{"web01.example.org", "web01"};
    const auto hosts = edit_hosts(text, old, now).text;
    same(hosts, edit_hosts(hosts, now, now).text);
    const auto assigned = set_assignment(text, "LANG", "C");
    same(assigned, set_assignment(assigned, "LANG", "C"));
    const auto line = add_line(text, "ssh-rsa AAAA");
    same(line, add_line(line, "ssh-rsa AAAA"));
    (void)parse_passwd(text);
    const InterfaceSetup setup{"eth0", std::nullopt, false, {"10.0.0.5/24"}, {"10.0.0.1"}, {"10.0.0.53"}, {}};
    for (auto edit : {ifupdown_interface, red_hat_ifcfg, suse_ifcfg}) {
        const auto once = edit(text, setup);
        same(once, edit(once, setup));
    }
    const auto netplan = without_netplan(text, "eth0");
    same(netplan, without_netplan(netplan, "eth0"));
    const auto module = unlist_module(text, "hpsa");
    same(module, unlist_module(module, "hpsa"));
    const auto lists = drop_from_lists(text, "hpsa");
    same(lists, drop_from_lists(lists, "hpsa"));
    for (auto kind : {Startup::Script, Startup::Inittab, Startup::Cron}) {
        const auto program = comment_program(text, "hpmond", kind);
        same(program, comment_program(program, "hpmond", kind));
    }
    const auto mounts = comment_file_systems(text, {"vboxsf"});
    same(mounts, comment_file_systems(mounts, {"vboxsf"}));
    const auto aliases = comment_aliases(text, {"xen-vnif"});
    same(aliases, comment_aliases(aliases, {"xen-vnif"}));
    const auto xorg = edit_xorg(text, "modesetting");
    same(xorg, edit_xorg(xorg, "modesetting"));
    const auto free = without_card(text);
    same(free, without_card(free));
    (void)only_elsewhere(text);
    (void)rotated(text);
    return 0;
}
