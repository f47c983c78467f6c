// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/runner.hpp"

#include <sys/eventfd.h>
#include <sys/utsname.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "agent-ramdisk/agent/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"
#include "slipway_version.hpp"

namespace slipway::agent {

namespace {

constexpr std::chrono::seconds kReportEvery{1};
constexpr std::chrono::seconds kPostSystemTime{300};
constexpr std::uint64_t kMaxPostSystem = 600u << 20;

// One task, from being given to the server having heard how it ended.
struct Running {
    channel::Task task;
    std::atomic<bool> cancelled{false};
    UniqueFd cancel_event{::eventfd(0, EFD_CLOEXEC)};
    std::mutex mutex;  // guards what follows
    std::condition_variable changed;
    std::optional<Progress> progress;
    std::optional<channel::MulticastCounts> multicast;
    std::vector<std::string> log;
    std::optional<Result<TaskOutcome>> outcome;
    std::atomic<bool> finished{false};  // ended and told
    std::jthread worker, reporter;

    void cancel() {
        cancelled = true;
        (void)::eventfd_write(cancel_event.get(), 1);
    }
};

class Agent {
public:
    Agent(Machine& machine, const AgentOptions& options, const TaskTable& tasks, const std::atomic<bool>& stop)
        : machine_(machine), options_(options), tasks_(tasks), stop_(stop), boot_id_(Uuid::random().text()) {
        options_.link.give_up = [this] { return stop_.load(); };
    }

    ~Agent() {
        for (auto& running : running_) running->cancel();
    }

    Status run() {
        auto hardware = machine_.hardware();
        say("contacting " + options_.link.server_url);
        self_ = TRY_WITH(become_known(options_.link, hardware), "enrolling with " + options_.link.server_url);
        auto link = TRY(ControllerLink::open(options_.link, self_));
        channel::Hello hello{self_.device, boot_id_, kVersion, options_.kind, machine_.memory_bytes(), hardware};
        TRY_WITH(link.hello(hello), "saying hello");
        if (!options_.ready_file.empty()) TRY(write_file_atomic(options_.ready_file, {}));
        if (!options_.post_system.empty())
            if (auto taken = take_post_system(link); !taken)
                log::warning("agent", "PostSystem is not here: {}", taken.error().describe());
        log::info("agent", "known as {}, ready for tasks", printable(self_.device));
        say("ready: device " + printable(self_.device));
        while (!stop_) {
            std::erase_if(running_, [](const auto& r) { return r->finished.load(); });
            if (running_.size() >= options_.max_tasks) {
                wait_for_any();
                continue;
            }
            auto task = link.poll({boot_id_});
            if (!task) {
                if (task.error().is(errors::kCancelled)) break;
                return std::move(task).error().with("asking for a task");
            }
            if (*task) accept(std::move(**task));
        }
        return {};
    }

private:
    void say(const std::string& text) {
        if (options_.status) options_.status(text);
    }

    // What the operator dropped in for machines that have reached the server. Without it the agent works as well.
    Status take_post_system(ControllerLink& link) {
        utsname system{};
        ::uname(&system);
        auto path = fmt::format("/agent/v1/post-system?kernel={}", system.release);
        auto answer = TRY(link.bytes(path, nullptr, kMaxPostSystem));
        if (answer.body.empty()) return {};
        say("taking " + human_bytes(answer.body.size()) + " of PostSystem");
        (void)TRY(run_checked({options_.post_system}, {.input = std::move(answer.body), .timeout = kPostSystemTime}));
        return {};
    }

    void wait_for_any() {
        std::unique_lock hold(mutex_);
        ended_.wait_for(hold, std::chrono::seconds(1), [&] {
            return std::any_of(running_.begin(), running_.end(), [](const auto& r) { return r->finished.load(); });
        });
    }

    void accept(channel::Task task) {
        // Given again after a restart of the server: it is being done, and reported, already.
        for (const auto& running : running_)
            if (running->task.key == task.key) return;
        log::info("agent", "task {} {}", printable(task.key), printable(task.type));
        say("working: " + printable(task.type));
        auto running = std::make_unique<Running>();
        running->task = std::move(task);
        auto* r = running.get();
        running_.push_back(std::move(running));
        r->worker = std::jthread([this, r] { work(*r); });
        r->reporter = std::jthread([this, r] { tell(*r); });
    }

    Result<TaskOutcome> perform(Running& r) {
        auto row = tasks_.find(r.task.type);
        if (row == tasks_.end())
            return make_error(errors::kUnknownTask, "this agent does not know the task '{}'", printable(r.task.type));
        auto link = options_.link;
        link.give_up = [this, &r] { return stop_.load() || r.cancelled.load(); };
        TaskContext context{machine_,
                            link,
                            self_,
                            r.task.parameters,
                            [&r](const Progress& progress) {
                                std::lock_guard hold(r.mutex);
                                r.progress = progress;
                            },
                            [&r](const std::string& line) {
                                log::info("agent", "{}", printable(line));
                                std::lock_guard hold(r.mutex);
                                r.log.push_back(line);
                            },
                            r.cancelled,
                            r.cancel_event.get(),
                            [&r](const channel::MulticastCounts& counts) {
                                std::lock_guard hold(r.mutex);
                                r.multicast = counts;
                            }};
        return row->second(context);
    }

    void work(Running& r) {
        auto outcome = perform(r);
        if (!outcome) log::error("agent", "task {}: {}", printable(r.task.key), outcome.error().describe());
        std::lock_guard hold(r.mutex);
        r.outcome = std::move(outcome);
        r.changed.notify_all();
    }

    channel::Report next_report(Running& r) {
        std::unique_lock hold(r.mutex);
        r.changed.wait_for(hold, kReportEvery, [&] { return r.outcome.has_value(); });
        channel::Report report;
        report.key = r.task.key;
        report.boot_id = boot_id_;
        report.progress = r.progress;
        report.multicast = r.multicast;
        report.log.swap(r.log);
        if (!r.outcome) return report;
        if (r.outcome->ok()) {
            report.state = (*r.outcome)->losses ? channel::TaskState::Losses : channel::TaskState::Done;
            report.result = (*r.outcome)->result;
        } else {
            report.state = channel::TaskState::Failed;
            report.error = r.outcome->error();
        }
        return report;
    }

    // Its own link: the poll is waiting on the other. Reports are tried until they are heard; one that the
    // server refuses (a job that is gone) ends the task.
    void tell(Running& r) {
        auto link = ControllerLink::open(options_.link, self_);
        for (bool last = false; link && !last;) {
            auto report = next_report(r);
            last = report.state != channel::TaskState::Running;
            auto answer = link->report(report);
            if (!answer) {
                log::warning("agent", "report on {}: {}", printable(r.task.key), answer.error().describe());
                r.cancel();
                if (stop_) break;
            } else if (answer->cancel) {
                r.cancel();
            }
        }
        r.worker.join();
        auto after = r.outcome->ok() ? (*r.outcome)->after : PowerAction::None;
        say("ready: device " + printable(self_.device));
        if (after != PowerAction::None) machine_.power(after);
        r.finished = true;
        ended_.notify_all();
    }

    Machine& machine_;
    AgentOptions options_;
    const TaskTable& tasks_;
    const std::atomic<bool>& stop_;
    std::string boot_id_;
    Self self_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace

Status run_agent(Machine& machine, const AgentOptions& options, const TaskTable& tasks, const std::atomic<bool>& stop) {
    return Agent(machine, options, tasks, stop).run();
}

}  // namespace slipway::agent
