// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/packet_port.hpp"

#include <cerrno>
#include <cstring>

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/frame.hpp"
#include "lib/base/errors.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::uint16_t kEtherIp = 0x0800;
constexpr std::size_t kLargest = 4096;  // a DHCP message is below 1500
constexpr int kReceiveBuffer = 4 << 20;

// In the kernel, so that other traffic wakes nobody: UDP, no later fragment, to that port. Offsets are from the IP
// header on.
Status attach_filter(int fd, std::uint16_t port) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 6),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    sock_fprog program{sizeof code / sizeof *code, code};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return errno_error(errno, "a packet filter");
    return {};
}

// Heard from when it is bound, behind its filter.
Result<UniqueFd> open_listening(unsigned interface, std::uint16_t port) {
    UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return errno_error(errno, "a packet socket");
    TRY(attach_filter(fd.get(), port));
    int on = 1;
    if (::setsockopt(fd.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0)
        return errno_error(errno, "PACKET_AUXDATA");
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = htons(kEtherIp);
    where.sll_ifindex = static_cast<int>(interface);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0)
        return errno_error(errno, "binding a packet socket");
    return fd;
}

Result<UniqueFd> open_sending() {
    UniqueFd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));  // receives nothing
    int on = 1;
    if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on) != 0)
        return errno_error(errno, "a raw socket");
    return fd;
}

// Has the checksum been made, and not been looked at by the card?
bool wants_check(msghdr& message) {
    for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
        tpacket_auxdata aux;
        std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
        return !(aux.tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID));
    }
    return true;
}

}  // namespace

Result<PacketPort> PacketPort::open(const std::string& name, const UdpEndpoint& local) {
    auto interface = ::if_nametoindex(name.c_str());
    if (interface == 0) return make_error(errors::kListen, "no interface {}", name);
    auto in = TRY(open_listening(interface, local.port));
    auto out = TRY(open_sending());
    return PacketPort(std::move(in), std::move(out), interface, local);
}

Result<std::optional<Datagram>> PacketPort::receive() {
    for (;;) {
        std::byte buffer[kLargest];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
        sockaddr_ll from{};
        iovec part{buffer, sizeof buffer};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto got = ::recvmsg(fd(), &message, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<Datagram>();
        if (got < 0) return errno_error(errno, "receiving");
        if (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_OTHERHOST) continue;
        if (message.msg_flags & MSG_TRUNC) return make_error(errors::kPacket, "too long for DHCP");
        auto packet = TRY(read_udp(ByteView(buffer, static_cast<std::size_t>(got)), wants_check(message)));
        return std::optional(Datagram{Bytes(packet.data.begin(), packet.data.end()), packet.from, packet.to.address,
                                      local_.address, interface_});
    }
}

Status PacketPort::send(ByteView data, const UdpEndpoint& to) {
    auto bytes = write_udp(local_, to, data);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(to.address.value);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))]{};
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof address;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(interface_);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
    if (::sendmsg(out_.get(), &message, 0) < 0) return errno_error(errno, "sending to " + to.text());
    return {};
}

}  // namespace slipway::dhcp
