// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/router_advert.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::uint8_t kSolicitation = 133, kAdvertisement = 134;
constexpr std::uint8_t kSourceLinkLayer = 1;  // §4.6.1
constexpr int kNeverForwarded = 255;          // §6.1.1: so it is from this link

}  // namespace

bool is_solicitation(ByteView icmp, const Ipv6Address& from, int hop_limit) {
    ByteReader in(icmp);
    auto type = in.u8(), code = in.u8();
    in.skip(2 + 4);  // checksum, reserved
    if (in.failed() || type != kSolicitation || code != 0 || hop_limit != kNeverForwarded) return false;
    while (!in.at_end()) {
        auto option = in.u8();
        std::size_t length = in.u8() * 8u;
        if (in.failed() || length == 0) return false;
        in.skip(length - 2);
        if (in.failed()) return false;
        if (option == kSourceLinkLayer && from == kUnspecified) return false;
    }
    return true;
}

Bytes empty_advertisement(const MacAddress& ours) {
    ByteWriter out;
    out.u8(kAdvertisement).u8(0).be16(0);
    out.u8(0).u8(0).be16(0).be32(0).be32(0);  // hop limit, flags (no DHCPv6), lifetime, reachable, retransmit
    out.u8(kSourceLinkLayer).u8(1);
    for (auto octet : ours.octets) out.u8(octet);
    return std::move(out).take();
}

}  // namespace slipway::dhcp
