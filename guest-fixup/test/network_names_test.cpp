// SPDX-License-Identifier: GPL-3.0-or-later
// The script of the unit that puts eth0 and eth1 right, run in a network namespace with such interfaces.
#include <unistd.h>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/network/names_unit.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/process.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::Not;

namespace {

constexpr const char* kCards = "02:00:00:00:00:01=eth0 02:00:00:00:00:02=eth1 02:00:00:00:00:03=eth2";

// Interfaces given as "NAME MAC" words; afterwards "NAME MAC" lines of those with such an address.
std::string named(const std::string& interfaces, const std::string& more = "") {
    const std::string around =
        "mount -t sysfs sysfs /sys && set -- " + interfaces +
        " && while [ $# -gt 0 ]; do ip link add \"$1\" address \"$2\" type veth peer name \"p$1\" || exit 9; shift 2; "
        "done; " +
        more + "set -- " + kCards + "; " + "(" + names_script() + ")" +
        "; for path in /sys/class/net/*; do read -r mac <$path/address; case $mac in 02:00:00:00:00:0*) "
        "echo \"${path##*/} $mac\";; esac; done";
    const auto run = run_command({"/usr/bin/unshare", "-n", "-m", "/bin/sh", "-c", around});
    EXPECT_TRUE(run.ok() && run->ok()) << (run.ok() ? run->error_text : run.error().explain());
    return run.ok() ? run->output : "";
}

class Names : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: a network namespace";
    }
};

}  // namespace

TEST_F(Names, that_are_right_stay) {
    EXPECT_EQ(named("eth0 02:00:00:00:00:01 eth1 02:00:00:00:00:02"),
              "eth0 02:00:00:00:00:01\neth1 02:00:00:00:00:02\n");
}

TEST_F(Names, the_wrong_way_round_are_changed) {
    EXPECT_EQ(named("eth0 02:00:00:00:00:02 eth1 02:00:00:00:00:03 eth2 02:00:00:00:00:01"),
              "eth0 02:00:00:00:00:01\neth1 02:00:00:00:00:02\neth2 02:00:00:00:00:03\n");
}

TEST_F(Names, taken_by_a_card_nobody_knows_are_freed) {
    EXPECT_EQ(named("eth0 02:00:00:00:00:09 eth5 02:00:00:00:00:01"),
              "eth0 02:00:00:00:00:01\nslipway0 02:00:00:00:00:09\n");
}

TEST_F(Names, all_stay_when_one_that_is_wrong_is_in_use) {
    EXPECT_EQ(named("eth0 02:00:00:00:00:02 eth1 02:00:00:00:00:01", "ip link set eth0 up; "),
              "eth0 is up already: names stay\neth0 02:00:00:00:00:02\neth1 02:00:00:00:00:01\n");
}

TEST(NamesUnit, keeps_systemds_signs_apart_from_the_shells) {
    const auto unit = names_unit({{"eth0", *MacAddress::parse("02:00:00:00:00:01")}});
    EXPECT_THAT(unit, HasSubstr("$${pair%%%%=*}"));
    EXPECT_THAT(unit, HasSubstr("' slipway-interface-names 02:00:00:00:00:01=eth0\n"));
    EXPECT_THAT(names_script(), Not(HasSubstr("'")));
    if (!std::filesystem::exists("/usr/bin/systemd-analyze")) return;
    test::FakeRoot root;
    root.put("/slipway-interface-names.service", unit);
    const auto run =
        run_command({"/usr/bin/systemd-analyze", "verify", (root.path() / "slipway-interface-names.service").string()});
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, 0) << run->error_text;
    EXPECT_EQ(run->error_text.find("slipway-interface-names.service:"), std::string::npos) << run->error_text;
}
