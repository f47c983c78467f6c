// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm-target/errors.hpp"

#define EXPECT_ERROR(expression, id)                                                           \
    do {                                                                                       \
        auto&& failed = (expression);                                                          \
        ASSERT_FALSE(failed.ok());                                                             \
        EXPECT_TRUE(failed.error().is(slipway::vmm::errors::id)) << failed.error().describe(); \
    } while (0)
#define ASSERT_OK(expression)                                                \
    do {                                                                     \
        auto&& done = (expression);                                          \
        ASSERT_TRUE(done.ok()) << (done.ok() ? "" : done.error().explain()); \
    } while (0)
