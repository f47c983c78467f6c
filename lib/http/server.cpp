// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/http/server.hpp"

#include <atomic>
#include <ctime>
#include <map>
#include <mutex>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "lib/base/log.hpp"
#include "lib/http/errors.hpp"
#include "lib/http/tls.hpp"

namespace slipway::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = bhttp::request_parser<bhttp::string_body>;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = 256 << 10;     // a file's bytes per read and write
constexpr std::uint32_t kMaxHead = 16 << 10;  // request line and fields
constexpr std::ptrdiff_t kMaxFields = 100;
constexpr std::chrono::seconds kFarewell{2};  // for the other side to take our last words
constexpr std::uint64_t kMaxDrained = 16u << 20;
constexpr std::chrono::milliseconds kTalePause{500};  // between words on how far a file is

// One listener's unchanging part, shared with its connections.
struct Site {
    ListenerOptions options;
    std::shared_ptr<const Router> router;
    TlsContext tls;
    std::atomic<std::size_t> connections{0};
    struct Caller {
        std::size_t connections = 0;
        bool told = false;  // in the log, of having too many
    };
    std::map<std::string, Caller> callers;  // by address; guarded by the server's mutex
};

// Where a Responder leaves its answer. Owns nothing of the connection: once the connection took the answer or ended,
// wake is empty and a late send() is dropped, also after the server is gone.
struct Slot {
    std::mutex mutex;
    std::function<void()> wake;
    std::optional<Response> response;

    std::optional<Response> close() {
        std::lock_guard lock(mutex);
        wake = nullptr;
        return std::move(response);
    }
};

// Closes the slot however its coroutine is left.
struct SlotOwner {
    std::shared_ptr<Slot> slot = std::make_shared<Slot>();
    ~SlotOwner() { slot->close(); }
};

class Session : public std::enable_shared_from_this<Session> {
public:
    virtual ~Session() = default;
    virtual asio::awaitable<void> run() = 0;
    virtual void abort() = 0;  // on its strand
    virtual asio::any_io_executor executor() = 0;
};

bool is_http_error(const error_code& error) {
    return error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
}

std::string date_now() {
    auto now = std::time(nullptr);
    std::tm tm{};
    gmtime_r(&now, &tm);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm)};
}

bool is_field_text(const std::string& text) {
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' && c != '\t'; });
}

// What of a response goes over the wire, decided before anything is sent.
struct Outgoing {
    std::string head;       // status line and fields, and the body when it is small
    std::string_view text;  // a large body
    std::shared_ptr<UniqueFd> file;
    std::uint64_t offset = 0, length = 0;  // of text or file
    std::uint64_t file_size = 0;
};

// Applies the request's range to a file (RFC 9110 §14.2: GET only, and not under If-Range, for which we have no
// validator).
void select_part(Response& response, const Request& request, Outgoing& out) {
    auto size = response.file->size;
    out.length = size;
    response.headers.set("Accept-Ranges", "bytes");
    if (request.method != "GET" || response.status != 200 || !request.headers.get("If-Range").empty()) return;
    ByteRange range;
    switch (parse_range(request.headers.get("Range"), size, range)) {
        case RangeKind::Whole: return;
        case RangeKind::Part:
            response.status = 206;
            response.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", range.first, range.last, size));
            out.offset = range.first;
            out.length = range.last - range.first + 1;
            return;
        case RangeKind::Unsatisfiable:
            response.status = 416;
            response.headers.set("Content-Range", fmt::format("bytes */{}", size));
            out.length = 0;
    }
}

Outgoing prepare(Response& response, const Request& request, bool keep, bool old_version) {
    Outgoing out;
    if (response.file) select_part(response, request, out);
    else out.length = response.body.size();
    auto status = static_cast<bhttp::status>(response.status);
    auto reason = bhttp::obsolete_reason(status);
    out.head = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nServer: Slipway\r\n", response.status,
                           std::string_view(reason.data(), reason.size()), date_now());
    for (const auto& [name, value] : response.headers.all())
        if (is_field_text(name) && is_field_text(value)) out.head += fmt::format("{}: {}\r\n", name, value);
    bool bodiless = response.status == 204 || response.status == 304;
    if (!bodiless) out.head += fmt::format("Content-Length: {}\r\n", out.length);
    if (!keep) out.head += "Connection: close\r\n";
    if (keep && old_version) out.head += "Connection: keep-alive\r\n";
    out.head += "\r\n";
    if (bodiless || request.method == "HEAD") out.length = 0;
    if (response.file) {
        out.file = response.file->fd;
        out.file_size = response.file->size;
    } else if (out.length <= kPiece) {
        out.head.append(response.body, 0, out.length);
        out.length = 0;
    } else {
        out.text = response.body;
    }
    return out;
}

template <typename Stream>
class Connection final : public Session {
    static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

public:
    template <typename... Args>
    Connection(std::shared_ptr<Site> site, std::string peer, Args&&... stream)
        : site_(std::move(site)),
          peer_(std::move(peer)),
          stream_(std::forward<Args>(stream)...),
          timer_(stream_.get_executor()) {}

    asio::any_io_executor executor() override { return stream_.get_executor(); }

    void abort() override {
        aborted_ = true;
        timer_.cancel();
        lowest().close();
    }

    asio::awaitable<void> run() override {
        bool open = true;
        if constexpr (kTls) open = co_await handshake();
        beast::flat_buffer buffer(kMaxHead + 65536);
        while (open && !aborted_) open = co_await serve_one(buffer);
        if (!aborted_) co_await close();
    }

private:
    beast::tcp_stream& lowest() {
        if constexpr (kTls) return stream_.next_layer();
        else return stream_;
    }

    void arm() { lowest().expires_after(site_->options.idle_timeout); }

    asio::awaitable<bool> handshake() {
        arm();
        auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwait);
        if (error) {
            auto why = handshake_failure(stream_.native_handle(), error);
            log::debug("http", "{}: TLS handshake: {}", peer_, why);
            if (site_->options.on_handshake_failure) site_->options.on_handshake_failure(peer_, why);
            drain_ = true;  // so that our alert is not overtaken by a reset
            co_return false;
        }
        peer_name_ = verified_peer_name(stream_.native_handle());
        encrypted_ = true;
        co_return true;
    }

    // One request and its answer; false when the connection is to end.
    asio::awaitable<bool> serve_one(beast::flat_buffer& buffer) {
        Parser parser;
        parser.header_limit(kMaxHead);
        parser.body_limit(boost::none);
        arm();
        auto [error, bytes] = co_await bhttp::async_read_header(stream_, buffer, parser, kAwait);
        Request request;
        if (error) {
            if (!is_http_error(error) || error == bhttp::error::end_of_stream || error == bhttp::error::partial_message)
                co_return false;
            unsigned status = error == bhttp::error::header_limit ? 431 : 400;
            co_return co_await refuse(request, Response::text(status, "bad request\n"));
        }
        const Router::Route* route = nullptr;
        if (auto refusal = look_at_head(parser, request, route))
            co_return co_await refuse(request, std::move(*refusal), &parser);
        auto wrong = co_await read_body(buffer, parser, route->options.max_body);
        if (aborted_ || (wrong && wrong->status == 0)) co_return false;
        if (wrong) co_return co_await refuse(request, std::move(*wrong));

        Request seen = request;  // for on_request, without the body
        request.body = std::move(parser.get().body());
        auto response = co_await answer(std::move(request), *route);
        if (!response) co_return false;
        co_return co_await write(std::move(*response), seen, parser.get().keep_alive(), parser.get().version() < 11);
    }

    // Fills the request from its head; a Response refuses it.
    std::optional<Response> look_at_head(Parser& parser, Request& request, const Router::Route*& route) {
        const auto& head = parser.get();
        request.method = std::string(head.method_string());
        request.peer_address = peer_;
        request.peer_name = peer_name_;
        auto target = head.target();
        if (std::distance(head.begin(), head.end()) > kMaxFields) return Response::text(431, "too many fields\n");
        if (!parse_target({target.data(), target.size()}, request)) return Response::text(400, "bad target\n");
        for (const auto& field : head)
            request.headers.set(std::string(field.name_string()), std::string(field.value()));
        bool wrong_method = false;
        route = site_->router->match(request, wrong_method);
        if (!route)
            return wrong_method ? Response::text(405, "method not allowed\n") : Response::text(404, "not found\n");
        if (auto refusal = site_->router->check(request, *route)) return refusal;
        auto length = parser.content_length();
        if (length && *length > route->options.max_body) return Response::text(413, "the body is too large\n");
        return std::nullopt;
    }

    // Nothing when the body is whole; otherwise the refusal, of status 0 when there is nobody to tell.
    asio::awaitable<std::optional<Response>> read_body(beast::flat_buffer& buffer, Parser& parser,
                                                       std::uint64_t limit) {
        std::optional<Response> refusal;
        if (!parser.is_done() && iequals(std::string_view(parser.get()[bhttp::field::expect]), "100-continue")) {
            static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
            auto [error, n] = co_await asio::async_write(stream_, asio::buffer(kContinue), kAwait);
            if (error) co_return Response::empty(0);
        }
        parser.body_limit(limit);
        parser.eager(true);
        while (!parser.is_done()) {
            arm();
            auto [error, n] = co_await bhttp::async_read_some(stream_, buffer, parser, kAwait);
            if (!error) continue;
            if (error == bhttp::error::body_limit) co_return Response::text(413, "the body is too large\n");
            if (is_http_error(error) && error != bhttp::error::partial_message)
                co_return Response::text(400, "bad body\n");
            co_return Response::empty(0);
        }
        co_return refusal;
    }

    // Runs the handler and waits for its answer; nothing when the server stops first.
    asio::awaitable<std::optional<Response>> answer(Request request, const Router::Route& route) {
        SlotOwner owner;
        auto slot = owner.slot;
        slot->wake = [self = shared_from_this(), this] { asio::post(executor(), [self, this] { timer_.cancel(); }); };
        {
            Responder responder([slot](Response response) {
                std::lock_guard lock(slot->mutex);
                if (!slot->wake) return;
                slot->response = std::move(response);
                slot->wake();
            });
            route.handler(std::move(request), std::move(responder));
        }
        auto answered = [&] {
            std::lock_guard lock(slot->mutex);
            return slot->response.has_value();
        };
        // A wake-up may be left over from the request before.
        while (!aborted_ && !answered()) {
            timer_.expires_at(asio::steady_timer::time_point::max());
            co_await timer_.async_wait(kAwait);
        }
        if (aborted_) co_return std::nullopt;
        co_return slot->close();
    }

    // Answers a request whose handler is not called. The connection is kept only when no body is left unread.
    asio::awaitable<bool> refuse(const Request& request, Response response, Parser* parser = nullptr) {
        bool keep = parser && parser->is_done() && parser->get().keep_alive();
        drain_ = !keep;
        co_return co_await write(std::move(response), request, keep, parser && parser->get().version() < 11);
    }

    asio::awaitable<bool> write(Response response, const Request& request, bool keep, bool old_version) {
        auto out = prepare(response, request, keep, old_version);
        arm();
        auto [error, n] = co_await asio::async_write(stream_, asio::buffer(out.head), kAwait);
        bool sent = !error && co_await write_long(out, request);
        if (site_->options.on_request) site_->options.on_request(request, response.status);
        co_return sent&& keep;
    }

    // Tells on_file how far a file is.
    class FileTale {
    public:
        FileTale(const ListenerOptions& options, const Request& request, const Outgoing& out, std::uint64_t size)
            : tell_(out.file && out.length > 0 ? options.on_file : nullptr), request_(request) {
            tale_.position = out.offset;
            tale_.size = size;
            say(FileSending::Phase::Begun);
        }
        ~FileTale() { say(done_ ? FileSending::Phase::Sent : FileSending::Phase::Broken); }
        FileTale(const FileTale&) = delete;
        FileTale& operator=(const FileTale&) = delete;

        void moved(std::uint64_t by) {
            tale_.position += by;
            if (tell_ && std::chrono::steady_clock::now() - told_ >= kTalePause) say(FileSending::Phase::Moving);
        }
        void done() { done_ = true; }

    private:
        void say(FileSending::Phase phase) {
            if (!tell_) return;
            told_ = std::chrono::steady_clock::now();
            tale_.phase = phase;
            tale_.took = std::chrono::duration_cast<std::chrono::milliseconds>(told_ - begun_);
            tell_(request_, tale_);
        }
        std::function<void(const Request&, const FileSending&)> tell_;
        const Request& request_;
        FileSending tale_;
        std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now(), told_ = begun_;
        bool done_ = false;
    };

    asio::awaitable<bool> write_long(const Outgoing& out, const Request& request) {
        FileTale tale(site_->options, request, out, out.file_size);
        Bytes piece(out.file && out.length > 0 ? std::min<std::uint64_t>(kPiece, out.length) : 0);
        for (std::uint64_t done = 0; done < out.length && !aborted_;) {
            auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, out.length - done));
            asio::const_buffer bytes(out.text.data() + done, out.file ? 0 : want);
            if (out.file) {
                auto got = pread_full(out.file->get(), std::span(piece).first(want), out.offset + done);
                if (!got || *got != want) {  // the length is promised already: only the connection's end can tell
                    log::warning("http", "a file became shorter while it was sent to {}", peer_);
                    co_return false;
                }
                bytes = asio::const_buffer(piece.data(), want);
            }
            arm();
            auto [error, n] = co_await asio::async_write(stream_, bytes, kAwait);
            if (error) co_return false;
            done += want;
            tale.moved(want);
        }
        if (!aborted_) tale.done();
        co_return !aborted_;
    }

    asio::awaitable<void> close() {
        if constexpr (kTls) {
            if (encrypted_) {
                lowest().expires_after(kFarewell);
                co_await stream_.async_shutdown(kAwait);
            }
        }
        error_code ignored;
        lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
        // Closing with bytes unread would reset the connection, and the other side might lose our answer.
        if (drain_) {
            std::array<char, 16384> sink;
            lowest().expires_after(kFarewell);
            for (std::uint64_t drained = 0; drained < kMaxDrained && !aborted_;) {
                auto [error, n] = co_await lowest().async_read_some(asio::buffer(sink), kAwait);
                if (error) break;
                drained += n;
            }
        }
        lowest().close();
    }

    std::shared_ptr<Site> site_;
    std::string peer_, peer_name_;
    Stream stream_;
    asio::steady_timer timer_;  // never expires; cancelled when an answer is there
    bool aborted_ = false, drain_ = false, encrypted_ = false;
};

using Plain = Connection<beast::tcp_stream>;
using Encrypted = Connection<asio::ssl::stream<beast::tcp_stream>>;

struct Listener {
    explicit Listener(const asio::any_io_executor& executor) : acceptor(executor), pause(executor) {}
    std::shared_ptr<Site> site;
    tcp::acceptor acceptor;
    asio::steady_timer pause;
};

}  // namespace

struct Server::Impl {
    asio::io_context io;
    asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
    std::vector<std::thread> threads;
    std::mutex mutex;  // guards the rest
    bool stopping = false;
    std::vector<std::shared_ptr<Listener>> listeners, held;
    std::map<Session*, std::shared_ptr<Session>> sessions;

    explicit Impl(unsigned count) : io(static_cast<int>(count)) {
        for (unsigned i = 0; i < count; ++i) threads.emplace_back([this] { io.run(); });
    }

    bool is_stopping() {
        std::lock_guard lock(mutex);
        return stopping;
    }

    void start(const std::shared_ptr<Site>& site, tcp::socket socket) {
        error_code error;
        auto remote = socket.remote_endpoint(error);
        if (error || site->connections >= site->options.max_connections) return;
        socket.set_option(tcp::no_delay(true), error);
        auto name = remote.address().to_string(), peer = name;
        std::shared_ptr<Session> session;
        if (site->tls)
            session =
                std::make_shared<Encrypted>(site, std::move(peer), beast::tcp_stream(std::move(socket)), *site->tls);
        else session = std::make_shared<Plain>(site, std::move(peer), std::move(socket));
        std::lock_guard lock(mutex);
        if (stopping || !count(*site, name)) return;
        sessions[session.get()] = session;
        ++site->connections;
        auto over = [this, site, session, name](const std::exception_ptr& failure) {
            if (failure) report(failure);
            --site->connections;
            std::lock_guard lock(mutex);
            if (auto found = site->callers.find(name); --found->second.connections == 0) site->callers.erase(found);
            sessions.erase(session.get());
        };
        asio::co_spawn(session->executor(), session->run(), std::move(over));
    }

    // One more of that address; false: it has too many.
    static bool count(Site& site, const std::string& address) {
        auto& caller = site.callers[address];
        if (caller.connections < site.options.max_connections_of_one) return ++caller.connections, true;
        if (!std::exchange(caller.told, true))
            log::warning("http", "{} has {} connections and gets no more", address, caller.connections);
        return false;
    }

    static void report(const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& e) {
            log::error("http", "a connection was given up: {}", e.what());
        }
    }

    void serve(const std::shared_ptr<Listener>& listener) {
        asio::co_spawn(listener->acceptor.get_executor(), accept(listener),
                       [listener](const std::exception_ptr& failure) {
                           if (failure) report(failure);
                       });
    }

    asio::awaitable<void> accept(std::shared_ptr<Listener> listener) {
        while (!is_stopping()) {
            auto [error, socket] =
                co_await listener->acceptor.async_accept(asio::any_io_executor(asio::make_strand(io)), kAwait);
            if (!error) {
                start(listener->site, std::move(socket));
            } else if (listener->acceptor.is_open()) {  // out of descriptors or memory: others may end
                log::warning("http", "accepting a connection: {}", error.message());
                listener->pause.expires_after(std::chrono::milliseconds(100));
                co_await listener->pause.async_wait(kAwait);
            } else {
                break;
            }
        }
    }
};

Server::Server(unsigned threads) : impl_(std::make_unique<Impl>(std::max(1u, threads))) {}
Server::~Server() { stop(); }

Result<std::uint16_t> Server::listen(ListenerOptions options, std::shared_ptr<const Router> router) {
    error_code error;
    auto address = asio::ip::make_address(options.address, error);
    if (error) return make_error(errors::kListen, "'{}' is not an address", options.address);
    auto listener = std::make_shared<Listener>(asio::any_io_executor(asio::make_strand(impl_->io)));
    auto site = listener->site = std::make_shared<Site>();
    if (options.tls) site->tls = TRY(make_server_context(*options.tls));
    site->options = std::move(options);
    site->router = std::move(router);
    auto& acceptor = listener->acceptor;
    tcp::endpoint endpoint(address, site->options.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    auto local = error ? tcp::endpoint() : acceptor.local_endpoint(error);
    if (error)
        return make_error(errors::kListen, "{} port {}: {}", site->options.address, site->options.port,
                          error.message());

    std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return make_error(errors::kListen, "the server is stopped");
    impl_->listeners.push_back(listener);
    if (site->options.held) impl_->held.push_back(listener);
    else impl_->serve(listener);
    return local.port();
}

void Server::release() {
    std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return;
    for (const auto& listener : impl_->held) impl_->serve(listener);
    impl_->held.clear();
}

// Everything is told to end and the threads run dry, so that each coroutine leaves by its own way out.
void Server::stop() {
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        for (const auto& listener : impl_->listeners)
            asio::post(listener->acceptor.get_executor(), [listener] {
                error_code ignored;
                listener->acceptor.close(ignored);
                listener->pause.cancel();
            });
        impl_->listeners.clear();
        impl_->held.clear();
        for (const auto& [key, session] : impl_->sessions)
            asio::post(session->executor(), [session = session] { session->abort(); });
    }
    impl_->work.reset();
    for (auto& thread : impl_->threads)
        if (thread.joinable()) thread.join();
}

}  // namespace slipway::http
