// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include <CLI/CLI.hpp>

#include "deploy-server/privileges.hpp"
#include "deploy-server/server.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "slipway_version.hpp"

namespace {

using namespace slipway;

struct CommandLine {
    server::ServerOptions options;
    std::string state = "/var/lib/slipway", roles = "controller,nbs,ids", token_file, loaders = "/usr/lib/ipxe", agent;
    std::vector<std::string> netboot, subnets, authorized;
    bool json = false;

    void add_to(CLI::App& app) {
        app.set_version_flag("--version", std::string("deploy-server ") + kVersion);
        app.add_option("--state-dir", state, "database, image store, certificates, boot files")->capture_default_str();
        app.add_option("--roles", roles, "of controller, nbs (network boot), ids (images)")->capture_default_str();
        app.add_option("--address", options.address, "address to listen on")->capture_default_str();
        app.add_option("--tls-port", options.tls_port, "REST and agents; 0: any")->capture_default_str();
        app.add_option("--http-port", options.http_port, "boot files, and bulk data in the clear; 0: any")
            ->capture_default_str();
        app.add_option("--admin-token-file", token_file, "made at the first start (default STATE/admin.token)");
        app.add_option("--netboot", netboot,
                       "answer PXE clients on IFACE[=ADDRESS]: without ADDRESS they are told the interface's own; "
                       "repeat for several");
        app.add_option("--dhcp", subnets,
                       "give addresses in NETWORK/PREFIX,interface=IFACE,range=FIRST-LAST,... on a segment of our own, "
                       "where PXE clients get their boot file in the same answer; without interface: to relays. Also "
                       "reserve=MAC@ADDRESS, lease=SECONDS, probe=no, ra=no, and options: routers=, name-servers=, "
                       "domain-name=, …, several values by '+'. Repeat for several")
            ->type_name("SUBNET");
        app.add_option("--dhcp-authorized", authorized,
                       "serve DHCP on this interface although another DHCP server answers there")
            ->type_name("IFACE");
        app.add_option("--loaders", loaders, "directory of iPXE's boot loaders")->capture_default_str();
        app.add_option("--agent", agent,
                       "the agent's program, for the devices' ramdisks (default: slipway-agent-da beside this one)");
        app.add_option(
            "--user", options.user,
            "user to become once the ports are bound, also for power commands and scripts (default, as root: "
            "slipway when there is such a user; root: stays root)");
        app.set_config("--config", "/etc/slipway/slipway.toml", "settings under the options' names");
        app.add_flag("--json", json, "the listeners as one JSON line instead of words");
        app.footer(
            "Examples:\n"
            "  deploy-server\n"
            "  deploy-server --state-dir /srv/slipway --address 10.99.0.1 --netboot br0=10.99.0.1\n"
            "  deploy-server --dhcp 10.77.0.0/24,interface=eth1,range=10.77.0.10-10.77.0.99,routers=10.77.0.1\n"
            "  deploy-server --state-dir /tmp/try --address 127.0.0.1 --tls-port 0 --http-port 0\n"
            "The administrator's token is in STATE/admin.token, the CA in STATE/pki/ca.pem.\n");
    }

    // A message when something is wrong.
    std::string finish() {
        options.state = state;
        options.admin_token_file = token_file;
        options.loaders.ipxe = loaders;
        options.agent = agent;
        const bool root = ::geteuid() == 0;
        options.user = server::user_to_become(options.user, root, server::find_account(server::kOwnAccount).ok());
        if (root && options.user.empty())
            log::warning("server", "runs as root; with a user '{}' it would run as that", server::kOwnAccount);
        options.roles.clear();
        for (const auto& role : split(roles, ',')) {
            if (!server::kRoles.contains(role)) return "no role '" + role + "': controller, nbs, ids";
            options.roles.insert(role);
        }
        if (!options.roles.contains("controller")) return "the role controller is needed: it has the database";
        for (const auto& text : netboot) {
            auto equals = text.find('=');
            auto address = equals == std::string::npos ? Ipv4Address{} : Ipv4Address::parse(text.substr(equals + 1));
            if (!address || equals == 0) return "'" + text + "' is not IFACE or IFACE=ADDRESS";
            options.netboot.push_back({text.substr(0, equals), *address});
        }
        for (const auto& text : subnets) {
            auto subnet = dhcp::subnet_from_text(text);
            if (!subnet) return "--dhcp " + text + ": " + subnet.error().describe();
            options.dhcp.subnets.push_back(std::move(*subnet));
        }
        options.dhcp.authorized = {authorized.begin(), authorized.end()};
        if (!subnets.empty() && !options.roles.contains("nbs")) return "--dhcp needs the role nbs";
        return {};
    }
};

// A listener may have 2000 connections: idle ones on the clear port must not use up what agents need on the other.
void raise_open_files() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("The Slipway deploy server: devices, jobs, images, network boot.", "deploy-server");
    CommandLine command_line;
    command_line.add_to(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    if (auto wrong = command_line.finish(); !wrong.empty()) {
        std::cerr << "deploy-server: " << wrong << "\n";
        return kExitUsage;
    }
    // Before any thread starts, so that all of them leave the signals to sigwait.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    raise_open_files();
    SystemClock clock;
    auto server = server::DeployServer::start(command_line.options, clock);
    if (!server) {
        std::cerr << "deploy-server: " << server.error().explain() << "\n";
        return kExitFailed;
    }
    if (command_line.json) {
        std::cout << "{\"tls_port\":" << (*server)->tls_port() << ",\"http_port\":" << (*server)->http_port() << "}\n";
    } else {
        for (const auto& line : (*server)->listeners()) std::cout << line << "\n";
        std::cout << "ready\n";
    }
    std::cout.flush();
    int signal = 0;
    sigwait(&signals, &signal);
    (*server)->stop();
    return kExitDone;
}
