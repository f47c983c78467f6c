// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/policy.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "pxe/errors.hpp"

namespace slipway::pxe {

using dhcp::Code;
using dhcp::MessageType;

const ArchRow* row_of(Arch arch) {
    auto number = static_cast<std::uint16_t>(arch);
    auto it = std::find_if(kArchs.begin(), kArchs.end(), [&](const ArchRow& r) { return r.number == number; });
    return it == kArchs.end() ? nullptr : &*it;
}

std::string_view name_of(Action action) { return kActionNames[static_cast<std::size_t>(action)]; }

std::optional<Action> action_from(std::string_view name) {
    auto it = std::find(kActionNames.begin(), kActionNames.end(), name);
    if (it == kActionNames.end()) return std::nullopt;
    return static_cast<Action>(it - kActionNames.begin());
}

std::string_view name_of(LocalBoot way) { return kLocalBootNames[static_cast<std::size_t>(way)]; }

LocalBoot local_boot_from(std::string_view name) {
    auto it = std::find(kLocalBootNames.begin(), kLocalBootNames.end(), name);
    return it == kLocalBootNames.end() ? LocalBoot::Auto : static_cast<LocalBoot>(it - kLocalBootNames.begin());
}

const QuirkRow* quirk_of(const FirmwareIs& firmware) {
    auto begins = [](std::string_view text, std::string_view with) {
        auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
        return text.size() >= with.size() && std::equal(with.begin(), with.end(), text.begin(), same);
    };
    auto fits = [&](const QuirkRow& row) {
        return row.uefi == firmware.uefi && begins(firmware.vendor, row.vendor) &&
               begins(firmware.product, row.product);
    };
    auto it = std::find_if(kQuirks.begin(), kQuirks.end(), fits);
    return it == kQuirks.end() ? nullptr : &*it;
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

Choice refuse(Error error) {
    Choice out;
    out.why = error.describe();
    out.refusal = std::move(error);
    return out;
}

namespace {

// What a machine's firmware cannot do with an image, whatever carries it there.
std::optional<Error> image_refused(const ArchRow& row, const Decision& d) {
    if (row.firmware != Firmware::Bios && d.image == ImageKind::Floppy)
        return make_error(errors::kFloppyOnUefi, "a floppy image cannot be booted by {}", row.name);
    return std::nullopt;
}

Choice choose_loader(const ClientFacts& client, const ArchRow& row, const Decision& d, const BootServer& server) {
    auto chain = choose_chain(row, d.secure_boot, d.loader);
    if (!chain) return refuse(std::move(chain).error());
    if (d.action == Action::Image && chain->kind == Chain::Kind::Grub)
        return refuse(make_error(errors::kIsoUnderSecureBoot, "{} with Secure Boot {} is started by GRUB", row.name,
                                 name_of(d.secure_boot)));
    if (row.medium == Medium::Pxe && !client.http)
        return {Answer{std::string(kPxeClass), chain->loader, false, chain->loader},
                fmt::format("{} gets {}", row.name, chain->loader),
                {}};
    if (server.http_port == 0) return refuse(make_error(errors::kNoHttp, "{} needs HTTP, which is off", row.name));
    auto url = fmt::format("http://{}:{}/boot/loaders/{}", server.address.text(), server.http_port, chain->loader);
    return {Answer{std::string(kHttpClass), url, true, chain->loader}, fmt::format("{} gets {}", row.name, url), {}};
}

}  // namespace

Choice choose_boot(const ClientFacts& client, const Decision& decision, const BootServer& server) {
    if (!client.is_boot_client()) return {{}, "it does not boot by network", {}};
    if (decision.action == Action::Ignore)
        return refuse(make_error(errors::kIgnored, "{}", decision.why.empty() ? "it is ignored" : decision.why));
    const auto* row = client.arch ? row_of(*client.arch) : nullptr;
    if (row && decision.action == Action::Image)
        if (auto refused = image_refused(*row, decision)) return refuse(std::move(*refused));
    if (client.ipxe)
        return {Answer{std::string(client.http ? kHttpClass : kPxeClass),
                       script_location(client.mac, server),
                       server.http_port != 0,
                       {}},
                "iPXE gets its script",
                {}};
    if (!client.arch) return refuse(make_error(errors::kNoArchitecture, "it does not say its architecture"));
    if (!row)
        return refuse(
            make_error(errors::kArchitecture, "architecture {} is unassigned", static_cast<unsigned>(*client.arch)));
    return choose_loader(client, *row, decision, server);
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
