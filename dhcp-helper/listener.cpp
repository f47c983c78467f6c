// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/listener.hpp"

#include <variant>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/packet_port.hpp"
#include "lib/base/log.hpp"

namespace slipway::dhcp {

namespace asio = boost::asio;
using boost::system::error_code;

UdpEndpoint destination_of(const Message& reply, const Arrival& request) {
    if (request.port == kBootServerPort && !request.from.address.is_zero()) return request.from;
    if (!request.message.relay.is_zero()) return {request.message.relay, kServerPort};
    if (!request.message.client.is_zero() && reply.type() != MessageType::Nak)
        return {request.message.client, kClientPort};
    return {Ipv4Address{0xffffffff}, kClientPort};
}

namespace {

// Either way of having a port.
class Port {
public:
    explicit Port(UdpPort port) : port_(std::move(port)) {}
    explicit Port(PacketPort port) : port_(std::move(port)) {}
    int fd() const {
        return std::visit([](const auto& p) { return p.fd(); }, port_);
    }
    std::uint16_t number() const {
        return std::visit([](const auto& p) { return p.port(); }, port_);
    }
    Result<std::optional<Datagram>> receive() {
        return std::visit([](auto& p) { return p.receive(); }, port_);
    }
    Status answer(ByteView data, const UdpEndpoint& to, const Datagram& request) {
        if (auto* udp = std::get_if<UdpPort>(&port_)) return udp->send(data, to, request.interface, request.local);
        return std::get<PacketPort>(port_).send(data, to);
    }

private:
    std::variant<UdpPort, PacketPort> port_;
};

Result<Port> open_port(const ListenerOptions& o) {
    if (o.beside) return Port(TRY(PacketPort::open(o.device, {o.address, o.port})));
    return Port(TRY(UdpPort::open({.local = {o.address, o.port}, .device = o.device, .broadcast = true})));
}

}  // namespace

constexpr int kAtOnce = 32;  // datagrams before others have their turn

struct Listener::Impl : std::enable_shared_from_this<Impl> {
    ListenerOptions options;
    Port port;
    asio::posix::stream_descriptor wait;
    FloodGuard guard;
    bool stopped = false;

    Impl(asio::io_context& io, ListenerOptions o, Port p)
        : options(std::move(o)), port(std::move(p)), wait(io, port.fd()), guard(options.flood) {}
    ~Impl() { wait.release(); }  // the fd is port's

    void listen() {
        wait.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this(), this](const error_code& error) {
                            if (error || stopped) return;
                            // A flood must not keep TFTP, timers and the end waiting.
                            for (int n = 0; n < kAtOnce && !stopped; ++n) {
                                auto datagram = port.receive();
                                if (!datagram.ok() || !*datagram) break;
                                on_datagram(**datagram);
                            }
                            if (!stopped) listen();
                        });
    }

    void on_datagram(const Datagram& datagram) {
        auto message = parse_message(datagram.data);
        if (!message.ok()) {
            log::debug("dhcp", "{}: {}", datagram.from.text(), message.error().describe());
            return;
        }
        if (message->op != Op::Request || message->hardware_type != 1 || message->hardware_length != 6) return;
        if (!admitted(guard, *message, datagram)) return;
        Arrival arrival{std::move(*message), datagram.from, datagram.local,
                        options.answer_source ? kBootServerPort : options.port};
        auto reply = options.handler(arrival);
        if (!reply) return;
        auto to = destination_of(*reply, arrival);
        auto sent = port.answer(encode_message(*reply), to, datagram);
        if (!sent.ok()) log::warning("dhcp", "{}: {}", reply->mac().text(), sent.error().describe());
    }
};

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() {
    if (impl_) stop();
}

Result<Listener> Listener::create(asio::io_context& io, ListenerOptions options) {
    auto port = open_port(options);
    if (!port.ok()) return make_error(errors::kListen, "{}", port.error().describe());
    auto impl = std::make_shared<Impl>(io, std::move(options), std::move(*port));
    impl->listen();
    return Listener(std::move(impl));
}

std::uint16_t Listener::port() const { return impl_->port.number(); }

void Listener::stop() {
    impl_->stopped = true;
    error_code ignored;
    impl_->wait.cancel(ignored);
}

}  // namespace slipway::dhcp
