// SPDX-License-Identifier: GPL-3.0-or-later
// The HTTP and certificate room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::http::errors {

inline constexpr ErrorId kUrl{"http.url", "Give a URL of the form https://HOST:PORT or http://HOST:PORT.", false};
inline constexpr ErrorId kUnreachable{"http.unreachable", "Check that the server runs and that the network path to it is open.", true};
inline constexpr ErrorId kTimeout{"http.timeout", "The other side went silent; the call is tried again by itself where that is safe.", true};
inline constexpr ErrorId kTls{"http.tls", "Check that the CA file is this server's, that its certificate is valid now, and both clocks.", false};
inline constexpr ErrorId kProtocol{"http.protocol", "The other side does not speak HTTP as expected; check the URL and port.", false};
inline constexpr ErrorId kListen{"http.listen", "Another program may hold the port; choose another, or stop that program.", false};
inline constexpr ErrorId kCertificate{"http.certificate", "Make the key or certificate again; the PEM text is damaged or of the wrong kind.", false};

}  // namespace slipway::http::errors
