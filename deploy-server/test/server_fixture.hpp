// SPDX-License-Identifier: GPL-3.0-or-later
// A whole server in this process, spoken to over loopback TLS by an agent that is the test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/db/json.hpp"
#include "deploy-server/server.hpp"
#include "imagestore/codec.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/http/client.hpp"

namespace slipway::server::test {

using namespace std::chrono_literals;
using testing::HasSubstr;

inline constexpr const char* kMac = "52:54:00:51:00:01";

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

inline const std::string kCapture = R"(<task type="capture-image"><parameter name="image">web</parameter></task>)";

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

}  // namespace slipway::server::test
