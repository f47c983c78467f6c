// SPDX-License-Identifier: GPL-3.0-or-later
// A small synchronous client of QEMU's Machine Protocol over a unix socket.
#pragma once

#include <chrono>
#include <filesystem>
#include <set>
#include <string>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "lib/base/fd.hpp"

namespace slipway::vmm {

class QmpClient {
public:
    // Connects and negotiates. The path may be longer than a socket address holds. Errors: vmm.qmp.
    static Result<QmpClient> connect(const std::filesystem::path& socket, std::chrono::milliseconds timeout);

    // Errors: vmm.qmp with QEMU's own words.
    Result<boost::json::value> execute(std::string_view command, boost::json::object arguments = {},
                                       std::chrono::milliseconds timeout = std::chrono::seconds(30));

    // The names of the events that came since the last call, without waiting. Error: vmm.qmp when QEMU has hung up.
    Result<std::set<std::string>> take_events();
    int fd() const { return fd_.get(); }  // readable when there may be an event

private:
    explicit QmpClient(UniqueFd fd) : fd_(std::move(fd)) {}
    Result<boost::json::object> read_message(std::chrono::steady_clock::time_point deadline);
    bool has_line() const { return buffer_.find('\n') != std::string::npos; }
    Result<boost::json::object> take_message();            // the first line of buffer_, which holds one
    Result<bool> fill(std::chrono::milliseconds timeout);  // false: nothing came
    void keep_event(const boost::json::object& message);
    std::set<std::string> events_;
    UniqueFd fd_;
    std::string buffer_;
};

}  // namespace slipway::vmm
