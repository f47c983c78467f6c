// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/group_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "imagestore/multicast/errors.hpp"
#include "imagestore/multicast/socket_address.hpp"
#include "imagestore/multicast/wire.hpp"
#include "lib/base/errors.hpp"

namespace slipway::multicast {

namespace {

// What the kernel calls the same things in both families.
struct Family {
    int domain, level, hops, loop, all;
};
constexpr Family kIpv4{AF_INET, IPPROTO_IP, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL};
constexpr Family kIpv6{AF_INET6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MULTICAST_ALL};
const Family& family_of(const GroupAddress& group) { return group.group.is_v4() ? kIpv4 : kIpv6; }

template <class T>
Status set(int fd, int level, int name, const T& value, const char* what) {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0) return errno_error(errno, what);
    return {};
}

Status set_interface(int fd, const Family& family, unsigned index) {
    constexpr const char* kWhat = "the interface of the group";
    if (family.domain == AF_INET6) return set(fd, family.level, IPV6_MULTICAST_IF, static_cast<int>(index), kWhat);
    ip_mreqn by_index{};
    by_index.imr_ifindex = static_cast<int>(index);
    return set(fd, family.level, IP_MULTICAST_IF, by_index, kWhat);
}

// RFC 3678, for both families.
Status take_part(bool on, int fd, const Family& family, const SocketAddress& group, unsigned index) {
    group_req request{};
    request.gr_interface = index;
    std::memcpy(&request.gr_group, group.get(), group.size());
    return set(fd, family.level, on ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, request,
               on ? "joining the group" : "leaving the group");
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

bool is_group(const IpAddress& address) {
    if (const auto v4 = address.v4()) return v4->value >> 28 == 14 && v4->value >> 8 != 0xe00000;
    const auto flags = address.octets[1] >> 4, scope = address.octets[1] & 15;
    return address.octets[0] == 0xff && (flags & 1) && scope >= 2 && scope <= 14;
}

bool is_first_group(const IpAddress& address) {
    // Those after it are groups as well, and none of them begins again at ::0.
    const auto last = address.plus(kGroups - 1);
    return is_group(address) && is_group(last) && address < last;
}

static Status bind_to_one_of(int fd, const Segment& on, bool v4, PortRange ports) {
    for (unsigned port = ports.first; port <= std::max(ports.first, ports.last); ++port) {
        const SocketAddress place(v4, {on.address, static_cast<std::uint16_t>(port)}, on.index);
        if (::bind(fd, place.get(), place.size()) == 0) return {};
        if (errno != EADDRINUSE) return errno_error(errno, fmt::format("binding to {} of {}", port, on.address.text()));
    }
    return make_error(errors::kNoPort, "UDP {} to {} of {} are taken", ports.first, ports.last, on.address.text());
}

Result<GroupSender> GroupSender::open(const GroupAddress& to, const Segment& on, unsigned ttl, PortRange reports) {
    const auto& family = family_of(to);
    auto fd = TRY(udp_socket(to.group.is_v4()));
    TRY(set_interface(fd.get(), family, on.index));
    TRY(set(fd.get(), family.level, family.hops, static_cast<int>(ttl), "the TTL of the group"));
    // A receiver on this very machine (a VM host's agent) hears it too.
    TRY(set(fd.get(), family.level, family.loop, 1, "multicast to this machine"));
    ask_for_buffer(fd.get(), 4 << 20);
    TRY(bind_to_one_of(fd.get(), on, to.group.is_v4(), reports));
    const auto mine = TRY(own_address(fd.get()));
    return GroupSender(std::move(fd), mine.port, to, on.index);
}

bool GroupSender::send(ByteView packet) {
    const SocketAddress to(to_.group.is_v4(), {to_.group, to_.port}, index_);
    const auto sent = ::sendto(fd_.get(), packet.data(), packet.size(), 0, to.get(), to.size());
    return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

std::optional<ByteView> GroupSender::receive() {
    buffer_.resize(kMaxPacket + 1);
    const auto got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0) return std::nullopt;
    return ByteView(buffer_).first(static_cast<std::size_t>(got));
}

Result<GroupReceiver> GroupReceiver::open(const GroupAddress& from, const Segment& on, std::size_t buffer) {
    const auto& family = family_of(from);
    auto fd = TRY(udp_socket(from.group.is_v4()));
    TRY(set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "sharing the group's port"));
    // Bound to the group: what comes to the port by other ways is not ours.
    const SocketAddress group(from.group.is_v4(), {from.group, from.port}, on.index);
    if (::bind(fd.get(), group.get(), group.size()) != 0) return errno_error(errno, "binding to " + from.text());
    TRY(take_part(true, fd.get(), family, group, on.index));
    // Only of that interface, not whatever another program of this machine has joined.
    TRY(set(fd.get(), family.level, family.all, 0, "the groups of this socket alone"));
    constexpr std::size_t kAccounted = 4096;  // for a datagram in an Ethernet frame, adapters' pages included
    const auto holds = ask_for_buffer(fd.get(), static_cast<int>(buffer)) / kAccounted;
    return GroupReceiver(std::move(fd), from, holds, on.index);
}

Status GroupReceiver::listen(bool on) {
    const SocketAddress group(from_.group.is_v4(), {from_.group, from_.port}, index_);
    return take_part(on, fd_.get(), family_of(from_), group, index_);
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

void GroupReceiver::send(ByteView report, const IpEndpoint& to) {
    const SocketAddress place(to.address.is_v4(), to, index_);
    (void)::sendto(fd_.get(), report.data(), report.size(), 0, place.get(), place.size());
}

}  // namespace slipway::multicast
