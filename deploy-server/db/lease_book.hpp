// SPDX-License-Identifier: GPL-3.0-or-later
// The lease table of the DHCP server and the operator's reservations: a SQLite file of its own, so that who asks the
// other one what a machine boots does not wait behind the leases of a power-on storm.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "deploy-server/db/sqlite.hpp"
#include "dhcp-helper/lease.hpp"

namespace slipway::server {

struct ReservationRow {
    MacAddress mac;
    Ipv4Address address;
    std::string device;  // whose MAC it was when the reservation was made; empty: given as a MAC
    std::int64_t created_ms = 0;
    bool operator==(const ReservationRow&) const = default;
};

// Calls are thread-safe and durable when they return.
class LeaseBook : public dhcp::LeaseStore {
public:
    // Brings an older file up to date. Error: server.newer-database.
    static Result<std::unique_ptr<LeaseBook>> open(const std::filesystem::path& file);

    Result<std::vector<dhcp::Lease>> load() override;
    Status append(std::span<const dhcp::Lease> batch) override;  // one transaction

    Result<std::vector<ReservationRow>> reservations();  // in order of address
    Status add_reservation(const ReservationRow& row);   // error: server.exists (the address)
    Result<bool> remove_reservation(Ipv4Address address);

private:
    explicit LeaseBook(std::unique_ptr<Sqlite> sqlite) : sqlite_(std::move(sqlite)) {}
    std::unique_ptr<Sqlite> sqlite_;
};

}  // namespace slipway::server
