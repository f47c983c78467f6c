// SPDX-License-Identifier: GPL-3.0-or-later
// The real server on loopback, asked by atftp and tftp-hpa and by datagrams of our own.
#include <condition_variable>
#include <mutex>
#include <thread>

#include <poll.h>
#include <sys/stat.h>

#include <gtest/gtest.h>
#include <boost/asio/post.hpp>

#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "tftp/errors.hpp"
#include "tftp/server.hpp"

using namespace slipway;
using namespace slipway::tftp;

namespace {

class TftpServer : public testing::Test {
protected:
    TempDir dir = TempDir::create("tftp").value();
    boost::asio::io_context io;
    std::unique_ptr<Server> server;
    std::thread thread;
    std::mutex mutex;
    std::condition_variable reported;
    std::vector<TransferReport> reports;
    std::string content;

    void SetUp() override {
        for (int i = 0; i < 400'000; ++i) content += static_cast<char>(i * 31 + i / 256);
        std::filesystem::create_directories(dir / "root/sub");
        ASSERT_TRUE(write_file_atomic(dir / "root/kernel", as_bytes(content)).ok());
        ASSERT_TRUE(write_file_atomic(dir / "root/sub/empty", {}).ok());
        ASSERT_TRUE(write_file_atomic(dir / "secret", as_bytes("secret")).ok());
        std::filesystem::create_symlink("../secret", dir / "root/link");
        std::filesystem::create_directory_symlink("..", dir / "root/up");
        ::mkfifo((dir / "root/fifo").c_str(), 0600);
        start({});
    }

    void start(Limits limits) {
        ServerOptions options;
        options.local = {*Ipv4Address::parse("127.0.0.1"), 0};
        options.source = serve_directory(dir / "root");
        options.limits = limits;
        options.on_transfer = [this](const TransferReport& r) {
            std::lock_guard lock(mutex);
            reports.push_back(r);
            reported.notify_all();
        };
        server = std::make_unique<Server>(Server::create(io, std::move(options)).value());
        thread = std::thread([this] { io.run(); });
    }

    void TearDown() override {
        boost::asio::post(io, [this] { server->stop(); });
        thread.join();  // the io_context runs dry: nothing is left waiting
        server.reset();
    }

    std::string port() { return std::to_string(server->port()); }

    Packet ask(const Packet& packet) {
        auto socket = UdpPort::open({}).value();
        EXPECT_TRUE(socket.send(encode_packet(packet), {*Ipv4Address::parse("127.0.0.1"), server->port()}).ok());
        pollfd p{socket.fd(), POLLIN, 0};
        if (::poll(&p, 1, 3000) != 1) return ErrorPacket{ErrorCode::NotDefined, "no answer"};
        return parse_packet((*socket.receive())->data).value();
    }
    ErrorCode refused(std::string name) {
        auto answer = ask(Request{.file = std::move(name), .mode = "octet"});
        const auto* error = std::get_if<ErrorPacket>(&answer);
        return error ? error->code : ErrorCode::NoSuchUser;
    }
};

bool missing(const char* program) { return !run_checked({"sh", "-c", std::string("command -v ") + program}).ok(); }

}  // namespace

TEST_F(TftpServer, atftp_fetches_with_all_options) {
    if (missing("atftp")) GTEST_SKIP() << "atftp is not installed";
    for (const auto& options :
         std::vector<std::vector<std::string>>{{},
                                               {"--option", "blksize 1428"},
                                               {"--option", "windowsize 8", "--option", "blksize 1024"},
                                               {"--option", "timeout 2", "--option", "tsize 0"}}) {
        auto out = (dir / "out").string();
        std::filesystem::remove(out);
        std::vector<std::string> argv{"atftp", "--get", "-r", "kernel", "-l", out};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.insert(argv.end(), {"127.0.0.1", port()});
        auto done = run_checked(argv, {.timeout = std::chrono::seconds(20)});
        ASSERT_TRUE(done.ok()) << done.error().describe();
        EXPECT_EQ(read_text_file(out).value(), content);
    }
    std::unique_lock lock(mutex);  // the client may be gone before its last ACK is read
    ASSERT_TRUE(reported.wait_for(lock, std::chrono::seconds(5), [&] { return reports.size() == 4; }));
    for (const auto& r : reports) EXPECT_TRUE(r.failure.empty() && r.bytes == content.size()) << r.failure;
}

TEST_F(TftpServer, tftp_hpa_fetches) {
    if (missing("tftp")) GTEST_SKIP() << "tftp-hpa is not installed";
    for (std::string name : {"kernel", "/sub/empty"}) {
        auto out = (dir / "out").string();
        auto done = run_checked({"tftp", "-4", "-m", "binary", "127.0.0.1", port(), "-c", "get", name, out},
                                {.timeout = std::chrono::seconds(20)});
        ASSERT_TRUE(done.ok()) << done.error().describe();
        EXPECT_EQ(read_text_file(out).value(), name == "kernel" ? content : "");
    }
}

TEST_F(TftpServer, nothing_outside_the_root_is_served) {
    for (const char* name : {"../secret", "sub/../../secret", "/../secret", "link", "up/secret", "..\\secret",
                             "sub\\empty", "fifo", "sub", "kernel/x", "a\nb"})
        EXPECT_EQ(refused(name), ErrorCode::AccessViolation) << name;
    for (const char* name : {"nothing", "sub/nothing", "/", "secret"})
        EXPECT_EQ(refused(name), ErrorCode::FileNotFound) << name;
    EXPECT_EQ(refused(std::string(300, 'n')), ErrorCode::FileNotFound);
}

TEST_F(TftpServer, writing_and_other_modes_are_refused) {
    auto answer = ask(Request{.write = true, .file = "x", .mode = "octet"});
    EXPECT_EQ(std::get<ErrorPacket>(answer).code, ErrorCode::AccessViolation);
    answer = ask(Request{.file = "kernel", .mode = "netascii"});
    EXPECT_EQ(std::get<ErrorPacket>(answer).code, ErrorCode::NotDefined);
}

TEST_F(TftpServer, a_size_probe_ended_with_error_8_leaves_nothing) {
    auto socket = UdpPort::open({}).value();
    UdpEndpoint server_at{*Ipv4Address::parse("127.0.0.1"), server->port()};
    Request request{.file = "kernel", .mode = "octet", .options = {{"tsize", "0"}, {"blksize", "1468"}}};
    ASSERT_TRUE(socket.send(encode_packet(request), server_at).ok());
    pollfd p{socket.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    auto answer = std::move(**socket.receive());
    EXPECT_NE(answer.from.port, server->port());  // a transfer has its own
    EXPECT_EQ(std::get<OptionAck>(*parse_packet(answer.data)).options,
              (OptionList{{"blksize", "1468"}, {"tsize", "400000"}}));
    ASSERT_TRUE(socket.send(encode_packet(ErrorPacket{ErrorCode::OptionRefused, "User aborted"}), answer.from).ok());
    // The same port asks again at once, as EDK2 does, and is answered.
    ASSERT_TRUE(socket.send(encode_packet(request), server_at).ok());
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    EXPECT_TRUE(std::holds_alternative<OptionAck>(*parse_packet((*socket.receive())->data)));
}

TEST_F(TftpServer, a_busy_port_is_named) {
    auto second = Server::create(io, {.local = {*Ipv4Address::parse("127.0.0.1"), server->port()}});
    ASSERT_FALSE(second.ok());
    EXPECT_TRUE(second.error().is(errors::kListen));
}
