// SPDX-License-Identifier: GPL-3.0-or-later
// Whole configurations in, edits and warnings out: names stay, addresses move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/network.hpp"
#include "guest-fixup/network/names_unit.hpp"
#include "guest-fixup/network/plan.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

const MacAddress kOld1 = *MacAddress::parse("00:25:90:00:00:01"), kOld2 = *MacAddress::parse("00:25:90:00:00:02");
const MacAddress kNew1 = *MacAddress::parse("52:54:00:00:00:01"), kNew2 = *MacAddress::parse("52:54:00:00:00:02");

NicMapping nic(std::string name, std::optional<MacAddress> old_mac, MacAddress new_mac) {
    return {std::move(name), old_mac, new_mac};
}

// A guest of files that plans are applied to.
class Plan : public testing::Test {
protected:
    void put(const std::string& path, const std::string& text) { files.push_back({path, text}); }
    std::string get(const std::string& path) const {
        for (const auto& file : files)
            if (file.path == path) return file.text;
        return "(none)";
    }
    // Plans, applies, and holds that nothing is left to do.
    void repair() {
        const auto plan = plan_network(files, nics, traits);
        warnings = plan.warnings;
        changed.clear();
        for (const auto& edit : plan.edits) {
            changed.push_back(edit.path);
            std::erase_if(files, [&](const ConfigFile& file) { return file.path == edit.path; });
            if (edit.text) files.push_back({edit.path, *edit.text});
        }
        for (const auto& edit : plan_network(files, nics, traits).edits)
            ADD_FAILURE() << "changed a second time: " << edit.path << "\n" << edit.text.value_or("(removed)");
    }

    std::vector<ConfigFile> files;
    std::vector<NicMapping> nics{nic("", kOld1, kNew1)};
    GuestTraits traits;
    std::vector<std::string> warnings, changed;
};

constexpr const char* kInterfaces = "/etc/network/interfaces";

}  // namespace

TEST_F(Plan, debian_with_a_static_address_keeps_name_and_needs_nothing_else) {
    put(kInterfaces,
        "auto lo\niface lo inet loopback\nallow-hotplug ens18\niface ens18 inet static\n  address 192.0.2.10/24\n");
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/10-slipway-ens18.link"));
    EXPECT_THAT(get(changed[0]), AllOf(HasSubstr("MACAddress=52:54:00:00:00:01"), HasSubstr("Name=ens18\n")));
    EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Plan, foreign_files_are_left_alone) {
    put(kInterfaces, "iface ens18 inet static\n");
    put("/etc/NetworkManager/conf.d/a.conf", "[main]\nplugins=keyfile\n# 00:25:90:00:00:01\n");
    put("/etc/udev/rules.d/99-x.rules", "KERNEL==\"sda\", ATTR{x}==\"00:25:90:00:00:01\"\n");
    put("/etc/systemd/network/a.network", "[Match]\nMACAddress=00:25:90:00:00:99\n");
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/10-slipway-ens18.link"));
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("00:25:90:00:00:99"), HasSubstr("will not apply"))));
}

TEST_F(Plan, rhel_6_moves_rule_and_hwaddr) {
    traits = {.naming = Naming::Rules, .swaps_names = true};
    nics = {nic("", kOld1, kNew1), nic("", kOld2, kNew2)};
    put(kPersistentRules, "# comment\n" + persistent_rule("eth0", kOld2) + persistent_rule("eth1", kOld1));
    put("/etc/sysconfig/network-scripts/ifcfg-eth0",
        "DEVICE=\"eth0\"\nHWADDR=\"00:25:90:00:00:02\"\nBOOTPROTO=\"dhcp\"\n");
    put("/etc/sysconfig/network-scripts/ifcfg-eth1", "DEVICE=eth1\nHWADDR=00:25:90:00:00:01\nIPADDR=192.0.2.1\n");
    repair();
    EXPECT_THAT(get(kPersistentRules),
                HasSubstr("# comment\n" + persistent_rule("eth0", kNew2) + persistent_rule("eth1", kNew1)));
    EXPECT_EQ(get("/etc/sysconfig/network-scripts/ifcfg-eth0"),
              "DEVICE=\"eth0\"\nHWADDR=\"52:54:00:00:00:02\"\nBOOTPROTO=\"dhcp\"\n");
    EXPECT_EQ(get("/etc/sysconfig/network-scripts/ifcfg-eth1"),
              "DEVICE=eth1\nHWADDR=52:54:00:00:00:01\nIPADDR=192.0.2.1\n");
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("eth0 asks DHCP"), HasSubstr("00:25:90:00:00:02 must be moved to "
                                                                                   "52:54:00:00:00:02"))))
        << "this udev may swap names";
}

TEST_F(Plan, two_kernel_names_under_systemd_are_put_right_by_a_unit_and_said) {
    nics = {nic("eth0", kOld1, kNew1), nic("eth1", kOld2, kNew2)};
    put("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\n");
    put("/etc/sysconfig/network-scripts/ifcfg-eth1", "DEVICE=eth1\n");
    traits.systemd = true;
    repair();
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("eth0, eth1 are names"), HasSubstr("in this order"))));
    EXPECT_THAT(get(kNamesUnit), HasSubstr(" 52:54:00:00:00:01=eth0 52:54:00:00:00:02=eth1\n"));
    nics.pop_back();
    repair();
    EXPECT_EQ(get(kNamesUnit), "(none)");
    EXPECT_EQ(get(kNamesWanted), "(none)");
}

TEST_F(Plan, one_cards_new_address_may_be_anothers_old_one) {
    nics = {nic("ens1", kOld1, kOld2), nic("ens2", kOld2, kNew2)};
    put("/etc/sysconfig/network-scripts/ifcfg-ens1", "DEVICE=ens1\nHWADDR=00:25:90:00:00:01\n");
    put("/etc/sysconfig/network-scripts/ifcfg-ens2", "DEVICE=ens2\nHWADDR=00:25:90:00:00:02\n");
    for (const auto naming : {Naming::Links, Naming::Rules, Naming::Mactab}) {
        const auto before = files;
        traits.naming = naming;
        repair();  // and a second time, which is where addresses would be moved on
        EXPECT_THAT(get("/etc/sysconfig/network-scripts/ifcfg-ens1"), HasSubstr("00:25:90:00:00:02"));
        EXPECT_THAT(get("/etc/sysconfig/network-scripts/ifcfg-ens2"), HasSubstr("52:54:00:00:00:02"));
        files = before;
    }
}

TEST_F(Plan, adapters_can_change_places) {
    nics = {nic("ens1", kOld1, kOld2), nic("ens2", kOld2, kOld1)};
    put("/etc/netplan/a.yaml",
        "network:\n  ethernets:\n    a:\n      match: {macaddress: 00:25:90:00:00:01}\n    b:\n"
        "      match: {macaddress: 00:25:90:00:00:02}\n");
    repair();
    EXPECT_EQ(get("/etc/netplan/a.yaml"),
              "network:\n  ethernets:\n    a:\n      match: {macaddress: 00:25:90:00:00:02}\n    b:\n"
              "      match: {macaddress: 00:25:90:00:00:01}\n");
}

TEST_F(Plan, netplan_pieces_in_two_files_are_one_interface) {
    put("/etc/netplan/50-cloud-init.yaml",
        "network:\n  ethernets:\n    nic:\n      match:\n        macaddress: \"00:25:90:00:00:01\"\n");
    put("/etc/netplan/90-local.yaml", "network:\n  ethernets:\n    nic:\n      set-name: lan0\n      dhcp4: true\n");
    traits.cloud_init = true;
    repair();
    EXPECT_THAT(get("/etc/netplan/50-cloud-init.yaml"), HasSubstr("\"52:54:00:00:00:01\""));
    EXPECT_THAT(get("/etc/systemd/network/10-slipway-lan0.link"), HasSubstr("Name=lan0"));
    EXPECT_THAT(get(kCloudInitOff), HasSubstr("network: {config: disabled}"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("lan0 asks DHCP")));
}

TEST_F(Plan, what_is_selected_by_address_alone_needs_no_name) {
    put("/etc/NetworkManager/system-connections/a.nmconnection",
        "[connection]\ntype=ethernet\n[ethernet]\nmac-address=00:25:90:00:00:01\n[ipv4]\nmethod=manual\n");
    repair();
    EXPECT_THAT(get("/etc/NetworkManager/system-connections/a.nmconnection"),
                HasSubstr("mac-address=52:54:00:00:00:01"));
    EXPECT_THAT(changed, ElementsAre("/etc/NetworkManager/system-connections/a.nmconnection"));
    EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Plan, a_link_file_of_the_guests_own_is_kept_and_not_shadowed) {
    put("/etc/systemd/network/70-lan.link",
        "[Match]\nMACAddress=00:25:90:00:00:01\n[Link]\nName=lan\nWakeOnLan=magic\n");
    put("/etc/systemd/network/lan.network", "[Match]\nName=lan\n");
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/70-lan.link"));
    EXPECT_EQ(get(changed[0]), "[Match]\nMACAddress=52:54:00:00:00:01\n[Link]\nName=lan\nWakeOnLan=magic\n");
}

TEST_F(Plan, names_on_top_of_a_card_are_told_apart_from_it) {
    nics = {nic("ens1", kOld1, kNew1), nic("ens2", kOld2, kNew2)};
    put(kInterfaces, "iface bond0 inet dhcp\n bond-slaves ens1 ens2\niface bond0.5 inet static\n");
    repair();
    EXPECT_THAT(get("/etc/systemd/network/10-slipway-ens1.link"), HasSubstr("Path=?*\n"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("bond0 asks DHCP"))) << "members by name are configured";
}

TEST_F(Plan, a_pinned_address_stays_and_is_said) {
    put(kInterfaces, "iface ens1 inet static\n  hwaddress ether 00:25:90:00:00:01\n");
    repair();
    EXPECT_THAT(get(kInterfaces), HasSubstr("hwaddress ether 00:25:90:00:00:01"));
    EXPECT_THAT(warnings,
                ElementsAre(AllOf(HasSubstr("ens1 the fixed address 00:25:90:00:00:01"), HasSubstr("old machine"))));
}

TEST_F(Plan, what_will_not_work_is_said_by_name) {
    nics = {nic("ens1", kOld1, kNew1), nic("", kOld2, kNew2)};
    put(kInterfaces, "iface ens7 inet static\n");
    put("/etc/systemd/network/a.network", "[Match]\nPath=pci-0000:03:00.0\n");
    files.push_back({"/etc/dhcp/dhclient.conf",
                     "send dhcp-client-identifier 1:00:25:90:00:00:01;\n# 00:25:90:00:00:01\n"
                     "hardware ethernet 00:25:90:00:00:01;\n",
                     ConfigKind::Text});
    traits.connman = true;
    repair();
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("no interface name is known"), HasSubstr(kNew2.text()))));
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("mentions ens1"), HasSubstr("without an address"))));
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("configures ens7"), HasSubstr("missing"))));
    EXPECT_THAT(warnings, Contains(HasSubstr("Path=pci-0000:03:00.0")));
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("dhclient.conf"), HasSubstr("old address 00:25:90:00:00:01"))));
    EXPECT_THAT(warnings, Contains(HasSubstr("connman")));
}

TEST_F(Plan, an_adapter_without_configuration_gets_dhcp_from_the_program_that_asks) {
    nics = {nic("ens1", kOld1, kNew1)};
    for (const char* name : {"NetworkManager", "dhcpcd"}) {
        traits.asks_dhcp = name;
        repair();
        EXPECT_THAT(warnings, ElementsAre(HasSubstr(std::string(name) + " will ask DHCP")));
    }
}

TEST_F(Plan, an_adapter_that_the_personality_configures_is_not_missing) {
    nics = {nic("ens1", kOld1, kNew1), nic("ens2", kOld2, kNew2)};
    traits.set_up = {kNew1};
    repair();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("mentions ens2")));
}

TEST_F(Plan, kept_addresses_need_no_word) {
    nics = {nic("ens1", kOld1, kOld1)};
    put("/etc/sysconfig/network-scripts/ifcfg-ens1", "DEVICE=ens1\nHWADDR=00:25:90:00:00:01\nBOOTPROTO=dhcp\n");
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/10-slipway-ens1.link"));
    EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Plan, alpine_with_one_card_needs_nothing_and_with_two_a_mactab) {
    traits = {.naming = Naming::Mactab};
    put(kInterfaces, "auto eth0\niface eth0 inet static\nauto eth1\niface eth1 inet static\n");
    nics = {nic("eth0", kOld1, kNew1)};
    repair();
    EXPECT_THAT(changed, IsEmpty());
    nics = {nic("eth0", kOld1, kNew1), nic("eth1", kOld2, kNew2)};
    repair();
    EXPECT_THAT(changed, ElementsAre(kMactab));
    EXPECT_THAT(get(kMactab), AllOf(HasSubstr("eth0 52:54:00:00:00:01\n"), HasSubstr("eth1 52:54:00:00:00:02\n")));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("nothing in this system")));
}

TEST_F(Plan, without_a_mapping_nothing_is_changed_and_cards_by_address_are_said) {
    nics.clear();
    put("/etc/netplan/a.yaml",
        "network:\n  ethernets:\n    a:\n      match: {macaddress: 00:25:90:00:00:01}\n    b: {}\n");
    repair();
    EXPECT_THAT(changed, IsEmpty());
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("00:25:90:00:00:01"), HasSubstr("--nic"))));
}

TEST_F(Plan, two_adapters_cannot_have_one_name) {
    nics = {nic("ens1", kOld1, kNew1), nic("ens1", kOld2, kNew2)};
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/10-slipway-ens1.link"));
    EXPECT_THAT(warnings, Contains(HasSubstr("two adapters would be ens1")));
}

TEST_F(Plan, an_earlier_repairs_other_name_goes) {
    nics = {nic("ens9", std::nullopt, kNew1)};
    put("/etc/systemd/network/10-slipway-ens1.link", link_file("ens1", kNew1));
    put(kInterfaces, "iface ens9 inet static\n");
    repair();
    EXPECT_EQ(get("/etc/systemd/network/10-slipway-ens1.link"), "(none)");
    EXPECT_THAT(get("/etc/systemd/network/10-slipway-ens9.link"), HasSubstr("Name=ens9"));
}
