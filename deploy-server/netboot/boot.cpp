// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/boot.hpp"

#include "deploy-server/agents/agent_routes.hpp"
#include "deploy-server/api/answer.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "pxe/script.hpp"
#include "tftp/errors.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

Result<pxe::Action> boot_decision(Database& db, const MacAddress& mac) {
    auto device = TRY(db.device_by_mac(mac));
    if (!device || !device->controlled) return pxe::Action::Ignore;
    return device->boot_action == "da" ? pxe::Action::Agent : pxe::Action::LocalDisk;
}

// A ramdisk made for this device wins over the one for all.
static std::string ramdisk_for(const BootPlace& p, const std::string& device) {
    return tftp::open_below(p.root, "ramdisk/" + device).ok() ? "ramdisk/" + device : "ramdisk/default";
}

Result<std::string> boot_script(const BootPlace& p, const MacAddress& mac, Ipv4Address server) {
    auto device = TRY(p.db.device_by_mac(mac));
    if (!device) return make_error(errors::kUnknownDevice, "no device has the MAC {}", mac.text());
    if (!device->controlled) return make_error(errors::kNotControlled, "device '{}'", device->name);
    auto given = [&](bool agent, std::string text) {
        if (p.trace) p.trace->note(mac, pxe::ScriptGiven{agent, std::move(text)});
    };
    if (device->boot_action != "da") {
        given(false, "it leaves to the local disk");
        return pxe::local_disk_script();
    }
    pxe::AgentBoot boot;
    boot.server = server;
    boot.tls_port = p.ports->first;
    boot.http_port = p.ports->second;
    boot.mac = mac;
    boot.token = TRY(make_token(p.db, p.clock, device->id, mac.text()));
    boot.now = p.clock.wall();
    boot.ramdisk = ramdisk_for(p, device->name);
    if (auto more = read_text_file(p.root / "cmdline", 4096)) boot.more = trim(*more);
    log::info("server", "device {} ({}) boots the agent", device->name, mac.text());
    auto text = TRY(pxe::agent_script(boot));
    given(true, fmt::format("kernel and '{}' for the agent", boot.ramdisk));
    return text;
}

static Ipv4Address our_address(const BootPlace& p, const Request& r) {
    auto host = r.headers.get("Host");
    auto address = Ipv4Address::parse(std::string_view(host).substr(0, host.find(':')));
    return address ? *address : p.address.value_or(Ipv4Address{});
}

static Answer script(const BootPlace& p, const Request& r) {
    auto text = r.query_value("mac");
    auto mac = MacAddress::parse(text);
    if (!mac) return make_error(errors::kBadRequest, "'{}' is not a MAC address", printable(text));
    auto peer = Ipv4Address::parse(r.peer_address);
    if (p.trace && peer) p.trace->claim(*peer, *mac);
    auto script = boot_script(p, *mac, our_address(p, r));
    if (!script) {
        if (p.trace) p.trace->note(*mac, pxe::Silence{"a boot script was refused: " + script.error().message()});
        log::warning("server", "refused a boot script to {}: {}", r.peer_address, script.error().describe());
        return std::move(script).error();
    }
    return Response::text(200, std::move(*script));
}

static Response file_response(const tftp::Content& content) {
    auto response = Response::text(200, content.text, "application/octet-stream");
    if (content.file) response.file = http::FileBody{content.file, content.size};
    return response;
}

void add_boot_routes(http::Router& router, const BootPlace& p) {
    router.add("GET", "/boot/script", handler([p](const Request& r) { return script(p, r); }));
    router.add("GET", "/boot/kernel", handler([p](const Request&) -> Answer {
                   return file_response(TRY(tftp::open_below(p.root, "kernel")));
               }));
    router.add("GET", "/boot/ramdisk/{path...}", handler([p](const Request& r) -> Answer {
                   return file_response(TRY(tftp::open_below(p.root, "ramdisk/" + r.parameter("path"))));
               }));
    if (p.trace)
        router.add("GET", "/boot/trouble",
                   handler([trace = p.trace](const Request& r) { return note_trouble(*trace, r); }));
    router.add("GET", "/boot/ipxe/{name}", handler([p](const Request& r) -> Answer {
                   return file_response(TRY(pxe::NetbootService::open_loader(p.loaders, r.parameter("name"))));
               }));
}

void join_netboot(pxe::NetbootOptions& options, const BootPlace& p) {
    auto address = options.interfaces.empty() ? Ipv4Address{} : options.interfaces.front().address;
    options.http_port = p.ports->second;
    options.loaders = p.loaders;
    options.trace = p.trace;
    options.decide = [p](const MacAddress& mac, const pxe::ClientFacts&) {
        auto action = boot_decision(p.db, mac);
        return action ? *action : pxe::Action::Ignore;
    };
    options.boot_file = [p, address](const std::string& name, const UdpEndpoint&) -> Result<tftp::Content> {
        if (name.starts_with("script/")) {
            auto mac = MacAddress::parse(std::string_view(name).substr(7));
            if (!mac) return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
            return tftp::Content::of_text(TRY(boot_script(p, *mac, address)));
        }
        if (name != "kernel" && !name.starts_with("ramdisk/"))
            return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
        return tftp::open_below(p.root, name);
    };
}

}  // namespace slipway::server
