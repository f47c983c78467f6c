// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "console/table.hpp"

using namespace slipway::console;

TEST(Table, pads_columns_and_disarms_escape_sequences) {
    Table table({"NAME", "STATE"});
    table.row({"poseidon", "ready"});
    table.row({"h\xc3\xa9", "\x1b[31m"});
    EXPECT_EQ(table.text(), "NAME      STATE\nposeidon  ready\nh\xc3\xa9        \\x1b[31m\n");
}
