// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/db/lease_book.hpp"

#include "deploy-server/db/migrate.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

// As of migrations.cpp.
static const char* const kMigrations[] = {
    R"sql(
CREATE TABLE leases (
  address INTEGER PRIMARY KEY, state INTEGER NOT NULL, begins INTEGER NOT NULL, expires INTEGER NOT NULL,
  mac TEXT NOT NULL, client BLOB NOT NULL, host_name TEXT NOT NULL);
CREATE TABLE reservations (
  address INTEGER PRIMARY KEY, mac TEXT NOT NULL, device TEXT NOT NULL, created INTEGER NOT NULL);
)sql",
};

Result<std::unique_ptr<LeaseBook>> LeaseBook::open(const std::filesystem::path& file) {
    auto sqlite = TRY(Sqlite::open(file));
    TRY_WITH(migrate(*sqlite, kMigrations), "the lease table");
    return std::unique_ptr<LeaseBook>(new LeaseBook(std::move(sqlite)));
}

static Ipv4Address read_address(const Row& r, int column) { return {static_cast<std::uint32_t>(r.number(column))}; }

Result<std::vector<dhcp::Lease>> LeaseBook::load() {
    std::vector<dhcp::Lease> out;
    TRY(sqlite_->query(
        "SELECT address, state, begins, expires, mac, client, host_name FROM leases ORDER BY address", {}, [&](Row r) {
            out.push_back({read_address(r, 0), static_cast<dhcp::LeaseState>(r.number(1)), r.number(2), r.number(3),
                           MacAddress::parse(r.text(4)).value_or(MacAddress{}), r.blob(5), r.text(6)});
        }));
    return out;
}

Status LeaseBook::append(std::span<const dhcp::Lease> batch) {
    if (batch.empty()) return {};
    return sqlite_->transaction([&]() -> Status {
        for (const auto& l : batch)
            TRY(
                sqlite_->run("INSERT OR REPLACE INTO leases(address, state, begins, expires, mac, client, host_name) "
                             "VALUES (?, ?, ?, ?, ?, ?, ?)",
                             {std::int64_t{l.address.value}, static_cast<std::int64_t>(l.state), l.begins, l.expires,
                              l.mac.text(), ByteView(l.client), l.host_name}));
        return {};
    });
}

Result<std::vector<ReservationRow>> LeaseBook::reservations() {
    std::vector<ReservationRow> out;
    TRY(sqlite_->query("SELECT address, mac, device, created FROM reservations ORDER BY address", {}, [&](Row r) {
        out.push_back(
            {MacAddress::parse(r.text(1)).value_or(MacAddress{}), read_address(r, 0), r.text(2), r.number(3)});
    }));
    return out;
}

Status LeaseBook::add_reservation(const ReservationRow& row) {
    return sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("INSERT OR IGNORE INTO reservations(address, mac, device, created) VALUES (?, ?, ?, ?)",
                         {std::int64_t{row.address.value}, row.mac.text(), row.device, row.created_ms}));
        if (sqlite_->changes() == 0) return make_error(errors::kExists, "{} is reserved already", row.address.text());
        return {};
    });
}

Result<bool> LeaseBook::remove_reservation(Ipv4Address address) {
    bool removed = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("DELETE FROM reservations WHERE address = ?", {std::int64_t{address.value}}));
        removed = sqlite_->changes() > 0;
        return {};
    }));
    return removed;
}

}  // namespace slipway::server
