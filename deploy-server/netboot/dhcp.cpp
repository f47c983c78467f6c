// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/dhcp.hpp"

#include <algorithm>
#include <future>

#include "deploy-server/errors.hpp"
#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/server.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/log.hpp"

namespace slipway::server {

namespace {

pxe::Interface* find_interface(std::vector<pxe::Interface>& netboot, const std::string& name) {
    auto it = std::find_if(netboot.begin(), netboot.end(), [&](const auto& i) { return i.name == name; });
    return it == netboot.end() ? nullptr : &*it;
}

// The subnet's interface is served, with our address there.
Status add_interface(const dhcp::Subnet& subnet, const std::vector<LocalAddress>& here,
                     std::vector<pxe::Interface>& netboot) {
    if (find_interface(netboot, subnet.interface)) return {};
    auto ours = std::find_if(here.begin(), here.end(), [&](const LocalAddress& a) {
        return a.interface == subnet.interface && subnet.contains(a.address);
    });
    if (ours == here.end())
        return make_error(dhcp::errors::kConfig,
                          "{} has no address in {}: give it one, and it is what clients are told", subnet.interface,
                          subnet.text());
    netboot.push_back({subnet.interface, ours->address});
    return {};
}

}  // namespace

Result<dhcp::ServerConfig> plan_dhcp(const DhcpSettings& settings, const std::vector<LocalAddress>& here,
                                     std::vector<pxe::Interface>& netboot) {
    dhcp::ServerConfig config;
    config.subnets = settings.subnets;
    std::set<std::string> heard;
    bool relayed = false;
    for (const auto& subnet : settings.subnets) {
        relayed |= subnet.interface.empty();
        if (subnet.interface.empty()) continue;
        TRY(add_interface(subnet, here, netboot));
        heard.insert(subnet.interface);
    }
    if (relayed)
        for (const auto& interface : netboot) heard.insert(interface.name);
    if (heard.empty())
        return make_error(dhcp::errors::kConfig, "no interface to hear relays on: name one by --netboot IFACE=ADDRESS");
    for (const auto& name : settings.authorized)
        if (!heard.contains(name)) return make_error(dhcp::errors::kConfig, "no subnet is served on {}", name);
    for (const auto& name : heard) {
        config.interfaces.push_back(name);
        config.told.push_back(find_interface(netboot, name)->address);
    }
    return dhcp::check_config(std::move(config));
}

Status look_for_others(const DhcpSettings& settings, const FindServers& find) {
    std::map<std::string, std::future<Result<std::vector<dhcp::FoundServer>>>> asked;
    for (const auto& subnet : settings.subnets)
        if (!subnet.interface.empty() && !asked.contains(subnet.interface))
            asked[subnet.interface] =
                std::async(std::launch::async, [&, name = subnet.interface] { return find(name, settings.patience); });
    std::map<std::string, Result<std::vector<dhcp::FoundServer>>> answers;
    for (auto& [name, answer] : asked) answers.emplace(name, answer.get());
    for (auto& [name, answer] : answers) {
        if (!answer) return std::move(answer).error().with("looking for other DHCP servers");
        for (const auto& found : *answer) {
            auto who = fmt::format("{}: {} answers there as {} ({})", name, found.server_id.text(), found.kind(),
                                   found.mac.text());
            if (!found.offered.is_zero() && !settings.authorized.contains(name))
                return make_error(dhcp::errors::kOtherServer, "{}", who);
            log::warning("dhcp", "{}", who);
        }
    }
    return {};
}

Result<std::unique_ptr<DhcpDesk>> DhcpDesk::open(DhcpSettings settings, dhcp::ServerConfig config,
                                                 const std::filesystem::path& file) {
    auto book = TRY(LeaseBook::open(file));
    return std::unique_ptr<DhcpDesk>(new DhcpDesk(std::move(settings), std::move(config), std::move(book)));
}

static std::vector<dhcp::Reservation> as_reservations(const std::vector<ReservationRow>& rows) {
    std::vector<dhcp::Reservation> out;
    for (const auto& row : rows) out.push_back({row.mac, row.address, {}});
    return out;
}

Status DhcpDesk::join(pxe::NetbootOptions& options, const FindServers& find) {
    TRY(look_for_others(settings_, find));
    pxe::OwnDhcp own;
    own.config = config_;
    own.leases = book_.get();
    own.reservations = as_reservations(TRY(book_->reservations()));
    options.dhcp = std::move(own);
    return {};
}

Status DhcpDesk::with_server(const std::function<void(dhcp::Server&)>& use) {
    if (!service_ || !service_->with_dhcp(use)) return make_error(errors::kNoDhcp, "the DHCP server does not run");
    return {};
}

void count_bound(Ipv4Address address, SubnetView& view) {
    if (!view.subnet.contains(address)) return;
    if (view.subnet.in_range(address)) ++view.bound;
    if (view.subnet.reserved(address)) ++view.reserved;
}

Result<std::vector<SubnetView>> DhcpDesk::subnets() {
    std::vector<SubnetView> out;
    TRY(with_server([&](dhcp::Server& server) {
        const auto& engine = server.engine();
        auto now = unix_milliseconds(SystemClock().wall()) / 1000;
        for (const auto& subnet : engine.config().subnets) out.push_back({subnet, 0, 0});
        for (const auto& lease : engine.leases())
            if (engine.state_of(lease.address, now) == dhcp::AddressState::Bound)
                for (auto& view : out) count_bound(lease.address, view);
    }));
    return out;
}

Result<std::vector<LeaseView>> DhcpDesk::leases() {
    std::vector<LeaseView> out;
    TRY(with_server([&](dhcp::Server& server) {
        auto now = unix_milliseconds(SystemClock().wall()) / 1000;
        for (auto& lease : server.engine().leases()) {
            auto state = dhcp::name_of(server.engine().state_of(lease.address, now));
            out.push_back({std::move(lease), state});
        }
    }));
    return out;
}

Status DhcpDesk::apply() {
    auto all = as_reservations(TRY(book_->reservations()));
    return with_server([&](dhcp::Server& server) { server.set_reservations(all); });
}

Status DhcpDesk::reserve(const ReservationRow& row) {
    std::lock_guard lock(changing_);
    auto rows = TRY(book_->reservations());
    if (std::any_of(rows.begin(), rows.end(), [&](const auto& r) { return r.address == row.address; }))
        return make_error(errors::kReserved, "{} is reserved already", row.address.text());
    std::vector<std::string> refused;
    std::string holder;
    TRY(with_server([&](dhcp::Server& server) {
        const auto& engine = server.engine();
        (void)dhcp::with_reservations(engine.config(), {{row.mac, row.address, {}}}, refused);
        auto now = unix_milliseconds(SystemClock().wall()) / 1000;
        if (engine.state_of(row.address, now) != dhcp::AddressState::Bound) return;
        for (const auto& lease : engine.leases())
            if (lease.address == row.address && lease.mac != row.mac) holder = lease.mac.text();
    }));
    if (!refused.empty()) return make_error(dhcp::errors::kConfig, "{}", refused.front());
    if (!holder.empty())
        return make_error(errors::kReserved, "{} is leased to {} at this time", row.address.text(), holder);
    TRY(book_->add_reservation(row));
    return apply();
}

Status DhcpDesk::unreserve(Ipv4Address address) {
    std::lock_guard lock(changing_);
    if (!TRY(book_->remove_reservation(address)))
        return make_error(errors::kNoReservation, "{} is not reserved", address.text());
    return apply();
}

Status DhcpDesk::release(Ipv4Address address) {
    bool released = false;
    TRY(with_server([&](dhcp::Server& server) { released = server.take_back(address); }));
    if (!released) return make_error(errors::kNoLease, "nobody holds {}", address.text());
    return {};
}

}  // namespace slipway::server
