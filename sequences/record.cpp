// SPDX-License-Identifier: GPL-3.0-or-later
// RunRecord <-> JSON, for the database.
#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "sequences/engine.hpp"
#include "sequences/errors.hpp"

namespace slipway::sequences {

namespace json = boost::json;

static constexpr std::string_view kStepNames[] = {"waiting", "dispatched", "running", "done", "failed", "skipped"};
static constexpr std::string_view kRunNames[] = {"queued", "running", "done", "failed", "cancelled"};

std::string_view name_of(StepState state) { return kStepNames[static_cast<int>(state)]; }
std::string_view name_of(RunState state) { return kRunNames[static_cast<int>(state)]; }

template <typename T, std::size_t N>
static std::optional<T> value_named(const std::string_view (&names)[N], std::string_view text) {
    for (std::size_t i = 0; i < N; ++i)
        if (names[i] == text) return static_cast<T>(i);
    return std::nullopt;
}

// One list of members for both directions.
template <typename Archive, typename Record>
static void members(Archive&& a, Record& s) {
    a("attempt", s.attempt);
    a("tries", s.tries);
    a("started", s.started_ms);
    a("ended", s.ended_ms);
    a("deadline", s.deadline_ms);
    a("not_before", s.not_before_ms);
    a("agent_lost", s.agent_lost);
    a("losses", s.losses);
    a("done", s.progress_done);
    a("total", s.progress_total);
    a("what", s.progress_what);
    a("result", s.result);
}

static json::object to_object(const StepRecord& s) {
    json::object o{{"state", name_of(s.state)}};
    members([&](const char* name, const auto& value) { o[name] = value; }, s);
    if (s.error)
        o["error"] = {{"name", s.error->name},
                      {"message", s.error->message},
                      {"next_step", s.error->next_step},
                      {"temporary", s.error->temporary}};
    return o;
}

std::string to_json(const StepRecord& step) { return json::serialize(to_object(step)); }

std::string to_json(const RunRecord& run) {
    json::array steps;
    for (const auto& s : run.steps) steps.push_back(to_object(s));
    return json::serialize(
        json::object{{"state", name_of(run.state)}, {"current", run.current}, {"steps", std::move(steps)}});
}

namespace {

// Reads members of one object; the first that is missing or of another type makes it fail.
struct Reader {
    const json::object& object;
    bool& failed;

    template <typename T>
    void operator()(const char* name, T& out) const {
        const auto* value = object.if_contains(name);
        if (!value) {
            failed = true;
        } else if constexpr (std::is_same_v<T, std::string>) {
            if (const auto* text = value->if_string()) out = std::string(*text);
            else failed = true;
        } else if constexpr (std::is_same_v<T, bool>) {
            if (const auto* flag = value->if_bool()) out = *flag;
            else failed = true;
        } else {
            json::error_code ec;
            out = value->to_number<T>(ec);
            if (ec) failed = true;
        }
    }
};

bool read_step(const json::value& value, StepRecord& s) {
    const auto* object = value.if_object();
    if (!object) return false;
    bool failed = false;
    Reader read{*object, failed};
    std::string state;
    read("state", state);
    auto known = value_named<StepState>(kStepNames, state);
    members(read, s);
    if (const auto* e = object->if_contains("error"); e && e->is_object()) {
        Reader error{e->get_object(), failed};
        s.error.emplace();
        error("name", s.error->name);
        error("message", s.error->message);
        error("next_step", s.error->next_step);
        error("temporary", s.error->temporary);
    }
    if (known) s.state = *known;
    return known && !failed;
}

}  // namespace

Result<RunRecord> run_from_json(std::string_view text) {
    auto bad = [](std::string_view what) { return make_error(errors::kBadRecord, "{}", what); };
    json::error_code ec;
    auto value = json::parse(json::string_view(text.data(), text.size()), ec);
    if (ec || !value.is_object()) return bad("not a JSON object");
    bool failed = false;
    Reader read{value.get_object(), failed};
    RunRecord run;
    std::string state;
    read("state", state);
    read("current", run.current);
    const auto* steps = value.get_object().if_contains("steps");
    auto known = value_named<RunState>(kRunNames, state);
    if (failed || !known || !steps || !steps->is_array()) return bad("state, current and steps are needed");
    run.state = *known;
    for (const auto& s : steps->get_array())
        if (!read_step(s, run.steps.emplace_back())) return bad(fmt::format("step {}", run.steps.size() - 1));
    if (run.current > run.steps.size()) return bad("current is past the end");
    return run;
}

}  // namespace slipway::sequences
