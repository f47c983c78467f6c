// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/traces.hpp"

#include <algorithm>
#include <bit>

#include <arpa/inet.h>
#include <ifaddrs.h>

#include "gatherhw/reader.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/channel/messages.hpp"

namespace slipway::server {

using http::FileSending;
using http::Request;
using http::Response;
using pxe::Stage;

namespace {

std::string file_of(const Request& request) {
    return request.path.substr(std::min<std::size_t>(1, request.path.size()));
}

std::optional<Ipv4Address> peer_of(const Request& request) { return Ipv4Address::parse(request.peer_address); }

void note(pxe::TraceLog& log, const Request& request, pxe::EventDetail detail) {
    if (auto peer = peer_of(request)) log.note(*peer, std::move(detail));
}

unsigned bits_of(std::uint32_t mask) { return static_cast<unsigned>(std::popcount(mask)); }

std::vector<std::pair<Ipv4Address, unsigned>> subnets_of(const std::vector<pxe::Interface>& interfaces) {
    std::vector<std::pair<Ipv4Address, unsigned>> out;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return out;
    for (auto* i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET) continue;
        auto value = [](const sockaddr* a) { return ntohl(reinterpret_cast<const sockaddr_in*>(a)->sin_addr.s_addr); };
        bool ours = std::any_of(interfaces.begin(), interfaces.end(),
                                [&](const auto& mine) { return mine.name == i->ifa_name; });
        if (ours) out.emplace_back(Ipv4Address{value(i->ifa_addr)}, bits_of(value(i->ifa_netmask)));
    }
    ::freeifaddrs(all);
    return out;
}

// Of /sys/class/net; what the kernel does not say is left as not known.
pxe::LinkState link_of(const std::string& interface) {
    pxe::LinkState out{interface};
    auto base = "/sys/class/net/" + interface;
    if (auto speed = read_text_file(base + "/speed", 64))
        out.speed_mbit = static_cast<int>(std::min<std::uint64_t>(parse_u64(trim(*speed)).value_or(0), INT32_MAX));
    if (auto duplex = read_text_file(base + "/duplex", 64)) out.half_duplex = trim(*duplex) == "half";
    if (out.speed_mbit == INT32_MAX) out.speed_mbit = 0;  // -1 as an unsigned number: no link
    return out;
}

// Jobs that wait for a machine to boot: what is older is of another boot.
std::map<std::string, WallTime> awaited_boots(Database& db) {
    std::map<std::string, WallTime> out;
    auto jobs = db.unfinished_jobs();
    for (const auto& job : jobs ? *jobs : std::vector<JobRow>()) {
        if (job.device.empty()) continue;
        auto run = db.run_of(job.id);
        auto parsed = sequences::parse_sequence(job.sequence_xml);
        if (!run || !*run || !parsed) continue;
        const auto& steps = (*run)->record.steps;
        for (std::size_t i = 0; i < steps.size() && i < parsed->sequence.tasks.size(); ++i) {
            auto state = steps[i].state;
            bool runs = state == sequences::StepState::Dispatched || state == sequences::StepState::Running;
            if (runs && steps[i].started_ms && parsed->sequence.tasks[i].type == "boot-to-da")
                out[job.device] = from_unix_milliseconds(steps[i].started_ms);
        }
    }
    return out;
}

}  // namespace

std::optional<MacAddress> kernel_neighbour(Ipv4Address address) {
    auto table = read_text_file("/proc/net/arp", 4u << 20);
    return table ? pxe::neighbour_in(*table, address) : std::nullopt;
}

void note_file(pxe::TraceLog& log, const Request& request, const FileSending& sending) {
    if (!request.path.starts_with("/boot/")) return;
    pxe::Transfer t{.http = true, .file = file_of(request), .bytes = sending.position, .size = sending.size};
    t.took = sending.took;
    switch (sending.phase) {
        case FileSending::Phase::Begun:
            if (sending.position) return;  // the next range of it
            break;
        case FileSending::Phase::Moving: t.stage = Stage::Moving; break;
        case FileSending::Phase::Sent: t.stage = sending.position == sending.size ? Stage::Whole : Stage::Moving; break;
        case FileSending::Phase::Broken:
            t.stage = Stage::Broken;
            t.why = "the connection ended";
            break;
    }
    note(log, request, std::move(t));
}

void note_status(pxe::TraceLog& log, const Request& request, unsigned status) {
    // Who gets no script is noted where that is decided.
    if (status < 400 || !request.path.starts_with("/boot/") || request.path == "/boot/script" ||
        request.path == "/boot/trouble")
        return;
    pxe::Transfer t{.stage = Stage::Refused, .http = true, .file = file_of(request)};
    t.why = fmt::format("HTTP status {}", status);
    note(log, request, std::move(t));
}

void note_handshake_failure(pxe::TraceLog& log, const std::string& peer, const std::string& why) {
    if (auto address = Ipv4Address::parse(peer)) log.note(*address, pxe::TlsRefused{why});
}

void note_enrolment(pxe::TraceLog& log, const Request& request, const Answer& answer) {
    auto message = channel::parse_enroll(request.body);
    auto mac = message ? MacAddress::parse(message->mac) : std::nullopt;
    if (!mac) return;  // an administration agent boots nothing
    pxe::Enrolment seen;
    if (!answer) seen = {answer.error().name(), answer.error().message()};
    if (auto peer = peer_of(request)) log.claim(*peer, *mac);
    log.note(*mac, std::move(seen));
}

void note_hello(pxe::TraceLog& log, const DeviceRow& device, const Request& request, const std::string& version,
                bool deployment) {
    std::optional<MacAddress> mac;
    for (const auto& text : device.macs) {
        auto mine = MacAddress::parse(text);
        if (!mine) continue;
        auto addresses = log.addresses(*mine);
        bool here =
            peer_of(request) && std::find(addresses.begin(), addresses.end(), *peer_of(request)) != addresses.end();
        if (!mac || here) mac = mine;
    }
    if (!mac) return;
    if (auto peer = peer_of(request)) log.claim(*peer, *mac);
    if (deployment) log.note(*mac, pxe::Ready{version});
}

Answer note_trouble(pxe::TraceLog& log, const Request& request) {
    auto mac = MacAddress::parse(request.query_value("mac"));
    if (!mac) return Response::text(400, "no MAC address\n");
    pxe::Trouble seen{request.query_value("what"), std::nullopt};
    constexpr std::uint64_t kLastSecond = 253402300799;  // of the year 9999
    if (auto time = parse_u64(request.query_value("time")); time && *time <= kLastSecond)
        seen.clock = from_unix_milliseconds(static_cast<std::int64_t>(*time) * 1000);
    log.note(*mac, std::move(seen));
    return Response::empty();
}

BootKnowledge::BootKnowledge(const TracePlace& place) : place_(place), awaited_(awaited_boots(place.db)) {
    for (const auto& interface : place.interfaces) {
        common_.ours.push_back(interface.address);
        if (!interface.name.empty()) common_.links.push_back(link_of(interface.name));
    }
    common_.subnets = subnets_of(place.interfaces);
}

void BootKnowledge::add_inventory(const DeviceRow& device, const MacAddress& mac, pxe::BootContext& to) const {
    auto xml = place_.db.inventory(device.id);
    if (!xml || xml->empty()) return;
    auto read = gatherhw::read_inventory(*xml);
    if (!read) return;
    for (const auto& adapter : read->inventory.network) {
        if (adapter.pci)
            to.cards.push_back(fmt::format("{:04x}:{:04x}{}", adapter.pci->vendor, adapter.pci->device,
                                           adapter.driver.empty() ? "" : " (" + adapter.driver + ")"));
        if (MacAddress::parse(adapter.mac) != mac) continue;  // another card may well be in another subnet
        for (const auto& address : adapter.addresses)
            if (auto v4 = Ipv4Address::parse(address.address)) to.addresses.push_back(*v4);
    }
    if (place_.without_driver) to.without_driver = place_.without_driver(device, read->inventory);
}

pxe::BootContext BootKnowledge::of(const MacAddress& mac, bool inventory) const {
    auto out = common_;
    auto device = place_.db.device_by_mac(mac);
    if (device && *device) {
        out.known = true;
        out.controlled = (*device)->controlled;
        out.device = (*device)->name;
        if (inventory) add_inventory(**device, mac, out);
        if (auto it = awaited_.find(out.device); it != awaited_.end()) out.since = it->second;
    }
    auto seen = place_.log.addresses(mac);
    out.addresses.insert(out.addresses.end(), seen.begin(), seen.end());
    return out;
}

}  // namespace slipway::server
