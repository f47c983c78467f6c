// SPDX-License-Identifier: GPL-3.0-or-later
// POST /api/v1/server/address: the network boot moves to another address, from the next start on. Its ports are bound
// as root before anything is served, so it cannot do so while it runs.
#include "deploy-server/api/server_address.hpp"

#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/addresses.hpp"
#include "deploy-server/netboot/dhcp.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;

namespace {

// Who was told the old address and does not ask again.
Result<json::array> told_agents(const ServerAddressPlace& p) {
    json::array out;
    for (const auto& device : TRY(p.db.devices()))
        if (device.agent_kind == "administration") out.push_back(json::value(device.name));
    return out;
}

Answer move_address(const ServerAddressPlace& p, const Request& r) {
    auto body = TRY(parse_object(r.body));
    auto text = TRY(required_text(body, "address"));
    auto address = Ipv4Address::parse(text);
    if (!address) return make_error(errors::kBadRequest, "'{}' is no IPv4 address", printable(text));
    auto here = TRY(local_addresses());
    auto name = TRY(interface_for(*address, p.netboot, here));
    auto netboot = p.netboot;
    Ipv4Address before;
    for (auto& i : netboot)
        if (i.name == name) before = std::exchange(i.address, *address);
    if (!p.dhcp.subnets.empty()) TRY_WITH(plan_dhcp(p.dhcp, here, netboot), "with that address");
    auto moved = TRY(read_moved(p.file));
    moved[name] = *address;
    TRY(write_file_atomic(p.file, as_bytes(moved_text(moved)), 0644));
    log::info("server", "{}: {} in place of {} from the next start on", name, address->text(), before.text());
    json::array jobs;
    for (const auto& job : TRY(p.db.unfinished_jobs())) jobs.push_back(json::value(job.id));
    return json_response(200, json::object{{"interface", name},
                                           {"address", address->text()},
                                           {"before", before.text()},
                                           {"unfinished_jobs", std::move(jobs)},
                                           {"administration_agents", TRY(told_agents(p))}});
}

}  // namespace

void add_server_address_routes(http::Router& router, const ServerAddressPlace& place) {
    router.add("POST", "/api/v1/server/address", handler([place](const Request& r) { return move_address(place, r); }));
}

}  // namespace slipway::server
