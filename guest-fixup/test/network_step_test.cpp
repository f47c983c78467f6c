// SPDX-License-Identifier: GPL-3.0-or-later
// Which files of a guest are looked at and changed, on small roots as the distributions lay them out.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/network.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/test/fake_root.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

class NetworkStep : public testing::Test {
protected:
    // Repairs, and a second time, which must change nothing.
    void repair() {
        changed = run(warnings);
        std::vector<std::string> ignored;
        EXPECT_THAT(run(ignored), IsEmpty()) << "changed a second time";
    }
    std::vector<std::string> run(std::vector<std::string>& said) {
        auto guest = Guest::open(root.path(), request.dry_run);
        EXPECT_TRUE(guest.ok());
        const DeviceNames names({}, "");
        const GuestRunner none;
        RepairReport report;
        Repair repair{request, *guest, names, none, report, {}};
        bool links = false;
        const auto done = repair_network(repair, links);
        EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().explain());
        said = report.warnings;
        std::vector<std::string> where;
        for (const auto& change : guest->journal()) where.push_back(change.where);
        EXPECT_EQ(links, !where.empty());
        return where;
    }
    void systemd() {
        fs::create_directories(root.path() / "usr/lib/systemd/network");
        fs::create_directories(root.path() / "usr/lib/udev/rules.d");
    }
    void nics(std::initializer_list<const char*> texts) {
        for (const auto* text : texts) request.nics.push_back(*parse_nic(text));
    }

    test::FakeRoot root;
    RepairRequest request;
    std::vector<std::string> changed, warnings;
};

}  // namespace

TEST_F(NetworkStep, debian_11_to_13_follow_what_interfaces_sources) {
    systemd();
    root.put("/etc/network/interfaces",
             "source interfaces.d/*\nsource-directory /etc/network/more\nauto lo\niface lo inet loopback\n");
    root.put("/etc/network/interfaces.d/ens18", "auto ens18\niface ens18 inet static\n  address 192.0.2.10/24\n");
    root.put("/etc/network/interfaces.d/.ens18.swp", "iface ens77 inet dhcp\n");
    root.put("/etc/network/more/lan", "rename /mac/00:25:90:00:00:02=lan\niface lan inet dhcp\n");
    root.put("/etc/network/more/lan.dpkg-old", "iface ens78 inet dhcp\n");
    nics({"ens18=52:54:00:00:00:01", "00:25:90:00:00:02=52:54:00:00:00:02"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/network/more/lan", "/etc/systemd/network/10-slipway-ens18.link",
                                     "/etc/systemd/network/10-slipway-lan.link"));
    EXPECT_EQ(root.get("/etc/network/more/lan"), "rename /mac/52:54:00:00:00:02=lan\niface lan inet dhcp\n");
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("lan asks DHCP")));
}

TEST_F(NetworkStep, what_asks_dhcp_is_what_the_guest_starts) {
    systemd();
    root.put("/usr/lib/systemd/systemd", "");
    root.put("/usr/sbin/NetworkManager", "");
    root.install_unit("NetworkManager.service");
    nics({"ens3=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("ens3 (52:54:00:00:00:01): it will stay without an address")));
    root.enable_unit("NetworkManager.service");
    repair();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("NetworkManager will ask DHCP")));
    root.put("/usr/lib/NetworkManager/conf.d/00-server.conf", "[main]\nno-auto-default=*\n");
    repair();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("it will stay without an address")));
    request.personality = R"({"interfaces": [{"name": "ens3", "method": "dhcp"}]})";
    repair();
    EXPECT_THAT(warnings, IsEmpty()) << "the personality configures it";
}

TEST_F(NetworkStep, sources_in_a_circle_and_out_of_the_root_end) {
    systemd();
    test::FakeRoot outside;
    outside.put("/secret", "iface outside inet static\n");
    root.put("/etc/network/interfaces",
             "source /etc/network/interfaces\nsource /etc/network/a/*\nsource /*/x\nsource $HOME/x\n"
             "source ../../../../../../.." +
                 outside.path().string() + "/secret\n");
    root.put("/etc/network/a/b", "source /etc/network/a/*\niface ens1 inet static\n");
    fs::create_symlink(outside.path() / "secret", root.path() / "etc/network/a/c");
    nics({"ens1=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("sources /*/x, which was not followed"), HasSubstr("$HOME/x")));
}

TEST_F(NetworkStep, rhel_7_to_9) {
    systemd();
    root.put("/usr/sbin/NetworkManager", "");
    const std::string ifcfg = "TYPE=Ethernet\nBOOTPROTO=none\nNAME=em1\nDEVICE=em1\nONBOOT=yes\n";
    root.put("/etc/sysconfig/network-scripts/ifcfg-em1", ifcfg + "HWADDR=00:25:90:00:00:01\n");
    root.put("/etc/sysconfig/network-scripts/ifcfg-em1.rpmsave", ifcfg + "HWADDR=00:25:90:00:00:01\n");
    root.put("/etc/sysconfig/network-scripts/route-em1", "10.0.0.0/8 via 192.0.2.1 dev em1\n");
    root.put("/etc/NetworkManager/conf.d/x.conf", "[keyfile]\nunmanaged-devices=mac:00:25:90:00:00:01\n");
    nics({"00:25:90:00:00:01=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/sysconfig/network-scripts/ifcfg-em1", "/etc/NetworkManager/conf.d/x.conf",
                                     "/etc/systemd/network/10-slipway-em1.link"));
    EXPECT_EQ(root.get("/etc/sysconfig/network-scripts/ifcfg-em1"), ifcfg + "HWADDR=52:54:00:00:00:01\n");
    EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(NetworkStep, sles_15_with_wicked_and_a_bond) {
    systemd();
    root.put("/etc/sysconfig/network/ifcfg-bond0",
             "BONDING_MASTER='yes'\nBONDING_SLAVE0='eth0'\nBONDING_SLAVE1='eth1'\nBOOTPROTO='dhcp'\n");
    root.put("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='none'\nSTARTMODE='hotplug'\n");
    root.put("/etc/udev/rules.d/70-persistent-net.rules",
             persistent_rule("eth0", *MacAddress::parse("00:25:90:00:00:01")) +
                 persistent_rule("eth1", *MacAddress::parse("00:25:90:00:00:02")));
    root.put("/etc/wicked/ifconfig/x.xml",
             "<interface><name namespace=\"ethernet\"><permanent-address>00:25:90:00:00:02"
             "</permanent-address></name></interface>\n");
    nics({"00:25:90:00:00:01=52:54:00:00:00:01", "00:25:90:00:00:02=52:54:00:00:00:02"});
    repair();
    EXPECT_THAT(root.get("/etc/udev/rules.d/70-persistent-net.rules"),
                AllOf(Not(HasSubstr("00:25:90")), HasSubstr("eth1")));
    EXPECT_THAT(root.get("/etc/wicked/ifconfig/x.xml"), HasSubstr("52:54:00:00:00:02"));
    EXPECT_THAT(root.get("/etc/systemd/network/10-slipway-eth1.link"), HasSubstr("Path=?*"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("eth0, eth1 are names"), HasSubstr("bond0 asks DHCP")));
}

TEST_F(NetworkStep, ubuntu_24_with_cloud_init) {
    systemd();
    root.put("/etc/cloud/cloud.cfg", "users: [default]\n");
    root.put("/etc/netplan/50-cloud-init.yaml",
             "network:\n  version: 2\n  ethernets:\n    eno1:\n      dhcp4: true\n      match:\n"
             "        macaddress: 00:25:90:00:00:01\n      set-name: eno1\n");
    nics({"00:25:90:00:00:01=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/netplan/50-cloud-init.yaml", "/etc/systemd/network/10-slipway-eno1.link",
                                     "/etc/cloud/cloud.cfg.d/99-slipway-network.cfg"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("eno1 asks DHCP")));
}

TEST_F(NetworkStep, network_switched_off_for_cloud_init_stays_so) {
    systemd();
    root.put("/etc/cloud/cloud.cfg", "users: [default]\n");
    root.put("/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "network: {config: disabled}\n");
    root.put("/etc/netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    eno1: {dhcp4: true}\n");
    nics({"eno1=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/10-slipway-eno1.link"));
}

TEST_F(NetworkStep, link_files_switched_off_leave_it_to_rules) {
    systemd();
    fs::create_directories(root.path() / "etc/udev/rules.d");
    fs::create_symlink("/dev/null", root.path() / "etc/udev/rules.d/80-net-setup-link.rules");
    root.put("/etc/network/interfaces", "iface eth0 inet static\n");
    nics({"eth0=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/udev/rules.d/70-persistent-net.rules"));
    EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(NetworkStep, alpine_has_no_link_files) {
    root.put("/etc/mdev.conf", "-net/.* root:root 600 @nameif\n");
    root.put("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\nauto eth1\niface eth1 inet static\n");
    nics({"eth0=52:54:00:00:00:01", "eth1=52:54:00:00:00:02"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/mactab"));
}

TEST_F(NetworkStep, arch_with_drop_ins_and_shipped_units) {
    systemd();
    root.put("/usr/lib/systemd/network/80-container-host0.network", "[Match]\nName=host0\n[Network]\nDHCP=yes\n");
    root.put("/etc/systemd/network/20-wired.network", "[Match]\nMACAddress=00:25:90:00:00:01\n");
    root.put("/etc/systemd/network/20-wired.network.d/dhcp.conf", "[Network]\nDHCP=yes\n");
    nics({"00:25:90:00:00:01=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(changed, ElementsAre("/etc/systemd/network/20-wired.network"));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("52:54:00:00:00:01 asks DHCP")));
}

TEST_F(NetworkStep, what_is_no_file_is_said_and_nothing_breaks) {
    systemd();
    fs::create_directories(root.path() / "etc/network/interfaces");
    root.put("/etc/netplan/a.yaml", "network: [\n");
    root.put("/etc/netplan/b.yaml", std::string((1u << 20) + 1, 'a'));
    nics({"ens1=52:54:00:00:00:01"});
    repair();
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("/etc/network/interfaces"), HasSubstr("not looked at"))));
    EXPECT_THAT(warnings, Contains(HasSubstr("/etc/netplan/a.yaml is no YAML")));
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("/etc/netplan/b.yaml"), HasSubstr("not looked at"))));
}

TEST_F(NetworkStep, dry_run_changes_nothing) {
    systemd();
    root.put("/etc/sysconfig/network-scripts/ifcfg-em1", "DEVICE=em1\nHWADDR=00:25:90:00:00:01\n");
    nics({"00:25:90:00:00:01=52:54:00:00:00:01"});
    request.dry_run = true;
    const auto before = root.everything();
    std::vector<std::string> said;
    EXPECT_THAT(run(said), Not(IsEmpty()));
    EXPECT_EQ(root.everything(), before);
}
