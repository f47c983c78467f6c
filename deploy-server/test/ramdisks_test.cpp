// SPDX-License-Identifier: GPL-3.0-or-later
// The devices' ramdisks: made behind the back of who asks, from what is known of the machine, again when that or a
// drop-in changes. The kernel is the builder's phony one.
#include "deploy-server/netboot/ramdisks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "agent-ramdisk/builder/test/phony_kernel.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::server;
using namespace slipway::builder::phony;
using namespace std::chrono_literals;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOdd = "pci:v00001234d00005678sv00000000sd00000000bc01sc04i00";

std::string hello(std::vector<std::string> modaliases) {
    boost::json::array list(modaliases.begin(), modaliases.end());
    return boost::json::serialize(boost::json::object{{"modaliases", list}});
}

class RamdisksTest : public testing::Test {
protected:
    TempDir dir = TempDir::create("ramdisks").value();
    fs::path boot = dir / "boot", user = dir / "user";
    std::unique_ptr<Database> db = Database::open(dir / "db.sqlite").value();
    std::unique_ptr<Ramdisks> ramdisks;

    void SetUp() override {
        if (!busybox_is_static() || !run_checked({"sh", "-c", "command -v xz"}).ok())
            GTEST_SKIP() << "busybox-static or xz is not installed";
        make_phony_kernel(dir / "root");
        put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
        put(dir / "ca.pem", as_bytes("CA\n"));
        fs::create_directories(boot);
        start();
    }
    void start() {
        ramdisks.reset();
        ramdisks =
            std::make_unique<Ramdisks>(RamdiskOptions{boot, user, dir / "agent", dir / "ca.pem", dir / "root", 1}, *db);
        ASSERT_TRUE(ramdisks->start().ok());
        ASSERT_TRUE(ramdisks->wait_idle(30s));
    }
    void build_shared() {
        ramdisks->rebuild();
        ASSERT_TRUE(ramdisks->wait_idle(60s));
    }
    DeviceRow add(const std::string& name, std::vector<std::string> modaliases = {}) {
        DeviceRow d;
        d.name = name;
        d.controlled = true;
        auto row = db->add_device(d).value();
        if (!modaliases.empty()) says(row, std::move(modaliases));
        return row;
    }
    void says(DeviceRow row, std::vector<std::string> modaliases) {
        row.hardware = hello(std::move(modaliases));
        ASSERT_TRUE(db->set_agent(row).ok());
        ramdisks->look_at(row.name);
        ASSERT_TRUE(ramdisks->wait_idle(30s));
    }
    RamdiskState state(const std::string& name) {
        auto entry = ramdisks->find(name);
        return entry ? entry->state : RamdiskState::NoKernel;
    }
    // The worker says when it is idle; a change in a folder becomes work only after a second without another.
    void wait_for(const std::string& name, RamdiskState wanted) {
        auto until = std::chrono::steady_clock::now() + 30s;
        while (state(name) != wanted && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(20ms);
        EXPECT_EQ(name_of(state(name)), name_of(wanted));
    }
};

}  // namespace

TEST(ChooseRamdisk, by_what_is_there) {
    EXPECT_EQ(choose_ramdisk(nullptr, "6.1", true), "ramdisk/broad");
    EXPECT_EQ(choose_ramdisk(nullptr, "6.1", false), "ramdisk/default");
    RamdiskEntry entry;
    entry.name = "poseidon";
    EXPECT_EQ(choose_ramdisk(&entry, "6.1", true), "ramdisk/default");  // waiting: its hardware is known
    entry.report.emplace();
    entry.report->kernel_version = "6.1";
    for (auto state : {RamdiskState::Ready, RamdiskState::Building, RamdiskState::Failed}) {
        entry.state = state;  // an older one of its own is better than none
        EXPECT_EQ(choose_ramdisk(&entry, "6.1", true), "ramdisk/poseidon");
        EXPECT_EQ(choose_ramdisk(&entry, "6.12", true), "ramdisk/default");  // its modules would not load
    }
    entry.state = RamdiskState::ByHand;
    entry.report.reset();
    EXPECT_EQ(choose_ramdisk(&entry, "6.1", true), "ramdisk/poseidon");
}

TEST_F(RamdisksTest, nothing_is_built_before_there_is_a_kernel) {
    add("poseidon", {kAcme, kAhci});
    EXPECT_EQ(state("poseidon"), RamdiskState::NoKernel);
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/default");
    build_shared();
    EXPECT_EQ(ramdisks->kernel_version(), kVersion);
    for (const char* name : {"default", "broad", "poseidon"}) EXPECT_EQ(name_of(state(name)), "ready") << name;
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/poseidon");
}

TEST_F(RamdisksTest, a_kernel_that_somebody_deletes_is_missed_until_it_is_made_again) {
    add("poseidon", {kAcme, kAhci});
    build_shared();
    ASSERT_EQ(name_of(state("poseidon")), "ready");
    fs::remove(boot / "kernel");
    EXPECT_EQ(ramdisks->kernel_version(), "");
    for (const auto& entry : ramdisks->list()) EXPECT_EQ(name_of(entry.state), "no-kernel") << entry.name;
    // A device's build keeps the kernel that is served: there is none.
    ramdisks->rebuild("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(60s));
    EXPECT_EQ(name_of(state("poseidon")), "no-kernel");
    EXPECT_THAT(ramdisks->find("poseidon")->error, HasSubstr("`slipway agent build`"));
    EXPECT_FALSE(fs::exists(boot / "kernel"));
    build_shared();
    EXPECT_TRUE(fs::exists(boot / "kernel"));
    EXPECT_EQ(ramdisks->kernel_version(), kVersion);
    for (const char* name : {"default", "broad", "poseidon"}) EXPECT_EQ(name_of(state(name)), "ready") << name;
    EXPECT_EQ(ramdisks->find("poseidon")->error, "");
}

TEST_F(RamdisksTest, first_boot_is_broad_then_the_machines_own) {
    build_shared();
    EXPECT_EQ(ramdisks->choice("nobody"), "ramdisk/broad");
    auto row = add("poseidon");
    ramdisks->look_at("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_EQ(state("poseidon"), RamdiskState::Unknown);
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/broad");
    says(row, {kAcme, kAhci});
    EXPECT_EQ(ramdisks->find("poseidon")->source, "first boot");
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/poseidon");
    // After a restart as well, and of a device that is gone nothing is left.
    start();
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/poseidon");
    EXPECT_FALSE(ramdisks->find("poseidon")->report->built);
    ASSERT_TRUE(db->remove_device("poseidon").value());
    ramdisks->look_at("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_FALSE(ramdisks->find("poseidon"));
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/broad");
}

// As a migration does it: the source's record goes, and its VM gets the name, with other controllers.
TEST_F(RamdisksTest, another_machine_under_the_name_of_one_that_is_gone_does_not_boot_its_ramdisk) {
    build_shared();
    says(add("poseidon"), {kAcme, kAhci});
    ASSERT_EQ(ramdisks->choice("poseidon"), "ramdisk/poseidon");
    ASSERT_TRUE(db->remove_device("poseidon").value());
    add("poseidon");
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/broad");
    EXPECT_FALSE(ramdisks->find("poseidon"));
    ramdisks->look_at("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_EQ(state("poseidon"), RamdiskState::Unknown);
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/broad");
    start();  // the file of the one before is still there
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/broad");
}

TEST_F(RamdisksTest, machines_of_one_make_share_one) {
    build_shared();
    add("poseidon", {kAcme, kAhci});
    add("triton", {kAcme, kAhci});
    EXPECT_EQ(ramdisks->find("triton")->report->key, ramdisks->find("poseidon")->report->key);
    EXPECT_TRUE(fs::equivalent(boot / "ramdisk/triton", boot / "ramdisk/poseidon"));
}

TEST_F(RamdisksTest, a_machine_without_a_driver_is_refused_until_one_is_dropped_in) {
    build_shared();
    add("poseidon", {kAcme, kAhci, kOdd});
    EXPECT_EQ(state("poseidon"), RamdiskState::Refused);
    auto refused = ramdisks->may_boot("poseidon");
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(errors::kNoDriver));
    EXPECT_THAT(refused.error().explain(), HasSubstr("disk controller 1234:5678"));
    EXPECT_THAT(refused.error().explain(), HasSubstr("PreSystem/without-driver"));
    EXPECT_TRUE(ramdisks->may_boot("another").ok());
    // No restart: the folder is watched, also one that was not there at the start.
    auto driver = std::string(as_text(seed("module")));
    driver.replace(driver.find("ABCDd00001234"), 13, "1234d00005678");
    put(user / "PreSystem/modules/odd.ko", as_bytes(driver));
    wait_for("poseidon", RamdiskState::Ready);
    EXPECT_TRUE(ramdisks->may_boot("poseidon").ok());
    fs::remove(user / "PreSystem/modules/odd.ko");
    wait_for("poseidon", RamdiskState::Refused);
    put(user / "PreSystem/without-driver", as_bytes("1234:5678\n"));
    wait_for("poseidon", RamdiskState::Ready);
}

TEST_F(RamdisksTest, one_made_by_hand_stays_until_the_server_is_told_to_build) {
    build_shared();
    put(boot / "ramdisk/poseidon", as_bytes("an operator's"));
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/poseidon");  // before anything else is known
    add("poseidon", {kAcme, kAhci});
    EXPECT_EQ(state("poseidon"), RamdiskState::ByHand);
    EXPECT_EQ(read_text_file(boot / "ramdisk/poseidon").value(), "an operator's");
    ramdisks->rebuild("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_EQ(state("poseidon"), RamdiskState::Ready);
}

TEST_F(RamdisksTest, a_broken_hello_or_inventory_is_no_machine) {
    build_shared();
    auto row = add("poseidon");
    row.hardware = R"({"modaliases":[1,{}]})";
    ASSERT_TRUE(db->set_agent(row).ok());
    ramdisks->look_at("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_EQ(state("poseidon"), RamdiskState::Unknown);
    ASSERT_TRUE(db->set_inventory(row.id, "<no>").ok());
    ramdisks->look_at("poseidon");
    ASSERT_TRUE(ramdisks->wait_idle(30s));
    EXPECT_EQ(state("poseidon"), RamdiskState::Failed);
    EXPECT_EQ(ramdisks->choice("poseidon"), "ramdisk/default");
}

TEST_F(RamdisksTest, post_system_is_made_anew_when_its_folder_changes) {
    build_shared();
    EXPECT_TRUE(ramdisks->post_system(kVersion).value()->empty());
    EXPECT_FALSE(ramdisks->post_system("../../etc").ok());
    put(user / "PostSystem/files/etc/motd", as_bytes("hello\n"));
    auto until = std::chrono::steady_clock::now() + 30s;
    while (ramdisks->post_system(kVersion).value()->empty() && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(20ms);
    EXPECT_THAT(std::string(as_text(*ramdisks->post_system(kVersion).value())), HasSubstr("etc/motd"));
}
