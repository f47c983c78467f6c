// SPDX-License-Identifier: GPL-3.0-or-later
// A whole server in this process, spoken to over loopback TLS by an agent that is this test.
#include "deploy-server/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/db/json.hpp"
#include "imagestore/codec.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/http/client.hpp"

namespace slipway::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kMac = "52:54:00:51:00:01";

struct Reply {
    unsigned status = 0;
    std::string body;
    json::object object() const { return parse_object(body).value_or({}); }
    std::string error() const {
        auto o = object();
        return o.contains("error") ? std::string(view(o.at("error").at("name").as_string())) : "";
    }
};

struct ServerTest : testing::Test {
    TempDir dir = TempDir::create("server").value();
    struct : Clock {
        std::atomic<std::int64_t> ahead_ms{0};
        Instant now() const override { return SystemClock().now(); }
        WallTime wall() const override { return SystemClock().wall() + std::chrono::milliseconds(ahead_ms); }
    } clock;
    std::unique_ptr<DeployServer> server;
    std::string ca, token;

    void SetUp() override { begin(); }
    void begin() {
        ServerOptions o;
        o.state = dir / "state";
        o.address = "127.0.0.1";
        o.tls_port = o.http_port = 0;
        o.hub = {300ms, 2000ms, 50ms, 20ms, 50ms, 100ms, 10ms, 200ms};
        auto started = DeployServer::start(o, clock);
        ASSERT_TRUE(started) << started.error().describe();
        server = std::move(*started);
        ca = read_text_file(dir / "state/pki/ca.pem").value();
        token = trim(read_text_file(dir / "state/admin.token").value());
    }
    std::string tls_url() const { return fmt::format("https://127.0.0.1:{}", server->tls_port()); }
    static Reply send(const std::string& url, const std::string& ca, std::optional<http::Identity> identity,
                      http::ClientRequest request) {
        auto client = http::Client::create({.url = url, .ca_pem = ca, .identity = std::move(identity)}).value();
        auto answer = client.send(request);
        if (!answer) return {0, answer.error().describe()};
        return {answer->status, answer->body};
    }
    Reply api(const std::string& method, const std::string& path, const json::value& body = nullptr) {
        http::ClientRequest r{.method = method, .path = "/api/v1" + path};
        r.headers.set("Authorization", "Bearer " + token);
        if (!body.is_null()) r.body = json::serialize(body);
        return send(tls_url(), ca, std::nullopt, r);
    }
    Reply clear(const std::string& method, const std::string& path, const std::string& body = "",
                const std::string& bulk_key = "") {
        http::ClientRequest r{.method = method, .path = path, .body = body};
        if (!bulk_key.empty()) r.headers.set("X-Slipway-Bulk", bulk_key);
        return send(fmt::format("http://127.0.0.1:{}", server->http_port()), "", std::nullopt, r);
    }
    void add_device(const std::string& name = "poseidon", const std::string& mac = kMac, const char* kind = "device") {
        ASSERT_EQ(api("POST", "/devices", {{"name", name}, {"macs", {mac}}, {"kind", kind}}).status, 201u);
        ASSERT_EQ(api("POST", "/devices/" + name + "/take-control", json::object()).status, 200u);
    }
    std::int64_t start_job(const json::object& body) {
        auto reply = api("POST", "/jobs", body);
        EXPECT_EQ(reply.status, 201u) << reply.body;
        return reply.object().at("id").to_number<std::int64_t>();
    }
    json::object job(std::int64_t id) { return api("GET", fmt::format("/jobs/{}", id)).object(); }
    // The token a machine finds in its boot script.
    std::string boot_token(const std::string& mac = kMac) {
        auto script = clear("GET", "/boot/script?mac=" + mac);
        auto at = script.body.find("slipway.token=");
        return at == std::string::npos ? "" : script.body.substr(at + 14, 64);
    }
};

// An agent as the wire sees it.
struct Agent {
    ServerTest& test;
    http::SigningRequest request = http::make_signing_request("whoever").value();
    std::optional<http::Identity> identity;
    std::string boot = "boot-1";

    Reply call(const std::string& path, const std::string& body, const char* method = "POST") const {
        return ServerTest::send(test.tls_url(), test.ca, identity,
                                {.method = method, .path = "/agent/v1" + path, .body = body});
    }
    Reply call(const std::string& path, const json::object& body) const { return call(path, json::serialize(body)); }
    Reply enroll(const std::string& token, const std::string& mac = kMac) {
        auto reply =
            call("/enroll",
                 {{"token", token}, {"csr_pem", request.request_pem}, {"mac", mac}, {"hardware", json::object()}});
        if (reply.status == 200)
            identity =
                http::Identity{std::string(view(reply.object().at("certificate_pem").as_string())), request.key_pem};
        return reply;
    }
    Reply hello(const char* kind = "da") {
        return call("/hello", {{"device", "x"},
                               {"boot_id", boot},
                               {"hardware", {{"cpus", 2}}},
                               {"version", "1"},
                               {"kind", kind},
                               {"memory_bytes", 1024}});
    }
    json::object poll() {
        auto answer = call("/poll", {{"boot_id", boot}}).object();
        return answer.contains("task") ? answer.at("task").as_object() : json::object();
    }
    Reply report(const json::object& task, const char* state, json::object more = {}) {
        more["key"] = task.at("key");
        more["boot_id"] = boot;
        more["state"] = state;
        return call("/report", more);
    }
};

// The agent of `poseidon`, booted into by a job of this sequence and holding its first device task.
struct Working {
    std::int64_t job;
    Agent agent;
    json::object task;
    Working(ServerTest& test, const std::string& tasks, json::object variables = {}) : job(0), agent{test} {
        auto xml = "<sequence xmlns=\"urn:slipway:sequence:1\" name=\"t\"><tasks><task type=\"boot-to-da\"/>" + tasks +
                   "</tasks></sequence>";
        job = test.start_job({{"sequence_xml", xml}, {"devices", {"poseidon"}}, {"variables", variables}});
        EXPECT_EQ(agent.enroll(test.boot_token()).status, 200u);
        EXPECT_EQ(agent.hello().status, 200u);
        task = agent.poll();
    }
};

const std::string kCapture = R"(<task type="capture-image"><parameter name="image">web</parameter></task>)";
const std::string kClearCapture = R"(<task type="capture-image"><parameter name="image">web</parameter>
    <parameter name="nonetencrypt">true</parameter></task>)";
const std::string kDeploy = R"(<task type="deploy-image"><parameter name="image">web</parameter></task>)";

// One disk of three chunks: data, zero, data.
struct Image {
    std::vector<Digest> ids;
    std::vector<Bytes> encoded;
    imagestore::MemoryManifest manifest;
    explicit Image(char seed = 'a') {
        for (char c : {seed, static_cast<char>(seed + 1)}) {
            Bytes chunk(imagestore::kChunkBytes, static_cast<std::byte>(c));
            ids.push_back(sha256(chunk));
            Bytes raw{std::byte{0}};
            raw.insert(raw.end(), chunk.begin(), chunk.end());
            encoded.push_back(raw);
        }
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = 1;
        info.created_ms = 1000;
        imagestore::DiskInfo disk;
        disk.size = 3 * imagestore::kChunkBytes;
        disk.name = "sda";
        EXPECT_TRUE(w.image(info) && w.disk(disk) && w.data(ids[0]) && w.run(imagestore::RunKind::Zero, 1) &&
                    w.data(ids[1]) && w.end_disk() && w.finish());
    }
    std::string frames() const {
        std::string body;
        for (std::size_t i = 0; i < ids.size(); ++i) channel::append_frame(body, ids[i], encoded[i]);
        return body;
    }
    std::string bytes() const { return std::string(as_text(manifest.bytes())); }
};

// ---- the way it is meant

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
        EXPECT_EQ(w.agent.call("/images/other/manifest", "", "GET").error(), "server.not-your-task");
        EXPECT_EQ(w.agent.call("/chunks/get", ids).body, image.frames());
        EXPECT_EQ(w.agent.call("/chunks", image.frames()).error(), "server.not-your-task");
        w.agent.report(w.task, "done");
    }
    EXPECT_EQ(api("DELETE", "/images/web").status, 204u);
    EXPECT_EQ(api("GET", "/images/web").error(), "imagestore.no-image");
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

// ---- refused

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

TEST_F(ServerTest, only_plain_files_below_the_boot_root_are_served) {
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/kernel", as_bytes("kernel bytes")));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/cmdline", as_bytes("console=ttyS0")));
    for (const char* file : {"ramdisk/default", "images/dos.img", "loaders/arm64.efi"})
        ASSERT_TRUE(write_file_atomic(dir / "state/boot" / file, as_bytes(file)));
    for (const char* folder : {"ramdisk", "images", "loaders"}) {
        std::filesystem::create_symlink(dir / "state/admin.token", dir / "state/boot" / folder / "link");
        std::filesystem::create_directory_symlink(dir / "state", dir / "state/boot" / folder / "out");
    }
    EXPECT_EQ(clear("GET", "/boot/kernel").body, "kernel bytes");
    EXPECT_EQ(clear("GET", "/boot/ramdisk/default").body, "ramdisk/default");
    EXPECT_EQ(clear("GET", "/boot/images/dos.img").body, "images/dos.img");
    EXPECT_EQ(clear("GET", "/boot/loaders/arm64.efi").body, "loaders/arm64.efi");
    for (std::string folder : {"ramdisk", "images", "loaders"})
        for (std::string path : {"../../admin.token",
                                 "..%2f..%2fadmin.token",
                                 "%2e%2e/%2e%2e/admin.token",
                                 "%252e%252e%252fcmdline",
                                 "../cmdline",
                                 "..%5ccmdline",
                                 "..\\cmdline",
                                 "link",
                                 "out/admin.token",
                                 "out%2fadmin.token",
                                 "%2fetc%2fpasswd",
                                 "/etc/passwd",
                                 "",
                                 ".",
                                 "..",
                                 "%00",
                                 "default%00.x",
                                 "dos.img%00",
                                 "nobody",
                                 "%zz"}) {
            auto status = clear("GET", "/boot/" + folder + "/" + path).status;
            EXPECT_TRUE(status == 404 || status == 400) << folder << "/" << path << ": " << status;
        }
    for (auto path : {"/boot/", "/boot/cmdline", "/boot/../admin.token", "/boot/%2e%2e/admin.token", "/boot/images",
                      "/boot/made/x", "/boot/kernel/../cmdline", "//etc/passwd"})
        EXPECT_THAT(clear("GET", path).status, testing::AnyOf(404u, 400u)) << path;
    EXPECT_EQ(clear("GET", "/api/v1/devices").status, 404u);
}

TEST_F(ServerTest, a_device_boots_what_it_is_told_and_the_answer_says_by_whose_word) {
    add_device();
    auto script = [&] { return clear("GET", std::string("/boot/script?mac=") + kMac); };
    auto next = [&] { return json::serialize(api("GET", "/devices/poseidon").object().at("next_boot")); };
    auto set = [&](const json::object& change) { return api("PATCH", "/devices/poseidon", change); };
    EXPECT_EQ(next(), R"({"action":"boot-to-da","why":"the global job template"})");
    EXPECT_THAT(script().body, HasSubstr("slipway.token="));
    EXPECT_THAT(clear("GET", std::string("/boot/grub.cfg?mac=") + kMac).body, HasSubstr("'slipway.token="));
    ASSERT_EQ(api("PATCH", "/netboot/settings", {{"action", "local-disk"}}).status, 200u);
    EXPECT_THAT(script().body, HasSubstr("local disk"));
    ASSERT_EQ(set({{"pxe_action", "ignore"}}).status, 200u);
    EXPECT_EQ(script().error(), "server.netboot-ignored");
    EXPECT_EQ(set({{"pxe_action", "image"}}).error(), "server.bad-request");
    EXPECT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "dos.img"}}).error(), "server.no-boot-image");
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/images/dos.img", Bytes(1440u << 10)));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/images/odd.img", Bytes(100)));
    EXPECT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "odd.img"}}).error(), "pxe.image");
    ASSERT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "dos.img"}}).status, 200u);
    EXPECT_THAT(script().body, HasSubstr("loaders/memdisk floppy raw"));
    EXPECT_THAT(api("GET", "/netboot/images").body, HasSubstr(R"({"name":"dos.img","size":1474560,"kind":"floppy"})"));
    std::filesystem::remove(dir / "state/boot/images/dos.img");
    EXPECT_EQ(script().error(), "server.netboot-ignored") << "gone meanwhile";
    ASSERT_EQ(set({{"pxe_action", "default"}, {"secure_boot", "on"}, {"loader", "ipxe"}}).status, 200u);
    EXPECT_THAT(next(), HasSubstr("global job template"));
    EXPECT_EQ(set({{"loader", "../kernel"}}).error(), "server.bad-request");
    Working w(*this, "<task type=\"inventory\"/>");
    EXPECT_THAT(next(), HasSubstr("a job wants the agent"));
    EXPECT_EQ(set({{"pxe_action", "local-disk"}}).error(), "server.device-busy");
}

TEST_F(ServerTest, the_agent_says_whether_secure_boot_is_on) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto state = [&] { return api("GET", "/devices/poseidon").object().at("secure_boot"); };
    auto says = [&](const char* what) {
        EXPECT_EQ(w.agent
                      .call("/hello", {{"device", "x"},
                                       {"boot_id", w.agent.boot},
                                       {"hardware", {{"secure_boot", what}}},
                                       {"version", "1"},
                                       {"kind", "da"},
                                       {"memory_bytes", 1}})
                      .status,
                  200u);
    };
    EXPECT_EQ(state(), "unknown");
    says("off");
    EXPECT_EQ(state(), "off");
    says("unknown");
    EXPECT_EQ(state(), "off");
    says("on");
    EXPECT_EQ(state(), "on");
}

TEST_F(ServerTest, a_boot_script_names_the_ramdisk_of_the_device_and_the_arguments_of_the_lab) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    EXPECT_THAT(clear("GET", std::string("/boot/script?mac=") + kMac).body, HasSubstr("ramdisk/default"));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/ramdisk/poseidon", as_bytes("x")));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/cmdline", as_bytes("console=ttyS0 quiet\n")));
    auto script = clear("GET", std::string("/boot/script?mac=") + kMac).body;
    EXPECT_THAT(script, HasSubstr("ramdisk/poseidon"));
    EXPECT_THAT(script, HasSubstr("console=ttyS0 quiet"));
    EXPECT_THAT(script, HasSubstr(fmt::format("slipway.server=https://127.0.0.1:{}", server->tls_port())));
    EXPECT_NE(boot_token(), boot_token());
}

TEST_F(ServerTest, post_system_is_for_agents_of_the_kernel_that_is_served) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    for (const char* kernel : {"", "6.1.0", "..%2F..%2Fetc"}) {
        auto path = std::string("/agent/v1/post-system?kernel=") + kernel;
        EXPECT_EQ(send(tls_url(), ca, w.agent.identity, {.path = path}).error(), "server.bad-request") << kernel;
    }
    EXPECT_EQ(send(tls_url(), ca, std::nullopt, {.path = "/agent/v1/post-system?kernel=6.1.0"}).error(),
              "server.no-certificate");
}

TEST_F(ServerTest, ramdisks_are_listed_and_asked_for_by_device) {
    add_device();
    auto list = api("GET", "/agent/ramdisks");
    EXPECT_EQ(list.status, 200u);
    EXPECT_EQ(list.object().at("kernel_version"), "");  // nobody has built one here
    EXPECT_EQ(api("GET", "/agent/ramdisks/nobody").error(), "server.no-ramdisk");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", "nobody"}}).error(), "server.no-device");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", 1}}).error(), "server.bad-request");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", "poseidon"}}).status, 202u);
    EXPECT_EQ(api("GET", "/agent/ramdisks/poseidon").object().at("name"), "poseidon");
}

// ---- jobs over several devices, migrations

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
    EXPECT_EQ(items[0].at("id"), id);
    EXPECT_EQ(api("GET", "/jobs?machine=other&state=running").object().at("items").as_array().size(), 1u);
    EXPECT_EQ(api("GET", "/jobs?machine=nobody").object().at("items").as_array().size(), 0u);
}

}  // namespace
}  // namespace slipway::server
