// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/dhcp.hpp"

#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

namespace {

Result<DhcpDesk*> desk_of(const DhcpPlace& p) {
    if (!p.desk) return make_error(errors::kNoDhcp, "this server gives no addresses");
    return p.desk;
}

Result<Ipv4Address> address_in(const Request& r) {
    auto text = r.parameter("address");
    auto address = Ipv4Address::parse(text);
    if (!address) return make_error(errors::kBadRequest, "'{}' is no IPv4 address", printable(text));
    return *address;
}

std::string device_of_mac(const DhcpPlace& p, const MacAddress& mac) {
    auto device = p.db.device_by_mac(mac);
    return device && *device ? (*device)->name : std::string();
}

json::object subnet_json(const SubnetView& view) {
    const auto& s = view.subnet;
    json::array ranges;
    std::uint64_t size = 0;
    for (const auto& r : s.ranges) {
        ranges.push_back(json::value(r.first.text() + "-" + r.last.text()));
        size += r.last.value - r.first.value + 1;
    }
    return {{"subnet", s.text()},
            {"interface", s.interface},
            {"ranges", std::move(ranges)},
            {"addresses", size},
            {"bound", view.bound},
            {"bound_reserved", view.reserved},
            {"reservations", s.reservations.size()},
            {"lease_seconds", s.lease.count()},
            {"probe", s.probe}};
}

Answer show(const DhcpPlace& p) {
    std::vector<SubnetView> subnets;
    if (p.desk) subnets = TRY(p.desk->subnets());
    json::array interfaces, list;
    for (const auto& i : p.interfaces) {
        bool own = false, relayed = false;
        for (const auto& s : subnets) {
            own |= s.subnet.interface == i.name;
            relayed |= s.subnet.interface.empty();
        }
        interfaces.push_back({{"interface", i.name},
                              {"address", i.address.text()},
                              {"mode", own ? "dhcp" : "proxy"},
                              {"relayed_subnets", relayed}});
    }
    for (const auto& s : subnets) list.push_back(subnet_json(s));
    return json_response(200, json::object{{"interfaces", std::move(interfaces)}, {"subnets", std::move(list)}});
}

Answer list_leases(const DhcpPlace& p) {
    json::array items;
    for (const auto& [lease, state] : TRY(TRY(desk_of(p))->leases()))
        items.push_back({{"address", lease.address.text()},
                         {"state", state},
                         {"mac", lease.mac.is_zero() ? json::value(nullptr) : json::value(lease.mac.text())},
                         {"host_name", lease.host_name},
                         {"device", device_of_mac(p, lease.mac)},
                         {"begins", time_json(lease.begins * 1000)},
                         {"expires", time_json(lease.expires * 1000)}});
    return json_response(200, json::object{{"items", std::move(items)}});
}

json::object reservation_json(const ReservationRow& row) {
    return {{"address", row.address.text()},
            {"mac", row.mac.text()},
            {"device", row.device},
            {"created", time_json(row.created_ms)}};
}

// {"address", and "mac" or "device": the device's first MAC}
Answer reserve(const DhcpPlace& p, const Request& r) {
    auto* desk = TRY(desk_of(p));
    auto body = TRY(parse_object(r.body));
    auto text = TRY(required_text(body, "address"));
    auto address = Ipv4Address::parse(text);
    if (!address) return make_error(errors::kBadRequest, "'{}' is no IPv4 address", printable(text));
    ReservationRow row{{}, *address, {}, unix_milliseconds(p.clock.wall())};
    if (body.contains("device")) {
        auto name = TRY(required_text(body, "device"));
        auto device = TRY(p.db.device(name));
        if (!device) return make_error(errors::kNoDevice, "no device '{}'", printable(name));
        if (device->macs.empty()) return make_error(errors::kBadRequest, "device '{}' has no MAC", device->name);
        row.device = device->name;
        row.mac = MacAddress::parse(device->macs.front()).value_or(MacAddress{});
    } else {
        auto mac_text = TRY(required_text(body, "mac"));
        auto mac = MacAddress::parse(mac_text);
        if (!mac || mac->is_multicast() || mac->is_zero())
            return make_error(errors::kBadRequest, "'{}' is no machine's MAC address", printable(mac_text));
        row.mac = *mac;
        row.device = device_of_mac(p, row.mac);
    }
    TRY(desk->reserve(row));
    return json_response(201, reservation_json(row));
}

}  // namespace

void add_dhcp_routes(http::Router& router, const DhcpPlace& p) {
    router.add("GET", "/api/v1/dhcp", handler([p](const Request&) { return show(p); }));
    router.add("GET", "/api/v1/dhcp/leases", handler([p](const Request&) { return list_leases(p); }));
    router.add("DELETE", "/api/v1/dhcp/leases/{address}", handler([p](const Request& r) -> Answer {
                   TRY(TRY(desk_of(p))->release(TRY(address_in(r))));
                   return Response::empty();
               }));
    router.add("GET", "/api/v1/dhcp/reservations", handler([p](const Request&) -> Answer {
                   json::array items;
                   for (const auto& row : TRY(TRY(desk_of(p))->reservations())) items.push_back(reservation_json(row));
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("POST", "/api/v1/dhcp/reservations", handler([p](const Request& r) { return reserve(p, r); }));
    router.add("DELETE", "/api/v1/dhcp/reservations/{address}", handler([p](const Request& r) -> Answer {
                   TRY(TRY(desk_of(p))->unreserve(TRY(address_in(r))));
                   return Response::empty();
               }));
}

}  // namespace slipway::server
