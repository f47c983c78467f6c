// SPDX-License-Identifier: GPL-3.0-or-later
// The pure engine of one run of a sequence on one device: record × event × now -> actions.
// It sends nothing and asks no clock. The driver saves the record after every apply(), BEFORE it
// carries out the actions, so that a process killed at any instant finds each intent stored:
//
//   waiting --begin--> dispatched --TaskAccepted--> running --TaskDone--> done
//      ^                   |  (intent stored)          |
//      +--retry, later-----+------TaskFailed, Timer----+--> failed --on-error continue--> next step
//   A run that fails or is cancelled leaves its other steps skipped; Resume sets them to waiting.
//
// A task's key JOB/RUN/STEP/ATTEMPT names one attempt: giving a task again under the same key is
// not a new attempt, and a report under another key than the current one is ignored.
#pragma once

#include <cstdint>
#include <variant>

#include "sequences/model.hpp"

namespace slipway::sequences {

enum class StepState {
    Waiting,     // not begun, or to be tried again from not_before_ms on
    Dispatched,  // intent stored; the task was or will be given out
    Running,     // taken by its agent or executor
    Done,
    Failed,
    Skipped,  // an earlier step failed, or the run was cancelled
};
enum class RunState { Queued, Running, Done, Failed, Cancelled };
std::string_view name_of(StepState state);
std::string_view name_of(RunState state);

struct StepError {
    std::string name, message, next_step;
    bool temporary = false;
};
StepError step_error(const Error& error);

// Times are milliseconds since 1970, so that they mean the same after a restart; 0: not set.
struct StepRecord {
    StepState state = StepState::Waiting;
    unsigned attempt = 0;  // 1 for the first; never reused
    unsigned tries = 0;    // of `retry`, since the start or the last resume
    std::int64_t started_ms = 0, ended_ms = 0, deadline_ms = 0, not_before_ms = 0;
    bool agent_lost = false;  // its agent is silent
    bool losses = false;      // done, but not everything could be kept
    std::uint64_t progress_done = 0, progress_total = 0;
    std::string progress_what;
    // What its agent said of its present piece of work in the last kRateOf, the oldest first, a second apart. Not
    // stored: a rate is of now.
    struct Said {
        std::int64_t ms = 0;
        std::uint64_t done = 0;
    };
    std::vector<Said> progress_said;
    static constexpr std::int64_t kRateOf = 10'000;  // ms
    void note_progress(std::uint64_t done, std::uint64_t total, const std::string& what, std::int64_t now_ms);
    std::uint64_t progress_rate() const;  // a second, over kRateOf; 0: not known, as of one whose agent is silent
    std::string result;                   // JSON text, empty: none
    std::optional<StepError> error;
};

struct RunRecord {
    RunState state = RunState::Queued;
    std::size_t current = 0;  // the step that is or will be worked on; steps.size() at the end
    std::vector<StepRecord> steps;
};
RunRecord new_run(const Sequence& sequence);
// JSON. Errors: sequences.bad-record.
std::string to_json(const RunRecord& run);
std::string to_json(const StepRecord& step);  // an element of the former's "steps"
Result<RunRecord> run_from_json(std::string_view text);

// ---- events

struct StepKey {
    std::size_t step = 0;
    unsigned attempt = 0;
    auto operator<=>(const StepKey&) const = default;
};
struct Start {};
struct TaskAccepted {
    StepKey key;
};
struct TaskProgress {
    StepKey key;
    std::uint64_t done = 0, total = 0;
    std::string what;
};
struct TaskDone {
    StepKey key;
    std::string result;
    bool losses = false;
};
struct TaskFailed {
    StepKey key;
    StepError error;
};
struct AgentLost {};
struct AgentBack {
    bool new_boot = false;  // the machine was booted since we last heard of it
};
struct Timer {};
struct Cancel {};
struct Resume {};     // of a failed or cancelled run
struct Restarted {};  // the driver's process is new: whatever is under way must be asked for
// What is known of the task asked for by Probe.
struct ProbeAnswer {
    StepKey key;
    enum class Kind { NotKnown, Running, Done, Failed } kind = Kind::NotKnown;
    std::string result;  // Done
    bool losses = false;
    StepError error;  // Failed
};
using Event = std::variant<Start, TaskAccepted, TaskProgress, TaskDone, TaskFailed, AgentLost, AgentBack, Timer, Cancel,
                           Resume, Restarted, ProbeAnswer>;

// ---- actions

struct StoreIntent {  // the record must be on disk before what follows is carried out
    std::size_t step = 0;
};
struct Dispatch {
    StepKey key;
    std::string type;
    Target target = Target::Device;
    Values parameters;  // expanded
};
struct Probe {
    StepKey key;
};
struct CancelTask {
    StepKey key;
};
struct StoreOutcome {
    std::size_t step = 0;
};
struct WaitUntil {  // Timer is wanted then
    std::int64_t ms = 0;
};
struct Finish {
    RunState state = RunState::Done;
};
using Action = std::variant<StoreIntent, Dispatch, Probe, CancelTask, StoreOutcome, WaitUntil, Finish>;
using Actions = std::vector<Action>;

class Engine {
public:
    // The sequence and the effective variables of the run; both must outlive the engine.
    Engine(const Sequence& sequence, const Values& variables) : sequence_(sequence), variables_(variables) {}
    Actions apply(RunRecord& run, const Event& event, std::int64_t now_ms) const;

private:
    const Sequence& sequence_;
    const Values& variables_;
};

// How long a failed attempt waits before the next: 5 s more each time, at most a minute.
std::int64_t retry_delay_ms(unsigned tries);

}  // namespace slipway::sequences
