// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/controller_link.hpp"

#include <cctype>
#include <chrono>
#include <thread>

#include "agent-ramdisk/agent/errors.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "lib/http/errors.hpp"

namespace slipway::agent {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kFirstPause{200}, kLongestPause{5000};

Result<Self> kept(const fs::path& directory) {
    Self self;
    self.identity.certificate_pem = TRY(read_text_file(directory / "agent.crt", 1u << 20));
    self.identity.key_pem = TRY(read_text_file(directory / "agent.key", 1u << 20));
    self.device = trim(TRY(read_text_file(directory / "device", 4096)));
    return self;
}

Status keep(const fs::path& directory, const Self& self) {
    std::error_code failed;
    fs::create_directories(directory, failed);
    TRY(write_file_atomic(directory / "agent.key", as_bytes(self.identity.key_pem), 0600));
    TRY(write_file_atomic(directory / "device", as_bytes(self.device + "\n")));
    // The certificate last: with it, the identity is whole.
    return write_file_atomic(directory / "agent.crt", as_bytes(self.identity.certificate_pem));
}

http::ClientOptions client_options(const LinkOptions& options) {
    http::ClientOptions out;
    out.url = options.server_url;
    out.ca_pem = options.ca_pem;
    return out;
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (unsigned char c : text)
        if (std::isalnum(c) || c == '-' || c == '.') out += static_cast<char>(c);
        else out += fmt::format("%{:02X}", c);
    return out;
}

// The server cannot see why TLS refused it, and its operator cannot see our clock: both are told in the clear, for the
// netboot doctor. Nothing depends on it.
void tell_trouble(const LinkOptions& options, const Error& error) {
    if (options.bulk_url.empty() || options.mac.empty()) return;
    http::ClientOptions where;
    where.url = options.bulk_url;
    where.connect_timeout = where.silence_timeout = std::chrono::seconds(5);
    auto client = http::Client::create(where);
    if (!client) return;
    http::ClientRequest request;
    request.method = "GET";
    request.path = fmt::format("/boot/trouble?mac={}&time={}&what={}", percent_encoded(options.mac),
                               unix_milliseconds(SystemClock().wall()) / 1000, percent_encoded(error.message()));
    (void)client->send(request).ok();
}

}  // namespace

bool worth_retrying(const Error& error) {
    return error.is(http::errors::kUnreachable) || error.is(http::errors::kTimeout);
}

Result<Self> become_known(const LinkOptions& options, const boost::json::value& hardware) {
    if (auto self = kept(options.state_directory)) return self;
    if (options.token.empty())
        return make_error(errors::kNoIdentity, "no certificate in {} and no token given",
                          options.state_directory.string());
    auto request = TRY(http::make_signing_request("slipway-agent"));
    channel::Enroll enroll{options.token, request.request_pem, options.mac, hardware};
    ControllerLink link = TRY(ControllerLink::open(options, {}));
    auto body = channel::render(enroll);
    auto answer = link.bytes("/agent/v1/enroll", &body, channel::kMaxMessage);
    if (!answer && answer.error().is(http::errors::kTls)) tell_trouble(options, answer.error());
    auto enrolled = TRY(channel::parse_enrolled(TRY(std::move(answer)).body));
    Self self{{enrolled.certificate_pem, request.key_pem}, enrolled.device};
    TRY(keep(options.state_directory, self));
    return self;
}

Result<ControllerLink> ControllerLink::open(const LinkOptions& options, const Self& self) {
    auto client = client_options(options);
    if (!self.identity.certificate_pem.empty()) client.identity = self.identity;
    return ControllerLink(TRY(http::Client::create(client)), options.give_up);
}

Result<http::ClientResponse> ControllerLink::bytes(const std::string& path, const std::string* body,
                                                   std::uint64_t max_answer, const http::Headers& headers) {
    http::ClientRequest request;
    request.method = body ? "POST" : "GET";
    request.path = path;
    request.headers = headers;
    if (body) {
        request.body = *body;
        request.content_type = !body->empty() && body->front() == '{' ? "application/json" : "application/octet-stream";
    }
    request.max_answer = max_answer;
    bool told = false;
    for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
        auto response = client_.send(request);
        if (response && response->status == 503) {
            response = channel::parse_error(503, response->body);
        } else if (response) {
            if (response->status >= 400 && response->status != 409)
                return channel::parse_error(response->status, response->body);
            if (told) log::info("agent", "the server is back");
            return response;
        } else if (!worth_retrying(response.error())) {
            return response;
        }
        if (give_up_ && give_up_())
            return make_error(errors::kCancelled, "cancelled while the server was away: {}",
                              response.error().describe());
        if (!told) log::warning("agent", "{}; trying again", response.error().describe());
        told = true;
        std::this_thread::sleep_for(pause);
    }
}

Result<std::string> ControllerLink::message(const std::string& path, const std::string& body) {
    auto response = TRY(bytes(path, &body, channel::kMaxMessage));
    if (response.status == 409) return channel::parse_error(409, response.body);
    return response.body;
}

Result<channel::HelloAnswer> ControllerLink::hello(const channel::Hello& m) {
    return channel::parse_hello_answer(TRY(message("/agent/v1/hello", channel::render(m))));
}
Result<std::optional<channel::Task>> ControllerLink::poll(const channel::Poll& m) {
    return channel::parse_task(TRY(message("/agent/v1/poll", channel::render(m))));
}
Result<channel::ReportAnswer> ControllerLink::report(const channel::Report& m) {
    return channel::parse_report_answer(TRY(message("/agent/v1/report", channel::render(m))));
}

}  // namespace slipway::agent
