// SPDX-License-Identifier: GPL-3.0-or-later
// Who is let in: tokens, certificates, and machines that say they are another.
#include "deploy-server/test/server_fixture.hpp"

namespace slipway::server {
namespace {

using namespace test;

TEST_F(ServerTest, a_token_is_good_once_for_its_machine_and_an_answer_lost_can_be_asked_for_again) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto token = boot_token();
    Agent first{*this}, second{*this};
    EXPECT_EQ(first.enroll(token, "52:54:00:51:00:99").error(), "server.bad-token");
    EXPECT_EQ(first.enroll(std::string(64, 'a')).error(), "server.bad-token");
    EXPECT_EQ(first.enroll(token).status, 200u);
    EXPECT_EQ(first.enroll(token).status, 200u);  // the same request
    EXPECT_EQ(first.hello().status, 200u);
    EXPECT_FALSE(api("GET", "/devices/poseidon").object().contains("alerts"));
}

TEST_F(ServerTest, a_token_shown_by_two_machines_shuts_both_out_and_alerts) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto token = boot_token();
    Agent first{*this}, second{*this};
    ASSERT_EQ(first.enroll(token).status, 200u);
    ASSERT_EQ(first.hello().status, 200u);
    auto newer = boot_token();
    EXPECT_EQ(second.enroll(token).error(), "server.token-claimed-twice");
    EXPECT_EQ(second.enroll(token).error(), "server.token-claimed-twice");
    EXPECT_EQ(first.hello().error(), "server.void-certificate");
    EXPECT_EQ(first.enroll(token).error(), "server.token-claimed-twice") << "nor is the first let in again";
    EXPECT_EQ(second.enroll(newer).error(), "server.bad-token") << "what was fetched meanwhile is void too";
    auto alerts = api("GET", "/devices/poseidon").object().at("alerts").as_array();
    ASSERT_EQ(alerts.size(), 1u) << "told once";
    EXPECT_EQ(alerts[0].at("name"), "server.token-claimed-twice");
    EXPECT_THAT(json::serialize(job(w.job).at("log")), HasSubstr("server.token-claimed-twice"));
    Agent next{*this};
    EXPECT_EQ(next.enroll(boot_token()).status, 200u);
    EXPECT_EQ(next.hello().status, 200u);
}

// Somebody else fetched the boot script first, and enrolled; then the machine itself fetched another.
TEST_F(ServerTest, two_machines_that_both_go_on_as_one_device_are_both_shut_out) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    Agent thief{*this}, machine{*this};
    ASSERT_EQ(thief.enroll(boot_token()).status, 200u);
    ASSERT_EQ(thief.hello().status, 200u);
    ASSERT_EQ(machine.enroll(boot_token()).status, 200u);
    EXPECT_EQ(machine.hello().status, 200u) << "a machine may boot again";
    EXPECT_EQ(machine.hello().status, 200u);
    EXPECT_EQ(thief.hello().error(), "server.replaced-certificate");
    EXPECT_EQ(machine.hello().error(), "server.void-certificate");
    EXPECT_EQ(thief.hello().error(), "server.void-certificate");
    auto alerts = api("GET", "/devices/poseidon").object().at("alerts").as_array();
    ASSERT_EQ(alerts.size(), 1u) << "told once";
    EXPECT_EQ(alerts[0].at("name"), "server.replaced-certificate");
    Agent next{*this};
    EXPECT_EQ(next.enroll(boot_token()).status, 200u);
    EXPECT_EQ(next.hello().status, 200u);
}

TEST_F(ServerTest, an_enrolment_is_read_up_to_its_limit_and_no_further) {
    Agent agent{*this};
    auto enrolment = [&](std::size_t size) {
        return agent.call("/enroll", std::string(size, ' ') + R"({"token": "x", "csr_pem": "y", "mac": "z"})").status;
    };
    EXPECT_NE(enrolment(60u << 10), 413u);
    EXPECT_EQ(enrolment(64u << 10), 413u);
}

TEST_F(ServerTest, a_token_lives_for_minutes_and_a_newer_one_voids_it) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    ASSERT_EQ(api("PATCH", "/devices/poseidon", {{"boot_action", "da"}}).status, 200u);
    auto voided = boot_token(), token = boot_token();
    Agent agent{*this}, host{*this};
    EXPECT_EQ(agent.enroll(voided).error(), "server.bad-token");
    auto by_hand = [&] {
        auto made = api("POST", "/devices/poseidon/enrollment-token", json::object());
        return std::string(view(made.object().at("token").as_string()));
    };
    auto carried = by_hand();
    EXPECT_EQ(agent.enroll(token).status, 200u);  // the one for a host is another's
    token = boot_token();
    clock.ahead_ms += 16 * 60'000;
    EXPECT_EQ(agent.enroll(token).error(), "server.bad-token");
    clock.ahead_ms += 30 * 60'000;
    EXPECT_EQ(host.enroll(carried, "").status, 200u);
    carried = by_hand();
    clock.ahead_ms += 61 * 60'000;
    EXPECT_EQ(Agent{*this}.enroll(carried, "").error(), "server.bad-token");
}

TEST_F(ServerTest, without_a_certificate_of_ours_nothing_is_served) {
    add_device();
    Agent nobody{*this};
    for (auto path : {"/hello", "/poll", "/report", "/chunks", "/chunks/have", "/chunks/get", "/chunks/flush",
                      "/images/web/commit"})
        EXPECT_EQ(nobody.call(path, "{}").error(), "server.no-certificate") << path;
    auto other_ca = http::make_ca("other", 24h).value();
    auto request = http::make_signing_request("x").value();
    Agent stranger{*this};
    stranger.identity =
        http::Identity{http::sign_request(other_ca, request.request_pem, "poseidon#1", 24h).value(), request.key_pem};
    EXPECT_EQ(stranger.hello().status, 0u);  // the handshake fails
}

TEST_F(ServerTest, a_released_or_deleted_device_is_refused_and_so_is_a_new_one_of_its_name) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    EXPECT_EQ(api("DELETE", "/devices/poseidon").error(), "server.device-busy");
    EXPECT_EQ(api("POST", "/devices/poseidon/release-control", json::object()).error(), "server.device-busy");
    w.agent.report(w.task, "done");
    EXPECT_EQ(api("POST", "/devices/poseidon/release-control", json::object()).status, 200u);
    EXPECT_EQ(w.agent.call("/poll", {{"boot_id", "b"}}).error(), "server.not-controlled");
    EXPECT_EQ(w.agent.call("/chunks/have", "").error(), "server.not-controlled");
    EXPECT_EQ(clear("GET", std::string("/boot/script?mac=") + kMac).error(), "server.not-controlled");
    EXPECT_EQ(api("DELETE", "/devices/poseidon").status, 204u);
    EXPECT_EQ(w.agent.hello().error(), "server.unknown-device");
    EXPECT_EQ(clear("GET", std::string("/boot/script?mac=") + kMac).error(), "server.unknown-device");
    add_device();
    EXPECT_EQ(w.agent.hello().error(), "server.unknown-device");
}

}  // namespace
}  // namespace slipway::server
