// SPDX-License-Identifier: GPL-3.0-or-later
#include <atomic>

#include "lib/http/server.hpp"

namespace slipway::http {

struct Responder::State {
    Sink sink;
    std::atomic<bool> sent{false};
    ~State() {
        if (!sent.exchange(true)) sink(Response::text(500, "the request was dropped\n"));
    }
};

Responder::Responder(Sink sink) : state_(std::make_shared<State>()) { state_->sink = std::move(sink); }

void Responder::send(Response response) const {
    if (!state_->sent.exchange(true)) state_->sink(std::move(response));
}

void Router::add(std::string method, std::string pattern, Handler handler, Options options) {
    routes_.push_back({std::move(method), std::move(pattern), std::move(handler), options});
}

namespace {

bool is_parameter(const std::string& segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

// Matches path against pattern, collecting {name} parts.
bool matches(const std::string& pattern, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& found) {
    auto want = split(pattern, '/');
    auto have = split(path, '/');
    found.clear();
    for (std::size_t i = 0; i < want.size(); ++i) {
        if (want[i].ends_with("...}")) {
            if (i >= have.size()) return false;
            std::vector<std::string> rest(have.begin() + static_cast<std::ptrdiff_t>(i), have.end());
            found.emplace_back(want[i].substr(1, want[i].size() - 5), join(rest, "/"));
            return true;
        }
        if (i >= have.size()) return false;
        if (is_parameter(want[i])) {
            if (have[i].empty()) return false;
            found.emplace_back(want[i].substr(1, want[i].size() - 2), have[i]);
        } else if (want[i] != have[i]) {
            return false;
        }
    }
    return want.size() == have.size();
}

}  // namespace

const Router::Route* Router::match(Request& request, bool& wrong_method) const {
    wrong_method = false;
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& route : routes_) {
        if (!matches(route.pattern, request.path, found)) continue;
        if (route.method == request.method || (route.method == "GET" && request.method == "HEAD")) {
            request.path_parameters = std::move(found);
            return &route;
        }
        wrong_method = true;
    }
    return nullptr;
}

std::optional<Response> Router::check(const Request& request, const Route& route) const {
    return guard_ ? guard_(request, route) : std::nullopt;
}

void Router::dispatch(Request request, Responder responder) const {
    bool wrong_method = false;
    const auto* route = match(request, wrong_method);
    if (!route) {
        responder.send(wrong_method ? Response::text(405, "method not allowed\n") : Response::text(404, "not found\n"));
        return;
    }
    if (auto refusal = check(request, *route)) {
        responder.send(std::move(*refusal));
        return;
    }
    route->handler(std::move(request), std::move(responder));
}

}  // namespace slipway::http
