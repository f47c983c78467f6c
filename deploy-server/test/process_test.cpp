// SPDX-License-Identifier: GPL-3.0-or-later
// Bad luck, with the real programs: deploy-server and slipway-agent-da as processes, a file as the machine's disk.
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/db/json.hpp"
#include "deploy-server/privileges.hpp"
#include "imagestore/store.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/uuid.hpp"
#include "lib/http/client.hpp"

namespace slipway::server {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kMac = "52:54:00:51:00:01";
constexpr std::uint64_t kDiskBytes = 160u << 20;

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

struct ProcessTest : testing::Test {
    TempDir dir = TempDir::create("process").value();
    fs::path state = dir / "state";
    std::optional<Child> server, agent;
    std::uint16_t tls_port = 0, http_port = 0;
    std::string token;

    void SetUp() override {
        for (auto name : {"deploy-server", "slipway-agent-da"})
            if (!fs::exists(program(name))) GTEST_SKIP() << program(name) << " is not built";
    }
    void TearDown() override {
        agent.reset();
        server.reset();
    }
    void start_server(std::vector<std::string> more = {}) {
        auto out = dir / "server.out";
        auto fd = open_fd(out, O_RDWR | O_CREAT | O_TRUNC).value();
        auto err = open_fd(dir / "server.err", O_RDWR | O_CREAT | O_APPEND).value();
        std::vector<std::string> argv{
            program("deploy-server"), "--state-dir", state.string(),           "--address", "127.0.0.1", "--tls-port",
            std::to_string(tls_port), "--http-port", std::to_string(http_port)};
        argv.insert(argv.end(), more.begin(), more.end());
        server = Child::spawn(argv, {.out = fd.get(), .err = err.get()}).value();
        std::string text;
        ASSERT_TRUE(eventually(20s, [&] {
            text = read_text_file(out).value();
            return text.ends_with("ready\n") || !server->running();
        }));
        ASSERT_TRUE(server->running()) << read_text_file(dir / "server.err").value();
        for (const auto& line : split(text, '\n')) {
            auto port = static_cast<std::uint16_t>(parse_u64(line.substr(line.rfind(':') + 1)).value_or(0));
            if (line.starts_with("listening tls")) tls_port = port;
            if (line.starts_with("listening http")) http_port = port;
        }
        token = trim(read_text_file(state / "admin.token").value());
    }
    void kill_server() {
        server->signal(SIGKILL);
        server->wait();
    }
    json::object api(const std::string& method, const std::string& path, const json::value& body = nullptr) {
        auto client = http::Client::create({.url = fmt::format("https://127.0.0.1:{}", tls_port),
                                            .ca_pem = read_text_file(state / "pki/ca.pem").value()})
                          .value();
        http::ClientRequest r{.method = method, .path = "/api/v1" + path};
        r.headers.set("Authorization", "Bearer " + token);
        if (!body.is_null()) r.body = json::serialize(body);
        auto answer = client.send(r);
        EXPECT_TRUE(answer) << answer.error().describe();
        auto object = answer ? parse_object(answer->body).value_or({}) : json::object();
        EXPECT_FALSE(object.contains("error")) << method << " " << path << ": " << json::serialize(object);
        return object;
    }
    // The machine boots: script with a token, then the agent with nothing kept from before.
    void boot_machine(const fs::path& disk) {
        auto client = http::Client::create({.url = fmt::format("http://127.0.0.1:{}", http_port)}).value();
        std::string script;
        ASSERT_TRUE(eventually(20s, [&] {
            auto answer = client.send({.path = std::string("/boot/script?mac=") + kMac});
            script = answer ? answer->body : "";
            return script.find("slipway.token=") != std::string::npos;
        })) << script;
        auto agent_state = dir / ("agent-" + Uuid::random().text());
        auto log = open_fd(dir / "agent.err", O_RDWR | O_CREAT | O_APPEND).value();
        agent = Child::spawn(
                    {program("slipway-agent-da"), "--server", fmt::format("https://127.0.0.1:{}", tls_port), "--bulk",
                     fmt::format("http://127.0.0.1:{}", http_port), "--ca", (state / "pki/ca.pem").string(), "--token",
                     script.substr(script.find("slipway.token=") + 14, 64), "--mac", kMac, "--state-dir",
                     agent_state.string(), "--disk", disk.string()},
                    {.out = log.get(), .err = log.get()})
                    .value();
    }
    fs::path make_disk() {
        Bytes bytes(kDiskBytes);
        fill_random(bytes);
        auto disk = dir / "disk.img";
        EXPECT_TRUE(write_file_atomic(disk, bytes));
        return disk;
    }
    std::int64_t start_job(const std::string& task) {
        api("POST", "/devices", {{"name", "poseidon"}, {"macs", {kMac}}});
        api("POST", "/devices/poseidon/take-control", json::object());
        return next_job(task);
    }
    std::int64_t next_job(const std::string& task) {
        auto xml = "<sequence xmlns=\"urn:slipway:sequence:1\" name=\"t\"><tasks><task type=\"boot-to-da\"/>" + task +
                   "</tasks></sequence>";
        return api("POST", "/jobs", {{"sequence_xml", xml}, {"devices", {"poseidon"}}})
            .at("id")
            .to_number<std::int64_t>();
    }
    json::object job(std::int64_t id) { return api("GET", fmt::format("/jobs/{}", id)); }
    std::string wait_end(std::int64_t id, std::chrono::seconds patience = 60s) {
        std::string state;
        eventually(patience, [&] {
            state = std::string(view(job(id).at("state").as_string()));
            return state != "running" && state != "queued";
        });
        return state;
    }
    std::uint64_t stored() {
        std::uint64_t bytes = 0;
        std::error_code ec;
        for (const auto& entry : fs::directory_iterator(state / "store/packs", ec)) bytes += entry.file_size(ec);
        return bytes;
    }
    std::string why(std::int64_t id) {
        return json::serialize(job(id)) + "\n" + read_text_file(dir / "agent.err").value_or("") + "\n" +
               read_text_file(dir / "server.err").value_or("");
    }
};

const std::string kCapture = R"(<task type="capture-image"><parameter name="image">web</parameter></task>)";
const std::string kClearCapture = R"(<task type="capture-image"><parameter name="image">web</parameter>
    <parameter name="nonetencrypt">true</parameter></task>)";
const std::string kDeploy = R"(<task type="deploy-image"><parameter name="image">web</parameter></task>)";

TEST_F(ProcessTest, sigterm_ends_the_server_cleanly) {
    start_server();
    server->signal(SIGTERM);
    EXPECT_EQ(server->wait(), 0);
}

TEST_F(ProcessTest, started_as_root_it_serves_as_an_ordinary_user_and_its_state_is_that_users) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to give it up";
    fs::permissions(dir.path(), fs::perms::all);  // a temporary directory is closed to other users
    start_server();
    server->signal(SIGTERM);
    server->wait();
    start_server({"--user", "nobody"});
    auto status = read_text_file(fmt::format("/proc/{}/status", server->pid())).value();
    EXPECT_THAT(status, testing::HasSubstr("Uid:\t65534\t65534\t65534\t65534"));
    EXPECT_THAT(status, testing::HasSubstr("CapEff:\t0000000000000000"));
    api("POST", "/devices", {{"name", "poseidon"}, {"macs", {kMac}}});
    EXPECT_EQ(api("GET", "/devices/poseidon").at("name"), "poseidon");
    EXPECT_EQ(fs::status(state / "admin.token").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    server->signal(SIGTERM);
    EXPECT_EQ(server->wait(), 0);
    EXPECT_FALSE(
        run_command({program("deploy-server"), "--state-dir", state.string(), "--user", "nobody-of-that-name"})->ok());
}

TEST_F(ProcessTest, power_commands_of_jobs_taken_up_at_the_start_do_not_run_as_root) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to give it up";
    fs::permissions(dir.path(), fs::perms::all);
    const auto here = dir.path().string();
    // The first one is caught by the kill; it ends by itself once there is "go". The next says whose it is.
    const auto power =
        "cd " + here +
        "; if [ ! -e go ]; then : >asked; until [ -e go ] || [ ! -e asked ]; do sleep 0.1; done; exit; fi; " +
        "id -u >uid.new; mv uid.new uid; echo off";
    start_server();
    api("POST", "/devices",
        {{"name", "poseidon"},
         {"macs", {kMac}},
         {"power_driver", "command"},
         {"power_command", {"/bin/sh", "-c", power}}});
    api("POST", "/devices/poseidon/take-control", json::object());
    next_job("<task type=\"inventory\"/>");
    ASSERT_TRUE(eventually(20s, [&] { return fs::exists(dir / "asked"); }));
    kill_server();
    std::ofstream{dir / "go"};
    start_server({"--user", "nobody"});
    ASSERT_TRUE(eventually(20s, [&] { return fs::exists(dir / "uid"); }));
    EXPECT_EQ(read_text_file(dir / "uid").value(), "65534\n");
}

TEST(UserToBecome, is_our_own_account_when_there_is_one_and_nothing_else_is_asked_for) {
    EXPECT_EQ(user_to_become("", true, true), "slipway");
    EXPECT_EQ(user_to_become("", true, false), "");
    EXPECT_EQ(user_to_become("", false, true), "");
    EXPECT_EQ(user_to_become("other", true, true), "other");
    EXPECT_EQ(user_to_become("root", true, true), "");
}

TEST_F(ProcessTest, the_server_is_killed_in_mid_capture_and_the_job_goes_on_without_storing_twice) {
    start_server();
    auto disk = make_disk();
    auto id = start_job(kCapture);
    boot_machine(disk);
    ASSERT_TRUE(eventually(30s, [&] { return stored() > (24u << 20); })) << why(id);
    kill_server();
    ASSERT_LT(stored(), kDiskBytes) << "the capture was over before the kill: a larger disk is needed";
    start_server();
    ASSERT_EQ(wait_end(id), "done") << why(id);
    EXPECT_LT(stored(), kDiskBytes + (40u << 20));
    EXPECT_EQ(job(id).at("steps").at(1).at("attempt"), 1);
    EXPECT_TRUE(api("POST", "/images/web/verify", json::object()).at("ok").as_bool());
    std::printf("stored %s of %s\n", human_bytes(stored()).c_str(), human_bytes(kDiskBytes).c_str());

    // Laid down again, with the server killed in mid deploy: every byte is the source's.
    agent.reset();
    auto copy = dir / "copy.img";
    ASSERT_TRUE(write_file_atomic(copy, {}));
    fs::resize_file(copy, kDiskBytes);
    auto deploy = next_job(kDeploy);
    boot_machine(copy);
    ASSERT_TRUE(eventually(30s, [&] {
        auto step = job(deploy).at("steps").at(1).as_object();
        return step.contains("progress") && step.at("progress").at("done").to_number<std::uint64_t>() > 0;
    })) << why(deploy);
    kill_server();
    start_server();
    ASSERT_EQ(wait_end(deploy), "done") << why(deploy);
    EXPECT_TRUE(read_file(disk, 1u << 30).value() == read_file(copy, 1u << 30).value());
}

TEST_F(ProcessTest, the_machine_loses_power_in_mid_capture_and_goes_on_when_it_boots_again) {
    start_server();
    auto disk = make_disk();
    auto id = start_job(kClearCapture);
    boot_machine(disk);
    ASSERT_TRUE(eventually(30s, [&] { return stored() > (24u << 20); })) << why(id);
    agent->signal(SIGKILL);
    agent->wait();
    ASSERT_LT(stored(), kDiskBytes) << "the capture was over before the kill: a larger disk is needed";
    boot_machine(disk);
    ASSERT_EQ(wait_end(id), "done") << why(id);
    EXPECT_LT(stored(), kDiskBytes + (40u << 20));
    EXPECT_TRUE(api("POST", "/images/web/verify", json::object()).at("ok").as_bool());
}

TEST_F(ProcessTest, a_full_disk_under_the_store_fails_the_job_by_name_and_it_resumes_when_there_is_space) {
    auto store = state / "store";
    fs::create_directories(store);
    if (::mount("tmpfs", store.c_str(), "tmpfs", 0, "size=64m") != 0) GTEST_SKIP() << "a tmpfs cannot be mounted here";
    struct Unmount {
        fs::path at;
        ~Unmount() { ::umount2(at.c_str(), MNT_DETACH); }
    } unmount{store};
    start_server();
    auto disk = make_disk();
    auto id = start_job(kCapture);
    boot_machine(disk);
    ASSERT_EQ(wait_end(id), "failed") << why(id);
    auto error = job(id).at("steps").at(1).at("error");
    EXPECT_TRUE(error.at("name") == "base.no-space" || error.at("name") == "imagestore.writer-broken")
        << json::serialize(error);
    ASSERT_EQ(::mount("tmpfs", store.c_str(), "tmpfs", MS_REMOUNT, "size=400m"), 0);
    api("POST", fmt::format("/jobs/{}/resume", id), json::object());
    ASSERT_EQ(wait_end(id), "done") << why(id);
    EXPECT_TRUE(api("POST", "/images/web/verify", json::object()).at("ok").as_bool());
    EXPECT_EQ(job(id).at("steps").at(1).at("attempt"), 2);
    server.reset();
}

}  // namespace
}  // namespace slipway::server
