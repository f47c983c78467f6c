// SPDX-License-Identifier: GPL-3.0-or-later
// Killed at every commit, the job goes on.
#include <atomic>
#include <set>

#include "deploy-server/test/hub_fixture.hpp"

namespace slipway::server {
namespace {

using namespace test;

// An agent as slipway-agent-da is one: repeats the report on what it finished until that is heard.
struct StubbornAgent {
    Bench& bench;
    std::string boot = "b1";
    std::string finished;  // reported, not heard yet
    bool down = false;
    std::set<std::string> keys;  // all that it was ever given

    void turn() {
        auto device = bench.db->device("a").value();
        if (!device || down) return;
        if (finished.empty()) {
            auto task = bench.poll("a", boot);
            if (!task) return;
            keys.insert(task->key);
            finished = task->key;
            going_down = task->type == "shutdown";
        }
        if (!bench.hub->report(*device, {finished, boot, "done", std::nullopt, {}, "", std::nullopt}).ok()) return;
        finished.clear();
        down = going_down;
    }
    bool going_down = false;
};

Sequence capture_and_off() {
    Sequence s;
    s.add("take-control");
    s.add("boot-to-da");
    s.add("inventory");
    s.add("capture-image", {{"image", "web"}, {"nonetencrypt", "true"}});
    s.add("shutdown");
    s.add("wait-off");
    s.add("release-control");
    return s;
}

// The database takes `commits` commits, then nothing more: the process may as well be dead. Then a new process.
// Whether the job was done before that.
bool killed_after(Bench& b, int commits) {
    SCOPED_TRACE(fmt::format("killed after commit {}", commits));
    std::atomic<int> left{commits};
    b.add("a");
    b.db->sqlite().guard_commits([&left] { return left.fetch_sub(1) > 0; });
    StubbornAgent agent{b};
    auto submitted = b.hub->submit(b.request("a", capture_and_off()));
    auto job = submitted ? *submitted : 0;
    auto over = [&] { return left <= 0 || !job || b.state(job) == RunState::Done; };
    (void)b.hub->hello(b.row("a"), {agent.boot, "1", "da", "{}"}).ok();
    while (!over()) agent.turn();
    bool whole = left > 0 && job && b.state(job) == RunState::Done;
    b.restart();
    if (whole) return true;
    auto all = b.db->jobs().value();
    job = all.empty() ? b.submit("a", capture_and_off()) : all.front().id;
    if (commits % 2 && !agent.down && !agent.going_down) {  // the machine went down with the server
        agent.finished.clear();
        agent.boot = "b2";
    }
    if (!agent.down) b.hello("a", agent.boot);
    auto until = std::chrono::steady_clock::now() + 20s;
    while (b.state(job) != RunState::Done && std::chrono::steady_clock::now() < until) agent.turn();
    EXPECT_EQ(b.state(job), RunState::Done) << sequences::to_json(*b.hub->record(job).value());
    for (const auto& key : agent.keys) EXPECT_THAT(key, testing::EndsWith("/1"));  // never a second attempt
    return false;
}

struct KillSweep : testing::Test {};

TEST_F(KillSweep, killed_at_any_commit_the_job_goes_on_and_no_step_is_attempted_twice) {
    struct Fast : Bench {
        void TestBody() override {}
        Fast() { options = {20ms, 2000ms, 5ms, 5ms, 5ms, 10ms, 5ms, 20ms}; }
        using Bench::SetUp;
    };
    bool whole = false;
    int commits = 0;
    for (; !whole && commits < 200; ++commits) {
        Fast bench;
        bench.SetUp();
        whole = killed_after(bench, commits);
        if (HasFailure()) return;
    }
    EXPECT_GT(commits, 20);
    EXPECT_TRUE(whole);
    std::printf("%d commits\n", commits);
}

}  // namespace
}  // namespace slipway::server
