// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/channel/messages.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/channel/errors.hpp"

namespace slipway::channel {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxLogLines = 1000, kMaxLogLine = 4096;

Result<json::object> parse_object(std::string_view text) {
    if (text.size() > kMaxMessage) return make_error(errors::kBadMessage, "a message of {} bytes", text.size());
    boost::system::error_code failed;
    auto value = json::parse(json::string_view(text.data(), text.size()), failed);
    if (failed) return make_error(errors::kBadMessage, "not JSON: {}", failed.message());
    if (!value.is_object()) return make_error(errors::kBadMessage, "not a JSON object");
    return std::move(value.get_object());
}

Result<std::string> text_of(const json::object& object, std::string_view key, bool required = true) {
    const auto* value = object.if_contains(key);
    if (!value && !required) return std::string();
    const auto* text = value ? value->if_string() : nullptr;
    if (!text) return make_error(errors::kBadMessage, "member '{}' is {}", key, value ? "not text" : "missing");
    return std::string(*text);
}

Result<std::uint64_t> number_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    if (!value) return std::uint64_t{0};
    boost::system::error_code failed;
    auto number = value->is_number() ? value->to_number<std::uint64_t>(failed) : 0;
    if (failed || !value->is_number()) return make_error(errors::kBadMessage, "member '{}' is not a count", key);
    return number;
}

bool truth_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value && value->is_bool() && value->get_bool();
}

json::value value_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value ? *value : json::value();
}

json::object error_object(const Error& error) {
    return {{"name", error.name()},
            {"message", error.describe()},
            {"next_step", error.next_step()},
            {"temporary", error.temporary()}};
}

// Nothing when it is no error.
std::optional<Error> error_from(const json::value& value) {
    const auto* object = value.if_object();
    if (!object) return std::nullopt;
    auto name = text_of(*object, "name"), message = text_of(*object, "message"),
         next_step = text_of(*object, "next_step", false);
    if (!name || !message || !next_step) return std::nullopt;
    return Error(*name, *message, *next_step, truth_of(*object, "temporary"));
}

}  // namespace

std::string_view name_of(TaskState state) {
    switch (state) {
        case TaskState::Running: return "running";
        case TaskState::Done: return "done";
        case TaskState::Failed: return "failed";
        case TaskState::Losses: return "losses";
    }
    return "?";
}

std::string render(const Enroll& m) {
    return json::serialize(
        json::object{{"token", m.token}, {"csr_pem", m.csr_pem}, {"mac", m.mac}, {"hardware", m.hardware}});
}
std::string render(const Enrolled& m) {
    return json::serialize(json::object{{"certificate_pem", m.certificate_pem}, {"device", m.device}});
}
std::string render(const Hello& m) {
    return json::serialize(json::object{{"device", m.device},
                                        {"boot_id", m.boot_id},
                                        {"version", m.version},
                                        {"kind", m.kind},
                                        {"memory_bytes", m.memory_bytes},
                                        {"hardware", m.hardware}});
}
std::string render(const HelloAnswer& m) { return json::serialize(json::object{{"poll_seconds", m.poll_seconds}}); }
std::string render(const Poll& m) { return json::serialize(json::object{{"boot_id", m.boot_id}}); }

std::string render(const std::optional<Task>& task) {
    if (!task) return "{}";
    json::object parameters;
    for (const auto& [name, value] : task->parameters) parameters[name] = value;
    return json::serialize(
        json::object{{"task", json::object{{"key", task->key}, {"type", task->type}, {"parameters", parameters}}}});
}

std::string render(const Report& m) {
    json::object out{{"key", m.key}, {"boot_id", m.boot_id}, {"state", std::string(name_of(m.state))}};
    if (m.progress)
        out["progress"] = {{"done", m.progress->done}, {"total", m.progress->total}, {"what", m.progress->what}};
    if (const auto& c = m.multicast)
        out["multicast"] = {{"bytes", c->bytes},
                            {"packets", c->packets},
                            {"lost", c->lost},
                            {"repaired", c->repaired},
                            {"lacking", c->lacking}};
    if (!m.log.empty()) out["log"] = json::array(m.log.begin(), m.log.end());
    if (!m.result.empty()) out["result"] = m.result;
    if (m.error) out["error"] = error_object(*m.error);
    return json::serialize(out);
}
std::string render(const ReportAnswer& m) { return json::serialize(json::object{{"cancel", m.cancel}}); }
std::string render_error(const Error& error) { return json::serialize(json::object{{"error", error_object(error)}}); }

Result<Enroll> parse_enroll(std::string_view text) {
    auto object = TRY(parse_object(text));
    Enroll m;
    m.token = TRY(text_of(object, "token"));
    m.csr_pem = TRY(text_of(object, "csr_pem"));
    m.mac = TRY(text_of(object, "mac", false));
    m.hardware = value_of(object, "hardware");
    return m;
}
Result<Enrolled> parse_enrolled(std::string_view text) {
    auto object = TRY(parse_object(text));
    Enrolled m;
    m.certificate_pem = TRY(text_of(object, "certificate_pem"));
    m.device = TRY(text_of(object, "device"));
    return m;
}
Result<Hello> parse_hello(std::string_view text) {
    auto object = TRY(parse_object(text));
    Hello m;
    m.device = TRY(text_of(object, "device"));
    m.boot_id = TRY(text_of(object, "boot_id"));
    m.version = TRY(text_of(object, "version", false));
    m.kind = TRY(text_of(object, "kind"));
    if (m.kind != "da" && m.kind != "administration")
        return make_error(errors::kBadMessage, "an agent of kind '{}'", printable(m.kind));
    m.memory_bytes = TRY(number_of(object, "memory_bytes"));
    m.hardware = value_of(object, "hardware");
    return m;
}
Result<HelloAnswer> parse_hello_answer(std::string_view text) {
    auto object = TRY(parse_object(text));
    auto seconds = TRY(number_of(object, "poll_seconds"));
    return HelloAnswer{static_cast<unsigned>(std::clamp<std::uint64_t>(seconds, 1, 60))};
}
Result<Poll> parse_poll(std::string_view text) {
    auto object = TRY(parse_object(text));
    return Poll{TRY(text_of(object, "boot_id"))};
}

Result<std::optional<Task>> parse_task(std::string_view text) {
    auto object = TRY(parse_object(text));
    const auto* value = object.if_contains("task");
    if (!value || value->is_null()) return std::optional<Task>();
    const auto* inner = value->if_object();
    if (!inner) return make_error(errors::kBadMessage, "'task' is not an object");
    Task task;
    task.key = TRY(text_of(*inner, "key"));
    task.type = TRY(text_of(*inner, "type"));
    if (const auto* parameters = inner->if_contains("parameters")) {
        if (!parameters->is_object()) return make_error(errors::kBadMessage, "'parameters' is not an object");
        for (const auto& [name, parameter] : parameters->get_object()) {
            if (!parameter.is_string()) return make_error(errors::kBadMessage, "a parameter is not text");
            task.parameters[std::string(name)] = std::string(parameter.get_string());
        }
    }
    return std::optional(std::move(task));
}

Result<Report> parse_report(std::string_view text) {
    auto object = TRY(parse_object(text));
    Report m;
    m.key = TRY(text_of(object, "key"));
    m.boot_id = TRY(text_of(object, "boot_id"));
    auto state = TRY(text_of(object, "state"));
    bool known = false;
    for (auto s : {TaskState::Running, TaskState::Done, TaskState::Failed, TaskState::Losses})
        if (state == name_of(s)) {
            m.state = s;
            known = true;
        }
    if (!known) return make_error(errors::kBadMessage, "a task in state '{}'", printable(state));
    if (const auto* progress = object.if_contains("progress")) {
        const auto* p = progress->if_object();
        if (!p) return make_error(errors::kBadMessage, "'progress' is not an object");
        m.progress = Progress{TRY(number_of(*p, "done")), TRY(number_of(*p, "total")),
                              printable(TRY(text_of(*p, "what", false)))};
    }
    if (const auto* multicast = object.if_contains("multicast")) {
        const auto* c = multicast->if_object();
        if (!c) return make_error(errors::kBadMessage, "'multicast' is not an object");
        m.multicast =
            MulticastCounts{TRY(number_of(*c, "bytes")), TRY(number_of(*c, "packets")), TRY(number_of(*c, "lost")),
                            TRY(number_of(*c, "repaired")), TRY(number_of(*c, "lacking"))};
    }
    if (const auto* log = object.if_contains("log")) {
        if (!log->is_array()) return make_error(errors::kBadMessage, "'log' is not a list");
        for (const auto& line : log->get_array()) {
            if (!line.is_string()) return make_error(errors::kBadMessage, "a log line is not text");
            if (m.log.size() < kMaxLogLines)
                m.log.push_back(printable(std::string_view(line.get_string()).substr(0, kMaxLogLine)));
        }
    }
    if (const auto* result = object.if_contains("result"); result && result->is_object())
        m.result = result->get_object();
    if (const auto* error = object.if_contains("error")) m.error = error_from(*error);
    if (m.state == TaskState::Failed && !m.error) return make_error(errors::kBadMessage, "failed without an error");
    return m;
}

Result<ReportAnswer> parse_report_answer(std::string_view text) {
    auto object = TRY(parse_object(text));
    return ReportAnswer{truth_of(object, "cancel")};
}

Error parse_error(unsigned status, std::string_view text) {
    auto object = parse_object(text);
    if (object)
        if (const auto* inner = object->if_contains("error"))
            if (auto error = error_from(*inner)) return std::move(*error);
    return make_error(errors::kRefused, "the server answered {} without an explanation", status);
}

}  // namespace slipway::channel
