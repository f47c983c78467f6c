// SPDX-License-Identifier: GPL-3.0-or-later
// A TFTP server on an io_context that one thread runs. Every transfer has a socket of its own, bound to the address
// that the client asked, at a port of the kernel's choice (a transfer id nobody can guess: an acknowledgement proves
// that the address is the client's) and connected to the client (the kernel drops what others send). All of them are
// behind one epoll, so that many clients cost one wait.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "lib/base/flood.hpp"
#include "tftp/hot.hpp"
#include "tftp/retry.hpp"
#include "tftp/source.hpp"

namespace slipway::tftp {

struct TransferReport {
    UdpEndpoint client;
    std::string file;
    std::uint64_t bytes = 0, resent_blocks = 0;
    std::uint64_t size = 0;  // of what is read; 0: not known
    std::uint64_t blocks = 0,
                  losses = 0;  // acknowledged; and how often something was lost on the way and got there later
    std::chrono::milliseconds took{0};
    std::string failure;  // empty: whole
    bool upload = false;
};

struct ServerOptions {
    UdpEndpoint local{{}, 69};  // port 0: any
    std::string device;         // only this interface; empty: all
    Limits limits;
    // Requests of one address; what is above is not answered. A loader that looks for its configuration asks for some
    // 20 files at once.
    FloodLimits flood{};
    // Requests without options, whose answer is longer than they are: no more than these of one address.
    FloodLimits plain_flood{.rate = 16, .burst = 64};
    std::size_t max_sessions = 2048;  // at the limit a new client takes the place of the oldest that never answered
    std::size_t max_of_address = 128;
    std::shared_ptr<HotCache> cache;  // one for several servers; empty: its own
    Source source;
    Sink sink;                                               // empty: uploads are refused
    std::function<void(const TransferReport&)> on_transfer;  // at each end; may be empty
    std::function<void(const TransferReport&)> on_progress;  // while one moves, every progress_pause; may be empty
    std::chrono::milliseconds progress_pause{500};
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
