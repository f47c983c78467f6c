// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/lease_engine.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::size_t kMostHeld = 65'536;   // ACKs waiting for the disk; beyond that clients ask again
constexpr UnixSeconds kProbeLostAfter = 5;  // a driver that never answered
constexpr std::uint8_t kLinkSelection = 5;  // suboption of 82, RFC 3527
constexpr std::uint8_t kHardwareKey = 0, kIdentifierKey = 1;

std::string text_key(const Bytes& client) { return std::string(as_text(client)); }

std::uint64_t number(const MacAddress& mac) {
    std::uint64_t out = 0;
    for (auto octet : mac.octets) out = out << 8 | octet;
    return out;
}

// The address that says which link the client is on, when a relay speaks for it.
Ipv4Address relayed_link(const Message& m) {
    OptionSet parts;
    if (auto agent = m.options.get(Code::RelayAgent); !agent.empty() && parse_options(agent, parts).ok())
        if (const auto* link = parts.find(kLinkSelection); link && link->size() == 4) {
            ByteReader in(*link);
            return {in.be32()};
        }
    return m.relay;
}

std::chrono::seconds lease_time(const Subnet& subnet, const Message& m) {
    auto asked = m.options.u32(Code::LeaseSeconds);
    if (!asked) return subnet.lease;
    return std::clamp(std::chrono::seconds(*asked), subnet.least_lease, subnet.longest_lease);
}

}  // namespace

RequestState request_state(const Arrived& request) {
    const auto& m = request.message;
    if (m.options.has(Code::ServerId))
        return m.options.address(Code::RequestedAddress).is_zero() ? RequestState::Malformed : RequestState::Selecting;
    if (m.client.is_zero())
        return m.options.address(Code::RequestedAddress).is_zero() ? RequestState::Malformed : RequestState::InitReboot;
    return request.broadcast ? RequestState::Rebinding : RequestState::Renewing;
}

Bytes client_key(const Message& m) {
    ByteWriter out;
    // RFC 2132 §9.14: at least two bytes
    if (auto id = m.options.get(Code::ClientId); id.size() >= 2)
        out.u8(kIdentifierKey).bytes(id.first(std::min<std::size_t>(id.size(), 255)));
    else
        out.u8(kHardwareKey)
            .u8(m.hardware_type)
            .bytes(ByteView(m.hardware).first(std::min<std::size_t>(m.hardware_length, m.hardware.size())));
    return std::move(out).take();
}

std::string_view name_of(AddressState state) {
    static constexpr std::array<std::string_view, 7> kNames{"free",    "offered",  "waiting", "bound",
                                                            "expired", "released", "declined"};
    return kNames[static_cast<std::size_t>(state)];
}

ServerEngine::ServerEngine(ServerConfig config, const std::vector<Lease>& leases, Decorate decorate)
    : bare_(std::move(config)), config_(bare_), decorate_(std::move(decorate)), pools_(config_.subnets.size()) {
    set_reservations({});
    for (const auto& lease : leases)
        if (subnet_of(lease.address)) remember(lease);
}

std::vector<Action> ServerEngine::handle(const Event& event, UnixSeconds now) {
    Actions out;
    if (const auto* a = std::get_if<Arrived>(&event)) {
        auto local = our_side(*a);
        if (local == a->local) arrived(*a, now, out);
        else arrived(Arrived{a->message, a->port, local, a->broadcast}, now, out);
    } else if (const auto* p = std::get_if<Probed>(&event)) probed(*p, now, out);
    else committed(std::get<Committed>(event), out);
    return out;
}

void ServerEngine::arrived(const Arrived& a, UnixSeconds now, Actions& out) {
    const auto& m = a.message;
    if (m.op != Op::Request || m.hardware_type != 1 || m.hardware_length != 6) return;
    switch (m.type()) {
        case MessageType::Discover: return discover(a, now, out);
        case MessageType::Request: return request(a, now, out);
        case MessageType::Decline: return decline(a, now, out);
        case MessageType::Release: return release(a, now, out);
        case MessageType::Inform: return inform(a, out);
        case MessageType::None:  // BOOTP: has no leases
        case MessageType::Offer:
        case MessageType::Ack:
        case MessageType::Nak: return;
    }
}

// --- where, whose ---

ServerEngine::Links ServerEngine::links_of(const Arrived& request) const {
    Links out;
    const auto& m = request.message;
    auto anchor = m.relay.is_zero() ? (request.broadcast ? Ipv4Address{} : m.client) : relayed_link(m);
    for (std::size_t i = 0; i < config_.subnets.size(); ++i) {
        const auto& s = config_.subnets[i];
        if (anchor.is_zero() ? !s.interface.empty() && request.port < config_.interfaces.size() &&
                                   s.interface == config_.interfaces[request.port]
                             : s.contains(anchor))
            out.push_back(i);
    }
    return out;
}

// What a client is told to reach us by. It came in on the address that the route to it has, which need not be the one
// of its own network.
Ipv4Address ServerEngine::our_side(const Arrived& request) const {
    auto links = links_of(request);
    if (links.empty()) return request.local;
    const auto& subnet = config_.subnets[links.front()];
    auto told = request.port < config_.told.size() ? config_.told[request.port] : Ipv4Address{};
    if (!told.is_zero() && subnet.contains(told)) return told;
    if (subnet.contains(request.local)) return request.local;
    for (auto own : config_.addresses)
        if (subnet.contains(own)) return own;
    return told.is_zero() ? request.local : told;
}

const Subnet* ServerEngine::subnet_of(Ipv4Address address) const {
    for (const auto& s : config_.subnets)
        if (s.contains(address)) return &s;
    return nullptr;
}

bool ServerEngine::is_own_address(Ipv4Address address) const {
    return std::find(config_.addresses.begin(), config_.addresses.end(), address) != config_.addresses.end();
}

bool ServerEngine::is_ours(Ipv4Address id, const Arrived& request) const {
    return id == request.local || is_own_address(id);
}

std::optional<Ipv4Address> ServerEngine::reservation(std::size_t subnet, const Message& m) const {
    auto it = pools_[subnet].reserved.find(number(m.mac()));
    return it == pools_[subnet].reserved.end() ? std::nullopt : std::optional(it->second);
}

AddressState ServerEngine::state_of(Ipv4Address address, UnixSeconds now) const {
    auto it = slots_.find(address.value);
    if (it == slots_.end()) return AddressState::Free;
    const auto& [lease, offer, queued] = it->second;
    bool past = !lease || lease->expires <= now;
    if (lease && lease->state == LeaseState::Bound && !past) return AddressState::Bound;
    if (offer && offer->until > now) return offer->request ? AddressState::Waiting : AddressState::Offered;
    if (!lease) return AddressState::Free;
    if (lease->state == LeaseState::Released) return AddressState::Released;
    if (lease->state == LeaseState::Declined) return past ? AddressState::Free : AddressState::Declined;
    return past ? AddressState::Expired : AddressState::Bound;
}

std::vector<Lease> ServerEngine::leases() const {
    std::vector<Lease> out;
    for (const auto& [_, slot] : slots_)
        if (slot.lease) out.push_back(*slot.lease);
    std::sort(out.begin(), out.end(), [](const Lease& a, const Lease& b) { return a.address < b.address; });
    return out;
}

bool ServerEngine::open_to(Ipv4Address address, const Arrived& request, const Bytes& client, UnixSeconds now) const {
    const auto* subnet = subnet_of(address);
    if (!subnet || is_own_address(address)) return false;
    const auto* reserved = subnet->reserved(address);
    if (reserved ? reserved->mac != request.message.mac() : !subnet->in_range(address)) return false;
    auto it = slots_.find(address.value);
    if (it == slots_.end()) return true;
    const auto& [lease, offer, queued] = it->second;
    if (offer && offer->until > now && offer->client != client && !reserved) return false;
    if (!lease || lease->expires <= now || lease->state == LeaseState::Released) return true;
    if (lease->state == LeaseState::Declined) return false;
    return lease->client == client || (reserved && lease->mac == request.message.mac());
}

std::vector<Ipv4Address> ServerEngine::known(const Bytes& client, const Links& links) const {
    std::vector<Ipv4Address> out;
    auto it = clients_.find(text_key(client));
    if (it == clients_.end()) return out;
    for (auto address : it->second)
        if (std::any_of(links.begin(), links.end(), [&](auto i) { return config_.subnets[i].contains(address); }))
            out.push_back(address);
    return out;
}

// --- keeping the tables ---

// Into the index of its clients and, when it may be given to anyone, into its pool's queue.
void ServerEngine::queue(Ipv4Address address, Slot& slot) {
    auto add = [&](const Bytes& client) {
        auto& all = clients_[text_key(client)];
        if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
    };
    if (slot.lease && !slot.lease->client.empty()) add(slot.lease->client);
    if (slot.offer) add(slot.offer->client);
    for (std::size_t i = 0; i < config_.subnets.size(); ++i) {
        const auto& s = config_.subnets[i];
        if (!s.contains(address)) continue;
        auto& again = pools_[i].again;
        again.erase({slot.queued, address});
        slot.queued = 0;
        if (slot.lease && slot.lease->state != LeaseState::Released) slot.queued = slot.lease->expires;
        if (slot.offer) slot.queued = std::max(slot.queued, slot.offer->until);
        if (!s.reserved(address) && s.in_range(address) && !is_own_address(address))
            again.insert({slot.queued, address});
    }
}

void ServerEngine::remember(Lease lease) {
    auto address = lease.address;
    auto& slot = slots_[address.value];
    auto drop = [&](const Bytes& client) {
        auto it = clients_.find(text_key(client));
        if (it == clients_.end()) return;
        std::erase(it->second, address);
        if (it->second.empty()) clients_.erase(it);
    };
    if (slot.lease) drop(slot.lease->client);
    if (slot.offer) drop(slot.offer->client);
    slot.offer.reset();
    slot.lease = std::move(lease);
    queue(address, slot);
}

void ServerEngine::forget_offers(const Bytes& client, const Links& links, UnixSeconds now) {
    for (auto address : known(client, links)) {
        auto& slot = slots_[address.value];
        if (!slot.offer || slot.offer->client != client) continue;
        // Kept as a slot without holder, at the head of its pool's queue.
        slot.offer->until = now;
        slot.offer->request.reset();
        queue(address, slot);
    }
}

std::vector<std::string> ServerEngine::set_reservations(const std::vector<Reservation>& more) {
    std::vector<std::string> left_out;
    config_ = with_reservations(bare_, more, left_out);
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        auto& pool = pools_[i];
        pool.reserved.clear();
        for (const auto& r : config_.subnets[i].reservations) pool.reserved.emplace(number(r.mac), r.address);
        pool.range = 0;  // an address that was reserved and is not may never have been given
        pool.next = 0;
    }
    for (auto& [address, slot] : slots_) queue({address}, slot);
    return left_out;
}

// --- giving ---

std::optional<Ipv4Address> ServerEngine::take_free(std::size_t subnet, UnixSeconds now) {
    const auto& s = config_.subnets[subnet];
    auto& pool = pools_[subnet];
    while (pool.range < s.ranges.size()) {
        const auto& range = s.ranges[pool.range];
        if (pool.next < range.first.value) pool.next = range.first.value;
        if (pool.next > range.last.value) {
            ++pool.range;
            continue;
        }
        Ipv4Address address{pool.next++};
        if (!slots_.contains(address.value) && !s.reserved(address) && !is_own_address(address)) return address;
    }
    if (pool.again.empty() || pool.again.begin()->first > now) return std::nullopt;
    return pool.again.begin()->second;
}

std::optional<Ipv4Address> ServerEngine::choose(const Arrived& request, const Bytes& client, UnixSeconds now) {
    auto links = links_of(request);
    for (auto i : links)
        if (auto r = reservation(i, request.message); r && open_to(*r, request, client, now)) return r;
    for (auto address : known(client, links))
        if (open_to(address, request, client, now)) return address;
    auto asked = request.message.options.address(Code::RequestedAddress);
    for (auto i : links)
        if (config_.subnets[i].contains(asked) && open_to(asked, request, client, now)) return asked;
    for (auto i : links)
        if (auto address = take_free(i, now)) return address;
    return std::nullopt;
}

void ServerEngine::put_offer(Ipv4Address address, const Arrived& request, Bytes client, UnixSeconds now, Actions& out) {
    auto& slot = slots_[address.value];
    const auto& subnet = *subnet_of(address);
    Offer next{std::move(client), now + config_.offer_hold.count(), false, 0, {}};
    bool own = slot.lease && slot.lease->client == next.client;
    if (slot.offer && slot.offer->client == next.client) {
        next.asked = slot.offer->until > now ? slot.offer->asked : 0;
        next.probing = next.asked && slot.offer->probing;
        next.request = std::move(slot.offer->request);
    } else if (slot.offer && !(slot.lease && slot.lease->client == slot.offer->client)) {
        auto it = clients_.find(text_key(slot.offer->client));
        if (it != clients_.end()) {
            std::erase(it->second, address);
            if (it->second.empty()) clients_.erase(it);
        }
    }
    bool ask = subnet.probe && !own && (!next.asked || (next.probing && next.asked + kProbeLostAfter < now));
    if (ask) {
        next.asked = now;
        next.probing = true;
        out.emplace_back(Probe{address, request.port, request.message.relay.is_zero() && !subnet.interface.empty()});
    }
    slot.offer = std::move(next);
    queue(address, slot);
}

void ServerEngine::discover(const Arrived& request, UnixSeconds now, Actions& out) {
    auto links = links_of(request);
    const auto& m = request.message;
    if (links.empty()) return;
    auto client = client_key(m);
    auto address = choose(request, client, now);
    if (!address) {
        out.emplace_back(Note{
            true, fmt::format("{}: no address is free in {}", m.mac().text(), config_.subnets[links.front()].text()),
            m.mac()});
        return;
    }
    put_offer(*address, request, client, now, out);
    const auto& subnet = *subnet_of(*address);
    auto reply = reply_to(m, MessageType::Offer);
    reply.yours = *address;
    fill(subnet, request, lease_time(subnet, m), reply);
    out.emplace_back(addressed(request, std::move(reply)));
}

void ServerEngine::request(const Arrived& request, UnixSeconds now, Actions& out) {
    if (held_.size() >= kMostHeld) return;
    const auto& m = request.message;
    auto state = request_state(request);
    switch (state) {
        case RequestState::Malformed: return;
        case RequestState::Selecting: return select(request, now, out);
        case RequestState::InitReboot:
            return confirm(request, state, m.options.address(Code::RequestedAddress), now, out);
        case RequestState::Renewing:
        case RequestState::Rebinding: return confirm(request, state, m.client, now, out);
    }
}

void ServerEngine::select(const Arrived& request, UnixSeconds now, Actions& out) {
    const auto& m = request.message;
    auto links = links_of(request);
    auto client = client_key(m);
    if (!is_ours(m.options.address(Code::ServerId), request)) return forget_offers(client, links, now);
    auto wanted = m.options.address(Code::RequestedAddress);
    bool on_link = std::any_of(links.begin(), links.end(), [&](auto i) { return config_.subnets[i].contains(wanted); });
    if (links.empty()) return;
    if (!on_link || !open_to(wanted, request, client, now)) return nak(request, "address not available", out);
    auto& slot = slots_[wanted.value];
    bool offered = slot.offer && slot.offer->client == client;
    bool own = slot.lease && slot.lease->client == client && slot.lease->state == LeaseState::Bound;
    // Without an offer (it was long ago, or before a restart) the address is looked at as a new one.
    if (!own && (!offered || slot.offer->until <= now || slot.offer->probing))
        put_offer(wanted, request, client, now, out);
    auto& offer = slots_[wanted.value].offer;
    if (offer && offer->probing) {
        offer->request = request;
        return;
    }
    bind(wanted, request, now, out);
}

// A client that believes it has `wanted`.
void ServerEngine::confirm(const Arrived& request, RequestState state, Ipv4Address wanted, UnixSeconds now,
                           Actions& out) {
    auto links = links_of(request);
    if (links.empty()) return;
    const auto& m = request.message;
    auto client = client_key(m);
    auto refuse = [&](std::string_view why) {
        if (config_.authoritative) nak(request, why, out);
    };
    std::optional<std::size_t> link;
    for (auto i : links)
        if (config_.subnets[i].contains(wanted)) link = i;
    if (!link) return refuse("wrong network");
    auto reserved = reservation(*link, m);
    if (reserved && *reserved != wanted && open_to(*reserved, request, client, now))
        return refuse("another address is reserved");
    bool open = open_to(wanted, request, client, now);
    auto it = slots_.find(wanted.value);
    bool recorded = it != slots_.end() && it->second.lease && it->second.lease->client == client;
    if (open && (recorded || reserved == wanted)) return bind(wanted, request, now, out);
    if (!open && it != slots_.end()) return refuse("in use by another");
    if (config_.subnets[*link].reserved(wanted)) return refuse("reserved for another");
    for (auto address : known(client, links))
        if (const auto& lease = slots_[address.value].lease; lease && lease->client == client && lease->expires > now)
            return refuse("another address is yours");
    // No record of it. A broadcast may be meant for another server, §4.3.2: silence; but who asks us by our address...
    if (state == RequestState::Renewing) refuse("no such lease");
}

void ServerEngine::bind(Ipv4Address address, const Arrived& request, UnixSeconds now, Actions& out) {
    const auto& m = request.message;
    const auto& subnet = *subnet_of(address);
    auto time = lease_time(subnet, m);
    Lease lease{address, LeaseState::Bound, now, now + time.count(), m.mac(), client_key(m), {}};
    lease.host_name = printable(m.options.text(Code::HostName)).substr(0, 63);
    const auto& old = slots_[address.value].lease;
    if (old && old->state == LeaseState::Bound && old->client == lease.client && old->expires > now)
        lease.begins = old->begins;
    remember(lease);
    auto reply = reply_to(m, MessageType::Ack);
    reply.client = m.client;
    reply.yours = address;
    fill(subnet, request, time, reply);
    commit(lease, addressed(request, std::move(reply)), out);
}

void ServerEngine::fill(const Subnet& subnet, const Arrived& request, std::chrono::seconds lease,
                        Message& reply) const {
    // The relay's option stays the last one, and what boots the client has room before anything else.
    if (decorate_) decorate_(request, reply);
    fill_reply(subnet, request, lease, reply);
}

void ServerEngine::commit(const Lease& lease, std::optional<Send> then, Actions& out) {
    out.emplace_back(Commit{++ticket_, lease});
    if (then) held_.push_back({ticket_, std::move(*then)});
}

void ServerEngine::committed(const Committed& done, Actions& out) {
    for (; !held_.empty() && held_.front().ticket <= done.ticket; held_.pop_front()) {
        // What is not on disk is not acknowledged; its address stays with its client, which asks again.
        if (done.ok) out.emplace_back(std::move(held_.front().send));
    }
}

void ServerEngine::nak(const Arrived& request, std::string_view why, Actions& out) {
    const auto& m = request.message;
    auto reply = reply_to(m, MessageType::Nak);
    reply.options.set(Code::ServerId, request.local);
    reply.options.set(Code::Text, why);
    if (auto id = m.options.get(Code::ClientId); !id.empty()) reply.options.set(Code::ClientId, id);
    if (auto agent = m.options.get(Code::RelayAgent); !agent.empty()) reply.options.set(Code::RelayAgent, agent);
    out.emplace_back(Note{false, fmt::format("{}: NAK, {}", m.mac().text(), why), {}});
    out.emplace_back(addressed(request, std::move(reply)));
}

// --- taking back ---

void ServerEngine::set_aside(Ipv4Address address, UnixSeconds now, std::string_view why, Actions& out) {
    Lease lease{address, LeaseState::Declined, now, now + config_.decline_hold.count(), {}, {}, {}};
    remember(lease);
    commit(lease, std::nullopt, out);
    out.emplace_back(Note{true, fmt::format("{} is used by a machine without a lease: {}", address.text(), why), {}});
}

void ServerEngine::probed(const Probed& probe, UnixSeconds now, Actions& out) {
    auto it = slots_.find(probe.address.value);
    if (it == slots_.end() || !it->second.offer || !it->second.offer->probing) return;
    auto& offer = *it->second.offer;
    offer.probing = false;
    auto waiting = std::exchange(offer.request, std::nullopt);
    if (probe.in_use) {
        set_aside(probe.address, now, "it answered a probe", out);
        if (waiting) nak(*waiting, "address in use", out);
    } else if (waiting) {
        bind(probe.address, *waiting, now, out);
    }
}

void ServerEngine::decline(const Arrived& request, UnixSeconds now, Actions& out) {
    const auto& m = request.message;
    auto address = m.options.address(Code::RequestedAddress);
    auto it = slots_.find(address.value);
    if (!is_ours(m.options.address(Code::ServerId), request) || it == slots_.end()) return;
    const auto& lease = it->second.lease;
    if (!lease || lease->state != LeaseState::Bound || lease->client != client_key(m)) return;
    set_aside(address, now, fmt::format("{} declined it", m.mac().text()), out);
}

void ServerEngine::release(const Arrived& request, UnixSeconds now, Actions& out) {
    const auto& m = request.message;
    auto it = slots_.find(m.client.value);
    if (m.options.has(Code::ServerId) && !is_ours(m.options.address(Code::ServerId), request)) return;
    if (it == slots_.end() || !it->second.lease) return;
    auto lease = *it->second.lease;
    if (lease.state != LeaseState::Bound || lease.client != client_key(m)) return;
    lease.state = LeaseState::Released;
    lease.expires = std::min(lease.expires, now);
    remember(lease);
    commit(lease, std::nullopt, out);
}

std::vector<Action> ServerEngine::take_back(Ipv4Address address, UnixSeconds now) {
    Actions out;
    auto it = slots_.find(address.value);
    if (it == slots_.end() || !it->second.lease) return out;
    auto lease = *it->second.lease;
    if (lease.state == LeaseState::Released || lease.expires <= now) return out;
    if (lease.state == LeaseState::Bound) lease.state = LeaseState::Released;
    lease.expires = now;
    remember(lease);
    commit(lease, std::nullopt, out);
    return out;
}

void ServerEngine::inform(const Arrived& request, Actions& out) {
    const auto& m = request.message;
    if (m.client.is_zero()) return;
    for (auto i : links_of(request)) {
        const auto& subnet = config_.subnets[i];
        if (!subnet.contains(m.client)) continue;
        auto reply = reply_to(m, MessageType::Ack);
        reply.client = m.client;
        fill(subnet, request, {}, reply);
        out.emplace_back(addressed(request, std::move(reply)));
        return;
    }
}

}  // namespace slipway::dhcp
