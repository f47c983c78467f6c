// SPDX-License-Identifier: GPL-3.0-or-later
// The DHCP server (RFC 2131) without sockets, disk or clock: an event at a time in, actions out.
//
// Addresses are checked without making anyone wait for an offer: DISCOVER is answered at once with an address, and a
// probe of it begins; the ACK waits for the probe's answer. When somebody else answers the probe, the address is set
// aside and the client hears NAK, so it begins again and is offered another. A client that gets its own last address
// again is not probed: it might be itself that answers.
// An ACK also waits until its lease is durable (Commit, then Committed).
//
// Who a client is: its client identifier (option 61) when it sends one, else its hardware address (RFC 2131 §4.2). A
// reservation goes by hardware address alone, so that firmware, boot loader and system of one machine share it.
//
//   state of an address   left by
//   free                  DISCOVER -> offered
//   offered               REQUEST -> waiting (probe out) or bound; another server chosen, time -> free or what it was
//   waiting               probe: free -> bound, in use -> declined (NAK)
//   bound                 REQUEST -> bound; RELEASE -> released; DECLINE -> declined; time -> expired
//   expired, released     its client's DISCOVER, REQUEST -> as it was; another's DISCOVER -> offered
//   declined              time -> free
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <variant>

#include "dhcp-helper/lease.hpp"
#include "dhcp-helper/subnet.hpp"
#include "lib/base/udp.hpp"

namespace slipway::dhcp {

using UnixSeconds = std::int64_t;

// --- events ---
struct Arrived {
    Message message;
    std::size_t port = 0;    // in ServerConfig::interfaces
    Ipv4Address local;       // our address there: what option 54 says
    bool broadcast = false;  // it was sent to 255.255.255.255
};
struct Probed {
    Ipv4Address address;
    bool in_use = false;
};
struct Committed {
    std::uint64_t ticket = 0;  // this Commit and all before it
    bool ok = false;
};
using Event = std::variant<Arrived, Probed, Committed>;

// --- actions ---
struct Send {
    Message reply;
    UdpEndpoint to;
    bool raw = false;  // to chaddr without asking ARP: the client has no address yet
    std::size_t port = 0;
    Ipv4Address from;
};
struct Probe {  // answered by Probed, soon and always
    Ipv4Address address;
    std::size_t port = 0;
    bool on_link = true;  // ARP will do; else it is behind a relay: ping
};
struct Commit {  // answered by Committed; tickets count up
    std::uint64_t ticket = 0;
    Lease lease;
};
struct Note {
    bool warning = false;
    std::string text;
    std::optional<MacAddress> client;  // whose retries make the same note again and again
};
using Action = std::variant<Send, Probe, Commit, Note>;

// The four of RFC 2131 §4.3.2.
enum class RequestState { Selecting, InitReboot, Renewing, Rebinding, Malformed };
RequestState request_state(const Arrived& request);

Bytes client_key(const Message& message);

enum class AddressState { Free, Offered, Waiting, Bound, Expired, Released, Declined };
std::string_view name_of(AddressState state);

// Where an answer goes (RFC 2131 §4.1), and what it holds (ServerEngine uses these).
Send addressed(const Arrived& request, Message reply);
// Adds the subnet's options in the order of the client's list, the client identifier (RFC 6842) and the relay's option
// last (RFC 3046), as far as the client takes them. lease 0: none is given (INFORM).
void fill_reply(const Subnet& subnet, const Arrived& request, std::chrono::seconds lease, Message& reply);

// Adds what boots the client to an OFFER or ACK, before the subnet's options, which give way to it. It may set
// `server`, `server_name`, `file` and options. request.local is our address on the client's side.
using Decorate = std::function<void(const Arrived& request, Message& reply)>;

class ServerEngine {
public:
    // `config` as check_config() left it; `leases` as a LeaseStore loads them: what no subnet contains is left out.
    ServerEngine(ServerConfig config, const std::vector<Lease>& leases, Decorate decorate = {});

    std::vector<Action> handle(const Event& event, UnixSeconds now);

    AddressState state_of(Ipv4Address address, UnixSeconds now) const;
    std::vector<Lease> leases() const;  // in order of address
    const ServerConfig& config() const { return config_; }

    // The operator's reservations beside those of the configuration: all of them, in place of those given before.
    // Returns what was left out, as with_reservations() says.
    std::vector<std::string> set_reservations(const std::vector<Reservation>& more);
    // As if its client had given it back, or nobody were found to use it. Nothing to do: no actions.
    std::vector<Action> take_back(Ipv4Address address, UnixSeconds now);

private:
    struct Offer {
        Bytes client;
        UnixSeconds until = 0;
        bool probing = false;
        UnixSeconds asked = 0;
        std::optional<Arrived> request;  // waits for the probe
    };
    struct Slot {
        std::optional<Lease> lease;  // the last one given
        std::optional<Offer> offer;
        UnixSeconds queued = 0;  // its place in Pool::again
    };
    struct Pool {  // of a subnet
        std::size_t range = 0;
        std::uint32_t next = 0;                                   // never given out from here on; 0: range's first
        std::set<std::pair<UnixSeconds, Ipv4Address>> again;      // given before: when they come free, at the earliest
        std::unordered_map<std::uint64_t, Ipv4Address> reserved;  // by MAC
    };
    struct Held {  // answers that wait for the disk
        std::uint64_t ticket;
        Send send;
    };
    using Actions = std::vector<Action>;
    using Links = std::vector<std::size_t>;

    void arrived(const Arrived& request, UnixSeconds now, Actions& out);
    void probed(const Probed& probe, UnixSeconds now, Actions& out);
    void committed(const Committed& done, Actions& out);
    void discover(const Arrived& request, UnixSeconds now, Actions& out);
    void request(const Arrived& request, UnixSeconds now, Actions& out);
    void select(const Arrived& request, UnixSeconds now, Actions& out);
    void confirm(const Arrived& request, RequestState state, Ipv4Address wanted, UnixSeconds now, Actions& out);
    void decline(const Arrived& request, UnixSeconds now, Actions& out);
    void release(const Arrived& request, UnixSeconds now, Actions& out);
    void inform(const Arrived& request, Actions& out);

    Links links_of(const Arrived& request) const;
    Ipv4Address our_side(const Arrived& request) const;
    const Subnet* subnet_of(Ipv4Address address) const;
    bool is_ours(Ipv4Address id, const Arrived& request) const;
    bool is_own_address(Ipv4Address address) const;
    std::optional<Ipv4Address> reservation(std::size_t subnet, const Message& m) const;
    std::optional<Ipv4Address> choose(const Arrived& request, const Bytes& client, UnixSeconds now);
    std::optional<Ipv4Address> take_free(std::size_t subnet, UnixSeconds now);
    std::vector<Ipv4Address> known(const Bytes& client, const Links& links) const;
    // May this client be given the address now?
    bool open_to(Ipv4Address address, const Arrived& request, const Bytes& client, UnixSeconds now) const;
    void put_offer(Ipv4Address address, const Arrived& request, Bytes client, UnixSeconds now, Actions& out);
    void bind(Ipv4Address address, const Arrived& request, UnixSeconds now, Actions& out);
    void set_aside(Ipv4Address address, UnixSeconds now, std::string_view why, Actions& out);
    void fill(const Subnet& subnet, const Arrived& request, std::chrono::seconds lease, Message& reply) const;
    void commit(const Lease& lease, std::optional<Send> then, Actions& out);
    void nak(const Arrived& request, std::string_view why, Actions& out);
    void remember(Lease lease);
    void queue(Ipv4Address address, Slot& slot);
    void forget_offers(const Bytes& client, const Links& links, UnixSeconds now);

    ServerConfig bare_;    // as given
    ServerConfig config_;  // and with the operator's reservations
    Decorate decorate_;
    std::vector<Pool> pools_;
    std::unordered_map<std::uint32_t, Slot> slots_;
    std::unordered_map<std::string, std::vector<Ipv4Address>> clients_;  // bound, released, expired or offered
    std::deque<Held> held_;
    std::uint64_t ticket_ = 0;
};

}  // namespace slipway::dhcp
