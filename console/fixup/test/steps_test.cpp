// SPDX-License-Identifier: GPL-3.0-or-later
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/fixup/steps.hpp"

using namespace slipway::console;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

struct Watched {
    explicit Watched(bool terminal) : steps(out, terminal, [this] { return now; }) {}
    void pass(std::chrono::milliseconds time) {
        for (const auto until = now + time; now < until;) {
            now += 1s;
            steps.tick();
        }
    }
    std::ostringstream out;
    Steps::Clock::time_point now{};
    Steps steps;
};

}  // namespace

TEST(Steps, in_a_log_a_long_one_is_heard_of_ever_more_seldom) {
    Watched log(false);
    log.steps.begin("appliance: starting (emulated)");
    log.pass(130s);
    log.steps.begin("volumes");
    log.pass(29s);
    log.steps.end();
    log.pass(100s);
    EXPECT_EQ(log.out.str(),
              "appliance: starting (emulated) …\n"
              "appliance: starting (emulated): 30 s so far\n"
              "appliance: starting (emulated): 60 s so far\n"
              "appliance: starting (emulated): 120 s so far\n"
              "volumes …\n");
}

TEST(Steps, on_a_terminal_one_line_goes_on_and_keeps_its_time) {
    Watched terminal(true);
    terminal.steps.begin("initramfs 6.1");
    terminal.pass(2s);
    terminal.steps.begin("loader");
    EXPECT_EQ(terminal.out.str(),
              "initramfs 6.1 … \r\x1b[Kinitramfs 6.1 … 1 s\r\x1b[Kinitramfs 6.1 … 2 s\r\x1b[Kinitramfs 6.1 … 2.0 s\n"
              "loader … ");
}

TEST(Steps, what_a_guest_says_drives_no_terminal) {
    Watched terminal(true);
    terminal.steps.begin("\x1b[2J" + std::string(500, 'x'));
    terminal.pass(1s);
    EXPECT_THAT(terminal.out.str(), testing::Not(HasSubstr("\x1b[2J")));
    EXPECT_LT(terminal.out.str().size(), 300u);
}
