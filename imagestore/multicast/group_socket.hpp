// SPDX-License-Identifier: GPL-3.0-or-later
// The UDP sockets of a session, of the group's family: the sender's, which sends to the group and hears the reports,
// and a receiver's, which has joined the group on one interface (IGMP or MLD by the kernel) and sends reports to
// whoever the datagrams come from.
#pragma once

#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/ip.hpp"
#include "lib/base/result.hpp"

namespace slipway::multicast {

struct GroupAddress {
    IpAddress group;
    std::uint16_t port = 0;
    std::string text() const { return IpEndpoint{group, port}.text(); }
};
// A multicast address that is free to be taken: of IPv4 none of 224.0.0.0/24, which routers keep on the link; of IPv6 a
// transient one (RFC 4291, 2.7: the others are assigned, as ff02::1 to all nodes) that leaves this machine.
bool is_group(const IpAddress& address);
// The groups of a server are as many, from a first one on.
inline constexpr std::uint32_t kGroups = 4096;
bool is_first_group(const IpAddress& address);

// Bytes of IP and UDP headers, for the pace.
constexpr unsigned headers_of(bool v4) { return v4 ? 20 + 8 : 40 + 8; }

// Where a group is sent or heard: an interface of this machine, and our address on it. A machine without a default
// route has no interface for groups otherwise. Errors of the three: multicast.no-segment.
struct Segment {
    unsigned index = 0;  // 0: as routed
    IpAddress address;   // none: any
};
// The one on the way to `peer`: "10.99.0.5", "fd00::5", "fe80::5%eth0".
Result<Segment> segment_towards(std::string_view peer);
// The one on which we have this address, with that address.
Result<Segment> segment_of(const IpAddress& ours);
// The same interface by an address of the other family, when `there` is not of the one that is asked for. IPv6 has
// two: on the link is the one that each machine of it can answer (a machine may have no other), beyond it one that
// routers pass on.
Result<Segment> segment_in(bool v4, const Segment& there, bool beyond_the_link);

// Of UDP, from first to last.
struct PortRange {
    std::uint16_t first = 0, last = 0;  // 0: any, as the kernel gives it
};

class GroupSender {
public:
    // on: of the group's family. reports: it takes the first of these that is free. Error: multicast.no-port.
    static Result<GroupSender> open(const GroupAddress& to, const Segment& on, unsigned ttl, PortRange reports = {});
    int fd() const { return fd_.get(); }
    std::uint16_t port() const { return port_; }  // where reports arrive
    // A full queue of the interface is waited for by the caller: false then. Other errors are the packet's loss.
    bool send(ByteView packet);
    // One datagram, or none; the view is good until the next call.
    std::optional<ByteView> receive();

private:
    GroupSender(UniqueFd fd, std::uint16_t port, GroupAddress to, unsigned index)
        : fd_(std::move(fd)), port_(port), to_(to), index_(index) {}
    UniqueFd fd_;
    std::uint16_t port_;
    GroupAddress to_;
    unsigned index_;
    Bytes buffer_;
};

class GroupReceiver {
public:
    // buffer: what the kernel is asked to hold of datagrams that were not read yet.
    static Result<GroupReceiver> open(const GroupAddress& from, const Segment& on, std::size_t buffer = 8u << 20);
    int fd() const { return fd_.get(); }
    // How many datagrams of this session's size the kernel holds for certain.
    std::size_t holds() const { return holds_; }
    // Datagrams that are there, at most 64; views are good until the next call.
    std::vector<ByteView> receive();
    void send(ByteView report, const IpEndpoint& to);
    // Leaves the group or joins it again; what has come before stays to be read.
    Status listen(bool on);

private:
    GroupReceiver(UniqueFd fd, const GroupAddress& from, std::size_t holds, unsigned index)
        : fd_(std::move(fd)), from_(from), holds_(holds), index_(index), buffer_(64 * kSlot) {}
    static constexpr std::size_t kSlot = 9216;
    UniqueFd fd_;
    GroupAddress from_;
    std::size_t holds_;
    unsigned index_;
    Bytes buffer_;
};

}  // namespace slipway::multicast
