// SPDX-License-Identifier: GPL-3.0-or-later
// Network boot beside a DHCP server that knows nothing of us: proxyDHCP (67 and 4011) and TFTP, on one thread of its
// own. The boot HTTP is served by whoever owns this (lib/http); the loaders and `/boot/…` are open to it through
// open().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pxe/policy.hpp"
#include "pxe/trace_log.hpp"
#include "tftp/source.hpp"

namespace slipway::pxe {

struct Interface {
    std::string name;     // "br0"; empty: not bound to one (tests on loopback)
    Ipv4Address address;  // ours on it: what clients are told
};

struct Ports {
    std::uint16_t dhcp = 67, boot_server = 4011, tftp = 69;
};

struct NetbootOptions {
    std::vector<Interface> interfaces;
    Ports ports;                     // 0: any (tests)
    std::uint16_t http_port = 8480;  // 0: no HTTP
    std::filesystem::path loaders = "/usr/lib/ipxe";
    std::filesystem::path tftp_root;  // further files by TFTP; empty: none
    // Files below "boot/" by TFTP, for clients without HTTP: name "kernel", "ramdisk/default", "script/525400510001".
    // May be empty.
    std::function<Result<tftp::Content>(const std::string& name, const UdpEndpoint& client)> boot_file;
    // On the service's thread, so it should be quick.
    std::function<Action(const MacAddress&, const ClientFacts&)> decide;
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

    // A boot loader by its name ("snponly.efi"), as clients get it by TFTP; for /boot/ipxe/NAME by HTTP.
    static Result<tftp::Content> open_loader(const std::filesystem::path& loaders, const std::string& name);

private:
    struct Impl;
    explicit NetbootService(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::pxe
