// SPDX-License-Identifier: GPL-3.0-or-later
// Certificates (RFC 5280) by OpenSSL: EC P-256 keys, a private CA, short-lived leaves. PEM texts throughout.
// Certificates are valid from an hour before they are made, against clocks that run a little behind.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::http {

struct Identity {
    std::string certificate_pem;
    std::string key_pem;
};

struct SigningRequest {
    std::string request_pem;  // PKCS #10
    std::string key_pem;
};

Result<Identity> make_ca(const std::string& common_name, std::chrono::hours validity);
// A server certificate with these subject alternative names.
Result<Identity> issue_server(const Identity& ca, const std::string& dns_name, std::chrono::hours validity);
Result<SigningRequest> make_signing_request(const std::string& common_name);
// Signs the request's key for a client certificate with OUR common name: what the request says of names is ignored.
Result<std::string> sign_request(const Identity& ca, const std::string& request_pem, const std::string& common_name,
                                 std::chrono::hours validity);
Result<std::string> common_name_of(const std::string& certificate_pem);

}  // namespace slipway::http
