// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/trace.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::pxe {

using dhcp::Code;

namespace {

constexpr std::size_t kAddresses = 8;  // of one machine

template <class... Fs>
struct Each : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Each(Fs...) -> Each<Fs...>;  // clang 16 does not find it by itself

void cut(std::string& text) {
    if (text.size() > TraceStore::kText) text.resize(TraceStore::kText);
}

void cut_texts(EventDetail& detail) {
    std::visit(
        Each{[](Heard& h) {
                 cut(h.vendor_class);
                 cut(h.interface);
             },
             [](Overheard& o) {
                 cut(o.file);
                 cut(o.interface);
             },
             [](Answered& a) {
                 cut(a.file);
                 cut(a.why);
             },
             [](Silence& s) { cut(s.why); },
             [](Transfer& t) {
                 cut(t.file);
                 cut(t.why);
             },
             [](ScriptGiven& s) { cut(s.text); }, [](TlsRefused& t) { cut(t.why); }, [](Trouble& t) { cut(t.text); },
             [](Enrolment& e) {
                 cut(e.error);
                 cut(e.text);
             },
             [](Ready& r) { cut(r.version); }, [](Uploaded& u) { cut(u.file); }},
        detail);
}

std::string text_of(const Heard& h) {
    auto out = std::string(dhcp::name_of(h.type));
    if (h.port != 67) out += " to the boot server port";
    if (h.ipxe) out += " of iPXE";
    else if (h.boots) out += fmt::format(" of the firmware");
    else out += " of an operating system";
    if (h.boots && h.arch) {
        const auto* row = row_of(*h.arch);
        out +=
            row ? fmt::format(" ({})", row->name) : fmt::format(" (architecture {})", static_cast<unsigned>(*h.arch));
    }
    if (!h.relay.is_zero()) out += ", through the relay " + h.relay.text();
    if (!h.address.is_zero()) out += ", address " + h.address.text();
    if (!h.server.is_zero()) out += ", chose the DHCP server " + h.server.text();
    return out;
}

std::string text_of(const Overheard& o) {
    auto out = fmt::format("{} of {}", dhcp::name_of(o.type), o.server.text());
    if (!o.given.is_zero()) out += ", address " + o.given.text();
    if (o.pxe) out += ", as a PXE server";
    if (!o.file.empty()) out += fmt::format(", boot file '{}'", printable(o.file));
    if (!o.next_server.is_zero()) out += " from " + o.next_server.text();
    return out;
}

std::string text_of(const Transfer& t) {
    auto out = fmt::format("{} '{}' ", t.http ? "HTTP" : "TFTP", printable(t.file));
    auto size = t.size ? fmt::format(" of {}", human_bytes(t.size)) : std::string();
    auto rate = t.took.count() > 0 ? t.bytes * 1000 / static_cast<std::uint64_t>(t.took.count()) : 0;
    switch (t.stage) {
        case Stage::Begun: return out + "asked for" + (t.size ? ", " + human_bytes(t.size) : "");
        case Stage::Moving: out += fmt::format("at {}{}, {}/s", human_bytes(t.bytes), size, human_bytes(rate)); break;
        case Stage::Whole:
            out +=
                fmt::format("whole: {} in {:.1f} s", human_bytes(t.bytes), static_cast<double>(t.took.count()) / 1000);
            break;
        case Stage::Broken: out += fmt::format("broke off at byte {}{}: {}", t.bytes, size, printable(t.why)); break;
        case Stage::Refused: return out + "refused: " + printable(t.why);
    }
    if (t.lost_blocks) out += fmt::format(", {} of {} blocks were lost", t.lost_blocks, t.blocks);
    return out;
}

}  // namespace

std::string_view name_of(Stage stage) {
    switch (stage) {
        case Stage::Begun: return "begun";
        case Stage::Moving: return "moving";
        case Stage::Whole: return "whole";
        case Stage::Broken: return "broken";
        case Stage::Refused: return "refused";
    }
    return "?";
}

std::string_view kind_of(const EventDetail& detail) {
    return std::visit(Each{[](const Heard&) { return std::string_view("heard"); },
                           [](const Overheard&) { return std::string_view("overheard"); },
                           [](const Answered&) { return std::string_view("answered"); },
                           [](const Silence&) { return std::string_view("silence"); },
                           [](const Transfer&) { return std::string_view("transfer"); },
                           [](const ScriptGiven&) { return std::string_view("script"); },
                           [](const TlsRefused&) { return std::string_view("tls-refused"); },
                           [](const Trouble&) { return std::string_view("trouble"); },
                           [](const Enrolment&) { return std::string_view("enrolment"); },
                           [](const Ready&) { return std::string_view("ready"); },
                           [](const Uploaded&) { return std::string_view("uploaded"); }},
                      detail);
}

std::string describe(const EventDetail& detail) {
    return std::visit(
        Each{[](const Heard& h) { return text_of(h); }, [](const Overheard& o) { return text_of(o); },
             [](const Answered& a) { return "answered: " + printable(a.why); },
             [](const Silence& s) { return "not answered: " + printable(s.why); },
             [](const Transfer& t) { return text_of(t); },
             [](const ScriptGiven& s) { return "boot script: " + printable(s.text); },
             [](const TlsRefused& t) { return "TLS handshake failed: " + printable(t.why); },
             [](const Trouble& t) {
                 auto clock = t.clock ? " (its clock says " + iso8601(*t.clock) + ")" : std::string();
                 return "the agent is in trouble: " + printable(t.text) + clock;
             },
             [](const Enrolment& e) {
                 return e.error.empty() ? std::string("the agent is enrolled")
                                        : fmt::format("enrolment refused: {} [{}]", printable(e.text), e.error);
             },
             [](const Ready& r) { return fmt::format("ready: agent {} says hello", printable(r.version)); },
             [](const Uploaded& u) {
                 return fmt::format("uploaded '{}', {}", printable(u.file), human_bytes(u.bytes));
             }},
        detail);
}

Heard heard_of(const dhcp::Message& request, std::uint16_t port, const std::string& interface) {
    auto facts = facts_of(request);
    Heard out{request.type(),     port,      facts.is_boot_client(), facts.ipxe,     facts.arch,
              facts.vendor_class, interface, request.relay,          request.client, {}};
    if (out.address.is_zero()) out.address = request.options.address(Code::RequestedAddress);
    if (out.type == dhcp::MessageType::Request) out.server = request.options.address(Code::ServerId);
    return out;
}

Overheard overheard_of(const dhcp::Message& reply, const std::string& interface) {
    Overheard out{reply.type(), reply.options.address(Code::ServerId), reply.yours, reply.server, false, reply.file,
                  interface};
    if (out.file.empty()) out.file = reply.options.text(Code::BootFile);
    auto vendor = reply.options.text(Code::VendorClass);
    out.pxe = vendor.starts_with(kPxeClass) || vendor.starts_with(kHttpClass) || !out.file.empty();
    return out;
}

TraceStore::Machine& TraceStore::machine(const MacAddress& mac) {
    auto [it, made] = machines_.try_emplace(mac);
    if (made) {
        order_.push_front(mac);
        it->second.place = order_.begin();
        if (machines_.size() > limits_.machines) forget_one();
        return machines_.at(mac);
    }
    order_.splice(order_.begin(), order_, it->second.place);
    return it->second;
}

// Made-up addresses push out each other, and not the machines that fetched something.
void TraceStore::forget_one() {
    auto victim = std::find_if(order_.rbegin(), std::prev(order_.rend()),
                               [&](const MacAddress& m) { return !machines_.at(m).fetched; });
    if (victim == std::prev(order_.rend())) victim = order_.rbegin();
    auto mac = *victim;
    for (auto address : machines_.at(mac).addresses)
        if (auto it = owners_.find(address); it != owners_.end() && it->second == mac) owners_.erase(it);
    order_.erase(machines_.at(mac).place);
    machines_.erase(mac);
}

const BootEvent& TraceStore::add(const MacAddress& mac, WallTime time, EventDetail detail) {
    cut_texts(detail);
    auto& m = machine(mac);
    if (const auto* heard = std::get_if<Heard>(&detail); heard && !heard->address.is_zero())
        if (heard->type == dhcp::MessageType::Request || heard->type == dhcp::MessageType::Inform)
            claim(heard->address, mac);
    if (const auto* t = std::get_if<Transfer>(&detail)) {
        m.fetched = true;
        const auto* last = m.events.empty() ? nullptr : std::get_if<Transfer>(&m.events.back().detail);
        if (last && last->stage == Stage::Moving && t->file == last->file && t->http == last->http) m.events.pop_back();
    }
    if (m.events.size() >= limits_.events) m.events.erase(m.events.begin());
    m.events.push_back({next_id_++, time, mac, std::move(detail)});
    return m.events.back();
}

void TraceStore::claim(Ipv4Address address, const MacAddress& mac) {
    if (address.is_zero()) return;
    auto known = machines_.find(mac);  // a claim alone is no news: the order stays
    auto& m = known == machines_.end() ? machine(mac) : known->second;
    std::erase(m.addresses, address);
    m.addresses.push_back(address);
    owners_[address] = mac;
    if (m.addresses.size() <= kAddresses) return;
    if (auto it = owners_.find(m.addresses.front()); it != owners_.end() && it->second == mac) owners_.erase(it);
    m.addresses.erase(m.addresses.begin());
}

std::optional<MacAddress> TraceStore::owner(Ipv4Address address) const {
    auto it = owners_.find(address);
    return it == owners_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<BootEvent> TraceStore::of(const MacAddress& mac) const {
    auto it = machines_.find(mac);
    return it == machines_.end() ? std::vector<BootEvent>() : it->second.events;
}

std::vector<Ipv4Address> TraceStore::addresses(const MacAddress& mac) const {
    auto it = machines_.find(mac);
    return it == machines_.end() ? std::vector<Ipv4Address>() : it->second.addresses;
}

std::vector<MacAddress> TraceStore::machines() const { return {order_.begin(), order_.end()}; }

std::vector<BootEvent> TraceStore::after(std::uint64_t id, const std::optional<MacAddress>& mac,
                                         std::size_t limit) const {
    std::vector<BootEvent> out;
    auto take = [&](const Machine& m) {
        auto from = std::upper_bound(m.events.begin(), m.events.end(), id,
                                     [](std::uint64_t n, const BootEvent& e) { return n < e.id; });
        out.insert(out.end(), from, m.events.end());
    };
    if (mac) {
        if (auto it = machines_.find(*mac); it != machines_.end()) take(it->second);
    } else {
        for (const auto& m : order_) {  // the one heard last first: from here on nobody has news
            const auto& events = machines_.at(m).events;
            if (!events.empty() && events.back().id <= id) break;
            take(machines_.at(m));
        }
    }
    std::sort(out.begin(), out.end(), [](const BootEvent& a, const BootEvent& b) { return a.id < b.id; });
    if (out.size() > limit) out.resize(limit);
    return out;
}

}  // namespace slipway::pxe
