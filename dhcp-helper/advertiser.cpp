// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/advertiser.hpp"

#include <cerrno>
#include <cstring>

#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/router_advert.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/flood.hpp"
#include "lib/base/log.hpp"

namespace slipway::dhcp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr FloodLimits kLimits{.rate = 1, .burst = 8, .known = 1024};  // iPXE asks four times

template <typename T>
Status set_option(int fd, int level, int option, const T& value, std::string_view what) {
    if (::setsockopt(fd, level, option, &value, sizeof value) != 0) return errno_error(errno, what);
    return {};
}

Result<MacAddress> mac_of(int fd, const std::string& interface) {
    ifreq request{};
    std::memcpy(request.ifr_name, interface.data(), std::min<std::size_t>(interface.size(), IFNAMSIZ - 1));
    if (::ioctl(fd, SIOCGIFHWADDR, &request) != 0) return errno_error(errno, interface);
    MacAddress mac;
    std::memcpy(mac.octets.data(), request.ifr_hwaddr.sa_data, mac.octets.size());
    return mac;
}

// Hears router solicitations on this interface and nothing else.
Result<UniqueFd> open_socket(const std::string& interface, unsigned index) {
    UniqueFd fd(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6));
    if (!fd.valid()) return errno_error(errno, "a socket for ICMPv6");
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
    TRY(set_option(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, filter, "ICMP6_FILTER"));
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT"));
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255, "IPV6_UNICAST_HOPS"));
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255, "IPV6_MULTICAST_HOPS"));
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(index), "IPV6_MULTICAST_IF"));
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                     static_cast<socklen_t>(interface.size())) != 0)
        return errno_error(errno, interface);
    ipv6_mreq all_routers{};
    all_routers.ipv6mr_multiaddr.s6_addr[0] = 0xff;  // ff02::2
    all_routers.ipv6mr_multiaddr.s6_addr[1] = 0x02;
    all_routers.ipv6mr_multiaddr.s6_addr[15] = 2;
    all_routers.ipv6mr_interface = index;
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, all_routers, "joining ff02::2"));
    return fd;
}

}  // namespace

struct Advertiser::Impl : std::enable_shared_from_this<Impl> {
    UniqueFd fd;
    asio::posix::stream_descriptor wait;
    Bytes answer;
    FloodGuard guard{kLimits};
    bool stopped = false;

    Impl(asio::io_context& io, UniqueFd socket, Bytes message)
        : fd(std::move(socket)), wait(io, fd.get()), answer(std::move(message)) {}
    ~Impl() { wait.release(); }  // the fd is ours

    void listen() {
        wait.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this(), this](const error_code& error) {
                            if (error || stopped) return;
                            for (int i = 0; i < 64 && receive(); ++i) {
                            }
                            if (!stopped) listen();
                        });
    }

    bool receive() {
        std::byte buffer[1500];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        sockaddr_in6 from{};
        iovec part{buffer, sizeof buffer};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto got = ::recvmsg(fd.get(), &message, 0);
        if (got < 0) return false;
        int hop_limit = 0;
        for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)
                std::memcpy(&hop_limit, CMSG_DATA(c), sizeof hop_limit);
        Ipv6Address source;
        std::memcpy(source.data(), &from.sin6_addr, source.size());
        if (is_solicitation(ByteView(buffer, static_cast<std::size_t>(got)), source, hop_limit)) reply(from, source);
        return true;
    }

    void reply(sockaddr_in6 to, const Ipv6Address& source) {
        ByteReader low(ByteView(source).subspan(8));
        if (guard.on_request(low.be64(), Instant::clock::now()) != FloodGuard::Verdict::Admit) return;
        if (source == kUnspecified) {  // to all nodes, ff02::1
            to.sin6_addr.s6_addr[0] = 0xff;
            to.sin6_addr.s6_addr[1] = 0x02;
            to.sin6_addr.s6_addr[15] = 1;
        }
        to.sin6_port = 0;
        if (::sendto(fd.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
            log::debug("dhcp", "a router advertisement: {}", errno_error(errno, "sending").describe());
    }
};

Advertiser::Advertiser(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Advertiser::Advertiser(Advertiser&&) noexcept = default;
Advertiser& Advertiser::operator=(Advertiser&&) noexcept = default;
Advertiser::~Advertiser() {
    if (impl_) stop();
}

Result<Advertiser> Advertiser::create(asio::io_context& io, const std::string& interface) {
    auto index = ::if_nametoindex(interface.c_str());
    if (index == 0) return make_error(errors::kListen, "no interface {}", interface);
    auto fd = TRY(open_socket(interface, index));
    auto mac = TRY(mac_of(fd.get(), interface));
    auto impl = std::make_shared<Impl>(io, std::move(fd), empty_advertisement(mac));
    impl->listen();
    return Advertiser(std::move(impl));
}

void Advertiser::stop() {
    impl_->stopped = true;
    error_code ignored;
    impl_->wait.cancel(ignored);
}

}  // namespace slipway::dhcp
