// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/job_progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/job_view.hpp"

namespace slipway::console {
namespace {

using testing::ElementsAre;
namespace json = boost::json;

json::value group() {
    return json::parse(R"({"id": 7, "children": [
      {"device": "web1", "state": "running", "steps": [
        {"type": "boot-to-da", "state": "done"},
        {"type": "deploy-image", "state": "running",
         "progress": {"done": 104857600, "total": 209715200, "what": "deploying", "rate": 10485760, "seconds_left": 10}}]},
      {"device": "web2-long", "state": "running", "steps": [
        {"type": "deploy-image", "state": "running", "agent_lost": true,
         "progress": {"done": 52428800, "total": 209715200, "what": "deploying", "rate": 5242880, "seconds_left": 30}}]},
      {"device": "web3", "state": "failed", "steps": [
        {"type": "repair", "state": "failed", "error": {"name": "disks.full", "message": "no space left"}}]},
      {"device": "web4", "state": "queued", "steps": []},
      {"device": "web5", "state": "done", "steps": []}],
      "multicast": [{"image": "template@1", "state": "sending", "round": 2, "rate": 20000000, "sent_bytes": 86073344,
        "devices": [{"device": "web1", "present": true, "unicast": "", "loss": 0.0125, "heard_bytes": 86073344,
                     "lost_packets": 800, "repaired_symbols": 790},
                    {"device": "web2-long", "present": true, "unicast": "disk"},
                    {"device": "web3", "present": false, "unicast": "loss"}]},
        {"image": "other@3", "state": "waiting", "round": 0, "rate": 20000000, "sent_bytes": 0, "devices": []}]})");
}

TEST(JobProgress, a_group_has_a_line_a_machine_one_a_session_and_one_of_all) {
    EXPECT_THAT(
        group_lines(group()),
        ElementsAre("web1       deploy-image  deploying   50 %  100.0 MiB of 200.0 MiB  10.0 MiB/s  ETA 10s  "
                    "(82.1 MiB by multicast, 1.2 % lost, 790 repairs)",
                    "web2-long  deploy-image  deploying   25 %  50.0 MiB of 200.0 MiB  (its agent is silent)",
                    "web3       failed  repair: no space left [disks.full]", "web4       waits", "web5       done",
                    "multicast of template@1: sending, round 2, 20.0 Mbit/s, 82.1 MiB sent; 1 of 2 silent",
                    "multicast of other@3: waiting, round 0, 20.0 Mbit/s, 0 B sent",
                    "all 5      1 done, 2 at work, 1 waiting, 1 failed   55 %  10.0 MiB/s"));
}

// A machine of a group; done of 100 is what its image has, -1: it has told of nothing.
json::object machine(const std::string& name, const char* state, int done = -1, unsigned left = 0) {
    json::object step{{"type", "deploy-image"}, {"state", std::string(state) == "queued" ? "waiting" : state}};
    if (done >= 0) step["progress"] = {{"done", done}, {"total", 100}, {"what", "deploying"}, {"rate", 10}};
    if (done >= 0 && left) step["progress"].as_object()["seconds_left"] = left;
    return {
        {"device", name}, {"state", state}, {"steps", json::array{{{"type", "boot-to-da"}, {"state", "done"}}, step}}};
}
std::string line_of_all(const json::array& machines) {
    return group_lines(json::object{{"children", machines}}).back();
}

TEST(JobProgress, all_together_are_no_further_than_all_of_them_are) {
    EXPECT_EQ(line_of_all({machine("a", "running", 67, 5), machine("b", "running", 67, 5), machine("c", "queued"),
                           machine("d", "queued")}),
              "all 4  2 at work, 2 waiting   33 %  20 B/s");
    EXPECT_EQ(line_of_all({machine("a", "running", 67, 5), machine("b", "running", 33, 9)}),
              "all 2  2 at work   50 %  20 B/s  ETA 9s");
    EXPECT_EQ(line_of_all({machine("a", "running", 67, 5), machine("deaf", "running")}),
              "all 2  2 at work   33 %  10 B/s")
        << "no ETA of all where one has not said";
}

TEST(JobProgress, nobody_who_ends_or_begins_takes_back_what_all_have_done) {
    json::array machines;
    for (int n = 0; n < 5; ++n) machines.push_back(machine("m" + std::to_string(n), "queued"));
    auto last = 0;
    const auto look = [&] {
        const auto line = line_of_all(machines);
        const auto percent = std::stoi(line.substr(line.find(" %") - 3));
        EXPECT_GE(percent, last) << line;
        last = percent;
    };
    for (int n = 0; n < 5; ++n) {
        const auto at = static_cast<std::size_t>(n);
        const auto name = "m" + std::to_string(n);
        for (int done : {-1, 0, 30, 72, 100}) {
            machines[at] = machine(name, "running", done, 3);
            look();
        }
        auto& steps = machines[at].as_object()["steps"].as_array();
        auto& deploy = steps[1].as_object();
        deploy["progress"] = json::object{{"done", 1}, {"total", 100}, {"what", "verifying"}};
        look();
        deploy["state"] = "done";
        steps.push_back(json::object{{"type", "repair"}, {"state", "running"}});
        look();
        EXPECT_LE(last, 99) << "somebody is at work";
        machines[at] = machine(name, n == 1 ? "failed" : "done");
        look();
    }
    EXPECT_EQ(last, 100);
}

TEST(JobProgress, steps_without_an_image_count_alike_and_without_figures_nothing_is_said) {
    const auto with = [](const char* first, json::object second) {
        return json::object{{"device", "x"},
                            {"state", "running"},
                            {"steps", json::array{{{"type", "inventory"}, {"state", first}}, second}}};
    };
    const json::object idle{{"type", "repair"}, {"state", "waiting"}};
    EXPECT_EQ(line_of_all({with("running", idle), with("running", idle)}), "all 2  2 at work");
    json::object half{
        {"type", "repair"}, {"state", "running"}, {"progress", {{"done", 50}, {"total", 100}, {"what", "reading"}}}};
    EXPECT_EQ(line_of_all({with("running", idle), with("done", half)}), "all 2  2 at work   37 %");
}

TEST(JobProgress, one_machine_has_its_line_and_a_silent_one_neither_rate_nor_eta) {
    auto job = group().at("children").at(0);
    EXPECT_EQ(one_line(job), "deploy-image  deploying   50 %  100.0 MiB of 200.0 MiB  10.0 MiB/s  ETA 10s");
    job.at("steps").at(1).as_object()["agent_lost"] = true;
    EXPECT_EQ(one_line(job), "deploy-image  deploying   50 %  100.0 MiB of 200.0 MiB  (its agent is silent)");
    EXPECT_EQ(one_line(group().at("children").at(4)), "");
}

TEST(JobProgress, what_to_do_about_a_failure_of_a_group_names_the_machine) {
    auto job = group();
    const auto text = job_text(job);
    EXPECT_THAT(text,
                testing::HasSubstr("\nweb3: error in step 1 (repair): no space left [disks.full]\n  what to do: "));
    const auto& alone = job.at("children").at(2);
    EXPECT_THAT(job_text(alone), testing::HasSubstr("\nerror in step 1 (repair)"));
}

TEST(JobProgress, without_a_rate_none_is_made_up_and_one_machine_is_no_group) {
    auto job = group();
    auto& children = job.as_object()["children"].as_array();
    children[0].as_object()["steps"].as_array()[1].as_object()["progress"].as_object().erase("rate");
    EXPECT_EQ(group_lines(job)[0].find("/s"), std::string::npos);
    children.resize(1);
    EXPECT_TRUE(group_lines(job).empty());
    EXPECT_TRUE(group_lines(json::parse(R"({"children": "x"})")).empty());
    EXPECT_EQ(group_lines(json::parse(R"({"children": [{}, {}], "multicast": "x"})")).size(), 3u);
}

TEST(JobProgress, hostile_text_cannot_move_the_cursor) {
    auto job = group();
    job.as_object()["children"]
        .as_array()[2]
        .as_object()["steps"]
        .as_array()[0]
        .as_object()["error"]
        .as_object()["message"] = "\x1b[2Jgone";
    for (const auto& line : group_lines(job)) EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
}

}  // namespace
}  // namespace slipway::console
