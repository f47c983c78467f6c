// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/engine.hpp"

#include <algorithm>

#include "sequences/errors.hpp"

namespace slipway::sequences {

StepError step_error(const Error& error) {
    // describe() ends with the name, which has its own member here; an error off the wire may carry it twice.
    auto message = error.describe();
    auto tail = " [" + error.name() + "]";
    while (message.ends_with(tail)) message.resize(message.size() - tail.size());
    return {error.name(), std::move(message), error.next_step(), error.temporary()};
}

RunRecord new_run(const Sequence& sequence) {
    RunRecord run;
    run.steps.resize(sequence.tasks.size());
    return run;
}

static constexpr std::int64_t kAfterRestart = 120'000;  // ms

void StepRecord::note_progress(std::uint64_t done, std::uint64_t total, const std::string& what, std::int64_t now_ms) {
    constexpr std::int64_t kApart = 1000;
    auto& said = progress_said;
    // Another piece of work, or the same from its beginning, has a rate of its own.
    if (what != progress_what || done < progress_done) said.clear();
    if (said.size() > 1 && said.back().ms - said[said.size() - 2].ms < kApart) said.back() = {now_ms, done};
    else said.push_back({now_ms, done});
    while (said.size() > 2 && now_ms - said[1].ms >= kRateOf) said.erase(said.begin());
    progress_done = done;
    progress_total = total;
    progress_what = what;
}

std::uint64_t StepRecord::progress_rate() const {
    if (agent_lost || progress_said.size() < 2) return 0;
    const auto &first = progress_said.front(), &last = progress_said.back();
    const auto ms = last.ms - first.ms;
    if (ms < 100) return 0;
    return static_cast<std::uint64_t>(static_cast<double>(last.done - first.done) * 1000 / static_cast<double>(ms));
}

std::int64_t retry_delay_ms(unsigned tries) { return std::min(60'000, 5'000 * static_cast<int>(std::min(tries, 12u))); }

namespace {

class Transition {
public:
    Transition(const Sequence& sequence, const Values& variables, RunRecord& run, std::int64_t now)
        : sequence_(sequence), variables_(variables), run_(run), now_(now) {}

    Actions take() && { return std::move(actions_); }

    void operator()(const Start&) {
        if (run_.state != RunState::Queued) return;
        run_.state = RunState::Running;
        go_on();
    }
    void operator()(const TaskAccepted& e) {
        if (!is_current(e.key) || step().state != StepState::Dispatched) return;
        step().state = StepState::Running;
        emit(StoreIntent{run_.current});
    }
    void operator()(const TaskProgress& e) {
        if (!is_current(e.key)) return;
        heard();
        step().note_progress(e.done, e.total, e.what, now_);
    }
    void operator()(const TaskDone& e) {
        if (is_current(e.key)) done(e.result, e.losses);
    }
    void operator()(const TaskFailed& e) {
        if (is_current(e.key)) failed(e.error);
    }
    void operator()(const AgentLost&) {
        if (in_flight() && on_agent()) step().agent_lost = true;
    }
    void operator()(const AgentBack& e) {
        if (!in_flight() || !on_agent()) return;
        step().agent_lost = false;
        // A machine that was told to reboot cannot report more than coming back.
        if (task().reboot_point && e.new_boot && step().state == StepState::Running) return done({}, false);
        emit(Probe{key()});
    }
    void operator()(const Timer&) {
        if (run_.state != RunState::Running || at_end()) return;
        if (step().state == StepState::Waiting) return go_on();
        if (!in_flight()) return;
        if (now_ < step().deadline_ms) return emit(WaitUntil{step().deadline_ms});
        emit(CancelTask{key()});
        failed(step_error(
            make_error(errors::kTimeout, "'{}' was not done within {} s", task().id, task().timeout.count())));
    }
    void operator()(const Cancel&) {
        if (run_.state != RunState::Queued && run_.state != RunState::Running) return;
        if (in_flight()) emit(CancelTask{key()});
        if (!at_end()) end_step(StepState::Failed, step_error(make_error(errors::kCancelled, "the job was cancelled")));
        finish(RunState::Cancelled);
    }
    void operator()(const Resume&) {
        if (run_.state != RunState::Failed && run_.state != RunState::Cancelled) return;
        std::size_t first = run_.steps.size();
        for (std::size_t i = run_.steps.size(); i-- > 0;) {
            auto& s = run_.steps[i];
            bool tolerated =
                s.state == StepState::Failed && sequence_.tasks[i].on_error == OnError::Continue && i != run_.current;
            if (s.state == StepState::Done || tolerated) continue;
            first = i;
            reset(s);
        }
        reset_way_back(first);
        run_.state = RunState::Running;
        run_.current = 0;
        advance();
        go_on();
    }
    void operator()(const Restarted&) {
        if (run_.state != RunState::Running || at_end()) return;
        if (!in_flight()) return go_on();
        // What was finished while nobody listened must have time to be said.
        auto grace = std::min<std::int64_t>(kAfterRestart, std::chrono::milliseconds(task().timeout).count());
        step().deadline_ms = std::max(step().deadline_ms, now_ + grace);
        emit(StoreIntent{run_.current});
        emit(Probe{key()});
        emit(WaitUntil{step().deadline_ms});
    }
    void operator()(const ProbeAnswer& e) {
        if (!is_current(e.key)) return;
        heard();
        switch (e.kind) {
            case ProbeAnswer::Kind::Done: return done(e.result, e.losses);
            case ProbeAnswer::Kind::Failed: return failed(e.error);
            case ProbeAnswer::Kind::Running: step().state = StepState::Running; return;
            case ProbeAnswer::Kind::NotKnown: return give_again();
        }
    }

private:
    const Task& task() const { return sequence_.tasks[run_.current]; }
    StepRecord& step() { return run_.steps[run_.current]; }
    bool at_end() const { return run_.current >= run_.steps.size(); }
    StepKey key() { return {run_.current, step().attempt}; }
    bool on_agent() const { return task().target != Target::Controller; }
    bool in_flight() {
        return run_.state == RunState::Running && !at_end() &&
               (step().state == StepState::Dispatched || step().state == StepState::Running);
    }
    bool is_current(const StepKey& of) { return in_flight() && of == key(); }
    void emit(Action action) { actions_.push_back(std::move(action)); }
    void heard() { step().agent_lost = false; }

    static void reset(StepRecord& s) {
        StepRecord fresh;
        fresh.attempt = s.attempt;
        s = fresh;
    }

    // A step that needs the agent is of no use before the machine is booted into it again; a proof is of no use
    // before the machine was turned off and booted anew, so all from the last stop-vm on is repeated.
    void reset_way_back(std::size_t first) {
        if (first >= run_.steps.size()) return;
        if (sequence_.tasks[first].type == "boot-proof") {
            auto from = first;
            while (from > 0 && sequence_.tasks[from].type != "stop-vm") --from;
            if (sequence_.tasks[from].type == "stop-vm")
                for (auto i = from; i < first; ++i) reset(run_.steps[i]);
            return;
        }
        if (sequence_.tasks[first].target != Target::Device) return;
        for (std::size_t i = first; i-- > 0;) {
            if (sequence_.tasks[i].type == "boot-to-da") return reset(run_.steps[i]);
            if (sequence_.tasks[i].reboot_point) return;
        }
    }

    void advance() {
        while (!at_end() && step().state != StepState::Waiting) ++run_.current;
    }

    void go_on() {
        if (at_end()) return finish(RunState::Done);
        if (now_ < step().not_before_ms) return emit(WaitUntil{step().not_before_ms});
        auto& s = step();
        ++s.attempt;
        ++s.tries;
        if (!s.started_ms) s.started_ms = now_;
        s.state = StepState::Dispatched;
        s.deadline_ms = now_ + std::chrono::milliseconds(task().timeout).count();
        s.error.reset();
        s.progress_done = s.progress_total = 0;
        s.progress_what.clear();
        dispatch();
    }

    void dispatch() {
        step().progress_said.clear();  // another life of its agent: what it finds done already is no speed
        auto parameters = expand_all(task().parameters, variables_);
        if (!parameters) return failed(step_error(parameters.error()));
        emit(StoreIntent{run_.current});
        emit(Dispatch{key(), task().type, task().target, std::move(*parameters)});
        emit(WaitUntil{step().deadline_ms});
    }

    void give_again() {
        const auto* type = find_task_type(task().type);
        if (step().state == StepState::Running && !(type && type->probe))
            return failed(step_error(make_error(errors::kInterrupted, "'{}' was interrupted", task().id)));
        step().state = StepState::Dispatched;
        dispatch();
    }

    void end_step(StepState state, std::optional<StepError> error) {
        auto& s = step();
        s.state = state;
        s.ended_ms = now_;
        s.not_before_ms = 0;
        s.agent_lost = false;
        s.error = std::move(error);
        emit(StoreOutcome{run_.current});
    }

    void done(std::string result, bool losses) {
        step().result = std::move(result);
        step().losses = losses;
        end_step(StepState::Done, std::nullopt);
        advance();
        go_on();
    }

    void failed(StepError error) {
        if (error.temporary && step().tries <= task().retry) {
            step().state = StepState::Waiting;
            step().error = std::move(error);
            step().not_before_ms = now_ + retry_delay_ms(step().tries);
            emit(StoreOutcome{run_.current});
            return emit(WaitUntil{step().not_before_ms});
        }
        end_step(StepState::Failed, std::move(error));
        if (task().on_error == OnError::Fail) return finish(RunState::Failed);
        advance();
        go_on();
    }

    void finish(RunState state) {
        run_.state = state;
        for (auto& s : run_.steps)
            if (s.state == StepState::Waiting) s.state = StepState::Skipped;
        emit(Finish{state});
    }

    const Sequence& sequence_;
    const Values& variables_;
    RunRecord& run_;
    std::int64_t now_;
    Actions actions_;
};

}  // namespace

Actions Engine::apply(RunRecord& run, const Event& event, std::int64_t now_ms) const {
    Transition transition(sequence_, variables_, run, now_ms);
    std::visit(transition, event);
    return std::move(transition).take();
}

}  // namespace slipway::sequences
