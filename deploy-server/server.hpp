// SPDX-License-Identifier: GPL-3.0-or-later
// One deploy server: state directory, listeners, roles. `main` and the tests start it the same way.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "deploy-server/api/store_sessions.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "deploy-server/netboot/dhcp.hpp"
#include "lib/http/server.hpp"
#include "pxe/service.hpp"

namespace slipway::server {

// controller: REST, agents, jobs. nbs: network boot. ids: images and chunks.
inline const std::set<std::string> kRoles{"controller", "ids", "nbs"};

struct ServerOptions {
    std::filesystem::path state;  // db, store, pki, boot, sequences, admin.token below it
    std::set<std::string> roles = kRoles;
    std::string address = "0.0.0.0";
    std::uint16_t tls_port = 8443, http_port = 8480;  // 0: any
    std::filesystem::path admin_token_file;           // empty: STATE/admin.token
    std::vector<pxe::Interface> netboot;              // proxyDHCP and TFTP on these; empty: boot HTTP alone
    DhcpSettings dhcp;                                // and DHCP itself on these; its interfaces need not be above
    pxe::Ports netboot_ports;
    pxe::LoaderPlaces loaders;    // own and made: below the state directory
    std::filesystem::path agent;  // slipway-agent-da, for the ramdisks; empty: the one beside this program
    std::string
        user;  // what the server becomes once its ports are bound (as root), before any job; empty: stays what it is
    HubOptions hub;
    SessionLimits sessions;
};

class DeployServer {
public:
    // Makes what is missing in the state directory (CA, token, database, store). Serves when it returns.
    // Errors: server.state-in-use, server.newer-database, http.listen, ….
    static Result<std::unique_ptr<DeployServer>> start(ServerOptions options, const Clock& clock);
    ~DeployServer();  // stop()
    void stop();

    std::uint16_t tls_port() const;
    std::uint16_t http_port() const;
    // "listening tls 127.0.0.1:8443", one a listener.
    const std::vector<std::string>& listeners() const;
    // What the TLS listener serves, for the check against openapi.yaml.
    const http::Router& routes() const;

private:
    struct Impl;
    explicit DeployServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::server
