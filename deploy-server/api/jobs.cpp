// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdlib>
#include <set>

#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/jobs/migration.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/fix_hal.hpp"
#include "sequences/variables.hpp"

namespace slipway::server {

using http::Request;
using http::Response;
using sequences::RunRecord;
using sequences::StepState;

Result<std::string> sequence_text(const std::filesystem::path& stored, const std::string& name) {
    if (const auto* sample = sequences::find_sample(name)) return std::string(sample->xml);
    if (!sequences::valid_name(name)) return make_error(errors::kNoSequence, "no sequence '{}'", printable(name));
    auto text = read_text_file(stored / (name + ".xml"), 1u << 20);
    if (!text) return make_error(errors::kNoSequence, "no sequence '{}'", name);
    return text;
}

Result<sequences::Values> variables_of(const json::object& body) {
    sequences::Values out;
    const auto* value = body.if_contains("variables");
    if (!value || value->is_null()) return out;
    if (!value->is_object()) return make_error(errors::kBadRequest, "'variables' is not an object");
    for (const auto& item : value->get_object()) {
        if (!item.value().is_string())
            return make_error(errors::kBadRequest, "variable '{}' is not a string",
                              std::string_view(item.key().data(), item.key().size()));
        out[std::string(item.key().data(), item.key().size())] = view(item.value().get_string());
    }
    return out;
}

namespace {

constexpr std::size_t kLogLimit = 2000;
constexpr std::int64_t kMaxWait = 30;  // s

std::string_view shown(StepState state) {
    return state == StepState::Dispatched ? "running" : sequences::name_of(state);
}

json::object step_json(const sequences::Task& task, const sequences::StepRecord& s, std::size_t index,
                       const std::string& image) {
    json::object out{{"index", index},
                     {"id", task.id},
                     {"type", task.type},
                     {"target", sequences::name_of(task.target)},
                     {"state", shown(s.state)},
                     {"attempt", s.attempt},
                     {"started", time_json(s.started_ms)},
                     {"ended", time_json(s.ended_ms)}};
    if (!image.empty()) out["image"] = image;
    if (s.agent_lost) out["agent_lost"] = true;
    if (s.losses) out["losses"] = true;
    if (s.progress_total || !s.progress_what.empty()) {
        json::object progress{{"done", s.progress_done}, {"total", s.progress_total}, {"what", s.progress_what}};
        if (const auto rate = s.progress_rate(); rate > 0 && s.state == StepState::Running) {
            progress["rate"] = rate;
            if (s.progress_total > s.progress_done)
                progress["seconds_left"] = (s.progress_total - s.progress_done + rate - 1) / rate;
        }
        out["progress"] = std::move(progress);
    }
    if (!s.result.empty())
        if (auto result = parse_object(s.result)) out["result"] = std::move(*result);
    if (s.error)
        out["error"] = {{"name", s.error->name},
                        {"message", s.error->message},
                        {"next_step", s.error->next_step},
                        {"temporary", s.error->temporary}};
    return out;
}

// The results of vmhost tasks are texts throughout.
json::value number_json(const json::value& value) {
    if (!value.is_string()) return value;
    return std::strtod(value.get_string().c_str(), nullptr);
}

void add_steps(const ApiPlace& p, const JobRow& job, json::object& out, const json::array& artifacts) {
    json::array steps;
    auto record = p.hub.record(job.id).value_or(std::nullopt).value_or(RunRecord{});
    auto parsed = sequences::parse_sequence(job.sequence_xml);
    for (std::size_t i = 0; parsed && i < parsed->sequence.tasks.size(); ++i) {
        const auto& task = parsed->sequence.tasks[i];
        auto step = i < record.steps.size() ? record.steps[i] : sequences::StepRecord{};
        steps.push_back(step_json(task, step, i, p.hub.image_of(job, record, parsed->sequence, i)));
        const auto& made = steps.back().get_object();
        if (task.type != "boot-proof" || step.state != StepState::Done || !made.contains("result")) continue;
        const auto& result = made.at("result").get_object();
        json::object proof;
        if (const auto* line = result.if_contains("line")) proof["line"] = *line;
        if (const auto* seconds = result.if_contains("seconds")) proof["seconds"] = number_json(*seconds);
        bool screen =
            std::any_of(artifacts.begin(), artifacts.end(), [](const auto& a) { return a == "screenshot.png"; });
        proof["screenshot"] = screen ? json::value("screenshot.png") : json::value(nullptr);
        out["proof"] = std::move(proof);
    }
    out["steps"] = std::move(steps);
}

Result<JobRow> find(const ApiPlace& p, const Request& r) {
    auto id = TRY(number_parameter(r, "id"));
    auto job = TRY(p.db.job(id));
    if (!job) return make_error(errors::kNoJob, "no job {}", id);
    return std::move(*job);
}

Result<std::vector<std::string>> devices_of(const ApiPlace& p, const json::object& body) {
    auto devices = TRY(optional_texts(body, "devices")).value_or(std::vector<std::string>());
    if (auto group = TRY(optional_text(body, "group")); group && !group->empty()) {
        auto groups = TRY(p.db.groups());
        auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.name == *group; });
        if (found == groups.end()) return make_error(errors::kNoGroup, "no group '{}'", printable(*group));
        devices.insert(devices.end(), found->devices.begin(), found->devices.end());
        if (devices.empty()) return make_error(errors::kBadRequest, "group '{}' is empty", *group);
    }
    std::sort(devices.begin(), devices.end());
    devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
    for (const auto& name : devices)
        if (!TRY(p.db.device(name))) return make_error(errors::kNoDevice, "no device '{}'", printable(name));
    return devices;
}

Answer created(const ApiPlace& p, const JobRequest& request, const std::function<Status()>& allowed = {}) {
    auto id = TRY(p.hub.submit(request, allowed));
    return json_response(201, job_json(p, *TRY(p.db.job(id)), true, true));
}

constexpr int kMaxDepth = 8;  // of children below children

Result<JobRequest> request_of(const ApiPlace& p, const json::object& body, int depth);

// Children in order: each begins when the one before it is done.
Result<JobRequest> chain_of(const ApiPlace& p, const json::array& children, JobRequest parent, int depth) {
    if (depth >= kMaxDepth) return make_error(errors::kBadRequest, "more than {} levels of children", kMaxDepth);
    parent.mode = JobMode::Serial;
    if (parent.name.empty()) parent.name = "jobs in order";
    for (const auto& child : children) {
        if (!child.is_object()) return make_error(errors::kBadRequest, "'children' holds something that is no object");
        parent.children.push_back(TRY(request_of(p, child.get_object(), depth + 1)));
    }
    return parent;
}

Result<JobRequest> request_of(const ApiPlace& p, const json::object& body, int depth) {
    JobRequest one;
    one.name = TRY(optional_text(body, "name")).value_or("");
    one.variables = TRY(variables_of(body));
    if (const auto* children = body.if_contains("children");
        children && children->is_array() && !children->get_array().empty())
        return chain_of(p, children->get_array(), std::move(one), depth);
    auto name = TRY(optional_text(body, "sequence"));
    auto xml = TRY(optional_text(body, "sequence_xml"));
    if (!xml && !name) return make_error(errors::kBadRequest, "'sequence', 'sequence_xml' or 'children' is needed");
    one.sequence_xml = xml ? *xml : TRY(sequence_text(p.sequences, *name));
    one.sequence_name = TRY(sequences::parse_sequence(one.sequence_xml)).sequence.name;
    if (one.name.empty()) one.name = one.sequence_name;
    auto devices = TRY(devices_of(p, body));
    const auto most = TRY(optional_number(body, "max_parallel")).value_or(0);
    if (most < 0 || most > 1'000'000) return make_error(errors::kBadRequest, "'max_parallel' is 0 (all) to 1000000");
    if (devices.size() <= 1) {
        if (!devices.empty()) one.device = devices[0];
        return one;
    }
    JobRequest parent;
    parent.name = one.name;
    parent.sequence_name = one.sequence_name;
    parent.mode = JobMode::Parallel;
    parent.max_parallel = static_cast<unsigned>(most);
    parent.variables = one.variables;
    for (const auto& device : devices) {
        auto child = one;
        child.name = one.name + ": " + device;
        child.device = device;
        parent.children.push_back(std::move(child));
    }
    return parent;
}

// What is given with a job must be of use to it, or to one below it.
Result<sequences::Names> check_given(const JobRequest& request) {
    sequences::Names known;
    if (request.mode == JobMode::Run)
        known = sequences::known_variables(TRY(sequences::parse_sequence(request.sequence_xml)).sequence);
    for (const auto& child : request.children) known.merge(TRY(check_given(child)));
    TRY(sequences::check_known(request.variables, known));
    return known;
}

Answer add(const ApiPlace& p, const Request& r) {
    auto request = TRY(request_of(p, TRY(parse_object(r.body)), 0));
    (void)TRY(check_given(request));
    return created(p, request);
}

Result<std::vector<Migration::Nic>> nics_of(const json::object& body) {
    std::vector<Migration::Nic> out;
    const auto* list = body.if_contains("nics");
    if (!list || list->is_null()) return out;
    if (!list->is_array()) return make_error(errors::kBadRequest, "'nics' is not a list");
    for (const auto& item : list->get_array()) {
        if (!item.is_object()) return make_error(errors::kBadRequest, "'nics' holds something that is no object");
        Migration::Nic nic;
        nic.name = TRY(optional_text(item.get_object(), "name")).value_or("");
        for (auto [key, into] : {std::pair{"old_mac", &nic.old_mac}, std::pair{"new_mac", &nic.new_mac}}) {
            auto text = TRY(optional_text(item.get_object(), key)).value_or("");
            auto mac = MacAddress::parse(text);
            if (!text.empty() && !mac)
                return make_error(errors::kBadRequest, "'{}' is not a MAC address", printable(text));
            if (mac) *into = mac->text();
        }
        if (nic.name.find_first_of("=;") != std::string::npos)
            return make_error(errors::kBadRequest, "adapter name '{}'", printable(nic.name));
        out.push_back(std::move(nic));
    }
    return out;
}

// As its device or as its VM.
bool works_on(const JobRow& job, std::string_view machine) {
    auto vm = job.variables.find("vm");
    return job.device == machine || (vm != job.variables.end() && vm->second == machine);
}

// The source's record when there is one, else what the capture makes. What is not said of its power is as recorded.
Status find_source(const ApiPlace& p, Migration& m, bool power_given) {
    auto source = TRY(p.db.device(m.source_device.empty() ? m.name : m.source_device));
    if (!source && !m.source_device.empty())
        return make_error(errors::kNoDevice, "no device '{}'", printable(m.source_device));
    if (!source) return {};
    if (m.source_macs.empty()) m.source_macs = source->macs;
    if (power_given) return {};
    m.source_power_driver = source->power_driver;
    m.source_power_command = source->power_command;
    m.source_vmhost = source->vmhost;
    return {};
}

// After an earlier migration of that name the record is the VM's: to capture it would be to take the VM, half made or
// at work, for the source.
Status may_migrate(const ApiPlace& p, const Migration& m) {
    std::set<std::int64_t> open;
    for (const auto& job : TRY(p.db.unfinished_jobs())) {
        if (job.parent && !open.contains(job.parent)) continue;  // queued below a parent that has ended
        open.insert(job.id);
        if (works_on(job, m.name))
            return make_error(errors::kDeviceBusy, "job {} '{}' works on '{}'", job.id, job.name, m.name);
    }
    auto there = TRY(p.db.device(m.name));
    if (!there) return {};
    auto source = source_spec(m);
    if (source.name != m.name || there->power_driver == "vm")
        return make_error(errors::kOtherMachine, "device '{}' is there already: the VM of an earlier migration?",
                          m.name);
    TRY(check_same_machine(*there, source));
    if (there->power_driver != source.power_driver || there->power_command != source.power_command)
        return make_error(errors::kOtherMachine, "device '{}' is switched by '{}', this request says '{}'", m.name,
                          there->power_driver, source.power_driver);
    return {};
}

Answer migrate(const ApiPlace& p, const Request& r) {
    auto body = TRY(parse_object(r.body));
    Migration m;
    m.name = TRY(required_text(body, "name"));
    if (!sequences::valid_name(m.name)) return make_error(errors::kBadRequest, "'{}' is not a name", printable(m.name));
    m.vm_definition = TRY(required_text(body, "vm_definition"));
    m.source_device = TRY(optional_text(body, "source_device")).value_or("");
    auto power = TRY(optional_text(body, "source_power_driver"));
    m.source_power_driver = power.value_or("prompt");
    m.source_power_command = TRY(optional_texts(body, "source_power_command")).value_or(std::vector<std::string>());
    m.source_secure_boot = TRY(optional_text(body, "source_secure_boot")).value_or("unknown");
    if (const auto& is = m.source_secure_boot; is != "unknown" && is != "off" && is != "on")
        return make_error(errors::kBadRequest, "'source_secure_boot' is unknown, off or on");
    m.image = TRY(optional_text(body, "image")).value_or("");
    m.disks = TRY(optional_text(body, "disks")).value_or("");
    m.exclude = TRY(optional_text(body, "exclude")).value_or("");
    m.vmhost = TRY(optional_text(body, "vmhost")).value_or("");
    m.network = TRY(optional_text(body, "network")).value_or("VM0");
    m.target_controller = TRY(optional_text(body, "target_controller")).value_or("ide");
    m.firmware = TRY(optional_text(body, "firmware")).value_or("bios");
    if (m.firmware != "bios" && m.firmware != "uefi")
        return make_error(errors::kBadRequest, "'firmware' is bios or uefi");
    m.postdeployaction = static_cast<int>(TRY(optional_number(body, "postdeployaction")).value_or(0));
    m.nonetencrypt = TRY(optional_flag(body, "nonetencrypt")).value_or(false);
    m.nics = TRY(nics_of(body));
    m.service_driver_file = TRY(optional_text(body, "service_driver_file")).value_or("");
    if (auto path = TRY(optional_text(body, "patch_directory")); path && !path->empty())
        m.carried["patch-directory"] = *path;
    if (auto list = TRY(optional_text(body, "driver_directories")); list && !list->empty())
        m.carried["driver-directories"] = *list;
    if (auto fix = TRY(optional_text(body, "fix_hal")); fix && !fix->empty()) {
        if (!patches::parse_fix_hal(*fix))
            return make_error(errors::kBadRequest, "'fix_hal' is auto, none, acpi or nacpi");
        m.carried["fix-hal"] = *fix;
        m.carried["processors"] = std::to_string(TRY(optional_number(body, "processors")).value_or(1));
    }
    if (TRY(optional_flag(body, "suppress_console")).value_or(false)) m.carried["suppress-console"] = "true";
    for (const auto& text : TRY(optional_texts(body, "source_macs")).value_or(std::vector<std::string>())) {
        auto mac = MacAddress::parse(text);
        if (!mac) return make_error(errors::kBadRequest, "'{}' is not a MAC address", printable(text));
        m.source_macs.push_back(mac->text());
    }
    if (m.source_macs.empty() && m.source_device.empty())
        return make_error(errors::kBadRequest, "'source_macs' or 'source_device' is needed");
    if (m.postdeployaction < 0 || m.postdeployaction > 2)
        return make_error(errors::kBadRequest, "'postdeployaction' is 0, 1 or 2");
    if (m.source_power_driver == "command" && m.source_power_command.empty())
        return make_error(errors::kBadRequest, "'source_power_command' is needed");
    TRY(find_source(p, m, power.has_value()));
    return created(p, plan_migration(m), [&] { return may_migrate(p, m); });
}

Answer artifact(const ApiPlace& p, std::int64_t job, const std::string& name) {
    if (auto found = TRY(p.db.artifact(job, name)))
        return Response::text(200, std::string(as_text(found->data)), found->content_type);
    for (auto child : TRY(p.db.children(job)))
        if (auto below = artifact(p, child, name); below || !below.error().is(errors::kNoArtifact)) return below;
    return make_error(errors::kNoArtifact, "job {} has no '{}'", job, printable(name));
}

void events(const ApiPlace& p, const Request& r, const http::Responder& out) {
    auto job = find(p, r);
    if (!job) return out.send(error_response(job.error()));
    auto after = static_cast<std::int64_t>(parse_u64(r.query_value("after")).value_or(0));
    auto wait =
        std::min<std::int64_t>(kMaxWait, static_cast<std::int64_t>(parse_u64(r.query_value("wait")).value_or(0)));
    // An ended job has no more news to wait for.
    if (job->ended_ms) wait = 0;
    p.hub.wait_for_event(job->id, after, std::chrono::seconds(wait), [p, id = job->id, after, out] {
        auto items = p.db.events(id, after, kLogLimit);
        auto row = p.db.job(id);
        if (!items) return out.send(error_response(items.error()));
        if (!row || !*row) return out.send(error_response(make_error(errors::kNoJob, "no job {}", id)));
        json::array list;
        for (const auto& e : *items)
            list.push_back(
                {{"id", e.id}, {"job", e.job}, {"time", time_json(e.time_ms)}, {"level", e.level}, {"text", e.text}});
        out.send(
            json_response(200, json::object{{"items", std::move(list)}, {"job", job_json(p, **row, true, false)}}));
    });
}

// What the jobs below have is the parent's too: their artifacts, and the proof.
void adopt(json::object& out, const json::object& child) {
    if (const auto* proof = child.if_contains("proof")) out["proof"] = *proof;
    auto& mine = out["artifacts"].get_array();
    for (const auto& name : child.at("artifacts").get_array())
        if (std::find(mine.begin(), mine.end(), name) == mine.end()) mine.push_back(name);
}

}  // namespace

json::object job_json(const ApiPlace& p, const JobRow& job, bool with_steps, bool with_log) {
    json::object out{{"id", job.id},
                     {"name", job.name},
                     {"state", sequences::name_of(job.state)},
                     {"created", time_json(job.created_ms)},
                     {"started", time_json(job.started_ms)},
                     {"ended", time_json(job.ended_ms)},
                     {"sequence", job.sequence_name}};
    if (!job.device.empty()) out["device"] = job.device;
    if (job.parent) out["parent"] = job.parent;
    if (job.max_parallel) out["max_parallel"] = job.max_parallel;
    if (job.rate) out["rate"] = job.rate;
    if (!with_steps) return out;
    json::object variables;
    for (const auto& [name, value] : job.variables) variables[name] = value;
    out["variables"] = std::move(variables);
    json::array artifacts, log, children;
    for (const auto& name : p.db.artifacts(job.id).value_or({})) artifacts.emplace_back(name);
    if (with_log)
        for (const auto& e : p.db.events(job.id, 0, kLogLimit).value_or({}))
            if (e.job == job.id) log.push_back({{"time", time_json(e.time_ms)}, {"level", e.level}, {"text", e.text}});
    if (job.mode == JobMode::Run) add_steps(p, job, out, artifacts);
    else out["steps"] = json::array();
    if (p.multicast)
        if (auto sessions = p.multicast(job.id); !sessions.empty()) out["multicast"] = std::move(sessions);
    out["artifacts"] = std::move(artifacts);
    out["log"] = std::move(log);
    for (auto id : p.db.children(job.id).value_or({}))
        if (auto row = p.db.job(id); row && *row) {
            auto child = job_json(p, **row, true, with_log);
            adopt(out, child);
            children.push_back(std::move(child));
        }
    out["children"] = std::move(children);
    return out;
}

Result<std::int64_t> number_parameter(const Request& request, const char* name) {
    auto number = parse_u64(request.parameter(name));
    if (!number || *number > INT64_MAX)
        return make_error(errors::kNoJob, "'{}' is not a number", printable(request.parameter(name)));
    return static_cast<std::int64_t>(*number);
}

void add_job_routes(http::Router& router, const ApiPlace& p) {
    http::Router::Options large{8u << 20};
    router.add("GET", "/api/v1/jobs", handler([p](const Request& r) -> Answer {
                   auto state = r.query_value("state"), machine = r.query_value("machine");
                   json::array items;
                   auto jobs = TRY(p.db.jobs());
                   std::reverse(jobs.begin(), jobs.end());  // the newest first
                   for (const auto& job : jobs)
                       if ((state.empty() || state == sequences::name_of(job.state)) &&
                           (machine.empty() || works_on(job, machine)))
                           items.push_back(job_json(p, job, false, false));
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("POST", "/api/v1/jobs", handler([p](const Request& r) { return add(p, r); }), large);
    router.add("GET", "/api/v1/jobs/{id}", handler([p](const Request& r) -> Answer {
                   return json_response(200, job_json(p, TRY(find(p, r)), true, true));
               }));
    router.add("GET", "/api/v1/jobs/{id}/events",
               [p](const Request& r, const http::Responder& out) { events(p, r, out); });
    router.add("POST", "/api/v1/jobs/{id}/cancel", handler([p](const Request& r) -> Answer {
                   auto id = TRY(find(p, r)).id;
                   TRY(p.hub.cancel(id));
                   return json_response(200, job_json(p, *TRY(p.db.job(id)), true, false));
               }));
    router.add("POST", "/api/v1/jobs/{id}/resume", handler([p](const Request& r) -> Answer {
                   auto id = TRY(find(p, r)).id;
                   TRY(p.hub.resume(id));
                   return json_response(200, job_json(p, *TRY(p.db.job(id)), true, false));
               }));
    router.add("GET", "/api/v1/jobs/{id}/artifacts/{name}", handler([p](const Request& r) -> Answer {
                   return artifact(p, TRY(find(p, r)).id, r.parameter("name"));
               }));
    router.add("POST", "/api/v1/migrations", handler([p](const Request& r) { return migrate(p, r); }), large);
    router.add("GET", "/api/v1/sequences", handler([p](const Request&) -> Answer {
                   json::array items;
                   auto list = [&](std::string_view name, std::string_view xml) {
                       auto parsed = sequences::parse_sequence(xml);
                       if (parsed) items.push_back({{"name", name}, {"description", parsed->sequence.description}});
                   };
                   for (const auto& sample : sequences::samples()) list(sample.name, sample.xml);
                   std::error_code ec;
                   for (const auto& entry : std::filesystem::directory_iterator(p.sequences, ec)) {
                       auto name = entry.path().stem().string();
                       if (entry.path().extension() != ".xml" || sequences::find_sample(name)) continue;
                       if (auto text = sequence_text(p.sequences, name)) list(name, *text);
                   }
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("GET", "/api/v1/sequences/{name}", handler([p](const Request& r) -> Answer {
                   return Response::text(200, TRY(sequence_text(p.sequences, r.parameter("name"))), "application/xml");
               }));
}

}  // namespace slipway::server
