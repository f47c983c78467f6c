// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/group_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "imagestore/multicast/wire.hpp"
#include "lib/base/errors.hpp"

namespace slipway::multicast {

namespace {

sockaddr_in address_of(Ipv4Address address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(address.value);
    return out;
}

Result<UniqueFd> udp_socket() {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return errno_error(errno, "a UDP socket");
    return fd;
}

template <class T>
Status set(int fd, int level, int name, const T& value, const char* what) {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0) return errno_error(errno, what);
    return {};
}

Status bind_to(int fd, Ipv4Address address, std::uint16_t port) {
    const auto place = address_of(address, port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
        return errno_error(errno, fmt::format("binding to {}:{}", address.text(), port));
    return {};
}

// More than rmem_max where we may; else as much as we get: what the kernel says it is.
std::size_t ask_for_buffer(int fd, int bytes) {
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    int got = 0;
    socklen_t size = sizeof got;
    return ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &size) == 0 && got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace

bool is_group(Ipv4Address address) { return address.value >> 28 == 14 && address.value >> 8 != 0xe00000; }

Result<Ipv4Address> address_towards(Ipv4Address peer) {
    auto fd = TRY(udp_socket());
    const auto to = address_of(peer, 9);  // nothing is sent
    sockaddr_in mine{};
    socklen_t size = sizeof mine;
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&mine), &size) != 0)
        return errno_error(errno, "a way to " + peer.text());
    return Ipv4Address{ntohl(mine.sin_addr.s_addr)};
}

Result<GroupSender> GroupSender::open(const GroupAddress& to, Ipv4Address interface, unsigned ttl) {
    auto fd = TRY(udp_socket());
    in_addr out{htonl(interface.value)};
    TRY(set(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, out, "the interface of the group"));
    TRY(set(fd.get(), IPPROTO_IP, IP_MULTICAST_TTL, static_cast<int>(ttl), "the TTL of the group"));
    // A receiver on this very machine (a VM host's agent) hears it too.
    TRY(set(fd.get(), IPPROTO_IP, IP_MULTICAST_LOOP, 1, "multicast to this machine"));
    ask_for_buffer(fd.get(), 4 << 20);
    TRY(bind_to(fd.get(), interface, 0));
    sockaddr_in mine{};
    socklen_t size = sizeof mine;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&mine), &size) != 0)
        return errno_error(errno, "getsockname");
    return GroupSender(std::move(fd), ntohs(mine.sin_port), to);
}

bool GroupSender::send(ByteView packet) {
    const auto to = address_of(to_.group, to_.port);
    const auto sent =
        ::sendto(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

std::optional<ByteView> GroupSender::receive() {
    buffer_.resize(kMaxPacket + 1);
    const auto got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0) return std::nullopt;
    return ByteView(buffer_).first(static_cast<std::size_t>(got));
}

Result<GroupReceiver> GroupReceiver::open(const GroupAddress& from, Ipv4Address interface, std::size_t buffer) {
    auto fd = TRY(udp_socket());
    TRY(set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "sharing the group's port"));
    // Bound to the group: what comes to the port by other ways is not ours.
    TRY(bind_to(fd.get(), from.group, from.port));
    ip_mreqn join{};
    join.imr_multiaddr.s_addr = htonl(from.group.value);
    join.imr_address.s_addr = htonl(interface.value);
    TRY(set(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, join, "joining the group"));
    // Only of that interface, not whatever another program of this machine has joined.
    TRY(set(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, 0, "the groups of this socket alone"));
    in_addr out{htonl(interface.value)};
    TRY(set(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, out, "the interface of the group"));
    constexpr std::size_t kAccounted = 4096;  // for a datagram in an Ethernet frame, adapters' pages included
    const auto holds = ask_for_buffer(fd.get(), static_cast<int>(buffer)) / kAccounted;
    return GroupReceiver(std::move(fd), holds);
}

std::vector<ByteView> GroupReceiver::receive() {
    std::array<mmsghdr, 64> messages{};
    std::array<iovec, 64> places;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        places[i] = {buffer_.data() + i * kSlot, kSlot};
        messages[i].msg_hdr.msg_iov = &places[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    const auto got = ::recvmmsg(fd_.get(), messages.data(), messages.size(), MSG_DONTWAIT, nullptr);
    std::vector<ByteView> out;
    for (int i = 0; i < got; ++i)
        out.push_back(ByteView(buffer_).subspan(static_cast<std::size_t>(i) * kSlot,
                                                messages[static_cast<std::size_t>(i)].msg_len));
    return out;
}

void GroupReceiver::send(ByteView report, const UdpEndpoint& to) {
    const auto place = address_of(to.address, to.port);
    (void)::sendto(fd_.get(), report.data(), report.size(), 0, reinterpret_cast<const sockaddr*>(&place), sizeof place);
}

}  // namespace slipway::multicast
