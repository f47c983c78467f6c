// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever a client sends, the answer is one that our own parser reads, and it names nothing but what we serve.
#include <cstdlib>

#include "lib/base/strings.hpp"
#include "pxe/policy.hpp"
#include "pxe/trace.hpp"

using namespace slipway;
using namespace slipway::pxe;

namespace {

void check_reply(const dhcp::Message& request, const Answer& answer, bool boot_server_port, const BootServer& server) {
    const auto reply = make_reply(request, boot_server_port, answer, server);
    if (!reply) return;
    const auto again = dhcp::parse_message(dhcp::encode_message(*reply));
    if (!again || again->file != answer.file || again->server != server.address || again->mac() != request.mac())
        std::abort();
}

void check_choice(const dhcp::Message& message, const ClientFacts& facts, Action action, SecureBoot secure_boot,
                  std::uint16_t http_port) {
    Decision decision(action);
    decision.secure_boot = secure_boot;
    const BootServer server{*Ipv4Address::parse("10.99.0.1"), http_port};
    const auto choice = choose_boot(facts, decision, server);
    if (choice.answer.has_value() == choice.refusal.has_value() && facts.is_boot_client()) std::abort();
    if (!choice.answer) return;
    if (action == Action::Ignore || !facts.is_boot_client()) std::abort();
    const auto& file = choice.answer->file;
    if (!loader_row(file) && !file.starts_with("http://10.99.0.1:8480/boot/") && !file.starts_with("boot/script/"))
        std::abort();
    if (!choice.answer->loader.empty() && !loader_row(choice.answer->loader)) std::abort();
    for (const bool boot_server_port : {false, true}) check_reply(message, *choice.answer, boot_server_port, server);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = dhcp::parse_message(std::as_bytes(std::span(data, size)));
    if (!message) return 0;
    const auto facts = facts_of(*message);
    // What is told of it has no bytes that could drive a terminal.
    for (const EventDetail& detail :
         {EventDetail(heard_of(*message, 67, "br0")), EventDetail(overheard_of(*message, "br0"))})
        if (const auto text = describe(detail); printable(text) != text) std::abort();
    for (const auto action : {Action::Ignore, Action::LocalDisk, Action::Agent, Action::Image})
        for (const auto secure_boot : {SecureBoot::Unknown, SecureBoot::Off})
            for (const std::uint16_t http_port : {0, 8480})
                check_choice(*message, facts, action, secure_boot, http_port);
    return 0;
}
