// SPDX-License-Identifier: GPL-3.0-or-later
// netplan and NetworkManager themselves take what a repair has edited.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/network/plan.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/process.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

namespace {

const MacAddress kOld = *MacAddress::parse("00:25:90:00:00:01"), kNew = *MacAddress::parse("52:54:00:00:00:01");

std::string repaired(const std::string& path, const std::string& text) {
    for (const auto& edit : plan_network({{path, text}}, {{"", kOld, kNew}}, {}).edits)
        if (edit.path == path) return *edit.text;
    return text;
}

}  // namespace

TEST(NetworkOracle, netplan_generates_from_what_was_edited) {
    if (!fs::exists("/usr/sbin/netplan")) GTEST_SKIP() << "netplan.io is not installed";
    test::FakeRoot root;
    const std::string path = "/etc/netplan/50-cloud-init.yaml";
    root.put(
        path,
        repaired(
            path,
            "# überall\nnetwork:\n  version: 2\n  renderer: networkd\n  ethernets:\n    lan:  # kept\n      match:\n"
            "        macaddress: '00:25:90:00:00:01'\n      set-name: lan0\n      addresses:\n"
            "      - 192.0.2.10/24\n  vlans:\n    lan.5: {id: 5, link: lan, dhcp4: true}\n"));
    fs::permissions(root.path() / "etc/netplan/50-cloud-init.yaml", fs::perms(0600));
    EXPECT_THAT(root.get(path), HasSubstr("lan:  # kept"));
    const auto run = run_command({"/usr/sbin/netplan", "generate", "--root-dir", root.path().string()});
    ASSERT_TRUE(run.ok());
    ASSERT_EQ(run->exit_code, 0) << run->error_text;
    const auto link = root.get("/run/systemd/network/10-netplan-lan.link");
    EXPECT_THAT(link, HasSubstr("MACAddress=52:54:00:00:00:01"));
    EXPECT_THAT(link, Not(HasSubstr("00:25:90")));
    EXPECT_THAT(root.get("/run/systemd/network/10-netplan-lan.network"), HasSubstr("192.0.2.10/24"));
}

// network-manager is in no package list, since it takes over the network of the machine it is installed on.
TEST(NetworkOracle, connection_differs_in_its_address_alone_also_to_nmcli) {
    const std::string path = "/etc/NetworkManager/system-connections/a.nmconnection";
    const std::string text =
        "[connection]\nid=lan\nuuid=2f1b6f39-4f0b-3a5e-9a43-7e0f1ec9c1f1\ntype=ethernet\n\n[ethernet]\n"
        "mac-address=00:25:90:00:00:01\n\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nmethod=manual\n";
    const auto edited = repaired(path, text);
    auto expected = text;
    expected.replace(expected.find("00:25:90:00:00:01"), 17, "52:54:00:00:00:01");
    EXPECT_EQ(edited, expected);
    if (!fs::exists("/usr/bin/nmcli")) return;
    const auto run = run_command(
        {"/usr/bin/nmcli", "--offline", "connection", "modify", "connection.autoconnect", "no"}, {.input = edited});
    ASSERT_TRUE(run.ok());
    ASSERT_EQ(run->exit_code, 0) << run->error_text;
    EXPECT_THAT(run->output, HasSubstr("mac-address=52:54:00:00:00:01"));
    EXPECT_THAT(run->output, HasSubstr("address1=192.0.2.10/24,192.0.2.1"));
}
