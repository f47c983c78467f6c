// SPDX-License-Identifier: GPL-3.0-or-later
// The three policies for machines without a record.
#include "deploy-server/netboot/newcomers.hpp"

#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

constexpr const char* kJob = R"(<sequence xmlns="urn:slipway:sequence:1" name="welcome" description="x">
  <tasks><task id="boot" type="boot-to-da"/></tasks></sequence>)";

struct NewcomersTest : testing::Test {
    TempDir dir = TempDir::create("newcomers").value();
    std::unique_ptr<Database> db = std::move(Database::open(dir / "slipway.sqlite").value());
    SystemClock clock;
    Hub hub{*db, clock};
    std::shared_ptr<SettingsInUse> settings = std::make_shared<SettingsInUse>();
    Newcomers newcomers{*db, hub, dir.path(), settings};
    MacAddress mac = *MacAddress::parse("52:54:00:51:00:01");

    void policy(const char* unknown, const char* job = "") {
        settings->set({unknown, "found on rack 3", job, {{"word", "hello"}}, "boot-to-da"});
    }
    std::optional<DeviceRow> row() { return db->device_by_mac(mac).value(); }
};

TEST_F(NewcomersTest, ignored_ones_leave_nothing) {
    policy("ignore");
    newcomers.met(mac);
    newcomers.settle();
    EXPECT_FALSE(row());
}

TEST_F(NewcomersTest, added_ones_get_the_set_description_and_stay_out_of_control) {
    policy("add");
    newcomers.met(mac);
    newcomers.met(mac);  // as a boot ROM does
    newcomers.settle();
    ASSERT_TRUE(row());
    EXPECT_EQ(row()->name, "new-525400510001");
    EXPECT_EQ(row()->description, "found on rack 3");
    EXPECT_FALSE(row()->controlled);
    EXPECT_TRUE(db->jobs().value().empty());
    EXPECT_TRUE(newcomers.take_in(mac).error().is(errors::kExists));
}

TEST_F(NewcomersTest, controlled_ones_get_the_default_job_with_its_variables) {
    ASSERT_TRUE(write_file_atomic(dir / "welcome.xml", as_bytes(kJob)));
    policy("control", "welcome");
    newcomers.met(mac);
    newcomers.settle();
    ASSERT_TRUE(row());
    EXPECT_TRUE(row()->controlled);
    auto jobs = db->jobs().value();
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_EQ(jobs[0].device, "new-525400510001");
    EXPECT_EQ(jobs[0].variables.at("word"), "hello");
    EXPECT_EQ(row()->boot_action, "da") << "its next DISCOVER is answered with the agent";
}

TEST_F(NewcomersTest, one_whose_job_is_gone_stays_out_of_control) {
    policy("control", "gone");
    EXPECT_TRUE(newcomers.take_in(mac).error().is(errors::kNoSequence));
    ASSERT_TRUE(row());
    EXPECT_FALSE(row()->controlled);
}

TEST_F(NewcomersTest, nobody_without_an_address_of_a_machine_is_taken_in) {
    policy("add");
    newcomers.met(MacAddress{});
    newcomers.met(*MacAddress::parse("01:00:5e:00:00:01"));
    newcomers.settle();
    EXPECT_EQ(db->count_devices().value(), 0);
}

}  // namespace
}  // namespace slipway::server
