// SPDX-License-Identifier: GPL-3.0-or-later
// Does anyone use an address? Asked by ARP (RFC 5227 §2.1.1) on a link of ours, else by ping; twice, then it is free.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::dhcp {

class Prober {
public:
    using Answer = std::function<void(Ipv4Address, bool in_use)>;
    // Needs CAP_NET_RAW. Each probe is answered once, at the latest after `wait`, on the io_context's thread.
    static Result<Prober> create(boost::asio::io_context& io, std::chrono::milliseconds wait, Answer answer);
    Prober(Prober&&) noexcept;
    Prober& operator=(Prober&&) noexcept;
    ~Prober();  // stop()

    void arp(Ipv4Address address, unsigned interface);  // its index
    void ping(Ipv4Address address);
    void stop();

private:
    struct Impl;
    explicit Prober(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its pending waits
};

}  // namespace slipway::dhcp
