// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/prober.hpp"

#include <cerrno>
#include <deque>
#include <map>

#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <tins/tins.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"

namespace slipway::dhcp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kPingId = 0x5357;

Result<UniqueFd> open_socket(int domain, int type, int protocol, std::string_view what) {
    UniqueFd fd(::socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd.valid()) return errno_error(errno, what);
    return fd;
}

}  // namespace

struct Prober::Impl : std::enable_shared_from_this<Impl> {
    struct Asked {
        unsigned interface;  // 0: by ping
        unsigned tries = 1;
    };

    std::chrono::milliseconds wait;
    Answer answer;
    UniqueFd arp_fd, ping_fd;
    asio::posix::stream_descriptor arp_wait, ping_wait;
    asio::steady_timer timer;
    std::map<Ipv4Address, Asked> asked;
    std::deque<std::pair<Instant, Ipv4Address>> due;  // in order: all wait equally long
    bool timing = false, stopped = false;

    Impl(asio::io_context& io, std::chrono::milliseconds w, Answer a, UniqueFd arp_socket, UniqueFd ping_socket)
        : wait(w),
          answer(std::move(a)),
          arp_fd(std::move(arp_socket)),
          ping_fd(std::move(ping_socket)),
          arp_wait(io, arp_fd.get()),
          ping_wait(io, ping_fd.get()),
          timer(io) {}
    ~Impl() {  // the fds are ours
        arp_wait.release();
        ping_wait.release();
    }

    void ask(Ipv4Address address, unsigned interface) {
        if (!asked.emplace(address, Asked{interface}).second) return;
        send(address, interface);
        due.emplace_back(Instant::clock::now() + wait / 2, address);
        start_timer();
    }

    void send(Ipv4Address address, unsigned interface) {
        auto sent = interface ? send_arp(address, interface) : send_ping(address);
        if (!sent.ok()) log::debug("dhcp", "probing {}: {}", address.text(), sent.error().describe());
    }

    Status send_arp(Ipv4Address address, unsigned interface) {
        ifreq name{};
        if (!::if_indextoname(interface, name.ifr_name) || ::ioctl(arp_fd.get(), SIOCGIFHWADDR, &name) != 0)
            return errno_error(errno, fmt::format("interface {}", interface));
        Tins::ARP probe(Tins::IPv4Address(address.text()), Tins::IPv4Address("0.0.0.0"), Tins::HWAddress<6>(),
                        Tins::HWAddress<6>(reinterpret_cast<const std::uint8_t*>(name.ifr_hwaddr.sa_data)));
        probe.opcode(Tins::ARP::REQUEST);
        auto bytes = probe.serialize();
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_protocol = htons(kEtherArp);
        to.sll_ifindex = static_cast<int>(interface);
        to.sll_halen = 6;
        std::fill_n(to.sll_addr, 6, std::uint8_t{0xff});
        if (::sendto(arp_fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
            return errno_error(errno, "ARP");
        return {};
    }

    Status send_ping(Ipv4Address address) {
        Tins::ICMP echo(Tins::ICMP::ECHO_REQUEST);
        echo.id(kPingId);
        auto bytes = echo.serialize();
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(address.value);
        if (::sendto(ping_fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
            return errno_error(errno, "ping");
        return {};
    }

    void finish(Ipv4Address address, bool in_use) {
        if (asked.erase(address)) answer(address, in_use);
    }

    void start_timer() {
        if (timing || due.empty() || stopped) return;
        timing = true;
        timer.expires_at(due.front().first);
        timer.async_wait([self = shared_from_this(), this](const error_code& error) {
            timing = false;
            if (error || stopped) return;
            while (!due.empty() && due.front().first <= Instant::clock::now()) on_due();
            start_timer();
        });
    }

    void on_due() {
        auto address = due.front().second;
        due.pop_front();
        auto it = asked.find(address);
        if (it == asked.end()) return;
        if (it->second.tries == 2) return finish(address, false);
        ++it->second.tries;
        send(address, it->second.interface);
        due.emplace_back(Instant::clock::now() + wait / 2, address);
    }

    // Whatever an address in question sends by ARP shows that it is in use, but for another's probe (sender 0).
    void on_arp(ByteView bytes, unsigned interface) {
        ByteReader in(bytes);
        auto hardware = in.be16(), protocol = in.be16();
        auto lengths = in.be16();
        in.skip(2 + 6);  // operation, sender's hardware
        Ipv4Address sender{in.be32()};
        if (in.failed() || hardware != 1 || protocol != 0x0800 || lengths != 0x0604) return;
        auto it = asked.find(sender);
        if (it != asked.end() && it->second.interface == interface) finish(sender, true);
    }

    void on_ping(ByteView bytes) {
        ByteReader in(bytes);
        auto words = in.u8() & 0xfu;
        in.skip(11);
        Ipv4Address sender{in.be32()};
        in.seek(words * 4u);
        auto type = in.u8();
        in.skip(3);
        auto id = in.be16();
        if (in.failed() || type != Tins::ICMP::ECHO_REPLY || id != kPingId) return;
        auto it = asked.find(sender);
        if (it != asked.end() && it->second.interface == 0) finish(sender, true);
    }

    void listen(asio::posix::stream_descriptor& socket, bool is_arp) {
        socket.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this(), this, &socket, is_arp](const error_code& error) {
                              if (error || stopped) return;
                              receive(is_arp ? arp_fd.get() : ping_fd.get(), is_arp);
                              if (!stopped) listen(socket, is_arp);
                          });
    }

    void receive(int fd, bool is_arp) {
        for (int i = 0; i < 64 && !stopped; ++i) {
            std::byte buffer[2048];
            sockaddr_ll from{};
            socklen_t size = sizeof from;
            auto got = ::recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (got < 0) return;
            ByteView bytes(buffer, static_cast<std::size_t>(got));
            if (is_arp) on_arp(bytes, static_cast<unsigned>(from.sll_ifindex));
            else on_ping(bytes);
        }
    }
};

Prober::Prober(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Prober::Prober(Prober&&) noexcept = default;
Prober& Prober::operator=(Prober&&) noexcept = default;
Prober::~Prober() {
    if (impl_) stop();
}

Result<Prober> Prober::create(asio::io_context& io, std::chrono::milliseconds wait, Answer answer) {
    auto arp = TRY(open_socket(AF_PACKET, SOCK_DGRAM, htons(kEtherArp), "a socket for ARP"));
    auto ping = TRY(open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP, "a socket for ping"));
    auto impl = std::make_shared<Impl>(io, wait, std::move(answer), std::move(arp), std::move(ping));
    impl->listen(impl->arp_wait, true);
    impl->listen(impl->ping_wait, false);
    return Prober(std::move(impl));
}

void Prober::arp(Ipv4Address address, unsigned interface) { impl_->ask(address, interface); }
void Prober::ping(Ipv4Address address) { impl_->ask(address, 0); }

void Prober::stop() {
    impl_->stopped = true;
    error_code ignored;
    impl_->arp_wait.cancel(ignored);
    impl_->ping_wait.cancel(ignored);
    impl_->timer.cancel(ignored);
}

}  // namespace slipway::dhcp
