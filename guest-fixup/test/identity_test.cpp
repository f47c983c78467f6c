// SPDX-License-Identifier: GPL-3.0-or-later
// Who a clone is, on small guests of each family: host name, ids, keys, addresses and what runs at the first boot.
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/first_boot.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

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

constexpr const char* kScripts = "/var/lib/slipway/first-boot/scripts";

// The steps alone; whole repairs are repair_test's.
class IdentityTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: files get owners";
    }
    void link(const std::string& path, const std::string& target) const { root.link(path, target); }
    std::string target(const std::string& path) const {
        std::error_code none;
        return fs::read_symlink(root.path() / path.substr(1), none).string();
    }
    unsigned mode(const std::string& path) const {
        struct stat info {};
        EXPECT_EQ(::lstat((root.path() / path.substr(1)).c_str(), &info), 0) << path;
        return info.st_mode & 07777;
    }
    // All identity steps; the report of this run.
    RepairReport run(bool dry_run = false) {
        RepairReport report;
        auto guest = Guest::open(root.path(), dry_run).value();
        const DeviceNames names({}, "");
        const GuestRunner none;
        Repair repair{request, guest, names, none, report, [](const std::string&) {}};
        std::vector<FirstBootScript> first_boot;
        auto done = [&]() -> Status {
            TRY(enable_guest_agent(repair, first_boot));
            TRY(personalise(repair, first_boot));
            return add_first_boot(repair, first_boot);
        }();
        EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().explain());
        report.journal = guest.journal();
        return report;
    }
    void twice_is_once() {
        const auto before = root.everything();
        EXPECT_THAT(run().journal, IsEmpty());
        EXPECT_EQ(root.everything(), before);
    }
    void debian() {
        root.put("/etc/debian_version", "12.0\n");
        root.put("/lib/systemd/systemd", "");
        root.put("/etc/hostname", "template\n");
        root.put("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\ttemplate\n");
        root.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        root.put("/usr/sbin/sshd", "");
        root.put("/etc/ssh/ssh_host_rsa_key", "PRIVATE RSA\n");
        root.put("/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAA\n");
        root.put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nops:x:1000:1001::/home/ops:/bin/sh\n");
        fs::create_directories(root.path() / "root");
        fs::create_directories(root.path() / "home/ops");
    }

    test::FakeRoot root;
    RepairRequest request;
};

}  // namespace

TEST_F(IdentityTest, a_debian_clone_is_a_machine_of_its_own) {
    debian();
    root.put("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
    root.put("/usr/share/zoneinfo/Europe/Berlin", "TZif");
    root.put("/etc/timezone", "Etc/UTC\n");
    link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC");
    root.put("/usr/lib/locale/locale-archive", "");
    root.put("/etc/mailname", "template\n");
    root.put("/sbin/ifup", "");
    root.enable_unit("networking.service");
    root.put("/etc/network/interfaces", "auto lo\niface lo inet loopback\nauto ens3\niface ens3 inet dhcp\n");
    request.personality =
        personality_of(
            R"({"machine_id": "new", "ssh_host_keys": "new", "timezone": "Europe/Berlin", "locale": "de_DE.UTF-8",
        "devices": {"web01": {"hostname": "web01.example.org",
            "interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"], "gateways": ["10.0.0.1"], "dns": ["10.0.0.53"]}]}}})",
            "web01", {})
            .value();
    const auto report = run();
    EXPECT_THAT(report.warnings, IsEmpty());
    EXPECT_EQ(root.get("/etc/hostname"), "web01\n");
    EXPECT_EQ(root.get("/etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tweb01.example.org web01\n");
    EXPECT_EQ(root.get("/etc/mailname"), "web01.example.org\n");
    EXPECT_EQ(root.get("/etc/machine-id"), "");
    EXPECT_EQ(target("/var/lib/dbus/machine-id"), "/etc/machine-id");
    EXPECT_FALSE(root.has("/etc/ssh/ssh_host_rsa_key"));
    EXPECT_EQ(target("/etc/systemd/system/multi-user.target.wants/slipway-ssh-host-keys.service"),
              "../slipway-ssh-host-keys.service");
    EXPECT_EQ(target("/etc/localtime"), "../usr/share/zoneinfo/Europe/Berlin");
    EXPECT_EQ(root.get("/etc/timezone"), "Europe/Berlin\n");
    EXPECT_EQ(root.get("/etc/default/locale"), "LANG=de_DE.UTF-8\n");
    EXPECT_THAT(root.get("/etc/network/interfaces"), HasSubstr("address 10.0.0.5/24"));
    EXPECT_THAT(root.get("/etc/resolv.conf"), HasSubstr("nameserver 10.0.0.53"));
    twice_is_once();
}

TEST_F(IdentityTest, red_hat_makes_its_host_keys_itself) {
    root.put("/usr/lib/systemd/systemd", "");
    root.put("/usr/lib/systemd/system/sshd-keygen@.service", "");
    root.put("/etc/hostname", "template.example.org\n");
    root.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    root.put("/boot/loader/entries/0123456789abcdef0123456789abcdef-5.14.conf", "title x\n");
    root.put("/usr/sbin/sshd", "");
    root.put("/etc/ssh/ssh_host_ed25519_key", "PRIVATE\n");
    root.put("/usr/sbin/NetworkManager", "");
    root.enable_unit("NetworkManager.service");
    root.put("/etc/NetworkManager/system-connections/ens3.nmconnection",
             "[connection]\nid=ens3\ninterface-name=ens3\n");
    root.put("/etc/NetworkManager/system-connections/other.nmconnection",
             "[connection]\nid=other\ninterface-name=ens4\n");
    request.personality = R"({"hostname": "db01.example.org", "machine_id": "new", "ssh_host_keys": "new",
        "interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"]}]})";
    run();
    EXPECT_EQ(root.get("/etc/hostname"), "db01.example.org\n");
    EXPECT_EQ(root.get("/etc/kernel/entry-token"), "0123456789abcdef0123456789abcdef\n");
    EXPECT_FALSE(root.has("/etc/ssh/ssh_host_ed25519_key"));
    EXPECT_FALSE(root.has("/etc/systemd/system/slipway-ssh-host-keys.service"));
    EXPECT_FALSE(root.has("/etc/NetworkManager/system-connections/ens3.nmconnection"));
    EXPECT_TRUE(root.has("/etc/NetworkManager/system-connections/other.nmconnection"));
    EXPECT_EQ(mode("/etc/NetworkManager/system-connections/slipway-ens3.nmconnection"), 0600u);
    twice_is_once();
}

TEST_F(IdentityTest, an_old_red_hat_keeps_its_name_in_sysconfig) {
    root.put("/etc/rc.d/init.d/sshd", "#!/bin/sh\ndo_rsa_keygen() { ssh-keygen; }\n");
    link("/etc/init.d", "rc.d/init.d");
    root.put("/etc/rc.d/init.d/network", "#!/bin/sh\n");
    link("/etc/rc.d/rc3.d/S10network", "../init.d/network");
    root.put("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old.example.org\n");
    root.put("/etc/hosts", "127.0.0.1 localhost old.example.org old\n");
    root.put("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
    root.put("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\n");
    root.put("/usr/sbin/sshd", "");
    root.put("/etc/ssh/ssh_host_key", "PRIVATE\n");
    request.personality = R"({"hostname": "new.example.org", "machine_id": "new", "ssh_host_keys": "new",
        "interfaces": [{"name": "eth0", "method": "static", "addresses": ["10.0.0.5/24"]}],
        "first_boot": [{"name": "hello", "script": "#!/bin/sh\necho hello\n"}]})";
    run();
    EXPECT_EQ(root.get("/etc/sysconfig/network"), "NETWORKING=yes\nHOSTNAME=new.example.org\n");
    EXPECT_FALSE(root.has("/etc/hostname"));
    EXPECT_EQ(root.get("/etc/hosts"), "127.0.0.1\tlocalhost new.example.org new\n");
    EXPECT_FALSE(root.has("/var/lib/dbus/machine-id"));
    EXPECT_FALSE(root.has("/etc/ssh/ssh_host_key"));
    EXPECT_THAT(root.get("/etc/sysconfig/network-scripts/ifcfg-eth0"), HasSubstr("IPADDR=10.0.0.5"));
    EXPECT_EQ(target("/etc/rc.d/rc3.d/S99slipway-first-boot"), "/etc/init.d/slipway-first-boot");
    twice_is_once();
}

TEST_F(IdentityTest, suse_and_alpine_have_their_own_places) {
    root.put("/usr/lib/systemd/systemd", "");
    root.enable_unit("wicked.service");
    root.put("/etc/HOSTNAME", "old.example.org\n");
    root.put("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\n");
    root.put("/etc/sysconfig/network/config", "A=\"1\"\nNETCONFIG_DNS_STATIC_SERVERS=\"\"\n");
    request.personality = R"({"hostname": "new.example.org", "interfaces": [{"name": "eth0", "method": "static",
        "addresses": ["10.0.0.5/24"], "gateways": ["10.0.0.1"], "dns": ["10.0.0.53"]}]})";
    run();
    EXPECT_EQ(root.get("/etc/HOSTNAME"), "new.example.org\n");
    EXPECT_EQ(root.get("/etc/sysconfig/network/ifroute-eth0"), "default 10.0.0.1 - eth0\n");
    EXPECT_THAT(root.get("/etc/sysconfig/network/config"), HasSubstr("NETCONFIG_DNS_STATIC_SERVERS=\"10.0.0.53\"\n"));
    twice_is_once();

    test::FakeRoot alpine;
    std::swap(root, alpine);
    root.put("/sbin/openrc-run", "");
    root.put("/sbin/ifup", "");
    root.put("/etc/hostname", "localhost\n");
    root.put("/etc/init.d/sshd", "ssh-keygen -A\n");
    root.put("/etc/init.d/networking", "");
    link("/etc/runlevels/boot/networking", "/etc/init.d/networking");
    root.put("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n");
    request.personality =
        R"({"hostname": "small", "ssh_host_keys": "new", "interfaces": [{"name": "eth0", "method": "static",
        "addresses": ["10.0.0.6/24"]}], "first_boot": [{"name": "hello", "script": "#!/bin/sh\necho hello\n"}]})";
    run();
    EXPECT_EQ(root.get("/etc/hostname"), "small\n");
    EXPECT_EQ(target("/etc/runlevels/default/slipway-first-boot"), "/etc/init.d/slipway-first-boot");
    EXPECT_THAT(root.get("/etc/network/interfaces"), HasSubstr("10.0.0.6/24"));
    twice_is_once();
}

// ---- where an address goes: to what the guest starts

namespace {

class AddressTest : public IdentityTest {
protected:
    static constexpr const char* kConnection = "/etc/NetworkManager/system-connections/slipway-ens3.nmconnection";
    static constexpr const char* kUnit = "/etc/systemd/network/05-slipway-ens3.network";
    static constexpr const char* kInterfaces = "/etc/network/interfaces";

    // A systemd of today with all that configures a network installed, and nothing of it enabled.
    void all_installed() {
        std::swap(root, fresh_.emplace_back());
        root.put("/lib/systemd/systemd", "");
        root.put("/lib/systemd/systemd-networkd", "");
        root.put("/usr/sbin/NetworkManager", "");
        root.put("/sbin/ifup", "");
        root.put(kInterfaces, "auto lo\niface lo inet loopback\n");
        for (const char* unit : {"NetworkManager", "systemd-networkd", "networking"})
            root.install_unit(std::string(unit) + ".service");
        request.personality = R"({"interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"]}]})";
    }
    void enable(const std::string& name) { root.enable_unit(name + ".service"); }
    // The files that have the address after a repair; a second one changes nothing.
    std::vector<std::string> written() {
        warnings = run().warnings;
        twice_is_once();
        std::vector<std::string> out;
        for (const auto& [name, text] : root.everything())
            if (text.find("10.0.0.5") != std::string::npos) out.push_back(name);
        return out;
    }

    std::vector<std::string> warnings;

private:
    std::vector<test::FakeRoot> fresh_;
};

}  // namespace

TEST_F(AddressTest, what_is_enabled_has_it_and_what_is_only_installed_has_not) {
    all_installed();
    enable("systemd-networkd");
    root.put("/etc/systemd/network/20-wired.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n");
    EXPECT_THAT(written(), ElementsAre(kUnit));
    EXPECT_THAT(warnings, IsEmpty());
    all_installed();
    enable("NetworkManager");
    root.put("/etc/systemd/network/20-wired.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n");
    EXPECT_THAT(written(), ElementsAre(kConnection));
    all_installed();
    enable("networking");
    EXPECT_THAT(written(), ElementsAre(kInterfaces));
    // Configuration of one that does not run says nothing.
    all_installed();
    enable("systemd-networkd");
    root.put(kInterfaces, "auto ens3\niface ens3 inet dhcp\n");
    EXPECT_THAT(written(), ElementsAre(kUnit));
}

TEST_F(AddressTest, a_link_to_what_is_masked_or_gone_starts_nothing) {
    all_installed();
    enable("NetworkManager");
    link("/etc/systemd/system/NetworkManager.service", "/dev/null");
    enable("systemd-networkd");
    EXPECT_THAT(written(), ElementsAre(kUnit));
    all_installed();
    enable("NetworkManager");
    fs::remove(root.path() / "usr/sbin/NetworkManager");
    root.enable_unit("systemd-networkd.socket");
    EXPECT_THAT(written(), ElementsAre(kUnit));
    all_installed();
    link("/etc/systemd/system/rescue.target.wants/NetworkManager.service",
         "/lib/systemd/system/NetworkManager.service");
    enable("networking");
    EXPECT_THAT(written(), ElementsAre(kInterfaces));
}

TEST_F(AddressTest, of_several_that_run_the_one_that_configures_the_card_has_it) {
    const auto both = [&](const char* one, const char* other) {
        all_installed();
        enable(one);
        enable(other);
    };
    both("NetworkManager", "networking");
    EXPECT_THAT(written(), ElementsAre(kConnection)) << "the loopback alone is no configuration";
    both("NetworkManager", "networking");
    root.put(kInterfaces, "auto ens3\niface ens3 inet dhcp\n");
    EXPECT_THAT(written(), ElementsAre(kInterfaces));
    both("NetworkManager", "networking");
    root.put(kInterfaces, "auto ens9\niface ens9 inet dhcp\n");
    root.put("/etc/NetworkManager/system-connections/lan", "[connection]\ninterface-name=ens3\n");
    EXPECT_THAT(written(), ElementsAre(kConnection));
    both("NetworkManager", "systemd-networkd");
    root.put("/etc/systemd/network/20-wired.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n");
    EXPECT_THAT(written(), ElementsAre(kUnit));
}

TEST_F(AddressTest, netplan_has_it_where_the_one_it_writes_for_can_run) {
    constexpr const char *kPlan = "/etc/netplan/01.yaml", *kOurs = "/etc/netplan/90-slipway.yaml";
    all_installed();
    root.put(kPlan, "network:\n  version: 2\n");
    enable("NetworkManager");
    EXPECT_THAT(written(), ElementsAre(kConnection)) << "netplan itself is not installed";
    all_installed();
    root.put("/usr/sbin/netplan", "");
    root.put(kPlan, "network:\n  version: 2\n");
    EXPECT_THAT(written(), ElementsAre(kOurs)) << "its generator starts networkd";
    all_installed();
    root.put("/usr/sbin/netplan", "");
    root.put(kPlan, "network:\n  renderer: NetworkManager\n");
    enable("systemd-networkd");
    EXPECT_THAT(written(), ElementsAre(kUnit));
    all_installed();
    root.put("/usr/sbin/netplan", "");
    root.put(kPlan, "network:\n  renderer: NetworkManager\n");
    enable("NetworkManager");
    EXPECT_THAT(written(), ElementsAre(kOurs));
}

TEST_F(AddressTest, ifcfg_files_have_it_where_something_reads_them) {
    constexpr const char* kRedHat = "/etc/sysconfig/network-scripts/ifcfg-ens3";
    constexpr const char* kSuse = "/etc/sysconfig/network/ifcfg-ens3";
    const auto red_hat = [&] {
        all_installed();
        root.put(kRedHat, "DEVICE=ens3\nBOOTPROTO=dhcp\n");
    };
    red_hat();
    enable("NetworkManager");
    EXPECT_THAT(written(), ElementsAre(kConnection)) << "a NetworkManager without the plugin";
    red_hat();
    enable("NetworkManager");
    root.put("/usr/lib64/NetworkManager/1.42/libnm-settings-plugin-ifcfg-rh.so", "");
    EXPECT_THAT(written(), ElementsAre(kRedHat));
    red_hat();
    root.put("/etc/rc.d/init.d/network", "");
    link("/etc/rc.d/rc3.d/S10network", "../init.d/network");
    EXPECT_THAT(written(), ElementsAre(kRedHat)) << "systemd makes a unit of the script";
    const auto suse = [&] {
        all_installed();
        root.put(kSuse, "BOOTPROTO='dhcp'\n");
        root.install_unit("wicked.service");
    };
    suse();
    enable("NetworkManager");
    link("/etc/systemd/system/network.service", "/lib/systemd/system/NetworkManager.service");
    EXPECT_THAT(written(), ElementsAre(kConnection));
    suse();
    enable("wicked");
    EXPECT_THAT(written(), ElementsAre(kSuse));
}

TEST_F(AddressTest, where_nothing_is_enabled_nothing_is_written_and_it_is_said) {
    all_installed();
    EXPECT_THAT(written(), IsEmpty());
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("installed: NetworkManager, systemd-networkd, ifupdown"),
                                            HasSubstr("ens3 has no new address"))));
    root.put("/usr/sbin/connmand", "");
    enable("connman");
    EXPECT_THAT(written(), IsEmpty());
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("connman configures this system's network")));
}

TEST_F(AddressTest, without_systemd_links_of_rc_and_upstarts_jobs_decide) {
    const auto sysv = [&] {
        all_installed();
        fs::remove(root.path() / "lib/systemd/systemd");
        for (const char* name : {"network-manager", "networking", "rc.local"})
            root.put(std::string("/etc/init.d/") + name, "#!/bin/sh\n");
        link("/etc/rc2.d/S99rc.local", "../init.d/rc.local");
    };
    sysv();
    link("/etc/rcS.d/S10networking", "../init.d/networking");
    link("/etc/rc2.d/K80network-manager", "../init.d/network-manager");
    EXPECT_THAT(written(), ElementsAre(kInterfaces));
    sysv();
    link("/etc/rc2.d/S20network-manager", "../init.d/network-manager");
    EXPECT_THAT(written(), ElementsAre(kConnection));
    sysv();
    root.put("/etc/init/networking.conf", "start on startup\n");
    root.put("/etc/init/network-manager.conf", "start on startup\n");
    root.put("/etc/init/network-manager.override", "manual\n");
    EXPECT_THAT(written(), ElementsAre(kInterfaces));
    sysv();
    EXPECT_THAT(written(), IsEmpty());
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("is enabled in it")));
}

TEST_F(AddressTest, networkd_without_resolved_leaves_names_to_resolv_conf) {
    all_installed();
    enable("systemd-networkd");
    request.personality =
        R"({"interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"], "dns": ["10.0.0.53"]}]})";
    written();
    EXPECT_THAT(root.get("/etc/resolv.conf"), HasSubstr("nameserver 10.0.0.53"));
    all_installed();
    enable("systemd-networkd");
    enable("systemd-resolved");
    request.personality =
        R"({"interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"], "dns": ["10.0.0.53"]}]})";
    written();
    EXPECT_FALSE(root.has("/etc/resolv.conf"));
}

TEST_F(IdentityTest, a_key_is_the_users_own_and_no_link_makes_it_anothers) {
    debian();
    request.personality =
        R"({"authorized_keys": [{"user": "ops", "key": "ssh-ed25519 AAAAC3 a@b"}, {"key": "ssh-ed25519 AAAAC3 a@b"},
        {"user": "nobody-here", "key": "ssh-ed25519 AAAAC3 a@b"}]})";
    EXPECT_THAT(run().warnings, Contains(HasSubstr("nobody-here")));
    EXPECT_EQ(root.get("/home/ops/.ssh/authorized_keys"), "ssh-ed25519 AAAAC3 a@b\n");
    struct stat info {};
    ASSERT_EQ(::stat((root.path() / "home/ops/.ssh").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 1000u);
    EXPECT_EQ(info.st_gid, 1001u);
    EXPECT_EQ(mode("/home/ops/.ssh"), 0700u);
    EXPECT_EQ(mode("/home/ops/.ssh/authorized_keys"), 0600u);
    twice_is_once();
    fs::remove_all(root.path() / "home/ops/.ssh");
    link("/home/ops/.ssh", "/etc");
    EXPECT_THAT(run().warnings, Contains(HasSubstr("is a link")));
    EXPECT_FALSE(root.has("/etc/authorized_keys"));
}

TEST_F(IdentityTest, secrets_are_not_in_the_journal) {
    debian();
    request.personality =
        R"({"ssh_host_keys": "new", "first_boot": [{"name": "join", "script": "#!/bin/sh\nrealm join <<< s3cret\n"}]})";
    const auto report = run();
    const auto json = to_json(report);
    EXPECT_THAT(json, Not(HasSubstr("s3cret")));
    EXPECT_THAT(json, Not(HasSubstr("PRIVATE")));
    EXPECT_THAT(json, HasSubstr("sha256:"));
    for (const auto& name : fs::directory_iterator(root.path() / std::string(kScripts).substr(1)))
        EXPECT_EQ(fs::status(name).permissions(), fs::perms(0700));
}

TEST_F(IdentityTest, a_dry_run_says_the_same_and_changes_nothing) {
    debian();
    request.personality = R"({"hostname": "web01", "machine_id": "new", "ssh_host_keys": "new",
        "authorized_keys": [{"user": "ops", "key": "ssh-ed25519 AAAAC3 a@b"}], "first_boot": [{"name": "a", "script": "#!/bin/sh\n"}]})";
    const auto before = root.everything();
    const auto dry = run(true);
    EXPECT_EQ(root.everything(), before);
    const auto wet = run();
    ASSERT_EQ(dry.journal.size(), wet.journal.size());
    for (std::size_t i = 0; i < wet.journal.size(); ++i) EXPECT_EQ(dry.journal[i].where, wet.journal[i].where);
}

TEST_F(IdentityTest, cloud_init_does_not_take_it_back) {
    debian();
    root.put("/etc/cloud/cloud.cfg", "users: []\n");
    request.personality = R"({"hostname": "web01"})";
    run();
    EXPECT_THAT(root.get("/etc/cloud/cloud.cfg.d/99-slipway.cfg"), HasSubstr("preserve_hostname: true"));
    EXPECT_THAT(root.get("/etc/cloud/cloud.cfg.d/99-slipway.cfg"), Not(HasSubstr("network")));
    twice_is_once();
}

// ---- first boot

namespace {

// The runner on this host, with the guest's paths below root.
class FirstBootTest : public IdentityTest {
protected:
    int boot() {
        auto text = root.get("/var/lib/slipway/first-boot/run");
        for (const std::string path : {"/var/", "/etc/"}) {
            std::string moved;
            for (std::size_t at = 0;;) {
                const auto found = text.find(path, at);
                moved += text.substr(at, found - at);
                if (found == std::string::npos) break;
                moved += root.path().string() + path;
                at = found + path.size();
            }
            text = moved;
        }
        fs::create_directories(root.path() / "var/log");
        CommandOptions options;
        options.input = text;
        auto ran = run_command({"/bin/sh", "-s"}, options);
        EXPECT_TRUE(ran.ok());
        return ran.ok() ? ran->exit_code : -1;
    }
    void scripts(const std::string& json) { request.personality = R"({"first_boot": )" + json + "}"; }
    std::string said(const std::string& name) const { return root.get("/" + name); }
    std::string say(const std::string& text) const { return "echo " + text + " >>" + (root.path() / "said").string(); }
};

}  // namespace

TEST_F(FirstBootTest, scripts_run_once_in_order_and_leave_no_trace_but_the_log_and_their_codes) {
    debian();
    scripts(R"([{"name": "z-first", "script": "#!/bin/sh\n)" + say("one") + R"(\n"},
                {"name": "a-second", "script": "#!/bin/sh\n)" +
            say("two") + R"(; echo heard; exit 7\n"},
                {"name": "third", "script": "#!/bin/sh\n)" +
            say("three") + R"(\n"}])");
    run();
    ASSERT_TRUE(root.has("/etc/systemd/system/multi-user.target.wants/slipway-first-boot.service"));
    EXPECT_EQ(boot(), 1) << "a script ended with 7";
    EXPECT_EQ(said("said"), "one\ntwo\nthree\n");
    const auto log = root.get("/var/log/slipway-first-boot.log");
    EXPECT_THAT(log, HasSubstr("heard"));
    EXPECT_THAT(log, HasSubstr("ended with 7"));
    EXPECT_FALSE(root.has("/etc/systemd/system/multi-user.target.wants/slipway-first-boot.service"));
    EXPECT_FALSE(root.has("/var/lib/slipway/first-boot/run"));
    EXPECT_TRUE(fs::is_empty(root.path() / std::string(kScripts).substr(1)));
    // A later repair with the same request does not run them again; a changed script is another one.
    twice_is_once();
    scripts(R"([{"name": "third", "script": "#!/bin/sh\n)" + say("changed") + R"(\n"}])");
    run();
    EXPECT_EQ(boot(), 0);
    EXPECT_EQ(said("said"), "one\ntwo\nthree\nchanged\n");
}

TEST_F(FirstBootTest, a_power_cut_between_two_scripts_costs_neither) {
    debian();
    // The second one takes the power away: the runner dies with it, at the first boot alone.
    scripts(R"([{"name": "one", "script": "#!/bin/sh\n)" + say("one") + R"(\n"},
                {"name": "two", "script": "#!/bin/sh\n)" +
            say("two") + R"(; [ -e )" + (root.path() / "cut").string() + R"( ] || { : >)" +
            (root.path() / "cut").string() + R"(; kill -9 $PPID; }\n"}])");
    run();
    EXPECT_NE(boot(), 0);
    EXPECT_EQ(said("said"), "one\ntwo\n");
    ASSERT_TRUE(root.has("/etc/systemd/system/multi-user.target.wants/slipway-first-boot.service"));
    EXPECT_EQ(boot(), 0);
    EXPECT_EQ(said("said"), "one\ntwo\ntwo\n");
    EXPECT_THAT(root.get("/var/log/slipway-first-boot.log"), HasSubstr("cut short"));
}

TEST_F(FirstBootTest, interpreters_are_the_scripts_own) {
    debian();
    scripts(R"([{"name": "e", "script": "#!/bin/sh -e\nfalse\n)" + say("not this") + R"(\n"}])");
    run();
    EXPECT_EQ(boot(), 1);
    EXPECT_EQ(said("said"), "");
}

TEST_F(IdentityTest, the_guest_agent_is_enabled_where_its_unit_wants_to_be) {
    debian();
    root.put("/usr/sbin/qemu-ga", "");
    root.put("/lib/systemd/system/qemu-guest-agent.service",
             "[Install]\nWantedBy=dev-virtio\\x2dports.device\nWantedBy=multi-user.target\n");
    link("/etc/systemd/system/qemu-guest-agent.service", "/dev/null");
    request.guest_agent = true;
    EXPECT_THAT(run().warnings, IsEmpty());
    EXPECT_FALSE(root.has("/etc/systemd/system/qemu-guest-agent.service"));
    EXPECT_EQ(target("/etc/systemd/system/multi-user.target.wants/qemu-guest-agent.service"),
              "/lib/systemd/system/qemu-guest-agent.service");
    twice_is_once();
}

TEST_F(IdentityTest, a_guest_agent_that_is_not_there_is_said_so_or_installed_at_the_first_boot) {
    debian();
    root.put("/usr/bin/dpkg", "");
    request.guest_agent = true;
    EXPECT_THAT(run().warnings, Contains(HasSubstr("not installed")));
    request.guest_agent_packages = {{"qemu-guest-agent_1.deb", "package"}};
    EXPECT_THAT(run().warnings, IsEmpty());
    EXPECT_EQ(root.get("/var/lib/slipway/first-boot/packages/qemu-guest-agent_1.deb"), "package");
    EXPECT_THAT(root.get(std::string(kScripts) + "/010-" + first_boot_id(package_script(true))), HasSubstr("dpkg -i"));
    twice_is_once();
    for (const char* wrong : {"x.rpm", "../x.deb", "a b.deb"}) {
        request.guest_agent_packages = {{wrong, "package"}};
        EXPECT_THAT(run().warnings, Contains(HasSubstr("no package for this system")));
    }
}
