// SPDX-License-Identifier: GPL-3.0-or-later
// Answers router solicitations on one interface of a segment that is ours, and sends nothing unasked.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "lib/base/result.hpp"

namespace slipway::dhcp {

class Advertiser {
public:
    // Needs CAP_NET_RAW. An error where the interface has no IPv6.
    static Result<Advertiser> create(boost::asio::io_context& io, const std::string& interface);
    Advertiser(Advertiser&&) noexcept;
    Advertiser& operator=(Advertiser&&) noexcept;
    ~Advertiser();  // stop()
    void stop();    // on the io_context's thread, or while none runs it

private:
    struct Impl;
    explicit Advertiser(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its pending wait
};

}  // namespace slipway::dhcp
