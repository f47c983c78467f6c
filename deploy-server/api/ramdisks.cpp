// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/ramdisks.hpp"

#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

namespace {

constexpr std::uint64_t kMaxWait = 30;  // s

json::array missing_json(const builder::DriverCheck& check, const std::string& kernel) {
    json::array out;
    for (const auto& m : check.missing)
        out.push_back({{"kind", m.kind == builder::MissingDriver::Kind::Network ? "network" : "storage"},
                       {"id", printable(m.id)},
                       {"modalias", printable(m.modalias)},
                       {"name", printable(m.name)},
                       {"fatal", m.fatal},
                       {"why", m.why},
                       {"advice", m.fatal ? printable(builder::advice(m, kernel)) : std::string()}});
    return out;
}

json::object ramdisk_json(const Ramdisks& ramdisks, const RamdiskEntry& e, bool whole) {
    json::object out;
    if (e.report) {
        out = parse_object(builder::to_json(*e.report)).value_or({});
        // Where the server keeps it is nobody's business.
        for (const char* own : {"kernel", "ramdisk", "built", "by", "libraries"}) out.erase(own);
        out["module_count"] = e.report->modules.size();
        if (!whole)
            for (const char* part : {"modules", "firmware", "notes"}) out.erase(part);
    }
    out["name"] = e.name;
    out["state"] = name_of(e.state);
    out["source"] = e.source;
    auto path = kSharedRamdisks.contains(e.name) ? "ramdisk/" + e.name : ramdisks.choice(e.name);
    out["boots"] = e.state == RamdiskState::Refused ? std::string() : path.substr(path.rfind('/') + 1);
    out["error"] = e.error;
    out["missing"] = missing_json(e.drivers, ramdisks.kernel_version());
    return out;
}

json::object list_json(const Ramdisks& ramdisks) {
    json::array items;
    for (const auto& e : ramdisks.list()) items.push_back(ramdisk_json(ramdisks, e, false));
    return {{"kernel_version", ramdisks.kernel_version()}, {"items", std::move(items)}};
}

Answer build(Database& db, Ramdisks& ramdisks, const Request& r) {
    json::object body;
    if (!r.body.empty()) body = TRY(parse_object(r.body));
    auto name = TRY(optional_text(body, "device"));
    if (!name) {
        ramdisks.rebuild();
    } else {
        auto device = TRY(db.device(*name));
        if (!device) return make_error(errors::kNoDevice, "no device '{}'", printable(*name));
        ramdisks.rebuild(*name);
    }
    return json_response(202, list_json(ramdisks));
}

// `?wait=SECONDS`: once nothing is to be made any more, or after that time, on a thread of its own.
void answer_when_idle(Ramdisks& ramdisks, LongCalls& calls, const Request& r, const http::Responder& out,
                      std::function<Answer()> answer) {
    auto say = [out, answer = std::move(answer)] {
        auto made = answer();
        out.send(made ? std::move(*made) : error_response(made.error()));
    };
    auto wait = std::min(kMaxWait, parse_u64(r.query_value("wait")).value_or(0));
    if (!wait) return say();
    calls.run([&ramdisks, wait, say](const std::atomic<bool>& cancel) {
        (void)ramdisks.wait_idle(std::chrono::seconds(wait), &cancel);
        say();
    });
}

}  // namespace

void add_ramdisk_routes(http::Router& router, Database& db, Ramdisks& ramdisks, LongCalls& calls) {
    router.add("GET", "/api/v1/agent/ramdisks", [&](const Request& r, const http::Responder& out) {
        answer_when_idle(ramdisks, calls, r, out, [&]() -> Answer { return json_response(200, list_json(ramdisks)); });
    });
    router.add("POST", "/api/v1/agent/ramdisks", handler([&](const Request& r) { return build(db, ramdisks, r); }));
    router.add("GET", "/api/v1/agent/ramdisks/{name}", [&](const Request& r, const http::Responder& out) {
        answer_when_idle(ramdisks, calls, r, out, [&, name = r.parameter("name")]() -> Answer {
            auto entry = ramdisks.find(name);
            if (!entry) return make_error(errors::kNoRamdisk, "no ramdisk '{}'", printable(name));
            return json_response(200, ramdisk_json(ramdisks, *entry, true));
        });
    });
}

}  // namespace slipway::server
