// SPDX-License-Identifier: GPL-3.0-or-later
// Hearing on a real segment is tested by tests/netboot, reading packets by frame_test.cpp.
#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/overhear.hpp"

using namespace slipway;
using namespace slipway::dhcp;

TEST(Overhear, a_missing_interface_is_named) {
    boost::asio::io_context io;
    auto made = Overhearer::create(io, "nosuch0", [](const Overhearer::Answer&) {});
    ASSERT_FALSE(made.ok());
    EXPECT_TRUE(made.error().is(errors::kListen));
}
