// SPDX-License-Identifier: GPL-3.0-or-later
// From Result to HTTP: the one place that knows which error has which status.
#pragma once

#include "lib/base/result.hpp"
#include "lib/http/server.hpp"

namespace slipway::server {

unsigned status_of(const Error& error);
http::Response error_response(const Error& error);  // {"error": {name, message, next_step, temporary}}

using Answer = Result<http::Response>;
// A handler that answers at once.
http::Handler handler(std::function<Answer(const http::Request&)> function);

}  // namespace slipway::server
