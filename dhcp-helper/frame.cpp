// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/frame.hpp"

#include "dhcp-helper/errors.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::size_t kIpHeader = 20, kUdpHeader = 8;
constexpr std::uint8_t kUdp = 17, kTimeToLive = 64;
constexpr std::uint16_t kFragment = 0x3fff;  // more to come, or not the first

// RFC 1071, over parts that are of even length but for the last.
std::uint32_t add_words(std::uint32_t sum, ByteView bytes) {
    ByteReader in(bytes);
    while (in.remaining() >= 2) sum += in.be16();
    if (in.remaining() == 1) sum += std::uint32_t{in.u8()} << 8;
    return sum;
}

std::uint16_t folded(std::uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// RFC 768's pseudo header.
std::uint32_t pseudo_sum(Ipv4Address from, Ipv4Address to, std::size_t length) {
    auto halves = [](Ipv4Address a) { return (a.value >> 16) + (a.value & 0xffff); };
    return halves(from) + halves(to) + kUdp + static_cast<std::uint32_t>(length);
}

Error bad(std::string_view what) { return make_error(errors::kPacket, "{}", what); }

}  // namespace

Result<UdpPacket> read_udp(ByteView packet, bool check_sum) {
    ByteReader in(packet);
    auto first = in.u8();
    in.skip(1);
    std::size_t total = in.be16();
    in.skip(2);
    auto fragment = in.be16();
    in.skip(1);
    auto protocol = in.u8();
    in.skip(2);
    UdpPacket out;
    out.from.address = {in.be32()};
    out.to.address = {in.be32()};
    std::size_t header = (first & 0xfu) * 4u;
    if (in.failed() || first >> 4 != 4 || header < kIpHeader) return bad("no IPv4 header");
    // A frame's padding may follow.
    if (total > packet.size() || total < header + kUdpHeader) return bad("an IPv4 packet cut short");
    if (protocol != kUdp || (fragment & kFragment)) return bad("not a whole UDP datagram");
    if (folded(add_words(0, packet.first(header))) != 0) return bad("a wrong IPv4 checksum");
    auto udp = packet.subspan(header, total - header);
    ByteReader ports(udp);
    out.from.port = ports.be16();
    out.to.port = ports.be16();
    std::size_t length = ports.be16();
    auto sum = ports.be16();
    if (length < kUdpHeader || length > udp.size()) return bad("a wrong UDP length");
    if (check_sum && sum != 0 &&
        folded(add_words(pseudo_sum(out.from.address, out.to.address, length), udp.first(length))) != 0)
        return bad("a wrong UDP checksum");
    out.data = udp.subspan(kUdpHeader, length - kUdpHeader);
    return out;
}

Bytes write_udp(const UdpEndpoint& from, const UdpEndpoint& to, ByteView data) {
    const auto length = kUdpHeader + data.size();
    auto ip = [&](std::uint16_t sum) {
        ByteWriter w;
        w.u8(0x45).u8(0).be16(static_cast<std::uint16_t>(kIpHeader + length)).be16(0).be16(0);
        w.u8(kTimeToLive).u8(kUdp).be16(sum).be32(from.address.value).be32(to.address.value);
        return std::move(w).take();
    };
    auto udp = [&](std::uint16_t sum) {
        ByteWriter w;
        w.be16(from.port).be16(to.port).be16(static_cast<std::uint16_t>(length)).be16(sum).bytes(data);
        return std::move(w).take();
    };
    auto sum = folded(add_words(pseudo_sum(from.address, to.address, length), udp(0)));
    ByteWriter out;
    out.bytes(ip(folded(add_words(0, ip(0))))).bytes(udp(sum ? sum : 0xffff));  // RFC 768: 0 says that there is none
    return std::move(out).take();
}

}  // namespace slipway::dhcp
