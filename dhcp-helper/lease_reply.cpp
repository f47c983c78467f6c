// SPDX-License-Identifier: GPL-3.0-or-later
// What an answer says and where it goes.
#include <algorithm>

#include "dhcp-helper/lease_engine.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::size_t kHeaders = 28;        // IP and UDP
constexpr std::size_t kLeastMessage = 576;  // RFC 2131 §2: what every client takes

std::size_t size_on_wire(const OptionSet& options) {
    std::size_t size = kFixedSize + 4 + 1;  // cookie, End
    for (const auto& o : options.all())
        size += o.data.size() + 2 * std::max<std::size_t>(1, (o.data.size() + 254) / 255);
    return size;
}

void set_seconds(Message& reply, Code code, std::chrono::seconds value) {
    reply.options.set_u32(code, static_cast<std::uint32_t>(value.count()));
}

// The subnet's options that the client wants, first in its order of preference.
std::vector<Option> wanted(const Subnet& subnet, const Message& request) {
    std::vector<Option> out;
    auto add = [&](std::uint8_t code, ByteView data) { out.push_back({code, Bytes(data.begin(), data.end())}); };
    auto list = request.options.get(Code::ParameterList);
    if (list.empty()) return subnet.options;
    std::array<bool, 256> seen{};
    for (auto b : list) {
        auto code = std::to_integer<std::uint8_t>(b);
        if (std::exchange(seen[code], true)) continue;
        if (code == static_cast<std::uint8_t>(Code::Broadcast)) {
            ByteWriter w;
            w.be32(subnet.broadcast().value);
            add(code, w.view());
        }
        for (const auto& o : subnet.options)
            if (o.code == code) add(code, o.data);
    }
    return out;
}

}  // namespace

Send addressed(const Arrived& request, Message reply) {
    Send out{std::move(reply), {{0xffffffff}, kClientPort}, false, request.port, request.local};
    const auto& m = request.message;
    auto type = out.reply.type();
    if (!m.relay.is_zero()) {
        out.to = {m.relay, kServerPort};
        // §4.3.2: so that the relay broadcasts it; the client's address is not to be trusted.
        if (type == MessageType::Nak) out.reply.flags |= kBroadcastFlag;
    } else if (type == MessageType::Nak) {
        return out;
    } else if (type == MessageType::Ack && !m.client.is_zero()) {
        out.to.address = m.client;
    } else if (!(m.flags & kBroadcastFlag) && !out.reply.yours.is_zero()) {
        out.to.address = out.reply.yours;
        out.raw = true;
    }
    return out;
}

void fill_reply(const Subnet& subnet, const Arrived& request, std::chrono::seconds lease, Message& reply) {
    const auto& m = request.message;
    auto& options = reply.options;
    options.set(Code::ServerId, request.local);
    if (lease.count()) {
        set_seconds(reply, Code::LeaseSeconds, lease);
        set_seconds(reply, Code::RenewalSeconds, lease / 2);  // RFC 2131 §4.4.5: T1, T2
        set_seconds(reply, Code::RebindingSeconds, lease * 7 / 8);
    }
    options.set(Code::SubnetMask, subnet.mask());
    const auto* reserved = subnet.reserved(reply.yours.is_zero() ? m.client : reply.yours);
    if (reserved && reserved->mac == m.mac() && !reserved->host_name.empty())
        options.set(Code::HostName, reserved->host_name);

    OptionSet tail;
    if (auto id = m.options.get(Code::ClientId); !id.empty()) tail.set(Code::ClientId, id);
    if (auto agent = m.options.get(Code::RelayAgent); !agent.empty()) tail.set(Code::RelayAgent, agent);
    auto most = std::max<std::size_t>(m.options.u16(Code::MaxMessage).value_or(0), kLeastMessage) - kHeaders;
    auto size = size_on_wire(options) + size_on_wire(tail) - (kFixedSize + 5);
    for (const auto& o : wanted(subnet, m)) {
        OptionSet one;
        one.set(o.code, o.data);
        auto more = size_on_wire(one) - (kFixedSize + 5);
        if (options.find(o.code) || size + more > most) continue;
        options.set(o.code, o.data);
        size += more;
    }
    for (const auto& o : tail.all()) options.set(o.code, o.data);
}

}  // namespace slipway::dhcp
