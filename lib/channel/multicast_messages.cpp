// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/channel/multicast_messages.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "lib/channel/errors.hpp"

namespace slipway::channel {

namespace json = boost::json;

namespace {

class Fields {
public:
    explicit Fields(const json::object& object) : object_(object) {}
    std::string text(const char* name) {
        const auto* value = object_.if_contains(name);
        if (!value || !value->is_string()) return bad(name), "";
        return std::string(value->as_string());
    }
    std::uint64_t number(const char* name, std::uint64_t most) {
        const auto* value = object_.if_contains(name);
        if (!value || !value->is_number()) return bad(name), 0;
        boost::system::error_code failed;
        const auto number = value->to_number<std::uint64_t>(failed);
        if (failed || number > most) return bad(name), 0;
        return number;
    }
    bool flag(const char* name) {
        const auto* value = object_.if_contains(name);
        if (!value || !value->is_bool()) return bad(name), false;
        return value->as_bool();
    }
    IpAddress address(const char* name) {
        const auto address = IpAddress::parse(text(name));
        if (!address) bad(name);
        return address.value_or(IpAddress{});
    }
    bool has(const char* name) const { return object_.contains(name); }
    std::array<std::byte, 32> key(const char* name) {
        std::array<std::byte, 32> out{};
        const auto bytes = from_hex(text(name));
        if (!bytes || bytes->size() != out.size()) bad(name);
        else std::copy(bytes->begin(), bytes->end(), out.begin());
        return out;
    }
    Status status() const {
        if (wrong_.empty()) return {};
        return make_error(errors::kBadMessage, "member '{}' is missing or wrong", wrong_);
    }

private:
    void bad(const char* name) {
        if (wrong_.empty()) wrong_ = name;
    }
    const json::object& object_;
    std::string wrong_;
};

}  // namespace

std::string render(const MulticastInvitation& i) {
    json::object out{{"group", i.group.text()},
                     {"port", i.port},
                     {"sender", i.sender.text()},
                     {"report_port", i.report_port},
                     // JSON's numbers are not exact beyond 2^53.
                     {"session", fmt::format("{:016x}", i.session)},
                     {"number", i.number},
                     {"symbol_bytes", i.symbol_bytes},
                     {"clear", i.clear},
                     {"session_key", to_hex(i.session_key)},
                     {"own_key", to_hex(i.own_key)}};
    if (!i.you.is_zero()) out["you"] = i.you.text();
    return json::serialize(out);
}

Result<MulticastInvitation> parse_multicast_invitation(std::string_view text) {
    boost::system::error_code failed;
    const auto value = json::parse({text.data(), text.size()}, failed);
    if (failed || !value.is_object()) return make_error(errors::kBadMessage, "no JSON object");
    Fields fields(value.as_object());
    MulticastInvitation out;
    out.group = fields.address("group");
    out.port = static_cast<std::uint16_t>(fields.number("port", 65535));
    out.sender = fields.address("sender");
    out.report_port = static_cast<std::uint16_t>(fields.number("report_port", 65535));
    const auto session = from_hex(fields.text("session"));
    if (!session || session->size() != 8) return make_error(errors::kBadMessage, "the session is not 16 hex digits");
    out.session = ByteReader(*session).be64();
    out.number = static_cast<std::uint32_t>(fields.number("number", UINT32_MAX));
    out.symbol_bytes = static_cast<std::uint32_t>(fields.number("symbol_bytes", 9000));
    out.clear = fields.flag("clear");
    out.session_key = fields.key("session_key");
    out.own_key = fields.key("own_key");
    if (fields.has("you")) out.you = fields.address("you");
    TRY(fields.status());
    if (out.group.is_v4() != out.sender.is_v4())
        return make_error(errors::kBadMessage, "the group is {} and its sender {}", out.group.text(),
                          out.sender.text());
    if (out.number == 0 || out.symbol_bytes == 0) return make_error(errors::kBadMessage, "number or symbol_bytes is 0");
    return out;
}

std::string render_bitmap(const std::vector<bool>& bits) {
    std::string out((bits.size() + 7) / 8, '\0');
    for (std::size_t i = 0; i < bits.size(); ++i)
        if (bits[i]) out[i / 8] = static_cast<char>(out[i / 8] | 1 << (i % 8));
    return out;
}

Result<std::vector<bool>> parse_bitmap(std::string_view bytes, std::size_t count) {
    if (bytes.size() != (count + 7) / 8)
        return make_error(errors::kBadMessage, "a bitmap of {} bytes for {} chunks", bytes.size(), count);
    std::vector<bool> out(count);
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        const bool set = static_cast<unsigned char>(bytes[i / 8]) >> (i % 8) & 1;
        if (i < count) out[i] = set;
        else if (set) return make_error(errors::kBadMessage, "a bitmap says more than {} chunks", count);
    }
    return out;
}

}  // namespace slipway::channel
