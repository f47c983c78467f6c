// SPDX-License-Identifier: GPL-3.0-or-later
// The UDP sockets of a session, IPv4: the sender's, which sends to the group and hears the reports, and a receiver's,
// which has joined the group on one interface (IGMP by the kernel) and sends reports to whoever the datagrams come
// from.
#pragma once

#include <vector>

#include "lib/base/udp.hpp"

namespace slipway::multicast {

struct GroupAddress {
    Ipv4Address group;  // 224.0.0.0/4
    std::uint16_t port = 0;
};
bool is_group(Ipv4Address address);  // a multicast address, and none of 224.0.0.0/24, which routers keep on the link

// Our address on the way to `peer`: the interface that a group is on which it sends to. A machine without a default
// route has no interface for groups otherwise.
Result<Ipv4Address> address_towards(Ipv4Address peer);

class GroupSender {
public:
    // interface: this machine's address on the segment that the group is sent to; 0: as routed.
    static Result<GroupSender> open(const GroupAddress& to, Ipv4Address interface, unsigned ttl);
    int fd() const { return fd_.get(); }
    std::uint16_t port() const { return port_; }  // where reports arrive
    // A full queue of the interface is waited for by the caller: false then. Other errors are the packet's loss.
    bool send(ByteView packet);
    // One datagram, or none; the view is good until the next call.
    std::optional<ByteView> receive();

private:
    GroupSender(UniqueFd fd, std::uint16_t port, GroupAddress to) : fd_(std::move(fd)), port_(port), to_(to) {}
    UniqueFd fd_;
    std::uint16_t port_;
    GroupAddress to_;
    Bytes buffer_;
};

class GroupReceiver {
public:
    // buffer: what the kernel is asked to hold of datagrams that were not read yet.
    static Result<GroupReceiver> open(const GroupAddress& from, Ipv4Address interface, std::size_t buffer = 8u << 20);
    int fd() const { return fd_.get(); }
    // How many datagrams of this session's size the kernel holds for certain.
    std::size_t holds() const { return holds_; }
    // Datagrams that are there, at most 64; views are good until the next call.
    std::vector<ByteView> receive();
    void send(ByteView report, const UdpEndpoint& to);

private:
    GroupReceiver(UniqueFd fd, std::size_t holds) : fd_(std::move(fd)), holds_(holds), buffer_(64 * kSlot) {}
    static constexpr std::size_t kSlot = 9216;
    UniqueFd fd_;
    std::size_t holds_;
    Bytes buffer_;
};

}  // namespace slipway::multicast
