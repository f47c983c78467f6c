// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever a client sends, the answer is one that our own parser reads, and it names nothing but what we serve.
#include <algorithm>
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = dhcp::parse_message(std::as_bytes(std::span(data, size)));
    if (!message) return 0;
    const auto facts = facts_of(*message);
    // What is told of it has no bytes that could drive a terminal.
    for (const EventDetail& detail :
         {EventDetail(heard_of(*message, 67, "br0")), EventDetail(overheard_of(*message, "br0"))})
        if (const auto text = describe(detail); printable(text) != text) std::abort();
    for (const auto action : {Action::Ignore, Action::LocalDisk, Action::Agent})
        for (const std::uint16_t http_port : {0, 8480}) {
            const BootServer server{*Ipv4Address::parse("10.99.0.1"), http_port};
            const auto choice = choose_boot(facts, action, server);
            if (!choice.answer) continue;
            if (action == Action::Ignore || !facts.is_boot_client()) std::abort();
            const auto& file = choice.answer->file;
            const bool loader =
                std::any_of(kArchs.begin(), kArchs.end(), [&](const ArchRow& r) { return r.loader == file; });
            if (!loader && !file.starts_with("http://10.99.0.1:8480/boot/") && !file.starts_with("boot/script/"))
                std::abort();
            for (const bool boot_server_port : {false, true})
                check_reply(*message, *choice.answer, boot_server_port, server);
        }
    return 0;
}
