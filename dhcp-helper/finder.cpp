// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/finder.hpp"

#include <algorithm>

#include <net/if.h>
#include <pcap.h>
#include <poll.h>

#include <tins/tins.h>

#include "dhcp-helper/errors.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::dhcp {

namespace {

// A made-up, locally administered address, so that no server's reservation is touched.
Message make_discover(bool pxe) {
    Message m;
    std::byte random[10];
    fill_random(random);
    ByteReader in(random);
    m.xid = in.be32();
    m.flags = kBroadcastFlag;  // nobody has that address: a unicast would not be heard
    for (std::size_t i = 0; i < 6; ++i) m.hardware[i] = random[4 + i];
    m.hardware[0] = std::byte{0x02};
    m.set_type(MessageType::Discover);
    m.options.set(Code::ParameterList, std::string_view("\x01\x03\x06\x0f\x2b\x36\x3c\x42\x43", 9));
    if (!pxe) return m;
    m.options.set(Code::VendorClass, std::string_view("PXEClient:Arch:00000:UNDI:002001"));
    m.options.set(Code::ClientArch, std::string_view("\0\0", 2));
    m.options.set(Code::ClientInterface, std::string_view("\1\2\1", 3));
    return m;
}

Ipv4Address from_tins(const Tins::IPv4Address& a) { return Ipv4Address::parse(a.to_string()).value_or(Ipv4Address{}); }

std::optional<FoundServer> read_answer(const Tins::PDU& frame, const std::vector<Message>& asked) {
    const auto* ethernet = frame.find_pdu<Tins::EthernetII>();
    const auto* ip = frame.find_pdu<Tins::IP>();
    const auto* payload = frame.find_pdu<Tins::RawPDU>();
    if (!ip || !payload || !frame.find_pdu<Tins::UDP>()) return std::nullopt;
    auto reply = parse_message(std::as_bytes(std::span(payload->payload())));
    if (!reply.ok() || reply->op != Op::Reply || reply->type() != MessageType::Offer) return std::nullopt;
    auto mine = std::find_if(asked.begin(), asked.end(),
                             [&](const Message& m) { return m.xid == reply->xid && m.hardware == reply->hardware; });
    if (mine == asked.end()) return std::nullopt;
    FoundServer f;
    f.address = from_tins(ip->src_addr());
    if (ethernet) f.mac = MacAddress::parse(ethernet->src_addr().to_string()).value_or(MacAddress{});
    f.server_id = reply->options.address(Code::ServerId);
    if (f.server_id.is_zero()) f.server_id = f.address;
    f.offered = reply->yours;
    f.next_server = reply->server;
    f.relay = reply->relay;
    f.asked_as_pxe = mine->options.has(Code::VendorClass);
    auto vendor = reply->options.text(Code::VendorClass);
    f.pxe = vendor.starts_with("PXEClient") || vendor.starts_with("HTTPClient");
    f.boot_file = reply->file.empty() ? reply->options.text(Code::BootFile) : reply->file;
    for (const auto& o : reply->options.all()) f.options.push_back(o.code);
    return f;
}

void send(Tins::PacketSender& sender, const Tins::NetworkInterface& interface, const Message& m) {
    auto bytes = encode_message(m);
    auto frame =
        Tins::EthernetII("ff:ff:ff:ff:ff:ff", interface.hw_address()) / Tins::IP("255.255.255.255", "0.0.0.0") /
        Tins::UDP(kServerPort, kClientPort) /
        Tins::RawPDU(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<std::uint32_t>(bytes.size()));
    sender.send(frame, interface);
}

std::vector<FoundServer> listen(Tins::Sniffer& sniffer, const std::vector<Message>& asked, Instant end) {
    std::vector<FoundServer> found;
    for (;;) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Instant::clock::now()).count();
        pollfd p{sniffer.get_fd(), POLLIN, 0};
        if (left <= 0) return found;
        if (::poll(&p, 1, static_cast<int>(left)) <= 0) continue;
        auto packet = sniffer.next_packet();
        if (!packet) continue;
        auto answer = read_answer(*packet.pdu(), asked);
        if (answer && std::find(found.begin(), found.end(), *answer) == found.end()) found.push_back(*answer);
    }
}

}  // namespace

// libtins throws; nothing of that leaves here.
Result<std::vector<FoundServer>> find_servers(const std::string& name, std::chrono::milliseconds patience) {
    if (::if_nametoindex(name.c_str()) == 0)
        return make_error(errors::kInterface, "there is no interface {}", printable(name));
    try {
        auto end = Instant::clock::now() + patience;
        Tins::NetworkInterface interface(name);
        Tins::SnifferConfiguration how;
        how.set_filter("udp and src port 67 and dst port 68");
        how.set_immediate_mode(true);
        how.set_pcap_sniffing_method(pcap_dispatch);  // returns when it has nothing
        Tins::Sniffer sniffer(name, how);
        char error[PCAP_ERRBUF_SIZE];
        if (pcap_setnonblock(sniffer.get_pcap_handle(), 1, error) != 0)
            return make_error(errors::kListen, "{}: {}", name, error);
        Tins::PacketSender sender;
        std::vector<Message> asked{make_discover(false), make_discover(true)};
        for (const auto& m : asked) send(sender, interface, m);
        return listen(sniffer, asked, end);
    } catch (const std::exception& e) {
        return make_error(errors::kListen, "{}: {}", name, e.what());
    }
}

FoundJudgement judge(const std::vector<FoundServer>& found, const std::set<Ipv4Address>& expected,
                     const std::set<Ipv4Address>& own) {
    FoundJudgement out;
    std::set<Ipv4Address> addresses, boots;
    for (const auto& f : found) {
        const bool ours = own.contains(f.address) || own.contains(f.server_id);
        if (!expected.empty() && !ours && !expected.contains(f.server_id)) out.unexpected.insert(f.server_id);
        if (!f.offered.is_zero()) addresses.insert(f.server_id);
        if (f.pxe || !f.boot_file.empty()) boots.insert(f.server_id);
    }
    out.doubled = addresses.size() > 1 || boots.size() > 1;
    return out;
}

}  // namespace slipway::dhcp
