// SPDX-License-Identifier: GPL-3.0-or-later
// Agents at work, the image store behind them, and REST.
#include "deploy-server/test/server_fixture.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/test/media.hpp"

namespace slipway::server {
namespace {

using namespace test;

const std::string kClearCapture = R"(<task type="capture-image"><parameter name="image">web</parameter>
    <parameter name="nonetencrypt">true</parameter></task>)";
const std::string kDeploy = R"(<task type="deploy-image"><parameter name="image">web</parameter></task>)";

TEST_F(ServerTest, a_machine_boots_enrolls_works_and_its_job_is_done) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    ASSERT_EQ(w.task.at("type"), "inventory");
    auto reply = w.agent.report(w.task, "running",
                                {{"progress", {{"done", 1}, {"total", 2}, {"what", "looking"}}}, {"log", {"a line"}}});
    EXPECT_EQ(reply.body, R"({"cancel":false})");
    auto step = job(w.job).at("steps").at(1);
    EXPECT_EQ(step.at("state"), "running");
    EXPECT_EQ(step.at("progress").at("what"), "looking");
    w.agent.report(w.task, "done", {{"result", {{"inventory", "<inventory/>"}}}});
    auto ended = job(w.job);
    EXPECT_EQ(ended.at("state"), "done");
    EXPECT_THAT(json::serialize(ended.at("log")), HasSubstr("a line"));
    EXPECT_EQ(api("GET", fmt::format("/jobs/{}/artifacts/inventory.xml", w.job)).body, "<inventory/>");
    EXPECT_EQ(api("GET", "/devices/poseidon/inventory").body, "<inventory/>");
    auto device = api("GET", "/devices/poseidon").object();
    EXPECT_EQ(device.at("agent").at("state"), "ready");
    EXPECT_EQ(device.at("hardware").at("memory_bytes"), 1024);
}

TEST_F(ServerTest, an_image_is_captured_and_deployed_chunk_by_chunk) {
    add_device();
    Image image;
    auto ids = channel::render_ids(image.ids);
    {
        Working w(*this, kCapture);
        EXPECT_EQ(w.agent.call("/chunks/have", ids).body, std::string("\0\0", 2));
        EXPECT_EQ(w.agent.call("/images/web/commit", image.bytes()).status, 409u);
        EXPECT_EQ(w.agent.call("/images/web/commit", image.bytes()).body, ids);
        EXPECT_EQ(w.agent.call("/chunks", image.frames()).status, 204u);
        EXPECT_EQ(w.agent.call("/chunks/flush", "").status, 204u);
        EXPECT_EQ(w.agent.call("/chunks/have", ids).body, "\x01\x01");
        EXPECT_EQ(w.agent.call("/images/other/commit", image.bytes()).error(), "server.not-your-task");
        EXPECT_EQ(w.agent.call("/images/web/commit", image.bytes()).body, R"({"version":1})");
        w.agent.report(w.task, "done");
        EXPECT_EQ(w.agent.call("/chunks/have", ids).error(), "server.not-your-task");
    }
    auto shown = api("GET", "/images/web").object();
    EXPECT_EQ(shown.at("versions").at(0).at("disk_bytes"), 3 << 20);
    auto stored = shown.at("versions").at(0).at("stored_bytes").to_number<std::uint64_t>();
    EXPECT_EQ(stored, image.encoded[0].size() + image.encoded[1].size());
    EXPECT_TRUE(api("POST", "/images/web/verify").object().at("ok").as_bool());
    {
        Working w(*this, kDeploy);
        EXPECT_EQ(w.agent.call("/images/web@1/manifest", "", "GET").body, image.bytes());
        EXPECT_EQ(w.task.at("parameters").at("image"), "web@1") << "settled when the job was made";
        EXPECT_EQ(job(w.job).at("steps").at(1).at("image"), "web@1");
        EXPECT_EQ(w.agent.call("/images/web/manifest", "", "GET").body, image.bytes());
        EXPECT_EQ(api("DELETE", "/images/web@1").error(), "server.image-in-use");
        EXPECT_EQ(api("DELETE", "/images/web").status, 409u);
        EXPECT_EQ(w.agent.call("/images/other/manifest", "", "GET").error(), "server.not-your-task");
        EXPECT_EQ(w.agent.call("/chunks/get", ids).body, image.frames());
        EXPECT_EQ(w.agent.call("/chunks", image.frames()).error(), "server.not-your-task");
        w.agent.report(w.task, "done");
    }
    EXPECT_EQ(api("DELETE", "/images/web").status, 204u);
    EXPECT_EQ(api("GET", "/images/web").error(), "imagestore.no-image");
    auto refused = api("POST", "/jobs",
                       {{"sequence", "da-deploy-image"}, {"devices", {"poseidon"}}, {"variables", {{"image", "web"}}}});
    EXPECT_EQ(refused.error(), "imagestore.no-image") << "before any machine is booted for it";
}

TEST_F(ServerTest, a_deploy_may_not_fetch_what_its_image_does_not_name) {
    add_device();
    Image web, secret('x');
    {
        Working w(*this, kCapture);
        w.agent.call("/chunks", web.frames());
        w.agent.call("/chunks", secret.frames());
        w.agent.call("/images/web/commit", web.bytes());
        w.agent.report(w.task, "done");
    }
    Working w(*this, kDeploy);
    EXPECT_EQ(w.agent.call("/chunks/get", channel::render_ids(secret.ids)).error(), "server.not-your-task");
}

TEST_F(ServerTest, without_encryption_chunks_go_over_the_clear_listener_under_the_tasks_key) {
    add_device();
    Image image;
    Working w(*this, kClearCapture);
    std::string key(view(w.task.at("parameters").at("bulk_key").as_string()));
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks", image.frames(), "0123").error(), "server.not-your-task");
    // Refused by its head: whoever has no key cannot make the server hold bodies.
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks", std::string(6u << 20, 'x'), "0123").error(), "server.not-your-task");
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks", image.frames(), key).status, 204u);
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks/have", channel::render_ids(image.ids), key).body, "\x01\x01");
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks/get", channel::render_ids(image.ids), key).error(),
              "server.not-your-task");
    EXPECT_EQ(clear("POST", "/agent/v1/images/web/commit", image.bytes(), key).status, 404u);
    w.agent.report(w.task, "done");
    EXPECT_EQ(clear("POST", "/bulk/v1/chunks", image.frames(), key).error(), "server.not-your-task");
}

TEST_F(ServerTest, a_damaged_chunk_or_manifest_is_refused_by_name_and_nothing_is_stored) {
    add_device();
    Image image;
    Working w(*this, kCapture);
    auto frames = image.frames();
    frames[40] ^= 1;
    EXPECT_EQ(w.agent.call("/chunks", frames).error(), "imagestore.bad-chunk");
    EXPECT_EQ(w.agent.call("/chunks", frames.substr(0, 1000)).error(), "server.bad-frames");
    auto manifest = image.bytes();
    manifest[60] ^= 1;
    EXPECT_EQ(w.agent.call("/images/web/commit", manifest).error(), "imagestore.bad-manifest");
    EXPECT_EQ(api("GET", "/images").body, R"({"items":[]})");
}

TEST_F(ServerTest, a_repair_gets_the_patch_files_of_the_library_and_no_other_task_does) {
    add_device();
    const auto hal = patches::test::make_pe("halacpi.dll", {5, 2, 3790, 3959}, 0x0407);
    ASSERT_TRUE(patches::add_to_library(dir / "state/Patches", as_bytes(hal)).ok());
    Working w(*this, "<task type=\"repair\"/><task type=\"inventory\"/>");
    ASSERT_EQ(w.task.at("type"), "repair");
    const std::string path = "/patches/5.2.3790.3959/0407/halacpi.dll";
    const auto got = w.agent.call(path, "", "GET");
    EXPECT_EQ(got.status, 200u);
    EXPECT_EQ(got.body, hal);
    for (const char* none : {"/patches/5.2.3790.3959/0409/halacpi.dll", "/patches/5.2.3790.3959/0407/hal.dll",
                             "/patches/5.2.3790.3959/0407/passwd", "/patches/%2e%2e/0407/halacpi.dll"}) {
        const auto refused = w.agent.call(none, "", "GET");
        EXPECT_EQ(refused.status, 404u) << none;
        EXPECT_EQ(refused.error(), "server.no-patch-file") << none;
    }
    ASSERT_EQ(w.agent.report(w.task, "done").status, 200u);
    ASSERT_EQ(w.agent.poll().at("type"), "inventory");
    EXPECT_EQ(w.agent.call(path, "", "GET").error(), "server.not-your-task");
}

TEST_F(ServerTest, a_second_server_on_the_state_directory_is_refused) {
    ServerOptions o;
    o.state = dir / "state";
    o.address = "127.0.0.1";
    auto second = DeployServer::start(o, clock);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().name(), "server.state-in-use");
}

TEST_F(ServerTest, a_restart_keeps_ca_token_devices_and_the_certificates_given_out) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto old_ca = ca, old_token = token;
    server.reset();
    begin();
    EXPECT_EQ(ca, old_ca);
    EXPECT_EQ(token, old_token);
    EXPECT_EQ(w.agent.report(w.task, "done").status, 200u);
    EXPECT_EQ(job(w.job).at("state"), "done");
}

TEST_F(ServerTest, the_rest_api_wants_the_administrators_token_on_every_path) {
    for (const auto& route : server->routes().routes()) {
        if (!route.pattern.starts_with("/api/")) continue;
        for (auto given : {"", "Bearer ", "Bearer 0123", "Basic x"}) {
            http::ClientRequest r{.method = route.method, .path = route.pattern};
            if (*given) r.headers.set("Authorization", given);
            auto reply = send(tls_url(), ca, std::nullopt, r);
            EXPECT_EQ(reply.status, 401u) << route.method << " " << route.pattern;
            EXPECT_EQ(reply.error(), "server.unauthorized");
        }
    }
}

// "  /path:" and below it "    method:" of openapi.yaml; its layout is ours.
std::set<std::string> described_routes() {
    std::set<std::string> out;
    std::string path;
    auto text = read_text_file(std::string(SLIPWAY_SOURCE_DIR) + "/deploy-server/openapi.yaml").value();
    for (const auto& line : split(text, '\n')) {
        if (line.starts_with("components:")) break;
        if (line.starts_with("  /")) path = line.substr(2, line.size() - 3);
        for (auto method : {"get", "post", "patch", "delete", "put"})
            if (line == fmt::format("    {}:", method)) {
                std::string upper(method);
                for (auto& c : upper) c = static_cast<char>(c - 'a' + 'A');
                out.insert(upper + " /api/v1" + path);
            }
    }
    return out;
}

TEST_F(ServerTest, openapi_describes_exactly_the_routes_there_are) {
    std::set<std::string> served;
    for (const auto& route : server->routes().routes())
        if (route.pattern.starts_with("/api/")) served.insert(route.method + " " + route.pattern);
    EXPECT_GT(served.size(), 20u);
    EXPECT_EQ(described_routes(), served);
}

TEST_F(ServerTest, an_agents_certificate_opens_no_rest_call) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto reply = send(tls_url(), ca, w.agent.identity, {.path = "/api/v1/devices"});
    EXPECT_EQ(reply.status, 401u);
}

TEST_F(ServerTest, hostile_bodies_are_named_errors) {
    auto post = [&](const char* path, std::string body) {
        http::ClientRequest r{.method = "POST", .path = path, .body = std::move(body)};
        r.headers.set("Authorization", "Bearer " + token);
        return send(tls_url(), ca, std::nullopt, r).error();
    };
    EXPECT_EQ(post("/api/v1/devices", "{"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/devices", "[]"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/devices", std::string(100'000, '[')), "server.bad-request");
    EXPECT_EQ(post("/api/v1/devices", R"({"name":"../x"})"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/devices", R"({"name":"x","macs":["ff:ff:ff:ff:ff:ff"]})"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/devices", R"({"name":"x","power_driver":"command"})"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/jobs", "{}"), "server.bad-request");
    EXPECT_EQ(post("/api/v1/jobs", R"({"sequence":"../../etc/passwd"})"), "server.no-sequence");
    EXPECT_EQ(post("/api/v1/jobs", R"({"sequence_xml":"<x/>"})"), "sequences.not-a-sequence");
    EXPECT_EQ(post("/api/v1/jobs", R"({"sequence":"reboot","devices":["nobody"]})"), "server.no-device");
    EXPECT_EQ(post("/api/v1/jobs", R"({"sequence":"reboot","group":"none"})"), "server.no-group");
    EXPECT_EQ(post("/agent/v1/enroll", "{}"), "channel.bad-message");
}

}  // namespace
}  // namespace slipway::server
