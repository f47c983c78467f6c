// SPDX-License-Identifier: GPL-3.0-or-later
// Static addresses of a Windows carried to its new network adapter.
//
// To Windows a card in another slot, or of another kind, is another adapter with a GUID of its own, which is made up
// when its driver is first installed: nothing offline can name it. What is known is its MAC address. So the old
// adapter's settings are read from the hive, and a first-boot script sets them on the adapter that has the new MAC
// address; then it removes the old one, which is absent now and would hold the address for ever. Should the new card
// take the old one's place in the registry (same slot, same kind), it has its settings already, and nothing is done.
//
// Which old adapter a MAC address meant, by what a hive has of it:
//   Control\NetworkSetup2\Interfaces\{GUID}\Kernel: PermanentAddress          Windows 10 and later
//   Control\Class\{4D36E972-…}\NNNN: NetworkAddress                           where an administrator set one
//   the instance in DeviceInstanceID: PCI\VEN_…\000C29FFFFF3FFDE00            a card with a PCI Express serial number
// and else the only card there is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/personality.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

struct StaticAddress {
    std::string ip, mask;
};
struct Gateway {
    std::string ip;
    std::uint32_t metric = 0;  // 0: Windows chooses
};

struct AdapterSettings {
    bool dhcp = true;
    std::vector<StaticAddress> addresses;
    std::vector<Gateway> gateways;
    std::vector<std::string> dns, wins;  // set by hand; dns also beside DHCP
    std::string domain;
    std::optional<std::uint32_t> netbios;  // 1 on, 2 off; nullopt: as DHCP says
    std::optional<std::uint32_t> metric;   // of the interface; nullopt: Windows chooses
    std::vector<std::string> addresses6;   // "fd00::5/64"
    std::vector<std::string> dns6;
    std::vector<std::string> gateways6;  // of the personality alone
    // Anything that Windows would not do by itself on a new adapter?
    bool by_hand() const {
        return !dhcp || !dns.empty() || !wins.empty() || !domain.empty() || netbios || metric || !addresses6.empty() ||
               !dns6.empty();
    }
};

struct OldAdapter {
    std::string guid;         // "{58094C24-…}", upper case
    std::string class_key;    // "0008", of the class
    std::string instance;     // "PCI\VEN_8086&DEV_100E…\4&3B1CAF2B&0&60F0"; "": not known
    std::string connection;   // "Local Area Connection"
    std::string description;  // "Intel(R) PRO/1000 MT Network Connection"
    std::optional<MacAddress> mac;
    std::string luid = {};  // luid_name()
    AdapterSettings settings;
};

struct NewAdapter {
    MacAddress mac;
    std::optional<OldAdapter> old;
    AdapterSettings settings;
    std::string removal_file = {};  // of the first boot's files; "": the old one stays
    bool asked = false;             // settings of the personality: they are made whichever adapter it is
};

struct NetworkPlan {
    std::vector<NewAdapter> adapters;
    std::vector<std::string> warnings;
};

// ---- pure

// The cards; no tunnels, ports and packet filters. What is no good address is left out, and told.
std::vector<OldAdapter> old_adapters(const Hive& system, const WindowsSystem& windows,
                                     std::vector<std::string>& warnings);
// What its class key says the adapter's NET_LUID is, in the spelling of the registry's names below Control\Nsi: 16
// digits, the eight bytes in their order (NetLuidIndex in bytes 3 to 5, the interface's type in 6 and 7). Vista and
// later; "".
std::string luid_name(const Hive& system, const std::string& class_key);
// An IPv6 address set by hand, from a value of Control\Nsi\{eb004a01-…}\10, where they are kept from Vista on: the name
// is a NET_LUID and 32 digits, byte 16 of its data the length of the prefix. nullopt: of another adapter, or none.
std::optional<std::string> fixed_address6(std::string_view luid, std::string_view name, const std::string& data);

// The MAC address in the last part of a device's instance; nullopt when it is none.
std::optional<MacAddress> serial_number_mac(std::string_view instance);
// What an address of the personality says comes before what the old adapter had. A card that the personality alone
// knows, by its MAC address or by a connection whose card the registry knows, is one of the plan as well.
NetworkPlan plan_network(const Hive& system, const WindowsSystem& windows, const std::vector<NicMapping>& nics,
                         const std::vector<InterfaceSetup>& setups);

// For the plan: its MAC address, what it gets, who it was.
std::string in_words(const NewAdapter& adapter);

// ---- Windows NT 4 (network_nt4.cpp): a card is a key of Services, named in SOFTWARE's NetworkCards; its settings lie
// in its own Parameters\Tcpip, DNS servers and domain are the machine's. Source: Microsoft KB 120642.
struct Nt4Card {
    std::string service;  // "E100B1"
    std::string title;    // "Intel EtherExpress PRO 10/100"
    AdapterSettings settings;
    bool retired = false;  // neither DHCP nor an address: what an earlier repair left
};
std::vector<Nt4Card> nt4_cards(const Hive& system, const Hive& software, const WindowsSystem& windows,
                               std::vector<std::string>& warnings);
// The address of the one card that has one is given to the one card that has none, which is the new one: its driver was
// installed before the move, for NT 4 finds no card by itself. Where that is not so, what is to be set is told.
Status carry_nt4_address(WindowsRepair& repair, const std::vector<NewAdapter>& adapters);

// Values in all of these are of checked kinds: addresses, numbers, host names, GUIDs.
std::string network_vbs(const std::vector<NewAdapter>& adapters);         // Windows 2000 to 7 and 2008 R2
std::string network_powershell(const std::vector<NewAdapter>& adapters);  // Windows 8 and 2012, and later
// A REGEDIT4 file that removes the adapter; nullopt: its names are none that Windows makes.
std::optional<std::string> removal_of(const OldAdapter& adapter);
// The first-boot script that runs one of the two, which is one of the first boot's files.
std::string network_command(std::string_view file, bool powershell);

}  // namespace slipway::fixup::windows
