// SPDX-License-Identifier: GPL-3.0-or-later
// What was seen of a machine that boots: events by MAC, oldest first, in bounded memory. Pure; TraceLog (trace_log.hpp)
// is the one that threads share.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dhcp-helper/codec.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"
#include "pxe/policy.hpp"

namespace slipway::pxe {

struct Heard {  // a DHCP message of the machine
    dhcp::MessageType type = dhcp::MessageType::None;
    std::uint16_t port = 67;  // of ours: 67, or 4011 of the boot server
    bool boots = false;       // it says PXEClient, HTTPClient or iPXE; else an operating system's
    bool ipxe = false;
    std::optional<Arch> arch;
    std::string vendor_class, interface;
    Ipv4Address relay;    // giaddr
    Ipv4Address address;  // it has it, or asks for it
    Ipv4Address server;   // the DHCP server that it chose (in a REQUEST)
    bool operator==(const Heard&) const = default;
};

struct Overheard {  // somebody else's DHCP answer to it
    dhcp::MessageType type = dhcp::MessageType::None;
    Ipv4Address server, given, next_server;
    bool pxe = false;  // says PXEClient or HTTPClient, or names a boot file
    std::string file, interface;
    bool operator==(const Overheard&) const = default;
};

struct Answered {  // by us, with a boot file
    std::uint16_t port = 67;
    std::string file, why;
    bool operator==(const Answered&) const = default;
};

struct Silence {  // we did not answer
    std::string why;
    std::string error;  // "pxe.no-loader"; empty: none has a name for it
    bool operator==(const Silence&) const = default;
};

enum class Stage { Begun, Moving, Whole, Broken, Refused };
struct Transfer {
    Stage stage = Stage::Begun;
    bool http = false;  // else TFTP
    std::string file;
    std::uint64_t bytes = 0;                    // taken by the machine (HTTP: by the network)
    std::uint64_t size = 0;                     // 0: not known
    std::uint64_t blocks = 0, lost_blocks = 0;  // TFTP: acknowledged, and those of them that had to be sent again
    std::chrono::milliseconds took{0};
    std::string why;  // Broken, Refused
    bool operator==(const Transfer&) const = default;
};

struct ScriptGiven {
    bool agent = false;  // else to the local disk
    std::string text;
    bool operator==(const ScriptGiven&) const = default;
};

struct TlsRefused {  // a handshake with the agents' port that failed, from the machine's address
    std::string why;
    bool operator==(const TlsRefused&) const = default;
};

struct Trouble {  // the agent's own words, in the clear and unproven
    std::string text;
    std::optional<WallTime> clock;  // of the machine
    bool operator==(const Trouble&) const = default;
};

struct Enrolment {
    std::string error, text;  // error: its name; empty: enrolled
    bool operator==(const Enrolment&) const = default;
};

struct Ready {  // the agent said hello
    std::string version;
    bool operator==(const Ready&) const = default;
};

struct Uploaded {  // it sent a file by TFTP, which is kept; no part of a boot
    std::string file;
    std::uint64_t bytes = 0;
    bool operator==(const Uploaded&) const = default;
};

using EventDetail = std::variant<Heard, Overheard, Answered, Silence, Transfer, ScriptGiven, TlsRefused, Trouble,
                                 Enrolment, Ready, Uploaded>;

struct BootEvent {
    std::uint64_t id = 0;  // grows over all machines
    WallTime time;
    MacAddress mac;
    EventDetail detail;
};

std::string_view kind_of(const EventDetail& detail);  // "heard", "transfer", … : in JSON
std::string_view name_of(Stage stage);
std::string describe(const EventDetail& detail);  // one line, printable

// A DHCP request, as an event.
Heard heard_of(const dhcp::Message& request, std::uint16_t port, const std::string& interface);
Overheard overheard_of(const dhcp::Message& reply, const std::string& interface);

struct TraceLimits {
    std::size_t machines = 2048, events = 96;  // of one machine; the oldest go
};

class TraceStore {
public:
    explicit TraceStore(TraceLimits limits = {}) : limits_(limits) {}

    // Texts are cut to kText. A transfer that moves takes the place of its own earlier progress, under a new id.
    const BootEvent& add(const MacAddress& mac, WallTime time, EventDetail detail);
    // Whose address it is, as far as its DHCP messages and its boot script say; the newest claim wins.
    void claim(Ipv4Address address, const MacAddress& mac);
    std::optional<MacAddress> owner(Ipv4Address address) const;

    bool knows(const MacAddress& mac) const { return machines_.contains(mac); }
    std::vector<BootEvent> of(const MacAddress& mac) const;  // by id
    std::vector<MacAddress> machines() const;                // the one heard last first
    // Those after an id, of one machine or of all, by id; at most `limit`.
    std::vector<BootEvent> after(std::uint64_t id, const std::optional<MacAddress>& mac, std::size_t limit) const;
    std::uint64_t last_id() const { return next_id_ - 1; }
    std::vector<Ipv4Address> addresses(const MacAddress& mac) const;

    static constexpr std::size_t kText = 160;

private:
    struct Machine {
        std::vector<BootEvent> events;
        std::vector<Ipv4Address> addresses;     // the newest last
        std::list<MacAddress>::iterator place;  // in order_
        bool fetched = false;                   // it got further than any made-up address does
    };
    Machine& machine(const MacAddress& mac);
    void forget_one();

    TraceLimits limits_;
    std::map<MacAddress, Machine> machines_;
    std::list<MacAddress> order_;  // the one heard last first
    std::map<Ipv4Address, MacAddress> owners_;
    std::uint64_t next_id_ = 1;
};

}  // namespace slipway::pxe
