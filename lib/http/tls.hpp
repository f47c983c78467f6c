// SPDX-License-Identifier: GPL-3.0-or-later
// TLS 1.3 contexts (RFC 8446). Inside lib/http only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include "lib/base/result.hpp"
#include "lib/http/pki.hpp"
#include "lib/http/server.hpp"

namespace slipway::http {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;  // shared: connections outlive their listener

Result<TlsContext> make_server_context(const TlsOptions& options);
Result<TlsContext> make_client_context(const std::string& ca_pem, const std::optional<Identity>& identity);

// Before the handshake of a client: trust only a certificate for this name, whatever the address.
Status expect_server_name(SSL* ssl, const std::string& name);
// The common name of the other side's verified certificate; empty when it showed none.
std::string verified_peer_name(SSL* ssl);
// Why the handshake failed, for an operator.
std::string handshake_failure(SSL* ssl, const boost::system::error_code& error);

}  // namespace slipway::http
