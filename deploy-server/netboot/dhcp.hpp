// SPDX-License-Identifier: GPL-3.0-or-later
// The DHCP server as part of the deploy server: on which interfaces, whether it may be switched on there, its lease
// table, and what an operator asks of it.
#pragma once

#include <functional>
#include <mutex>
#include <set>

#include "deploy-server/db/lease_book.hpp"
#include "deploy-server/netboot/addresses.hpp"
#include "dhcp-helper/finder.hpp"
#include "pxe/service.hpp"

namespace slipway::server {

struct DhcpSettings {
    std::vector<dhcp::Subnet> subnets;         // none: no DHCP server, proxyDHCP everywhere
    std::set<std::string> authorized;          // interfaces served even where another DHCP server answers
    std::chrono::milliseconds patience{4000};  // for others' answers: dnsmasq pings for three seconds first
};

// Which interfaces the server binds, and what clients are told there: adds those of the subnets to `netboot`, each with
// our address in its subnet. Errors: dhcp.config.
Result<dhcp::ServerConfig> plan_dhcp(const DhcpSettings& settings, const std::vector<LocalAddress>& here,
                                     std::vector<pxe::Interface>& netboot);

// Does anyone else give addresses where we are to? Asks on all the interfaces at once. Error: dhcp.other-server.
using FindServers =
    std::function<Result<std::vector<dhcp::FoundServer>>(const std::string& interface, std::chrono::milliseconds)>;
Status look_for_others(const DhcpSettings& settings, const FindServers& find);

struct LeaseView {
    dhcp::Lease lease;
    std::string_view state;
};
struct SubnetView {
    dhcp::Subnet subnet;       // with the operator's reservations
    std::size_t bound = 0;     // in the ranges
    std::size_t reserved = 0;  // bound and reserved, in the ranges or not
};

void count_bound(Ipv4Address address, SubnetView& view);

class DhcpDesk {
public:
    // `config`: as plan_dhcp() made it.
    static Result<std::unique_ptr<DhcpDesk>> open(DhcpSettings settings, dhcp::ServerConfig config,
                                                  const std::filesystem::path& file);

    // The DHCP server becomes part of the network boot, unless somebody else serves there: dhcp.other-server.
    Status join(pxe::NetbootOptions& options, const FindServers& find = dhcp::find_servers);
    void attach(pxe::NetbootService& service) { service_ = &service; }

    // Errors: server.no-dhcp (while it stops).
    Result<std::vector<SubnetView>> subnets();
    Result<std::vector<LeaseView>> leases();
    Result<std::vector<ReservationRow>> reservations() { return book_->reservations(); }
    // At once, and for the time after a restart. Errors: server.reserved, dhcp.config.
    Status reserve(const ReservationRow& row);
    Status unreserve(Ipv4Address address);  // error: server.no-reservation
    Status release(Ipv4Address address);    // error: server.no-lease

private:
    DhcpDesk(DhcpSettings settings, dhcp::ServerConfig config, std::unique_ptr<LeaseBook> book)
        : settings_(std::move(settings)), config_(std::move(config)), book_(std::move(book)) {}
    Status with_server(const std::function<void(dhcp::Server&)>& use);
    Status apply();

    DhcpSettings settings_;
    dhcp::ServerConfig config_;
    std::unique_ptr<LeaseBook> book_;
    pxe::NetbootService* service_ = nullptr;  // set before the first call from outside
    std::mutex changing_;                     // reservations: one change at a time
};

}  // namespace slipway::server
