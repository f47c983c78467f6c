// SPDX-License-Identifier: GPL-3.0-or-later
// main for every GoogleTest program: a skip is a failure under SLIPWAY_STRICT=1, and a program
// whose tests were all skipped ends with 77 so that ctest shows it as skipped.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sched.h>
#include <sys/mount.h>

#include <gtest/gtest.h>

namespace {

// What a test mounts is its own. `ip netns exec` of another test copies the machine's mounts: a file system unmounted
// here would live on there, and write to its image while a test reads it. Without the privilege no test mounts
// anything.
void leave_the_machines_mounts() {
    if (::unshare(CLONE_NEWNS) == 0) (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    leave_the_machines_mounts();
    int failed = RUN_ALL_TESTS();
    const auto& unit = *testing::UnitTest::GetInstance();
    const char* strict = std::getenv("SLIPWAY_STRICT");
    if (unit.test_to_run_count() == 0) {
        std::fprintf(stderr, "no tests found\n");
        return 1;
    }
    if (failed == 0 && unit.skipped_test_count() > 0 && strict && std::strcmp(strict, "1") == 0) {
        std::fprintf(stderr, "SLIPWAY_STRICT=1: %d skipped tests are failures\n", unit.skipped_test_count());
        return 1;
    }
    if (failed == 0 && unit.skipped_test_count() == unit.test_to_run_count()) return 77;
    return failed;
}
