// SPDX-License-Identifier: GPL-3.0-or-later
// Captures of real firmware as goldens: found by SLIPWAY_SHARED_DATA or in ../shared/data beside the source directory.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <tins/tins.h>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/udp.hpp"

namespace slipway::test {

struct CapturedUdp {
    UdpEndpoint from, to;
    Bytes payload;
};

inline std::filesystem::path shared_data(std::string_view name) {
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    return (given ? std::filesystem::path(given) : std::filesystem::path(SLIPWAY_SOURCE_DIR) / "../shared/data") / name;
}

// The UDP datagrams of a capture, in order.
inline std::vector<CapturedUdp> read_capture(const std::filesystem::path& path) {
    std::vector<CapturedUdp> out;
    auto endpoint = [](const Tins::IPv4Address& a, std::uint16_t port) {
        return UdpEndpoint{*Ipv4Address::parse(a.to_string()), port};
    };
    Tins::FileSniffer sniffer(path.string());
    sniffer.sniff_loop([&](Tins::PDU& pdu) {
        const auto* ip = pdu.find_pdu<Tins::IP>();
        const auto* udp = pdu.find_pdu<Tins::UDP>();
        const auto* raw = pdu.find_pdu<Tins::RawPDU>();
        if (!ip || !udp || !raw) return true;
        auto bytes = std::as_bytes(std::span(raw->payload()));
        out.push_back({endpoint(ip->src_addr(), udp->sport()), endpoint(ip->dst_addr(), udp->dport()),
                       Bytes(bytes.begin(), bytes.end())});
        return true;
    });
    return out;
}

// Compares with the committed text; SLIPWAY_REGENERATE=1 writes it instead.
inline void expect_golden(const std::filesystem::path& golden, const std::string& text) {
    if (const char* regenerate = std::getenv("SLIPWAY_REGENERATE"); regenerate && std::string_view(regenerate) == "1") {
        std::filesystem::create_directories(golden.parent_path());
        ASSERT_TRUE(write_file_atomic(golden, as_bytes(text)).ok());
    }
    auto want = read_text_file(golden);
    ASSERT_TRUE(want.ok()) << want.error().describe();
    EXPECT_EQ(text, *want);
}

}  // namespace slipway::test
