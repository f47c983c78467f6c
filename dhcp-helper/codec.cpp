// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/codec.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dhcp-helper/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::dhcp {

std::string_view name_of(MessageType type) {
    static constexpr std::array<std::string_view, 9> kNames{"BOOTP", "DISCOVER", "OFFER",   "REQUEST", "DECLINE",
                                                            "ACK",   "NAK",      "RELEASE", "INFORM"};
    auto index = static_cast<std::size_t>(type);
    return index < kNames.size() ? kNames[index] : "?";
}

const Bytes* OptionSet::find(std::uint8_t code) const {
    auto it = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.code == code; });
    return it == options_.end() ? nullptr : &it->data;
}

ByteView OptionSet::get(Code code) const {
    const auto* data = find(static_cast<std::uint8_t>(code));
    return data ? ByteView(*data) : ByteView();
}

std::string OptionSet::text(Code code) const {
    auto text = as_text(get(code));
    return std::string(text.substr(0, text.find('\0')));
}

std::optional<std::uint16_t> OptionSet::u16(Code code) const {
    ByteReader in(get(code));
    auto value = in.be16();
    return in.failed() ? std::nullopt : std::optional(value);
}

std::optional<std::uint32_t> OptionSet::u32(Code code) const {
    ByteReader in(get(code));
    auto value = in.be32();
    return in.failed() || !in.at_end() ? std::nullopt : std::optional(value);
}

Ipv4Address OptionSet::address(Code code) const { return {u32(code).value_or(0)}; }

void OptionSet::set(std::uint8_t code, ByteView data) {
    for (auto& o : options_)
        if (o.code == code) {
            o.data.assign(data.begin(), data.end());
            return;
        }
    options_.push_back({code, Bytes(data.begin(), data.end())});
}

void OptionSet::set(Code code, Ipv4Address address) { set_u32(code, address.value); }

void OptionSet::set_u32(Code code, std::uint32_t value) {
    ByteWriter out;
    out.be32(value);
    set(code, out.view());
}

void OptionSet::remove(std::uint8_t code) {
    std::erase_if(options_, [&](const Option& o) { return o.code == code; });
}

void OptionSet::append(std::uint8_t code, ByteView data) {
    for (auto& o : options_)
        if (o.code == code) {
            o.data.insert(o.data.end(), data.begin(), data.end());
            return;
        }
    options_.push_back({code, Bytes(data.begin(), data.end())});
}

MessageType Message::type() const {
    auto data = options.get(Code::MessageType);
    return data.size() == 1 ? static_cast<MessageType>(data[0]) : MessageType::None;
}

void Message::set_type(MessageType type) {
    std::byte value{static_cast<std::uint8_t>(type)};
    options.set(Code::MessageType, ByteView(&value, 1));
}

MacAddress Message::mac() const {
    MacAddress out;
    for (std::size_t i = 0; i < 6; ++i) out.octets[i] = std::to_integer<std::uint8_t>(hardware[i]);
    return out;
}

Status parse_options(ByteView bytes, OptionSet& into) {
    ByteReader in(bytes);
    while (!in.at_end()) {
        auto code = in.u8();
        if (code == static_cast<std::uint8_t>(Code::Pad)) continue;
        if (code == static_cast<std::uint8_t>(Code::End)) return {};
        auto data = in.take(in.u8());
        if (in.failed()) return make_error(errors::kPacket, "option {} runs past its field", code);
        into.append(code, data);
    }
    return {};  // quirk: some clients leave out End
}

Bytes encode_options(const OptionSet& options) {
    ByteWriter out;
    for (const auto& option : options.all()) {
        ByteView rest = option.data;
        do {  // RFC 3396 §7: 255 bytes a part
            auto part = rest.first(std::min<std::size_t>(255, rest.size()));
            out.u8(option.code).u8(static_cast<std::uint8_t>(part.size())).bytes(part);
            rest = rest.subspan(part.size());
        } while (!rest.empty());
    }
    out.u8(static_cast<std::uint8_t>(Code::End));
    return std::move(out).take();
}

static std::string up_to_nul(ByteView field) {
    auto text = as_text(field);
    return std::string(text.substr(0, text.find('\0')));
}

Result<Message> parse_message(ByteView bytes) {
    ByteReader in(bytes);
    Message m;
    m.op = static_cast<Op>(in.u8());
    m.hardware_type = in.u8();
    m.hardware_length = in.u8();
    m.hops = in.u8();
    m.xid = in.be32();
    m.seconds = in.be16();
    m.flags = in.be16();
    for (auto* address : {&m.client, &m.yours, &m.server, &m.relay}) address->value = in.be32();
    m.hardware = in.array<16>();
    auto sname = in.take(kSnameSize), file = in.take(kFileSize);
    auto cookie = in.be32();
    if (in.failed()) return make_error(errors::kPacket, "{} bytes are no DHCP message", bytes.size());
    if (m.op != Op::Request && m.op != Op::Reply)
        return make_error(errors::kPacket, "op {}", static_cast<unsigned>(m.op));
    if (cookie != kMagicCookie) return make_error(errors::kPacket, "no DHCP cookie");
    if (m.hardware_length > m.hardware.size())
        return make_error(errors::kPacket, "a hardware address of {} bytes", m.hardware_length);
    TRY(parse_options(bytes.subspan(in.offset()), m.options));
    auto data = m.options.get(Code::Overload);
    auto overload =
        data.size() == 1 ? std::to_integer<unsigned>(data[0]) : 0u;  // 1 file, 2 sname, 3 both: RFC 2132 §9.3
    if (overload & 1) TRY_WITH(parse_options(file, m.options), "in the overloaded file field");
    else m.file = up_to_nul(file);
    if (overload & 2) TRY_WITH(parse_options(sname, m.options), "in the overloaded sname field");
    else m.server_name = up_to_nul(sname);
    return m;
}

Bytes encode_message(const Message& m) {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(m.op)).u8(m.hardware_type).u8(m.hardware_length).u8(m.hops);
    out.be32(m.xid).be16(m.seconds).be16(m.flags);
    for (const auto* address : {&m.client, &m.yours, &m.server, &m.relay}) out.be32(address->value);
    out.bytes(m.hardware);
    out.text(std::string_view(m.server_name).substr(0, kSnameSize - 1)).pad_to(108);
    out.text(std::string_view(m.file).substr(0, kFileSize - 1)).pad_to(kFixedSize);
    out.be32(kMagicCookie).bytes(encode_options(m.options)).pad_to(kLeastSize);
    return std::move(out).take();
}

Message reply_to(const Message& request, MessageType type) {
    Message m;
    m.op = Op::Reply;
    m.hardware_type = request.hardware_type;
    m.hardware_length = request.hardware_length;
    m.xid = request.xid;
    m.flags = request.flags;
    m.relay = request.relay;
    m.hardware = request.hardware;
    m.set_type(type);
    return m;
}

namespace {

std::string value_text(Kind kind, ByteView data) {
    ByteReader in(data);
    switch (kind) {
        case Kind::U8:
            if (data.size() == 1) return std::to_string(in.u8());
            break;
        case Kind::U16:
            if (data.size() == 2) return std::to_string(in.be16());
            break;
        case Kind::U32:
            if (data.size() == 4) return std::to_string(in.be32());
            break;
        case Kind::Address:
            if (data.size() == 4) return Ipv4Address{in.be32()}.text();
            break;
        case Kind::Addresses: {
            if (data.empty() || data.size() % 4) break;
            std::vector<std::string> all;
            while (!in.at_end()) all.push_back(Ipv4Address{in.be32()}.text());
            return join(all, " ");
        }
        case Kind::Codes: {
            std::vector<std::string> all;
            while (!in.at_end()) all.push_back(std::to_string(in.u8()));
            return join(all, " ");
        }
        case Kind::Text: return "'" + printable(as_text(data)) + "'";
        case Kind::Hex: break;
    }
    return to_hex(data);
}

}  // namespace

std::string describe(const Message& m) {
    auto out = fmt::format("{} {} xid={:08x} secs={} flags={:04x} mac={}\n", m.op == Op::Request ? "request" : "reply",
                           name_of(m.type()), m.xid, m.seconds, m.flags, m.mac().text());
    auto address = [&](std::string_view name, Ipv4Address a) {
        if (!a.is_zero()) out += fmt::format("  {} {}\n", name, a.text());
    };
    address("ciaddr", m.client);
    address("yiaddr", m.yours);
    address("siaddr", m.server);
    address("giaddr", m.relay);
    if (!m.server_name.empty()) out += fmt::format("  sname '{}'\n", printable(m.server_name));
    if (!m.file.empty()) out += fmt::format("  file '{}'\n", printable(m.file));
    for (const auto& option : m.options.all()) {
        auto row =
            std::find_if(kOptions.begin(), kOptions.end(), [&](const OptionRow& r) { return r.code == option.code; });
        bool known = row != kOptions.end();
        out += fmt::format("  {} {} {}\n", option.code, known ? row->name : "option",
                           value_text(known ? row->kind : Kind::Hex, option.data));
    }
    return out;
}

}  // namespace slipway::dhcp
