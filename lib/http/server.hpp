// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 server: routes, listeners in the clear and by TLS 1.3 with optional client certificates. A handler gets a
// Request and answers through its Responder, at once or later from any thread: a long poll holds no thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/http/message.hpp"
#include "lib/http/pki.hpp"

namespace slipway::http {

// Copyable; the first send() counts. When the last copy goes without one, the client gets 500.
class Responder {
public:
    using Sink = std::function<void(Response)>;
    explicit Responder(Sink sink);
    void send(Response response) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

using Handler = std::function<void(Request, Responder)>;

// Patterns are literal segments and {name} segments; a last {name...} takes the rest of the path.
class Router {
public:
    struct Options {
        std::uint64_t max_body = 1u << 20;  // bytes; more is answered with 413 unread
    };
    struct Route {
        std::string method, pattern;
        Handler handler;
        Options options;
    };
    void add(std::string method, std::string pattern, Handler handler, Options options);
    void add(std::string method, std::string pattern, Handler handler) {
        add(std::move(method), std::move(pattern), std::move(handler), Options{});
    }
    // Sees every request before its handler, and before its body is read; a Response refuses it. The one authorisation
    // point.
    void set_guard(std::function<std::optional<Response>(const Request&, const Route&)> guard) {
        guard_ = std::move(guard);
    }

    // nullptr: no such path; wrong_method is set when only the method differs. Fills request.path_parameters.
    const Route* match(Request& request, bool& wrong_method) const;
    // The guard's refusal, if any.
    std::optional<Response> check(const Request& request, const Route& route) const;
    // match, check and the handler, for requests that come in another way than through a Server.
    void dispatch(Request request, Responder responder) const;
    const std::vector<Route>& routes() const { return routes_; }

private:
    std::vector<Route> routes_;
    std::function<std::optional<Response>(const Request&, const Route&)> guard_;
};

struct TlsOptions {
    Identity identity;          // our certificate and key
    std::string client_ca_pem;  // client certificates signed by it are accepted (and asked for); empty: none
};

// Of the file in a response to GET.
struct FileSending {
    enum class Phase { Begun, Moving, Sent, Broken } phase = Phase::Begun;
    std::uint64_t position = 0, size = 0;  // in the file: a range begins and may end in the middle
    std::chrono::milliseconds took{0};
};

struct ListenerOptions {
    std::string address = "0.0.0.0";
    std::uint16_t port = 0;  // 0: any, see the result of listen()
    std::optional<TlsOptions> tls;
    std::chrono::seconds idle_timeout{60};
    std::size_t max_connections = 2000;
    std::size_t max_connections_of_one = 500;  // address: nobody alone keeps the others out
    bool held = false;                         // connections wait in the kernel's queue until Server::release()
    std::function<void(const Request&, unsigned status)> on_request;  // after each answer; may be empty
    // At its begin and end and twice a second between; and a handshake that failed, by the peer's address. May be
    // empty.
    std::function<void(const Request&, const FileSending&)> on_file;
    std::function<void(const std::string& peer_address, const std::string& why)> on_handshake_failure;
};

class Server {
public:
    explicit Server(unsigned threads);
    ~Server();  // stop()
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    // Binds, and serves at once unless the listener is held. The router is shared by all connections and must not
    // change any more. The bound port.
    Result<std::uint16_t> listen(ListenerOptions options, std::shared_ptr<const Router> router);
    void release();  // held listeners serve from now on
    // Closes listeners and connections, ends the threads. Not from a handler. A Responder kept longer does no harm.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::http
