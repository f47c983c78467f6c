// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/network.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

Status repair_network(WindowsRepair& repair) {
    std::vector<InterfaceSetup> setups;
    if (!repair.request.personality.empty()) setups = TRY(parse_personality(repair.request.personality)).interfaces;
    if (repair.request.nics.empty() && setups.empty()) return {};
    repair.note("network");
    auto plan = plan_network(repair.system, repair.windows, repair.request.nics, setups);
    for (auto& warning : plan.warnings) repair.warn(std::move(warning));
    if (repair.windows.major < 5) return carry_nt4_address(repair, plan.adapters);
    std::erase_if(plan.adapters, [](const NewAdapter& adapter) { return !adapter.settings.by_hand(); });
    for (auto& adapter : plan.adapters) {
        auto& settings = adapter.settings;
        if (repair.windows.major < 6 && (!settings.addresses6.empty() || !settings.dns6.empty())) {
            repair.warn("IPv6 addresses are set on Windows Vista and later alone");
            settings.addresses6.clear();
            settings.gateways6.clear();
            settings.dns6.clear();
        }
        if (!adapter.old || settings.dhcp) continue;
        if (const auto removal = removal_of(*adapter.old))
            adapter.removal_file = TRY(put_file(repair, "remove-" + adapter.mac.compact(), "reg", *removal));
        else
            repair.warn(fmt::format("{}: its place in the device tree is not known, so it will stay there, absent",
                                    printable(adapter.old->connection)));
    }
    if (plan.adapters.empty()) return {};
    const bool powershell = repair.windows.at_least(6, 2);
    const auto text = powershell ? network_powershell(plan.adapters) : network_vbs(plan.adapters);
    std::vector<std::string> cards;
    for (const auto& adapter : plan.adapters) cards.push_back(in_words(adapter));
    const auto file =
        TRY(put_file(repair, "network", powershell ? "ps1" : "vbs", text, "network: " + join(cards, "; ")));
    return put_script(repair, kNetworkOrder, "network", network_command(file, powershell));
}

}  // namespace slipway::fixup::windows
