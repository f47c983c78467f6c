// SPDX-License-Identifier: GPL-3.0-or-later
// What each system's files say of the interfaces, in files as the distributions and their installers write them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "guest-fixup/network/config.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

const MacAddress kA = *MacAddress::parse("52:54:00:aa:bb:01");
const MacAddress kB = *MacAddress::parse("52:54:00:aa:bb:02");
const MacAddress kNew = *MacAddress::parse("02:00:00:00:00:01");

// The interfaces in short: "ens18 eth dhcp", "bond0 bond <ens18 ens19".
std::vector<std::string> shown(const Reading& reading) {
    static const char* kinds[] = {"eth", "bond", "vlan", "bridge", "lo", "other"};
    std::vector<std::string> all;
    for (const auto& interface : reading.interfaces) {
        auto text = (interface.name.empty() ? "?" : interface.name) + " " + kinds[static_cast<int>(interface.kind)];
        if (interface.names_only) text += " name";
        if (interface.any) text += " any";
        if (interface.selects) text += " " + interface.selects->text().substr(12);
        if (interface.sets) text += " =" + interface.sets->text().substr(12);
        if (interface.dhcp) text += " dhcp";
        if (!interface.upper.empty()) text += " >" + interface.upper;
        for (const auto& lower : interface.lower) text += " <" + lower;
        if (!interface.hardware.empty()) text += " by " + interface.hardware;
        all.push_back(text);
    }
    return all;
}

std::string repeated(std::string_view text, int times) {
    std::string all;
    while (times-- > 0) all += text;
    return all;
}

// The text with each selecting address replaced.
std::string moved(std::string_view text, const Reading& reading) {
    return move_macs(text, reading.selectors, {{kA, kNew}});
}

}  // namespace

TEST(NetworkText, addresses_stand_alone) {
    for (const char* text : {"52:54:00:aa:bb:01", "mac:52:54:00:AA:BB:01;", "=\"52-54-00-aa-bb-01\"",
                             "id-52:54:00:aa:bb:01", "/mac/52:54:00:aa:bb:01=lan"})
        EXPECT_THAT(macs_in({0, text}), SizeIs(1)) << text;
    for (const char* text : {"00:52:54:00:aa:bb:01", "52:54:00:aa:bb:01:02", "52:54:00-aa:bb:01", "x52:54:00:aa:bb:01",
                             "52:54:00:aa:bb:011", "52:54:00:aa:bb", "fe80::5254:ff:feaa:bb01"})
        EXPECT_THAT(macs_in({0, text}), IsEmpty()) << text;
}

TEST(NetworkText, addresses_move_all_at_once_and_nothing_beside_them) {
    const std::string text = "HWADDR=52:54:00:AA:BB:01\nx=52-54-00-aa-bb-02 52:54:00:aa:bb:03";
    EXPECT_EQ(move_macs(text, macs_in({0, text}), {{kA, kB}, {kB, kNew}}),
              "HWADDR=52:54:00:aa:bb:02\nx=02-00-00-00-00-01 52:54:00:aa:bb:03");
    EXPECT_EQ(move_macs(text, macs_in({0, text}), {{kA, kA}}), text) << "not even its capitals";
}

TEST(NetworkText, patterns_match_in_bounded_time) {
    EXPECT_TRUE(glob_matches("*", "x"));
    EXPECT_TRUE(glob_matches("en[ops]*.cfg", "eno1.cfg"));
    EXPECT_TRUE(glob_matches("[!.]*", "a"));
    EXPECT_FALSE(glob_matches("[!.]*", ".a"));
    EXPECT_FALSE(glob_matches("a?", "a"));
    EXPECT_TRUE(glob_matches("[", "["));
    std::string stars;
    for (int i = 0; i < 2000; ++i) stars += "*a";
    EXPECT_FALSE(glob_matches(stars + "b", std::string(4000, 'a')));
}

TEST(NetworkRead, ifupdown_of_debian_12) {
    const std::string text =
        "# This file describes the network interfaces available on your system\n"
        "source /etc/network/interfaces.d/*\nsource-directory more\n\nauto lo\niface lo inet loopback\n\n"
        "allow-hotplug ens18\niface ens18 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n"
        "\t# dns-* options are implemented by the resolvconf package, if installed\n\tdns-nameservers 192.0.2.53\n"
        "iface ens18 inet6 auto\niface ens18:1 inet static\n  address 192.0.2.11/24\n";
    EXPECT_THAT(shown(read_ifupdown(text)), ElementsAre("lo lo", "ens18 eth", "ens18 eth", "ens18 eth"));
    EXPECT_THAT(sources_of(text).files, ElementsAre("/etc/network/interfaces.d/*"));
    EXPECT_THAT(sources_of(text).directories, ElementsAre("more"));
}

TEST(NetworkRead, ifupdown_bonds_vlans_and_bridges) {
    EXPECT_THAT(
        shown(read_ifupdown("auto bond0\niface bond0 inet manual\n  bond-slaves ens18 ens19\n  bond-mode 802.3ad\n"
                            "  hwaddress ether 52:54:00:aa:bb:01\n"
                            "iface ens19 inet manual\n  bond-master bond0\n"
                            "iface bond0.100 inet static\n  address 10.0.0.1/24\n"
                            "iface storage inet dhcp\n  vlan-raw-device \\\n    bond0\n"
                            "iface vmbr0 inet static\n  bridge_ports bond0 none\n")),
        ElementsAre("bond0 bond =bb:01 <ens18 <ens19", "ens19 eth >bond0", "bond0.100 vlan <bond0",
                    "storage vlan dhcp <bond0", "vmbr0 bridge <bond0"));
}

TEST(NetworkRead, ifupdown_selects_by_patterns_renames_and_mappings_but_hwaddress_sets) {
    const std::string text =
        "auto /mac/52:54:00:aa:bb:01=lan\nrename /mac/52:54:00:aa:bb:01=lan0\nmapping eth0\n  script get-mac.sh\n"
        "  map 52:54:00:aa:bb:01 lan\niface lan inet dhcp\n  hwaddress 52:54:00:aa:bb:01\n"
        "  pre-up ip link set lan0 address 52:54:00:aa:bb:01\n# 52:54:00:aa:bb:01\n";
    EXPECT_EQ(moved(text, read_ifupdown(text)),
              "auto /mac/02:00:00:00:00:01=lan\nrename /mac/02:00:00:00:00:01=lan0\nmapping eth0\n  script get-mac.sh\n"
              "  map 02:00:00:00:00:01 lan\niface lan inet dhcp\n  hwaddress 52:54:00:aa:bb:01\n"
              "  pre-up ip link set lan0 address 52:54:00:aa:bb:01\n# 52:54:00:aa:bb:01\n");
}

TEST(NetworkRead, ifupdown_of_alpine) {
    EXPECT_THAT(shown(read_ifupdown("auto eth0\niface eth0\n\tuse dhcp\n\nauto eth1\niface eth1 inet static\n"
                                    "\taddress 10.0.0.2\n\tnetmask 255.255.255.0\n")),
                ElementsAre("eth0 eth dhcp", "eth1 eth"));
}

TEST(NetworkRead, ifcfg_of_rhel_6_to_9) {
    const std::string rhel6 =
        "DEVICE=eth0\nHWADDR=52:54:00:AA:BB:01\nTYPE=Ethernet\nUUID=8f2a7d3c-4f5a-4b39-a1a5-9e0a1d5e1c11\nONBOOT=yes\n"
        "NM_CONTROLLED=yes\nBOOTPROTO=dhcp\n#HWADDR=52:54:00:aa:bb:01\nMACADDR=52:54:00:aa:bb:01\n";
    const auto reading = read_ifcfg("/etc/sysconfig/network-scripts/ifcfg-eth0", rhel6);
    EXPECT_THAT(shown(reading), ElementsAre("eth0 eth bb:01 =bb:01 dhcp"));
    EXPECT_EQ(moved(rhel6, reading).substr(0, 40), "DEVICE=eth0\nHWADDR=02:00:00:00:00:01\nTYP");
    EXPECT_EQ(moved(rhel6, reading).substr(40), rhel6.substr(40)) << "what it sets, and comments, stay";

    EXPECT_THAT(shown(read_ifcfg("/etc/sysconfig/network-scripts/ifcfg-ens192",
                                 "TYPE=\"Ethernet\"\nBOOTPROTO=\"none\"\nNAME=\"ens192\"\nDEVICE=\"ens192\"\n"
                                 "IPADDR=\"192.0.2.9\"\nMASTER='bond0'\nSLAVE=yes\n")),
                ElementsAre("ens192 eth >bond0"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=\"mode=1 miimon=100\"\n")),
                ElementsAre("bond0 bond"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-Bridge_1", "TYPE=Bridge\nDEVICE=lan\nBOOTPROTO=dhcp\n")),
                ElementsAre("lan bridge dhcp"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-eth0.7", "DEVICE=eth0.7\nVLAN=yes\n")), ElementsAre("eth0.7 vlan <eth0"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-eth0:1", "DEVICE=eth0:1\nIPADDR=192.0.2.8\n")), ElementsAre("eth0 eth"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-Auto", "HWADDR=52:54:00:AA:BB:01\nNAME=Auto\n")), ElementsAre("? eth bb:01"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-eth0.bak", rhel6)), IsEmpty());
}

TEST(NetworkRead, ifcfg_of_sles_12_and_15) {
    EXPECT_THAT(
        shown(read_ifcfg("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\nLLADDR=''\n")),
        ElementsAre("eth0 eth dhcp"));
    EXPECT_THAT(shown(read_ifcfg(
                    "x/ifcfg-bond0",
                    "BONDING_MASTER='yes'\nBONDING_SLAVE0='eth0'\nBONDING_SLAVE_1='eth1'\nIPADDR='192.0.2.7/24'\n")),
                ElementsAre("bond0 bond <eth0 <eth1"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-vlan9", "ETHERDEVICE='bond0'\nVLAN_ID='9'\n")),
                ElementsAre("vlan9 vlan <bond0"));
    EXPECT_THAT(shown(read_ifcfg("x/ifcfg-br0", "BRIDGE='yes'\nBRIDGE_PORTS='eth0 eth1'\n")),
                ElementsAre("br0 bridge <eth0 <eth1"));
    EXPECT_THAT(read_ifcfg("x/ifcfg-eth-id-52:54:00:aa:bb:01", "BOOTPROTO=dhcp\n").notes, SizeIs(1));
}

TEST(NetworkRead, wicked_by_name_or_permanent_address) {
    const std::string text =
        "<interface origin=\"static wicked config\">\n  <name namespace=\"ethernet\">\n"
        "    <permanent-address>52:54:00:AA:BB:01</permanent-address>\n  </name>\n"
        "  <ipv4:dhcp><enabled>true</enabled></ipv4:dhcp>\n</interface>\n"
        "<!-- <interface><name>no</name></interface> -->\n"
        "<interface><name>eth1</name><ethernet><address>52:54:00:aa:bb:01</address></ethernet></interface>\n";
    const auto reading = read_wicked(text);
    EXPECT_THAT(shown(reading), ElementsAre("? eth bb:01 dhcp", "eth1 eth =bb:01"));
    EXPECT_THAT(reading.selectors, SizeIs(1));
}

TEST(NetworkRead, keyfiles_of_fedora_and_rhel_9) {
    const std::string text =
        "[connection]\nid=enp1s0\nuuid=2f1b6f39-4f0b-3a5e-9a43-7e0f1ec9c1f1\ntype=ethernet\nautoconnect-priority=-999\n"
        "interface-name=enp1s0\n\n[ethernet]\nmac-address=52:54:00:AA:BB:01\nmac-address-blacklist=52:54:00:AA:BB:01;\n"
        "cloned-mac-address=52:54:00:AA:BB:01\n\n[ipv4]\nmethod=auto\n\n[ipv6]\naddr-gen-mode=eui64\nmethod=auto\n";
    const auto reading = read_keyfile(text);
    EXPECT_THAT(shown(reading), ElementsAre("enp1s0 eth bb:01 =bb:01 dhcp"));
    EXPECT_THAT(reading.selectors, SizeIs(2));
    EXPECT_THAT(shown(read_keyfile("[connection]\nid=b\ntype=bond\ninterface-name=bond0\n[bond]\nmode=802.3ad\n")),
                ElementsAre("bond0 bond"));
    EXPECT_THAT(shown(read_keyfile("[connection]\ntype=vlan\ninterface-name=bond0.5\n[vlan]\nid=5\nparent=bond0\n")),
                ElementsAre("bond0.5 vlan <bond0"));
    EXPECT_THAT(
        shown(read_keyfile("[connection]\ntype=ethernet\nmaster=bond0\nslave-type=bond\ninterface-name=enp2s0\n")),
        ElementsAre("enp2s0 eth >bond0"));
    EXPECT_THAT(shown(read_keyfile("[connection]\nid=Wired\ntype=802-3-ethernet\n[ipv4]\nmethod=auto\n")),
                ElementsAre("? eth any dhcp"));
    EXPECT_THAT(shown(read_keyfile("[connection]\ntype=ethernet\n[match]\ndriver=e1000e;\n")),
                ElementsAre("? eth by driver=e1000e;"));
    const std::string conf = "[keyfile]\nunmanaged-devices=mac:52:54:00:aa:bb:01;interface-name:br*\n";
    EXPECT_EQ(moved(conf, read_networkmanager_conf(conf)),
              "[keyfile]\nunmanaged-devices=mac:02:00:00:00:00:01;interface-name:br*\n");
}

TEST(NetworkRead, networkd_units_of_arch) {
    const std::string text =
        "[Match]\nPermanentMACAddress=52:54:00:aa:bb:01 52:54:00:aa:bb:02\n[Link]\n"
        "MACAddress=52:54:00:aa:bb:01\n[Network]\nDHCP=ipv4\nBond=bond0\n";
    const auto reading = read_networkd("/etc/systemd/network/20-wired.network", text);
    EXPECT_THAT(shown(reading), ElementsAre("? eth bb:01 =bb:01 dhcp >bond0", "? eth bb:02 =bb:01 dhcp >bond0"));
    EXPECT_THAT(reading.selectors, SizeIs(2));
    EXPECT_THAT(shown(read_networkd("/etc/systemd/network/a.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n")),
                ElementsAre("? eth any dhcp"));
    EXPECT_THAT(shown(read_networkd("/etc/systemd/network/a.netdev", "[NetDev]\nName=bond0\nKind=bond\n")),
                ElementsAre("bond0 bond"));
    EXPECT_THAT(shown(read_networkd("/etc/systemd/network/10-lan.link",
                                    "[Match]\nMACAddress=52:54:00:aa:bb:01\n[Link]\nName=lan\nWakeOnLan=magic\n")),
                ElementsAre("lan eth name bb:01"));
    const auto part = read_networkd("/etc/systemd/network/a.network.d/x.conf", "[Network]\nDHCP=yes\n");
    ASSERT_THAT(part.interfaces, SizeIs(1));
    EXPECT_EQ(part.interfaces[0].id, "a.network");
}

TEST(NetworkRead, netplan_of_ubuntu_18_to_24) {
    const std::string text =
        "# This is the network config written by 'subiquity'\nnetwork:\n  version: 2\n  renderer: networkd\n"
        "  ethernets:\n    # überall\n    ens3:\n      addresses: [192.0.2.10/24]  # stays\n      routes:\n"
        "      - to: default\n        via: 192.0.2.1\n"
        "    lan:\n      match:\n        macaddress: '52:54:00:AA:BB:01'\n      set-name: lan0\n      dhcp4: true\n"
        "      macaddress: 52:54:00:aa:bb:01\n    any:\n      match: {name: \"en*\"}\n    drv:\n      match:\n"
        "        driver: e1000e\n    bare: {}\n"
        "  bonds:\n    bond0:\n      interfaces: [ens3, lan]\n  vlans:\n    bond0.9:\n      id: 9\n      link: bond0\n"
        "  bridges:\n    br0:\n      interfaces:\n      - bond0\n      dhcp6: no\n";
    const auto reading = read_netplan(text);
    EXPECT_THAT(shown(reading), ElementsAre("bond0 bond <ens3 <lan", "br0 bridge <bond0", "? eth any", "bare eth",
                                            "? eth by driver: e1000e", "ens3 eth", "lan0 eth bb:01 =bb:01 dhcp",
                                            "bond0.9 vlan <bond0"));
    auto expected = text;
    expected.replace(expected.find("52:54:00:AA:BB:01"), 17, "02:00:00:00:00:01");
    EXPECT_EQ(moved(text, reading), expected);
}

TEST(NetworkRead, cloud_inits_own_versions) {
    const std::string text =
        "network:\n  version: 1\n  config:\n    - type: physical\n      name: eth0\n"
        "      mac_address: \"52:54:00:aa:bb:01\"\n      subnets:\n        - type: dhcp4\n"
        "    - type: bond\n      name: bond0\n      mac_address: 52:54:00:aa:bb:01\n      bond_interfaces: [eth0]\n";
    const auto reading = read_netplan(text);
    EXPECT_THAT(shown(reading), ElementsAre("eth0 eth bb:01 dhcp", "bond0 bond =bb:01 <eth0"));
    EXPECT_THAT(reading.selectors, SizeIs(1));
}

TEST(NetworkRead, yaml_bombs_and_depths_are_harmless) {
    std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c < 'm'; ++c)
        bomb += fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, static_cast<char>(c - 1));
    EXPECT_THAT(read_netplan(bomb).notes, ElementsAre("has YAML aliases, which were not followed"));
    for (const auto& text :
         {std::string(200000, '['), repeated("[\n", 50000), repeated("- ", 100000), repeated("? a\n", 40000),
          std::string(300000, 'a'), std::string("network: [\x01"), std::string("\xff\xfen")}) {
        const auto reading = read_netplan(text);
        EXPECT_THAT(reading.interfaces, IsEmpty());
        EXPECT_THAT(reading.notes, SizeIs(1)) << text.substr(0, 20);
    }
}

TEST(NetworkRead, udev_rules_and_tables) {
    const std::string text =
        "# PCI device 0x8086:0x100f (e1000)\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
        "ATTR{address}==\"52:54:00:aa:bb:01\", ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n"
        "SUBSYSTEM==\"net\", KERNELS==\"0000:03:00.0\", NAME:=\"eth1\"\nKERNEL==\"sda\", NAME=\"x\"\n";
    EXPECT_THAT(shown(read_udev_rules(text)),
                ElementsAre("eth0 eth name bb:01", "eth1 eth name by KERNELS=0000:03:00.0"));
    EXPECT_THAT(shown(read_table("# x\neth0 mac 52:54:00:aa:bb:01\n")), ElementsAre("eth0 eth name bb:01"));
    EXPECT_THAT(shown(read_table("eth1 52:54:00:AA:BB:02")), ElementsAre("eth1 eth name bb:02"));
}

TEST(NetworkRead, dracuts_ifname_on_a_command_line) {
    const std::string text =
        "GRUB_CMDLINE_LINUX=\"ifname=lan:52:54:00:aa:bb:01 quiet\"\n# ifname=x:52:54:00:aa:bb:01\n"
        "\tlinux /vmlinuz root=/dev/x notifname=a:52:54:00:aa:bb:01 ifname=b:52:54:00:aa:bb:01\n";
    const auto reading = read_kernel_arguments(text);
    EXPECT_THAT(shown(reading), ElementsAre("lan eth name bb:01", "b eth name bb:01"));
}

TEST(NetworkRead, endless_lines_say_nothing) {
    const std::string endless(1u << 20, 'a');
    for (const auto& file : {ConfigFile{"/etc/network/interfaces", "iface " + endless + " inet"},
                             ConfigFile{"/etc/systemd/network/a.link", "[Match]\nMACAddress=" + endless},
                             ConfigFile{"/etc/udev/rules.d/70-persistent-net.rules", "NAME=\"" + endless + "\""},
                             ConfigFile{"/etc/sysconfig/network/ifcfg-.", "HWADDR=" + endless}}) {
        EXPECT_THAT(read_config(file).interfaces, IsEmpty()) << file.path;
        EXPECT_THAT(read_config(file).selectors, IsEmpty()) << file.path;
    }
}
