// SPDX-License-Identifier: GPL-3.0-or-later
// The server itself, and groups.
#include <algorithm>

#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"
#include "slipway_version.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

// A new one, or other members for one that is there: neither is taken for the other.
static Result<json::object> put_group(const ApiPlace& p, const Database::Group& group, bool there) {
    json::object out;
    TRY(p.db.sqlite().transaction([&]() -> Status {
        const auto groups = TRY(p.db.groups());
        const auto found =
            std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.name == group.name; });
        if (there && found == groups.end()) return make_error(errors::kNoGroup, "no group '{}'", printable(group.name));
        if (!there && found != groups.end())
            return make_error(errors::kGroupExists, "there is a group '{}' already, of {} devices", group.name,
                              found->devices.size());
        TRY(p.db.put_group(group));
        out = {{"name", group.name}, {"devices", json::value_from(group.devices)}};
        return {};
    }));
    return out;
}

void add_server_routes(http::Router& router, const ApiPlace& p) {
    router.add("GET", "/api/v1/server", handler([p](const Request&) -> Answer {
                   return json_response(200, json::object{{"version", kVersion},
                                                          {"roles", json::array(p.roles.begin(), p.roles.end())},
                                                          {"tls_port", p.ports->first},
                                                          {"http_port", p.ports->second},
                                                          {"addresses", json::value_from(p.addresses)},
                                                          {"now", iso8601(p.clock.wall())}});
               }));
    router.add("GET", "/api/v1/groups", handler([p](const Request&) -> Answer {
                   json::array items;
                   for (const auto& group : TRY(p.db.groups()))
                       items.push_back({{"name", group.name}, {"devices", json::value_from(group.devices)}});
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("POST", "/api/v1/groups", handler([p](const Request& r) -> Answer {
                   auto body = TRY(parse_object(r.body));
                   Database::Group group;
                   group.name = TRY(required_text(body, "name"));
                   if (!sequences::valid_name(group.name))
                       return make_error(errors::kBadRequest, "'{}' is not a name", printable(group.name));
                   group.devices = TRY(optional_texts(body, "devices")).value_or(std::vector<std::string>());
                   return json_response(201, TRY(put_group(p, group, false)));
               }));
    router.add("PATCH", "/api/v1/groups/{name}", handler([p](const Request& r) -> Answer {
                   auto devices = TRY(optional_texts(TRY(parse_object(r.body)), "devices"));
                   if (!devices) return make_error(errors::kBadRequest, "'devices' is needed: all members, or []");
                   return json_response(200, TRY(put_group(p, {r.parameter("name"), std::move(*devices)}, true)));
               }));
    router.add("DELETE", "/api/v1/groups/{name}", handler([p](const Request& r) -> Answer {
                   if (!TRY(p.db.remove_group(r.parameter("name"))))
                       return make_error(errors::kNoGroup, "no group '{}'", printable(r.parameter("name")));
                   return Response::empty();
               }));
}

}  // namespace slipway::server
