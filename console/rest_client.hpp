// SPDX-License-Identifier: GPL-3.0-or-later
// The server's REST API as the console uses it (docs/protocols/rest.md). Where the server is and how to log in comes
// from SLIPWAY_URL, SLIPWAY_CA and SLIPWAY_TOKEN_FILE, else from ~/.config/slipway/{url,ca.pem,token}.
#pragma once

#include <filesystem>
#include <string>

#include <boost/json.hpp>

#include "lib/base/result.hpp"
#include "lib/http/client.hpp"

namespace slipway::console {

struct Login {
    std::string url, ca_pem, token;
};
std::filesystem::path login_directory();                // $XDG_CONFIG_HOME/slipway or ~/.config/slipway
Result<Login> find_login(const std::string& url = {});  // url: rather than the one that is set
// Writes the three files, mode 0600.
Status save_login(const Login& login);

class RestClient {
public:
    static Result<RestClient> open(const std::string& url = {});  // by find_login(url)
    static Result<RestClient> open(const Login& login);

    // The answer's JSON. A status of 400 and more becomes the error that the server named.
    Result<boost::json::value> get(const std::string& path) { return call("GET", path, nullptr); }
    Result<boost::json::value> post(const std::string& path, const boost::json::value& body) {
        return call("POST", path, &body);
    }
    Result<boost::json::value> patch(const std::string& path, const boost::json::value& body) {
        return call("PATCH", path, &body);
    }
    Result<boost::json::value> remove(const std::string& path) { return call("DELETE", path, nullptr); }
    Result<std::string> bytes(const std::string& path);  // not JSON: artifacts
    // GET, or POST of a body, of bytes. A status of 400 and more is an error here too, but a 409 that is no JSON.
    Result<http::ClientResponse> exchange(const std::string& path, const std::string* body, std::uint64_t max_answer);

private:
    explicit RestClient(http::Client client, std::string token)
        : client_(std::move(client)), token_(std::move(token)) {}
    Result<boost::json::value> call(const std::string& method, const std::string& path, const boost::json::value* body);
    Result<http::ClientResponse> send(const std::string& method, const std::string& path,
                                      const boost::json::value* body);
    http::Client client_;
    std::string token_;
};

// A path segment: everything but unreserved characters percent-encoded (RFC 3986 §2.3).
std::string segment(const std::string& text);

// Reading answers: a member as text ("" when absent), number, list; never throws on a wrong kind.
std::string text_at(const boost::json::value& value, std::string_view key);
std::uint64_t number_at(const boost::json::value& value, std::string_view key);
double real_at(const boost::json::value& value, std::string_view key);
const boost::json::value* member(const boost::json::value& value, std::string_view key);
const boost::json::array& array_at(const boost::json::value& value, std::string_view key);  // empty when absent

}  // namespace slipway::console
