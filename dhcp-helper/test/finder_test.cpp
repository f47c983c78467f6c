// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/finder.hpp"

#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"

using namespace slipway;
using namespace slipway::dhcp;

TEST(Finder, an_interface_that_is_not_there_is_named_and_no_port_is_blamed) {
    auto found = find_servers("nosuch", std::chrono::milliseconds(0));
    ASSERT_TRUE(found.error().is(dhcp::errors::kInterface));
    EXPECT_NE(found.error().explain().find("no interface nosuch"), std::string::npos);
    EXPECT_EQ(found.error().explain().find("port"), std::string::npos);
}
