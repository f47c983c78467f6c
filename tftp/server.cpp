// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/server.hpp"

#include <map>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"

namespace slipway::tftp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

ErrorPacket refusal(const Error& error) {
    if (error.is(errors::kNotFound)) return {ErrorCode::FileNotFound, "file not found"};
    if (error.is(errors::kAccess)) return {ErrorCode::AccessViolation, "access violation"};
    return {ErrorCode::NotDefined, "the file cannot be read"};
}

class Transfer : public std::enable_shared_from_this<Transfer> {
public:
    using Ended = std::function<void(const Transfer&, TransferReport)>;

    Transfer(asio::io_context& io, UdpPort port, const UdpEndpoint& client, Request request, Content content,
             const Limits& limits, Ended ended)
        : port_(std::move(port)),
          wait_(io, port_.fd()),
          timer_(io),
          client_(client),
          request_(std::move(request)),
          content_(std::move(content)),
          session_(request_, content_.size, limits),
          ended_(std::move(ended)) {}
    ~Transfer() { wait_.release(); }  // the fd is port_'s

    const UdpEndpoint& client() const { return client_; }
    bool is_for(const Request& r) const { return r.file == request_.file && r.options == request_.options; }

    void start() {
        perform(session_.start(Instant::clock::now()));
        listen();
        keep_time();
    }

    // Takes what is there.
    void read_all() {
        while (!over_) {
            auto datagram = port_.receive();
            if (!datagram.ok()) return end("the client's port is closed");
            if (!*datagram) return;
            auto packet = parse_packet((*datagram)->data);
            if (packet.ok()) perform(session_.on_packet(*packet, Instant::clock::now()));
        }
    }

    void end(std::string failure) {
        if (over_) return;
        over_ = true;
        error_code ignored;
        wait_.cancel(ignored);
        timer_.cancel();
        auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Instant::clock::now() - begun_);
        ended_(*this, {client_, request_.file, session_.acknowledged(), session_.resent(), took, std::move(failure)});
    }

private:
    void listen() {
        wait_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this(), this](const error_code& error) {
                             if (error || over_) return;
                             read_all();
                             if (!over_) listen();
                         });
    }

    void keep_time() {
        timer_.expires_at(session_.deadline());
        timer_.async_wait([self = shared_from_this(), this](const error_code&) {
            if (over_) return;
            perform(session_.on_time(Instant::clock::now()));
            if (!over_) keep_time();
        });
    }

    void perform(const Step& step) {
        if (step.option_ack) send(session_.option_ack());
        for (std::uint32_t i = 0; i < step.count; ++i) {
            auto block = step.first + i;
            auto slice = session_.slice(block);
            auto bytes = content_.read(slice.offset, slice.length);
            if (!bytes.ok()) {
                send(ErrorPacket{ErrorCode::NotDefined, "the file cannot be read"});
                return end(bytes.error().describe());
            }
            send(Data{static_cast<std::uint16_t>(block), std::move(*bytes)});
        }
        if (step.error) send(*step.error);
        if (session_.ended()) end(std::string(session_.why()));
    }

    // What cannot be sent now counts as lost: the session sends it again.
    void send(const Packet& packet) { (void)port_.send(encode_packet(packet)).ok(); }

    UdpPort port_;
    asio::posix::stream_descriptor wait_;
    asio::steady_timer timer_;
    UdpEndpoint client_;
    Request request_;
    Content content_;
    ReadSession session_;
    Ended ended_;
    Instant begun_ = Instant::clock::now();
    bool over_ = false;
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
    asio::io_context& io;
    ServerOptions options;
    UdpPort port;
    asio::posix::stream_descriptor wait;
    std::map<UdpEndpoint, std::shared_ptr<Transfer>> transfers;
    bool stopped = false;

    Impl(asio::io_context& context, ServerOptions o, UdpPort p)
        : io(context), options(std::move(o)), port(std::move(p)), wait(io, port.fd()) {}
    ~Impl() { wait.release(); }

    void listen() {
        wait.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this(), this](const error_code& error) {
                            if (error || stopped) return;
                            for (;;) {
                                auto datagram = port.receive();
                                if (!datagram.ok() || !*datagram) break;
                                on_datagram(**datagram);
                            }
                            listen();
                        });
    }

    void on_datagram(const Datagram& datagram) {
        auto packet = parse_packet(datagram.data);
        const auto* request = packet.ok() ? std::get_if<Request>(&*packet) : nullptr;
        if (!request) return;
        auto refuse = [&](const ErrorPacket& error) {
            (void)port.send(encode_packet(error), datagram.from, datagram.interface, datagram.local).ok();
        };
        if (request->write) return refuse({ErrorCode::AccessViolation, "this server is read-only"});
        if (request->mode != "octet") return refuse({ErrorCode::NotDefined, "only mode octet is served"});
        if (auto it = transfers.find(datagram.from); it != transfers.end()) {
            auto old = it->second;
            old->read_all();  // it may have been ended a moment ago, on its own socket
            if (!old->is_for(*request)) old->end("the client asked for something else");
            if (transfers.contains(datagram.from)) return;  // sent again: the first one is being answered
        }
        if (transfers.size() >= options.max_sessions) {
            log::warning("tftp", "{}: {} transfers are under way, not answered", datagram.from.text(),
                         transfers.size());
            return;
        }
        auto content = options.source(request->file, datagram.from);
        if (!content.ok()) {
            log::info("tftp", "{} asks for '{}': {}", datagram.from.text(), printable(request->file),
                      content.error().describe());
            return refuse(refusal(content.error()));
        }
        auto begun = begin(datagram, *request, std::move(*content));
        if (!begun.ok()) log::warning("tftp", "{}: {}", datagram.from.text(), begun.error().describe());
    }

    Status begin(const Datagram& datagram, const Request& request, Content content) {
        auto socket = TRY(UdpPort::open({.local = {datagram.local, 0}, .device = options.device}));
        TRY(socket.connect(datagram.from));
        auto ended = [weak = weak_from_this()](const Transfer& transfer, const TransferReport& report) {
            auto impl = weak.lock();
            if (!impl) return;
            if (impl->options.on_transfer) impl->options.on_transfer(report);
            if (auto it = impl->transfers.find(transfer.client());
                it != impl->transfers.end() && it->second.get() == &transfer)
                impl->transfers.erase(it);
        };
        auto transfer = std::make_shared<Transfer>(io, std::move(socket), datagram.from, request, std::move(content),
                                                   options.limits, std::move(ended));
        transfers[datagram.from] = transfer;
        transfer->start();
        return {};
    }

    void stop() {
        if (std::exchange(stopped, true)) return;
        error_code ignored;
        wait.cancel(ignored);
        auto ending = std::move(transfers);
        for (auto& [client, transfer] : ending) transfer->end("the server stops");
        transfers.clear();
    }
};

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() {
    if (impl_) impl_->stop();
}

Result<Server> Server::create(asio::io_context& io, ServerOptions options) {
    auto port = UdpPort::open({.local = options.local, .device = options.device});
    if (!port.ok()) return make_error(errors::kListen, "{}", port.error().describe());
    auto impl = std::make_shared<Impl>(io, std::move(options), std::move(*port));
    impl->listen();
    return Server(std::move(impl));
}

std::uint16_t Server::port() const { return impl_->port.port(); }
void Server::stop() { impl_->stop(); }

}  // namespace slipway::tftp
