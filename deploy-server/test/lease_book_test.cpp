// SPDX-License-Identifier: GPL-3.0-or-later
// The lease table: the suite of every LeaseStore, and reservations.
#include "deploy-server/db/lease_book.hpp"

#include "deploy-server/errors.hpp"
#include "dhcp-helper/test/lease_store_suite.hpp"

using namespace slipway;
using namespace slipway::server;

namespace slipway::dhcp::test {

INSTANTIATE_TEST_SUITE_P(Database, LeaseStoreSuite,
                         testing::Values(Kind{"sqlite",
                                              [](const auto& path) -> std::unique_ptr<LeaseStore> {
                                                  return std::move(LeaseBook::open(path).value());
                                              },
                                              true}),
                         [](const auto& info) { return info.param.name; });

}  // namespace slipway::dhcp::test

namespace {

struct Book : testing::Test {
    TempDir temp = TempDir::create("book").value();
    std::unique_ptr<LeaseBook> book = open();
    std::unique_ptr<LeaseBook> open() { return std::move(LeaseBook::open(temp / "dhcp.sqlite").value()); }
    static ReservationRow row(std::uint8_t n) {
        return {{{2, 0, 0, 0, 0, n}}, {0xffffff00u + n}, "web" + std::to_string(n), 1000 + n};
    }
};

}  // namespace

TEST_F(Book, keeps_reservations_in_order_of_address_over_a_restart) {
    ASSERT_TRUE(book->add_reservation(row(2)).ok());
    ASSERT_TRUE(book->add_reservation(row(1)).ok());
    book.reset();
    book = open();
    EXPECT_EQ(book->reservations().value(), (std::vector{row(1), row(2)}));
    EXPECT_TRUE(book->remove_reservation(row(1).address).value());
    EXPECT_FALSE(book->remove_reservation(row(1).address).value());
    EXPECT_EQ(book->reservations().value(), std::vector{row(2)});
}

TEST_F(Book, an_address_is_reserved_once) {
    ASSERT_TRUE(book->add_reservation(row(1)).ok());
    auto other = row(1);
    other.mac = {{2, 0, 0, 0, 0, 9}};
    auto again = book->add_reservation(other);
    ASSERT_FALSE(again.ok());
    EXPECT_TRUE(again.error().is(server::errors::kExists));
    EXPECT_EQ(book->reservations().value(), std::vector{row(1)});
}
