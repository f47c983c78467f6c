// SPDX-License-Identifier: GPL-3.0-or-later
// What network boot answers whom, for all devices: settings, images.
#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/boot.hpp"
#include "lib/base/log.hpp"

namespace slipway::server {

using http::Request;

static constexpr std::string_view kControlWarning =
    "Every machine that boots by network on these segments and has no record is taken under control and given this "
    "job, "
    "unasked: a job that writes to disks erases what such a machine holds.";

static json::object settings_json(const NetbootSettings& s) {
    json::object variables;
    for (const auto& [name, value] : s.variables) variables[name] = value;
    json::object out{{"unknown", s.unknown},
                     {"description", s.description},
                     {"default_job", s.default_job},
                     {"variables", std::move(variables)},
                     {"action", s.action}};
    if (s.unknown == "control") out["warning"] = kControlWarning;
    return out;
}

static Answer change(const ApiPlace& p, const Request& r) {
    auto body = TRY(parse_object(r.body));
    auto s = p.netboot->get();
    if (auto v = TRY(optional_text(body, "unknown"))) s.unknown = *v;
    if (auto v = TRY(optional_text(body, "description"))) s.description = *v;
    if (auto v = TRY(optional_text(body, "default_job"))) s.default_job = *v;
    if (body.contains("variables")) s.variables = TRY(variables_of(body));
    if (auto v = TRY(optional_text(body, "action"))) s.action = *v;
    TRY(check_netboot(s));
    if (!s.default_job.empty()) TRY(sequences::parse_sequence(TRY(sequence_text(p.sequences, s.default_job))));
    TRY(p.db.set_netboot_settings(s));
    p.netboot->set(s);
    if (s.unknown == "control") log::warning("server", "{}", kControlWarning);
    return json_response(200, settings_json(s));
}

void add_netboot_routes(http::Router& router, const ApiPlace& p) {
    router.add("GET", "/api/v1/netboot/settings",
               handler([p](const Request&) -> Answer { return json_response(200, settings_json(p.netboot->get())); }));
    router.add("PATCH", "/api/v1/netboot/settings", handler([p](const Request& r) { return change(p, r); }));
    router.add(
        "GET", "/api/v1/netboot/images", handler([p](const Request&) -> Answer {
            json::array items;
            for (const auto& name : boot_image_names(p.boot)) {
                auto image = find_boot_image(p.boot, name);
                if (image)
                    items.push_back({{"name", name}, {"size", image->size}, {"kind", pxe::name_of(image->kind)}});
                else items.push_back({{"name", name}, {"error", image.error().describe()}});
            }
            return json_response(200, json::object{{"items", std::move(items)}});
        }));
}

}  // namespace slipway::server
