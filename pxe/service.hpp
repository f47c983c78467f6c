// SPDX-License-Identifier: GPL-3.0-or-later
// Network boot: proxyDHCP (67 and 4011) beside a DHCP server that knows nothing of us, DHCP itself where a segment is
// ours, and TFTP, on one thread of its own. The boot HTTP is served by whoever owns this (lib/http); the loaders and
// `/boot/…` are open to it through open().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dhcp-helper/lease.hpp"
#include "dhcp-helper/subnet.hpp"
#include "pxe/policy.hpp"
#include "pxe/rogues.hpp"
#include "pxe/trace_log.hpp"
#include "tftp/source.hpp"

namespace slipway::dhcp {
class Server;
}

namespace slipway::pxe {

struct Interface {
    std::string name;     // "br0"; empty: not bound to one (tests on loopback)
    Ipv4Address address;  // ours on it: what clients are told
};

struct Ports {
    std::uint16_t dhcp = 67, boot_server = 4011, tftp = 69;
};

// Where boot loaders lie, in the order they are looked for.
struct LoaderPlaces {
    std::filesystem::path own;                     // STATE/boot/loaders: the operator's; empty: none
    std::filesystem::path made;                    // made at the server's start (grub_image.hpp); empty: none
    std::filesystem::path ipxe = "/usr/lib/ipxe";  // of the package ipxe
    std::filesystem::path root = "/";              // below which Debian's other packages are
};
// A boot loader by its name, as it is served at that address of ours. Errors: tftp.not-found, or pxe.no-loader for one
// that clients are sent to, with what to do about it.
Result<tftp::Content> open_loader(const LoaderPlaces& places, const std::string& name, Ipv4Address ours);

// The DHCP server of the segments that are ours: its answers boot clients too.
struct OwnDhcp {
    // Its interfaces are among NetbootOptions::interfaces. One that no subnet names is heard for relays alone, and has
    // proxyDHCP as well, which leaves the relayed clients of these subnets to the DHCP server.
    dhcp::ServerConfig config;
    dhcp::LeaseStore* leases = nullptr;  // outlives the service
    std::vector<dhcp::Reservation> reservations;
};

struct NetbootOptions {
    std::vector<Interface> interfaces;
    std::optional<OwnDhcp> dhcp;     // none: proxyDHCP everywhere
    Ports ports;                     // 0: any (tests)
    std::uint16_t http_port = 8480;  // 0: no HTTP
    LoaderPlaces loaders;
    std::filesystem::path tftp_root;  // further files by TFTP; empty: none
    // Files below "boot/" by TFTP, for clients without HTTP, and GRUB's: name "kernel", "ramdisk/default",
    // "script/525400510001", "grub/grub.cfg". ours: the address it came to. May be empty.
    std::function<Result<tftp::Content>(const std::string& name, const UdpEndpoint& client, Ipv4Address ours)>
        boot_file;
    tftp::Sink upload;  // what clients may send by TFTP; empty: nothing
    // On the service's thread, so it should be quick.
    std::function<Decision(const MacAddress&, const ClientFacts&)> decide;
    std::function<void(const MacAddress&, const std::string& text)>
        on_answer;              // also when silence is kept for a boot client
    TraceLog* trace = nullptr;  // is told all that is seen of a boot; outlives the service
};

class NetbootService {
public:
    // Binds the ports (as root); nothing is answered before start().
    static Result<std::unique_ptr<NetbootService>> create(NetbootOptions options);
    ~NetbootService();  // stop()

    void start();
    void stop();                 // from another thread than the service's
    const Ports& ports() const;  // as bound, on the first interface
    // Why the answers of other servers are not heard (no right to); empty: they are.
    const std::string& deaf() const;
    std::vector<Rogue> rogues() const;  // other servers heard since the start; from any thread
    // Calls `use` on the service's thread and waits for it. False, and not called: no DHCP server, or stopped. Between
    // create() and start() it waits for start().
    bool with_dhcp(const std::function<void(dhcp::Server&)>& use);

private:
    struct Impl;
    explicit NetbootService(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::pxe
