// SPDX-License-Identifier: GPL-3.0-or-later
// The proof script itself, run by a shell in a guest that is made of files: systemctl says what the case wants, the
// mounts and the serial port are files, and what it removes is counted.
#include "guest-fixup/proof.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace {

class ProofScript : public testing::Test {
protected:
    std::string state = "running", target = "multi-user.target", active = "true";
    std::string mounts = "/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sda2 /data ext4 ro 0 0\n";
    std::string failed;
    test::FakeRoot guest;

    ProofScript() {
        for (const auto& file :
             {kProofWant, kProofUnit, kRefusalUnit, kRefusalWants[0], kRefusalWants[1], kProofScript})
            guest.put(std::string(file), "x");
        guest.put("/ttyS1", "");
        fake("stty", "exit 0");
        fake("sync", "exit 0");
    }
    void fake(const std::string& name, const std::string& body) {
        const auto file = "/fake/" + name;
        guest.put(file, "#!/bin/sh\n" + body + "\n");
        std::filesystem::permissions(guest.path() / file.substr(1), std::filesystem::perms::owner_all);
    }
    std::string here(std::string_view path) const { return guest.path().string() + std::string(path); }
    void place(std::string& script, std::string_view from, const std::string& to) const {
        ASSERT_NE(script.find(from), std::string::npos) << from;
        for (auto at = script.find(from); at != std::string::npos; at = script.find(from, at + to.size()))
            script.replace(at, from.size(), to);
    }
    // What came out of the serial port.
    std::string run(const std::string& argument = {}) {
        run_with(here("/ttyS1"), argument);
        const auto said = guest.get("/ttyS1");
        EXPECT_THAT(said, AnyOf("", StartsWith("\n"))) << "a line of its own, whatever the firmware has left";
        return said.empty() ? said : said.substr(1);
    }
    void run_with(const std::string& port, const std::string& argument = {}) {
        guest.put("/mounts", mounts);
        fake("systemctl", "case \"$*\" in\n'is-system-running --wait'|is-system-running) echo " + state +
                              ";;\nget-default) echo " + target + ";;\nis-active*) exec " + active +
                              ";;\nlist-units*) printf '" + failed + "';;\nesac");
        auto script = proof_script("n-1");
        place(script, "/etc/", here("/etc/"));
        place(script, "/proc/self/mounts", here("/mounts"));
        place(script, "/dev/ttyS1", port);
        place(script, "PATH=", "PATH=" + here("/fake") + ":");
        // A service leads a session, as here.
        std::vector<std::string> argv{"setsid", "--wait", "sh", "-c", script, "boot-proof"};
        if (!argument.empty()) argv.push_back(argument);
        auto ran = run_command(argv);
        EXPECT_TRUE(ran.ok() && ran->error_text.empty()) << ran->error_text;
    }
    bool still_there() const { return guest.has(std::string(kProofScript)) && guest.has(std::string(kProofWant)); }
};

}  // namespace

TEST_F(ProofScript, good_boot_is_reported_and_nothing_of_it_stays) {
    EXPECT_EQ(run(), "SLIPWAY-UP n-1\n");
    for (const auto& [name, text] : guest.everything()) EXPECT_THAT(name, Not(StartsWith("/etc/"))) << name;
}

TEST_F(ProofScript, degraded_system_is_up) {
    state = "degraded";
    EXPECT_EQ(run(), "SLIPWAY-UP n-1\n");
}

TEST_F(ProofScript, root_mounted_read_only_is_refused) {
    mounts = "/dev/sda1 / ext4 ro,relatime 0 0\n/dev/sda2 /data ext4 rw 0 0\n";
    EXPECT_EQ(run(), "SLIPWAY-REFUSED n-1 root is mounted read-only\n");
    EXPECT_TRUE(still_there());
}

TEST_F(ProofScript, later_mount_over_root_counts) {
    mounts = "rootfs / rootfs rw 0 0\n/dev/sda1 / ext4 ro 0 0\n";
    EXPECT_EQ(run(), "SLIPWAY-REFUSED n-1 root is mounted read-only\n");
}

TEST_F(ProofScript, root_that_takes_no_writes_is_refused) {
    fake("rm", "exit 1");
    EXPECT_EQ(run(), "SLIPWAY-REFUSED n-1 root takes no writes\n");
    fake("rm", "exit 0");
    EXPECT_THAT(run(), Not(HasSubstr("SLIPWAY-UP")));
}

TEST_F(ProofScript, emergency_mode_is_refused_with_what_failed) {
    failed = "data.mount loaded failed failed /data\\nx.service loaded failed failed x\\n";
    EXPECT_EQ(run("emergency"),
              "SLIPWAY-REFUSED n-1 the system is in emergency or rescue mode; failed: data.mount x.service\n");
    EXPECT_TRUE(still_there());
}

TEST_F(ProofScript, state_of_maintenance_is_refused) {
    state = "maintenance";
    EXPECT_THAT(run(), StartsWith("SLIPWAY-REFUSED n-1 the system is 'maintenance'"));
}

TEST_F(ProofScript, system_that_is_to_stay_in_rescue_mode_is_refused) {
    target = "rescue.target";
    EXPECT_EQ(run(), "SLIPWAY-REFUSED n-1 the default target is rescue.target\n");
}

TEST_F(ProofScript, target_that_was_not_reached_is_refused) {
    target = "graphical.target";
    active = "false";
    EXPECT_THAT(run(), StartsWith("SLIPWAY-REFUSED n-1 graphical.target is not reached"));
}

TEST_F(ProofScript, line_that_takes_nothing_is_opened_again) {
    std::filesystem::create_symlink("/dev/full", here("/port"));
    fake("stty", "[ -e " + here("/once") + " ] || { : >" + here("/once") + "; ln -sf " + here("/ttyS1 ") +
                     here("/port") + "; }");
    run_with(here("/port"));
    EXPECT_EQ(guest.get("/ttyS1"), "\nSLIPWAY-UP n-1\n");
}

// As the controlling terminal of a session it would be hung up for everybody when that ends (tty_io.c; not so with a
// pseudo terminal, so the session is asked: field 7 of proc(5)'s stat).
TEST_F(ProofScript, line_does_not_become_its_terminal) {
    const UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master.valid() && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0);
    const std::string port = ::ptsname(master.get());
    const UniqueFd other(::open(port.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(other.valid()) << port;
    fake("sync", "cut -d' ' -f7 /proc/$PPID/stat >" + here("/terminal"));
    run_with(port);
    EXPECT_EQ(guest.get("/terminal"), "0\n");
    char said[64]{};
    ASSERT_GT(::read(master.get(), said, sizeof said - 1), 0);
    EXPECT_THAT(said, HasSubstr("\nSLIPWAY-UP n-1"));
}

TEST(ProofUnits, run_the_script_at_good_and_at_bad_boots) {
    // A job that has not ended keeps the boot from being finished, and the script waits for that.
    EXPECT_THAT(proof_unit(), HasSubstr("Type=simple\n"));
    EXPECT_THAT(proof_unit(), HasSubstr("ExecStart=/bin/sh /etc/slipway-boot-proof\n"));
    EXPECT_THAT(refusal_unit(), HasSubstr("ExecStart=/bin/sh /etc/slipway-boot-proof emergency\n"));
    EXPECT_THAT(refusal_unit(), HasSubstr("DefaultDependencies=no\n"));
}
