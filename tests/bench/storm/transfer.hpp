// SPDX-License-Identifier: GPL-3.0-or-later
// What a boot ROM and iPXE fetch: TFTP in lock-step, HTTP from an address of the machine's own.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::storm {

struct Fetched {
    std::uint64_t bytes = 0;
    std::string text;  // of HTTP when asked to keep it
};

// As the PXE ROMs do: tsize and blksize 1432, no windows; a second without a packet says the last word again, ten
// times.
boost::asio::awaitable<Result<Fetched>> fetch_tftp(boost::asio::io_context& io, Ipv4Address own, Ipv4Address server,
                                                   std::string file);

// "http://10.0.0.1:8480/boot/kernel". The body is thrown away by the kernel unless it is to be kept.
boost::asio::awaitable<Result<Fetched>> fetch_http(boost::asio::io_context& io, Ipv4Address own, std::string url,
                                                   bool keep);

}  // namespace slipway::storm
