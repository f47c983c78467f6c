// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions of agents: who is there, which task each holds, what they report.
#include <algorithm>

#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/jobs/base64.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "deploy-server/jobs/png.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using namespace sequences;

namespace {
constexpr std::size_t kLogLines = 200, kLogText = 4000;  // of one report
constexpr std::int64_t kStoreSeenEvery = 30'000;         // ms
}  // namespace

Hub::Session& Hub::touch(const DeviceRow& device, const std::string& boot_id, std::string_view kind) {
    auto& s = sessions_[device.id];
    const auto& previous = s.boot_id.empty() ? device.boot_id : s.boot_id;
    bool new_boot = previous != boot_id;
    bool back = s.lost || !s.greeted || new_boot;
    s.boot_id = boot_id;
    if (!kind.empty()) s.kind = kind;
    else if (s.kind.empty()) s.kind = device.agent_kind;
    if (s.version.empty()) s.version = device.agent_version;
    heard_of(device.id, s, new_boot, back);
    return s;
}

void Hub::heard_of(std::int64_t device_id, Session& s, bool new_boot, bool back) {
    s.last_call = clock_.now();
    s.last_seen_ms = unix_milliseconds(clock_.wall());
    s.lost = false;
    s.greeted = true;
    if (s.last_seen_ms - s.stored_seen_ms > kStoreSeenEvery) {
        s.stored_seen_ms = s.last_seen_ms;
        (void)db_.set_seen(device_id, s.last_seen_ms);
    }
    if (back) agent_event(device_id, AgentBack{new_boot});
    errands_of(device_id);
}

void Hub::agent_event(std::int64_t device_id, const Event& event) {
    std::set<std::int64_t> told;
    for (const auto& a : sessions_[device_id].queue) {
        if (!a.sub.empty() || !told.insert(a.job).second) continue;
        if (std::holds_alternative<AgentLost>(event))
            note(a.job, "warning", "the agent is silent; the step waits for it");
        post(a.job, event);
    }
}

Status Hub::hello(const DeviceRow& device, const AgentHello& hello) {
    std::unique_lock lock(mutex_);
    auto row = device;
    row.hardware = hello.hardware;
    row.agent_version = hello.version;
    row.agent_kind = hello.kind;
    row.boot_id = hello.boot_id;
    row.last_seen_ms = unix_milliseconds(clock_.wall());
    TRY(db_.set_agent(row));
    if (hardware_known_) hardware_known_(device.name);
    sessions_[device.id].version = hello.version;
    touch(device, hello.boot_id, hello.kind);
    log::info("server", "device {}: agent {} ({}) says hello", device.name, printable(hello.version), hello.kind);
    drain();
    unlock_and_call(lock);
    return {};
}

void Hub::seen(std::int64_t device_id) {
    std::unique_lock lock(mutex_);
    auto found = sessions_.find(device_id);
    if (found == sessions_.end()) return;
    heard_of(device_id, found->second, false, found->second.lost);
    drain();
    unlock_and_call(lock);
}

void Hub::poll(const DeviceRow& device, const std::string& boot_id, PollDone done) {
    std::unique_lock lock(mutex_);
    if (stopping_) {
        lock.unlock();
        return done(std::nullopt);
    }
    touch(device, boot_id, {});
    drain();
    auto& s = sessions_[device.id];
    if (s.poll) calls_.push_back([old = std::move(s.poll->done)] { old(std::nullopt); });
    s.poll = Session::Poll{clock_.now() + options_.poll_time, std::move(done)};
    check_given(device.id);
    give(device.id);
    drain();
    unlock_and_call(lock);
}

// A boot_id is one life of the agent's process. The same life holds every task it has reported on; one it never
// reported on did not reach it. Another life knows nothing of what was given to the one before.
void Hub::check_given(std::int64_t device_id) {
    auto& s = sessions_[device_id];
    for (auto& a : s.queue) {
        if (!a.given) continue;
        if (a.boot_id != s.boot_id) {
            if (a.sub.empty()) post(a.job, ProbeAnswer{a.step, ProbeAnswer::Kind::NotKnown});
            else a.given = false;
        } else if (!a.heard && clock_.now() >= a.given_at + options_.give_again) {
            a.given = false;
        } else if (!a.heard) {
            s.poll->until = std::min(s.poll->until, a.given_at + options_.give_again);
        }
    }
}

void Hub::assign(std::int64_t device_id, Assignment assignment) {
    auto& queue = sessions_[device_id].queue;
    auto same = std::find_if(queue.begin(), queue.end(), [&](const auto& a) { return a.key == assignment.key; });
    if (same != queue.end()) *same = std::move(assignment);
    else queue.push_back(std::move(assignment));
    give(device_id);
}

// Tasks of one job go out one after the other; an agent that asks while it works gets one of another job.
void Hub::give(std::int64_t device_id) {
    auto& s = sessions_[device_id];
    if (!s.poll || s.down_boot == s.boot_id) return;
    std::set<std::int64_t> busy;
    auto next = std::find_if(s.queue.begin(), s.queue.end(),
                             [&](const auto& a) { return busy.insert(a.job).second && !a.given; });
    if (next == s.queue.end()) return;
    auto& a = *next;
    a.given = true;
    a.heard = false;
    a.given_at = clock_.now();
    a.boot_id = s.boot_id;
    if (a.sub.empty()) post(a.job, TaskAccepted{a.step});
    calls_.push_back([done = std::move(s.poll->done), task = GivenTask{a.key, a.type, a.parameters}] { done(task); });
    s.poll.reset();
}

void Hub::drop_assignments(std::int64_t job, const Step& step) {
    for (auto& [id, session] : sessions_)
        std::erase_if(session.queue, [&](const auto& a) { return a.job == job && a.step == step; });
}

std::pair<Hub::Session*, Hub::Assignment*> Hub::find_assignment(std::string_view key) {
    for (auto& [id, session] : sessions_)
        for (auto& a : session.queue)
            if (a.key == key) return {&session, &a};
    return {nullptr, nullptr};
}

Result<bool> Hub::report(const DeviceRow& device, const AgentReport& r) {
    std::unique_lock lock(mutex_);
    touch(device, r.boot_id, {});
    drain();
    auto [session, a] = find_assignment(r.key);
    if (!a || session != &sessions_[device.id]) {
        unlock_and_call(lock);
        return r.state == "running";  // not ours any more: stop it
    }
    a->heard = true;
    a->given = true;
    a->boot_id = r.boot_id;
    // One commit for all lines.
    (void)db_.sqlite()
        .transaction([&]() -> Status {
            for (std::size_t i = 0; i < std::min(r.log.size(), kLogLines); ++i)
                note(a->job, r.log[i].first, printable(std::string_view(r.log[i].second).substr(0, kLogText)));
            return {};
        })
        .ok();
    if (r.progress && a->sub.empty()) {
        auto progress = *r.progress;
        progress.key = a->step;
        post(a->job, progress);
        show_progress(a->job);
    }
    if (r.state == "running") {
        drain();
        unlock_and_call(lock);
        return false;
    }
    auto ended = r;
    if (auto kept = r.state == "failed" ? Result<std::string>("") : keep_artifacts(*a, device, r.result)) {
        ended.result = *std::move(kept);
    } else if (kept.error().is(errors::kBadProof) || kept.error().is(errors::kBadRequest)) {
        ended.state = "failed";
        ended.error = step_error(kept.error());
    } else {
        return std::move(kept).error();
    }
    auto finished = *a;
    if (!finished.sub.empty()) std::erase_if(session->queue, [&](const auto& item) { return item.key == r.key; });
    on_reported(device.id, finished, ended);
    drain();
    // Heard means stored: an agent that powers its machine off after this will not say it again.
    auto unheard = std::erase_if(postponed_, [&](const auto& item) {
        const auto& [job, event] = item;
        return job == finished.job &&
               (std::holds_alternative<TaskDone>(event) || std::holds_alternative<TaskFailed>(event));
    });
    unlock_and_call(lock);
    if (unheard && finished.sub.empty())
        return make_error(errors::kDatabase, "the outcome of {} cannot be stored now", r.key);
    return false;
}

void Hub::on_reported(std::int64_t device_id, Assignment a, const AgentReport& r) {
    bool good = r.state != "failed";
    if (good && (a.type == "shutdown" || a.type == "reboot")) {
        sessions_[device_id].down_boot = r.boot_id;
        if (a.type == "shutdown") (void)db_.set_boot_action(device_id, "disk");
    }
    auto live = live_.find(a.job);
    if (live == live_.end()) return;
    if (!a.sub.empty()) return on_sub_task(live->second, a, r);
    if (good) return post(a.job, TaskDone{a.step, r.result, r.state == "losses"});
    post(a.job, TaskFailed{a.step, r.error.value_or(StepError{"agent.unknown", "the agent gave no reason",
                                                              "See the log of the job.", false})});
}

static std::string taken_text(json::object& object, std::initializer_list<const char*> names) {
    for (const auto* name : names)
        if (const auto* value = object.if_contains(name); value && value->is_string()) {
            std::string text(view(value->get_string()));
            object.erase(name);
            return text;
        }
    return {};
}

// Large parts of a result become artifacts of the job; what is left is the step's result.
Result<std::string> Hub::keep_artifacts(const Assignment& a, const DeviceRow& device, const std::string& result) {
    if (result.empty()) return result;
    auto object = TRY(parse_object(result));
    if (a.type == "inventory") {
        if (auto xml = taken_text(object, {"inventory"}); !xml.empty()) {
            TRY(db_.put_artifact(a.job, "inventory.xml", "application/xml", as_bytes(xml)));
            TRY(db_.set_inventory(device.id, xml));
            if (hardware_known_) hardware_known_(device.name);
        }
    }
    if (a.type == "boot-proof" || a.type == "screenshot") TRY(keep_screen(a, object));
    return json::serialize(object);
}

// The agent's word alone is no proof: the line carries the nonce of this job, and there is a picture.
Status Hub::keep_screen(const Assignment& a, json::object& result) {
    const auto png = from_base64(taken_text(result, {"screenshot"}));
    if (!png || !is_png(*png)) return make_error(errors::kBadProof, "there is no screenshot, or it is no PNG");
    if (a.type == "screenshot") return db_.put_artifact(a.job, "screenshot.png", "image/png", *png);
    const auto* given = result.if_contains("line");
    const auto line = given && given->is_string() ? std::string(view(given->get_string())) : std::string();
    const auto nonce = a.parameters.find("nonce");
    if (nonce == a.parameters.end() || nonce->second.empty() || line != "SLIPWAY-UP " + nonce->second)
        return make_error(errors::kBadProof, "the line '{}' is not the one of this job",
                          printable(line).substr(0, 100));
    return db_.sqlite().transaction([&]() -> Status {
        TRY(db_.put_artifact(a.job, "screenshot.png", "image/png", *png));
        return db_.put_artifact(a.job, "proof.txt", "text/plain; charset=utf-8", as_bytes(line + "\n"));
    });
}

Result<std::int64_t> Hub::vmhost_of(const Values& parameters, const std::string& named) {
    auto name = named;
    if (auto found = parameters.find("vmhost"); name.empty() && found != parameters.end()) name = found->second;
    std::optional<DeviceRow> host;
    if (!name.empty()) {
        host = TRY(db_.device(name));
        if (!host) return make_error(errors::kNoVmHost, "no device '{}'", name);
    } else {
        for (auto& device : TRY(db_.devices())) {
            if (device.kind != "vmhost") continue;
            if (host)
                return make_error(errors::kNoVmHost, "there are several VM hosts: '{}', '{}'", host->name, device.name);
            host = std::move(device);
        }
        if (!host) return make_error(errors::kNoVmHost, "there is no VM host");
    }
    if (!host->controlled) return make_error(errors::kNotControlled, "VM host '{}' is not under control", host->name);
    return host->id;
}

// ---- what the agent channel asks

std::optional<HeldTask> Hub::held(std::int64_t device_id, std::string_view type) {
    std::lock_guard lock(mutex_);
    auto found = sessions_.find(device_id);
    if (found == sessions_.end()) return std::nullopt;
    for (const auto& a : found->second.queue)
        if (a.given && a.sub.empty() && a.type == type) return HeldTask{a.key, a.type, a.parameters, a.job};
    return std::nullopt;
}

static bool same_secret(std::string_view a, std::string_view b) {
    unsigned char difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
    return difference == 0;
}

std::optional<HeldTask> Hub::held_by_bulk_key(std::string_view key) {
    std::lock_guard lock(mutex_);
    if (key.empty()) return std::nullopt;
    for (auto& [id, session] : sessions_) {
        for (const auto& a : session.queue) {
            auto found = a.parameters.find("bulk_key");
            auto clear = a.parameters.find("nonetencrypt");
            if (!a.given || found == a.parameters.end() || clear == a.parameters.end() || clear->second != "true")
                continue;
            if (!same_secret(found->second, key)) continue;
            session.last_call = clock_.now();
            return HeldTask{a.key, a.type, a.parameters, a.job};
        }
    }
    return std::nullopt;
}

// ---- devices

Status Hub::take_control(std::int64_t device_id) {
    std::lock_guard lock(mutex_);
    return db_.set_control(device_id, true, "");
}

Status Hub::release_control(std::int64_t device_id) {
    std::unique_lock lock(mutex_);
    TRY(db_.set_control(device_id, false, ""));
    if (auto found = sessions_.find(device_id); found != sessions_.end() && found->second.poll) {
        calls_.push_back([done = std::move(found->second.poll->done)] { done(std::nullopt); });
        found->second.poll.reset();
    }
    unlock_and_call(lock);
    return {};
}

Status Hub::forget_device(std::int64_t device_id) {
    TRY(release_control(device_id));
    std::lock_guard lock(mutex_);
    sessions_.erase(device_id);
    return {};
}

void Hub::alarm(std::int64_t device_id, std::string_view text) {
    std::unique_lock lock(mutex_);
    for (const auto& [id, live] : live_)
        if (live.device_id == device_id) note(id, "error", text);
    unlock_and_call(lock);
}

AgentStatus Hub::agent(const DeviceRow& device) {
    std::lock_guard lock(mutex_);
    AgentStatus status{"none", device.agent_kind, device.agent_version, device.last_seen_ms};
    auto found = sessions_.find(device.id);
    if (found != sessions_.end() && found->second.greeted) {
        const auto& s = found->second;
        status = {s.ready() ? "ready" : s.lost ? "lost" : "none", s.kind, s.version, s.last_seen_ms};
    } else if (device.last_seen_ms) {
        status.state = "lost";
    }
    return status;
}

}  // namespace slipway::server
