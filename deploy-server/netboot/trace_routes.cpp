// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;

namespace {

constexpr std::uint64_t kMaxWait = 30;  // s

template <class... Fs>
struct Each : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Each(Fs...) -> Each<Fs...>;  // clang 16 does not find it by itself

json::value address_json(Ipv4Address address) {
    return address.is_zero() ? json::value(nullptr) : json::value(address.text());
}

json::object heard_json(const pxe::Heard& h) {
    json::object out{{"type", dhcp::name_of(h.type)},
                     {"port", h.port},
                     {"boots", h.boots},
                     {"ipxe", h.ipxe},
                     {"vendor_class", printable(h.vendor_class)},
                     {"interface", h.interface},
                     {"relay", address_json(h.relay)},
                     {"address", address_json(h.address)},
                     {"server", address_json(h.server)}};
    out["arch"] = h.arch ? json::value(static_cast<std::uint16_t>(*h.arch)) : json::value(nullptr);
    return out;
}

json::object overheard_json(const pxe::Overheard& o) {
    return {{"type", dhcp::name_of(o.type)},
            {"server", address_json(o.server)},
            {"address", address_json(o.given)},
            {"next_server", address_json(o.next_server)},
            {"pxe", o.pxe},
            {"file", printable(o.file)},
            {"interface", o.interface}};
}

json::object transfer_json(const pxe::Transfer& t) {
    json::object out{{"stage", pxe::name_of(t.stage)},
                     {"via", t.http ? "http" : "tftp"},
                     {"file", printable(t.file)},
                     {"bytes", t.bytes},
                     {"took_ms", t.took.count()}};
    out["size"] = t.size ? json::value(t.size) : json::value(nullptr);
    if (!t.http) {
        out["blocks"] = t.blocks;
        out["lost_blocks"] = t.lost_blocks;
    }
    if (!t.why.empty()) out["why"] = printable(t.why);
    return out;
}

json::object detail_json(const pxe::EventDetail& detail) {
    return std::visit(
        Each{[](const pxe::Heard& h) { return heard_json(h); },
             [](const pxe::Overheard& o) { return overheard_json(o); },
             [](const pxe::Answered& a) {
                 return json::object{{"port", a.port}, {"file", printable(a.file)}, {"why", printable(a.why)}};
             },
             [](const pxe::Silence& s) {
                 return json::object{{"why", printable(s.why)}};
             },
             [](const pxe::Transfer& t) { return transfer_json(t); },
             [](const pxe::ScriptGiven& s) {
                 return json::object{{"agent", s.agent}};
             },
             [](const pxe::TlsRefused& t) {
                 return json::object{{"why", printable(t.why)}};
             },
             [](const pxe::Trouble& t) {
                 json::object out{{"what", printable(t.text)}};
                 if (t.clock) out["clock"] = iso8601(*t.clock);
                 return out;
             },
             [](const pxe::Enrolment& e) {
                 json::object out;
                 if (!e.error.empty()) out["error"] = {{"name", e.error}, {"message", printable(e.text)}};
                 return out;
             },
             [](const pxe::Ready& r) {
                 return json::object{{"version", printable(r.version)}};
             },
             [](const pxe::Uploaded& u) {
                 return json::object{{"file", printable(u.file)}, {"bytes", u.bytes}};
             }},
        detail);
}

std::string device_of_mac(const TracePlace& p, const MacAddress& mac) {
    auto device = p.db.device_by_mac(mac);
    return device && *device ? (*device)->name : std::string();
}

// A MAC, or a device: then of its cards the one heard last.
Result<MacAddress> machine_of(const TracePlace& p, const std::string& text) {
    if (auto mac = MacAddress::parse(text)) return *mac;
    auto device = TRY(p.db.device(text));
    if (!device) return make_error(errors::kNoDevice, "'{}' is neither a MAC address nor a device", printable(text));
    std::optional<MacAddress> best;
    std::uint64_t latest = 0;
    for (const auto& name : device->macs) {
        auto mac = MacAddress::parse(name);
        if (!mac) continue;
        auto events = p.log.of(*mac);
        auto last = events.empty() ? 0 : events.back().id;
        if (!best || last > latest) best = mac;
        latest = std::max(latest, last);
    }
    if (!best) return make_error(errors::kNoDevice, "the device '{}' has no MAC address", device->name);
    return *best;
}

bool boots(const std::vector<pxe::BootEvent>& events) {
    return std::any_of(events.begin(), events.end(), [](const pxe::BootEvent& e) {
        const auto* heard = std::get_if<pxe::Heard>(&e.detail);
        if (heard) return heard->boots;
        return !std::holds_alternative<pxe::Overheard>(e.detail) && !std::holds_alternative<pxe::Uploaded>(e.detail);
    });
}

json::object hearing_json(const TracePlace& p) {
    auto deaf = p.deaf();
    json::object out{{"other_servers", deaf.empty()}};
    if (!deaf.empty()) out["why"] = deaf;
    json::array rogues;
    for (const auto& r : p.rogues ? p.rogues() : std::vector<pxe::Rogue>())
        rogues.push_back({{"server", r.server.text()},
                          {"interface", r.interface},
                          {"addresses", r.addresses},
                          {"boots", r.boots},
                          {"last", iso8601(r.last)},
                          {"text", pxe::describe(r)}});
    out["rogues"] = std::move(rogues);
    return out;
}

Answer list(const TracePlace& p) {
    json::array items;
    auto now = p.clock.wall();
    BootKnowledge knowledge(p);
    for (const auto& mac : p.log.machines()) {
        auto events = p.log.of(mac);
        if (!boots(events)) continue;  // a machine that only renews its address
        auto context = knowledge.of(mac, false);
        auto item = diagnosis_json(pxe::diagnose(events, now, context));
        item["mac"] = mac.text();
        if (!context.device.empty()) item["device"] = context.device;
        item["last"] = iso8601(events.back().time);
        items.push_back(std::move(item));
    }
    return json_response(200, json::object{{"items", std::move(items)}, {"hearing", hearing_json(p)}});
}

Answer one(const TracePlace& p, const Request& r) {
    auto mac = TRY(machine_of(p, r.parameter("machine")));
    auto context = BootKnowledge(p).of(mac, true);
    context.stopped = r.query_value("stopped") == "1";
    if (auto seconds = parse_u64(r.query_value("since")); seconds && *seconds < std::uint64_t{366} * 86400)
        context.since = p.clock.wall() - std::chrono::seconds(*seconds);
    auto events = p.log.of(mac);
    auto out = diagnosis_json(pxe::diagnose(events, p.clock.wall(), context));
    out["mac"] = mac.text();
    if (!context.device.empty()) out["device"] = context.device;
    json::array items;
    for (const auto& e : events)
        if (!context.since || e.time >= *context.since) items.push_back(event_json(e));
    out["items"] = std::move(items);
    out["hearing"] = hearing_json(p);
    return json_response(200, out);
}

void news(const TracePlace& p, const Request& r, const http::Responder& out) {
    std::optional<MacAddress> mac;
    if (auto text = r.query_value("machine"); !text.empty()) {
        auto found = machine_of(p, text);
        if (!found) return out.send(error_response(found.error()));
        mac = *found;
    }
    // Without `after`: from now on.
    auto given = parse_u64(r.query_value("after"));
    auto wait = std::min(kMaxWait, parse_u64(r.query_value("wait")).value_or(0));
    auto after = given ? *given : p.log.last_id();
    if (!given) wait = 0;
    p.log.wait(after, mac, std::chrono::seconds(wait), [p, out](pxe::TraceLog::News news) {
        json::array items;
        for (const auto& e : news.events) {
            auto item = event_json(e);
            if (auto device = device_of_mac(p, e.mac); !device.empty()) item["device"] = device;
            items.push_back(std::move(item));
        }
        out.send(json_response(
            200, json::object{{"items", std::move(items)}, {"last", news.last}, {"hearing", hearing_json(p)}}));
    });
}

}  // namespace

json::object event_json(const pxe::BootEvent& event) {
    json::object out{
        {"id", event.id},          {"time", iso8601(event.time)},        {"ms", unix_milliseconds(event.time)},
        {"mac", event.mac.text()}, {"kind", pxe::kind_of(event.detail)}, {"text", pxe::describe(event.detail)}};
    for (auto& [key, value] : detail_json(event.detail)) out[key] = std::move(value);
    return out;
}

json::object diagnosis_json(const pxe::Diagnosis& d) {
    json::object out{{"outcome", pxe::name_of(d.outcome)}, {"reached", pxe::name_of(d.reached)}, {"boots", d.attempts}};
    if (d.begun) out["begun"] = iso8601(*d.begun);
    if (!d.finding) return out;
    out["finding"] = {{"id", d.finding->row->id},
                      {"hop", pxe::name_of(d.finding->row->hop)},
                      {"title", d.finding->row->title},
                      {"message", d.finding->text},
                      {"advice", d.finding->row->advice},
                      {"evidence", json::array(d.finding->evidence.begin(), d.finding->evidence.end())}};
    return out;
}

void add_trace_routes(http::Router& router, const TracePlace& p) {
    router.add("GET", "/api/v1/netboot/traces", handler([p](const Request&) { return list(p); }));
    router.add("GET", "/api/v1/netboot/traces/{machine}", handler([p](const Request& r) { return one(p, r); }));
    router.add("GET", "/api/v1/netboot/events", [p](const Request& r, const http::Responder& out) { news(p, r, out); });
}

}  // namespace slipway::server
