// SPDX-License-Identifier: GPL-3.0-or-later
// Machines that are switched, boot, fall silent and go off.
#include <atomic>
#include <fstream>

#include "deploy-server/test/hub_fixture.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {
namespace {

using namespace test;

// A switch that is a shell script keeping its state in a file.
std::vector<std::string> switch_command(const TempDir& dir, const std::string& initial) {
    auto file = (dir / "power").string();
    std::ofstream(file) << initial;
    std::ofstream(file + ".log");
    return {"/bin/sh", "-c",
            "echo $0 >> " + file + ".log; case $0 in status) cat " + file + ";; off) echo off > " + file +
                ";; *) echo on > " + file + ";; esac"};
}

TEST_F(Bench, boot_to_da_switches_the_machine_and_is_done_when_its_agent_says_hello) {
    add("a", "device", "command", switch_command(dir, "off\n"));
    Sequence s;
    s.add("boot-to-da");
    auto job = submit("a", s);
    while (hub->record(job).value()->steps[0].progress_what.empty()) std::this_thread::yield();
    EXPECT_EQ(read_text_file(dir / "power.log").value(), "status\non\n");
    EXPECT_EQ(row("a").boot_action, "da");
    restart();  // must not switch again
    EXPECT_EQ(state(job), RunState::Running);
    hello("a", "b1");
    EXPECT_EQ(wait_end(job), RunState::Done);
    EXPECT_EQ(read_text_file(dir / "power.log").value(), "status\non\n");
    std::promise<std::optional<GivenTask>> answer;
    hub->poll(row("a"), "b1", [&](auto task) { answer.set_value(task); });
    auto again = submit("a", s);  // the agent is there already
    EXPECT_FALSE(answer.get_future().get());
    EXPECT_FALSE(poll("a"));
    EXPECT_EQ(wait_end(again), RunState::Done);
    EXPECT_EQ(read_text_file(dir / "power.log").value(), "status\non\n");
}

TEST_F(Bench, an_agent_that_only_seems_to_be_there_is_switched_on_again) {
    add("a", "device", "command", switch_command(dir, "off\n"));
    hello("a", "b1");
    Sequence s;
    s.add("boot-to-da");
    auto job = submit("a", s);
    while (hub->record(job).value()->steps[0].progress_what.empty()) std::this_thread::yield();
    EXPECT_EQ(read_text_file(dir / "power.log").value(), "status\non\n");
    hello("a", "b2");
    EXPECT_EQ(wait_end(job), RunState::Done);
}

TEST_F(Bench, a_device_that_is_not_under_control_gets_no_task) {
    auto device = add("a");
    ASSERT_TRUE(hub->release_control(device.id));
    auto job = submit("a", inventory_only());
    EXPECT_EQ(wait_end(job), RunState::Failed);
    EXPECT_EQ(hub->record(job).value()->steps[0].error->name, "server.not-controlled");
}

TEST_F(Bench, a_switch_that_does_not_work_fails_the_step_by_name) {
    add("a", "device", "command", {"/bin/false"});
    Sequence s;
    s.add("power", {{"state", "on"}});
    auto job = submit("a", s);
    EXPECT_EQ(wait_end(job), RunState::Failed);
    EXPECT_EQ(hub->record(job).value()->steps[0].error->name, "server.power");
}

TEST_F(Bench, wait_off_asks_the_switch_until_it_says_off) {
    add("a", "device", "command", switch_command(dir, "on\n"));
    Sequence s;
    s.add("wait-off");
    auto job = submit("a", s);
    while (read_text_file(dir / "power.log").value() < "status\nstatus\n") std::this_thread::yield();  // it saw "on"
    EXPECT_EQ(state(job), RunState::Running);
    std::ofstream(dir / "power") << "off\n";
    EXPECT_EQ(wait_end(job), RunState::Done);
}

TEST_F(Bench, wait_off_without_a_switch_takes_silence_after_the_agents_word) {
    add("a");
    Sequence s;
    s.add("shutdown");
    s.add("wait-off");
    auto job = submit("a", s);
    hello("a");
    report("a", poll("a")->key, "done");
    EXPECT_EQ(wait_end(job), RunState::Done);
    EXPECT_EQ(row("a").boot_action, "disk");
}

TEST_F(Bench, an_agent_that_goes_down_gets_no_further_task_before_it_boots_again) {
    add("a");
    Sequence s;
    s.add("reboot", {{"to", "da"}});
    s.add("inventory");
    submit("a", s);
    hello("a", "b1");
    report("a", poll("a", "b1")->key, "done", "", "b1");
    EXPECT_EQ(row("a").boot_action, "da");
    EXPECT_FALSE(poll("a", "b1"));
    hello("a", "b2");
    EXPECT_EQ(poll("a", "b2")->type, "inventory");
}

TEST_F(Bench, the_power_of_a_vm_is_tasks_of_its_host) {
    add("host", "vmhost");
    add("a", "device", "vm");
    hello("host", "h1", "administration");
    Sequence s;
    s.add("boot-to-da");
    auto job = submit("a", s);
    auto stop = poll("host", "h1");
    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->type, "stop-vm");
    report("host", stop->key, "failed", "", "h1");  // it was not running
    auto start = poll("host", "h1");
    ASSERT_TRUE(start);
    EXPECT_EQ(start->type, "start-vm");
    EXPECT_EQ(start->parameters, (sequences::Values{{"vm", "a"}, {"boot", "network"}, {"undo", "false"}}));
    report("host", start->key, "done", "", "h1");
    hello("a");
    EXPECT_EQ(wait_end(job), RunState::Done);
}

TEST_F(Bench, vmhost_tasks_need_a_host_and_leave_its_name_out) {
    Sequence s;
    s.add("start-vm", {{"vm", "web"}, {"vmhost", ""}});
    auto job = submit("", s);
    EXPECT_EQ(wait_end(job), RunState::Failed);
    EXPECT_EQ(hub->record(job).value()->steps[0].error->name, "server.no-vmhost");
    add("host", "vmhost");
    hello("host", "h1", "administration");
    submit("", s);
    EXPECT_EQ(poll("host", "h1")->parameters, (sequences::Values{{"vm", "web"}}));
}

TEST(PowerState, is_the_last_word) {
    EXPECT_EQ(power_state_in("on\n"), PowerState::On);
    EXPECT_EQ(power_state_in("Chassis Power is OFF"), PowerState::Off);
    EXPECT_EQ(power_state_in("offline"), PowerState::Unknown);
}

}  // namespace
}  // namespace slipway::server
