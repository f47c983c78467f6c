// SPDX-License-Identifier: GPL-3.0-or-later
// Tasks that the controller carries out itself. None blocks: commands run on threads of their own
// and come back through the gate. Each may be begun again after a restart.
#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/jobs/gate.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using namespace sequences;

// Also the mark in the stored record that the machine was switched already.
static constexpr const char* kWaitingForAgent = "waiting for the agent";

// ---- workers

// job runs without the mutex; what it returns runs with it.
void Hub::work(std::function<std::function<void()>()> job) {
    std::thread([gate = gate_, job = std::move(job)] {
        auto deliver = job();
        std::unique_lock guard(gate->mutex);
        if (!gate->hub) return;
        auto& hub = *gate->hub;
        std::unique_lock lock(hub.mutex_);
        deliver();
        hub.drain();
        hub.unlock_and_call(lock);
    }).detach();
}

Result<DeviceRow> Hub::device_of(const Live& live) {
    auto device = live.device_id ? TRY(db_.device_by_id(live.device_id)) : std::nullopt;
    if (!device) return make_error(errors::kNeedsDevice, "the job has no device, or it was deleted");
    return std::move(*device);
}

void Hub::errand_done(Live& live, std::string result) {
    if (live.errand) post(live.job.id, TaskDone{live.errand->key, std::move(result)});
    live.errand.reset();
}

void Hub::errand_failed(Live& live, const Error& error) {
    if (live.errand) post(live.job.id, TaskFailed{live.errand->key, step_error(error)});
    live.errand.reset();
}

void Hub::start_errand(Live& live, const Dispatch& dispatch) {
    live.errand = Errand{dispatch.key, dispatch.type, dispatch.parameters};
    post(live.job.id, TaskAccepted{dispatch.key});
    const auto& type = dispatch.type;
    if (type == "run-script" || type == "copy-file") return run_on_controller(live);
    if (type == "delete-device" && (!live.device_id || !db_.device_by_id(live.device_id).value_or(std::nullopt)))
        return errand_done(live);  // done before a restart
    auto device = device_of(live);
    if (!device) return errand_failed(live, device.error());
    Status status;
    if (type == "take-control") {
        if (!device->controlled) status = db_.set_control(device->id, true, "");
    } else if (type == "release-control") {
        status = db_.set_control(device->id, false, "");
    } else if (type == "delete-device") {
        auto removed = db_.remove_device(device->name);
        if (!removed) status = std::move(removed).error();
        sessions_.erase(device->id);
        live.device_id = 0;
    } else if (!device->controlled) {
        status = make_error(errors::kNotControlled, "device '{}' is not under control", device->name);
    } else {
        return begin_boot(live, *device);
    }
    if (status) errand_done(live);
    else errand_failed(live, status.error());
}

void Hub::begin_boot(Live& live, const DeviceRow& device) {
    const auto& type = live.errand->type;
    auto found = sessions_.find(device.id);
    bool ready = found != sessions_.end() && found->second.ready();
    if (type == "boot-to-da" && !ready && may_boot_)
        if (auto allowed = may_boot_(device.name); !allowed) return errand_failed(live, allowed.error());
    if (type == "boot-to-da" || type == "boot-to-disk")
        if (auto set = db_.set_boot_action(device.id, type == "boot-to-da" ? "da" : "disk"); !set)
            return errand_failed(live, set.error());
    if (type == "wait-agent") return wait_for_agent(live);
    if (type == "wait-off") {
        live.errand->phase = Errand::Phase::WaitOff;
        live.errand->next = clock_.now();
        return look_if_off(live);
    }
    if (type == "power") {
        const auto& state = live.errand->parameters["state"];
        return switch_power(live, device,
                            state == "on"    ? PowerVerb::On
                            : state == "off" ? PowerVerb::Off
                                             : PowerVerb::Cycle);
    }
    if (type == "boot-to-da" && ready && found->second.kind == "da") return ask_for_life(live, found->second);
    if (type == "boot-to-disk" && ready && found->second.kind == "da") {
        // The Deployment Agent reboots its machine more gently than any switch.
        Assignment a{live.job.id, live.errand->key,
                     "reboot",    task_key(live.job.id, live.run.id, live.errand->key) + ".reboot",
                     "reboot",    {{"to", "disk"}}};
        return assign(device.id, std::move(a));
    }
    cycle_power(live, device);
}

void Hub::cycle_power(Live& live, const DeviceRow& device) {
    live.errand->phase = Errand::Phase::Working;
    if (device.power_driver == "command") return start_command(live, device, PowerVerb::Status);
    switch_power(live, device, PowerVerb::Cycle);
}

// An agent that lives asks again as soon as its poll is answered; one whose machine lost its power does not.
void Hub::ask_for_life(Live& live, Session& session) {
    live.errand->phase = Errand::Phase::AskedForLife;
    live.errand->next = clock_.now() + options_.life_sign;
    if (session.poll) calls_.push_back([done = std::move(session.poll->done)] { done(std::nullopt); });
    session.poll.reset();
}

void Hub::on_no_life(Live& live) {
    if (auto found = sessions_.find(live.device_id); found != sessions_.end()) found->second.lost = true;
    auto device = device_of(live);
    if (device) cycle_power(live, *device);
    else errand_failed(live, device.error());
}

// ---- power

void Hub::switch_power(Live& live, const DeviceRow& device, PowerVerb verb) {
    if (device.power_driver == "command") return start_command(live, device, verb);
    if (device.power_driver == "vm") return power_by_vm(live, device, verb);
    auto how = verb == PowerVerb::Cycle ? "switch it on, or off and on again"
               : verb == PowerVerb::On  ? "switch it on"
                                        : "switch it off";
    note(live.job.id, "warning",
         fmt::format("operator: {} now: device '{}' ({})", how, device.name, join(device.macs, ", ")));
    power_done(live);
}

void Hub::start_command(Live& live, const DeviceRow& device, PowerVerb verb) {
    live.errand->asking = true;
    work([this, job = live.job.id, key = live.errand->key, command = device.power_command,
          verb]() -> std::function<void()> {
        auto output = std::make_shared<Result<std::string>>(run_power_command(command, verb));
        return [this, job, key, verb, output] { on_power(job, key, verb, std::move(*output)); };
    });
}

void Hub::on_power(std::int64_t job, Step key, PowerVerb verb, Result<std::string> output) {
    auto found = live_.find(job);
    if (found == live_.end() || !found->second.errand || found->second.errand->key != key) return;
    auto& live = found->second;
    live.errand->asking = false;
    auto state = output ? power_state_in(*output) : PowerState::Unknown;
    if (live.errand->phase == Errand::Phase::WaitOff) {
        if (state == PowerState::Off) return errand_done(live);
        live.errand->failures = state == PowerState::Unknown ? live.errand->failures + 1 : 0;
        live.errand->next = clock_.now() + options_.status_every;
        return;
    }
    if (verb == PowerVerb::Status) {
        auto device = device_of(live);
        if (!device) return errand_failed(live, device.error());
        return start_command(live, *device, state == PowerState::Off ? PowerVerb::On : PowerVerb::Cycle);
    }
    if (!output) return errand_failed(live, output.error());
    power_done(live);
}

// The VM's agent side of switching: keys of their own below the step's, so that reports find back.
void Hub::power_by_vm(Live& live, const DeviceRow& device, PowerVerb verb) {
    auto host = vmhost_of({}, device.vmhost);
    if (!host) return errand_failed(live, host.error());
    auto vm = device.power_command.empty() ? device.name : device.power_command[0];
    auto key = task_key(live.job.id, live.run.id, live.errand->key);
    // The row is from before this errand set its action.
    bool network = live.errand->type == "boot-to-da" || (live.errand->type == "power" && device.boot_action == "da");
    if (verb != PowerVerb::On) {
        Values stop{{"vm", vm}};
        if (verb == PowerVerb::Cycle) stop["grace"] = "5";  // what runs in it is given up anyway
        auto sub = verb == PowerVerb::Off ? "off" : "off-first";
        assign(*host, {live.job.id, live.errand->key, sub, key + ".off", "stop-vm", std::move(stop)});
    }
    if (verb != PowerVerb::Off)
        assign(*host, {live.job.id,
                       live.errand->key,
                       "on",
                       key + ".on",
                       "start-vm",
                       {{"vm", vm}, {"boot", network ? "network" : "disk"}, {"undo", "false"}}});
}

void Hub::on_sub_task(Live& live, const Assignment& a, const AgentReport& r) {
    if (!live.errand || live.errand->key != a.step) return;
    if (r.state == "failed") {
        auto why = r.error ? r.error->message : "no reason given";
        if (a.sub == "off-first") return note(live.job.id, "warning", fmt::format("{} failed: {}", a.type, why));
        auto step = a.step;
        auto job = live.job.id;
        errand_failed(live, make_error(errors::kVmTask, "{}: {}", a.type, why));
        return drop_assignments(job, step);
    }
    if (a.sub != "off-first") power_done(live);
}

// The machine was switched as the task wanted.
void Hub::power_done(Live& live) {
    if (live.errand->type == "boot-to-da") return wait_for_agent(live);
    errand_done(live);
}

// ---- waiting

void Hub::wait_for_agent(Live& live) {
    live.errand->phase = Errand::Phase::WaitAgent;
    if (live.errand->type == "boot-to-da") {
        live.run.record.steps[live.errand->key.step].progress_what = kWaitingForAgent;
        (void)db_.save_step(live.run, live.errand->key.step);
    }
    errands_of(live.device_id);
}

bool Hub::resume_errand(Live& live, const Step& key) {
    const auto& task = live.sequence.tasks[key.step];
    if (task.type != "boot-to-da" || live.run.record.steps[key.step].progress_what != kWaitingForAgent) return false;
    live.errand = Errand{key, task.type, {}};
    wait_for_agent(live);
    return true;
}

void Hub::errands_of(std::int64_t device_id) {
    auto found = sessions_.find(device_id);
    if (found == sessions_.end() || !found->second.ready()) return;
    for (auto& [id, live] : live_) {
        if (live.device_id != device_id || !live.errand) continue;
        if (live.errand->phase != Errand::Phase::WaitAgent && live.errand->phase != Errand::Phase::AskedForLife)
            continue;
        if (live.errand->type == "wait-agent" || found->second.kind == "da") errand_done(live);
    }
}

// The driver's `status`; when it cannot tell, silence after the agent said it goes down.
void Hub::look_if_off(Live& live) {
    auto device = device_of(live);
    if (!device) return errand_failed(live, device.error());
    if (device->power_driver == "command" && live.errand->failures < 3)
        return start_command(live, *device, PowerVerb::Status);
    auto found = sessions_.find(device->id);
    auto quiet = options_.lost_after;
    auto silent_since = clock_.now();
    if (found != sessions_.end() && found->second.greeted) {
        silent_since = found->second.last_call;
        if (found->second.down_boot == found->second.boot_id) quiet = options_.quiet_time;
        if (found->second.poll) silent_since = clock_.now();
    } else {  // not heard of since this process started
        auto silence = unix_milliseconds(clock_.wall()) - device->last_seen_ms;
        silent_since = clock_.now() - std::chrono::milliseconds(std::max<std::int64_t>(0, silence));
    }
    if (clock_.now() < silent_since + quiet) {
        live.errand->next = silent_since + quiet;
        return;
    }
    if (device->power_driver != "vm") return errand_done(live);
    live.errand->phase = Errand::Phase::Working;  // stop-vm makes it certain
    power_by_vm(live, *device, PowerVerb::Off);
}

// ---- run-script, copy-file

static Result<std::string> run_script(const std::string& script, const Values& environment,
                                      std::chrono::seconds timeout, int cancel_fd) {
    CommandOptions options;
    options.timeout = timeout;
    options.cancel_fd = cancel_fd;
    options.output_limit = 1 << 20;
    for (const auto& [name, value] : environment) options.environment.push_back(name + "=" + value);
    auto result = TRY(run_command({"/bin/sh", "-c", script}, options));
    if (!result.ok())
        return make_error(errors::kScript, "exit code {}: {}", result.exit_code,
                          printable(trim(result.error_text.empty() ? result.output : result.error_text)));
    return json::serialize(json::object{{"output", printable(result.output)}, {"exit_code", result.exit_code}});
}

static Result<std::string> copy_file(const std::string& source, const std::string& destination) {
    auto data = TRY(read_file(source, 1u << 30));
    TRY(write_file_atomic(destination, data));
    return json::serialize(json::object{{"bytes", data.size()}});
}

void Hub::run_on_controller(Live& live) {
    auto timeout = live.sequence.tasks[live.errand->key.step].timeout;
    Values environment{{"SLIPWAY_JOB", std::to_string(live.job.id)}, {"SLIPWAY_DEVICE", live.job.device}};
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errand_failed(live, errno_error(errno, "a pipe"));
    auto gone = std::make_shared<UniqueFd>(ends[0]);
    auto errand = *live.errand;
    live.errand->alive = std::make_shared<UniqueFd>(ends[1]);
    work([this, job = live.job.id, errand, timeout, environment, gone]() -> std::function<void()> {
        const auto& p = errand.parameters;
        auto result = std::make_shared<Result<std::string>>(
            errand.type == "run-script" ? run_script(p.at("script"), environment, timeout, gone->get())
                                        : copy_file(p.at("source"), p.at("destination")));
        return [this, job, key = errand.key, result] {
            auto found = live_.find(job);
            if (found == live_.end() || !found->second.errand || found->second.errand->key != key) return;
            if (*result) errand_done(found->second, std::move(**result));
            else errand_failed(found->second, result->error());
        };
    });
}

}  // namespace slipway::server
