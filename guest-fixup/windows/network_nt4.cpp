// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/windows/network_settings.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostCards = 32;

// A key's name, of one part.
bool good_service(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == ' ';
    });
}

std::string tcpip_of(const WindowsSystem& windows, const std::string& service) {
    return fmt::format("{}\\{}\\Parameters\\Tcpip", windows.services(), service);
}
std::string netbt_of(const WindowsSystem& windows, const std::string& service) {
    return fmt::format("{}\\NetBT\\Adapters\\{}", windows.services(), service);
}

std::string in_words(const AdapterSettings& settings) {
    std::vector<std::string> words;
    for (const auto& address : settings.addresses)
        words.push_back(fmt::format("{}, mask {}", address.ip, address.mask));
    for (const auto& gateway : settings.gateways) words.push_back("gateway " + gateway.ip);
    for (const auto& server : settings.dns) words.push_back("DNS " + server);
    for (const auto& server : settings.wins) words.push_back("WINS " + server);
    if (settings.dhcp) words.emplace_back("DHCP");
    return join(words, "; ");
}

Status give(WindowsRepair& repair, const Nt4Card& card, const AdapterSettings& settings) {
    const auto what = fmt::format("network: the old card's address for {}", card.service);
    const auto tcpip = tcpip_of(repair.windows, card.service), netbt = netbt_of(repair.windows, card.service);
    std::vector<std::string> ips, masks, gateways;
    for (const auto& address : settings.addresses) ips.push_back(address.ip), masks.push_back(address.mask);
    for (const auto& gateway : settings.gateways) gateways.push_back(gateway.ip);
    TRY(repair.system.set(what, tcpip, "EnableDHCP", reg_dword(0)));
    TRY(repair.system.set(what, tcpip, "IPAddress", reg_multi_sz(ips)));
    TRY(repair.system.set(what, tcpip, "SubnetMask", reg_multi_sz(masks)));
    TRY(repair.system.set(what, tcpip, "DefaultGateway", reg_multi_sz(gateways)));
    constexpr const char* kWins[] = {"NameServer", "NameServerBackup"};
    for (std::size_t i = 0; i < settings.wins.size() && i < std::size(kWins); ++i)
        TRY(repair.system.set_string(what, netbt, kWins[i], settings.wins[i]));
    return {};
}

// Its driver finds nothing any more; what it says of an address must not be in another's way. Without DHCP, as no card
// in use is, a second repair knows it by that.
Status retire(WindowsRepair& repair, const Nt4Card& card) {
    const auto what = fmt::format("network: {}, whose card is gone", card.service);
    const auto tcpip = tcpip_of(repair.windows, card.service);
    TRY(repair.system.set(what, tcpip, "IPAddress", reg_multi_sz({"0.0.0.0"})));
    TRY(repair.system.set(what, tcpip, "SubnetMask", reg_multi_sz({"0.0.0.0"})));
    return repair.system.set(what, tcpip, "DefaultGateway", reg_multi_sz({}));
}

}  // namespace

std::vector<Nt4Card> nt4_cards(const Hive& system, const Hive& software, const WindowsSystem& windows,
                               std::vector<std::string>& warnings) {
    const std::string cards = "Microsoft\\Windows NT\\CurrentVersion\\NetworkCards";
    std::vector<Nt4Card> out;
    for (const auto& number : software.keys(cards)) {
        const auto key = cards + "\\" + number;
        Nt4Card card{software.string(key, "ServiceName").value_or(""),
                     software.string(key, "Title").value_or(software.string(key, "Description").value_or("")),
                     {}};
        // Dial-up lines are cards to it as well, and hidden ones.
        if (!good_service(card.service) || software.number(key, "Hidden").value_or(0) != 0) continue;
        if (out.size() >= kMostCards) break;
        const auto tcpip = tcpip_of(windows, card.service);
        read_tcpip(system, tcpip, card.service, card.settings, warnings);
        card.retired = card.settings.dhcp && system.number(tcpip, "EnableDHCP") == 0;
        for (const char* name : {"NameServer", "NameServerBackup"})
            if (const auto wins = system.string(netbt_of(windows, card.service), name); wins && good_ip4(*wins))
                card.settings.wins.push_back(*wins);
        out.push_back(std::move(card));
    }
    return out;
}

Status carry_nt4_address(WindowsRepair& repair, const std::vector<NewAdapter>& adapters) {
    std::vector<std::string> warnings;
    const auto cards = nt4_cards(repair.system, repair.software, repair.windows, warnings);
    for (auto& warning : warnings) repair.warn(std::move(warning));
    std::vector<const Nt4Card*> fixed, empty;
    bool carried = false;
    for (const auto& card : cards) {
        if (!card.settings.dhcp) fixed.push_back(&card);
        else if (card.retired) carried = true;
        else empty.push_back(&card);
    }
    const bool asked = std::any_of(adapters.begin(), adapters.end(), [](const auto& a) { return a.asked; });
    if (!asked && adapters.size() == 1 && fixed.size() == 1 && empty.size() == 1) {
        TRY(give(repair, *empty[0], fixed[0]->settings));
        return retire(repair, *fixed[0]);
    }
    if (!asked && carried && fixed.size() == 1 && empty.empty()) return {};
    for (const auto& adapter : adapters)
        if (adapter.asked && adapter.settings.by_hand())
            repair.warn(fmt::format("Windows NT 4 finds no new card by itself: set up {} by hand ({})",
                                    adapter.mac.text(), in_words(adapter.settings)));
    for (const auto* card : asked ? std::vector<const Nt4Card*>{} : fixed)
        repair.warn(fmt::format(
            "Windows NT 4 finds no new card by itself: install its driver, and give it what {} ({}) had: {}",
            card->service, printable(card->title), in_words(card->settings)));
    return {};
}

}  // namespace slipway::fixup::windows
