// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/answers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/made_loaders.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

using pxe::Action;

DeviceRow controlled(const std::string& boot_action = "", const std::string& pxe_action = "") {
    DeviceRow d;
    d.name = "poseidon";
    d.controlled = true;
    d.boot_action = boot_action;
    d.pxe_action = pxe_action;
    return d;
}

TEST(NextBoot, follows_job_then_device_then_the_global_template) {
    NetbootSettings settings;
    EXPECT_EQ(next_boot(controlled(), settings).action, Action::Agent);  // boot-to-da by default
    settings.action = "local-disk";
    EXPECT_EQ(next_boot(controlled(), settings).action, Action::LocalDisk);
    settings.action = "ignore";
    EXPECT_EQ(next_boot(controlled(), settings).action, Action::Ignore);
    for (auto name : pxe::kActionNames)
        EXPECT_EQ(pxe::name_of(next_boot(controlled("", std::string(name)), settings).action), name);
    for (auto own : {"", "ignore", "image", "local-disk", "boot-to-da"}) {
        EXPECT_EQ(next_boot(controlled("da", own), settings).action, Action::Agent) << own;
        EXPECT_EQ(next_boot(controlled("disk", own), settings).action, Action::LocalDisk) << own;
    }
}

TEST(NextBoot, a_device_not_under_control_is_ignored_and_said_so) {
    for (auto by_job : {"", "da", "disk"}) {
        auto d = controlled(by_job, "boot-to-da");
        d.controlled = false;
        auto next = next_boot(d, {});
        EXPECT_EQ(next.action, Action::Ignore);
        EXPECT_EQ(next.why, "device 'poseidon' is not under control");
    }
}

TEST(NextBoot, a_vm_hosts_system_is_left_alone_unless_somebody_says_otherwise) {
    auto host = controlled();
    host.kind = "vmhost";
    EXPECT_EQ(next_boot(host, {}).action, Action::LocalDisk);
    host.pxe_action = "boot-to-da";
    EXPECT_EQ(next_boot(host, {}).action, Action::Agent);
}

TEST(NextBoot, an_unknown_machine_is_ignored_whatever_it_sets_off) {
    for (auto policy : {"ignore", "add", "control"}) {
        NetbootSettings settings;
        settings.unknown = policy;
        EXPECT_EQ(next_boot_of_unknown(settings).action, Action::Ignore);
        EXPECT_NE(next_boot_of_unknown(settings).why.find("no device has this MAC address"), std::string::npos);
    }
}

TEST(NextBoot, pxe_hears_what_the_device_wants) {
    auto d = controlled();
    d.secure_boot = "off";
    d.loader = "shim";
    auto decision = decision_for(d, next_boot(d, {}), pxe::ImageKind::Floppy);
    EXPECT_EQ(decision.action, Action::Agent);
    EXPECT_EQ(decision.secure_boot, pxe::SecureBoot::Off);
    EXPECT_EQ(decision.loader, "shim");
    EXPECT_EQ(decision.image, pxe::ImageKind::Floppy);
}

TEST(NextBoot, the_way_to_the_disk_is_the_devices_own_or_its_firmwares) {
    auto d = controlled();
    d.hardware = R"({"vendor":"QEMU","firmware":"uefi"})";
    EXPECT_EQ(local_boot_of(d), pxe::LocalBoot::ChainLoad);
    d.hardware = "not JSON";
    EXPECT_EQ(local_boot_of(d), pxe::LocalBoot::Auto);
    d.local_boot = "sanboot";
    EXPECT_EQ(local_boot_of(d), pxe::LocalBoot::SanBoot);
}

TEST(NetbootSettings, words_that_mean_nothing_are_refused) {
    EXPECT_TRUE(check_netboot(NetbootSettings()));
    NetbootSettings s;
    s.unknown = "control";
    EXPECT_THAT(check_netboot(s).error().explain(), testing::HasSubstr("--default-job"));
    s.default_job = "da-inventory";
    EXPECT_TRUE(check_netboot(s));
    s.action = "image";
    EXPECT_FALSE(check_netboot(s)) << "an image is a device's own";
    s = {};
    s.description.assign(2000, 'x');
    EXPECT_FALSE(check_netboot(s));
    auto refused = [](auto change) {
        auto d = controlled();
        EXPECT_TRUE(check_netboot(d));
        change(d);
        return !check_netboot(d).ok();
    };
    EXPECT_TRUE(refused([](auto& d) { d.pxe_action = "boot-to-hd"; }));
    EXPECT_TRUE(refused([](auto& d) { d.pxe_action = "image"; }));
    EXPECT_TRUE(refused([](auto& d) { d.secure_boot = "yes"; }));
    EXPECT_TRUE(refused([](auto& d) { d.loader = "../x"; }));
    EXPECT_TRUE(refused([](auto& d) { d.local_boot = "x"; }));
}

TEST(MadeLoaders, carry_the_address_they_are_for) {
    for (const char* needed : {"/usr/lib/grub/i386-efi", "/usr/lib/shim/shimx64.efi.signed", "/usr/bin/mformat"})
        if (!std::filesystem::exists(needed)) GTEST_SKIP() << needed << " is not here";
    auto dir = TempDir::create("made").value();
    for (const auto& made : make_loaders(dir.path(), *Ipv4Address::parse("10.99.0.1")))
        EXPECT_EQ(made.failure, "") << made.name;
    EXPECT_EQ(as_text(ByteView(read_file(dir / "10.99.0.1/grubia32.efi").value()).first(2)), "MZ");
    auto image = (dir / "10.99.0.1/shimx64.img").string();
    auto config = run_checked({"mtype", "-i", image, "::/grub/grub.cfg"});
    ASSERT_TRUE(config.ok()) << config.error().describe();
    EXPECT_NE(config->find("for server in '10.99.0.1'"), std::string::npos);
}

TEST(MadeLoaders, what_cannot_be_made_is_named) {
    auto dir = TempDir::create("made").value();
    auto made = make_loaders(dir.path(), *Ipv4Address::parse("10.99.0.1"), dir / "empty");
    ASSERT_EQ(made.size(), 3u);
    for (const auto& one : made) {
        EXPECT_NE(one.failure, "") << one.name;
        EXPECT_NE(pxe::loader_row(one.name), nullptr) << one.name;
    }
}

}  // namespace
}  // namespace slipway::server
