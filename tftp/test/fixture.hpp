// SPDX-License-Identifier: GPL-3.0-or-later
// The real server on loopback with a directory of files, and what its tests ask of it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <poll.h>
#include <sys/stat.h>

#include <gtest/gtest.h>
#include <boost/asio/post.hpp>

#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "tftp/codec.hpp"
#include "tftp/errors.hpp"
#include "tftp/server.hpp"

namespace slipway::tftp::test {

class TftpServer : public testing::Test {
protected:
    TempDir dir = TempDir::create("tftp").value();
    boost::asio::io_context io;
    std::unique_ptr<Server> server;
    std::thread thread;
    std::mutex mutex;
    std::condition_variable reported;
    std::vector<TransferReport> reports;
    std::string content, text;

    void SetUp() override {
        for (int i = 0; i < 400'000; ++i) content += static_cast<char>(i * 31 + i / 256);
        for (int i = 0; i < 9000; ++i) text += fmt::format("line {}{}", i, i % 100 ? "\n" : "\r\n");
        std::filesystem::create_directories(dir / "root/sub");
        std::filesystem::create_directories(dir / "in");
        ASSERT_TRUE(write_file_atomic(dir / "root/kernel", as_bytes(content)).ok());
        ASSERT_TRUE(write_file_atomic(dir / "root/text", as_bytes(text)).ok());
        ASSERT_TRUE(write_file_atomic(dir / "root/sub/empty", {}).ok());
        ASSERT_TRUE(write_file_atomic(dir / "secret", as_bytes("secret")).ok());
        std::filesystem::create_symlink("../secret", dir / "root/link");
        std::filesystem::create_directory_symlink("..", dir / "root/up");
        ::mkfifo((dir / "root/fifo").c_str(), 0600);
        start({});
    }

    void start(ServerOptions options) {
        options.local = {*Ipv4Address::parse("127.0.0.1"), 0};
        options.source = serve_directory(dir / "root");
        options.on_transfer = [this](const TransferReport& r) {
            std::lock_guard lock(mutex);
            reports.push_back(r);
            reported.notify_all();
        };
        server = std::make_unique<Server>(Server::create(io, std::move(options)).value());
        thread = std::thread([this] { io.run(); });
    }

    // Another server in place of the one that runs.
    void restart(ServerOptions options) {
        halt();
        io.restart();
        start(std::move(options));
    }
    // Uploads go to in/.
    void restart_with_uploads(Limits limits = {}) {
        ServerOptions options;
        options.limits = limits;
        options.sink = [this](const std::string& name, const UdpEndpoint&) { return store_below(dir / "in", name); };
        restart(std::move(options));
    }

    void halt() {
        boost::asio::post(io, [this] { server->stop(); });
        thread.join();  // the io_context runs dry: nothing is left waiting
        server.reset();
    }
    void TearDown() override {
        if (server) halt();
    }

    // The client may be gone before its last packet is read.
    std::vector<TransferReport> wait_for_reports(std::size_t count) {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(reported.wait_for(lock, std::chrono::seconds(20), [&] { return reports.size() >= count; }));
        return reports;
    }

    std::string port() { return std::to_string(server->port()); }
    UdpEndpoint at() { return {*Ipv4Address::parse("127.0.0.1"), server->port()}; }

    // The next packet that a socket of ours gets.
    static Result<Datagram> next(UdpPort& socket, int milliseconds = 3000) {
        pollfd p{socket.fd(), POLLIN, 0};
        if (::poll(&p, 1, milliseconds) != 1) return make_error(errors::kPacket, "no answer");
        return std::move(*TRY(socket.receive()));
    }
    Packet ask(const Packet& packet) {
        auto socket = UdpPort::open({}).value();
        EXPECT_TRUE(socket.send(encode_packet(packet), at()).ok());
        auto answer = next(socket);
        return answer.ok() ? parse_packet(answer->data).value() : ErrorPacket{ErrorCode::NoSuchUser, "no answer"};
    }
    ErrorCode refused(std::string name, bool write = false) {
        auto answer = ask(Request{.write = write, .file = std::move(name), .mode = "octet"});
        const auto* error = std::get_if<ErrorPacket>(&answer);
        return error ? error->code : ErrorCode::NoSuchUser;
    }
};

inline bool missing(const char* program) {
    return !run_checked({"sh", "-c", std::string("command -v ") + program}).ok();
}

}  // namespace slipway::tftp::test
