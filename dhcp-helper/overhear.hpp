// SPDX-License-Identifier: GPL-3.0-or-later
// Hears what other DHCP and PXE servers of a segment answer: broadcasts, and what passes this machine. A switch keeps
// unicast answers from us; those are known by what the client says next. Needs CAP_NET_RAW when it is made.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "dhcp-helper/codec.hpp"
#include "lib/base/net.hpp"

namespace slipway::dhcp {

class Overhearer {
public:
    struct Answer {
        Message message;
        Ipv4Address from;
        bool own = false;  // sent by this machine, by us or by another program
    };
    // Error: dhcp.listen, when there is no such interface or no right to listen.
    static Result<Overhearer> create(boost::asio::io_context& io, const std::string& interface,
                                     std::function<void(const Answer&)> on_answer);
    Overhearer(Overhearer&&) noexcept;
    Overhearer& operator=(Overhearer&&) noexcept;
    ~Overhearer();  // stop()
    void stop();    // on the io_context's thread, or while none runs it

private:
    struct Impl;
    explicit Overhearer(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its pending wait
};

}  // namespace slipway::dhcp
