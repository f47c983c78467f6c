// SPDX-License-Identifier: GPL-3.0-or-later
// A read-only TFTP server on an io_context that one thread runs. Every transfer has a socket of its own, bound to the
// address that the client asked and connected to the client.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "tftp/session.hpp"
#include "tftp/source.hpp"

namespace slipway::tftp {

struct TransferReport {
    UdpEndpoint client;
    std::string file;
    std::uint64_t bytes = 0, resent_blocks = 0;
    std::chrono::milliseconds took{0};
    std::string failure;  // empty: whole
};

struct ServerOptions {
    UdpEndpoint local{{}, 69};  // port 0: any
    std::string device;         // only this interface; empty: all
    Limits limits;
    std::size_t max_sessions = 256;
    Source source;
    std::function<void(const TransferReport&)> on_transfer;  // at each end; may be empty
};

class Server {
public:
    static Result<Server> create(boost::asio::io_context& io, ServerOptions options);
    Server(Server&&) noexcept;
    Server& operator=(Server&&) noexcept;
    ~Server();  // stop()

    std::uint16_t port() const;
    void stop();  // on the io_context's thread, or while none runs it

private:
    struct Impl;
    explicit Server(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its own pending waits
};

}  // namespace slipway::tftp
