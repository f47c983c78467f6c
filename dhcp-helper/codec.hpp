// SPDX-License-Identifier: GPL-3.0-or-later
// DHCP messages to and from bytes. Reading joins the parts of long options (RFC 3396) and follows overload (option 52)
// into file and sname; writing never overloads, since boot ROMs read file and sname as what they are.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "dhcp-helper/wire.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::dhcp {

struct Option {
    std::uint8_t code = 0;
    Bytes data;
};

// TLV lists in the manner of RFC 2132: options and the suboptions of option 43.
class OptionSet {
public:
    const std::vector<Option>& all() const { return options_; }  // in order of first appearance
    bool has(Code code) const { return find(static_cast<std::uint8_t>(code)) != nullptr; }
    const Bytes* find(std::uint8_t code) const;
    ByteView get(Code code) const;      // empty when absent
    std::string text(Code code) const;  // up to the first NUL
    std::optional<std::uint16_t> u16(Code code) const;
    std::optional<std::uint32_t> u32(Code code) const;
    Ipv4Address address(Code code) const;  // 0 when absent or of another length

    void set(std::uint8_t code, ByteView data);
    void set(Code code, ByteView data) { set(static_cast<std::uint8_t>(code), data); }
    void set(Code code, std::string_view text) { set(code, as_bytes(text)); }
    void set(Code code, Ipv4Address address);
    void set_u32(Code code, std::uint32_t value);
    void remove(std::uint8_t code);
    void append(std::uint8_t code, ByteView data);  // RFC 3396: joined to what is there

private:
    std::vector<Option> options_;
};

struct Message {
    Op op = Op::Request;
    std::uint8_t hardware_type = 1, hardware_length = 6, hops = 0;
    std::uint32_t xid = 0;
    std::uint16_t seconds = 0, flags = 0;
    Ipv4Address client, yours, server, relay;  // ciaddr, yiaddr, siaddr, giaddr
    std::array<std::byte, 16> hardware{};      // chaddr
    std::string server_name, file;
    OptionSet options;

    MessageType type() const;
    void set_type(MessageType type);
    MacAddress mac() const;
};

// TLVs up to End or the end of bytes; an error when one runs past it.
Status parse_options(ByteView bytes, OptionSet& into);
Bytes encode_options(const OptionSet& options);  // with End

Result<Message> parse_message(ByteView bytes);
Bytes encode_message(const Message& message);  // padded to kLeastSize; server_name and file are cut to their fields

// A reply with what RFC 2131 table 3 copies from the request.
Message reply_to(const Message& request, MessageType type);

// Several readable lines.
std::string describe(const Message& message);

}  // namespace slipway::dhcp
