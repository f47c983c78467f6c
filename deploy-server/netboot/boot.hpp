// SPDX-License-Identifier: GPL-3.0-or-later
// What the network boot asks of the controller: who boots what, the boot script with a fresh token, the boot files.
#pragma once

#include <filesystem>

#include "deploy-server/db/database.hpp"
#include "lib/base/clock.hpp"
#include "lib/http/server.hpp"
#include "pxe/policy.hpp"
#include "pxe/service.hpp"

namespace slipway::server {

struct BootPlace {
    Database& db;
    const Clock& clock;
    std::filesystem::path root;          // STATE/boot: kernel, ramdisk/NAME, cmdline (more kernel arguments, optional)
    std::filesystem::path loaders;       // iPXE's, of Debian's package
    std::optional<Ipv4Address> address;  // ours, when the request's Host does not say
    std::shared_ptr<const std::pair<std::uint16_t, std::uint16_t>> ports;  // TLS, HTTP
    pxe::TraceLog* trace = nullptr;                                        // is told what is given to whom
};

// Under control and to be booted into the agent: Agent; under control: LocalDisk; anyone else: Ignore.
Result<pxe::Action> boot_decision(Database& db, const MacAddress& mac);

// The iPXE script for this machine. The agent's has a fresh one-time token in it.
// Errors: server.unknown-device, server.not-controlled (nothing is served to them).
Result<std::string> boot_script(const BootPlace& place, const MacAddress& mac, Ipv4Address server);

// /boot/script?mac=, /boot/kernel, /boot/ramdisk/…, /boot/ipxe/NAME: only below the boot root, no way out.
// /boot/trouble?mac=&time=&what=: what an agent says that TLS refuses.
void add_boot_routes(http::Router& router, const BootPlace& place);

// For pxe::NetbootService: files below "boot/" by TFTP, and the decision.
void join_netboot(pxe::NetbootOptions& options, const BootPlace& place);

}  // namespace slipway::server
