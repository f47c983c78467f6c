// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs over several devices, and migrations.
#include "deploy-server/test/server_fixture.hpp"

namespace slipway::server {
namespace {

using namespace test;

TEST_F(ServerTest, a_job_on_a_group_has_a_child_for_each_device) {
    add_device("a", "52:54:00:00:00:0a");
    add_device("b", "52:54:00:00:00:0b");
    ASSERT_EQ(api("POST", "/groups", {{"name", "web"}, {"devices", {"a", "b"}}}).status, 201u);
    auto id = start_job({{"sequence", "da-shutdown"}, {"group", "web"}});
    auto shown = job(id);
    ASSERT_EQ(shown.at("children").as_array().size(), 2u);
    EXPECT_EQ(shown.at("children").at(0).at("device"), "a");
    EXPECT_EQ(shown.at("children").at(1).at("state"), "running");
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/cancel", id)).object().at("state"), "cancelled");
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/cancel", id)).error(), "server.job-state");
}

TEST_F(ServerTest, a_group_that_is_there_keeps_its_members_until_it_is_given_others) {
    add_device("a", "52:54:00:00:00:0a");
    add_device("b", "52:54:00:00:00:0b");
    auto members = [&] { return json::serialize(api("GET", "/groups").object().at("items").at(0).at("devices")); };
    ASSERT_EQ(api("POST", "/groups", {{"name", "lab"}, {"devices", {"a", "b"}}}).status, 201u);
    auto again = api("POST", "/groups", {{"name", "lab"}, {"devices", {"a"}}});
    EXPECT_EQ(again.status, 409u);
    EXPECT_EQ(again.error(), "server.group-exists") << again.body;
    EXPECT_EQ(members(), R"(["a","b"])");
    EXPECT_EQ(api("PATCH", "/groups/lab", {{"devices", {"b"}}}).status, 200u);
    EXPECT_EQ(members(), R"(["b"])");
    EXPECT_EQ(api("PATCH", "/groups/lab", {{"devices", {"nobody"}}}).error(), "server.no-device");
    EXPECT_EQ(members(), R"(["b"])") << "all or nothing";
    EXPECT_EQ(api("PATCH", "/groups/bal", {{"devices", {"b"}}}).error(), "server.no-group");
    EXPECT_EQ(api("PATCH", "/groups/lab", json::object()).error(), "server.bad-request");
}

TEST_F(ServerTest, a_variable_that_no_sequence_of_a_job_knows_refuses_it_and_so_does_a_value_no_task_takes) {
    add_device();
    auto run = [&](const json::object& variables) {
        return api("POST", "/jobs",
                   {{"sequence", "da-capture-image"}, {"devices", {"poseidon"}}, {"variables", variables}});
    };
    auto refused = run({{"image", "web"}, {"exlude", "sdb"}});
    EXPECT_EQ(refused.error(), "sequences.no-such-variable");
    EXPECT_THAT(refused.body, HasSubstr("like it: exclude"));
    EXPECT_EQ(run({{"image", "web"}, {"nonetencrypt", "yes"}}).error(), "sequences.bad-task");
    json::object child{{"sequence", "da-shutdown"}, {"devices", {"poseidon"}}};
    EXPECT_EQ(api("POST", "/jobs", {{"variables", {{"bogus", "1"}}}, {"children", json::array{child}}}).error(),
              "sequences.no-such-variable");
    EXPECT_EQ(api("GET", "/jobs").object().at("items").as_array().size(), 0u);
    EXPECT_EQ(run({{"image", "web"}, {"exclude", "sdb"}}).status, 201u);
}

TEST_F(ServerTest, jobs_are_listed_the_newest_first) {
    add_device();
    for (const char* name : {"first", "second"})
        start_job({{"name", name}, {"sequence", "da-shutdown"}, {"devices", {"poseidon"}}});
    auto items = api("GET", "/jobs").object().at("items").as_array();
    ASSERT_EQ(items.size(), 2u);
    EXPECT_EQ(items[0].at("name"), "second");
}

TEST_F(ServerTest, a_group_works_on_so_many_at_a_time_and_those_that_failed_are_tried_again) {
    json::array names;
    for (auto name : {"a", "b", "c"}) {
        add_device(name, std::string("52:54:00:00:00:0") + name);
        names.push_back(name);
    }
    auto id = start_job({{"sequence", "da-shutdown"}, {"devices", names}, {"max_parallel", 2}});
    auto state = [&](std::size_t i) { return job(id).at("children").at(i).at("state"); };
    EXPECT_EQ(job(id).at("max_parallel"), 2);
    EXPECT_EQ(state(1), "running");
    EXPECT_EQ(state(2), "queued");
    auto child = [&](std::size_t i) { return job(id).at("children").at(i).at("id").to_number<std::int64_t>(); };
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/cancel", child(0))).status, 200u);
    EXPECT_EQ(state(0), "cancelled");
    EXPECT_EQ(state(2), "running") << "one that ended made room";
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/resume", id)).status, 200u);
    EXPECT_EQ(state(0), "queued") << "again, when there is room";
    EXPECT_EQ(state(1), "running");
    for (json::value wrong : {json::value(-1), json::value("two"), json::value(2'000'000)})
        EXPECT_EQ(
            api("POST", "/jobs", {{"sequence", "da-shutdown"}, {"devices", names}, {"max_parallel", wrong}}).error(),
            "server.bad-request");
}

TEST_F(ServerTest, children_of_a_job_run_in_order_with_its_variables) {
    add_device();
    auto id = start_job({{"name", "both"},
                         {"variables", {{"image", "web"}}},
                         {"children",
                          {{{"sequence", "da-capture-image"}, {"devices", {"poseidon"}}},
                           {{"sequence", "da-shutdown"}, {"devices", {"poseidon"}}}}}});
    auto shown = job(id);
    ASSERT_EQ(shown.at("children").as_array().size(), 2u);
    EXPECT_EQ(shown.at("children").at(0).at("state"), "running");
    EXPECT_EQ(shown.at("children").at(0).at("variables").at("image"), "web");
    EXPECT_EQ(shown.at("children").at(1).at("state"), "queued");
    json::value deep = json::object{{"sequence", "da-shutdown"}, {"devices", {"poseidon"}}};
    for (int i = 0; i < 12; ++i) deep = json::object{{"children", json::array{deep}}};
    EXPECT_EQ(api("POST", "/jobs", deep).error(), "server.bad-request");
}

TEST_F(ServerTest, an_event_wait_is_answered_by_the_event) {
    add_device();
    auto id = start_job({{"sequence", "da-shutdown"}, {"devices", {"poseidon"}}});
    auto first = api("GET", fmt::format("/jobs/{}/events?after=0&wait=20", id)).object();
    auto last = first.at("items").as_array().back().at("id").to_number<std::int64_t>();
    std::thread later([&] { api("POST", fmt::format("/jobs/{}/cancel", id)); });
    auto next = api("GET", fmt::format("/jobs/{}/events?after={}&wait=20", id, last)).object();
    later.join();
    EXPECT_FALSE(next.at("items").as_array().empty());
}

// Agent of the VM host and agents of source and VM play a whole migration.
TEST_F(ServerTest, a_migration_goes_from_capture_to_boot_proof) {
    add_device("hercules", "52:54:00:00:00:0c", "vmhost");
    auto enrollment = api("POST", "/devices/hercules/enrollment-token", json::object()).object();
    Agent host{*this};
    host.boot = "host-1";
    ASSERT_EQ(host.enroll(std::string(view(enrollment.at("token").as_string())), "").status, 200u);
    host.hello("administration");
    auto reply = api("POST", "/migrations",
                     {{"name", "poseidon"},
                      {"source_macs", {kMac}},
                      {"vm_definition", "<vm/>"},
                      {"postdeployaction", 1},
                      {"nics", {{{"name", "eth0"}, {"old_mac", kMac}, {"new_mac", kMac}}}}});
    ASSERT_EQ(reply.status, 201u) << reply.body;
    auto id = reply.object().at("id").to_number<std::int64_t>();
    Image image;
    auto next = [](Agent& agent, const char* type) {
        auto task = agent.poll();
        for (int i = 0; i < 20 && !task.contains("type"); ++i) task = agent.poll();
        EXPECT_TRUE(task.contains("type") && task.at("type") == type) << json::serialize(task) << " for " << type;
        return task;
    };
    auto check = next(host, "check-vmhost");
    EXPECT_EQ(check.at("parameters").at("definition"), "<vm/>");
    EXPECT_EQ(boot_token(), "") << "the source is not touched before the host is known to have room";
    host.report(check, "done");
    Agent source{*this};
    ASSERT_EQ(source.enroll(boot_token()).status, 200u);
    source.hello();
    source.report(next(source, "inventory"), "failed",
                  {{"error", {{"name", "x.y"}, {"message", "m"}, {"next_step", "n"}}}});
    auto capture = next(source, "capture-image");
    EXPECT_EQ(capture.at("parameters").at("image"), "poseidon");
    source.call("/chunks", image.frames());
    EXPECT_EQ(source.call("/images/poseidon/commit", image.bytes()).status, 200u);
    source.report(capture, "done");
    source.report(next(source, "shutdown"), "done");

    host.report(next(host, "check-vmhost"), "done");
    host.report(next(host, "create-network"), "done");
    host.report(next(host, "create-vm"), "done");
    host.report(next(host, "stop-vm"), "done");
    host.report(next(host, "start-vm"), "done");
    Agent vm{*this};
    vm.boot = "vm-1";
    ASSERT_EQ(vm.enroll(boot_token()).status, 200u);
    vm.hello();
    vm.report(next(vm, "deploy-image"), "done");
    auto repair = next(vm, "repair");
    EXPECT_EQ(view(repair.at("parameters").at("nics").as_string()), fmt::format("eth0={}={}", kMac, kMac));
    vm.report(repair, "done");
    vm.report(next(vm, "shutdown"), "done");
    host.report(next(host, "stop-vm"), "done");  // wait-off
    host.report(next(host, "stop-vm"), "done");
    host.report(next(host, "discard-undo"), "done");
    auto start = next(host, "start-vm");
    EXPECT_EQ(start.at("parameters").at("undo"), "true");
    host.report(start, "done");
    auto proof = next(host, "boot-proof");
    EXPECT_EQ(proof.at("parameters").at("nonce"), repair.at("parameters").at("proof-nonce"));
    const auto line = "SLIPWAY-UP " + std::string(view(proof.at("parameters").at("nonce").as_string()));
    constexpr const char* kPixel =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
    host.report(proof, "done", {{"result", {{"line", line}, {"seconds", "9.5"}, {"screenshot", kPixel}}}});
    host.report(next(host, "stop-vm"), "done");
    host.report(next(host, "commit-undo"), "done");
    auto ended = job(id);
    EXPECT_EQ(ended.at("state"), "done") << json::serialize(ended);
    EXPECT_EQ(view(ended.at("proof").at("line").as_string()), line);
    EXPECT_EQ(ended.at("proof").at("seconds"), 9.5);
    EXPECT_TRUE(api("GET", fmt::format("/jobs/{}/artifacts/screenshot.png", id)).body.starts_with("\x89PNG\r\n"));
    EXPECT_EQ(api("GET", "/devices/poseidon").object().at("state"), "released");
}

// A PNG of one pixel.
constexpr const char* kPixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

// The agents of a migration, up to the child that fails.
struct MigrationTest : ServerTest {
    Agent host{*this};
    json::object request{{"name", "poseidon"}, {"source_macs", {kMac}}, {"vm_definition", "<vm/>"}};

    void SetUp() override {
        begin();
        add_device("hercules", "52:54:00:00:00:0c", "vmhost");
        auto enrollment = api("POST", "/devices/hercules/enrollment-token", json::object()).object();
        host.boot = "host-1";
        ASSERT_EQ(host.enroll(std::string(view(enrollment.at("token").as_string())), "").status, 200u);
        host.hello("administration");
    }
    std::int64_t migrate() {
        auto reply = api("POST", "/migrations", request);
        EXPECT_EQ(reply.status, 201u) << reply.body;
        return reply.object().at("id").to_number<std::int64_t>();
    }
    Reply migrate_again() { return api("POST", "/migrations", request); }
    static void play(Agent& agent, const char* type, bool fails = false) {
        auto task = agent.poll();
        for (int i = 0; i < 20 && !task.contains("type"); ++i) task = agent.poll();
        ASSERT_TRUE(task.contains("type") && task.at("type") == type) << json::serialize(task) << " for " << type;
        json::object error{{"error", {{"name", "x.y"}, {"message", "m"}, {"next_step", "n"}, {"temporary", false}}}};
        if (fails) agent.report(task, "failed", error);
        else agent.report(task, "done");
    }
    // Each leaves the migration at its end, or fails it where it is said to.
    void capture(bool fails = false) {
        play(host, "check-vmhost");
        Agent source{*this};
        source.boot = fails ? "source-1" : "source-2";
        ASSERT_EQ(source.enroll(boot_token()).status, 200u);
        source.hello();
        play(source, "inventory");
        play(source, "capture-image", fails);
        if (!fails) play(source, "shutdown");
    }
    void create(bool fails = false) {
        for (auto type : {"check-vmhost", "create-network"}) play(host, type);
        play(host, "create-vm", fails);
    }
    void deploy(bool fails = false) {
        for (auto type : {"stop-vm", "start-vm"}) play(host, type);
        Agent vm{*this};
        vm.boot = "vm-1";
        ASSERT_EQ(vm.enroll(boot_token()).status, 200u);
        vm.hello();
        play(vm, "deploy-image", fails);
        if (fails) return;
        play(vm, "repair");
        play(vm, "shutdown");
        play(host, "stop-vm");
    }
    void prove() {
        for (auto type : {"stop-vm", "discard-undo", "start-vm"}) play(host, type);
        auto task = host.poll();
        ASSERT_EQ(task.at("type"), "boot-proof");
        host.report(task, "done",
                    {{"result",
                      {{"line", "SLIPWAY-UP " + std::string(view(task.at("parameters").at("nonce").as_string()))},
                       {"seconds", "9.5"},
                       {"screenshot", kPixel}}}});
        for (auto type : {"stop-vm", "commit-undo", "start-vm"}) play(host, type);
    }
    json::value state_of(std::int64_t id) { return job(id).at("state"); }
};

TEST_F(MigrationTest, while_one_runs_there_is_no_second_of_its_name) {
    auto id = migrate();
    auto second = migrate_again();
    EXPECT_EQ(second.status, 409u);
    EXPECT_EQ(second.error(), "server.device-busy") << second.body;
    ASSERT_EQ(api("POST", fmt::format("/jobs/{}/cancel", id)).status, 200u);
    EXPECT_EQ(migrate_again().status, 201u) << "what is left is the source's own record, if any";
}

TEST_F(MigrationTest, secure_boot_of_the_source_is_as_its_inventory_says_and_of_our_firmware_it_is_off) {
    request["source_secure_boot"] = "on";
    request["firmware"] = "uefi";
    auto id = migrate();
    EXPECT_EQ(api("GET", "/devices/poseidon").object().at("secure_boot"), "on");
    capture();
    create();
    deploy(true);
    ASSERT_EQ(state_of(id), "failed");
    EXPECT_EQ(api("GET", "/devices/poseidon").object().at("secure_boot"), "off");
    request["source_secure_boot"] = "maybe";
    EXPECT_EQ(migrate_again().error(), "server.bad-request");
}

TEST_F(MigrationTest, after_a_failed_check_of_the_host_nothing_was_done_and_it_runs_again) {
    auto id = migrate();
    play(host, "check-vmhost", true);
    EXPECT_EQ(state_of(id), "failed");
    EXPECT_EQ(api("GET", "/devices/poseidon").object().at("state"), "released");
    EXPECT_EQ(migrate_again().status, 201u);
}

TEST_F(MigrationTest, after_a_failed_capture_it_runs_again_from_the_source) {
    auto id = migrate();
    capture(true);
    EXPECT_EQ(state_of(id), "failed");
    auto switched = request;
    switched["source_power_driver"] = "command";
    switched["source_power_command"] = json::array{"/usr/local/sbin/pdu"};
    EXPECT_EQ(api("POST", "/migrations", switched).error(), "server.other-machine") << "the record says prompt";
    auto other = request;
    other["source_macs"] = json::array{"52:54:00:51:00:09"};
    EXPECT_EQ(api("POST", "/migrations", other).error(), "server.other-machine");
    EXPECT_EQ(migrate_again().status, 201u);
}

TEST_F(MigrationTest, after_a_failed_creation_it_runs_again_from_the_source) {
    auto id = migrate();
    capture();
    create(true);
    EXPECT_EQ(state_of(id), "failed");
    EXPECT_EQ(api("GET", "/devices/poseidon").status, 404u);
    EXPECT_EQ(migrate_again().status, 201u);
}

TEST_F(MigrationTest, once_the_vm_has_the_name_it_is_never_captured_as_the_source) {
    auto id = migrate();
    capture();
    create();
    deploy(true);
    ASSERT_EQ(state_of(id), "failed");
    ASSERT_EQ(api("GET", "/devices/poseidon").object().at("power_driver"), "vm");
    auto refused = [&] {
        auto again = migrate_again();
        EXPECT_EQ(again.status, 409u);
        EXPECT_EQ(again.error(), "server.other-machine") << again.body;
        EXPECT_EQ(host.poll().size(), 0u) << "nothing is switched";
    };
    refused();
    ASSERT_EQ(api("POST", fmt::format("/jobs/{}/resume", id)).status, 200u);
    deploy();
    play(host, "stop-vm");
    play(host, "discard-undo");
    play(host, "start-vm");
    play(host, "boot-proof", true);
    ASSERT_EQ(state_of(id), "failed");
    refused();
    ASSERT_EQ(api("POST", fmt::format("/jobs/{}/resume", id)).status, 200u);
    prove();
    ASSERT_EQ(state_of(id), "done");
    refused();
    // What the clean-up does makes way for the source.
    ASSERT_EQ(api("DELETE", "/devices/poseidon").status, 204u);
    EXPECT_EQ(migrate_again().status, 201u);
}

TEST_F(MigrationTest, the_jobs_of_a_machine_can_be_asked_for) {
    add_device("other", "52:54:00:00:00:0d");
    start_job({{"sequence", "da-shutdown"}, {"devices", {"other"}}});
    auto id = migrate();
    auto items = api("GET", "/jobs?machine=poseidon").object().at("items").as_array();
    ASSERT_EQ(items.size(), 5u) << "the migration and its four children";
    EXPECT_EQ(items[4].at("id"), id);
    EXPECT_EQ(api("GET", "/jobs?machine=other&state=running").object().at("items").as_array().size(), 1u);
    EXPECT_EQ(api("GET", "/jobs?machine=nobody").object().at("items").as_array().size(), 0u);
}

}  // namespace
}  // namespace slipway::server
