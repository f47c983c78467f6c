// SPDX-License-Identifier: GPL-3.0-or-later
// One suite for every LeaseStore: a test program includes it and instantiates it for its own.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include "dhcp-helper/lease.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::dhcp::test {

inline Lease lease(std::uint32_t n, std::int64_t expires = 1000) {
    Lease l{{0x0a000000 + n}, LeaseState::Bound, 500, expires, {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(n)}}, {}, {}};
    l.client = to_bytes("client" + std::to_string(n));
    l.host_name = "host" + std::to_string(n);
    return l;
}

struct Kind {
    const char* name;
    // A store at `path`; again for the same path: what a restart sees.
    std::function<std::unique_ptr<LeaseStore>(const std::filesystem::path&)> open;
    bool survives;
};
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class LeaseStoreSuite : public testing::TestWithParam<Kind> {
protected:
    TempDir temp = TempDir::create("leases").value();
    std::filesystem::path path = temp / "leases";
    std::unique_ptr<LeaseStore> store = GetParam().open(path);

    void restart() {
        if (!GetParam().survives) return;
        store.reset();
        store = GetParam().open(path);
    }
};

TEST_P(LeaseStoreSuite, starts_empty) { EXPECT_TRUE(store->load().value().empty()); }

TEST_P(LeaseStoreSuite, keeps_the_last_record_of_each_address_in_order) {
    ASSERT_TRUE(store->append(std::vector{lease(3), lease(1), lease(2)}).ok());
    auto changed = lease(1, 2000);
    changed.state = LeaseState::Released;
    ASSERT_TRUE(store->append(std::vector{changed}).ok());
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(store->load().value(), (std::vector{changed, lease(2), lease(3)}));
        restart();
    }
}

TEST_P(LeaseStoreSuite, the_last_of_one_batch_counts) {
    ASSERT_TRUE(store->append(std::vector{lease(1, 10), lease(1, 20), lease(1, 30)}).ok());
    restart();
    EXPECT_EQ(store->load().value(), std::vector{lease(1, 30)});
}

TEST_P(LeaseStoreSuite, an_empty_batch_is_nothing) {
    EXPECT_TRUE(store->append({}).ok());
    restart();
    EXPECT_TRUE(store->load().value().empty());
}

TEST_P(LeaseStoreSuite, keeps_odd_leases_as_they_are) {
    Lease bare{{0xfffffffe}, LeaseState::Declined, -1, 0x7fffffffffffffff, {}, {}, {}};
    auto large = lease(9);
    large.client.assign(kLargestClientKey, std::byte{0xff});
    large.host_name.assign(63, 'x');
    ASSERT_TRUE(store->append(std::vector{bare, large}).ok());
    restart();
    EXPECT_EQ(store->load().value(), (std::vector{large, bare}));
}

TEST_P(LeaseStoreSuite, many_renewals_of_few_leases_stay_right) {
    for (int i = 0; i < 100; ++i)
        for (std::uint32_t n = 0; n < 5; ++n) ASSERT_TRUE(store->append(std::vector{lease(n, i)}).ok());
    restart();
    std::vector<Lease> want;
    for (std::uint32_t n = 0; n < 5; ++n) want.push_back(lease(n, 99));
    EXPECT_EQ(store->load().value(), want);
}

}  // namespace slipway::dhcp::test
