// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's side of the channel: who we are, and the calls of docs/architecture.md. One call at a time per link.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "lib/channel/messages.hpp"
#include "lib/http/client.hpp"

namespace slipway::agent {

struct LinkOptions {
    std::string server_url;  // "https://10.99.0.1:8443"
    std::string bulk_url;    // "http://10.99.0.1:8480"; empty: bulk data by TLS only
    std::string ca_pem;
    std::string token;  // for the first contact; empty afterwards
    std::string mac;
    std::filesystem::path state_directory;  // keeps certificate, key and device name over restarts of the process
    std::function<bool()> give_up;          // asked before each new try; true ends with agent.cancelled
};

struct Self {
    http::Identity identity;
    std::string device;
};

// The kept identity, or a new one for the token. A refused token is the server's error.
Result<Self> become_known(const LinkOptions& options, const boost::json::value& hardware);

class ControllerLink {
public:
    static Result<ControllerLink> open(const LinkOptions& options, const Self& self);

    Result<channel::HelloAnswer> hello(const channel::Hello& message);
    Result<std::optional<channel::Task>> poll(const channel::Poll& message);
    Result<channel::ReportAnswer> report(const channel::Report& message);
    // POST (or GET when body is null) of bytes. Connection failures are tried again, ever more slowly, until give_up
    // says so. A status of 400 and more is an error, but 409, which the caller reads.
    Result<http::ClientResponse> bytes(const std::string& path, const std::string* body, std::uint64_t max_answer,
                                       const http::Headers& headers = {});

private:
    ControllerLink(http::Client client, std::function<bool()> give_up)
        : client_(std::move(client)), give_up_(std::move(give_up)) {}
    Result<std::string> message(const std::string& path, const std::string& body);
    http::Client client_;
    std::function<bool()> give_up_;
};

// True for what trying again may cure: no connection, silence, a server that is starting.
bool worth_retrying(const Error& error);

}  // namespace slipway::agent
