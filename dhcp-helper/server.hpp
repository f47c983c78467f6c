// SPDX-License-Identifier: GPL-3.0-or-later
// Runs a ServerEngine: sockets on its interfaces, probes, and a thread that writes leases in group commits: what comes
// while one commit is on its way to the disk is the next one. On an io_context that one thread runs.
#pragma once

#include <memory>

#include <boost/asio/io_context.hpp>

#include "dhcp-helper/client_limits.hpp"
#include "dhcp-helper/lease_engine.hpp"

namespace slipway::dhcp {

struct ServerOptions {
    std::uint16_t port = kServerPort;
    std::chrono::milliseconds probe_wait{300};
    FloodLimits flood = kClientLimits;  // what is above is not answered
    Decorate decorate;
    std::function<void(const Arrived&)> heard;  // each request that is looked at; may be empty
};

struct ServerCounters {
    std::uint64_t received = 0, limited = 0, offers = 0, acks = 0, naks = 0, probes = 0, conflicts = 0;
    std::uint64_t commits = 0, leases_written = 0, failed_commits = 0;
};

class Server {
public:
    // Binds to config.interfaces (names) and adds their addresses to config.addresses. `store` is used by the writer's
    // thread alone from here on, and outlives the server. Needs CAP_NET_BIND_SERVICE, CAP_NET_RAW.
    static Result<Server> create(boost::asio::io_context& io, ServerConfig config, LeaseStore& store,
                                 ServerOptions options = {});
    Server(Server&&) noexcept;
    Server& operator=(Server&&) noexcept;
    ~Server();  // stop()

    const ServerEngine& engine() const;  // on the io_context's thread
    ServerCounters counters() const;     // on the io_context's thread
    // As of ServerEngine, on the io_context's thread.
    std::vector<std::string> set_reservations(const std::vector<Reservation>& more);
    bool take_back(Ipv4Address address);  // false: nothing to take
    // Hears no more; what is queued for the store is written and acknowledged. On the io_context's thread, or while
    // none runs it.
    void stop();

private:
    struct Impl;
    explicit Server(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its pending waits
};

}  // namespace slipway::dhcp
