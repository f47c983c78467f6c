// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::sequences {
namespace {

constexpr std::int64_t kNow = 1'000'000;

// Actions as short words: "intent dispatch:0/1 wait:1060000".
std::string words(const Actions& actions) {
    std::vector<std::string> out;
    for (const auto& action : actions) {
        if (std::get_if<StoreIntent>(&action)) out.push_back("intent");
        if (const auto* a = std::get_if<Dispatch>(&action))
            out.push_back(fmt::format("dispatch:{}/{}", a->key.step, a->key.attempt));
        if (const auto* a = std::get_if<Probe>(&action))
            out.push_back(fmt::format("probe:{}/{}", a->key.step, a->key.attempt));
        if (const auto* a = std::get_if<CancelTask>(&action))
            out.push_back(fmt::format("cancel:{}/{}", a->key.step, a->key.attempt));
        if (std::get_if<StoreOutcome>(&action)) out.push_back("outcome");
        if (const auto* a = std::get_if<WaitUntil>(&action)) out.push_back(fmt::format("wait:{}", a->ms - kNow));
        if (const auto* a = std::get_if<Finish>(&action)) out.push_back(fmt::format("finish:{}", name_of(a->state)));
    }
    return fmt::format("{}", fmt::join(out, " "));
}

const StepError kHiccup{"net.gone", "gone", "wait", true};
const StepError kBroken{"disk.broken", "broken", "replace", false};

struct Bench {
    Sequence sequence;
    Values variables{{"image", "web"}};
    RunRecord run;

    Bench() {
        sequence.name = "s";
        auto& capture = sequence.add("capture-image", {{"image", "${image}"}});
        capture.retry = 1;
        capture.timeout = std::chrono::seconds(60);
        sequence.add("shutdown").timeout = std::chrono::seconds(30);
        run = new_run(sequence);
    }
    // Every transition also goes through the stored form: what is saved is all there is.
    std::string apply(const Event& event, std::int64_t at = kNow) {
        auto text = words(Engine(sequence, variables).apply(run, event, at));
        auto again = run_from_json(to_json(run));
        EXPECT_TRUE(again);
        run = *again;
        return text;
    }
    StepState step(std::size_t i = 0) const { return run.steps[i].state; }
    void into(StepState state) {
        StepKey key{0, 1};
        if (state == StepState::Skipped) {  // only in a run that ended: the second step
            apply(Start{});
            apply(Cancel{});
            return;
        }
        apply(Start{});
        if (state == StepState::Waiting) apply(TaskFailed{key, kHiccup});
        if (state == StepState::Running || state == StepState::Done) apply(TaskAccepted{key});
        if (state == StepState::Done) {
            apply(TaskDone{key, "{}"});
            apply(TaskDone{{1, 1}, "{}"});
        }
        if (state == StepState::Failed) apply(TaskFailed{key, kBroken});
    }
};

struct Row {
    StepState from;
    const char* event_name;
    Event event;
    StepState to;
    const char* actions;
};

std::vector<Row> table() {
    using S = StepState;
    using K = ProbeAnswer::Kind;
    const StepKey key{0, 1};
    const char* again = "intent dispatch:0/1 wait:60000";
    const char* next = "outcome intent dispatch:1/1 wait:30000";
    const char* stop = "cancel:0/1 outcome finish:cancelled";
    std::vector<Row> rows = {
        {S::Waiting, "Start", Start{}, S::Waiting, ""},
        {S::Waiting, "TaskAccepted", TaskAccepted{key}, S::Waiting, ""},
        {S::Waiting, "TaskProgress", TaskProgress{key, 1, 2, "x"}, S::Waiting, ""},
        {S::Waiting, "TaskDone", TaskDone{key, ""}, S::Waiting, ""},
        {S::Waiting, "TaskFailed", TaskFailed{key, kBroken}, S::Waiting, ""},
        {S::Waiting, "AgentLost", AgentLost{}, S::Waiting, ""},
        {S::Waiting, "AgentBack", AgentBack{true}, S::Waiting, ""},
        {S::Waiting, "Timer", Timer{}, S::Waiting, "wait:5000"},
        {S::Waiting, "Cancel", Cancel{}, S::Failed, "outcome finish:cancelled"},
        {S::Waiting, "Resume", Resume{}, S::Waiting, ""},
        {S::Waiting, "Restarted", Restarted{}, S::Waiting, "wait:5000"},
        {S::Waiting, "ProbeAnswer", ProbeAnswer{key, K::Done}, S::Waiting, ""},

        {S::Dispatched, "Start", Start{}, S::Dispatched, ""},
        {S::Dispatched, "TaskAccepted", TaskAccepted{key}, S::Running, "intent"},
        {S::Dispatched, "TaskProgress", TaskProgress{key, 1, 2, "x"}, S::Dispatched, ""},
        {S::Dispatched, "TaskDone", TaskDone{key, ""}, S::Done, next},
        {S::Dispatched, "TaskFailed", TaskFailed{key, kBroken}, S::Failed, "outcome finish:failed"},
        {S::Dispatched, "AgentLost", AgentLost{}, S::Dispatched, ""},
        {S::Dispatched, "AgentBack", AgentBack{true}, S::Dispatched, "probe:0/1"},
        {S::Dispatched, "Timer", Timer{}, S::Dispatched, "wait:60000"},
        {S::Dispatched, "Cancel", Cancel{}, S::Failed, stop},
        {S::Dispatched, "Resume", Resume{}, S::Dispatched, ""},
        {S::Dispatched, "Restarted", Restarted{}, S::Dispatched, "intent probe:0/1 wait:60000"},
        {S::Dispatched, "ProbeAnswer", ProbeAnswer{key, K::NotKnown}, S::Dispatched, again},

        {S::Running, "Start", Start{}, S::Running, ""},
        {S::Running, "TaskAccepted", TaskAccepted{key}, S::Running, ""},
        {S::Running, "TaskProgress", TaskProgress{key, 1, 2, "x"}, S::Running, ""},
        {S::Running, "TaskDone", TaskDone{key, ""}, S::Done, next},
        {S::Running, "TaskFailed", TaskFailed{key, kBroken}, S::Failed, "outcome finish:failed"},
        {S::Running, "AgentLost", AgentLost{}, S::Running, ""},
        {S::Running, "AgentBack", AgentBack{true}, S::Running, "probe:0/1"},
        {S::Running, "Timer", Timer{}, S::Running, "wait:60000"},
        {S::Running, "Cancel", Cancel{}, S::Failed, stop},
        {S::Running, "Resume", Resume{}, S::Running, ""},
        {S::Running, "Restarted", Restarted{}, S::Running, "intent probe:0/1 wait:60000"},
        {S::Running, "ProbeAnswer", ProbeAnswer{key, K::NotKnown}, S::Dispatched, again},
        {S::Running, "ProbeAnswer", ProbeAnswer{key, K::Running}, S::Running, ""},
        {S::Running, "ProbeAnswer", ProbeAnswer{key, K::Done}, S::Done, next},
        {S::Running, "ProbeAnswer", ProbeAnswer{key, K::Failed, "", false, kBroken}, S::Failed,
         "outcome finish:failed"},
        {S::Running, "TaskFailed", TaskFailed{key, kHiccup}, S::Waiting, "outcome wait:5000"},
    };
    // A run that ended answers to Resume alone.
    for (auto from : {S::Done, S::Failed, S::Skipped}) {
        auto stays = from == S::Skipped ? S::Failed : from;
        for (const auto& [name, event] :
             std::initializer_list<std::pair<const char*, Event>>{{"Start", Start{}},
                                                                  {"TaskAccepted", TaskAccepted{key}},
                                                                  {"TaskProgress", TaskProgress{key, 1, 2, "x"}},
                                                                  {"TaskDone", TaskDone{key, ""}},
                                                                  {"TaskFailed", TaskFailed{key, kBroken}},
                                                                  {"AgentLost", AgentLost{}},
                                                                  {"AgentBack", AgentBack{true}},
                                                                  {"Timer", Timer{}},
                                                                  {"Cancel", Cancel{}},
                                                                  {"Restarted", Restarted{}},
                                                                  {"ProbeAnswer", ProbeAnswer{key, K::NotKnown}}})
            rows.push_back({from, name, event, stays, ""});
    }
    rows.push_back({S::Done, "Resume", Resume{}, S::Done, ""});
    rows.push_back({S::Failed, "Resume", Resume{}, S::Dispatched, "intent dispatch:0/2 wait:60000"});
    rows.push_back({S::Skipped, "Resume", Resume{}, S::Dispatched, "intent dispatch:0/2 wait:60000"});
    return rows;
}

TEST(Engine, every_state_and_event_has_its_row_and_does_what_the_row_says) {
    std::set<std::pair<StepState, std::size_t>> covered;
    for (const auto& row : table()) {
        SCOPED_TRACE(fmt::format("{} x {}", name_of(row.from), row.event_name));
        Bench bench;
        bench.into(row.from);
        EXPECT_EQ(bench.step(row.from == StepState::Skipped ? 1 : 0), row.from);
        EXPECT_EQ(bench.apply(row.event), row.actions);
        EXPECT_EQ(bench.step(), row.to);
        covered.emplace(row.from, row.event.index());
    }
    EXPECT_EQ(covered.size(), 6 * std::variant_size_v<Event>);
}

TEST(Engine, a_run_goes_through_its_steps_to_done) {
    Bench b;
    EXPECT_EQ(b.apply(Start{}), "intent dispatch:0/1 wait:60000");
    b.apply(TaskAccepted{{0, 1}});
    b.apply(TaskDone{{0, 1}, "{\"chunks\":3}", true});
    EXPECT_EQ(b.run.steps[0].result, "{\"chunks\":3}");
    EXPECT_TRUE(b.run.steps[0].losses);
    EXPECT_EQ(b.apply(TaskDone{{1, 1}, ""}), "outcome finish:done");
    EXPECT_EQ(b.run.state, RunState::Done);
}

TEST(Engine, parameters_are_expanded_when_the_task_is_given_out) {
    Bench b;
    auto actions = Engine(b.sequence, b.variables).apply(b.run, Start{}, kNow);
    EXPECT_EQ(std::get<Dispatch>(actions[1]).parameters.at("image"), "web");
    EXPECT_EQ(std::get<Dispatch>(actions[1]).type, "capture-image");
}

TEST(Engine, an_unknown_variable_fails_the_step_before_anything_is_given_out) {
    Bench b;
    b.variables.clear();
    EXPECT_EQ(b.apply(Start{}), "outcome finish:failed");
    EXPECT_EQ(b.run.steps[0].error->name, "sequences.unknown-variable");
    EXPECT_EQ(b.step(1), StepState::Skipped);
}

TEST(Engine, a_temporary_failure_is_tried_again_up_to_the_limit_then_fails_the_run) {
    Bench b;
    b.apply(Start{});
    EXPECT_EQ(b.apply(TaskFailed{{0, 1}, kHiccup}), "outcome wait:5000");
    EXPECT_EQ(b.apply(Timer{}, kNow + 4'999), "wait:5000");
    EXPECT_EQ(b.apply(Timer{}, kNow + 5'000), "intent dispatch:0/2 wait:65000");
    EXPECT_EQ(b.apply(TaskDone{{0, 1}, ""}), "");  // the attempt before
    EXPECT_EQ(b.apply(TaskFailed{{0, 2}, kHiccup}), "outcome finish:failed");
}

TEST(Engine, a_step_past_its_deadline_is_cancelled_and_counts_as_a_failed_attempt) {
    Bench b;
    b.apply(Start{});
    EXPECT_EQ(b.apply(Timer{}, kNow + 60'000), "cancel:0/1 outcome wait:65000");
    b.apply(Timer{}, kNow + 65'000);
    EXPECT_EQ(b.apply(Timer{}, kNow + 125'000), "cancel:0/2 outcome finish:failed");
    EXPECT_EQ(b.run.steps[0].error->name, "sequences.timeout");
}

TEST(Engine, a_step_whose_time_ran_out_while_the_server_was_down_may_still_be_reported) {
    Bench b;
    b.apply(Start{});
    b.apply(TaskAccepted{{0, 1}});
    EXPECT_EQ(b.apply(Restarted{}, kNow + 3'600'000), "intent probe:0/1 wait:3660000");
    EXPECT_THAT(b.apply(TaskDone{{0, 1}, ""}, kNow + 3'600'500), testing::HasSubstr("dispatch:1/1"));
}

TEST(Engine, on_error_continue_goes_to_the_next_step_and_the_run_is_done) {
    Bench b;
    b.sequence.tasks[0].on_error = OnError::Continue;
    b.apply(Start{});
    EXPECT_EQ(b.apply(TaskFailed{{0, 1}, kBroken}), "outcome intent dispatch:1/1 wait:30000");
    EXPECT_EQ(b.apply(TaskDone{{1, 1}, ""}), "outcome finish:done");
    EXPECT_EQ(b.step(0), StepState::Failed);
}

TEST(Engine, a_machine_told_to_reboot_is_done_when_it_comes_back_from_a_new_boot) {
    Bench b;
    b.apply(Start{});
    b.apply(TaskDone{{0, 1}, ""});
    b.apply(TaskAccepted{{1, 1}});
    b.apply(AgentLost{});
    EXPECT_TRUE(b.run.steps[1].agent_lost);
    EXPECT_EQ(b.apply(AgentBack{false}), "probe:1/1");
    EXPECT_EQ(b.apply(AgentBack{true}), "outcome finish:done");
}

TEST(Engine, a_task_that_cannot_be_asked_is_not_run_twice_behind_the_operators_back) {
    Bench b;
    b.sequence.tasks.clear();
    b.sequence.add("run-script", {{"script", "date"}});
    b.run = new_run(b.sequence);
    b.apply(Start{});
    EXPECT_THAT(b.apply(ProbeAnswer{{0, 1}, ProbeAnswer::Kind::NotKnown}), testing::HasSubstr("dispatch:0/1"));
    b.apply(TaskAccepted{{0, 1}});
    EXPECT_EQ(b.apply(ProbeAnswer{{0, 1}, ProbeAnswer::Kind::NotKnown}), "outcome finish:failed");
    EXPECT_EQ(b.run.steps[0].error->name, "sequences.interrupted");
}

TEST(Engine, resume_boots_into_the_agent_again_and_keeps_what_was_done) {
    Bench b;
    b.sequence.tasks.clear();
    b.sequence.add("boot-to-da");
    b.sequence.add("inventory");
    b.sequence.add("capture-image", {{"image", "x"}});
    b.run = new_run(b.sequence);
    b.apply(Start{});
    b.apply(TaskDone{{0, 1}, ""});
    b.apply(TaskDone{{1, 1}, ""});
    EXPECT_EQ(b.apply(TaskFailed{{2, 1}, kBroken}), "outcome finish:failed");
    EXPECT_THAT(b.apply(Resume{}), testing::HasSubstr("dispatch:0/2"));
    EXPECT_THAT(b.apply(TaskDone{{0, 2}, ""}), testing::HasSubstr("dispatch:2/2"));
    EXPECT_EQ(b.run.steps[1].attempt, 1u);
}

TEST(Engine, resume_of_a_failed_proof_turns_the_machine_off_and_boots_it_anew) {
    Bench b;
    b.sequence.tasks.clear();
    Values vm{{"vm", "web"}};
    b.sequence.add("create-network", {{"network", "VM0"}});
    for (auto type : {"stop-vm", "discard-undo", "start-vm"}) b.sequence.add(type, vm);
    b.sequence.add("boot-proof", {{"vm", "web"}, {"nonce", "n"}});
    b.run = new_run(b.sequence);
    b.apply(Start{});
    for (std::size_t i = 0; i < 4; ++i) b.apply(TaskDone{{i, 1}, ""});
    EXPECT_EQ(b.apply(TaskFailed{{4, 1}, kBroken}), "outcome finish:failed");
    EXPECT_THAT(b.apply(Resume{}), testing::HasSubstr("dispatch:1/2"));
    EXPECT_EQ(b.step(0), StepState::Done);
    for (std::size_t i = 1; i < 4; ++i) b.apply(TaskDone{{i, 2}, ""});
    EXPECT_EQ(b.apply(TaskDone{{4, 2}, ""}), "outcome finish:done");
}

TEST(RunRecord, damaged_text_is_a_named_error) {
    Bench b;
    b.into(StepState::Failed);
    auto text = to_json(b.run);
    EXPECT_TRUE(run_from_json(text));
    for (auto bad : {std::string(), std::string("[]"), std::string("{}"), text.substr(0, text.size() - 1),
                     std::string(R"({"state":"done","current":9,"steps":[]})"),
                     std::string(R"({"state":"done","current":0,"steps":[{"state":"done"}]})")})
        EXPECT_FALSE(run_from_json(bad)) << bad;
}

TEST(Engine, a_rate_is_of_the_piece_of_work_that_is_under_way) {
    Bench b;
    b.apply(Start{});
    auto report = [&](std::uint64_t done, const char* what, std::int64_t at) {
        (void)Engine(b.sequence, b.variables).apply(b.run, TaskProgress{{0, 1}, done, 1000, what}, at);
        return b.run.steps[0].progress_rate();
    };
    EXPECT_EQ(report(100, "deploying", kNow), 0u) << "one word says nothing of speed";
    EXPECT_EQ(report(300, "deploying", kNow + 2000), 100u);
    EXPECT_EQ(report(600, "deploying", kNow + 5000), 100u) << "what was there before the first word is not counted";
    EXPECT_EQ(report(0, "verifying", kNow + 5000), 0u);
    EXPECT_EQ(report(500, "verifying", kNow + 6000), 500u);
    EXPECT_EQ(report(10, "verifying", kNow + 6500), 0u) << "begun again";
    b.apply(Timer{});  // by way of the database, as after a restart
    EXPECT_EQ(report(30, "verifying", kNow + 9000), 0u);
    EXPECT_EQ(report(50, "verifying", kNow + 10'000), 20u);
}

struct Rates : testing::Test {
    Bench b;
    std::int64_t now = kNow;
    std::uint64_t done = 0;
    void SetUp() override {
        b.apply(Start{});
        b.apply(TaskAccepted{{0, 1}});
    }
    // Not by way of the database, which forgets what a rate is made of.
    std::uint64_t tell(const Event& event) {
        (void)Engine(b.sequence, b.variables).apply(b.run, event, now);
        return b.run.steps[0].progress_rate();
    }
    std::uint64_t work(int seconds, std::uint64_t a_second, int every_ms = 1000) {
        std::uint64_t rate = 0;
        for (int ms = 0; ms < seconds * 1000; ms += every_ms) {
            now += every_ms;
            done += a_second * static_cast<std::uint64_t>(every_ms) / 1000;
            rate = tell(TaskProgress{{0, 1}, done, 1'000'000, "deploying"});
        }
        return rate;
    }
};

TEST_F(Rates, a_rate_is_of_the_last_ten_seconds_and_not_of_all_the_time_before) {
    EXPECT_EQ(work(300, 4000), 4000u);
    const auto soon = work(5, 1000);  // it was throttled
    EXPECT_GT(soon, 1000u);
    EXPECT_LT(soon, 4000u);
    EXPECT_EQ(work(6, 1000), 1000u);
    EXPECT_EQ(work(11, 0), 0u) << "it stands still";
    work(10, 4000, 100);
    EXPECT_EQ(work(3, 4000, 100), 4000u);
    EXPECT_LE(b.run.steps[0].progress_said.size(), 13u) << "however often it speaks";
}

TEST_F(Rates, chunks_that_come_in_bursts_are_one_rate) {
    for (int burst = 0; burst < 10; ++burst) {
        work(4, 0);
        work(1, 5000);
        const auto rate = static_cast<double>(b.run.steps[0].progress_rate());
        EXPECT_NEAR(burst > 2 ? rate : 1000, 1000, 300) << burst;
    }
}

TEST_F(Rates, what_a_machine_finds_done_after_its_reboot_is_no_speed) {
    work(20, 100);
    EXPECT_EQ(tell(AgentLost{}), 0u) << "a silent one has none";
    now += 5000;
    tell(AgentBack{true});
    EXPECT_EQ(tell(ProbeAnswer{{0, 1}, ProbeAnswer::Kind::NotKnown}), 0u);
    tell(TaskAccepted{{0, 1}});
    done += 500'000;  // resumed
    EXPECT_EQ(work(1, 100), 0u);
    EXPECT_EQ(work(1, 100), 100u);
}

TEST_F(Rates, a_silent_agent_has_a_rate_again_once_it_speaks) {
    work(20, 100);
    EXPECT_EQ(tell(AgentLost{}), 0u);
    now += 60'000;
    done += 6000;
    EXPECT_EQ(work(1, 100), 100u);
}

}  // namespace
}  // namespace slipway::sequences
