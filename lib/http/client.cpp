// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/http/client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "lib/http/errors.hpp"
#include "lib/http/tls.hpp"

namespace slipway::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using TlsStream = asio::ssl::stream<beast::tcp_stream>;
using Parser = bhttp::response_parser<bhttp::string_body>;

constexpr std::size_t kPiece = 256 << 10;  // body bytes per write, each with the whole silence timeout
constexpr std::uint32_t kMaxHead = 64 << 10;

struct Url {
    bool tls = false;
    std::string host, port;
    std::string authority;  // for the Host field
};

Result<Url> parse_url(const std::string& text) {
    Url url;
    std::string_view rest = text;
    if (rest.starts_with("https://")) url.tls = true;
    else if (!rest.starts_with("http://")) return make_error(errors::kUrl, "'{}' is not an http or https URL", text);
    rest.remove_prefix(url.tls ? 8 : 7);
    rest = rest.substr(0, rest.find_first_of("/?#"));
    url.authority = rest;
    url.port = url.tls ? "443" : "80";
    auto colon = rest.rfind(':');
    if (rest.starts_with('[')) {
        auto end = rest.find(']');
        if (end == std::string_view::npos) return make_error(errors::kUrl, "'{}' has a '[' without ']'", text);
        url.host = rest.substr(1, end - 1);
        colon = end + 1 < rest.size() && rest[end + 1] == ':' ? end + 1 : std::string_view::npos;
    } else {
        url.host = rest.substr(0, colon);
    }
    if (colon != std::string_view::npos) {
        url.port = rest.substr(colon + 1);
        auto number = parse_u64(url.port);
        if (!number || *number == 0 || *number > 65535) return make_error(errors::kUrl, "'{}' has no valid port", text);
    }
    if (url.host.empty() || url.host.find_first_of("@ \r\n\t") != std::string::npos)
        return make_error(errors::kUrl, "'{}' names no host", text);
    return url;
}

bool is_clean(std::string_view text, unsigned char lowest) {
    return std::none_of(text.begin(), text.end(), [&](unsigned char c) { return c < lowest || c == 0x7f; });
}

Result<std::string> head_of(const ClientRequest& request, const Url& url) {
    if (!is_clean(request.method, '!') || !request.path.starts_with('/') || !is_clean(request.path, '!'))
        return make_error(errors::kUrl, "'{} {}' cannot be sent as a request", printable(request.method),
                          printable(request.path));
    auto head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Slipway\r\n", request.method, request.path,
                            url.authority);
    for (const auto& [name, value] : request.headers.all()) {
        if (!is_clean(name, '!') || !is_clean(value, ' '))
            return make_error(errors::kUrl, "the field '{}' cannot be sent", printable(name));
        head += fmt::format("{}: {}\r\n", name, value);
    }
    if (!request.content_type.empty()) head += fmt::format("Content-Type: {}\r\n", request.content_type);
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
        head += fmt::format("Content-Length: {}\r\n", request.body.size());
    return head + "\r\n";
}

bool is_http_error(const error_code& error) {
    return error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
}

Error failure(const char* what, const error_code& error) {
    if (error == beast::error::timeout) return make_error(errors::kTimeout, "{}: no byte came in time", what);
    if (error == bhttp::error::body_limit)
        return make_error(errors::kProtocol, "{}: the answer is larger than expected", what);
    if (error.category() == asio::error::get_ssl_category())
        return make_error(errors::kTls, "{}: {}", what, error.message());
    if (is_http_error(error) && error != bhttp::error::end_of_stream && error != bhttp::error::partial_message)
        return make_error(errors::kProtocol, "{}: {}", what, error.message());
    return make_error(errors::kUnreachable, "{}: {}", what, error.message());
}

}  // namespace

struct Client::Impl {
    ClientOptions options;
    Url url;
    TlsContext context;
    asio::io_context io;
    std::unique_ptr<beast::tcp_stream> plain;  // one of the two while connected
    std::unique_ptr<TlsStream> encrypted;
    beast::flat_buffer buffer{kMaxHead + 65536};

    bool connected() const { return plain || encrypted; }
    beast::tcp_stream& lowest() { return plain ? *plain : encrypted->next_layer(); }

    void close() {
        plain.reset();
        encrypted.reset();
        buffer.clear();
        io.restart();
        io.run();  // what was cancelled
    }

    // Starts one operation and runs it to its end.
    template <typename Start>
    error_code complete(std::chrono::seconds timeout, Start start) {
        error_code result;
        lowest().expires_after(timeout);
        start([&result](const error_code& error, auto&&...) { result = error; });
        io.restart();
        io.run();
        return result;
    }

    template <typename Operation>
    error_code transfer(std::chrono::seconds timeout, Operation operation) {
        return complete(timeout, [&](auto done) {
            if (plain) operation(*plain, done);
            else operation(*encrypted, done);
        });
    }

    Result<std::vector<tcp::endpoint>> resolve() {
        error_code error;
        auto address = asio::ip::make_address(url.host, error);
        if (!error) return std::vector{tcp::endpoint(address, static_cast<std::uint16_t>(*parse_u64(url.port)))};
        tcp::resolver resolver(io);
        std::vector<tcp::endpoint> endpoints;
        for (const auto& entry : resolver.resolve(url.host, url.port, error)) endpoints.push_back(entry.endpoint());
        if (error) return make_error(errors::kUnreachable, "the name '{}': {}", url.host, error.message());
        return endpoints;
    }

    Status connect() {
        auto endpoints = TRY(resolve());
        plain = std::make_unique<beast::tcp_stream>(io);
        if (auto error = complete(options.connect_timeout, [&](auto done) { plain->async_connect(endpoints, done); })) {
            close();
            return make_error(errors::kUnreachable, "{}: {}", url.authority, error.message());
        }
        error_code ignored;
        plain->socket().set_option(tcp::no_delay(true), ignored);
        if (!url.tls) return {};
        encrypted = std::make_unique<TlsStream>(std::move(*plain), *context);
        plain.reset();
        auto status = handshake();
        if (!status.ok()) close();
        return status;
    }

    Status handshake() {
        TRY(expect_server_name(encrypted->native_handle(), options.server_name));
        auto error = complete(options.connect_timeout,
                              [&](auto done) { encrypted->async_handshake(asio::ssl::stream_base::client, done); });
        if (!error) return {};
        if (error.category() != asio::error::get_ssl_category()) return failure("TLS handshake", error);
        return make_error(errors::kTls, "{}: {}", url.authority, handshake_failure(encrypted->native_handle(), error));
    }

    error_code write(const std::string& head, const std::string& body) {
        std::string first = head + body.substr(0, kPiece);
        auto put = [this](const char* data, std::size_t size) {
            return transfer(options.silence_timeout, [&](auto& stream, auto done) {
                asio::async_write(stream, asio::buffer(data, size), done);
            });
        };
        auto error = put(first.data(), first.size());
        for (std::size_t at = kPiece; !error && at < body.size(); at += kPiece)
            error = put(body.data() + at, std::min(kPiece, body.size() - at));
        return error;
    }

    error_code read(Parser& parser, std::chrono::seconds timeout) {
        parser.eager(true);
        while (!parser.is_done()) {
            auto error = transfer(
                timeout, [&](auto& stream, auto done) { bhttp::async_read_some(stream, buffer, parser, done); });
            if (error) return error;
        }
        return {};
    }

    // One request on the open connection; stale is set when the connection had ended before the answer began.
    Result<ClientResponse> exchange(const std::string& head, const ClientRequest& request, bool& stale) {
        Parser parser;
        parser.header_limit(kMaxHead);
        parser.body_limit(request.max_answer);
        if (request.method == "HEAD") parser.skip(true);
        auto unsent = write(head, request.body);
        // A server may answer and close before it took the whole request; its answer, or its TLS alert, says more.
        auto error = unsent == beast::error::timeout
                         ? unsent
                         : read(parser, unsent ? std::chrono::seconds(2) : options.silence_timeout);
        if (error) {
            bool told = error.category() == asio::error::get_ssl_category() || error == bhttp::error::body_limit;
            stale = !parser.got_some() && !told && error != beast::error::timeout;
            return failure("the call", unsent && !told ? unsent : error);
        }
        ClientResponse response;
        auto& message = parser.get();
        response.status = message.result_int();
        for (const auto& field : message)
            response.headers.set(std::string(field.name_string()), std::string(field.value()));
        response.body = std::move(message.body());
        if (unsent || !message.keep_alive()) close();
        return response;
    }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::create(ClientOptions options) {
    auto impl = std::make_unique<Impl>();
    impl->url = TRY(parse_url(options.url));
    if (impl->url.tls) impl->context = TRY(make_client_context(options.ca_pem, options.identity));
    impl->options = std::move(options);
    return Client(std::move(impl));
}

Result<ClientResponse> Client::send(const ClientRequest& request) {
    auto head = TRY(head_of(request, impl_->url));
    for (;;) {
        bool kept = impl_->connected(), stale = false;
        if (!kept) TRY(impl_->connect());
        auto response = impl_->exchange(head, request, stale);
        if (response.ok()) return response;
        impl_->close();
        if (!kept || !stale)
            return std::move(response).with(fmt::format("{} {}", request.method, impl_->url.authority + request.path));
    }
}

}  // namespace slipway::http
