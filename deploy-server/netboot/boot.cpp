// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/boot.hpp"

#include <algorithm>

#include "deploy-server/agents/agent_routes.hpp"
#include "deploy-server/api/answer.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "lib/base/log.hpp"
#include "lib/base/seldom.hpp"
#include "lib/base/strings.hpp"
#include "pxe/errors.hpp"
#include "pxe/script.hpp"
#include "tftp/errors.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

namespace fs = std::filesystem;

Result<BootImage> find_boot_image(const fs::path& root, const std::string& name) {
    auto content = tftp::open_below(root / "images", name);
    if (!content) return make_error(errors::kNoBootImage, "no boot image '{}'", printable(name));
    auto head = TRY(content->read(0, std::min<std::uint64_t>(content->size, pxe::kImageHead)));
    return BootImage{name, content->size, TRY_WITH(pxe::image_kind(head, content->size), name)};
}

std::vector<std::string> boot_image_names(const fs::path& root) {
    std::vector<std::string> out;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(root / "images", ec))
        if (entry.is_regular_file(ec) && !entry.is_symlink(ec)) out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
}

static Result<pxe::Decision> decision_of(const BootPlace& p, const DeviceRow& device) {
    auto boot = next_boot(device, p.settings->get());
    if (boot.action == pxe::Action::Agent && p.ramdisks)
        if (auto may = p.ramdisks->may_boot(device); !may)
            return pxe::Decision(pxe::Action::Ignore, may.error().describe());
    if (boot.action != pxe::Action::Image) return decision_for(device, boot, {});
    auto image = find_boot_image(p.root, device.pxe_image);
    if (!image) return pxe::Decision(pxe::Action::Ignore, image.error().describe());
    return decision_for(device, boot, image->kind);
}

Result<pxe::Decision> boot_decision(const BootPlace& p, const MacAddress& mac) {
    auto device = TRY(p.db.device_by_mac(mac));
    if (device) return decision_of(p, *device);
    auto settings = p.settings->get();
    if (p.newcomers && settings.unknown != "ignore") p.newcomers->met(mac);
    auto boot = next_boot_of_unknown(settings);
    return pxe::Decision(boot.action, boot.why);
}

// To the doctor.
static void given(const BootPlace& p, const MacAddress& mac, bool agent, std::string text) {
    if (p.trace) p.trace->note(mac, pxe::ScriptGiven{agent, std::move(text)});
}

static Result<std::string> agent_boot(const BootPlace& p, const DeviceRow& device, const MacAddress& mac,
                                      Ipv4Address server, ScriptFor whom) {
    pxe::AgentBoot boot;
    boot.server = server;
    boot.tls_port = p.ports->first;
    boot.http_port = p.ports->second;
    boot.mac = mac;
    boot.token = TRY(make_token(p.db, p.clock, device.id, mac.text()));
    boot.now = p.clock.wall();
    if (p.ramdisks) boot.ramdisk = p.ramdisks->choice(device);
    if (auto more = read_text_file(p.root / "cmdline", 4096)) boot.more = trim(*more);
    auto script = TRY(whom == ScriptFor::Grub ? pxe::agent_grub_script(boot) : pxe::agent_script(boot));
    log::info("server", "device {} ({}) boots the agent", device.name, mac.text());
    given(p, mac, true, fmt::format("kernel and '{}' for the agent", boot.ramdisk));
    return script;
}

static Result<std::string> image_boot(const BootPlace& p, const DeviceRow& device, const MacAddress& mac,
                                      pxe::ImageKind kind, Ipv4Address server, ScriptFor whom) {
    if (whom == ScriptFor::Grub)
        return make_error(pxe::errors::kIsoUnderSecureBoot, "device '{}' is started by GRUB", device.name);
    log::info("server", "device {} boots the image {}", device.name, device.pxe_image);
    given(p, mac, false, fmt::format("it boots the image {}", device.pxe_image));
    return pxe::image_script({server, p.ports->second, device.pxe_image, kind});
}

Result<std::string> boot_script(const BootPlace& p, const MacAddress& mac, Ipv4Address server, ScriptFor whom) {
    auto device = TRY(p.db.device_by_mac(mac));
    if (!device) return make_error(errors::kUnknownDevice, "no device has the MAC {}", mac.text());
    if (!device->controlled) return make_error(errors::kNotControlled, "device '{}'", device->name);
    auto decision = TRY(decision_of(p, *device));
    switch (decision.action) {
        case pxe::Action::Agent: return agent_boot(p, *device, mac, server, whom);
        case pxe::Action::Image: return image_boot(p, *device, mac, decision.image, server, whom);
        case pxe::Action::LocalDisk: {
            auto way = local_boot_of(*device);
            given(p, mac, false, "it leaves to the local disk");
            if (whom == ScriptFor::Grub) return pxe::local_disk_grub_script(way);
            return pxe::local_disk_script(way, server, p.ports->second);
        }
        default: return make_error(errors::kNetbootIgnored, "device '{}': {}", device->name, decision.why);
    }
}

namespace {

// A machine that is refused asks again every few seconds.
class Refusals {
public:
    explicit Refusals(const Clock& clock) : clock_(clock) {}
    void say(const MacAddress& mac, const std::string& whom, const Error& error) {
        std::lock_guard lock(mutex_);
        if (auto left_out = seldom_.due(mac, clock_.now()))
            log::warning("server", "refused a boot script to {}: {}{}", whom, error.describe(), *left_out);
    }

private:
    const Clock& clock_;
    std::mutex mutex_;  // guards seldom_
    Seldom seldom_;
};

}  // namespace

static Ipv4Address our_address(const BootPlace& p, const Request& r) {
    auto host = r.headers.get("Host");
    auto address = Ipv4Address::parse(std::string_view(host).substr(0, host.find(':')));
    return address ? *address : p.address.value_or(Ipv4Address{});
}

static Answer script(const BootPlace& p, Refusals& refusals, const Request& r, ScriptFor whom) {
    auto text = r.query_value("mac");
    auto mac = MacAddress::parse(text);
    if (!mac) return make_error(errors::kBadRequest, "'{}' is not a MAC address", printable(text));
    auto peer = Ipv4Address::parse(r.peer_address);
    auto script = boot_script(p, *mac, our_address(p, r), whom);
    // A boot begins with DHCP: who was not heard there, and is given nothing, pushes nobody out of the trace.
    const bool seen = p.trace && (script.ok() || p.trace->knows(*mac));
    if (seen && peer) p.trace->claim(*peer, *mac);
    if (!script) {
        if (seen) p.trace->note(*mac, pxe::Silence{"a boot script was refused: " + script.error().message()});
        refusals.say(*mac, fmt::format("{} ({})", mac->text(), r.peer_address), script.error());
        return std::move(script).error();
    }
    return Response::text(200, std::move(*script));
}

static Response file_response(const tftp::Content& content, std::string_view type = "application/octet-stream") {
    auto response = Response::text(200, content.text, std::string(type));
    if (content.file) response.file = http::FileBody{content.file, content.size};
    return response;
}

// What UEFI's HTTP boot makes of a file without a telling end is by its type (EDK2's HttpBootCheckImageType).
static std::string_view content_type(std::string_view name) {
    if (name.ends_with(".img")) return "application/vnd.efi-img";
    if (name.ends_with(".iso")) return "application/vnd.efi-iso";
    return "application/octet-stream";
}

void add_boot_routes(http::Router& router, const BootPlace& p) {
    auto refusals = std::make_shared<Refusals>(p.clock);  // both handlers'
    router.add("GET", "/boot/script",
               handler([p, refusals](const Request& r) { return script(p, *refusals, r, ScriptFor::Ipxe); }));
    router.add("GET", "/boot/grub.cfg",
               handler([p, refusals](const Request& r) { return script(p, *refusals, r, ScriptFor::Grub); }));
    router.add("GET", "/boot/kernel", handler([p](const Request&) -> Answer {
                   return file_response(TRY(tftp::open_below(p.root, "kernel")));
               }));
    router.add("GET", "/boot/ramdisk/{path...}", handler([p](const Request& r) -> Answer {
                   return file_response(TRY(tftp::open_below(p.root / "ramdisk", r.parameter("path"))));
               }));
    if (p.trace)
        router.add("GET", "/boot/trouble",
                   handler([trace = p.trace](const Request& r) { return note_trouble(*trace, r); }));
    router.add("GET", "/boot/images/{name}", handler([p](const Request& r) -> Answer {
                   return file_response(TRY(tftp::open_below(p.root / "images", r.parameter("name"))));
               }));
    router.add("GET", "/boot/loaders/{name}", handler([p](const Request& r) -> Answer {
                   auto name = r.parameter("name");
                   return file_response(TRY(pxe::open_loader(p.loaders, name, our_address(p, r))), content_type(name));
               }));
}

// "525400510001" as iPXE is told, "52:54:00:51:00:01" as GRUB has it in net_default_mac,
// "grub.cfg-01-52-54-00-51-00-01" as a GRUB asks that looks for its own file.
static std::optional<MacAddress> mac_in(std::string_view name) {
    constexpr std::string_view kOwnFile = "grub.cfg-01-";
    if (name.starts_with(kOwnFile)) name.remove_prefix(kOwnFile.size());
    return MacAddress::parse(name);
}

static Result<tftp::Content> boot_file(const BootPlace& p, Refusals& refusals, const std::string& name,
                                       Ipv4Address ours) {
    auto for_mac = [&](std::size_t prefix, ScriptFor whom) -> Result<tftp::Content> {
        auto mac = mac_in(std::string_view(name).substr(prefix));
        if (!mac) return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
        auto script = boot_script(p, *mac, ours, whom);
        if (!script) {
            refusals.say(*mac, mac->text(), script.error());
            return std::move(script).error();
        }
        return tftp::Content::of_text(std::move(*script));
    };
    if (name.starts_with("script/")) return for_mac(7, ScriptFor::Ipxe);
    if (name == "grub/grub.cfg") return tftp::Content::of_text(pxe::first_grub_script({ours}));
    if (name.starts_with("grub/")) return for_mac(5, ScriptFor::Grub);
    if (name.starts_with("loaders/")) return pxe::open_loader(p.loaders, name.substr(8), ours);
    if (name != "kernel" && !name.starts_with("ramdisk/") && !name.starts_with("images/"))
        return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
    return tftp::open_below(p.root, name);
}

void join_netboot(pxe::NetbootOptions& options, const BootPlace& p) {
    options.http_port = p.ports->second;
    options.loaders = p.loaders;
    options.trace = p.trace;
    options.decide = [p](const MacAddress& mac, const pxe::ClientFacts&) {
        auto decision = boot_decision(p, mac);
        return decision ? *decision : pxe::Decision(pxe::Action::Ignore, decision.error().describe());
    };
    auto refusals = std::make_shared<Refusals>(p.clock);  // copied with the function
    options.boot_file = [p, refusals](const std::string& name, const UdpEndpoint&, Ipv4Address ours) {
        return boot_file(p, *refusals, name, ours);
    };
}

}  // namespace slipway::server
