// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/hub.hpp"

#include <algorithm>

#include "deploy-server/errors.hpp"
#include "deploy-server/jobs/gate.hpp"
#include "deploy-server/jobs/job_images.hpp"
#include "deploy-server/jobs/personalities.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::server {

using namespace sequences;

std::string task_key(std::int64_t job, std::int64_t run, const StepKey& step) {
    return fmt::format("{}/{}/{}/{}", job, run, step.step, step.attempt);
}

static bool ended(RunState state) { return state != RunState::Queued && state != RunState::Running; }

Hub::Hub(Database& database, const Clock& clock, HubOptions options)
    : db_(database), clock_(clock), options_(options), gate_(std::make_shared<Gate>()) {
    gate_->hub = this;
}

Hub::~Hub() { stop(); }

Status Hub::start() {
    std::unique_lock lock(mutex_);
    for (auto& job : TRY(db_.unfinished_jobs())) open_.emplace(job.id, job);
    for (auto& [id, job] : open_) {
        if (job.mode != JobMode::Run || job.state != RunState::Running) continue;
        Live live;
        if (auto made = make_live(job, live); !made) {
            log::error("server", "job {}: {}", id, made.error().describe());
            refuse(job, made.error());
            continue;
        }
        auto state = live.run.record.state;
        live_.emplace(id, std::move(live));
        if (ended(state)) end_job(job, state);  // killed between the run's end and the job's
        else post(id, state == RunState::Queued ? Event(Start{}) : Event(Restarted{}));
    }
    std::vector<std::int64_t> parents;
    for (auto& [id, job] : open_)
        if (job.mode != JobMode::Run && job.state == RunState::Running) parents.push_back(id);
    for (auto id : parents) end_parent(id);
    std::erase_if(open_, [](const auto& item) { return ended(item.second.state); });
    drain();
    timer_ = std::thread([this] { run_timer(); });
    unlock_and_call(lock);
    return {};
}

void Hub::stop() {
    {
        std::lock_guard gate(gate_->mutex);
        gate_->hub = nullptr;
    }
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    for (auto& waiter : waiters_) calls_.push_back(std::move(waiter.done));
    waiters_.clear();
    for (auto& [id, session] : sessions_)
        if (session.poll) calls_.push_back([done = std::move(session.poll->done)] { done(std::nullopt); });
    sessions_.clear();
    wake_.notify_all();
    unlock_and_call(lock);
    if (timer_.joinable()) timer_.join();
}

void Hub::unlock_and_call(std::unique_lock<std::mutex>& lock) {
    auto calls = std::move(calls_);
    calls_.clear();
    wake_.notify_all();
    lock.unlock();
    for (auto& call : calls) call();
}

// ---- events through the engine

void Hub::drain() {
    if (draining_) return;
    draining_ = true;
    do {
        while (!queue_.empty()) {
            auto [job, event] = std::move(queue_.front());
            queue_.pop_front();
            if (auto found = live_.find(job); found != live_.end()) apply(found->second, event);
        }
        schedule();
    } while (!queue_.empty());
    draining_ = false;
}

void Hub::apply(Live& live, const Event& event) {
    auto before = live.run.record;
    auto actions =
        Engine(live.sequence, live.variables).apply(live.run.record, event, unix_milliseconds(clock_.wall()));
    bool idle = std::all_of(actions.begin(), actions.end(),
                            [](const Action& a) { return std::holds_alternative<WaitUntil>(a); });
    if (!idle || before.state != live.run.record.state)
        if (auto saved = db_.save_run(live.run); !saved) {
            // Nothing is done that is not stored: the event comes again.
            log::error("server", "job {}: {}", live.job.id, saved.error().explain());
            live.run.record = std::move(before);
            postponed_.emplace_back(live.job.id, event);
            retry_save_ = clock_.now() + options_.save_retry;
            return;
        }
    carry_out(live, actions);
}

void Hub::carry_out(Live& live, const Actions& actions) {
    for (const auto& action : actions) {
        if (const auto* a = std::get_if<Dispatch>(&action)) act(live, *a);
        else if (const auto* a = std::get_if<Probe>(&action)) act(live, *a);
        else if (const auto* a = std::get_if<CancelTask>(&action)) act(live, *a);
        else if (const auto* a = std::get_if<StoreOutcome>(&action)) act(live, *a);
        else if (const auto* a = std::get_if<WaitUntil>(&action)) live.wake_ms = a->ms;
        else if (const auto* a = std::get_if<Finish>(&action)) return act(live, *a);  // live is gone after it
    }
}

void Hub::act(Live& live, const Dispatch& d) {
    const auto& task = live.sequence.tasks[d.key.step];
    Assignment a{live.job.id, d.key, "", task_key(live.job.id, live.run.id, d.key), d.type, d.parameters};
    settle_image(live, d.key.step, a.parameters);
    note(live.job.id, "info",
         fmt::format("step {} '{}' ({}{}){}", d.key.step + 1, task.id, d.type,
                     d.type == "deploy-image" ? " of " + a.parameters["image"] : "",
                     d.key.attempt > 1 ? fmt::format(", attempt {}", d.key.attempt) : ""));
    if (d.target == Target::Controller) return start_errand(live, d);
    auto device_id = live.device_id;
    if (d.target == Target::VmHost) {
        auto host = vmhost_of(d.parameters, "");
        if (!host) return post(live.job.id, TaskFailed{d.key, step_error(host.error())});
        device_id = *host;
        a.parameters.erase("vmhost");
    }
    if (!device_id)
        return post(live.job.id,
                    TaskFailed{d.key, step_error(make_error(errors::kNeedsDevice, "the job has no device"))});
    if (auto device = db_.device_by_id(device_id); device && *device && !(*device)->controlled)
        return post(live.job.id,
                    TaskFailed{d.key, step_error(make_error(errors::kNotControlled, "device '{}' is not under control",
                                                            (*device)->name))});
    // What an earlier attempt or step has left is not this boot's.
    if (d.type == "boot-proof")
        for (const auto* name : {"screenshot.png", "proof.txt"}) (void)db_.remove_artifact(live.job.id, name);
    if (d.type == "reboot") {
        auto to = d.parameters.find("to");
        (void)db_.set_boot_action(device_id, to != d.parameters.end() && to->second == "da" ? "da" : "disk");
    }
    if (d.parameters.contains("nonetencrypt") && d.parameters.at("nonetencrypt") == "true") {
        if (live.run.bulk_key.empty()) {
            live.run.bulk_key = random_token();
            if (auto saved = db_.save_run(live.run); !saved)
                return post(live.job.id, TaskFailed{d.key, step_error(saved.error())});
        }
        a.parameters["bulk_key"] = live.run.bulk_key;
    }
    assign(device_id, std::move(a));
}

void Hub::act(Live& live, const Probe& p) {
    const auto& task = live.sequence.tasks[p.key.step];
    auto key = task_key(live.job.id, live.run.id, p.key);
    if (task.target == Target::Controller) {
        if (live.errand && live.errand->key == p.key) return;
        if (resume_errand(live, p.key)) return post(live.job.id, ProbeAnswer{p.key, ProbeAnswer::Kind::Running});
        return post(live.job.id, ProbeAnswer{p.key, ProbeAnswer::Kind::NotKnown});
    }
    if (find_assignment(key).second) return;  // its next poll or report answers
    auto parameters = expand_all(task.parameters, live.variables);
    auto device_id = live.device_id;
    if (parameters && task.target == Target::VmHost) device_id = vmhost_of(*parameters, "").value_or(0);
    if (!parameters || !device_id) return post(live.job.id, ProbeAnswer{p.key, ProbeAnswer::Kind::NotKnown});
    parameters->erase("vmhost");
    settle_image(live, p.key.step, *parameters);
    if (!live.run.bulk_key.empty()) (*parameters)["bulk_key"] = live.run.bulk_key;
    Assignment a{live.job.id, p.key, "", key, task.type, std::move(*parameters)};
    a.given = live.run.record.steps[p.key.step].state == StepState::Running;
    a.given_at = clock_.now();
    if (auto device = db_.device_by_id(device_id); device && *device) a.boot_id = (*device)->boot_id;
    sessions_[device_id].queue.push_back(std::move(a));
}

void Hub::act(Live& live, const CancelTask& c) {
    drop_assignments(live.job.id, c.key);
    if (live.errand && live.errand->key == c.key) live.errand.reset();
}

void Hub::act(Live& live, const StoreOutcome& o) {
    const auto& step = live.run.record.steps[o.step];
    const auto& id = live.sequence.tasks[o.step].id;
    StepKey key{o.step, step.attempt};
    drop_assignments(live.job.id, key);
    if (live.errand && live.errand->key == key) live.errand.reset();
    if (task_over_) calls_.push_back([this, k = task_key(live.job.id, live.run.id, key)] { task_over_(k); });
    if (step.state == StepState::Done)
        note(live.job.id, step.losses ? "warning" : "info",
             fmt::format("step {} '{}' is done{} after {}", o.step + 1, id, step.losses ? " with losses" : "",
                         human_duration(static_cast<std::uint64_t>(
                             std::max<std::int64_t>(0, (step.ended_ms - step.started_ms) / 1000)))));
    else if (step.error)
        note(live.job.id, step.state == StepState::Waiting ? "warning" : "error",
             fmt::format("step {} '{}' {}: {} [{}]", o.step + 1, id,
                         step.state == StepState::Waiting ? "failed and is tried again" : "failed", step.error->message,
                         step.error->name));
}

void Hub::act(Live& live, const Finish& f) {
    if (auto found = open_.find(live.job.id); found != open_.end()) end_job(found->second, f.state);
}

// ---- jobs

void Hub::save_job(const JobRow& job) {
    if (auto saved = db_.set_job(job); !saved) log::error("server", "job {}: {}", job.id, saved.error().describe());
}

// The run's record is stored already; the job's row follows it, also after a restart.
void Hub::end_job(JobRow& job, RunState state) {
    auto id = job.id, parent = job.parent;
    job.state = state;
    job.ended_ms = unix_milliseconds(clock_.wall());
    save_job(job);
    note(id, state == RunState::Done ? "info" : "error",
         fmt::format("job {} '{}' is {}", id, job.name, name_of(state)));
    live_.erase(id);
    if (parent) end_parent(parent);
}

void Hub::end_parent(std::int64_t id) {
    auto found = open_.find(id);
    if (found == open_.end() || found->second.state != RunState::Running) return;
    auto& parent = found->second;
    bool all_ended = true;
    std::optional<RunState> worst;
    for (auto child : db_.children(id).value_or({})) {
        auto row = db_.job(child);
        if (!row || !*row) continue;
        auto state = (*row)->state;
        if (!ended(state)) all_ended = false;
        if (state == RunState::Failed || (state == RunState::Cancelled && !worst)) worst = state;
    }
    if (worst && (all_ended || parent.mode == JobMode::Serial)) return end_job(parent, *worst);
    if (all_ended) end_job(parent, RunState::Done);
}

void Hub::schedule() {
    for (bool changed = true; changed;) {
        changed = false;
        for (auto& [id, job] : open_) {
            if (job.state != RunState::Queued || !may_start(job)) continue;
            changed = true;
            job.started_ms = job.started_ms ? job.started_ms : unix_milliseconds(clock_.wall());
            if (job.mode == JobMode::Run) {
                start_leaf(job);
            } else {
                job.state = RunState::Running;
                save_job(job);
            }
        }
        std::erase_if(open_, [](const auto& item) { return ended(item.second.state); });
    }
}

// A machine whose agent fell silent in mid work may be off for good. One that was told to go down is awaited.
bool Hub::waits_for_the_dead(std::int64_t job) const {
    const auto found = live_.find(job);
    if (found == live_.end()) return false;
    const auto& record = found->second.run.record;
    if (record.current >= record.steps.size() || !record.steps[record.current].agent_lost) return false;
    const auto& task = found->second.sequence.tasks[record.current];
    return task.target == Target::Device && !task.reboot_point;
}

bool Hub::may_start(const JobRow& job) {
    if (job.parent) {
        auto parent = open_.find(job.parent);
        if (parent == open_.end() || parent->second.state != RunState::Running) return false;
        if (parent->second.mode == JobMode::Serial)
            for (const auto& [id, other] : open_)
                if (other.parent == job.parent && id < job.id && !ended(other.state)) return false;
        const auto most = parent->second.max_parallel;
        const auto at_work = std::count_if(open_.begin(), open_.end(), [&](const auto& item) {
            const auto& other = item.second;
            return other.parent == job.parent && other.state == RunState::Running && !waits_for_the_dead(other.id);
        });
        if (most > 0 && at_work >= static_cast<std::ptrdiff_t>(most)) return false;
    }
    if (job.mode != JobMode::Run || job.device.empty()) return true;
    // One run at a time holds a device.
    return std::none_of(live_.begin(), live_.end(),
                        [&](const auto& item) { return item.second.job.device == job.device; });
}

void Hub::refuse(JobRow& job, const Error& error) {
    note(job.id, "error", fmt::format("{} [{}]", error.describe(), error.name()));
    if (auto run = db_.run_of(job.id); run && *run) {
        auto& record = (*run)->record;
        if (record.steps.empty()) record.steps.resize(1);
        auto& step = record.steps[std::min(record.current, record.steps.size() - 1)];
        step.state = StepState::Failed;
        step.ended_ms = unix_milliseconds(clock_.wall());
        step.error = step_error(error);
        record.state = RunState::Failed;
        (void)db_.save_run(**run);
    }
    end_job(job, RunState::Failed);
}

void Hub::start_leaf(JobRow& job) {
    Live live;
    auto made = make_live(job, live);
    if (made) made = find_device(live);
    if (!made) return refuse(job, made.error());
    auto run_state = live.run.record.state;
    job.state = RunState::Running;
    live.job.state = RunState::Running;
    save_job(job);
    live_.emplace(job.id, std::move(live));
    post(job.id, ended(run_state) ? Event(Resume{}) : Event(Start{}));
}

Status Hub::make_live(const JobRow& job, Live& live) {
    live.job = job;
    live.sequence = TRY(parse_sequence(job.sequence_xml)).sequence;
    auto run = TRY(db_.run_of(job.id));
    if (!run) return make_error(errors::kDatabase, "job {} has no run", job.id);
    live.run = std::move(*run);
    live.run.record.steps.resize(live.sequence.tasks.size());
    live.variables = effective_variables(live.sequence, job.variables);
    live.variables["job.id"] = std::to_string(job.id);
    live.variables["device.name"] = job.device;
    if (!job.device.empty())
        if (auto device = TRY(db_.device(job.device))) live.device_id = device->id;
    return {};
}

Status check_same_machine(const DeviceRow& row, const DeviceSpec& wanted) {
    auto differs = [&](std::string_view how) {
        return make_error(errors::kOtherMachine, "device '{}' is another machine than this job's: {}", row.name, how);
    };
    const bool is_vm = row.power_driver == "vm", wants_vm = wanted.power_driver == "vm";
    if (row.kind != wanted.kind) return differs("it is of kind " + row.kind);
    if (is_vm != wants_vm) return differs(is_vm ? "it is a virtual machine" : "it is no virtual machine");
    if (is_vm && !row.vmhost.empty() && !wanted.vmhost.empty() && row.vmhost != wanted.vmhost)
        return differs(fmt::format("its VM host is '{}'", row.vmhost));
    auto known = [&](const std::string& mac) {
        return std::find(wanted.macs.begin(), wanted.macs.end(), mac) != wanted.macs.end();
    };
    if (!wanted.macs.empty() && std::none_of(row.macs.begin(), row.macs.end(), known))
        return differs("its MACs are " + join(row.macs, ", "));
    return {};
}

Status Hub::find_device(Live& live) {
    const auto& job = live.job;
    if (job.device.empty()) return {};
    if (live.device_id) {
        auto row = TRY(db_.device_by_id(live.device_id));
        if (!row || !job.make_device) return {};
        TRY(check_same_machine(*row, *job.make_device));
        // What its agent has said goes before what an inventory knew.
        if (row->secure_boot == "unknown" && job.make_device->secure_boot != "unknown")
            return db_.set_secure_boot(row->id, job.make_device->secure_boot);
        return {};
    }
    if (!job.make_device) return make_error(errors::kNoDevice, "no device '{}'", job.device);
    DeviceRow row;
    row.name = job.make_device->name;
    row.description = job.make_device->description;
    row.macs = job.make_device->macs;
    row.kind = job.make_device->kind;
    row.power_driver = job.make_device->power_driver;
    row.power_command = job.make_device->power_command;
    row.vmhost = job.make_device->vmhost;
    row.secure_boot = job.make_device->secure_boot;
    live.device_id = TRY_WITH(db_.add_device(row), fmt::format("making device '{}'", row.name)).id;
    return {};
}

Result<std::int64_t> Hub::add_tree(const JobRequest& request, std::int64_t parent, const Values& inherited) {
    JobRow row;
    row.parent = parent;
    row.mode = request.mode;
    row.name = request.name;
    row.sequence_name = request.sequence_name;
    row.sequence_xml = request.sequence_xml;
    row.device = request.device;
    row.make_device = request.make_device;
    row.max_parallel = request.max_parallel;
    row.variables = request.variables;
    for (const auto& [name, value] : inherited) row.variables.emplace(name, value);
    row.created_ms = unix_milliseconds(clock_.wall());
    auto id = TRY(db_.add_job(row));
    for (const auto& child : request.children) (void)TRY(add_tree(child, id, row.variables));
    return id;
}

static Status check_request(const JobRequest& request, const Values& inherited) {
    auto variables = request.variables;
    for (const auto& [name, value] : inherited) variables.emplace(name, value);
    for (const auto& child : request.children)
        TRY_WITH(check_request(child, variables), fmt::format("job '{}'", child.name));
    if (request.mode != JobMode::Run) return {};
    auto sequence = TRY(parse_sequence(request.sequence_xml)).sequence;
    variables.emplace("job.id", "0");
    variables.emplace("device.name", request.device);
    TRY(check_variables(sequence, variables));
    bool needs = std::any_of(sequence.tasks.begin(), sequence.tasks.end(),
                             [](const Task& t) { return t.target == Target::Device; });
    if (needs && request.device.empty())
        return make_error(errors::kNeedsDevice, "sequence '{}' works on a device", sequence.name);
    return check_personalities(sequence, effective_variables(sequence, variables));
}

Result<std::int64_t> Hub::submit(const JobRequest& asked, const std::function<Status()>& allowed) {
    auto request = asked;
    // The nonce ties a boot proof to this job, over all its children.
    Values given{{"nonce", random_token(12)}};
    TRY(check_request(request, given));
    std::int64_t id = 0;
    std::unique_lock lock(mutex_);
    if (allowed) TRY(allowed());
    ImageBinder images(resolve_image_);
    if (resolve_image_) TRY(images.bind(request, given));
    TRY(db_.sqlite().transaction([&]() -> Status {
        id = TRY(add_tree(request, 0, given));
        return {};
    }));
    for (auto& job : TRY(db_.unfinished_jobs())) open_.emplace(job.id, job);
    note(id, "info", fmt::format("job {} '{}' is queued", id, request.name));
    for (const auto& [name, version] : images.settled())
        if (name != version) note(id, "info", fmt::format("image {} is {} for all of job {}", name, version, id));
    drain();
    unlock_and_call(lock);
    return id;
}

Status Hub::cancel_tree(std::int64_t id) {
    for (auto child : TRY(db_.children(id))) TRY(cancel_tree(child));
    auto found = open_.find(id);
    if (found == open_.end()) return {};
    if (live_.contains(id)) post(id, Cancel{});
    else if (found->second.mode == JobMode::Run) end_job(found->second, RunState::Cancelled);
    else if (found->second.state == RunState::Queued) end_job(found->second, RunState::Cancelled);
    return {};
}

Status Hub::cancel(std::int64_t id) {
    std::unique_lock lock(mutex_);
    if (!TRY(db_.job(id))) return make_error(errors::kNoJob, "no job {}", id);
    if (!open_.contains(id)) return make_error(errors::kJobState, "job {} has ended", id);
    auto status = cancel_tree(id);
    drain();
    unlock_and_call(lock);
    return status;
}

Status Hub::resume_tree(std::int64_t id, bool& any) {
    auto job = TRY(db_.job(id));
    if (!job || job->state == RunState::Done) return {};
    const bool running = job->state == RunState::Running;
    if (running && job->mode == JobMode::Run) return {};
    // A group at work: those of it that have failed are tried again, the others go on.
    if (!running && job->state != RunState::Queued) {
        any = true;
        job->state = RunState::Queued;
        job->ended_ms = 0;
        TRY(db_.set_job(*job));
        note(id, "info", fmt::format("job {} '{}' is resumed", id, job->name));
    }
    open_.insert_or_assign(id, *job);
    for (auto child : TRY(db_.children(id))) TRY(resume_tree(child, any));
    return {};
}

Status Hub::resume(std::int64_t id) {
    std::unique_lock lock(mutex_);
    auto job = TRY(db_.job(id));
    if (!job) return make_error(errors::kNoJob, "no job {}", id);
    TRY(check_images(id));
    bool any = false;
    TRY(resume_tree(id, any));
    if (!any) return make_error(errors::kJobState, "job {} is {}: nothing to resume", id, name_of(job->state));
    // A child alone goes on only under a running parent.
    for (auto up = job->parent; up;) {
        auto parent = TRY(db_.job(up));
        if (!parent) break;
        if (ended(parent->state)) {
            parent->state = RunState::Queued;
            parent->ended_ms = 0;
            TRY(db_.set_job(*parent));
        }
        open_.insert_or_assign(up, *parent);
        if (parent->mode == JobMode::Serial)
            for (auto sibling : TRY(db_.children(up)))
                if (auto row = TRY(db_.job(sibling)); row && row->state == RunState::Queued)
                    open_.emplace(sibling, *row);
        up = parent->parent;
    }
    drain();
    unlock_and_call(lock);
    return {};
}

Result<std::optional<RunRecord>> Hub::record(std::int64_t job) {
    {
        std::lock_guard lock(mutex_);
        if (auto found = live_.find(job); found != live_.end()) return std::optional(found->second.run.record);
    }
    auto run = TRY(db_.run_of(job));
    return run ? std::optional(std::move(run->record)) : std::nullopt;
}

bool Hub::holds(std::int64_t device_id) {
    std::lock_guard lock(mutex_);
    return std::any_of(live_.begin(), live_.end(),
                       [&](const auto& item) { return item.second.device_id == device_id; });
}

// ---- events

bool Hub::is_below(std::int64_t job, std::int64_t ancestor) {
    for (int depth = 0; job && depth < 100; ++depth) {
        if (job == ancestor) return true;
        auto found = open_.find(job);
        if (found != open_.end()) {
            job = found->second.parent;
        } else {
            auto row = db_.job(job);
            job = row && *row ? (*row)->parent : 0;
        }
    }
    return false;
}

void Hub::note(std::int64_t job, std::string_view level, std::string_view text) {
    log::write(level == "error"     ? log::Level::Error
               : level == "warning" ? log::Level::Warning
                                    : log::Level::Info,
               "server", fmt::format("job {}: {}", job, text));
    auto id = db_.add_event({0, job, unix_milliseconds(clock_.wall()), std::string(level), std::string(text)});
    if (!id) log::error("server", "an event of job {}: {}", job, id.error().describe());
    std::erase_if(waiters_, [&](Waiter& waiter) {
        if (!is_below(job, waiter.job)) return false;
        calls_.push_back(std::move(waiter.done));
        return true;
    });
}

void Hub::show_progress(std::int64_t job) {
    auto now = clock_.now();
    std::erase_if(waiters_, [&](Waiter& waiter) {
        if (now < waiter.since + options_.show_progress || !is_below(job, waiter.job)) return false;
        calls_.push_back(std::move(waiter.done));
        return true;
    });
}

void Hub::event(std::int64_t job, std::string_view level, std::string_view text) {
    std::unique_lock lock(mutex_);
    note(job, level, text);
    unlock_and_call(lock);
}

void Hub::wait_for_event(std::int64_t job, std::int64_t after, std::chrono::milliseconds wait,
                         std::function<void()> done) {
    std::unique_lock lock(mutex_);
    auto news = db_.events(job, after, 1);
    if (stopping_ || wait.count() <= 0 || !news || !news->empty()) calls_.push_back(std::move(done));
    else waiters_.push_back({job, clock_.now(), clock_.now() + wait, std::move(done)});
    unlock_and_call(lock);
}

// ---- time

void Hub::run_timer() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait_until(lock, next_wake());
        if (stopping_) return;
        tick();
        drain();
        if (calls_.empty()) continue;
        auto calls = std::move(calls_);
        calls_.clear();
        lock.unlock();
        for (auto& call : calls) call();
        lock.lock();
    }
}

Instant Hub::next_wake() {
    auto next = clock_.now() + std::chrono::seconds(60);
    auto wall = unix_milliseconds(clock_.wall());
    for (const auto& [id, live] : live_) {
        if (live.wake_ms)
            next = std::min(next,
                            clock_.now() + std::chrono::milliseconds(std::max<std::int64_t>(0, live.wake_ms - wall)));
        if (live.errand && !live.errand->asking &&
            (live.errand->phase == Errand::Phase::WaitOff || live.errand->phase == Errand::Phase::AskedForLife))
            next = std::min(next, live.errand->next);
    }
    for (const auto& [id, session] : sessions_) {
        if (session.poll) next = std::min(next, session.poll->until);
        else if (!session.lost && session.greeted) next = std::min(next, session.last_call + options_.lost_after);
    }
    for (const auto& waiter : waiters_) next = std::min(next, waiter.until);
    if (!postponed_.empty()) next = std::min(next, retry_save_);
    return next;
}

void Hub::tick() {
    auto now = clock_.now();
    auto wall = unix_milliseconds(clock_.wall());
    std::erase_if(waiters_, [&](Waiter& waiter) {
        if (waiter.until > now) return false;
        calls_.push_back(std::move(waiter.done));
        return true;
    });
    for (auto& [id, session] : sessions_) {
        if (session.poll && session.poll->until <= now) {
            calls_.push_back([done = std::move(session.poll->done)] { done(std::nullopt); });
            session.poll.reset();
            session.last_call = now;
        }
        if (session.poll || session.lost || !session.greeted || session.last_call + options_.lost_after > now) continue;
        session.lost = true;
        agent_event(id, AgentLost{});
        errands_of(id);
    }
    for (auto& [id, live] : live_) {
        if (live.wake_ms && live.wake_ms <= wall) {
            live.wake_ms = 0;
            post(id, Timer{});
        }
        if (!live.errand || live.errand->asking || live.errand->next > now) continue;
        if (live.errand->phase == Errand::Phase::WaitOff) look_if_off(live);
        else if (live.errand->phase == Errand::Phase::AskedForLife) on_no_life(live);
    }
    if (!postponed_.empty() && retry_save_ <= now) {
        for (auto& item : postponed_) queue_.push_back(std::move(item));
        postponed_.clear();
    }
}

}  // namespace slipway::server
