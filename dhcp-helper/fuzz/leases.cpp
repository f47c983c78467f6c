// SPDX-License-Identifier: GPL-3.0-or-later
// First byte 'J': the rest is a lease journal; what is read is written and read again as the same. Else: messages with
// 2 bytes of length each come in; what the server answers is well formed, and no lease is held twice.
#include <cstdlib>
#include <set>

#include "dhcp-helper/lease_engine.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

void journal(ByteView bytes) {
    auto found = read_journal(bytes);
    if (!found.ok()) return;
    if (found->good_size + found->torn != bytes.size() || found->skipped > bytes.size()) std::abort();
    ByteWriter out;
    out.text(kJournalMagic);
    for (const auto& lease : found->leases) out.bytes(encode_lease(lease));
    auto again = read_journal(out.view());
    if (!again.ok() || again->skipped || again->torn || again->leases.size() != found->leases.size()) std::abort();
}

ServerConfig config(bool probe) {
    ServerConfig c;
    c.interfaces = {"eth0"};
    c.addresses = {{0x0a000001}};
    auto subnet = subnet_from_text(
        "10.0.0.0/24,interface=eth0,range=10.0.0.2-10.0.0.9,reserve=52:54:00:12:34:56@10.0.0.5,routers=10.0.0.1");
    subnet->probe = probe;
    c.subnets = {*subnet};
    return check_config(std::move(c)).value();
}

void check(const Arrived& request, const Action& action) {
    const auto* send = std::get_if<Send>(&action);
    if (!send) return;
    auto bytes = encode_message(send->reply);
    auto read = parse_message(bytes);
    if (!read.ok() || read->op != Op::Reply || read->options.address(Code::ServerId).value != 0x0a000001) std::abort();
    if (send->raw && send->reply.yours.is_zero()) std::abort();
    // Only what the client or its relay sent itself may be long.
    auto own =
        request.message.options.get(Code::ClientId).size() + request.message.options.get(Code::RelayAgent).size();
    if (bytes.size() > 65507 + own) std::abort();
}

void conversation(ByteReader in) {
    ServerEngine engine(config(in.u8() & 1), {});
    UnixSeconds now = 1000;
    while (!in.at_end() && !in.failed()) {
        auto bytes = in.take(in.be16());
        now += in.u8();
        auto message = parse_message(bytes);
        if (!message.ok()) continue;
        Arrived request{std::move(*message), 0, {0x0a000001}, (now & 1) != 0};
        for (const auto& action : engine.handle(request, now)) {
            check(request, action);
            if (const auto* commit = std::get_if<Commit>(&action))
                for (const auto& more : engine.handle(Committed{commit->ticket, true}, now)) check(request, more);
            if (const auto* probe = std::get_if<Probe>(&action); probe && now % 3)
                engine.handle(Probed{probe->address, now % 3 == 1}, now);
        }
    }
    std::set<Ipv4Address> seen;
    for (const auto& lease : engine.leases())
        if (!seen.insert(lease.address).second || lease.client.size() > kLargestClientKey) std::abort();
    if (seen.size() > 8) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    auto bytes = std::as_bytes(std::span(data, size));
    if (data[0] == 'J') journal(bytes.subspan(1));
    else conversation(ByteReader(bytes));
    return 0;
}
