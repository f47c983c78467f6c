// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image … --server URL` with the real programs: deploy-server and slipway as processes on loopback.
#include <thread>

#include <fcntl.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/db/json.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/uuid.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/http/client.hpp"

namespace slipway::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::size_t kMiB = 1u << 20;

std::string program(const char* name) {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return (fs::path(bin ? bin : "build/bin") / name).string();
}

// Polls a condition of another process; what is polled has no event to wait for.
bool eventually(std::chrono::seconds patience, const std::function<bool()>& condition) {
    for (auto until = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < until;) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return condition();
}

struct RemoteImage : testing::Test {
    TempDir dir = TempDir::create("remote").value();
    fs::path state = dir / "state";
    std::optional<Child> server;
    std::uint16_t tls_port = 0;
    std::string token;

    void SetUp() override { start_server(); }
    void start_server() {
        auto out = dir / "server.out";
        auto fd = open_fd(out, O_RDWR | O_CREAT | O_TRUNC).value();
        auto err = open_fd(dir / "server.err", O_RDWR | O_CREAT | O_APPEND).value();
        server = Child::spawn({program("deploy-server"), "--state-dir", state.string(), "--address", "127.0.0.1",
                               "--tls-port", std::to_string(tls_port), "--http-port", "0"},
                              {.out = fd.get(), .err = err.get()})
                     .value();
        std::string text;
        ASSERT_TRUE(eventually(60s, [&] {
            text = read_text_file(out).value();
            return text.ends_with("ready\n") || !server->running();
        }));
        ASSERT_TRUE(server->running()) << read_text_file(dir / "server.err").value();
        for (const auto& line : split(text, '\n'))
            if (line.starts_with("listening tls"))
                tls_port = static_cast<std::uint16_t>(parse_u64(line.substr(line.rfind(':') + 1)).value_or(0));
        token = trim(read_text_file(state / "admin.token").value());
    }
    std::string url() const { return fmt::format("https://127.0.0.1:{}", tls_port); }
    std::string path(const char* name) const { return (dir / name).string(); }

    // Every command is sent to the server by --server alone: no SLIPWAY_URL.
    std::vector<std::string> words(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {program("slipway"), "image"});
        arguments.insert(arguments.end(), {"--server", url()});
        return arguments;
    }
    CommandOptions options() const {
        CommandOptions o;
        o.environment = {"SLIPWAY_URL=", "SLIPWAY_CA=" + (state / "pki/ca.pem").string(),
                         "SLIPWAY_TOKEN_FILE=" + (state / "admin.token").string()};
        o.timeout = 240s;
        return o;
    }
    CommandResult run(std::vector<std::string> arguments) const {
        return run_command(words(std::move(arguments)), options()).value();
    }
    json::object document(std::vector<std::string> arguments) const {
        arguments.emplace_back("--json");
        auto ran = run(std::move(arguments));
        EXPECT_EQ(ran.exit_code, 0) << ran.output << ran.error_text << read_text_file(dir / "server.err").value_or("");
        return parse_object(ran.output).value_or({});
    }
    http::ClientResponse call(const std::string& method, const std::string& path, std::string body,
                              const std::string& bearer) const {
        auto client =
            http::Client::create({.url = url(), .ca_pem = read_text_file(state / "pki/ca.pem").value()}).value();
        http::ClientRequest r{.method = method, .path = "/api/v1" + path, .body = std::move(body)};
        r.headers.set("Authorization", "Bearer " + bearer);
        return client.send(r).value();
    }
    std::string opened(const std::string& image) const {
        auto answer = call("POST", "/uploads", json::serialize(json::object{{"image", image}}), token);
        EXPECT_EQ(answer.status, 201u) << answer.body;
        return std::string(view(parse_object(answer.body)->at("id").as_string()));
    }
    // Random, so that every MiB is a chunk of its own.
    Bytes make_disk(std::size_t mib) const {
        Bytes bytes(mib * kMiB);
        fill_random(bytes);
        EXPECT_TRUE(write_file_atomic(dir / "disk.img", bytes));
        return bytes;
    }
    std::uint64_t stored() const {
        std::uint64_t bytes = 0;
        std::error_code ec;
        for (const auto& entry : fs::directory_iterator(state / "store/packs", ec)) bytes += entry.file_size(ec);
        return bytes;
    }
    Child begin_slow_capture(const std::string& log) const {
        auto fd = open_fd(log, O_RDWR | O_CREAT | O_TRUNC).value();
        return Child::spawn(words({"capture", "--source", path("disk.img"), "--name", "web", "--limit-rate", "24M"}),
                            {.out = fd.get(), .err = fd.get()}, options())
            .value();
    }
};

std::uint64_t number(const json::object& object, const char* key) { return object.at(key).to_number<std::uint64_t>(); }

TEST_F(RemoteImage, a_disk_goes_into_the_servers_store_and_comes_back_the_same) {
    auto disk = make_disk(12);
    auto captured = document({"capture", "--source", path("disk.img"), "--name", "web"});
    EXPECT_EQ(captured.at("image"), "web@1");
    EXPECT_EQ(number(captured, "sent_chunks"), 12u);
    EXPECT_EQ(document({"list"}).at("items").at(0).at("name"), "web");
    EXPECT_EQ(document({"show", "web"}).at("versions").as_array().size(), 1u);
    auto deployed = document({"deploy", "--name", "web", "--target", path("out.img"), "--verify"});
    EXPECT_EQ(number(deployed, "verified_bytes"), 12 * kMiB);
    EXPECT_TRUE(read_file(path("out.img"), 1u << 30).value() == disk);

    // The next version: what changed, and no more, is sent; the difference is told; the first is made the newest.
    disk[5 * kMiB] ^= std::byte{1};
    ASSERT_TRUE(write_file_atomic(path("disk.img"), disk));
    captured = document({"capture", "--source", path("disk.img"), "--name", "web", "--base", "web@1"});
    EXPECT_EQ(captured.at("image"), "web@2");
    EXPECT_EQ(captured.at("base"), "web@1");
    EXPECT_EQ(number(captured, "base_chunks"), 11u);
    EXPECT_EQ(number(captured, "sent_chunks"), 1u);
    auto diff = document({"diff", "web"});
    EXPECT_EQ(diff.at("a"), "web@1");
    EXPECT_EQ(number(diff, "changed_bytes"), kMiB);
    EXPECT_EQ(document({"rollback", "web@1"}).at("image"), "web@3");
    EXPECT_TRUE(document({"diff", "web@1", "web@3"}).at("same").as_bool());

    auto exported = document({"export", "web@2", "--to", path("web.slipimg")});
    EXPECT_EQ(number(exported, "chunks"), 12u);
    EXPECT_EQ(document({"import", "--from", path("web.slipimg"), "--name", "copy"}).at("image"), "copy@1");
    EXPECT_EQ(run({"import", "--from", path("web.slipimg")}).exit_code, 2);

    auto verified = document({"verify"});
    EXPECT_TRUE(verified.at("ok").as_bool());
    EXPECT_EQ(number(verified, "chunks"), 13u);
    EXPECT_EQ(number(verified, "images"), 4u);
    EXPECT_THAT(run({"verify"}).output, HasSubstr("13 chunks"));
    EXPECT_EQ(run({"delete", "web"}).exit_code, 1);  // all three versions, without a word?
    document({"delete", "web", "--all-versions"});
    EXPECT_EQ(number(document({"gc", "--dry-run"}), "packs_removed"), 0u);
    EXPECT_THAT(run({"gc"}).output, HasSubstr("freed"));
    EXPECT_EQ(number(document({"deploy", "--name", "copy", "--target", path("copy.img")}), "data_chunks"), 12u);
    EXPECT_TRUE(read_file(path("copy.img")).value() == disk);
}

TEST_F(RemoteImage, a_disk_goes_through_a_pipe_from_the_server) {
    auto disk = make_disk(3);
    document({"capture", "--source", path("disk.img"), "--name", "web"});
    auto argv = words({"deploy", "--name", "web", "--target", "-"});
    auto piped = run_command(argv, options()).value();
    EXPECT_EQ(piped.exit_code, 0) << piped.error_text;
    EXPECT_TRUE(to_bytes(piped.output) == disk);
}

TEST_F(RemoteImage, the_console_is_killed_in_mid_capture_and_what_was_sent_is_not_sent_again) {
    constexpr std::size_t kChunks = 96;
    auto disk = make_disk(kChunks);
    auto capture = begin_slow_capture(path("capture.log"));
    ASSERT_TRUE(eventually(120s, [&] { return stored() > 24 * kMiB || !capture.running(); }));
    ASSERT_TRUE(capture.running()) << read_text_file(path("capture.log")).value();
    capture.signal(SIGKILL);
    EXPECT_EQ(capture.wait(), 128 + SIGKILL);
    EXPECT_EQ(run({"show", "web"}).exit_code, 1) << "no image before all of it is there";

    // A new upload of the image seals what the killed one sent: so many chunks are there.
    auto other = opened("web");
    auto kept = number(document({"verify"}), "chunks");
    EXPECT_GE(kept, 20u);
    EXPECT_LT(kept, kChunks);
    auto again = document({"capture", "--source", path("disk.img"), "--name", "web"});
    EXPECT_LE(number(again, "sent_chunks"), kChunks - kept);
    EXPECT_EQ(number(document({"verify"}), "chunks"), kChunks) << "nothing is stored twice";
    EXPECT_EQ(call("DELETE", "/uploads/" + other, "", token).status, 204u);
    document({"deploy", "--name", "web", "--target", path("out.img")});
    EXPECT_TRUE(read_file(path("out.img"), 1u << 30).value() == disk);
}

TEST_F(RemoteImage, the_server_is_killed_in_mid_capture_and_the_console_goes_on_when_it_is_back) {
    auto disk = make_disk(64);
    auto capture = begin_slow_capture(path("capture.log"));
    ASSERT_TRUE(eventually(120s, [&] { return stored() > 16 * kMiB || !capture.running(); }));
    ASSERT_TRUE(capture.running()) << read_text_file(path("capture.log")).value();
    server->signal(SIGKILL);
    server->wait();
    auto waits = [&] {
        return read_text_file(path("capture.log")).value().find("waiting for the server") != std::string::npos;
    };
    EXPECT_TRUE(eventually(120s, [&] { return waits() || !capture.running(); }));
    EXPECT_TRUE(capture.running());
    start_server();
    EXPECT_EQ(capture.wait(), 0) << read_text_file(path("capture.log")).value();
    EXPECT_TRUE(document({"verify"}).at("ok").as_bool());
    document({"deploy", "--name", "web", "--target", path("out.img")});
    EXPECT_TRUE(read_file(path("out.img"), 1u << 30).value() == disk);
}

TEST_F(RemoteImage, a_wrong_token_is_refused_and_an_unknown_image_named) {
    make_disk(1);
    ASSERT_TRUE(write_file_atomic(path("token"), as_bytes(std::string(64, '0'))));
    auto wrong = options();
    wrong.environment.back() = "SLIPWAY_TOKEN_FILE=" + path("token");
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"capture", "--source", path("disk.img"), "--name", "web"}, {"verify"}, {"gc"}, {"diff", "web"}}) {
        auto refused = run_command(words(arguments), wrong).value();
        EXPECT_EQ(refused.exit_code, 1);
        EXPECT_THAT(refused.error_text, HasSubstr("server.unauthorized"));
    }
    for (const char* at : {"/uploads", "/uploads/1/chunks", "/uploads/1/commit", "/images/web/chunks/get", "/store/gc"})
        EXPECT_EQ(call("POST", at, "", "x").status, 401u) << at;
    EXPECT_EQ(call("GET", "/images/web/manifest", "", "x").status, 401u);

    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"deploy", "--name", "nothing", "--target", path("out.img")},
                                               {"export", "nothing@7", "--to", path("x")},
                                               {"diff", "nothing"},
                                               {"show", "nothing"}}) {
        auto ran = run(arguments);
        EXPECT_EQ(ran.exit_code, 1);
        EXPECT_THAT(ran.error_text, HasSubstr("imagestore.no-image"));
        EXPECT_THAT(ran.error_text, HasSubstr("nothing"));
    }
    EXPECT_FALSE(fs::exists(path("out.img")));
    EXPECT_THAT(run({"capture", "--source", path("disk.img"), "--name", "../x"}).error_text,
                HasSubstr("imagestore.bad-name"));
    EXPECT_EQ(run({"list", "--store", path("s")}).exit_code, 2) << "--store or --server";
}

TEST_F(RemoteImage, what_is_not_what_it_says_is_refused) {
    auto id = opened("web");
    auto post = [&](const std::string& tail, std::string body) {
        auto answer = call("POST", "/uploads/" + id + tail, std::move(body), token);
        auto object = parse_object(answer.body).value_or({});
        auto* error = object.if_contains("error");
        return error ? std::string(view(error->at("name").as_string())) : std::to_string(answer.status);
    };
    Bytes chunk(kMiB + 1, std::byte{0});
    std::string wrong, right;
    channel::append_frame(wrong, sha256(as_bytes("another")), chunk);
    auto name = sha256(ByteView(chunk).subspan(1));
    channel::append_frame(right, name, chunk);
    EXPECT_EQ(post("/chunks", wrong), "imagestore.bad-chunk");
    EXPECT_EQ(post("/chunks", "no frame"), "server.bad-frames");
    EXPECT_EQ(post("/chunks/have", "no id"), "server.bad-frames");
    EXPECT_EQ(post("/commit", "no manifest"), "imagestore.bad-manifest");
    EXPECT_EQ(post("/chunks", std::string(6 * kMiB, 'x')), "413");
    EXPECT_EQ(post("/chunks", right), "204") << "the upload goes on";
    EXPECT_EQ(post("/chunks/have", channel::render_ids({&name, 1})), "200");
    EXPECT_EQ(post("/chunks/flush", ""), "204");
    EXPECT_EQ(call("DELETE", "/uploads/" + id, "", token).status, 204u);
    EXPECT_EQ(post("/chunks", right), "server.no-upload");
    EXPECT_EQ(call("DELETE", "/uploads/" + id, "", token).status, 404u);
    EXPECT_EQ(call("GET", "/store/work/0", "", token).status, 404u);
    EXPECT_EQ(call("POST", "/uploads", "[]", token).status, 400u);
}

}  // namespace
}  // namespace slipway::server
