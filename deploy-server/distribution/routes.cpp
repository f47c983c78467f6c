// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/routes.hpp"

#include <algorithm>

#include "deploy-server/api/answer.hpp"
#include "deploy-server/api/api.hpp"
#include "deploy-server/distribution/errors.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using http::Request;

namespace {

std::string_view name_of(multicast::SessionState state) {
    using multicast::SessionState;
    switch (state) {
        case SessionState::Waiting: return "waiting";
        case SessionState::Sending: return "sending";
        case SessionState::Asking: return "asking";
        case SessionState::Idle: return "idle";
        case SessionState::Over: return "over";
    }
    return "";
}

std::string_view name_of(multicast::AsideReason reason) {
    using multicast::AsideReason;
    switch (reason) {
        case AsideReason::None: return "";
        case AsideReason::Loss: return "loss";
        case AsideReason::Disk: return "disk";
        case AsideReason::Silent: return "silent";
        case AsideReason::Asked: return "asked";
        case AsideReason::Vain: return "vain";
        case AsideReason::Mute: return "mute";
    }
    return "";
}

std::string ports_text(const DistributionSettings& s) {
    if (s.report_first == 0) return "";
    if (s.report_first == s.report_last) return std::to_string(s.report_first);
    return fmt::format("{}-{}", s.report_first, s.report_last);
}

json::object settings_json(const DistributionSettings& s) {
    json::array limits, windows;
    for (const auto& l : s.limits) limits.push_back({{"interface", l.interface.text()}, {"rate", l.rate}});
    for (const auto& w : s.windows)
        windows.push_back({{"from", day_minute_text(w.from)}, {"to", day_minute_text(w.to)}, {"rate", w.rate}});
    return {{"limits", std::move(limits)},
            {"windows", std::move(windows)},
            {"multicast", s.multicast},
            {"adaptive", s.adaptive},
            {"rate", s.rate},
            {"group", s.group.is_zero() ? "" : s.group.text()},
            {"port", s.port},
            {"report_ports", ports_text(s)},
            {"ttl", s.ttl},
            {"interface", s.interface.is_zero() ? "" : s.interface.text()},
            {"wait_seconds", s.wait_seconds},
            {"start_machines", s.start_machines}};
}

// What of the settings cannot hold as this machine is now.
json::array warnings_of(const DistributionSettings& s) {
    json::array out;
    if (!s.interface.is_zero() && !multicast::segment_of(s.interface))
        out.push_back(jview(fmt::format(
            "no interface of the server has the address {}: every machine is served by unicast until one has it",
            s.interface.text())));
    for (const auto& l : s.limits)
        if (!multicast::segment_of(l.interface))
            out.push_back(
                jview(fmt::format("{} is the address of none of this server's interfaces that are up: its limit holds "
                                  "for nothing until one has it",
                                  l.interface.text())));
    return out;
}

json::object session_json(const Distribution::View& view, const HeardBook& heard) {
    json::array machines;
    for (const auto& m : view.look.members) {
        json::object machine{{"device", jview(m.name)}, {"lacking", m.lacking},
                             {"present", m.present},    {"unicast", jview(name_of(m.aside))},
                             {"loss", m.view.loss},     {"written", std::uint64_t{m.view.written_kib} * 1024}};
        const auto task = view.tasks.find(m.number);
        if (const auto told = task == view.tasks.end() ? std::nullopt : heard.of(task->second)) {
            machine["heard_bytes"] = told->bytes;
            machine["lost_packets"] = told->lost;
            machine["repaired_symbols"] = told->repaired;
        }
        machines.push_back(std::move(machine));
    }
    const auto& c = view.look.counts;
    return {{"job", view.job},
            {"image", view.image},
            {"group", view.group.group.text()},
            {"port", view.group.port},
            {"interface", view.interface.text()},
            {"report_port", view.report_port},
            {"state", jview(name_of(view.look.state))},
            {"round", view.look.round},
            {"rate", view.look.rate},
            {"ceiling", view.ceiling},
            {"chunks", view.chunks},
            {"sent_bytes", c.bytes},
            {"repair_symbols", c.repair_symbols},
            {"ahead_symbols", c.ahead_symbols},
            {"refused_packets", c.forged + c.replayed + c.malformed},
            {"devices", std::move(machines)}};
}

Answer show(Distribution& d) {
    json::array sessions, unicast;
    for (const auto& view : d.sessions()) sessions.push_back(session_json(view, d.heard()));
    for (const auto& u : d.unicasts())
        unicast.push_back({{"job", u.job},
                           {"device", u.device},
                           {"interface", u.interface.text()},
                           {"ceiling", u.ceiling},
                           {"bytes", u.bytes}});
    const auto settings = d.settings();
    json::object out{
        {"settings", settings_json(settings)}, {"sessions", std::move(sessions)}, {"unicast", std::move(unicast)}};
    if (auto warnings = warnings_of(settings); !warnings.empty()) out["warnings"] = std::move(warnings);
    if (const auto* window = d.window_now(settings)) out["window"] = window - settings.windows.data();
    return json_response(200, out);
}

Result<std::int64_t> number_in(const json::object& o, const char* name, std::int64_t now, std::int64_t least,
                               std::int64_t most) {
    const auto number = TRY(optional_number(o, name)).value_or(now);
    if (number < least || number > most) return make_error(errors::kBadRequest, "'{}' is {} to {}", name, least, most);
    return number;
}

constexpr std::int64_t kMaxRate = 1'000'000'000'000;  // a terabit
constexpr std::int64_t kLeastRate = 100'000;          // by less a chunk takes minutes: a unit was forgotten

// now: when none is given; none: what stands for no ceiling may be given.
Result<std::uint64_t> rate_in(const json::object& o, std::int64_t now, bool none = true) {
    const auto rate = TRY(number_in(o, "rate", now, none ? 0 : 1, kMaxRate));
    if (rate > 0 && rate < kLeastRate && o.contains("rate")) {
        // "100" for 100M, "50k" for 50M.
        const auto meant = rate % 1000 == 0 ? fmt::format("{}M", rate / 1000) : fmt::format("{}M", rate);
        return Error(std::string(errors::kRate.name), fmt::format("a rate of {} bit/s is below 100 kbit/s", rate),
                     fmt::format("Was {} meant? {}", meant, errors::kRate.next_step), false);
    }
    return static_cast<std::uint64_t>(rate);
}

// Lists are given whole.
Result<const json::array*> list_in(const json::object& o, const char* name, std::size_t most) {
    const auto* value = o.if_contains(name);
    if (!value || value->is_null()) return static_cast<const json::array*>(nullptr);
    if (!value->is_array() || value->get_array().size() > most ||
        !std::all_of(value->get_array().begin(), value->get_array().end(), [](const auto& v) { return v.is_object(); }))
        return make_error(errors::kBadRequest, "'{}' is no list of at most {} objects", name, most);
    return &value->get_array();
}

constexpr std::size_t kMostLimits = 64, kMostWindows = 16;

Status read_limits(const json::object& o, DistributionSettings& s) {
    const auto* list = TRY(list_in(o, "limits", kMostLimits));
    if (!list) return {};
    std::vector<InterfaceLimit> limits;
    for (const auto& item : *list) {
        const auto text = TRY(required_text(item.get_object(), "interface"));
        const auto address = IpAddress::parse(text);
        if (!address) return make_error(errors::kBadRequest, "'{}' is no address", printable(text));
        const auto rate = TRY(rate_in(item.get_object(), -1, false));
        const auto same = [&](const auto& l) { return l.interface == *address; };
        if (std::any_of(limits.begin(), limits.end(), same))
            return make_error(errors::kBadRequest, "{} has two limits", text);
        limits.push_back({*address, rate});
    }
    s.limits = std::move(limits);
    return {};
}

Status read_windows(const json::object& o, DistributionSettings& s) {
    const auto* list = TRY(list_in(o, "windows", kMostWindows));
    if (!list) return {};
    std::vector<RateWindow> windows;
    for (const auto& item : *list) {
        RateWindow window;
        for (auto [name, into] : {std::pair{"from", &window.from}, std::pair{"to", &window.to}}) {
            const auto text = TRY(required_text(item.get_object(), name));
            const auto minute = parse_day_minute(text);
            if (!minute) return make_error(errors::kBadRequest, "'{}' is no time of day as 22:00", printable(text));
            *into = *minute;
        }
        window.rate = TRY(rate_in(item.get_object(), -1));
        windows.push_back(window);
    }
    s.windows = std::move(windows);
    return {};
}

Status read_place(const json::object& o, DistributionSettings& s) {
    if (const auto text = TRY(optional_text(o, "group"))) {
        const auto group = text->empty() ? IpAddress{} : IpAddress::parse(*text);
        if (!group || !(text->empty() || multicast::is_first_group(*group)))
            return make_error(
                errors::kBadRequest,
                "'{}' is no multicast address that 4096 groups can begin with: beyond 224.0.0.0/24, or of IPv6 a "
                "transient one as ff15::8481:0",
                printable(*text));
        s.group = *group;
    }
    if (const auto text = TRY(optional_text(o, "interface"))) {
        const auto address = text->empty() ? IpAddress{} : IpAddress::parse(*text);
        if (!address) return make_error(errors::kBadRequest, "'{}' is no address", printable(*text));
        s.interface = *address;
    }
    if (!s.group.is_zero() && !s.interface.is_zero() && s.group.is_v4() != s.interface.is_v4())
        return make_error(errors::kBadRequest, "the group {} cannot be sent to from {}: they are of two families",
                          s.group.text(), s.interface.text());
    return {};
}

// "8482-8581", "8482", or empty: any. Those below 1024 are root's, which the server is not when a session begins.
Status read_report_ports(const json::object& o, DistributionSettings& s) {
    const auto text = TRY(optional_text(o, "report_ports"));
    if (!text) return {};
    const auto dash = text->find('-');
    const auto first = text->empty() ? 0 : parse_u64(std::string_view(*text).substr(0, dash));
    const auto last = dash == std::string::npos ? first : parse_u64(std::string_view(*text).substr(dash + 1));
    if (!first || !last || *last < *first || *last > 65535 || (!text->empty() && *first < 1024))
        return make_error(errors::kBadRequest, "'{}' are no ports as 8482-8581, from 1024 to 65535", printable(*text));
    s.report_first = static_cast<std::uint16_t>(*first);
    s.report_last = static_cast<std::uint16_t>(*last);
    return {};
}

Answer change(Distribution& d, const Request& r) {
    const auto o = TRY(parse_object(r.body));
    auto s = d.settings();
    for (const auto& [name, value] : o)
        if (!settings_json(s).contains(name))
            return make_error(errors::kBadRequest, "there is no setting '{}'", printable(std::string_view(name)));
    s.multicast = TRY(optional_flag(o, "multicast")).value_or(s.multicast);
    s.adaptive = TRY(optional_flag(o, "adaptive")).value_or(s.adaptive);
    s.rate = TRY(rate_in(o, static_cast<std::int64_t>(s.rate)));
    s.port = static_cast<std::uint16_t>(TRY(number_in(o, "port", s.port, 1, 65535)));
    s.ttl = static_cast<unsigned>(TRY(number_in(o, "ttl", s.ttl, 1, 255)));
    s.wait_seconds = static_cast<unsigned>(TRY(number_in(o, "wait_seconds", s.wait_seconds, 0, 86400)));
    s.start_machines = static_cast<unsigned>(TRY(number_in(o, "start_machines", s.start_machines, 0, 1'000'000)));
    TRY(read_place(o, s));
    TRY(read_report_ports(o, s));
    TRY(read_limits(o, s));
    TRY(read_windows(o, s));
    TRY(d.set(s));
    auto out = settings_json(s);
    if (auto warnings = warnings_of(s); !warnings.empty()) out["warnings"] = std::move(warnings);
    return json_response(200, out);
}

Answer throttle(Distribution& d, const Request& r) {
    const auto id = parse_u64(r.parameter("id"));
    if (!id) return make_error(errors::kNoJob, "'{}'", printable(r.parameter("id")));
    const auto o = TRY(parse_object(r.body));
    const auto rate = TRY(rate_in(o, -1));
    const auto whole = TRY(d.throttle(static_cast<std::int64_t>(*id), rate));
    return json_response(200, json::object{{"rate", rate}, {"job", whole}});
}

}  // namespace

json::array multicast_of_job(Distribution& d, std::int64_t job) {
    json::array out;
    for (const auto& view : d.sessions())
        if (view.job == job) out.push_back(session_json(view, d.heard()));
    return out;
}

void add_distribution_routes(http::Router& router, Distribution& d) {
    router.add("GET", "/api/v1/distribution", handler([&d](const Request&) { return show(d); }));
    router.add("PATCH", "/api/v1/distribution", handler([&d](const Request& r) { return change(d, r); }));
    router.add("POST", "/api/v1/jobs/{id}/throttle", handler([&d](const Request& r) { return throttle(d, r); }));
}

}  // namespace slipway::server
