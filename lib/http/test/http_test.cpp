// SPDX-License-Identifier: GPL-3.0-or-later
// Server and client against each other, and against bytes of our own, on loopback.
#include <future>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/net.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/http/client.hpp"
#include "lib/http/errors.hpp"
#include "lib/http/server.hpp"

using namespace slipway;
using namespace slipway::http;
using namespace std::chrono_literals;

namespace {

Identity make_leaf(const Identity& ca, const std::string& name) {
    auto request = make_signing_request("ignored").value();
    return {sign_request(ca, request.request_pem, name, 24h).value(), request.key_pem};
}

// Everything a test may want of a server; each starts its own.
struct Fixture {
    std::shared_ptr<Router> router = std::make_shared<Router>();
    std::unique_ptr<Server> server = std::make_unique<Server>(2);
    std::promise<Responder> parked;  // by /poll
    std::uint16_t port = 0;

    Fixture() {
        router->add("GET", "/hello", [](Request r, Responder out) {
            out.send(Response::text(200, "hello " + r.peer_name + " " + r.peer_address + " " + r.query_value("q")));
        });
        router->add(
            "POST", "/echo/{name}",
            [](Request r, Responder out) { out.send(Response::text(200, r.parameter("name") + ":" + r.body)); },
            Router::Options{2u << 20});
        router->add("GET", "/poll", [this](Request, Responder out) { parked.set_value(out); });
        router->add("GET", "/dropped", [](Request, Responder) {});
    }

    void serve(std::optional<TlsOptions> tls = {}, std::chrono::seconds idle = 10s) {
        ListenerOptions options;
        options.address = "127.0.0.1";
        options.tls = std::move(tls);
        options.idle_timeout = idle;
        port = server->listen(options, router).value();
    }

    std::string url(const char* scheme = "http") const { return fmt::format("{}://127.0.0.1:{}", scheme, port); }
    Client client() const { return Client::create({.url = url()}).value(); }
};

ClientRequest get(std::string path) { return {.path = std::move(path)}; }

// A client that is none: sends these bytes and reads to the end (or until the timeout).
std::string talk(std::uint16_t port, std::string_view bytes) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "refused";
    (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[4096];
    for (pollfd p{fd.get(), POLLIN, 0}; ::poll(&p, 1, 8000) == 1;) {
        auto n = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (n <= 0) return answer;
        answer.append(buffer, static_cast<std::size_t>(n));
    }
    return answer + "[open]";
}

}  // namespace

TEST(Http, plain_request_with_query_parameter_and_body) {
    Fixture f;
    f.serve();
    auto client = f.client();
    EXPECT_EQ(client.send(get("/hello?q=a%20b")).value().body, "hello  127.0.0.1 a b");
    auto echo = client.send({.method = "POST", .path = "/echo/x%2Fy", .body = std::string(1500000, 'z')});
    EXPECT_EQ(echo.value().status, 404u);  // a decoded slash is a slash
    echo = client.send({.method = "POST", .path = "/echo/xy", .body = std::string(1500000, 'z')});
    EXPECT_EQ(echo.value().body, "xy:" + std::string(1500000, 'z'));
    EXPECT_EQ(client.send(get("/echo/x")).value().status, 405u);
    EXPECT_EQ(client.send(get("/dropped")).value().status, 500u);
}

TEST(Http, connection_is_kept_and_reopened_when_the_server_closed_it) {
    Fixture f;
    f.serve({}, 1s);
    auto client = f.client();
    EXPECT_EQ(client.send(get("/hello")).value().status, 200u);
    std::this_thread::sleep_for(1500ms);  // the server's idle timeout
    EXPECT_EQ(client.send(get("/hello")).value().status, 200u);
    auto two = talk(
        f.port, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_NE(two.find("200 OK"), two.rfind("200 OK"));
}

TEST(Http, hostile_bytes_are_answered_or_ended_and_harm_nobody) {
    Fixture f;
    f.serve({}, 1s);
    EXPECT_TRUE(talk(f.port, "\x16\x03\x01 garbage\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk(f.port, "GET /%00 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk(f.port, "GET /%zz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk(f.port, "GET http://elsewhere/ HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk(f.port, "GET / HTTP/1.1\r\nX: " + std::string(40000, 'x')).starts_with("HTTP/1.1 431"));
    std::string many = "GET /hello HTTP/1.1\r\n";
    for (int i = 0; i < 200; ++i) many += fmt::format("X{}: y\r\n", i);
    EXPECT_TRUE(talk(f.port, many + "\r\n").starts_with("HTTP/1.1 431"));
    EXPECT_EQ(talk(f.port, "GET /hel"), "");  // then silence
    EXPECT_EQ(talk(f.port, "POST /echo/a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"), "");
    EXPECT_TRUE(
        talk(f.port, "POST /echo/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_EQ(f.client().send(get("/hello")).value().status, 200u);
}

TEST(Http, too_large_a_body_is_refused_unread) {
    Fixture f;
    f.serve();
    EXPECT_TRUE(talk(f.port, "POST /echo/a HTTP/1.1\r\nContent-Length: 2097153\r\n\r\n").starts_with("HTTP/1.1 413"));
    std::string chunk = "100000\r\n" + std::string(0x100000, 'x') + "\r\n";
    auto chunked = talk(
        f.port, "POST /echo/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk + chunk + "0\r\n\r\n");
    EXPECT_TRUE(chunked.starts_with("HTTP/1.1 413")) << chunked.substr(0, 100);
    // Although the client is still sending it gets the answer.
    auto answer = f.client().send({.method = "POST", .path = "/echo/a", .body = std::string(8u << 20, 'x')});
    EXPECT_EQ(answer.value().status, 413u);
}

TEST(Http, expect_100_continue_is_honoured) {
    Fixture f;
    f.serve({}, 1s);
    auto answer = talk(f.port, "POST /echo/a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(answer, "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(Http, ranges_of_a_file) {
    auto dir = TempDir::create("http").value();
    std::string content;
    for (int i = 0; i < 200000; ++i) content += fmt::format("{:06}", i);
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes(content)).ok());
    auto fd = std::make_shared<UniqueFd>(open_fd(dir / "f", O_RDONLY).value());
    Fixture f;
    f.router->add("GET", "/file", [&](Request, Responder out) {
        Response r;
        r.file = FileBody{fd, content.size()};
        out.send(std::move(r));
    });
    f.serve();
    auto client = f.client();
    auto with_range = [&](const char* range, const char* method = "GET") {
        auto r = get("/file");
        r.method = method;
        if (*range) r.headers.set("Range", range);
        return client.send(r).value();
    };
    EXPECT_EQ(with_range("").body, content);
    auto part = with_range("bytes=300000-899999");
    EXPECT_EQ(part.status, 206u);
    EXPECT_EQ(part.headers.get("content-range"), "bytes 300000-899999/1200000");
    EXPECT_EQ(part.body, content.substr(300000, 600000));
    EXPECT_EQ(with_range("bytes=-6").body, "199999");
    EXPECT_EQ(with_range("bytes=1200000-").status, 416u);
    auto head = with_range("", "HEAD");
    EXPECT_EQ(head.status, 200u);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.headers.get("Content-Length"), "1200000");
    EXPECT_EQ(head.headers.get("Accept-Ranges"), "bytes");
    EXPECT_EQ(with_range("").status, 200u);  // the kept connection is still in step

    ASSERT_EQ(::ftruncate(open_fd(dir / "f", O_RDWR).value().get(), 1000), 0);
    EXPECT_FALSE(client.send(get("/file")).ok());  // promised bytes that are gone
}

TEST(Http, long_poll_is_answered_later_from_another_thread) {
    Fixture f;
    f.serve();
    auto answer = std::async(std::launch::async, [&] { return f.client().send(get("/poll")); });
    auto responder = f.parked.get_future().get();
    EXPECT_EQ(f.client().send(get("/hello")).value().status, 200u);  // no thread is held
    responder.send(Response::text(200, "news"));
    responder.send(Response::text(200, "too late"));
    EXPECT_EQ(answer.get().value().body, "news");
}

TEST(Http, stop_with_a_pending_poll_and_a_responder_that_outlives_the_server) {
    Fixture f;
    f.serve();
    auto answer = std::async(std::launch::async, [&] { return f.client().send(get("/poll")); });
    auto responder = f.parked.get_future().get();
    f.server->stop();
    EXPECT_TRUE(answer.get().error().is(errors::kUnreachable));
    f.server.reset();
    responder.send(Response::text(200, "nobody listens"));
    EXPECT_TRUE(f.client().send(get("/hello")).error().is(errors::kUnreachable));
}

TEST(Http, stop_while_answers_race_with_it) {
    for (int round = 0; round < 20; ++round) {
        Fixture f;
        std::mutex mutex;
        std::vector<Responder> waiting;
        std::atomic<int> arrived{0};
        f.router->add("GET", "/wait", [&](Request, Responder out) {
            std::lock_guard lock(mutex);
            waiting.push_back(std::move(out));
            ++arrived;
            arrived.notify_all();
        });
        f.serve();
        std::vector<std::future<bool>> calls;
        for (int i = 0; i < 4; ++i)
            calls.push_back(std::async(std::launch::async, [&] { return f.client().send(get("/wait")).ok(); }));
        for (int n = 0; (n = arrived) < 4;) arrived.wait(n);
        std::thread answers([&] {
            for (auto& r : waiting) r.send(Response::text(200, "x"));
        });
        f.server->stop();
        answers.join();
        for (auto& c : calls) c.get();
    }
}

TEST(Http, silence_ends_the_call) {
    Fixture f;
    f.serve();
    auto client = Client::create({.url = f.url(), .silence_timeout = 1s}).value();
    EXPECT_TRUE(client.send(get("/poll")).error().is(errors::kTimeout));
    EXPECT_EQ(client.send(get("/hello")).value().status, 200u);
}

TEST(Http, an_answer_larger_than_asked_for_is_an_error) {
    Fixture f;
    f.router->add("GET", "/large",
                  [](Request, Responder out) { out.send(Response::text(200, std::string(3u << 20, 'x'))); });
    f.serve();
    auto client = f.client();
    EXPECT_EQ(client.send(get("/large")).value().body.size(), 3u << 20);
    auto request = get("/large");
    request.max_answer = 1u << 20;
    EXPECT_TRUE(client.send(request).error().is(errors::kProtocol));
}

TEST(Http, a_held_listener_takes_connections_and_answers_once_it_is_released) {
    Fixture f;
    f.port = f.server->listen({.address = "127.0.0.1", .held = true}, f.router).value();
    auto answer = std::async(std::launch::async, [&] { return talk(f.port, "GET /hello HTTP/1.0\r\n\r\n"); });
    EXPECT_EQ(answer.wait_for(100ms), std::future_status::timeout);
    f.server->release();
    EXPECT_NE(answer.get().find("200 OK"), std::string::npos);
}

TEST(Http, connections_over_the_limit_are_closed) {
    Fixture f;
    ListenerOptions options;
    options.address = "127.0.0.1";
    options.max_connections = 1;
    f.port = f.server->listen(options, f.router).value();
    auto first = f.client();
    EXPECT_EQ(first.send(get("/hello")).value().status, 200u);
    EXPECT_FALSE(f.client().send(get("/hello")).ok());
    EXPECT_EQ(first.send(get("/hello")).value().status, 200u);
}

TEST(Http, one_address_alone_keeps_nobody_out) {
    Fixture f;
    ListenerOptions options;
    options.max_connections_of_one = 2;
    f.port = f.server->listen(options, f.router).value();
    auto first = f.client(), second = f.client();
    EXPECT_EQ(first.send(get("/hello")).value().status, 200u);
    EXPECT_EQ(second.send(get("/hello")).value().status, 200u);
    EXPECT_FALSE(f.client().send(get("/hello")).ok());
    // Another address of loopback.
    auto other = *Ipv4Address::parse("127.0.0.2");
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(other.value);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(f.port);
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    std::string ask = "GET /hello HTTP/1.0\r\n\r\n", head(12, '\0');
    ASSERT_EQ(::send(socket.get(), ask.data(), ask.size(), 0), static_cast<ssize_t>(ask.size()));
    ASSERT_EQ(::recv(socket.get(), head.data(), head.size(), MSG_WAITALL), 12);
    EXPECT_EQ(head, "HTTP/1.1 200");
}

TEST(Http, guard_refuses_before_the_body_and_every_answer_is_reported) {
    Fixture f;
    std::mutex mutex;
    std::vector<std::string> log;
    f.router->set_guard([](const Request& r, const Router::Route&) -> std::optional<Response> {
        if (r.headers.get("authorization") == "Bearer yes") return std::nullopt;
        return Response::text(401, "who?\n");
    });
    ListenerOptions options;
    options.address = "127.0.0.1";
    options.on_request = [&](const Request& r, unsigned status) {
        std::lock_guard lock(mutex);
        log.push_back(fmt::format("{} {} {}", r.method, r.path, status));
    };
    f.port = f.server->listen(options, f.router).value();
    EXPECT_TRUE(talk(f.port, "POST /echo/a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n").starts_with("HTTP/1.1 401"));
    auto allowed = get("/hello");
    allowed.headers.set("Authorization", "Bearer yes");
    EXPECT_EQ(f.client().send(allowed).value().status, 200u);
    f.server->stop();
    EXPECT_EQ(log, (std::vector<std::string>{"POST /echo/a 401", "GET /hello 200"}));
}

TEST(Http, how_far_a_file_is_is_told_and_how_it_ended) {
    auto dir = TempDir::create("http").value();
    ASSERT_TRUE(write_file_atomic(dir / "file", Bytes(64u << 20)).ok());
    auto fd = std::make_shared<UniqueFd>(open_fd(dir / "file", O_RDONLY).value());
    Fixture f;
    f.router->add("GET", "/file", [fd](Request, Responder out) {
        Response r;
        r.file = FileBody{fd, 64u << 20};
        out.send(std::move(r));
    });
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<FileSending> told;
    ListenerOptions options;
    options.address = "127.0.0.1";
    options.on_file = [&](const Request& r, const FileSending& s) {
        EXPECT_EQ(r.path, "/file");
        std::lock_guard lock(mutex);
        told.push_back(s);
        changed.notify_all();
    };
    f.port = f.server->listen(options, f.router).value();
    auto last = [&](FileSending::Phase phase) {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return !told.empty() && told.back().phase == phase; }));
        return std::exchange(told, {});
    };
    auto part = get("/file");
    part.headers.set("Range", "bytes=1000-2999");
    EXPECT_EQ(f.client().send(part).value().body.size(), 2000u);
    auto of_part = last(FileSending::Phase::Sent);
    ASSERT_EQ(of_part.size(), 2u);
    EXPECT_EQ(of_part[0].phase, FileSending::Phase::Begun);
    EXPECT_EQ(of_part[0].position, 1000u);
    EXPECT_EQ(of_part[1].position, 3000u);
    EXPECT_EQ(of_part[1].size, 64u << 20);
    EXPECT_EQ(f.client().send({.method = "HEAD", .path = "/file"}).value().status, 200u);  // no byte of it is sent
    {
        UniqueFd gone(::socket(AF_INET, SOCK_STREAM, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(f.port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ASSERT_EQ(::connect(gone.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        std::string_view request = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n";
        ASSERT_GT(::send(gone.get(), request.data(), request.size(), 0), 0);
        (void)last(FileSending::Phase::Begun);
    }
    auto broken = last(FileSending::Phase::Broken);
    EXPECT_LT(broken.back().position, 64u << 20);
    f.server->stop();
}

TEST(Http, what_cannot_be_sent_or_reached_is_named) {
    EXPECT_TRUE(Client::create({.url = "ftp://x"}).error().is(errors::kUrl));
    EXPECT_TRUE(Client::create({.url = "http://x:99999"}).error().is(errors::kUrl));
    EXPECT_TRUE(Client::create({.url = "https://x"}).error().is(errors::kCertificate));
    auto client = Client::create({.url = "http://127.0.0.1:1"}).value();
    EXPECT_TRUE(client.send(get("/a b")).error().is(errors::kUrl));
    EXPECT_TRUE(client.send(get("/")).error().is(errors::kUnreachable));
    Server server(1);
    EXPECT_TRUE(server.listen({.address = "nowhere"}, nullptr).error().is(errors::kListen));
}

class Tls : public testing::Test {
protected:
    Identity ca = make_ca("Slipway CA", 24h).value();
    Identity other_ca = make_ca("Somebody's CA", 24h).value();
    Fixture f;

    void SetUp() override { f.serve(TlsOptions{issue_server(ca, kControllerName, 24h).value(), ca.certificate_pem}); }
    ClientOptions options() { return {.url = f.url("https"), .ca_pem = ca.certificate_pem}; }
    Result<ClientResponse> hello(ClientOptions o) { return Client::create(std::move(o)).value().send(get("/hello")); }
};

TEST_F(Tls, no_certificate_is_needed_and_none_means_no_name) {
    EXPECT_EQ(hello(options()).value().body, "hello  127.0.0.1 ");
}

TEST_F(Tls, a_client_certificate_says_who_it_is) {
    auto o = options();
    o.identity = make_leaf(ca, "poseidon");
    auto client = Client::create(std::move(o)).value();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.send(get("/hello")).value().body, "hello poseidon 127.0.0.1 ");
    auto echo = client.send({.method = "POST", .path = "/echo/x", .body = std::string(2u << 20, 'y')});
    EXPECT_EQ(echo.value().body.size(), (2u << 20) + 2);
}

TEST_F(Tls, a_client_certificate_of_another_ca_is_refused) {
    auto o = options();
    o.identity = make_leaf(other_ca, "poseidon");
    auto answer = hello(std::move(o));
    ASSERT_FALSE(answer.ok());
    EXPECT_TRUE(answer.error().is(errors::kTls)) << answer.error().describe();
}

TEST_F(Tls, a_server_certificate_does_not_serve_a_client) {
    auto o = options();
    o.identity = issue_server(ca, "poseidon", 24h).value();
    EXPECT_TRUE(hello(std::move(o)).error().is(errors::kTls));
}

TEST_F(Tls, wrong_ca_and_wrong_name_are_refused) {
    auto o = options();
    o.ca_pem = other_ca.certificate_pem;
    auto answer = hello(std::move(o));
    EXPECT_TRUE(answer.error().is(errors::kTls)) << answer.error().describe();
    o = options();
    o.server_name = "127.0.0.1";
    answer = hello(std::move(o));
    EXPECT_TRUE(answer.error().is(errors::kTls)) << answer.error().describe();
}

TEST_F(Tls, a_handshake_that_failed_is_told_with_its_reason) {
    auto told = std::make_shared<std::promise<std::string>>();
    ListenerOptions o;
    o.address = "127.0.0.1";
    o.tls = TlsOptions{issue_server(ca, kControllerName, 24h).value(), {}};
    o.on_handshake_failure = [told](const std::string& peer, const std::string& why) {
        told->set_value(peer + " " + why);
    };
    f.port = f.server->listen(std::move(o), f.router).value();
    auto wrong = options();
    wrong.ca_pem = other_ca.certificate_pem;
    EXPECT_FALSE(hello(std::move(wrong)).ok());
    auto text = told->get_future().get();
    EXPECT_NE(text.find("127.0.0.1 "), std::string::npos);
    EXPECT_NE(text.find("unknown ca"), std::string::npos) << text;
}

TEST_F(Tls, an_expired_certificate_is_refused) {
    f.serve(TlsOptions{issue_server(ca, kControllerName, -1h).value(), {}});
    auto answer = hello(options());
    ASSERT_TRUE(answer.error().is(errors::kTls));
    EXPECT_NE(answer.error().describe().find("expired"), std::string::npos) << answer.error().describe();
}

TEST_F(Tls, clear_text_and_garbage_on_the_port_end) {
    EXPECT_EQ(talk(f.port, "GET /hello HTTP/1.1\r\n\r\n").find("HTTP/1.1"), std::string::npos);
    EXPECT_EQ(Client::create({.url = f.url()}).value().send(get("/hello")).ok(), false);
    EXPECT_TRUE(hello(options()).ok());
}

TEST_F(Tls, stop_with_a_pending_poll) {
    auto answer = std::async(std::launch::async, [&] { return Client::create(options()).value().send(get("/poll")); });
    auto responder = f.parked.get_future().get();
    f.server->stop();
    EXPECT_FALSE(answer.get().ok());
}
