// SPDX-License-Identifier: GPL-3.0-or-later
// A server engine, clients that talk to it, and a disk that is as good as the test wants.
#pragma once

#include <gtest/gtest.h>

#include "dhcp-helper/lease_engine.hpp"

namespace slipway::dhcp::test {

inline Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }
inline const Ipv4Address kUs = ip("10.0.0.1");

inline ServerConfig small_config(std::string_view extra = ",probe=no") {
    ServerConfig c;
    c.interfaces = {"eth0", "eth1"};
    c.addresses = {kUs, ip("10.0.1.1")};
    for (auto text : {"10.0.0.0/24,interface=eth0,range=10.0.0.10-10.0.0.12,reserve=52:54:00:00:00:99@10.0.0.99,"
                      "lease=600,routers=10.0.0.1,name-servers=10.0.0.1+10.0.0.2,domain-name=lab.test",
                      "10.0.1.0/24,interface=eth1,range=10.0.1.10-10.0.1.20", "10.9.0.0/16,range=10.9.0.10-10.9.0.20"})
        c.subnets.push_back(subnet_from_text(std::string(text) + std::string(extra)).value());
    return check_config(std::move(c)).value();
}

struct Asker {
    std::uint8_t number = 1;
    std::string id;     // option 61
    Ipv4Address relay;  // giaddr
    std::size_t port = 0;

    MacAddress mac() const { return {{0x52, 0x54, 0, 0, 0, number}}; }
    Arrived say(MessageType type) const {
        Arrived a{{}, port, port ? ip("10.0.1.1") : kUs, relay.is_zero()};
        a.message.xid = 0x1000u + number;
        a.message.relay = relay;
        auto octets = mac().octets;
        for (std::size_t i = 0; i < 6; ++i) a.message.hardware[i] = std::byte{octets[i]};
        a.message.set_type(type);
        if (!id.empty()) a.message.options.set(Code::ClientId, id);
        return a;
    }
    Arrived discover() const { return say(MessageType::Discover); }
    Arrived select(Ipv4Address wanted, Ipv4Address server = kUs) const {
        auto a = say(MessageType::Request);
        a.message.options.set(Code::ServerId, server);
        a.message.options.set(Code::RequestedAddress, wanted);
        return a;
    }
    Arrived init_reboot(Ipv4Address wanted) const {
        auto a = say(MessageType::Request);
        a.message.options.set(Code::RequestedAddress, wanted);
        return a;
    }
    Arrived renew(Ipv4Address has) const {
        auto a = say(MessageType::Request);
        a.message.client = has;
        a.broadcast = false;
        return a;
    }
    Arrived rebind(Ipv4Address has) const {
        auto a = renew(has);
        a.broadcast = true;
        return a;
    }
    Arrived decline(Ipv4Address address) const {
        auto a = select(address);
        a.message.set_type(MessageType::Decline);
        return a;
    }
    Arrived release(Ipv4Address has) const {
        auto a = renew(has);
        a.message.set_type(MessageType::Release);
        a.message.options.set(Code::ServerId, kUs);
        return a;
    }
    Arrived inform(Ipv4Address has) const {
        auto a = rebind(has);
        a.message.set_type(MessageType::Inform);
        return a;
    }
};

struct Lab {
    ServerEngine engine;
    UnixSeconds now = 1'000'000;
    bool disk_works = true;
    std::vector<Send> sent;
    std::vector<Probe> probes;
    std::vector<Lease> stored;
    std::vector<std::string> notes;

    explicit Lab(ServerConfig config = small_config(), const std::vector<Lease>& leases = {})
        : engine(std::move(config), leases) {}

    // What came of the event: "OFFER 10.0.0.10", "ACK …", "NAK", "-".
    std::string operator()(const Event& event) {
        sent.clear();
        take(engine.handle(event, now));
        std::string out;
        for (const auto& s : sent) {
            out += out.empty() ? "" : " ";
            out += name_of(s.reply.type());
            if (!s.reply.yours.is_zero()) out += " " + s.reply.yours.text();
        }
        return out.empty() ? "-" : out;
    }
    void take(std::vector<Action> actions) {
        std::uint64_t last = 0;
        for (auto& action : actions) {
            if (auto* s = std::get_if<Send>(&action)) sent.push_back(std::move(*s));
            if (auto* p = std::get_if<Probe>(&action)) probes.push_back(*p);
            if (auto* n = std::get_if<Note>(&action)) notes.push_back(n->text);
            if (auto* c = std::get_if<Commit>(&action)) {
                last = c->ticket;
                if (disk_works) stored.push_back(c->lease);
            }
        }
        if (last) take(engine.handle(Committed{last, disk_works}, now));
    }
    std::string lease_to(const Asker& asker) {  // DISCOVER and REQUEST; the address, or what went wrong
        auto offer = (*this)(asker.discover());
        if (!offer.starts_with("OFFER ")) return offer;
        auto address = ip(offer.substr(6));
        auto ack = (*this)(asker.select(address, asker.port ? ip("10.0.1.1") : kUs));
        return ack == "ACK " + address.text() ? address.text() : ack;
    }
    AddressState state(std::string_view address) const { return engine.state_of(ip(address), now); }
};

}  // namespace slipway::dhcp::test
