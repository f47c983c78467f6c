// SPDX-License-Identifier: GPL-3.0-or-later
// The server itself, and groups.
#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"
#include "slipway_version.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

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
    router.add(
        "POST", "/api/v1/groups", handler([p](const Request& r) -> Answer {
            auto body = TRY(parse_object(r.body));
            Database::Group group;
            group.name = TRY(required_text(body, "name"));
            if (!sequences::valid_name(group.name))
                return make_error(errors::kBadRequest, "'{}' is not a name", printable(group.name));
            group.devices = TRY(optional_texts(body, "devices")).value_or(std::vector<std::string>());
            TRY(p.db.put_group(group));
            return json_response(201, json::object{{"name", group.name}, {"devices", json::value_from(group.devices)}});
        }));
    router.add("DELETE", "/api/v1/groups/{name}", handler([p](const Request& r) -> Answer {
                   if (!TRY(p.db.remove_group(r.parameter("name"))))
                       return make_error(errors::kNoGroup, "no group '{}'", printable(r.parameter("name")));
                   return Response::empty();
               }));
}

}  // namespace slipway::server
