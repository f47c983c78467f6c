// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/rest_client.hpp"

#include <cstdlib>

#include "console/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string first_of(const std::string& file) {
    auto text = read_text_file(file, 1u << 20);
    return text ? std::string(trim(*text)) : std::string();
}

// The answer's error object as the Error it was on the server.
Error error_of(const http::ClientResponse& response) {
    boost::system::error_code ignored;
    auto document = json::parse(response.body, ignored);
    const auto* error = ignored ? nullptr : member(document, "error");
    if (!error) return make_error(errors::kBadAnswer, "the server answered {} without an explanation", response.status);
    return Error(text_at(*error, "name"), text_at(*error, "message"), text_at(*error, "next_step"),
                 response.status == 503);
}

}  // namespace

fs::path login_directory() {
    auto base = environment("XDG_CONFIG_HOME");
    if (base.empty()) base = environment("HOME") + "/.config";
    return fs::path(base) / "slipway";
}

Result<Login> find_login(const std::string& url) {
    auto directory = login_directory();
    Login login;
    login.url = url.empty() ? environment("SLIPWAY_URL") : url;
    if (login.url.empty()) login.url = first_of(directory / "url");
    if (login.url.empty()) return make_error(errors::kNoServer, "no server is known");
    auto ca = environment("SLIPWAY_CA"), token = environment("SLIPWAY_TOKEN_FILE");
    login.ca_pem =
        TRY_WITH(read_text_file(ca.empty() ? directory / "ca.pem" : fs::path(ca), 1u << 20), "the server's CA");
    login.token =
        trim(TRY_WITH(read_text_file(token.empty() ? directory / "token" : fs::path(token), 4096), "the access token"));
    return login;
}

Status save_login(const Login& login) {
    auto directory = login_directory();
    std::error_code failed;
    fs::create_directories(directory, failed);
    fs::permissions(directory, fs::perms::owner_all, failed);
    TRY(write_file_atomic(directory / "url", as_bytes(login.url + "\n"), 0600));
    TRY(write_file_atomic(directory / "ca.pem", as_bytes(login.ca_pem), 0600));
    return write_file_atomic(directory / "token", as_bytes(login.token + "\n"), 0600);
}

Result<RestClient> RestClient::open(const std::string& url) { return open(TRY(find_login(url))); }

Result<RestClient> RestClient::open(const Login& login) {
    if (iequals(std::string_view(login.url).substr(0, 5), "http:"))
        return make_error(errors::kInTheClear, "{} is not encrypted", login.url);
    http::ClientOptions options;
    options.url = login.url;
    options.ca_pem = login.ca_pem;
    return RestClient(TRY(http::Client::create(options)), login.token);
}

Result<http::ClientResponse> RestClient::send(const std::string& method, const std::string& path,
                                              const json::value* body) {
    http::ClientRequest request;
    request.method = method;
    request.path = "/api/v1" + path;
    request.headers.set("Authorization", "Bearer " + token_);
    if (body) {
        request.body = json::serialize(*body);
        request.content_type = "application/json";
    }
    auto response = TRY(client_.send(request));
    if (response.status >= 400) return error_of(response);
    return response;
}

Result<json::value> RestClient::call(const std::string& method, const std::string& path, const json::value* body) {
    auto response = TRY(send(method, path, body));
    if (response.body.empty()) return json::value();
    boost::system::error_code failed;
    auto document = json::parse(response.body, failed);
    if (failed) return make_error(errors::kBadAnswer, "{} {}: the answer is not JSON", method, path);
    return document;
}

Result<std::string> RestClient::bytes(const std::string& path) { return TRY(send("GET", path, nullptr)).body; }

Result<http::ClientResponse> RestClient::exchange(const std::string& path, const std::string* body,
                                                  std::uint64_t max_answer) {
    http::ClientRequest request;
    request.method = body ? "POST" : "GET";
    request.path = "/api/v1" + path;
    request.headers.set("Authorization", "Bearer " + token_);
    if (body) {
        request.body = *body;
        request.content_type = "application/octet-stream";
    }
    request.max_answer = max_answer;
    auto response = TRY(client_.send(request));
    bool octets = response.headers.get("Content-Type").starts_with("application/octet-stream");
    if (response.status >= 400 && !(response.status == 409 && octets)) return error_of(response);
    return response;
}

std::string segment(const std::string& text) {
    std::string out;
    for (unsigned char c : text) {
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '.' || c == '_' || c == '~' || c == '@';
        out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
    }
    return out;
}

const json::value* member(const json::value& value, std::string_view key) {
    const auto* object = value.if_object();
    return object ? object->if_contains(key) : nullptr;
}

std::string text_at(const json::value& value, std::string_view key) {
    const auto* found = member(value, key);
    const auto* text = found ? found->if_string() : nullptr;
    return text ? std::string(*text) : std::string();
}

double real_at(const json::value& value, std::string_view key) {
    const auto* found = member(value, key);
    if (!found || !found->is_number()) return 0;
    return found->to_number<double>();
}

std::uint64_t number_at(const json::value& value, std::string_view key) {
    auto number = real_at(value, key);
    return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

const json::array& array_at(const json::value& value, std::string_view key) {
    static const json::array none;
    const auto* found = member(value, key);
    const auto* array = found ? found->if_array() : nullptr;
    return array ? *array : none;
}

}  // namespace slipway::console
