// SPDX-License-Identifier: GPL-3.0-or-later
// This room alone as a server on loopback, for tests/bench/netboot.py: tftp_serve DIRECTORY PORT [UPLOADS].
#include <csignal>
#include <cstdio>

#include <boost/asio/signal_set.hpp>

#include "lib/base/strings.hpp"
#include "tftp/server.hpp"

using namespace slipway;

int main(int argc, char** argv) {
    auto port = argc == 3 || argc == 4 ? parse_u64(argv[2]) : std::nullopt;
    if (!port || *port > 65535) {
        std::fputs("usage: tftp_serve DIRECTORY PORT [UPLOADS]\n", stderr);
        return 2;
    }
    boost::asio::io_context io{1};
    tftp::ServerOptions options;
    options.local = {*Ipv4Address::parse("127.0.0.1"), static_cast<std::uint16_t>(*port)};
    options.source = tftp::serve_directory(argv[1]);
    if (argc == 4)
        options.sink = [uploads = argv[3]](const std::string& name, const UdpEndpoint&) {
            return tftp::store_below(uploads, name);
        };
    std::uint64_t resent = 0, failed = 0;
    options.on_transfer = [&](const tftp::TransferReport& r) {
        resent += r.resent_blocks;
        failed += !r.failure.empty();
    };
    auto server = tftp::Server::create(io, std::move(options));
    if (!server.ok()) {
        std::fprintf(stderr, "error: %s\n", server.error().explain().c_str());
        return 1;
    }
    boost::asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](const boost::system::error_code&, int) { server->stop(); });
    std::printf("listening 127.0.0.1:%u\n", server->port());
    std::fflush(stdout);
    io.run();
    std::printf("resent %llu blocks, %llu transfers failed\n", static_cast<unsigned long long>(resent),
                static_cast<unsigned long long>(failed));
    return 0;
}
