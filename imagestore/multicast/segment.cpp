// SPDX-License-Identifier: GPL-3.0-or-later
// This machine's interfaces and addresses, as sockets need them.
#include <ifaddrs.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "imagestore/multicast/errors.hpp"
#include "imagestore/multicast/group_socket.hpp"
#include "imagestore/multicast/socket_address.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::multicast {

namespace {

// nullopt: none of this machine's addresses. `fits` is asked in the kernel's order.
Result<std::optional<Segment>> find_address(const std::function<bool(const Segment&)>& fits) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return errno_error(errno, "this machine's addresses");
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> guard(list, ::freeifaddrs);
    for (const auto* i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) continue;
        const Segment here{::if_nametoindex(i->ifa_name), address_in(*i->ifa_addr)};
        if (here.index && !here.address.is_zero() && fits(here)) return std::optional(here);
    }
    return std::optional<Segment>();
}

std::string name_of(unsigned index) {
    char name[IF_NAMESIZE] = "";
    return ::if_indextoname(index, name) ? name : fmt::format("interface {}", index);
}

}  // namespace

SocketAddress::SocketAddress(bool v4, const IpEndpoint& place, unsigned index) {
    if (v4) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(place.port);
        in.sin_addr.s_addr = htonl(place.address.v4().value_or(Ipv4Address{}).value);
        std::memcpy(&storage_, &in, size_ = sizeof in);
    } else {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(place.port);
        std::memcpy(&in.sin6_addr, place.address.octets.data(), place.address.octets.size());
        in.sin6_scope_id = index;  // looked at for addresses of a link alone
        std::memcpy(&storage_, &in, size_ = sizeof in);
    }
}

IpAddress address_in(const sockaddr& place) {
    IpAddress out;
    if (place.sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &place, sizeof in);
        out = Ipv4Address{ntohl(in.sin_addr.s_addr)};
    } else if (place.sa_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &place, sizeof in);
        std::memcpy(out.octets.data(), &in.sin6_addr, out.octets.size());
    }
    return out;
}

Result<UniqueFd> udp_socket(bool v4) {
    UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return errno_error(errno, v4 ? "a UDP socket" : "a UDP socket of IPv6");
    return fd;
}

Result<IpEndpoint> own_address(int fd) {
    sockaddr_storage mine{};
    socklen_t size = sizeof mine;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &size) != 0) return errno_error(errno, "getsockname");
    // The port is at the same place in both.
    sockaddr_in port{};
    std::memcpy(&port, &mine, sizeof port);
    return IpEndpoint{address_in(reinterpret_cast<const sockaddr&>(mine)), ntohs(port.sin_port)};
}

Result<Segment> segment_towards(std::string_view peer) {
    const auto percent = peer.find('%');
    const auto address = IpAddress::parse(peer.substr(0, percent));
    if (!address || address->is_zero()) return make_error(errors::kNoSegment, "'{}' is no address", printable(peer));
    unsigned zone = 0;
    if (percent != std::string_view::npos) {
        const auto name = std::string(peer.substr(percent + 1));
        zone = ::if_nametoindex(name.c_str());
        if (!zone) zone = static_cast<unsigned>(parse_u64(name).value_or(0));
    }
    auto fd = TRY(udp_socket(address->is_v4()));
    const SocketAddress to(address->is_v4(), {*address, 9}, zone);  // nothing is sent
    if (::connect(fd.get(), to.get(), to.size()) != 0)
        return make_error(errors::kNoSegment, "there is no way to {}: {}", printable(peer), std::strerror(errno));
    const auto mine = TRY(own_address(fd.get())).address;
    if (zone) return Segment{zone, mine};
    return segment_of(mine);
}

Result<Segment> segment_of(const IpAddress& ours) {
    const auto found = TRY(find_address([&](const Segment& here) { return here.address == ours; }));
    if (!found) return make_error(errors::kNoSegment, "no interface of this machine has the address {}", ours.text());
    return *found;
}

Result<Segment> segment_in(bool v4, const Segment& there, bool beyond_the_link) {
    if (there.address.is_v4() == v4) return there;
    const auto fits = [&](const Segment& here) {
        return here.index == there.index && here.address.is_v4() == v4 &&
               (v4 || here.address.is_link_local() != beyond_the_link);
    };
    const auto found = TRY(find_address(fits));
    if (!found)
        return make_error(errors::kNoSegment, "{} has no {} address{}", name_of(there.index), v4 ? "IPv4" : "IPv6",
                          !v4 && beyond_the_link ? " that routers pass on" : "");
    return *found;
}

}  // namespace slipway::multicast
