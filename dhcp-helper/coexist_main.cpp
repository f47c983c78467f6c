// SPDX-License-Identifier: GPL-3.0-or-later
// dhcp-coexist: which DHCP and proxyDHCP servers answer on an interface? It asks as a PXE client would, and takes no
// lease.
#include <cstdio>
#include <set>

#include <net/if.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "dhcp-helper/codec.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/udp.hpp"
#include "lib/base/uuid.hpp"
#include "slipway_version.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

struct Found {
    Ipv4Address server, offered, next_server;
    bool pxe = false;
    std::string file;
    auto operator<=>(const Found&) const = default;
    const char* kind() const { return offered.is_zero() ? "proxyDHCP" : pxe ? "DHCP with PXE" : "DHCP"; }
};

// A made-up, locally administered address, so that no server's reservation is touched.
Message make_discover() {
    Message m;
    std::byte random[10];
    fill_random(random);
    ByteReader in(random);
    m.xid = in.be32();
    m.flags = kBroadcastFlag;
    for (std::size_t i = 0; i < 6; ++i) m.hardware[i] = random[4 + i];
    m.hardware[0] = std::byte{0x02};
    m.set_type(MessageType::Discover);
    m.options.set(Code::ParameterList, std::string_view("\x01\x03\x36\x3c\x42\x43", 6));
    m.options.set(Code::VendorClass, std::string_view("PXEClient:Arch:00000:UNDI:002001"));
    m.options.set(Code::ClientArch, std::string_view("\0\0", 2));
    m.options.set(Code::ClientInterface, std::string_view("\1\2\1", 3));
    return m;
}

Result<std::set<Found>> ask(const std::string& device, std::chrono::milliseconds patience) {
    auto socket = TRY(UdpPort::open({.local = {{}, kClientPort}, .device = device, .broadcast = true, .share = true}));
    auto discover = make_discover();
    TRY(socket.send(encode_message(discover), {Ipv4Address{0xffffffff}, kServerPort}, if_nametoindex(device.c_str())));
    std::set<Found> found;
    auto end = Instant::clock::now() + patience;
    for (;;) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Instant::clock::now()).count();
        pollfd p{socket.fd(), POLLIN, 0};
        if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0) return found;
        auto datagram = TRY(socket.receive());
        if (!datagram) continue;
        auto reply = parse_message(datagram->data);
        if (!reply.ok() || reply->op != Op::Reply || reply->xid != discover.xid) continue;
        ByteReader id(reply->options.get(Code::ServerId));
        Found f{{id.be32()},
                reply->yours,
                reply->server,
                reply->options.text(Code::VendorClass).starts_with("PXEClient"),
                reply->file};
        if (id.failed()) f.server = datagram->from.address;
        if (f.file.empty()) f.file = reply->options.text(Code::BootFile);
        found.insert(std::move(f));
    }
}

void print(const std::set<Found>& found, const std::string& device, bool json) {
    boost::json::array items;
    for (const auto& f : found) {
        if (json)
            items.push_back({{"kind", f.kind()},
                             {"server", f.server.text()},
                             {"offered", f.offered.text()},
                             {"next_server", f.next_server.text()},
                             {"file", printable(f.file)}});
        else
            std::printf("%-13s %-15s offers %s%s%s\n", f.kind(), f.server.text().c_str(),
                        f.offered.is_zero() ? "no address" : f.offered.text().c_str(),
                        f.file.empty() ? "" : ", boot file ", printable(f.file).c_str());
    }
    if (json)
        std::printf(
            "%s\n",
            boost::json::serialize(boost::json::object{{"interface", device}, {"servers", std::move(items)}}).c_str());
    else if (found.empty()) std::printf("no DHCP or proxyDHCP server answers on %s\n", device.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Which DHCP and proxyDHCP servers answer on an interface? Takes no lease; must run as root.\n\n"
        "Exit code 0: asked (also when nobody answers); 3: more than one server offers the same thing.",
        "dhcp-coexist");
    app.footer("Examples:\n  dhcp-coexist eth0\n  dhcp-coexist --seconds 10 --json br0\n");
    std::string device;
    double seconds = 4;
    bool json = false;
    app.add_option("interface", device, "Network interface to ask on")->required();
    app.add_option("--seconds", seconds, "How long to wait for answers")->check(CLI::Range(0.1, 60.0));
    app.add_flag("--json", json, "Print JSON");
    app.set_version_flag("--version", kVersion);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kExitDone : kExitUsage;
    }
    auto found = ask(device, std::chrono::milliseconds(static_cast<long>(seconds * 1000)));
    if (!found.ok()) {
        std::fprintf(stderr, "error: %s\n", found.error().explain().c_str());
        return kExitFailed;
    }
    print(*found, device, json);
    std::set<Ipv4Address> addresses, proxies;
    for (const auto& f : *found) (f.offered.is_zero() ? proxies : addresses).insert(f.server);
    return addresses.size() > 1 || proxies.size() > 1 ? kExitWarnings : kExitDone;
}
