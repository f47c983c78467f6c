// SPDX-License-Identifier: GPL-3.0-or-later
// A small synchronous client of QEMU's Machine Protocol over a unix socket.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "lib/base/fd.hpp"

namespace slipway::vmm {

class QmpClient {
public:
    // Connects and negotiates. The path may be longer than a socket address holds. Errors: vmm.qmp.
    static Result<QmpClient> connect(const std::filesystem::path& socket, std::chrono::milliseconds timeout);

    // Events on the way are dropped. Errors: vmm.qmp with QEMU's own words.
    Result<boost::json::value> execute(std::string_view command, boost::json::object arguments = {},
                                       std::chrono::milliseconds timeout = std::chrono::seconds(30));

private:
    explicit QmpClient(UniqueFd fd) : fd_(std::move(fd)) {}
    Result<boost::json::object> read_message(std::chrono::steady_clock::time_point deadline);
    UniqueFd fd_;
    std::string buffer_;
};

}  // namespace slipway::vmm
