// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway distribution …` and `slipway job throttle`: how images go out.
#include <map>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

// "300M" -> 300000000, "off" -> 0.
CLI::Validator rate_text() {
    return CLI::Validator(
        [](std::string& text) -> std::string {
            if (text == "off") {
                text = "0";
                return {};
            }
            std::uint64_t unit = 1;
            auto digits = text;
            if (!digits.empty()) switch (digits.back()) {
                    case 'k':
                    case 'K': unit = 1'000; break;
                    case 'm':
                    case 'M': unit = 1'000'000; break;
                    case 'g':
                    case 'G': unit = 1'000'000'000; break;
                    default: break;
                }
            if (unit > 1) digits.pop_back();
            const auto number = parse_u64(digits);
            if (!number || *number == 0 || *number > 1'000'000'000'000 / unit)
                return "'" + text + "' is no rate: bits a second as 300M or 1G, or off";
            text = std::to_string(*number * unit);
            return {};
        },
        "RATE");
}

std::string rate_of(std::int64_t bits) {
    if (bits == 0) return "none";
    if (bits % 1'000'000 == 0) return fmt::format("{} Mbit/s", bits / 1'000'000);
    return fmt::format("{:.1f} Mbit/s", static_cast<double>(bits) / 1e6);
}

// "22:00-06:00=300M": checked here, read again by window_of().
CLI::Validator window_text() {
    return CLI::Validator(
        [](std::string& text) -> std::string {
            const auto equals = text.find('='), dash = text.find('-');
            std::string rate = equals == std::string::npos ? "" : text.substr(equals + 1);
            if (rate == "unlimited") rate = "off";
            if (dash == std::string::npos || dash > equals || !rate_text()(rate).empty())
                return "'" + text + "' is no window: HH:MM-HH:MM=RATE, or unlimited as RATE";
            text = text.substr(0, equals + 1) + rate;
            return {};
        },
        "WINDOW");
}

json::object window_of(const std::string& text) {
    const auto equals = text.find('='), dash = text.find('-');
    return {{"from", text.substr(0, dash)},
            {"to", text.substr(dash + 1, equals - dash - 1)},
            {"rate", parse_u64(text.substr(equals + 1)).value_or(0)}};
}

// "10.99.0.1=300M", or off.
CLI::Validator limit_text() {
    return CLI::Validator(
        [](std::string& text) -> std::string {
            const auto equals = text.find('=');
            std::string rate = equals == std::string::npos ? "" : text.substr(equals + 1);
            if (equals == 0 || !rate_text()(rate).empty())
                return "'" + text + "' is no limit: ADDRESS=RATE, or off as RATE";
            text = text.substr(0, equals + 1) + rate;
            return {};
        },
        "LIMIT");
}

bool flag_at(const json::value& object, const char* name) {
    const auto* value = member(object, name);
    return value && value->is_bool() && value->get_bool();
}

std::string settings_text(const json::value& s) {
    Table table({"SETTING", "VALUE"});
    table.row({"multicast", flag_at(s, "multicast") ? "on" : "off"});
    table.row({"rate", rate_of(number_at(s, "rate"))});
    table.row({"adaptive", flag_at(s, "adaptive") || number_at(s, "rate") == 0 ? "on" : "off"});
    const auto group = text_at(s, "group");
    table.row(
        {"groups", fmt::format("4096 from {} on, port {}",
                               group.empty() ? "239.255.52.0 (machines that speak IPv4) or ff15::8481:0 (IPv6)" : group,
                               number_at(s, "port"))});
    const auto reports = text_at(s, "report_ports");
    table.row({"reports", reports.empty() ? "to a UDP port of each session's own" : "to UDP ports " + reports});
    table.row({"TTL", fmt::format("{}", number_at(s, "ttl"))});
    table.row({"interface",
               text_at(s, "interface").empty() ? "the one that speaks to the machines" : text_at(s, "interface")});
    table.row({"begin with", number_at(s, "start_machines") ? fmt::format("{} machines", number_at(s, "start_machines"))
                                                            : "all machines of the job"});
    table.row({"wait for others",
               number_at(s, "wait_seconds") ? fmt::format("{} s", number_at(s, "wait_seconds")) : "no time"});
    for (const auto& l : array_at(s, "limits"))
        table.row({"limit of " + text_at(l, "interface"), rate_of(static_cast<std::int64_t>(number_at(l, "rate")))});
    for (const auto& w : array_at(s, "windows"))
        table.row({fmt::format("from {} to {}", text_at(w, "from"), text_at(w, "to")),
                   number_at(w, "rate") ? rate_of(static_cast<std::int64_t>(number_at(w, "rate"))) : "unlimited"});
    return table.text();
}

std::string warnings_text(const json::value& answer) {
    std::string text;
    for (const auto& w : array_at(answer, "warnings"))
        if (w.is_string()) text += fmt::format("warning: {}\n", std::string_view(w.get_string()));
    return text;
}

std::string why(const std::string& reason) {
    if (reason == "loss") return "unicast: it loses much more than the others";
    if (reason == "disk") return "unicast: its disk is much slower than the others'";
    if (reason == "silent") return "unicast: it was not heard any more";
    if (reason == "asked") return "unicast: it hears no multicast";
    if (reason == "vain") return "unicast: nothing that is sent reaches it";
    if (reason == "mute") return "unicast: no report of it arrives";
    return "";
}

std::string session_text(const json::value& s) {
    const auto group = text_at(s, "group");
    auto text =
        fmt::format("\njob {}: {} to {}:{} from {}: {}, round {}, {}, {} sent\n", number_at(s, "job"),
                    text_at(s, "image"), group.find(':') == std::string::npos ? group : "[" + group + "]",
                    number_at(s, "port"), text_at(s, "interface"), text_at(s, "state"), number_at(s, "round"),
                    rate_of(number_at(s, "rate")), human_bytes(static_cast<std::uint64_t>(number_at(s, "sent_bytes"))));
    Table table({"DEVICE", "LACKED", "HEARD", "LOSS", "REPAIRS", "WRITES", ""});
    for (const auto& d : array_at(s, "devices")) {
        const auto* loss = member(d, "loss");
        table.row({text_at(d, "device"), fmt::format("{} of {}", number_at(d, "lacking"), number_at(s, "chunks")),
                   member(d, "heard_bytes") ? human_bytes(number_at(d, "heard_bytes")) : "",
                   fmt::format("{:.1f} %", loss && loss->is_number() ? loss->to_number<double>() * 100 : 0.0),
                   member(d, "heard_bytes") ? fmt::format("{}", number_at(d, "repaired_symbols")) : "",
                   human_bytes(static_cast<std::uint64_t>(number_at(d, "written"))) + "/s",
                   flag_at(d, "present") ? why(text_at(d, "unicast")) : "has left"});
    }
    return text + table.text();
}

Result<ExitCode> show(const Context& context) {
    auto client = TRY(RestClient::open());
    const auto all = TRY(client.get("/distribution"));
    const auto* settings = member(all, "settings");
    auto text = (settings ? settings_text(*settings) : "") + warnings_text(all);
    const auto sessions = array_at(all, "sessions");
    for (const auto& s : sessions) text += session_text(s);
    if (sessions.empty()) text += "\nnothing is sent by multicast now\n";
    Table unicast({"BY UNICAST", "JOB", "FROM", "AT MOST", "SENT"});
    for (const auto& u : array_at(all, "unicast"))
        unicast.row({text_at(u, "device"), fmt::format("{}", number_at(u, "job")), text_at(u, "interface"),
                     rate_of(static_cast<std::int64_t>(number_at(u, "ceiling"))), human_bytes(number_at(u, "bytes"))});
    if (!unicast.empty()) text += "\n" + unicast.text();
    if (const auto* window = member(all, "window"); window && settings)
        if (const auto& windows = array_at(*settings, "windows"); number_at(all, "window") < windows.size())
            text += fmt::format("\nnow the rates of the window from {} to {} hold\n",
                                text_at(windows[number_at(all, "window")], "from"),
                                text_at(windows[number_at(all, "window")], "to"));
    context.print(text, all);
    return kExitDone;
}

struct Settings {
    std::string multicast, adaptive, group, interface, reports;
    std::optional<std::uint64_t> rate;
    std::optional<unsigned> port, ttl, wait, start;
    std::vector<std::string> limits, windows;
    bool no_windows = false;
};

// The server takes the list whole: what is not named stays as it is.
Result<json::array> limits_with(RestClient& client, const std::vector<std::string>& changes) {
    const auto all = TRY(client.get("/distribution"));
    std::map<std::string, std::uint64_t> limits;
    if (const auto* settings = member(all, "settings"))
        for (const auto& l : array_at(*settings, "limits")) limits[text_at(l, "interface")] = number_at(l, "rate");
    for (const auto& text : changes) {
        const auto equals = text.find('=');
        const auto rate = parse_u64(text.substr(equals + 1)).value_or(0);
        if (rate) limits[text.substr(0, equals)] = rate;
        else limits.erase(text.substr(0, equals));
    }
    json::array out;
    for (const auto& [interface, rate] : limits) out.push_back({{"interface", interface}, {"rate", rate}});
    return out;
}

Result<ExitCode> set(const Settings& wanted, const Context& context) {
    json::object body;
    if (!wanted.multicast.empty()) body["multicast"] = wanted.multicast == "on";
    if (!wanted.adaptive.empty()) body["adaptive"] = wanted.adaptive == "on";
    if (!wanted.group.empty()) body["group"] = wanted.group == "auto" ? "" : wanted.group;
    if (!wanted.interface.empty()) body["interface"] = wanted.interface == "auto" ? "" : wanted.interface;
    if (wanted.rate) body["rate"] = *wanted.rate;
    if (wanted.port) body["port"] = *wanted.port;
    if (!wanted.reports.empty()) body["report_ports"] = wanted.reports == "any" ? "" : wanted.reports;
    if (wanted.ttl) body["ttl"] = *wanted.ttl;
    if (wanted.wait) body["wait_seconds"] = *wanted.wait;
    if (wanted.start) body["start_machines"] = *wanted.start;
    if (!wanted.windows.empty() || wanted.no_windows) {
        json::array windows;
        for (const auto& text : wanted.windows) windows.push_back(window_of(text));
        body["windows"] = std::move(windows);
    }
    if (body.empty() && wanted.limits.empty())
        return make_error(errors::kUsage, "nothing to set is given (see --help)");
    auto client = TRY(RestClient::open());
    if (!wanted.limits.empty()) body["limits"] = TRY(limits_with(client, wanted.limits));
    const auto now = TRY(client.patch("/distribution", body));
    context.print(warnings_text(now) + settings_text(now), now);
    return array_at(now, "warnings").empty() ? kExitDone : kExitWarnings;
}

Result<ExitCode> throttle(std::uint64_t job, std::uint64_t rate, const Context& context) {
    auto client = TRY(RestClient::open());
    const auto done = TRY(client.post(fmt::format("/jobs/{}/throttle", job), json::object{{"rate", rate}}));
    // Of a machine of a group it is the group's: one session sends to all of them.
    const auto whole = number_at(done, "job") ? number_at(done, "job") : job;
    const auto text = rate ? fmt::format("what is sent for job {} goes at {} at most\n", whole,
                                         rate_of(static_cast<std::int64_t>(rate)))
                           : fmt::format("what is sent for job {} goes as the settings say\n", whole);
    context.print(whole == job ? text : fmt::format("job {} is of one machine of job {}: {}", job, whole, text), done);
    return kExitDone;
}

}  // namespace

void add_distribution_commands(CLI::App& root, Context& context) {
    auto* distribution = root.add_subcommand("distribution", "Images to many machines at once, by multicast");
    distribution->require_subcommand(1);
    on_command(*add_command(*distribution, context, "show", "Settings, and who hears what now"), context,
               [&context] { return show(context); });
    auto wanted = std::make_shared<Settings>();
    auto* change =
        add_command(*distribution, context, "set", "Change settings; sessions that run take the rate at once",
                    R"(  slipway distribution set --rate 300M
  slipway distribution set --limit 10.99.0.1=800M --window 22:00-06:00=unlimited
  slipway distribution set --multicast off
  slipway distribution set --report-ports 8482-8581
  slipway distribution set --group 239.7.0.0 --ttl 4 --interface 10.99.0.1
  slipway distribution set --group ff18::7:0 --interface auto     # by IPv6, whatever the agents' channel is
)");
    const auto on_off = CLI::IsMember({"on", "off"});
    change->add_option("--multicast", wanted->multicast, "on (default), or off: every machine is served by unicast")
        ->check(on_off);
    change
        ->add_option("--rate", wanted->rate,
                     "of each job, multicast and unicast: bits a second as 300M or 1G, 100k at least; off: no ceiling")
        ->transform(rate_text());
    change
        ->add_option("--adaptive", wanted->adaptive,
                     "on (default): below the rate, what the line carries; off: at the rate")
        ->check(on_off);
    change->add_option(
        "--group", wanted->group,
        "the first of 4096 multicast addresses, of IPv4 or IPv6 (transient ones: ff12:: to ff1e::); auto (default): "
        "239.255.52.0 or ff15::8481:0, of the family that a job's first machine speaks to the server by");
    change->add_option("--port", wanted->port, "of the groups (default 8481)");
    change->add_option("--report-ports", wanted->reports,
                       "FIRST-LAST: UDP ports of the server to which machines report what they lack, one for each "
                       "session at a time, so that a firewall can let them in; any (default)");
    change->add_option("--ttl", wanted->ttl, "hops: 1 (default): this segment alone");
    change->add_option("--interface", wanted->interface,
                       "the server's address on the segment, of the group's family, or auto; a warning (exit code 3) "
                       "when no interface of it has the address now");
    change
        ->add_option("--limit", wanted->limits,
                     "ADDRESS=RATE: of all that goes out by this address of the server, shared fairly; off as RATE "
                     "takes it away; repeat for several")
        ->transform(limit_text());
    auto* window = change
                       ->add_option("--window", wanted->windows,
                                    "HH:MM-HH:MM=RATE: in these hours of the server's day this rate, or unlimited, "
                                    "takes the place of the others; repeat for several: they replace those there are")
                       ->transform(window_text());
    change->add_flag("--no-windows", wanted->no_windows, "the same rates all day")->excludes(window);
    change->add_option(
        "--start", wanted->start,
        "a session begins when so many machines are there; 0 (default): all of the job that may still come; "
        "1: at once");
    change->add_option(
        "--wait", wanted->wait,
        "seconds for the other machines of a job after its first one has come (default 30); 0: it begins at "
        "once, and who comes later takes part in what is left");
    on_command(*change, context, [wanted, &context] { return set(*wanted, context); });
}

void add_throttle_command(CLI::App& job, Context& context) {
    struct Wanted {
        std::uint64_t job = 0, rate = 0;
    };
    auto wanted = std::make_shared<Wanted>();
    auto* app =
        add_command(job, context, "throttle", "Another rate for what is sent for a job, by multicast and unicast",
                    R"(  slipway job throttle 12 300M
  slipway job throttle 12 off
)");
    app->add_option("job", wanted->job, "its number")->required();
    app->add_option("rate", wanted->rate,
                    "bits a second as 300M or 1G, 100k at least; off: as `slipway distribution` says; it stays with "
                    "the job, also when the "
                    "server starts again and when the job is resumed")
        ->required()
        ->transform(rate_text());
    on_command(*app, context, [wanted, &context] { return throttle(wanted->job, wanted->rate, context); });
}

}  // namespace slipway::console
