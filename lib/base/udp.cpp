// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/udp.hpp"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lib/base/errors.hpp"

namespace slipway {

namespace {

sockaddr_in to_sockaddr(const UdpEndpoint& endpoint) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(endpoint.port);
    out.sin_addr.s_addr = htonl(endpoint.address.value);
    return out;
}

UdpEndpoint from_sockaddr(const sockaddr_in& in) { return {{ntohl(in.sin_addr.s_addr)}, ntohs(in.sin_port)}; }

}  // namespace

std::string UdpEndpoint::text() const { return fmt::format("{}:{}", address.text(), port); }

Result<UdpPort> UdpPort::open(const UdpOptions& options) {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return errno_error(errno, "a UDP socket");
    auto set = [&](int level, int name, int value) {
        return ::setsockopt(fd.get(), level, name, &value, sizeof value) == 0;
    };
    if (!set(IPPROTO_IP, IP_PKTINFO, 1)) return errno_error(errno, "IP_PKTINFO");
    if (options.share && !set(SOL_SOCKET, SO_REUSEADDR, 1)) return errno_error(errno, "SO_REUSEADDR");
    if (options.broadcast && !set(SOL_SOCKET, SO_BROADCAST, 1)) return errno_error(errno, "SO_BROADCAST");
    if (!options.device.empty() && ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, options.device.data(),
                                                static_cast<socklen_t>(options.device.size())) != 0)
        return errno_error(errno, fmt::format("binding to interface {}", options.device));
    auto address = to_sockaddr(options.local);
    socklen_t size = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return errno_error(errno, fmt::format("UDP {}", options.local.text()));
    return UdpPort(std::move(fd), ntohs(address.sin_port));
}

Status UdpPort::connect(const UdpEndpoint& peer) {
    auto address = to_sockaddr(peer);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return errno_error(errno, peer.text());
    return {};
}

Result<std::optional<Datagram>> UdpPort::receive() {
    Datagram out;
    out.data.resize(65536);
    sockaddr_in from{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))];
    iovec part{out.data.data(), out.data.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto got = ::recvmsg(fd_.get(), &message, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return std::optional<Datagram>();
    if (got < 0) return errno_error(errno, "receiving");
    out.data.resize(static_cast<std::size_t>(got));
    out.from = from_sockaddr(from);
    for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO) continue;
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        out.to = {ntohl(info.ipi_addr.s_addr)};
        out.local = {ntohl(info.ipi_spec_dst.s_addr)};
        out.interface = static_cast<unsigned>(info.ipi_ifindex);
    }
    return std::optional<Datagram>(std::move(out));
}

Status UdpPort::send(ByteView data, const UdpEndpoint& to, unsigned interface, Ipv4Address from) {
    auto address = to_sockaddr(to);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))] = {};
    iovec part{const_cast<std::byte*>(data.data()), data.size()};
    msghdr message{};
    if (to.port != 0) {
        message.msg_name = &address;
        message.msg_namelen = sizeof address;
    }
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (interface != 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
        in_pktinfo info{};
        info.ipi_ifindex = static_cast<int>(interface);
        info.ipi_spec_dst.s_addr = htonl(from.value);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
    }
    if (::sendmsg(fd_.get(), &message, 0) < 0) return errno_error(errno, fmt::format("sending to {}", to.text()));
    return {};
}

}  // namespace slipway
