// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/addresses.hpp"
#include "guest-fixup/personality_edits.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

const std::vector<std::string> kOld{"poseidon.example.org", "poseidon"}, kNew{"web01.example.org", "web01"};

InterfaceSetup fixed() {
    return {"eth0",
            std::nullopt,
            false,
            {"10.0.0.5/24", "10.0.0.6/24", "fd00::5/64"},
            {"10.0.0.1", "fd00::1"},
            {"10.0.0.53", "fd00::53"},
            {"example.org"}};
}
InterfaceSetup dynamic() { return {"eth0", MacAddress::parse("52:54:00:00:00:01"), true, {}, {}, {}, {}}; }

}  // namespace

TEST(Hosts, the_old_name_becomes_the_new_one_and_the_rest_stays) {
    const std::string text =
        "127.0.0.1\tlocalhost\n127.0.1.1\tposeidon.example.org poseidon db-alias\n# poseidon was here\n"
        "::1 localhost ip6-localhost\n10.0.0.9 hera hera.example.org # the other\n";
    const auto once = edit_hosts(text, kOld, kNew);
    EXPECT_EQ(once.text,
              "127.0.0.1\tlocalhost\n127.0.1.1\tweb01.example.org web01 db-alias\n# poseidon was here\n"
              "::1 localhost ip6-localhost\n10.0.0.9 hera hera.example.org # the other\n");
    EXPECT_THAT(once.warnings, IsEmpty());
    EXPECT_EQ(edit_hosts(once.text, kNew, kNew).text, once.text);
}

TEST(Hosts, an_address_of_the_network_with_the_old_name_is_told) {
    const auto once =
        edit_hosts("127.0.0.1 localhost poseidon\n10.0.0.5 poseidon.example.org poseidon  # me\n", kOld, kNew);
    EXPECT_EQ(once.text, "127.0.0.1\tlocalhost web01.example.org web01\n10.0.0.5\tweb01.example.org web01  # me\n");
    ASSERT_EQ(once.warnings.size(), 1u);
    EXPECT_THAT(once.warnings[0], HasSubstr("10.0.0.5"));
    EXPECT_THAT(edit_hosts(once.text, kNew, kNew).warnings, IsEmpty());
}

TEST(Hosts, a_line_that_has_the_new_name_already_stays_as_it_is_the_second_time_as_well) {
    const auto line = "10.0.0.9 " + kNew.back() + "\n";
    const auto once = edit_hosts(line + "127.0.1.1 " + kOld.front() + "\n", kOld, kNew).text;
    EXPECT_TRUE(once.starts_with(line)) << once;
    EXPECT_EQ(edit_hosts(once, kNew, kNew).text, once);
}

TEST(Hosts, a_machine_without_a_line_of_its_own_gets_one) {
    const auto once = edit_hosts("127.0.0.1 localhost", {}, kNew).text;
    EXPECT_EQ(once, "127.0.0.1 localhost\n127.0.1.1\tweb01.example.org web01\n");
    EXPECT_EQ(edit_hosts(once, {}, kNew).text, once);
}

TEST(Assignments, every_line_of_the_key_says_the_value) {
    EXPECT_EQ(set_assignment("A=1\nHOSTNAME=old\nHOSTNAME=\"older\"\n", "HOSTNAME", "new"),
              "A=1\nHOSTNAME=new\nHOSTNAME=new\n");
    EXPECT_EQ(set_assignment("LANG=\"C\"\n", "LANG", "C"), "LANG=\"C\"\n");
    EXPECT_EQ(set_assignment("A=1", "LANG", "C"), "A=1\nLANG=C\n");
    EXPECT_EQ(assignment("ZONE=\"UTC\"\n", "ZONE"), "UTC");
}

TEST(Passwd, hostile_lines_are_no_accounts) {
    const auto accounts = parse_passwd(
        "root:x:0:0:root:/root:/bin/sh\na:x:-1:0::/a:/x\nb:x:4294967295:0::/b:/x\nc:x:1:1::relative:/"
        "x\n:::\nd:x:1000:1000::/home/d:/bin/sh\n");
    ASSERT_EQ(accounts.size(), 2u);
    EXPECT_EQ(accounts[1].name, "d");
}

TEST(Addresses, ifupdown_replaces_one_interface_and_leaves_the_others) {
    const std::string text =
        "source /etc/network/interfaces.d/*\n\nauto lo eth0\niface lo inet loopback\n\nallow-hotplug eth0\n"
        "iface eth0 inet dhcp\n    up /bin/old\n\nauto eth1\niface eth1 inet static\n    address 10.9.9.9/24\n";
    const auto once = ifupdown_interface(text, fixed());
    EXPECT_THAT(once, AllOf(Not(HasSubstr("/bin/old")), Not(HasSubstr("allow-hotplug")), HasSubstr("auto lo\n"),
                            HasSubstr("iface eth1 inet static\n    address 10.9.9.9/24\n")));
    EXPECT_THAT(once, HasSubstr("auto eth0\niface eth0 inet static\n    address 10.0.0.5/24\n    gateway 10.0.0.1\n"
                                "    dns-nameservers 10.0.0.53 fd00::53\n    dns-search example.org\n"
                                "iface eth0 inet static\n    address 10.0.0.6/24\n"
                                "iface eth0 inet6 static\n    address fd00::5/64\n    gateway fd00::1\n"));
    EXPECT_EQ(ifupdown_interface(once, fixed()), once);
    EXPECT_EQ(ifupdown_interface(once, dynamic()).find("10.0.0.5"), std::string::npos);
}

TEST(Addresses, red_hats_file_keeps_what_says_no_address) {
    const std::string text =
        "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=no\nHWADDR=52:54:00:aa:aa:aa\nZONE=internal\nIPADDR2=1.2.3.4\nDNS1=1.1.1."
        "1\n";
    const auto once = red_hat_ifcfg(text, fixed());
    EXPECT_EQ(once,
              "ZONE=internal\nDEVICE=eth0\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.0.0.5\nPREFIX=24\nIPADDR1=10.0.0."
              "6\nPREFIX1=24\n"
              "GATEWAY=10.0.0.1\nIPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=fd00::5/64\nIPV6_DEFAULTGW=fd00::1\n"
              "DNS1=10.0.0.53\nDNS2=fd00::53\nDOMAIN=\"example.org\"\n");
    EXPECT_EQ(red_hat_ifcfg(once, fixed()), once);
    EXPECT_EQ(red_hat_ifcfg(text, dynamic()),
              "ZONE=internal\nDEVICE=eth0\nONBOOT=yes\nHWADDR=52:54:00:00:00:01\nBOOTPROTO=dhcp\n");
}

TEST(Addresses, suse_has_its_routes_in_a_second_file) {
    const auto once = suse_ifcfg("BOOTPROTO='dhcp'\nMTU='9000'\nIPADDR_3='1.2.3.4/8'\n", fixed());
    EXPECT_EQ(once,
              "MTU='9000'\nBOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='10.0.0.5/24'\nIPADDR_1='10.0.0.6/"
              "24'\nIPADDR_2='fd00::5/64'\n");
    EXPECT_EQ(suse_ifcfg(once, fixed()), once);
    EXPECT_EQ(suse_ifroute(fixed()), "default 10.0.0.1 - eth0\ndefault fd00::1 - eth0\n");
}

TEST(Addresses, a_connection_is_the_same_each_time) {
    const auto once = keyfile(fixed());
    EXPECT_EQ(keyfile(fixed()), once);
    EXPECT_THAT(
        once,
        HasSubstr(
            "[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\naddress2=10.0.0.6/24\ngateway=10.0.0.1\ndns=10.0.0.53;\n"));
    EXPECT_THAT(once, HasSubstr("[ipv6]\nmethod=manual\naddress1=fd00::5/64\ngateway=fd00::1\n"));
    EXPECT_THAT(keyfile(dynamic()),
                AllOf(HasSubstr("mac-address=52:54:00:00:00:01"), HasSubstr("[ipv4]\nmethod=auto\n")));
}

TEST(Addresses, netplan_loses_one_block_and_no_other) {
    const std::string text =
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n\n      # why\n      nameservers:\n"
        "        addresses: [1.1.1.1]\n    \"eth1\":\n      dhcp4: true\n  vlans:\n    eth0:\n      id: 7\n";
    const auto once = without_netplan(text, "eth0");
    EXPECT_EQ(
        once,
        "network:\n  version: 2\n  ethernets:\n    \"eth1\":\n      dhcp4: true\n  vlans:\n    eth0:\n      id: 7\n");
    EXPECT_EQ(without_netplan(once, "eth0"), once);
    EXPECT_THAT(without_netplan(text, "eth1"), Not(HasSubstr("eth1")));
    EXPECT_THAT(netplan_file({fixed()}), HasSubstr("        - to: \"0.0.0.0/0\"\n          via: \"10.0.0.1\"\n"));
    EXPECT_THAT(netplan_file({dynamic()}), HasSubstr("      set-name: eth0\n      dhcp4: true\n"));
}

TEST(Addresses, networkd_matches_by_name_or_card) {
    EXPECT_EQ(
        networkd_unit(fixed()),
        "# Written by "
        "Slipway.\n[Match]\nName=eth0\n\n[Network]\nAddress=10.0.0.5/24\nAddress=10.0.0.6/24\nAddress=fd00::5/64\n"
        "Gateway=10.0.0.1\nGateway=fd00::1\nDNS=10.0.0.53\nDNS=fd00::53\nDomains=example.org\n");
    EXPECT_THAT(networkd_unit(dynamic()), HasSubstr("MACAddress=52:54:00:00:00:01\nName=eth0\n"));
}
