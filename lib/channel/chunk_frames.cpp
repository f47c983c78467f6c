// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/channel/chunk_frames.hpp"

#include "lib/channel/errors.hpp"

namespace slipway::channel {

std::string render_ids(std::span<const Digest> ids) {
    std::string out;
    out.reserve(ids.size() * 32);
    for (const auto& id : ids) out += as_text(id.octets);
    return out;
}

Result<std::vector<Digest>> parse_ids(std::string_view body) {
    if (body.size() % 32 != 0 || body.size() / 32 > kMaxIds)
        return make_error(errors::kBadMessage, "a list of ids in {} bytes", body.size());
    ByteReader reader(as_bytes(body));
    std::vector<Digest> out(body.size() / 32);
    for (auto& id : out) id.octets = reader.array<32>();
    return out;
}

std::string render_flags(const std::vector<bool>& flags) {
    std::string out(flags.size(), '\0');
    for (std::size_t i = 0; i < flags.size(); ++i) out[i] = flags[i] ? 1 : 0;
    return out;
}

Result<std::vector<bool>> parse_flags(std::string_view body, std::size_t expected) {
    if (body.size() != expected) return make_error(errors::kBadMessage, "{} answers to {} ids", body.size(), expected);
    std::vector<bool> out(expected);
    for (std::size_t i = 0; i < expected; ++i) out[i] = body[i] != 0;
    return out;
}

void append_frame(std::string& body, const Digest& id, ByteView encoded) {
    ByteWriter prefix;
    prefix.bytes(id.octets).le32(static_cast<std::uint32_t>(encoded.size()));
    body += as_text(prefix.view());
    body += as_text(encoded);
}

Result<std::vector<Frame>> parse_frames(std::string_view body) {
    ByteReader reader(as_bytes(body));
    std::vector<Frame> out;
    while (!reader.at_end()) {
        Frame frame;
        frame.id.octets = reader.array<32>();
        auto length = reader.le32();
        if (reader.failed() || length == 0 || length > kMaxFrame)
            return make_error(errors::kBadMessage, "a chunk of {} bytes at byte {}", length, reader.offset());
        frame.encoded = reader.take(length);
        if (reader.failed()) return make_error(errors::kBadMessage, "the last chunk is cut");
        out.push_back(frame);
    }
    return out;
}

}  // namespace slipway::channel
