// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/codec.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"

namespace slipway::tftp {

namespace {

// Text up to its NUL; nullopt when there is none.
std::optional<std::string> take_text(ByteReader& in, ByteView all) {
    auto rest = as_text(all.subspan(in.offset()));
    auto end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    in.skip(end + 1);
    return std::string(rest.substr(0, end));
}

Result<OptionList> take_options(ByteReader& in, ByteView all) {
    OptionList options;
    while (!in.at_end()) {
        auto name = take_text(in, all);
        // Quirk: some firmware pads a request with zeros, which read as empty names.
        if (name && name->empty()) continue;
        auto value = name ? take_text(in, all) : std::nullopt;
        if (!value) return make_error(errors::kPacket, "an option without its end");
        if (options.size() == kMaxOptions) return make_error(errors::kPacket, "more than {} options", kMaxOptions);
        options.emplace_back(to_lower(*name), std::move(*value));
    }
    return options;
}

Result<Packet> take_request(ByteReader& in, ByteView all, bool write) {
    if (all.size() > kMaxRequest) return make_error(errors::kPacket, "a request of {} bytes", all.size());
    auto file = take_text(in, all);
    auto mode = file ? take_text(in, all) : std::nullopt;
    if (!mode || file->empty()) return make_error(errors::kPacket, "a request without file name or mode");
    auto options =
        TRY(take_options(in, all));  // not within the braces: g++ 12 leaks the members before it when it returns
    return Packet(Request{write, std::move(*file), to_lower(*mode), std::move(options)});
}

void put_text(ByteWriter& out, std::string_view text) { out.text(text).u8(0); }

void put_options(ByteWriter& out, const OptionList& options) {
    for (const auto& [name, value] : options) {
        put_text(out, name);
        put_text(out, value);
    }
}

struct Encoder {
    ByteWriter& out;
    void opcode(Opcode code) { out.be16(static_cast<std::uint16_t>(code)); }
    void operator()(const Request& r) {
        opcode(r.write ? Opcode::WriteRequest : Opcode::ReadRequest);
        put_text(out, r.file);
        put_text(out, r.mode);
        put_options(out, r.options);
    }
    void operator()(const Data& d) {
        opcode(Opcode::Data);
        out.be16(d.block).bytes(d.payload);
    }
    void operator()(const Ack& a) {
        opcode(Opcode::Ack);
        out.be16(a.block);
    }
    void operator()(const ErrorPacket& e) {
        opcode(Opcode::Error);
        out.be16(static_cast<std::uint16_t>(e.code));
        put_text(out, e.message);
    }
    void operator()(const OptionAck& o) {
        opcode(Opcode::OptionAck);
        put_options(out, o.options);
    }
};

}  // namespace

Result<Packet> parse_packet(ByteView bytes) {
    ByteReader in(bytes);
    auto opcode = static_cast<Opcode>(in.be16());
    if (in.failed()) return make_error(errors::kPacket, "{} bytes are no packet", bytes.size());
    switch (opcode) {
        case Opcode::ReadRequest: return take_request(in, bytes, false);
        case Opcode::WriteRequest: return take_request(in, bytes, true);
        case Opcode::OptionAck: return Packet(OptionAck{TRY(take_options(in, bytes))});
        default: break;
    }
    auto number = in.be16();
    if (in.failed()) return make_error(errors::kPacket, "a packet of {} bytes", bytes.size());
    switch (opcode) {
        case Opcode::Data: {
            auto payload = in.take(in.remaining());
            return Packet(Data{number, Bytes(payload.begin(), payload.end())});
        }
        case Opcode::Ack: return Packet(Ack{number});
        case Opcode::Error: {
            auto text = in.text(in.remaining());  // quirk: the last NUL is missing from several clients
            return Packet(ErrorPacket{static_cast<ErrorCode>(number), std::string(text.substr(0, text.find('\0')))});
        }
        default: return make_error(errors::kPacket, "opcode {}", static_cast<unsigned>(opcode));
    }
}

std::optional<std::uint64_t> value_of(const OptionList& options, const OptionRow& row) {
    auto found = std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.first == row.name; });
    auto value = found == options.end() ? std::nullopt : parse_u64(found->second);
    return value && *value >= row.least && *value <= row.most ? value : std::nullopt;
}

Bytes encode_packet(const Packet& packet) {
    ByteWriter out;
    std::visit(Encoder{out}, packet);
    return std::move(out).take();
}

Bytes encode_error(const ErrorPacket& error, std::size_t limit) {
    constexpr std::size_t kEmpty = kHeader + 1;
    auto text = error.message.substr(0, limit - std::min(limit, kEmpty));
    return encode_packet(ErrorPacket{error.code, std::move(text)});
}

std::array<std::byte, kHeader> data_header(std::uint16_t block) {
    return {std::byte{0}, static_cast<std::byte>(Opcode::Data), static_cast<std::byte>(block >> 8),
            static_cast<std::byte>(block)};
}

}  // namespace slipway::tftp
