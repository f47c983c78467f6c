// SPDX-License-Identifier: GPL-3.0-or-later
// Many machines switched on at once, as one program: what a deploy server has to bear when the power of a hall comes
// back. Used by `scripts/bench netboot`, inside a network namespace whose interface it is given:
//
//   netboot-storm INTERFACE FIRST-MAC MACHINES SECONDS
//
// The machines have MACs that count up from the first and are switched on evenly over the seconds. The addresses they
// get must be this host's (ip route add local NET dev lo). Prints one JSON object; exit 0 when every machine has its
// kernel and ramdisk, 1 when not.
#include <algorithm>
#include <cstdio>

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "tests/bench/storm/machine.hpp"

using namespace slipway;

namespace {

boost::json::object spread(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    auto at = [&](double share) {
        return values.empty() ? 0.0 : values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
    };
    return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
}

MacAddress counted(MacAddress mac, unsigned by) {
    unsigned carry = by;
    for (std::size_t i = 6; i-- > 0 && carry > 0; carry >>= 8) {
        carry += mac.octets[i];
        mac.octets[i] = static_cast<std::uint8_t>(carry);
    }
    return mac;
}

}  // namespace

int main(int argc, char** argv) {
    auto mac = argc == 5 ? MacAddress::parse(argv[2]) : std::nullopt;
    auto machines = argc == 5 ? parse_u64(argv[3]) : std::nullopt;
    auto over = argc == 5 ? parse_u64(argv[4]) : std::nullopt;
    if (!mac || !machines || !over || *machines == 0 || *machines > 60000) {
        std::fputs("usage: netboot-storm INTERFACE FIRST-MAC MACHINES SECONDS\n", stderr);
        return 2;
    }
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    boost::asio::io_context io(1);
    auto segment = storm::Segment::open(io, argv[1]);
    if (!segment) {
        std::fprintf(stderr, "error: %s\n", segment.error().describe().c_str());
        return 1;
    }
    storm::Tally tally;
    auto begin = Instant::clock::now();
    std::uint64_t left = *machines;
    for (unsigned i = 0; i < *machines; ++i) {
        auto when = begin + std::chrono::microseconds(*over * 1'000'000 * i / *machines);
        boost::asio::co_spawn(io, storm::switch_on(io, **segment, counted(*mac, i), when, tally),
                              [&](const std::exception_ptr& bug) {
                                  if (bug) std::rethrow_exception(bug);
                                  if (--left == 0) (*segment)->stop();
                              });
    }
    io.run();
    boost::json::object failures;
    for (const auto& [text, count] : tally.failures) failures[text] = count;
    std::chrono::duration<double> took = Instant::clock::now() - begin;
    boost::json::object out{{"machines", *machines},
                            {"ready", tally.ready_s.size()},
                            {"seconds", took.count()},
                            {"offer_ms", spread(tally.offer_ms)},
                            {"ready_s", spread(tally.ready_s)},
                            {"tftp_bytes", tally.tftp_bytes},
                            {"http_bytes", tally.http_bytes},
                            {"repeats", tally.repeats},
                            {"failures", failures}};
    std::printf("%s\n", boost::json::serialize(out).c_str());
    return tally.ready_s.size() == *machines ? 0 : 1;
}
