// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/job_progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
                    "web2-long  deploy-image  deploying   25 %  50.0 MiB of 200.0 MiB  5.0 MiB/s  ETA 30s  (its "
                    "agent is silent)",
                    "web3       failed  repair: no space left [disks.full]", "web4       waits", "web5       done",
                    "multicast of template@1: sending, round 2, 20.0 Mbit/s, 82.1 MiB sent; 1 of 2 by unicast",
                    "multicast of other@3: waiting, round 0, 20.0 Mbit/s, 0 B sent",
                    "all 5      1 done, 2 at work, 1 waiting, 1 failed   37 %  15.0 MiB/s  ETA 30s"));
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
