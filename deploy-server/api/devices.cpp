// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/agents/agent_routes.hpp"
#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/boot.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

Response json_response(unsigned status, const json::value& value) {
    return Response::json(status, json::serialize(value));
}

json::value time_json(std::int64_t ms) {
    return ms ? json::value(iso8601(from_unix_milliseconds(ms))) : json::value(nullptr);
}

json::object device_json(const ApiPlace& p, const DeviceRow& d) {
    auto agent = p.hub.agent(d);
    json::object out{{"name", d.name},
                     {"macs", json::value_from(d.macs)},
                     {"description", d.description},
                     {"kind", d.kind},
                     {"state", d.controlled ? "controlled" : "released"},
                     {"power_driver", d.power_driver},
                     {"power_command", json::value_from(d.power_command)},
                     {"vmhost", d.vmhost},
                     {"agent",
                      {{"state", agent.state},
                       {"kind", agent.kind},
                       {"version", agent.version},
                       {"last_seen", time_json(agent.last_seen_ms)}}},
                     {"boot_action", d.boot_action},
                     {"pxe_action", d.pxe_action.empty() ? "default" : d.pxe_action},
                     {"pxe_image", d.pxe_image},
                     {"loader", d.loader},
                     {"local_boot", d.local_boot},
                     {"secure_boot", d.secure_boot},
                     {"tftp_upload", d.tftp_upload}};
    auto next = next_boot(d, p.netboot->get());
    out["next_boot"] = {{"action", pxe::name_of(next.action)}, {"why", next.why}};
    if (!d.hardware.empty())
        if (auto hardware = parse_object(d.hardware)) {
            hardware->erase("modaliases");  // kilobytes; what came of them is in /agent/ramdisks
            out["hardware"] = std::move(*hardware);
        }
    json::array alerts;
    if (auto rows = p.db.alerts(d.id))
        for (const auto& a : *rows)
            alerts.push_back({{"time", time_json(a.time_ms)}, {"name", a.name}, {"text", a.text}});
    if (!alerts.empty()) out["alerts"] = std::move(alerts);
    return out;
}

static Result<DeviceRow> find(const ApiPlace& p, const Request& r) {
    auto name = r.parameter("name");
    auto device = TRY(p.db.device(name));
    if (!device) return make_error(errors::kNoDevice, "no device '{}'", printable(name));
    return std::move(*device);
}

// Validates once at the edge: what is in the database needs no second look.
static Status fill(DeviceRow& d, const json::object& body) {
    if (auto v = TRY(optional_text(body, "name"))) d.name = *v;
    if (auto v = TRY(optional_text(body, "description"))) d.description = *v;
    if (auto v = TRY(optional_text(body, "kind"))) d.kind = *v;
    if (auto v = TRY(optional_text(body, "power_driver"))) d.power_driver = *v;
    if (auto v = TRY(optional_texts(body, "power_command"))) d.power_command = *v;
    if (auto v = TRY(optional_text(body, "vmhost"))) d.vmhost = *v;
    if (auto v = TRY(optional_text(body, "pxe_action"))) d.pxe_action = *v == "default" ? "" : *v;
    if (auto v = TRY(optional_text(body, "pxe_image"))) d.pxe_image = *v;
    if (auto v = TRY(optional_text(body, "loader"))) d.loader = *v;
    if (auto v = TRY(optional_text(body, "local_boot"))) d.local_boot = *v;
    if (auto v = TRY(optional_text(body, "secure_boot"))) d.secure_boot = *v;
    if (const auto* v = body.if_contains("tftp_upload")) {
        if (!v->is_bool()) return make_error(errors::kBadRequest, "tftp_upload is true or false");
        d.tftp_upload = v->get_bool();
    }
    if (auto v = TRY(optional_texts(body, "macs"))) {
        d.macs.clear();
        for (const auto& text : *v) {
            auto mac = MacAddress::parse(text);
            if (!mac || mac->is_zero() || mac->is_multicast())
                return make_error(errors::kBadRequest, "'{}' is not the MAC address of a machine", printable(text));
            d.macs.push_back(mac->text());
        }
    }
    if (!sequences::valid_name(d.name)) return make_error(errors::kBadRequest, "'{}' is not a name", printable(d.name));
    // Its ramdisk has its name, beside these.
    if ((d.id == 0 || body.contains("name")) && kSharedRamdisks.contains(d.name))
        return make_error(errors::kBadRequest, "'{}' is the name of a ramdisk of many devices: choose another", d.name);
    if (d.kind != "device" && d.kind != "vmhost") return make_error(errors::kBadRequest, "kind is device or vmhost");
    if (d.power_driver != "prompt" && d.power_driver != "command" && d.power_driver != "vm")
        return make_error(errors::kBadRequest, "power_driver is prompt, command or vm");
    if (d.power_driver == "command" && (d.power_command.empty() || d.power_command[0].empty()))
        return make_error(errors::kBadRequest, "power_driver 'command' needs power_command");
    return check_netboot(d);
}

// The operator's word on what a device boots goes before what its last job left; not before one that runs.
static Status boot_as_told(const ApiPlace& p, const DeviceRow& d, const json::object& body) {
    if (body.contains("pxe_image") && !d.pxe_image.empty()) TRY(find_boot_image(p.boot, d.pxe_image));
    if (!body.contains("pxe_action") || !d.id) return {};
    if (p.hub.holds(d.id)) return make_error(errors::kDeviceBusy, "a job says what '{}' boots", d.name);
    return p.db.set_boot_action(d.id, "");
}

static Answer add(const ApiPlace& p, const Request& r) {
    auto body = TRY(parse_object(r.body));
    TRY(required_text(body, "name"));
    DeviceRow d;
    TRY(fill(d, body));
    TRY(boot_as_told(p, d, body));
    return json_response(201, device_json(p, TRY(p.db.add_device(d))));
}

static Answer change(const ApiPlace& p, const Request& r) {
    auto d = TRY(find(p, r));
    auto old_name = d.name;
    auto body = TRY(parse_object(r.body));
    TRY(fill(d, body));
    if (d.name != old_name && p.hub.holds(d.id)) return make_error(errors::kDeviceBusy, "a job holds '{}'", old_name);
    TRY(boot_as_told(p, d, body));
    TRY(p.db.update_device(d));
    return json_response(200, device_json(p, *TRY(p.db.device_by_id(d.id))));
}

static Answer remove(const ApiPlace& p, const Request& r) {
    auto d = TRY(find(p, r));
    if (p.hub.holds(d.id)) return make_error(errors::kDeviceBusy, "a job holds '{}'", d.name);
    TRY(p.hub.forget_device(d.id));
    (void)TRY(p.db.remove_device(d.name));
    return Response::empty();
}

static Answer control(const ApiPlace& p, const Request& r, bool take) {
    auto d = TRY(find(p, r));
    if (!take && p.hub.holds(d.id)) return make_error(errors::kDeviceBusy, "a job holds '{}'", d.name);
    if (take && !d.controlled) TRY(p.hub.take_control(d.id));
    if (!take) TRY(p.hub.release_control(d.id));
    return json_response(200, device_json(p, *TRY(p.db.device_by_id(d.id))));
}

void add_device_routes(http::Router& router, const ApiPlace& p) {
    router.add("GET", "/api/v1/devices", handler([p](const Request&) -> Answer {
                   json::array items;
                   for (const auto& d : TRY(p.db.devices())) items.push_back(device_json(p, d));
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("POST", "/api/v1/devices", handler([p](const Request& r) { return add(p, r); }));
    router.add("GET", "/api/v1/devices/{name}", handler([p](const Request& r) -> Answer {
                   return json_response(200, device_json(p, TRY(find(p, r))));
               }));
    router.add("PATCH", "/api/v1/devices/{name}", handler([p](const Request& r) { return change(p, r); }));
    router.add("DELETE", "/api/v1/devices/{name}", handler([p](const Request& r) { return remove(p, r); }));
    router.add("GET", "/api/v1/devices/{name}/inventory", handler([p](const Request& r) -> Answer {
                   auto d = TRY(find(p, r));
                   auto xml = TRY(p.db.inventory(d.id));
                   if (xml.empty()) return make_error(errors::kNoArtifact, "'{}' was not inventoried yet", d.name);
                   return Response::text(200, std::move(xml), "application/xml");
               }));
    router.add("POST", "/api/v1/devices/{name}/take-control",
               handler([p](const Request& r) { return control(p, r, true); }));
    router.add("POST", "/api/v1/devices/{name}/release-control",
               handler([p](const Request& r) { return control(p, r, false); }));
    router.add("POST", "/api/v1/devices/{name}/enrollment-token", handler([p](const Request& r) -> Answer {
                   auto d = TRY(find(p, r));
                   auto token = TRY(make_token(p.db, p.clock, d.id, ""));
                   return json_response(200, json::object{{"token", token}, {"ca_pem", p.ca_pem}});
               }));
}

}  // namespace slipway::server
