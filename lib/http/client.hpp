// SPDX-License-Identifier: GPL-3.0-or-later
// A blocking HTTP/1.1 client that keeps its connection: for the agent and the console. One call at a time per Client.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/result.hpp"
#include "lib/http/message.hpp"
#include "lib/http/pki.hpp"

namespace slipway::http {

inline constexpr const char* kControllerName = "controller.slipway.internal";

struct ClientOptions {
    std::string url;                      // "https://10.99.0.1:8443" or "http://…"; a path in it is ignored
    std::string ca_pem;                   // https only: the one CA trusted
    std::optional<Identity> identity;     // our certificate, when the server asks for one
    std::string server_name = kControllerName;  // what the server's certificate must be for, whatever its address
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds silence_timeout{60};  // no byte for so long ends the call
};

struct ClientRequest {
    std::string method = "GET";
    std::string path = "/";
    Headers headers;
    std::string body;
    std::string content_type;
    std::uint64_t max_answer = 64u << 20;
};

struct ClientResponse {
    unsigned status = 0;
    Headers headers;
    std::string body;
};

class Client {
public:
    static Result<Client> create(ClientOptions options);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    // Any status is a value; an Error means that no whole answer came. A kept connection that the server closed meanwhile is
    // opened again once, so a call may reach the server twice: calls are idempotent.
    Result<ClientResponse> send(const ClientRequest& request);

private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::http
