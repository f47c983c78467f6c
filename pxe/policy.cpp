// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/policy.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::pxe {

using dhcp::Code;
using dhcp::MessageType;

const ArchRow* row_of(Arch arch) {
    auto it = std::find_if(kArchs.begin(), kArchs.end(), [&](const ArchRow& r) { return r.arch == arch; });
    return it == kArchs.end() ? nullptr : &*it;
}

namespace {

// Quirk: option 93 is missing from some ROMs of before RFC 4578, which have the number only in
// "PXEClient:Arch:00007:UNDI:003000".
std::optional<Arch> arch_of(const dhcp::OptionSet& options, const std::string& vendor_class) {
    if (auto number = options.u16(Code::ClientArch)) return static_cast<Arch>(*number);
    auto parts = split(vendor_class, ':');
    if (parts.size() < 3 || parts[1] != "Arch") return std::nullopt;
    auto number = parse_u64(parts[2]);
    if (!number || *number > 0xffff) return std::nullopt;
    return static_cast<Arch>(*number);
}

// Quirk: GUIDs of 16 bytes (without the type byte), of type 255 or all zero say nothing, and are not read.
std::optional<Uuid> guid_of(ByteView option) {
    if (option.size() != 17 || option[0] != std::byte{0} || all_zero(option)) return std::nullopt;
    return Uuid::from_guid(option.subspan<1, 16>());
}

}  // namespace

ClientFacts facts_of(const dhcp::Message& request) {
    ClientFacts facts;
    facts.mac = request.mac();
    facts.vendor_class = request.options.text(Code::VendorClass);
    // Quirk: on port 4011 iPXE's class is "PXEClient" alone, without the architecture.
    facts.pxe = facts.vendor_class.starts_with(kPxeClass);
    facts.http = facts.vendor_class.starts_with(kHttpClass);
    // Quirk: iPXE's user class lacks the length bytes of RFC 3004; with them it is iPXE as well.
    auto user_class = as_text(request.options.get(Code::UserClass));
    facts.ipxe = user_class == "iPXE" || user_class == "\4iPXE" || request.options.has(Code::Ipxe);
    facts.arch = arch_of(request.options, facts.vendor_class);
    facts.guid = guid_of(request.options.get(Code::ClientGuid));
    return facts;
}

std::string script_location(const MacAddress& mac, const BootServer& server) {
    if (server.http_port == 0) return "boot/script/" + mac.compact();
    // The MAC that asks, rather than iPXE's ${net0/mac}: the card it boots from need not be its first.
    return fmt::format("http://{}:{}/boot/script?mac={}", server.address.text(), server.http_port, mac.text());
}

Choice choose_boot(const ClientFacts& client, Action action, const BootServer& server) {
    if (!client.is_boot_client()) return {{}, "it does not boot by network"};
    if (action == Action::Ignore) return {{}, "no device under control has this MAC, or it has nothing to do"};
    std::string vendor_class(client.http ? kHttpClass : kPxeClass);
    if (client.ipxe)
        return {Answer{vendor_class, script_location(client.mac, server), server.http_port != 0},
                "iPXE gets its script"};
    if (!client.arch) return {{}, "it does not say its architecture"};
    const auto* row = row_of(*client.arch);
    if (!row) return {{}, fmt::format("architecture {} is unknown", static_cast<unsigned>(*client.arch))};
    if (row->loader.empty()) return {{}, fmt::format("there is no boot loader for {}", row->name)};
    if (row->medium == Medium::Pxe && !client.http)
        return {Answer{vendor_class, std::string(row->loader), false},
                fmt::format("{} gets {}", row->name, row->loader)};
    if (server.http_port == 0) return {{}, "it boots by HTTP only, and there is no HTTP server"};
    auto url = fmt::format("http://{}:{}/boot/ipxe/{}", server.address.text(), server.http_port, row->loader);
    return {Answer{std::string(kHttpClass), url, true}, fmt::format("{} gets {}", row->name, url)};
}

std::optional<dhcp::Message> make_reply(const dhcp::Message& request, bool boot_server_port, const Answer& answer,
                                        const BootServer& server) {
    auto type = request.type();
    bool ours =
        boot_server_port ? type == MessageType::Request || type == MessageType::Inform : type == MessageType::Discover;
    if (!ours) return std::nullopt;
    auto reply = dhcp::reply_to(request, boot_server_port ? MessageType::Ack : MessageType::Offer);
    if (boot_server_port) reply.client = request.client;
    reply.server = server.address;
    reply.file = answer.file;
    reply.options.set(Code::ServerId, server.address);
    reply.options.set(Code::VendorClass, answer.vendor_class);
    if (auto guid = request.options.get(Code::ClientGuid); guid.size() == 17) reply.options.set(Code::ClientGuid, guid);
    if (answer.vendor_class == kHttpClass) {
        reply.options.set(Code::BootFile, answer.file);  // UEFI 2.5 §23.7.2: the URI is read there
    } else {
        dhcp::OptionSet vendor;
        std::byte control{kUseOfferedFile};
        vendor.set(static_cast<std::uint8_t>(Suboption::DiscoveryControl), ByteView(&control, 1));
        reply.options.set(Code::VendorOptions, dhcp::encode_options(vendor));
    }
    return reply;
}

}  // namespace slipway::pxe
