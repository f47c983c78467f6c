// SPDX-License-Identifier: GPL-3.0-or-later
// The driver of all jobs: feeds the pure engine (sequences/engine.hpp), saves each record before the
// engine's actions are carried out, gives device and vmhost tasks to the agents' polls, carries out
// controller tasks. One mutex over everything here; outside calls post events and drain() applies
// them one after the other. Callbacks (poll, event waiters) are called without the mutex.
//
// hub.cpp: jobs and runs. hub_agents.cpp: sessions of agents. hub_tasks.cpp: controller tasks. job_images.cpp: which
// version of an image a job lays down.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <boost/json/fwd.hpp>

#include "deploy-server/db/database.hpp"
#include "deploy-server/jobs/power.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/fd.hpp"

namespace slipway::server {

// What a new job is made of; children make it a parent.
struct JobRequest {
    std::string name;
    JobMode mode = JobMode::Run;
    std::string sequence_name, sequence_xml;  // Run
    std::string device;                       // Run; empty: none
    sequences::Values variables;
    std::optional<DeviceSpec> make_device;
    std::vector<JobRequest> children;
    // Parallel: so many children at a time; 0: all. One whose agent is silent leaves its place to the next, and goes on
    // when it is back, beyond the number if need be.
    unsigned max_parallel = 0;
};

// NAME or NAME@VERSION to NAME@VERSION as the store has it.
using ResolveImage = std::function<Result<std::string>(const std::string& image)>;

struct AgentHello {
    std::string boot_id, version, kind;  // kind: "da" or "administration"
    std::string hardware;                // JSON object text
};

struct GivenTask {
    std::string key, type;
    sequences::Values parameters;
};

struct AgentReport {
    std::string key, boot_id, state;  // running | done | failed | losses
    std::optional<sequences::TaskProgress> progress;
    std::vector<std::pair<std::string, std::string>> log;  // level, text
    std::string result;                                    // JSON object text
    std::optional<sequences::StepError> error;
};

// A task as the agent channel's routes see it.
struct HeldTask {
    std::string key, type;
    sequences::Values parameters;
    std::int64_t job = 0;
};

struct AgentStatus {
    std::string state = "none";  // ready | lost | none
    std::string kind, version;
    std::int64_t last_seen_ms = 0;
};

struct HubOptions {
    std::chrono::milliseconds poll_time{20'000};     // an empty poll is answered after it
    std::chrono::milliseconds lost_after{60'000};    // without a call the agent counts as lost
    std::chrono::milliseconds quiet_time{10'000};    // a machine that said it goes down is off after it
    std::chrono::milliseconds status_every{2'000};   // power status is asked so often
    std::chrono::milliseconds save_retry{5'000};     // after the database refused a record
    std::chrono::milliseconds give_again{5'000};     // a task that its agent does not report on is given again
    std::chrono::milliseconds show_progress{1'000};  // waiters for events hear of progress so often
    std::chrono::milliseconds life_sign{5'000};      // an agent that is there answers within it
};

class Hub {
public:
    Hub(Database& database, const Clock& clock, HubOptions options = {});
    ~Hub();  // stop()
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    // Takes up what the database says is under way, then starts the timer's thread.
    Status start();
    void stop();  // ends the thread; parked polls and waits are answered
    // Called, without the mutex, when a task's key is over, so that what was kept for it can go.
    void on_task_over(std::function<void(const std::string& key)> callback) { task_over_ = std::move(callback); }

    // may_boot: an error refuses to boot the device into the agent. hardware_known: an inventory or a hello was stored.
    // Both are called with the mutex held, and answer at once.
    void on_hardware(std::function<Status(const std::string& device)> may_boot,
                     std::function<void(const std::string& device)> hardware_known) {
        may_boot_ = std::move(may_boot);
        hardware_known_ = std::move(hardware_known);
    }

    // Called with the mutex held; without it, names of images go to the agents as they stand.
    void on_images(ResolveImage resolve) { resolve_image_ = std::move(resolve); }

    // ---- jobs
    // The names of the images it lays down are settled to versions now (job_images.hpp); an error of that refuses it.
    // allowed is asked while no other job can begin or come in; its error refuses this one.
    Result<std::int64_t> submit(const JobRequest& asked, const std::function<Status()>& allowed = {});
    Status cancel(std::int64_t job);
    Status resume(std::int64_t job);
    // The run with its progress, newer than the database's.
    Result<std::optional<sequences::RunRecord>> record(std::int64_t job);
    // What a deploy-image step lays down, NAME@VERSION where that is known yet; empty: another step.
    std::string image_of(const JobRow& job, const sequences::RunRecord& record, const sequences::Sequence& sequence,
                         std::size_t step);
    // Calls remove unless an unfinished job has yet to lay one of these (NAME@VERSION) down. Error:
    // server.image-in-use.
    Status remove_images(const std::vector<std::string>& versions, const std::function<Status()>& remove);
    bool holds(std::int64_t device_id);  // a running job does
    void event(std::int64_t job, std::string_view level, std::string_view text);
    // Calls back when the job (or one below it) has an event after `after`, at once when it has one, else at the latest
    // after `wait`.
    void wait_for_event(std::int64_t job, std::int64_t after, std::chrono::milliseconds wait,
                        std::function<void()> done);

    // ---- devices
    Status take_control(std::int64_t device_id);
    Status release_control(std::int64_t device_id);
    Status forget_device(std::int64_t device_id);  // its session; the row is gone
    AgentStatus agent(const DeviceRow& device);
    void alarm(std::int64_t device_id, std::string_view text);  // an error in the log of each job that holds it

    // ---- agents, already known to be who they say and under control
    Status hello(const DeviceRow& device, const AgentHello& hello);
    using PollDone = std::function<void(std::optional<GivenTask>)>;
    void poll(const DeviceRow& device, const std::string& boot_id, PollDone done);
    Result<bool> report(const DeviceRow& device, const AgentReport& report);  // true: the agent should stop the task
    void seen(std::int64_t device_id);                                        // any other call of its agent
    std::optional<HeldTask> held(std::int64_t device_id, std::string_view type);  // a task of that type
    std::optional<HeldTask> held_by_bulk_key(std::string_view key);

private:
    using Step = sequences::StepKey;
    struct Assignment {
        std::int64_t job = 0;
        Step step;
        std::string sub;  // "" the step itself, else a part of a controller step: "power-on"
        std::string key, type;
        sequences::Values parameters;
        std::string boot_id;  // of the agent it was given to
        bool given = false;   // the agent was told
        bool heard = false;   // … and has reported on it
        Instant given_at{};
    };
    struct Session {
        std::string boot_id, kind, version;
        std::int64_t last_seen_ms = 0, stored_seen_ms = 0;
        Instant last_call{};
        bool lost = false, greeted = false;
        std::string down_boot;  // the boot that said it goes down
        std::deque<Assignment> queue;
        struct Poll {
            Instant until{};
            PollDone done;
        };
        std::optional<Poll> poll;
        bool ready() const { return greeted && !lost && down_boot != boot_id; }
    };
    // A controller task under way.
    struct Errand {
        Step key;
        std::string type;
        sequences::Values parameters;
        enum class Phase { Working, AskedForLife, WaitAgent, WaitOff } phase = Phase::Working;
        Instant next{};       // WaitOff: when to look again; AskedForLife: when it counts as dead
        bool asking = false;  // a status command is running
        int failures = 0;
        std::shared_ptr<UniqueFd> alive;  // run-script: closed with the errand, which ends the script
    };
    struct Live {
        JobRow job;
        RunRow run;
        sequences::Sequence sequence;
        sequences::Values variables;
        std::int64_t device_id = 0;
        std::int64_t wake_ms = 0;
        std::optional<Errand> errand;
    };
    struct Waiter {
        std::int64_t job = 0;
        Instant since{}, until{};
        std::function<void()> done;
    };
    struct Gate;  // lets a worker's result in while the hub lives

    // hub.cpp
    void post(std::int64_t job, sequences::Event event) { queue_.emplace_back(job, std::move(event)); }
    void drain();
    void apply(Live& live, const sequences::Event& event);
    void carry_out(Live& live, const sequences::Actions& actions);
    void act(Live& live, const sequences::Dispatch& action);
    void act(Live& live, const sequences::Probe& action);
    void act(Live& live, const sequences::CancelTask& action);
    void act(Live& live, const sequences::StoreOutcome& action);
    void act(Live& live, const sequences::Finish& action);
    void schedule();
    bool may_start(const JobRow& job);
    bool waits_for_the_dead(std::int64_t job) const;
    void start_leaf(JobRow& job);
    Status make_live(const JobRow& job, Live& live);
    Status find_device(Live& live);
    void refuse(JobRow& job, const Error& error);
    void end_job(JobRow& job, sequences::RunState state);
    void end_parent(std::int64_t parent);
    Status cancel_tree(std::int64_t job);
    Status resume_tree(std::int64_t job, bool& any);
    Result<std::int64_t> add_tree(const JobRequest& request, std::int64_t parent, const sequences::Values& inherited);
    void save_job(const JobRow& job);
    void note(std::int64_t job, std::string_view level, std::string_view text);
    void show_progress(std::int64_t job);
    bool is_below(std::int64_t job, std::int64_t ancestor);
    void run_timer();
    void tick();
    Instant next_wake();
    void unlock_and_call(std::unique_lock<std::mutex>& lock);

    // job_images.cpp
    std::string stored_below(std::int64_t job, const std::string& name);
    std::string stored_before(const JobRow& job, const std::string& name);
    void settle_image(const Live& live, std::size_t step, sequences::Values& parameters);
    Result<std::vector<std::string>> images_needed(const JobRow& job);
    Status check_images(std::int64_t job);

    // hub_agents.cpp
    Session& touch(const DeviceRow& device, const std::string& boot_id, std::string_view kind);
    void heard_of(std::int64_t device_id, Session& session, bool new_boot, bool back);
    void assign(std::int64_t device_id, Assignment assignment);
    void give(std::int64_t device_id);
    void drop_assignments(std::int64_t job, const Step& step);
    void check_given(std::int64_t device_id);
    void agent_event(std::int64_t device_id, const sequences::Event& event);
    std::pair<Session*, Assignment*> find_assignment(std::string_view key);
    Result<std::string> keep_artifacts(const Assignment& assignment, const DeviceRow& device,
                                       const std::string& result);
    Status keep_screen(const Assignment& assignment, boost::json::object& result);
    void on_reported(std::int64_t device_id, Assignment assignment, const AgentReport& report);
    Result<std::int64_t> vmhost_of(const sequences::Values& parameters, const std::string& named);

    // hub_tasks.cpp
    void start_errand(Live& live, const sequences::Dispatch& dispatch);
    bool resume_errand(Live& live, const Step& key);
    void begin_boot(Live& live, const DeviceRow& device);
    void cycle_power(Live& live, const DeviceRow& device);
    void ask_for_life(Live& live, Session& session);
    void on_no_life(Live& live);
    void switch_power(Live& live, const DeviceRow& device, PowerVerb verb);
    void power_by_vm(Live& live, const DeviceRow& device, PowerVerb verb);
    void start_command(Live& live, const DeviceRow& device, PowerVerb verb);
    void on_power(std::int64_t job, Step key, PowerVerb verb, Result<std::string> output);
    void on_sub_task(Live& live, const Assignment& assignment, const AgentReport& report);
    void power_done(Live& live);
    void look_if_off(Live& live);
    void errands_of(std::int64_t device_id);  // its agent came or went
    void run_on_controller(Live& live);
    void errand_done(Live& live, std::string result = {});
    void errand_failed(Live& live, const Error& error);
    void wait_for_agent(Live& live);
    Result<DeviceRow> device_of(const Live& live);
    void work(std::function<std::function<void()>()> job);

    Database& db_;
    const Clock& clock_;
    HubOptions options_;
    std::function<void(const std::string&)> task_over_;
    std::function<Status(const std::string&)> may_boot_;
    ResolveImage resolve_image_;
    std::function<void(const std::string&)> hardware_known_;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread timer_;
    std::shared_ptr<Gate> gate_;
    std::map<std::int64_t, JobRow> open_;  // queued and running jobs
    std::map<std::int64_t, Live> live_;    // the running leaves of them
    std::map<std::int64_t, Session> sessions_;
    std::vector<Waiter> waiters_;
    std::deque<std::pair<std::int64_t, sequences::Event>> queue_;
    std::deque<std::pair<std::int64_t, sequences::Event>> postponed_;  // could not be saved; tried again
    Instant retry_save_{};
    bool draining_ = false;
    std::vector<std::function<void()>> calls_;  // to be made without the mutex
};

// A record of the name a job would make its device under may be of another machine: a migration that runs again finds
// its VM where the source was, with the same MACs. A corrected address or switch of the same machine is no difference.
// Error: server.other-machine.
Status check_same_machine(const DeviceRow& row, const DeviceSpec& wanted);

std::string task_key(std::int64_t job, std::int64_t run, const sequences::StepKey& step);

}  // namespace slipway::server
