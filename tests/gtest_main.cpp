// SPDX-License-Identifier: GPL-3.0-or-later
// main for every GoogleTest program: a skip is a failure under SLIPWAY_STRICT=1, and a program
// whose tests were all skipped ends with 77 so that ctest shows it as skipped.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
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
