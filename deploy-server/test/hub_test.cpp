// SPDX-License-Identifier: GPL-3.0-or-later
// Tasks, jobs and what is refused.
#include <signal.h>

#include <atomic>
#include <fstream>

#include "deploy-server/jobs/base64.hpp"
#include "deploy-server/test/hub_fixture.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {
namespace {

using namespace test;

TEST_F(Bench, a_task_goes_to_the_agents_poll_and_its_report_ends_the_job) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    auto task = poll("a");
    ASSERT_TRUE(task);
    EXPECT_EQ(task->key, fmt::format("{}/1/0/1", job));
    EXPECT_EQ(task->type, "inventory");
    EXPECT_EQ(hub->held(row("a").id, "inventory")->key, task->key);
    EXPECT_FALSE(hub->held(row("a").id, "capture-image"));
    EXPECT_FALSE(report("a", task->key, "running"));
    EXPECT_FALSE(report("a", task->key, "done", R"({"inventory":"<x/>","disks":2})"));
    EXPECT_EQ(state(job), RunState::Done);
    EXPECT_EQ(as_text(db->artifact(job, "inventory.xml").value()->data), "<x/>");
    EXPECT_EQ(db->inventory(row("a").id).value(), "<x/>");
    EXPECT_EQ(hub->record(job).value()->steps[0].result, R"({"disks":2})");
    EXPECT_FALSE(hub->held(row("a").id, "inventory"));
}

// The step that reads it comes after the disks are overwritten.
TEST_F(Bench, who_the_machines_are_to_be_is_checked_when_the_job_is_made) {
    Sequence s;
    s.add("deploy-image", {{"image", "template"}});
    s.add("repair", {{"personality", "${personality}"}, {"device", "${device.name}"}, {"hostname", "${device.name}"}});
    s.variables.push_back({"personality", "{}", {}});
    JobRequest group;
    group.name = "group";
    group.mode = JobMode::Parallel;
    for (const char* name : {"web1", "web2"}) {
        add(name);
        group.children.push_back(request(name, s));
    }
    const auto refusal = [&](const std::string& personality) {
        group.variables["personality"] = personality;
        const auto made = hub->submit(group);
        return made ? "" : std::string(made.error().name()) + ": " + made.error().describe();
    };
    using testing::HasSubstr;
    EXPECT_THAT(refusal(R"({"devices": {"web1": {})"), HasSubstr("fixup.personality: job 'test': step 'repair-2'"));
    EXPECT_THAT(refusal(R"({"devices": {"web1": {}}})"), HasSubstr("'web2'"));
    EXPECT_THAT(refusal(R"({"devices": {"web1": {"hostname": "a b"}, "web2": {}}})"), HasSubstr("'a b'"));
    EXPECT_THAT(refusal(R"({"devices": {"web1": {"hostnam": "a"}, "web2": {}}})"), HasSubstr("'hostnam'"));
    EXPECT_THAT(refusal("forty.json"), HasSubstr("neither a document nor a path"));
    EXPECT_TRUE(db->jobs().value().empty());
    EXPECT_EQ(refusal(R"({"timezone": "UTC", "devices": {"web1": {"hostname": "alpha"}}})"), "");
    EXPECT_EQ(refusal("/etc/of-the-ramdisk.json"), "");
    EXPECT_EQ(refusal("{}"), "");
}

TEST_F(Bench, a_device_without_a_driver_is_not_booted_and_the_job_says_which) {
    std::vector<std::string> known;
    hub->on_hardware(
        [](const std::string& device) -> Status {
            return device == "a" ? Status(make_error(errors::kNoDriver, "no driver for 1234:5678")) : Status();
        },
        [&](const std::string& device) { known.push_back(device); });
    add("a");
    Sequence s;
    s.add("boot-to-da");
    auto job = submit("a", s);
    EXPECT_EQ(wait_end(job), RunState::Failed);
    EXPECT_EQ(hub->record(job).value()->steps[0].error->name, "server.no-driver");
    EXPECT_EQ(row("a").boot_action, "");
    // One that is in the agent already needs no boot; its hello is news of its hardware.
    hello("a");
    EXPECT_EQ(known, std::vector<std::string>{"a"});
    auto again = submit("a", s);
    EXPECT_FALSE(poll("a"));
    EXPECT_EQ(wait_end(again), RunState::Done);
}

TEST_F(Bench, a_poll_without_work_is_answered_empty_and_one_waiting_gets_work_at_once) {
    add("a");
    hello("a");
    EXPECT_FALSE(poll("a"));
    std::promise<std::optional<GivenTask>> answer;
    hub->poll(row("a"), "b1", [&](auto task) { answer.set_value(task); });
    submit("a", inventory_only());
    EXPECT_TRUE(answer.get_future().get());
}

TEST_F(Bench, a_task_whose_answer_was_lost_is_given_again_under_the_same_key) {
    add("a");
    Sequence s;
    s.add("run-script", {{"script", "date"}});
    submit("a", s);
    hello("a");
    auto first = poll("a");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->key, poll_until_given("a").key);  // after a while: its first report may be on its way
}

TEST_F(Bench, an_agent_that_asks_for_more_while_it_works_is_not_given_its_task_again) {
    add("host", "vmhost");
    hello("host", "h1", "administration");
    Sequence s;
    s.add("start-vm", {{"vm", "web"}});
    auto one = submit("", s);
    auto first = poll("host", "h1");
    report("host", first->key, "running", "", "h1");
    EXPECT_FALSE(poll("host", "h1"));
    auto two = submit("", s);
    auto second = poll("host", "h1");
    ASSERT_TRUE(second);
    report("host", second->key, "done", "", "h1");
    EXPECT_EQ(state(two), RunState::Done);
    report("host", first->key, "done", "", "h1");
    EXPECT_EQ(state(one), RunState::Done);
}

TEST_F(Bench, after_a_restart_a_report_on_the_old_key_ends_the_job) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    restart();
    EXPECT_EQ(hub->held(row("a").id, "inventory")->key, key);  // chunks may go on before anything else is said
    EXPECT_FALSE(report("a", key, "done"));
    EXPECT_EQ(state(job), RunState::Done);
}

TEST_F(Bench, after_a_restart_an_agent_that_lost_its_task_gets_it_under_the_same_key) {
    add("a");
    submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    report("a", key, "running");
    restart();
    hello("a", "b2");
    auto again = poll("a", "b2");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->key, key);
}

TEST_F(Bench, a_task_stored_as_given_but_never_sent_is_given_after_the_restart_to_the_same_agent) {
    add("a");
    submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    restart();
    EXPECT_EQ(poll_until_given("a").key, key);
}

TEST_F(Bench, progress_is_news_for_who_waits) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    std::promise<void> news;
    hub->wait_for_event(job, events(job).back().id, 60s, [&] { news.set_value(); });
    auto heard = news.get_future();
    AgentReport r{key, "b1", "running", sequences::TaskProgress{{}, 1, 2, "reading"}, {}, "", std::nullopt};
    while (heard.wait_for(1ms) != std::future_status::ready) ASSERT_TRUE(hub->report(row("a"), r));
    EXPECT_EQ(hub->record(job).value()->steps[0].progress_what, "reading");
}

TEST_F(Bench, a_restart_at_any_moment_neither_loses_nor_doubles_a_task) {
    add("a");
    Sequence s;
    s.add("inventory");
    s.add("disk", {{"action", "clean"}, {"disk", "sda"}});
    auto job = submit("a", s);
    restart();
    hello("a");
    restart();
    auto first = poll("a");
    ASSERT_TRUE(first);
    restart();
    report("a", first->key, "done");
    restart();
    EXPECT_TRUE(report("a", first->key, "running"));  // finished long ago
    auto second = poll("a");
    ASSERT_TRUE(second);
    EXPECT_EQ(second->type, "disk");
    report("a", second->key, "done");
    restart();
    EXPECT_EQ(state(job), RunState::Done);
    EXPECT_FALSE(poll("a"));
}

TEST_F(Bench, a_machine_that_boots_again_in_mid_task_goes_on_with_it) {
    add("a");
    submit("a", inventory_only());
    hello("a", "b1");
    auto key = poll("a", "b1")->key;
    report("a", key, "running", "", "b1");
    hello("a", "b2");
    EXPECT_EQ(poll("a", "b2")->key, key);
}

TEST_F(Bench, a_silent_agent_is_lost_and_found_again) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    report("a", key, "running");
    EXPECT_EQ(hub->agent(row("a")).state, "ready");
    std::promise<void> news;
    auto last = db->events(job, 0, 1000).value().back().id;
    hub->wait_for_event(job, last, 5s, [&] { news.set_value(); });
    news.get_future().wait();
    EXPECT_EQ(hub->agent(row("a")).state, "lost");
    EXPECT_TRUE(hub->record(job).value()->steps[0].agent_lost);
    EXPECT_FALSE(report("a", key, "done"));
    EXPECT_EQ(state(job), RunState::Done);
}

TEST_F(Bench, cancelling_stops_the_agent_with_its_next_report) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    auto key = poll("a")->key;
    ASSERT_TRUE(hub->cancel(job));
    EXPECT_EQ(state(job), RunState::Cancelled);
    EXPECT_TRUE(report("a", key, "running"));
    EXPECT_TRUE(hub->cancel(job).error().is(errors::kJobState));
}

TEST_F(Bench, a_failed_job_can_be_resumed_from_where_it_stopped) {
    add("a");
    Sequence s;
    s.add("inventory");
    s.add("disk", {{"action", "clean"}, {"disk", "sda"}});
    auto job = submit("a", s);
    hello("a");
    report("a", poll("a")->key, "done");
    report("a", poll("a")->key, "failed");
    EXPECT_EQ(state(job), RunState::Failed);
    EXPECT_EQ(hub->record(job).value()->steps[1].error->name, "disk.broken");
    ASSERT_TRUE(hub->resume(job));
    auto again = poll("a");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->key, fmt::format("{}/1/1/2", job));
    report("a", again->key, "done");
    EXPECT_EQ(state(job), RunState::Done);
    EXPECT_TRUE(hub->resume(job).error().is(errors::kJobState));
}

TEST_F(Bench, two_jobs_on_one_device_come_one_after_the_other) {
    add("a");
    auto one = submit("a", inventory_only()), two = submit("a", inventory_only());
    EXPECT_EQ(state(one), RunState::Running);
    EXPECT_EQ(state(two), RunState::Queued);
    hello("a");
    report("a", poll("a")->key, "done");
    EXPECT_EQ(state(one), RunState::Done);
    EXPECT_EQ(state(two), RunState::Running);
}

TEST_F(Bench, children_run_in_order_and_a_failed_one_stops_the_rest_until_resumed) {
    add("a");
    add("b");
    JobRequest parent;
    parent.name = "chain";
    parent.mode = JobMode::Serial;
    parent.children = {request("a", inventory_only()), request("b", inventory_only())};
    auto id = hub->submit(parent).value();
    auto children = db->children(id).value();
    EXPECT_EQ(state(children[1]), RunState::Queued);
    EXPECT_EQ(db->job(children[0]).value()->variables.at("nonce"), db->job(children[1]).value()->variables.at("nonce"));
    hello("a");
    hello("b");
    report("a", poll("a")->key, "failed");
    EXPECT_EQ(state(id), RunState::Failed);
    EXPECT_EQ(state(children[1]), RunState::Queued);
    restart();
    EXPECT_EQ(state(id), RunState::Failed);
    ASSERT_TRUE(hub->resume(id));
    report("a", poll("a")->key, "done");
    EXPECT_EQ(state(children[1]), RunState::Running);
    report("b", poll("b")->key, "done");
    EXPECT_EQ(state(id), RunState::Done);
}

TEST_F(Bench, side_by_side_children_all_run_and_one_failure_fails_the_parent_at_the_end) {
    add("a");
    add("b");
    JobRequest parent;
    parent.mode = JobMode::Parallel;
    parent.children = {request("a", inventory_only()), request("b", inventory_only())};
    auto id = hub->submit(parent).value();
    hello("a");
    hello("b");
    report("a", poll("a")->key, "failed");
    EXPECT_EQ(state(id), RunState::Running);
    report("b", poll("b")->key, "done");
    EXPECT_EQ(state(id), RunState::Failed);
}

JobRequest group_of(Bench& b, const std::vector<std::string>& names, unsigned max_parallel = 0) {
    JobRequest parent;
    parent.mode = JobMode::Parallel;
    parent.max_parallel = max_parallel;
    for (const auto& name : names) {
        b.add(name);
        b.hello(name);
        parent.children.push_back(b.request(name, inventory_only()));
    }
    return parent;
}

TEST_F(Bench, of_a_group_no_more_work_at_a_time_than_it_was_told) {
    auto id = hub->submit(group_of(*this, {"a", "b", "c", "d"}, 2)).value();
    auto children = db->children(id).value();
    auto states = [&] {
        std::string out;
        for (auto child : children) out += name_of(state(child))[0];
        return out;
    };
    EXPECT_EQ(states(), "rrqq");
    restart();
    EXPECT_EQ(states(), "rrqq") << "after a restart as before";
    for (auto name : {"a", "b", "c", "d"}) hello(name);
    report("b", poll_until_given("b").key, "failed");
    EXPECT_EQ(states(), "rfrq") << "one that failed makes room";
    report("a", poll_until_given("a").key, "done");
    report("c", poll_until_given("c").key, "done");
    report("d", poll_until_given("d").key, "done");
    EXPECT_EQ(states(), "dfdd");
    EXPECT_EQ(state(id), RunState::Failed);
}

TEST_F(Bench, of_a_group_a_dead_machine_leaves_its_place_to_the_next_and_goes_on_when_it_is_back) {
    options.lost_after = 1500ms;
    restart();
    auto id = hub->submit(group_of(*this, {"a", "b", "c"}, 1)).value();
    auto children = db->children(id).value();
    auto states = [&] {
        std::string out;
        for (auto child : children) out += name_of(state(child))[0];
        return out;
    };
    auto a = poll_until_given("a").key;
    report("a", a, "running");
    EXPECT_EQ(states(), "rqq");
    wait_for_news(children[0]);
    EXPECT_EQ(states(), "rrq") << "a is silent";
    report("a", a, "running");
    report("b", poll_until_given("b").key, "done");
    EXPECT_EQ(states(), "rdq") << "a has its place again";
    report("a", a, "done");
    EXPECT_EQ(states(), "ddr");
    report("c", poll_until_given("c").key, "done");
    EXPECT_EQ(wait_end(id), RunState::Done);
}

TEST_F(Bench, of_a_group_a_machine_that_was_told_to_go_down_keeps_its_place) {
    auto group = group_of(*this, {"a", "b"}, 1);
    Sequence reboot;
    reboot.add("reboot");
    group.children[0].sequence_xml = xml(reboot);
    auto children = db->children(hub->submit(group).value()).value();
    report("a", poll_until_given("a").key, "running");
    wait_for_news(children[0]);
    EXPECT_TRUE(hub->record(children[0]).value()->steps[0].agent_lost);
    EXPECT_EQ(state(children[1]), RunState::Queued);
}

TEST_F(Bench, of_a_group_those_that_failed_are_tried_again_and_no_others) {
    auto id = hub->submit(group_of(*this, {"a", "b", "c"})).value();
    auto children = db->children(id).value();
    report("a", poll("a")->key, "done");
    report("b", poll("b")->key, "failed");
    // While others are at work …
    ASSERT_TRUE(hub->resume(id));
    EXPECT_EQ(state(children[1]), RunState::Running);
    EXPECT_TRUE(hub->resume(id).error().is(errors::kJobState)) << "nothing has failed now";
    report("b", poll("b")->key, "failed");
    report("c", poll("c")->key, "done");
    EXPECT_EQ(state(id), RunState::Failed);
    // … and after the end.
    ASSERT_TRUE(hub->resume(id));
    EXPECT_EQ(state(children[0]), RunState::Done);
    EXPECT_EQ(state(children[2]), RunState::Done);
    EXPECT_FALSE(poll("a"));
    EXPECT_FALSE(poll("c"));
    auto again = poll("b");
    ASSERT_TRUE(again);
    report("b", again->key, "done");
    EXPECT_EQ(state(id), RunState::Done);
}

constexpr const char* kPixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
std::string proof_of(const std::string& nonce) {
    return fmt::format(R"({{"line":"SLIPWAY-UP {}","seconds":41,"screenshot":"{}"}})", nonce, kPixel);
}

TEST_F(Bench, a_boot_proof_leaves_its_screenshot_and_line_with_the_job) {
    add("host", "vmhost");
    hello("host", "h1", "administration");
    Sequence s;
    s.add("boot-proof", {{"vm", "web"}, {"nonce", "${nonce}"}});
    auto job = submit("", s);
    auto task = poll("host", "h1");
    const auto nonce = task->parameters.at("nonce");
    EXPECT_EQ(nonce.size(), 24u);
    report("host", task->key, "done", proof_of(nonce), "h1");
    EXPECT_EQ(state(job), RunState::Done);
    EXPECT_EQ(as_text(db->artifact(job, "proof.txt").value()->data), "SLIPWAY-UP " + nonce + "\n");
    EXPECT_EQ(db->artifact(job, "screenshot.png").value()->data, *from_base64(kPixel));
}

TEST_F(Bench, a_proof_of_another_nonce_or_without_a_picture_fails_the_step) {
    add("host", "vmhost");
    hello("host", "h1", "administration");
    Sequence s;
    s.add("screenshot", {{"vm", "web"}});
    s.add("start-vm", {{"vm", "web"}});
    s.add("boot-proof", {{"vm", "web"}, {"nonce", "${nonce}"}});
    const auto cut = std::string(kPixel).substr(0, 80);
    for (auto [line, screen] : {std::pair<std::string, std::string>{"SLIPWAY-UP other", kPixel},
                                {"", kPixel},
                                {"NONCE", kPixel},
                                {"SLIPWAY-UP NONCE", ""},
                                {"SLIPWAY-UP NONCE", "iVBORw=="},
                                {"SLIPWAY-UP NONCE", cut},
                                {"SLIPWAY-UP NONCE", "no base64"}}) {
        SCOPED_TRACE(line + " " + screen);
        auto job = submit("", s);
        auto task = poll("host", "h1");
        report("host", task->key, "done", fmt::format(R"({{"screenshot":"{}"}})", kPixel), "h1");
        EXPECT_TRUE(db->artifact(job, "screenshot.png").value());
        report("host", poll("host", "h1")->key, "done", "", "h1");
        task = poll("host", "h1");
        const auto nonce = task->parameters.at("nonce");
        if (auto at = line.find("NONCE"); at != std::string::npos) line.replace(at, 5, nonce);
        report("host", task->key, "done", fmt::format(R"({{"line":"{}","screenshot":"{}"}})", line, screen), "h1");
        EXPECT_EQ(state(job), RunState::Failed);
        EXPECT_EQ(hub->record(job).value()->steps[2].error->name, "server.bad-proof");
        // Nor is the picture of an earlier step shown for it.
        EXPECT_TRUE(db->artifacts(job).value().empty());
    }
}

TEST_F(Bench, a_bulk_key_is_good_while_its_task_runs) {
    add("a");
    Sequence s;
    s.add("capture-image", {{"image", "web"}, {"nonetencrypt", "true"}});
    submit("a", s);
    hello("a");
    auto task = poll("a");
    auto key = task->parameters.at("bulk_key");
    EXPECT_EQ(hub->held_by_bulk_key(key)->type, "capture-image");
    EXPECT_FALSE(hub->held_by_bulk_key("x"));
    restart();
    EXPECT_TRUE(hub->held_by_bulk_key(key));
    report("a", task->key, "done");
    EXPECT_FALSE(hub->held_by_bulk_key(key));
}

TEST_F(Bench, controller_tasks_change_the_device_and_scripts_run) {
    add("a");
    Sequence s;
    s.add("run-script", {{"script", "echo hello $SLIPWAY_DEVICE"}}).target = sequences::Target::Controller;
    s.add("release-control");
    s.add("take-control");
    s.add("delete-device");
    auto job = submit("a", s);
    EXPECT_EQ(wait_end(job), RunState::Done);
    EXPECT_THAT(hub->record(job).value()->steps[0].result, testing::HasSubstr("hello a"));
    EXPECT_FALSE(db->device("a").value());
}

TEST_F(Bench, a_cancelled_script_is_ended) {
    auto file = (dir / "pid").string();
    Sequence s;
    s.add("run-script", {{"script", "echo $$ > " + file + ".new; mv " + file + ".new " + file + "; exec sleep 600"}})
        .target = sequences::Target::Controller;
    auto job = submit("", s);
    while (!std::filesystem::exists(file)) std::this_thread::yield();
    auto pid = static_cast<pid_t>(parse_u64(trim(read_text_file(file, 100).value())).value());
    ASSERT_EQ(::kill(pid, 0), 0);
    ASSERT_TRUE(hub->cancel(job));
    EXPECT_EQ(wait_end(job), RunState::Cancelled);
    while (::kill(pid, 0) == 0) std::this_thread::yield();
}

TEST_F(Bench, a_job_makes_the_device_it_names_and_a_taken_mac_fails_it_by_name) {
    Sequence s;
    s.add("take-control");
    s.add("inventory");
    auto r = request("new", s);
    r.make_device = DeviceSpec{.name = "new", .macs = {"52:54:00:00:00:09"}};
    auto job = hub->submit(r).value();
    EXPECT_EQ(row("new").macs, std::vector<std::string>{"52:54:00:00:00:09"});
    r.device = r.make_device->name = "other";
    auto bad = hub->submit(r).value();
    EXPECT_EQ(state(bad), RunState::Failed);
    EXPECT_EQ(hub->record(bad).value()->steps[0].error->name, "server.exists");
    EXPECT_EQ(state(job), RunState::Running);
}

TEST_F(Bench, a_job_that_makes_its_device_takes_one_of_that_name_only_when_it_is_the_same_machine) {
    const std::vector<std::string> macs{"52:54:00:00:00:01", "52:54:00:00:00:02"};
    const DeviceSpec source{.name = "a", .macs = macs};
    const DeviceSpec vm{.name = "a", .macs = macs, .power_driver = "vm", .vmhost = "host"};
    DeviceRow row = add("a");
    auto outcome = [&](const DeviceSpec& wanted) -> std::string {
        auto r = request("a", inventory_only());
        r.make_device = wanted;
        auto job = hub->submit(r).value();
        if (state(job) == RunState::Running) {
            EXPECT_TRUE(hub->cancel(job));
            return "runs";
        }
        return hub->record(job).value()->steps[0].error->name;
    };
    auto is = [&](const DeviceSpec& spec) {
        row.macs = spec.macs;
        row.power_driver = spec.power_driver;
        row.vmhost = spec.vmhost;
        ASSERT_TRUE(db->update_device(row));
    };
    is({.name = "a", .macs = {macs[1]}, .power_driver = "command", .power_command = {"pdu"}});
    EXPECT_EQ(outcome(source), "runs") << "a corrected switch makes no other machine";
    EXPECT_EQ(outcome(vm), "server.other-machine") << "the source is not written to";
    is({.name = "a", .macs = {"52:54:00:00:00:07"}});
    EXPECT_EQ(outcome(source), "server.other-machine");
    is(vm);
    EXPECT_EQ(outcome(vm), "runs");
    EXPECT_EQ(outcome(source), "server.other-machine") << "the VM is not captured";
    auto elsewhere = vm;
    elsewhere.vmhost = "other";
    EXPECT_EQ(outcome(elsewhere), "server.other-machine");
}

TEST_F(Bench, a_job_that_is_not_allowed_never_exists) {
    add("a");
    auto no = [] { return Status(make_error(errors::kDeviceBusy, "no")); };
    EXPECT_TRUE(hub->submit(request("a", inventory_only()), no).error().is(errors::kDeviceBusy));
    EXPECT_TRUE(db->jobs().value().empty());
}

TEST_F(Bench, what_cannot_work_is_refused_before_a_job_exists) {
    EXPECT_TRUE(hub->submit(request("", inventory_only())).error().is(errors::kNeedsDevice));
    Sequence s;
    s.add("capture-image", {{"image", "${nobody}"}});
    EXPECT_EQ(hub->submit(request("a", s)).error().name(), "sequences.unknown-variable");
    EXPECT_TRUE(db->jobs().value().empty());
    EXPECT_EQ(state(submit("nowhere", inventory_only())), RunState::Failed);
}

TEST_F(Bench, a_report_that_cannot_be_stored_is_not_acknowledged) {
    add("a");
    auto job = submit("a", inventory_only());
    hello("a");
    AgentReport done{poll("a")->key, "b1", "done", std::nullopt, {}, "", std::nullopt};
    ASSERT_TRUE(db->sqlite().script("PRAGMA query_only = ON"));
    EXPECT_TRUE(hub->report(row("a"), done).error().is(errors::kDatabase));
    EXPECT_EQ(state(job), RunState::Running);
    ASSERT_TRUE(db->sqlite().script("PRAGMA query_only = OFF"));
    EXPECT_TRUE(hub->report(row("a"), done));
    EXPECT_EQ(state(job), RunState::Done);
}

TEST_F(Bench, an_outcome_of_our_own_that_cannot_be_stored_is_kept_until_it_can) {
    auto flag = (dir / "go").string();
    Sequence s;
    s.add("run-script", {{"script", "until [ -e " + flag + " ]; do :; done; rm " + flag}}).target =
        sequences::Target::Controller;
    auto job = submit("", s);
    ASSERT_TRUE(db->sqlite().script("PRAGMA query_only = ON"));
    std::ofstream{flag};
    while (std::filesystem::exists(flag)) std::this_thread::yield();
    std::this_thread::sleep_for(100ms);  // its outcome comes back through a thread of the hub's
    EXPECT_EQ(state(job), RunState::Running);
    ASSERT_TRUE(db->sqlite().script("PRAGMA query_only = OFF"));
    EXPECT_EQ(wait_end(job), RunState::Done);
}

TEST(Base64, takes_the_alphabet_and_nothing_else) {
    EXPECT_EQ(as_text(*from_base64("aGVsbG8=")), "hello");
    EXPECT_EQ(as_text(*from_base64("")), "");
    for (auto bad : {"a", "aGVsbG8", "aGV\nbG8=", "aGVs$G8="}) EXPECT_FALSE(from_base64(bad)) << bad;
}

}  // namespace
}  // namespace slipway::server
