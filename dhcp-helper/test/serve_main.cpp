// SPDX-License-Identifier: GPL-3.0-or-later
// dhcp-serve: the DHCP server alone, for tests and benchmarks.
#include <csignal>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>

#include "dhcp-helper/server.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/log.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

struct Arguments {
    std::vector<std::string> interfaces, subnets;
    std::string journal;
    bool no_sync = false, silent = false, verbose = false;
    unsigned probe_wait = 300;
};

Status serve(const Arguments& arguments) {
    ServerConfig config;
    config.interfaces = arguments.interfaces;
    config.authoritative = !arguments.silent;
    for (const auto& text : arguments.subnets) config.subnets.push_back(TRY(subnet_from_text(text)));
    auto store = arguments.journal.empty() ? make_memory_store()
                                           : TRY(open_journal(arguments.journal, {.sync = !arguments.no_sync}));
    boost::asio::io_context io(1);
    auto server = TRY(
        Server::create(io, std::move(config), *store, {.probe_wait = std::chrono::milliseconds(arguments.probe_wait)}));
    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](const auto&, int) { io.stop(); });
    std::printf("ready\n");
    std::fflush(stdout);
    io.run();
    io.restart();
    io.poll();  // what has come in before the signal
    server.stop();
    auto c = server.counters();
    std::printf(
        "received %lu offers %lu acks %lu naks %lu probes %lu conflicts %lu commits %lu leases %lu failed %lu limited "
        "%lu\n",
        c.received, c.offers, c.acks, c.naks, c.probes, c.conflicts, c.commits, c.leases_written, c.failed_commits,
        c.limited);
    for (const auto& lease : server.engine().leases())
        std::printf("%s %s %s\n", lease.address.text().c_str(), std::string(name_of(lease.state)).c_str(),
                    lease.mac.text().c_str());
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("The DHCP server alone, for tests and benchmarks", "dhcp-serve");
    Arguments a;
    app.add_option("--interface", a.interfaces)->required();
    app.add_option("--subnet", a.subnets, "As subnet_from_text() takes it")->required();
    app.add_option("--journal", a.journal, "Where leases are kept; else in memory");
    app.add_option("--probe-wait", a.probe_wait, "Milliseconds");
    app.add_flag("--no-sync", a.no_sync, "Leases are not waited for on their way to the disk");
    app.add_flag("--not-authoritative", a.silent);
    app.add_flag("--verbose", a.verbose);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kExitDone : kExitUsage;
    }
    if (a.verbose) log::set_threshold(log::Level::Debug);
    auto done = serve(a);
    if (done.ok()) return kExitDone;
    std::fprintf(stderr, "error: %s\n", done.error().explain().c_str());
    return kExitFailed;
}
