// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/dhcp_answer.hpp"

namespace slipway::pxe {

using dhcp::Code;

void add_boot_answer(const dhcp::Message& request, const Answer& answer, const BootServer& server,
                     dhcp::Message& reply) {
    // A proxyDHCP server answers DISCOVER on port 67 and everything else on the boot server port.
    auto boot = make_reply(request, request.type() != dhcp::MessageType::Discover, answer, server);
    if (!boot) return;
    reply.server = boot->server;
    reply.server_name = boot->server_name;
    reply.file = boot->file;
    for (const auto& option : boot->options.all()) {
        auto code = static_cast<Code>(option.code);
        if (code != Code::MessageType && code != Code::ServerId) reply.options.set(option.code, option.data);
    }
}

void return_relay_option(const dhcp::Message& request, dhcp::Message& reply) {
    auto agent = request.options.get(Code::RelayAgent);
    if (agent.empty()) return;
    reply.options.remove(static_cast<std::uint8_t>(Code::RelayAgent));
    reply.options.set(Code::RelayAgent, agent);
}

}  // namespace slipway::pxe
