// SPDX-License-Identifier: GPL-3.0-or-later
// DHCP on the wire: RFC 2131 (messages), RFC 2132 (options), RFC 3004 (user class), RFC 3396 (long options), RFC 4578
// (PXE).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace slipway::dhcp {

inline constexpr std::uint16_t kServerPort = 67;
inline constexpr std::uint16_t kClientPort = 68;
inline constexpr std::uint16_t kBootServerPort = 4011;     // PXE 2.1 §2.2.2
inline constexpr std::uint32_t kMagicCookie = 0x63825363;  // RFC 2131 §3
inline constexpr std::uint16_t kBroadcastFlag = 0x8000;    // RFC 2131 figure 2
inline constexpr std::size_t kFixedSize = 236;             // before the cookie
inline constexpr std::size_t kLeastSize = 300;             // RFC 1542 §2.1: BOOTP relays drop shorter ones
inline constexpr std::size_t kSnameSize = 64, kFileSize = 128;

enum class Op : std::uint8_t { Request = 1, Reply = 2 };

enum class MessageType : std::uint8_t {  // option 53, RFC 2132 §9.6
    None = 0,
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
};

enum class Code : std::uint8_t {
    Pad = 0,
    SubnetMask = 1,
    HostName = 12,
    Broadcast = 28,
    VendorOptions = 43,
    RequestedAddress = 50,
    LeaseSeconds = 51,
    Overload = 52,
    MessageType = 53,
    ServerId = 54,
    ParameterList = 55,
    Text = 56,
    MaxMessage = 57,
    RenewalSeconds = 58,
    RebindingSeconds = 59,
    VendorClass = 60,
    ClientId = 61,
    BootFile = 67,
    UserClass = 77,
    RelayAgent = 82,
    ClientArch = 93,
    ClientInterface = 94,
    ClientGuid = 97,
    Ipxe = 175,
    End = 255,
};

enum class Kind { Hex, U8, U16, U32, Address, Addresses, Text, Codes };

struct OptionRow {
    std::uint8_t code;
    std::string_view name;
    Kind kind;
};
inline constexpr std::array kOptions = std::to_array<OptionRow>({
    {1, "subnet-mask", Kind::Address},         // RFC 2132 §3.3
    {3, "routers", Kind::Addresses},           // §3.5
    {6, "name-servers", Kind::Addresses},      // §3.8
    {12, "host-name", Kind::Text},             // §3.14
    {15, "domain-name", Kind::Text},           // §3.17
    {17, "root-path", Kind::Text},             // §3.19
    {26, "interface-mtu", Kind::U16},          // §5.1
    {28, "broadcast", Kind::Address},          // §5.3
    {42, "ntp-servers", Kind::Addresses},      // §8.3
    {43, "vendor-options", Kind::Hex},         // §8.4
    {50, "requested-address", Kind::Address},  // §9.1
    {51, "lease-seconds", Kind::U32},          // §9.2
    {52, "overload", Kind::U8},                // §9.3
    {53, "message-type", Kind::U8},            // §9.6
    {54, "server-id", Kind::Address},          // §9.7
    {55, "parameter-list", Kind::Codes},       // §9.8
    {57, "max-message", Kind::U16},            // §9.10
    {58, "renewal-seconds", Kind::U32},        // §9.11
    {59, "rebinding-seconds", Kind::U32},      // §9.12
    {60, "vendor-class", Kind::Text},          // §9.13
    {61, "client-id", Kind::Hex},              // §9.14
    {66, "server-name", Kind::Text},           // §9.4
    {67, "boot-file", Kind::Text},             // §9.5
    {77, "user-class", Kind::Text},            // RFC 3004; iPXE sends it without the length bytes
    {82, "relay-agent", Kind::Hex},            // RFC 3046
    {93, "client-arch", Kind::U16},            // RFC 4578 §2.1
    {94, "client-interface", Kind::Hex},       // §2.2
    {97, "client-guid", Kind::Hex},            // §2.3
    {119, "domain-search", Kind::Hex},         // RFC 3397
    {121, "classless-routes", Kind::Hex},      // RFC 3442
    {150, "tftp-servers", Kind::Addresses},    // RFC 5859
    {175, "ipxe", Kind::Hex},                  // iPXE's own
});

std::string_view name_of(MessageType type);

}  // namespace slipway::dhcp
