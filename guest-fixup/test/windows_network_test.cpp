// SPDX-License-Identifier: GPL-3.0-or-later
// Static addresses of a Windows, from its old adapters to the new ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "guest-fixup/test/windows_guest.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/network.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {
namespace {

using test::WindowsGuest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::string kClass = "ControlSet001\\Control\\Class\\{4D36E972-E325-11CE-BFC1-08002BE10318}\\";
const std::string kNetwork = "ControlSet001\\Control\\Network\\{4D36E972-E325-11CE-BFC1-08002BE10318}\\";
const std::string kInterfaces = "ControlSet001\\Services\\Tcpip\\Parameters\\Interfaces\\";
const std::string kNetBt = "ControlSet001\\Services\\NetBT\\Parameters\\Interfaces\\Tcpip_";
const std::string kNsi = "ControlSet001\\Control\\Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}";
const std::string kGuid = "{58094C24-B1BD-4961-8C68-7C13F7A6213C}";
const std::string kOther = "{11111111-2222-3333-4444-555555555555}";
const MacAddress kOld = *MacAddress::parse("00:14:22:aa:bb:cc"), kNew = *MacAddress::parse("52:54:00:12:34:56");

void add_adapter(WindowsGuest& guest, const std::string& number, const std::string& guid, const std::string& instance) {
    guest.system_tree.key(kClass + number)
        .set("NetCfgInstanceId", reg_sz(guid))
        .set("Characteristics", reg_dword(0x84))
        .set("DriverDesc", reg_sz("Intel(R) PRO/1000 MT"));
    guest.system_tree.key(kNetwork + guid + "\\Connection")
        .set("Name", reg_sz("Local Area Connection"))
        .set("PnpInstanceID", reg_sz(instance));
}

void add_static(WindowsGuest& guest, const std::string& guid, const std::string& ip) {
    guest.system_tree.key(kInterfaces + guid)
        .set("EnableDHCP", reg_dword(0))
        .set("IPAddress", reg_multi_sz({ip, "10.9.0.5"}))
        .set("SubnetMask", reg_multi_sz({"255.255.255.0", "255.255.0.0"}))
        .set("DefaultGateway", reg_multi_sz({"10.0.0.1"}))
        .set("DefaultGatewayMetric", reg_multi_sz({"10"}))
        .set("NameServer", reg_sz("10.0.0.53,10.0.0.54"))
        .set("Domain", reg_sz("example.org"))
        .set("InterfaceMetric", reg_dword(20));
    guest.system_tree.key(kNetBt + guid)
        .set("NameServerList", reg_multi_sz({"10.0.0.60"}))
        .set("NetbiosOptions", reg_dword(2));
}

struct WindowsNetwork : testing::Test {
    WindowsGuest guest;
    WindowsNetwork() {
        guest.request.nics = {{"", kOld, kNew}};
        add_adapter(guest, "0008", kGuid, "PCI\\VEN_8086&DEV_100E&SUBSYS_002E1028&REV_02\\4&3B1CAF2B&0&60F0");
        guest.system_tree.key(kClass + "0007")
            .set("NetCfgInstanceId", reg_sz("{32823F6A-EEC5-41B4-BDF7-7196947C2133}"))
            .set("Characteristics", reg_dword(0x29));
        guest.system_tree.key("Setup").set("SetupType", reg_dword(0)).set("CmdLine", reg_sz(""));
    }
    NetworkPlan plan(const std::vector<InterfaceSetup>& setups = {}) {
        guest.system = test::make_hive(guest.system_tree);
        return plan_network(guest.system_hive(), guest.windows, guest.request.nics, setups);
    }
};

// SLIPWAY_REGENERATE=1 writes them anew.
void expect_golden(const std::string& name, const std::string& text) {
    const std::string path = SLIPWAY_SOURCE_DIR "/guest-fixup/test/golden/" + name;
    if (std::getenv("SLIPWAY_REGENERATE")) {
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    EXPECT_EQ(read_text_file(path).value_or("missing"), text) << path;
}

TEST_F(WindowsNetwork, all_that_was_set_by_hand_is_in_the_script_for_the_new_card) {
    add_static(guest, kGuid, "10.0.0.5");
    auto made = plan();
    ASSERT_THAT(made.adapters, SizeIs(1));
    EXPECT_THAT(made.warnings, IsEmpty());
    made.adapters[0].removal_file = "remove.reg";
    expect_golden("network.vbs", network_vbs(made.adapters));
    expect_golden("network.ps1", network_powershell(made.adapters));
    expect_golden("remove-adapter.reg", removal_of(*made.adapters[0].old).value());
}

TEST_F(WindowsNetwork, the_only_card_is_the_one_that_is_meant) {
    add_static(guest, kGuid, "10.0.0.5");
    const auto made = plan();
    ASSERT_TRUE(made.adapters[0].old);
    EXPECT_EQ(made.adapters[0].old->guid, kGuid);
    EXPECT_EQ(made.adapters[0].mac, kNew);
}

TEST_F(WindowsNetwork, of_several_cards_the_registry_has_to_say_which) {
    add_static(guest, kGuid, "10.0.0.5");
    add_adapter(guest, "0009", kOther, "PCI\\VEN_8086&DEV_100E&SUBSYS_002E1028&REV_02\\4&3B1CAF2B&0&70F0");
    add_static(guest, kOther, "10.0.0.6");
    const auto unknown = plan();
    EXPECT_FALSE(unknown.adapters[0].old);
    EXPECT_THAT(unknown.warnings, ElementsAre(HasSubstr("00:14:22:aa:bb:cc")));

    guest.system_tree.key("ControlSet001\\Control\\NetworkSetup2\\Interfaces\\" + kOther + "\\Kernel")
        .set("PermanentAddress", reg_binary(std::string("\x00\x14\x22\xaa\xbb\xcc", 6)));
    const auto known = plan();
    ASSERT_TRUE(known.adapters[0].old);
    EXPECT_EQ(known.adapters[0].old->guid, kOther);
    EXPECT_THAT(known.warnings, IsEmpty());
}

TEST_F(WindowsNetwork, a_card_is_known_by_its_address_set_by_hand_or_its_serial_number_or_its_connection) {
    add_static(guest, kGuid, "10.0.0.5");
    add_adapter(guest, "0009", kOther, "PCI\\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00\\001422FFFFAABBCC00");
    add_static(guest, kOther, "10.0.0.6");
    EXPECT_EQ(plan().adapters[0].old->guid, kOther);
    guest.system_tree.key(kClass + "0008").set("NetworkAddress", reg_sz("02DEADBEEF01"));
    guest.request.nics[0].old_mac = MacAddress::parse("02:de:ad:be:ef:01");
    EXPECT_EQ(plan().adapters[0].old->guid, kGuid);
    EXPECT_EQ(serial_number_mac("PCI\\X\\000C29FFFFF3FFDE00")->text(), "00:0c:29:f3:ff:de");
    for (const char* none :
         {"PCI\\X\\4&3B1CAF2B&0&60F0", "PCI\\X\\000C29AAAAF3FFDE00", "", "\\", "PCI\\X\\000000FFFF00000000"})
        EXPECT_EQ(serial_number_mac(none), std::nullopt) << none;
}

TEST_F(WindowsNetwork, an_adapter_with_dhcp_and_nothing_by_hand_needs_no_script) {
    guest.system_tree.key(kInterfaces + kGuid)
        .set("EnableDHCP", reg_dword(1))
        .set("IPAddress", reg_multi_sz({"0.0.0.0"}));
    const auto out = guest.run(repair_network);
    ASSERT_TRUE(out.status.ok());
    EXPECT_THAT(out.changes, IsEmpty());
    EXPECT_THAT(out.warnings, IsEmpty());
}

TEST_F(WindowsNetwork, the_step_leaves_a_script_that_the_first_boot_runs_once) {
    add_static(guest, kGuid, "10.0.0.5");
    auto step = [](WindowsRepair& repair) -> Status {
        TRY(repair_network(repair));
        return add_first_boot(repair);
    };
    const auto out = guest.run(step);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_THAT(out.warnings, IsEmpty());
    const auto script = guest.root.get(guest.only_file("/WINDOWS/slipway/FirstBoot/scripts"));
    EXPECT_THAT(script, HasSubstr("cscript.exe\" //nologo \"%SystemRoot%\\slipway\\FirstBoot\\files\\network."));
    EXPECT_EQ(guest.system_hive().number("Setup", "SetupType"), 2u);
    // The old adapter has its settings until the new one has taken them.
    EXPECT_EQ(guest.system_hive().number(kInterfaces + kGuid, "EnableDHCP"), 0u);
    EXPECT_THAT(guest.run(step).changes, IsEmpty());

    guest.windows.major = 10;
    guest.windows.minor = 0;
    ASSERT_TRUE(guest.run(step).status.ok());
    EXPECT_THAT(guest.root.get(guest.only_file("/WINDOWS/slipway/FirstBoot/scripts")), HasSubstr("powershell.exe"));
    for (const auto& [name, text] : guest.root.everything()) EXPECT_THAT(name, Not(HasSubstr(".vbs")));
}

TEST_F(WindowsNetwork, the_personality_comes_before_what_the_old_adapter_had) {
    add_static(guest, kGuid, "10.0.0.5");
    const auto made =
        plan({{"", kNew, false, {"192.0.2.7/26", "fd00::7/64"}, {"192.0.2.1", "fd00::1"}, {"fd00::53"}, {}}});
    const auto& settings = made.adapters[0].settings;
    ASSERT_THAT(settings.addresses, SizeIs(1));
    EXPECT_EQ(settings.addresses[0].ip, "192.0.2.7");
    EXPECT_EQ(settings.addresses[0].mask, "255.255.255.192");
    EXPECT_THAT(settings.addresses6, ElementsAre("fd00::7/64"));
    EXPECT_THAT(settings.dns6, ElementsAre("fd00::53"));
    // Asked for, they are set also where Windows takes the new card for the old one.
    EXPECT_THAT(network_vbs(made.adapters), Not(HasSubstr("ElseIf")));
    EXPECT_THAT(network_powershell(made.adapters), HasSubstr("-IPAddress 'fd00::7' -PrefixLength 64"));
    EXPECT_THAT(network_vbs(made.adapters), HasSubstr("netsh interface ipv6 add address \" & adapter.InterfaceIndex"));
}

// ---- two cards of which a Windows before 10 does not know the addresses

struct TwoCards : WindowsNetwork {
    TwoCards() {
        add_static(guest, kGuid, "10.0.0.5");
        add_adapter(guest, "0009", kOther, "PCI\\VEN_8086&DEV_100E&SUBSYS_002E1028&REV_02\\4&3B1CAF2B&0&70F0");
        guest.system_tree.key(kNetwork + kOther + "\\Connection").set("Name", reg_sz("Production"));
        add_static(guest, kOther, "10.0.0.6");
    }
    static InterfaceSetup address(const std::string& name, std::optional<MacAddress> mac = {}) {
        return {name, mac, false, {"192.0.2.7/24"}, {}, {}, {}};
    }
};

TEST_F(TwoCards, the_warning_names_the_connections_and_how_to_say_which) {
    guest.request.nics = {{"net1", kOld, kNew}};
    const auto warnings = plan().warnings;
    ASSERT_THAT(warnings, SizeIs(1));
    for (const char* text : {"\"Local Area Connection\" (Intel(R) PRO/1000 MT, 10.0.0.5, 10.9.0.5)", "\"Production\"",
                             "--nic \"CONNECTION=52:54:00:12:34:56\""})
        EXPECT_THAT(warnings[0], HasSubstr(text));
}

TEST_F(TwoCards, a_connections_name_beside_an_address_that_no_card_is_known_by_is_enough) {
    guest.request.nics = {{"production", kOld, kNew}};  // as a sequence has it: NAME=OLD=NEW
    const auto made = plan();
    ASSERT_TRUE(made.adapters[0].old);
    EXPECT_EQ(made.adapters[0].old->guid, kOther);
    EXPECT_THAT(made.warnings, IsEmpty());
}

TEST_F(TwoCards, the_plan_names_the_cards_with_their_addresses) {
    guest.request.nics = {{"Production", kOld, kNew}};
    const auto out = guest.run(repair_network, true);
    EXPECT_THAT(out.changes,
                testing::Contains(testing::Field(&Change::what,
                                                 "network: card 52:54:00:12:34:56 gets 10.0.0.6, 10.9.0.5, being "
                                                 "\"Production\" (Intel(R) PRO/1000 MT, 10.0.0.6, 10.9.0.5) of the old "
                                                 "machine")));
}

TEST_F(TwoCards, an_address_for_a_connection_that_is_not_there_is_told) {
    for (const bool with_nic : {false, true}) {
        guest.request.nics.clear();
        if (with_nic) guest.request.nics = {{"Production", std::nullopt, kNew}};
        const auto made = plan({address("Ethernet0")});
        EXPECT_THAT(made.warnings,
                    ElementsAre(testing::AllOf(HasSubstr("is called \"Ethernet0\""), HasSubstr("\"Production\""))));
    }
    guest.request.personality =
        R"({"interfaces":[{"name":"Ethernet0","method":"static","addresses":["10.0.0.5/24"]}]})";
    guest.request.nics.clear();
    EXPECT_THAT(guest.run(repair_network).warnings, ElementsAre(HasSubstr("Ethernet0")));
}

TEST_F(TwoCards, an_address_for_a_connection_is_set_where_its_card_is_said_or_known) {
    guest.request.nics.clear();
    EXPECT_THAT(plan({address("Production")}).warnings, ElementsAre(HasSubstr("--nic \"Production=NEW-MAC\"")));
    guest.request.nics = {{"Production", std::nullopt, kNew}};
    auto made = plan({address("PRODUCTION")});
    EXPECT_THAT(made.warnings, IsEmpty());
    EXPECT_EQ(made.adapters.at(0).settings.addresses.at(0).ip, "192.0.2.7");
    // Windows 10 knows its card, and the machine keeps its address.
    guest.request.nics.clear();
    guest.system_tree.key("ControlSet001\\Control\\NetworkSetup2\\Interfaces\\" + kOther + "\\Kernel")
        .set("PermanentAddress", reg_binary(std::string("\x00\x14\x22\xaa\xbb\xcc", 6)));
    made = plan({address("Production")});
    EXPECT_THAT(made.warnings, IsEmpty());
    ASSERT_THAT(made.adapters, SizeIs(1));
    EXPECT_EQ(made.adapters[0].mac, kOld);
    EXPECT_TRUE(made.adapters[0].asked);
}

TEST_F(TwoCards, an_address_for_a_mac_address_asks_for_no_other) {
    guest.request.nics = {{"", kOld, kNew}};
    const auto made = plan({address("", kNew)});
    EXPECT_THAT(made.warnings, IsEmpty());
    EXPECT_EQ(made.adapters.at(0).settings.addresses.at(0).ip, "192.0.2.7");
}

TEST_F(WindowsNetwork, hostile_values_of_the_hive_reach_no_script) {
    const std::string evil = "1.2.3.4\") : shell.Run(\"evil";
    add_adapter(guest, "0008", kGuid, "PCI\\VEN_8086]\r\n[-HKEY_LOCAL_MACHINE\\SYSTEM\\evil");
    guest.system_tree.key(kNetwork + kGuid + "\\Connection").set("Name", reg_sz("evil\" & evil"));
    guest.system_tree.key(kInterfaces + kGuid)
        .set("EnableDHCP", reg_dword(0))
        .set("IPAddress", reg_multi_sz({evil, "10.0.0.5", "10.0.0.6"}))
        .set("SubnetMask", reg_multi_sz({"255.0.0.0", "255.255.255.0", "255.0.255.0"}))
        .set("DefaultGateway", reg_multi_sz({evil}))
        .set("NameServer", reg_sz("'; evil ;'"))
        .set("Domain", reg_sz("a'; evil"))
        .set("InterfaceMetric", reg_dword(0xffffffff));
    guest.system_tree.key(kNetBt + kGuid).set("NameServerList", reg_multi_sz({"$(evil)"}));
    const auto out = guest.run(repair_network);
    ASSERT_TRUE(out.status.ok());
    for (const auto& [name, text] : guest.root.everything()) EXPECT_THAT(text, Not(HasSubstr("evil"))) << name;
    EXPECT_THAT(guest.root.get(guest.only_file("/WINDOWS/slipway/FirstBoot/files")),
                HasSubstr("EnableStatic(Array(\"10.0.0.5\"), Array(\"255.255.255.0\"))"));
    EXPECT_THAT(out.warnings, testing::Contains(HasSubstr("its place in the device tree is not known")));
}

TEST_F(WindowsNetwork, a_teams_adapter_is_emptied_and_not_taken_out_of_the_device_tree) {
    OldAdapter team{kGuid, "0008", "ROOT\\IANSMINIPORT\\0000", "Team", "Team", std::nullopt, {}};
    EXPECT_THAT(removal_of(team).value(),
                testing::AllOf(HasSubstr("Interfaces\\" + kGuid), Not(HasSubstr("\\Enum\\"))));
}

TEST_F(WindowsNetwork, ipv6_set_by_hand_goes_with_the_card_whose_luid_it_is) {
    guest.windows.major = 6;
    guest.windows.minor = 1;
    guest.system_tree.key(kClass + "0008").set("NetLuidIndex", reg_dword(0x8007)).set("*IfType", reg_dword(6));
    const auto data = [](unsigned char prefix) {
        std::string out(48, '\xff');
        out[16] = static_cast<char>(prefix);
        return reg_binary(out);
    };
    const std::string mine = "0000000780000600", others = "0000000880000600";
    guest.system_tree.key(kNsi + "\\10")
        .set(mine + "fd000000000000000000000000000005", data(64))
        .set(mine + "20010db8000000000000000000000001", data(48))
        .set(mine + "00000000000000000000000000000001", data(128))  // ::1
        .set(mine + "ff020000000000000000000000000001", data(64))
        .set(mine + "fd00000000000000000000000000000g", data(64))
        .set(mine + "fd000000000000000000000000000006", data(129))
        .set(mine + "fd000000000000000000000000000007", reg_binary("short"))
        .set(others + "fd000000000000000000000000000009", data(64));
    guest.system_tree.key("ControlSet001\\Services\\Tcpip6\\Parameters\\Interfaces\\" + kGuid)
        .set("NameServer", reg_sz("fd00::53,no address,fd00::54"));
    const auto found = plan();
    ASSERT_THAT(found.adapters, SizeIs(1));
    EXPECT_THAT(found.adapters[0].settings.addresses6, testing::UnorderedElementsAre("2001:db8::1/48", "fd00::5/64"));
    EXPECT_THAT(found.adapters[0].settings.dns6, ElementsAre("fd00::53", "fd00::54"));
    EXPECT_TRUE(found.adapters[0].settings.dhcp) << "of IPv4";
    EXPECT_THAT(found.warnings, IsEmpty());
    EXPECT_THAT(network_powershell(found.adapters), HasSubstr("-IPAddress 'fd00::5' -PrefixLength 64"));
    EXPECT_THAT(network_vbs(found.adapters), HasSubstr("netsh interface ipv6 add address \" & adapter.InterfaceIndex & "
                                                       "\" fd00::5/64"));
    InterfaceSetup setup;
    setup.mac = kNew;
    setup.dhcp = false;
    setup.addresses = {"fd00::77/64"};
    EXPECT_THAT(plan({setup}).adapters[0].settings.addresses6, ElementsAre("fd00::77/64")) << "the personality's alone";
    guest.system_tree.key(kNsi + "\\16").set("00", reg_binary("route"));
    EXPECT_THAT(plan().warnings, ElementsAre(HasSubstr("IPv6 routes")));
}

struct NtFour : testing::Test {
    WindowsGuest guest;
    const std::string services = "ControlSet001\\Services\\";
    NtFour() {
        guest.windows.major = 4;
        guest.windows.minor = 0;
        guest.request.nics = {{"", kOld, kNew}};
        add("1", "E100B1", "Intel EtherExpress PRO");
        auto& tcpip = guest.system_tree.key(services + "E100B1\\Parameters\\Tcpip");
        tcpip.set("EnableDHCP", reg_dword(0));
        tcpip.set("IPAddress", reg_multi_sz({"10.0.0.5", "10.9.0.5"}));
        tcpip.set("SubnetMask", reg_multi_sz({"255.255.255.0", "255.255.0.0"}));
        tcpip.set("DefaultGateway", reg_multi_sz({"10.0.0.1"}));
        guest.system_tree.key(services + "NetBT\\Adapters\\E100B1")
            .set("NameServer", reg_sz("10.0.0.60"))
            .set("NameServerBackup", reg_sz(""));
    }
    void add(const std::string& number, const std::string& service, const std::string& title, bool hidden = false) {
        guest.software_tree.key("Microsoft\\Windows NT\\CurrentVersion\\NetworkCards\\" + number)
            .set("ServiceName", reg_sz(service))
            .set("Title", reg_sz(title))
            .set("Hidden", reg_dword(hidden));
    }
    void add_new_card(const std::string& service) {
        add("2", service, "AMD PCNET");
        guest.system_tree.key(services + service + "\\Parameters\\Tcpip")
            .set("EnableDHCP", reg_dword(1))
            .set("IPAddress", reg_multi_sz({"0.0.0.0"}))
            .set("SubnetMask", reg_multi_sz({"0.0.0.0"}))
            .set("DefaultGateway", reg_multi_sz({}));
        guest.system_tree.key(services + "NetBT\\Adapters\\" + service).set("NameServer", reg_sz(""));
    }
};

TEST_F(NtFour, the_old_cards_address_goes_to_the_new_one_that_was_installed_before_and_stays_there) {
    add_new_card("AMDPCN1");
    add("3", "NdisWan4", "Remote Access WAN Wrapper", true);
    const auto out = guest.run(repair_network);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_THAT(out.warnings, IsEmpty());
    const auto hive = guest.system_hive();
    const auto at = [&](const char* service) { return services + service + "\\Parameters\\Tcpip"; };
    EXPECT_EQ(hive.number(at("AMDPCN1"), "EnableDHCP"), 0u);
    EXPECT_EQ(hive.get(at("AMDPCN1"), "IPAddress"), reg_multi_sz({"10.0.0.5", "10.9.0.5"}));
    EXPECT_EQ(hive.get(at("AMDPCN1"), "SubnetMask"), reg_multi_sz({"255.255.255.0", "255.255.0.0"}));
    EXPECT_EQ(hive.get(at("AMDPCN1"), "DefaultGateway"), reg_multi_sz({"10.0.0.1"}));
    EXPECT_EQ(hive.string(services + "NetBT\\Adapters\\AMDPCN1", "NameServer"), "10.0.0.60");
    EXPECT_EQ(hive.get(at("E100B1"), "IPAddress"), reg_multi_sz({"0.0.0.0"}));
    const auto again = guest.run(repair_network);
    ASSERT_TRUE(again.status.ok());
    EXPECT_THAT(again.changes, IsEmpty());
    EXPECT_THAT(again.warnings, IsEmpty());
}

TEST_F(NtFour, without_one_new_card_all_that_was_set_is_told_and_nothing_is_changed) {
    const auto expect_told = [&] {
        const auto out = guest.run(repair_network);
        ASSERT_TRUE(out.status.ok());
        EXPECT_THAT(out.changes, IsEmpty());
        EXPECT_THAT(out.warnings, testing::Contains(HasSubstr(
                                      "what E100B1 (Intel EtherExpress PRO) had: 10.0.0.5, mask 255.255.255.0; "
                                      "10.9.0.5, mask 255.255.0.0; gateway 10.0.0.1; WINS 10.0.0.60")));
    };
    expect_told();
    add_new_card("AMDPCN1");
    add("3", "DC21X41", "DEC");
    guest.system_tree.key(services + "DC21X41\\Parameters\\Tcpip").set("EnableDHCP", reg_dword(1));
    guest.system.clear();
    guest.software.clear();
    expect_told();
}

TEST_F(NtFour, hostile_names_of_cards_are_no_keys) {
    add("2", "..\\..\\Setup", "x");
    add("3", std::string(300, 'a'), "x");
    guest.software = test::make_hive(guest.software_tree);
    std::vector<std::string> warnings;
    guest.system = test::make_hive(guest.system_tree);
    EXPECT_THAT(nt4_cards(guest.system_hive(), guest.software_hive(), guest.windows, warnings), SizeIs(1));
}

TEST(WindowsNetworkReal, cards_of_real_hives_are_found_with_what_is_known_of_them) {
    struct Row {
        const char* hive;
        std::vector<std::string> macs;
    };
    for (const auto& [name, macs] : {Row{"hives/bitcurator-SYSTEM", {""}}, Row{"hives/regipy-SYSTEM", {"", ""}},
                                     Row{"hives/regipy-SYSTEM_WIN_10_1709", {"00:0c:29:f3:ff:de"}}}) {
        const auto bytes = test::shared_hive(name);
        if (!bytes) GTEST_SKIP() << "the shared hives are not there";
        const auto hive = Hive::open(*bytes, "SYSTEM").value();
        std::vector<std::string> found, warnings;
        for (const auto& adapter : old_adapters(hive, WindowsGuest().windows, warnings)) {
            found.push_back(adapter.mac ? adapter.mac->text() : "");
            EXPECT_TRUE(adapter.instance.starts_with("PCI\\")) << adapter.instance;
            EXPECT_TRUE(removal_of(adapter)) << adapter.instance;
        }
        EXPECT_EQ(found, macs) << name;
    }
}

// How Windows names an adapter below Control\Nsi, by its IPv4 addresses, which are in Tcpip as well.
TEST(WindowsNetworkReal, luids_and_prefixes_are_where_windows_itself_has_them) {
    const auto bytes = test::shared_hive("hives/regipy-SYSTEM");
    if (!bytes) GTEST_SKIP() << "the shared hives are not there";
    const auto hive = Hive::open(*bytes, "SYSTEM").value();
    std::vector<std::string> warnings, found;
    const std::string table = "ControlSet001\\Control\\Nsi\\{eb004a00-9b1a-11d4-9123-0050047759bc}\\10";
    for (const auto& adapter : old_adapters(hive, WindowsGuest().windows, warnings))
        for (const auto& name : hive.values(table)) {
            if (!name.starts_with(adapter.luid)) continue;
            ASSERT_THAT(adapter.settings.addresses, SizeIs(1));
            const auto ip = from_hex(name.substr(16, 8)).value();
            std::uint32_t value = 0;
            for (const auto byte : ip) value = value << 8 | std::to_integer<std::uint32_t>(byte);
            EXPECT_EQ(adapter.settings.addresses[0].ip, Ipv4Address{value}.text());
            EXPECT_EQ(hive.get(table, name)->data[16], 24);
            EXPECT_EQ(adapter.settings.addresses[0].mask, "255.255.255.0");
            found.push_back(name.substr(0, 16));
        }
    EXPECT_THAT(found, testing::UnorderedElementsAre("0000000600000600", "0000000700000600"));
}

}  // namespace
}  // namespace slipway::fixup::windows
