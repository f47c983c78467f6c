// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/base/strings.hpp"
#include "tests/pcap.hpp"
#include "tftp/codec.hpp"
#include "tftp/errors.hpp"

using namespace slipway;
using namespace std::string_literals;
using namespace slipway::tftp;

namespace {

std::string text_of(const OptionList& options) {
    std::string out;
    for (const auto& [name, value] : options) out += fmt::format(" {}={}", name, value);
    return out;
}

std::string text_of(const Packet& packet) {
    struct {
        std::string operator()(const Request& r) const {
            return fmt::format("{} '{}' {}{}", r.write ? "WRQ" : "RRQ", r.file, r.mode, text_of(r.options));
        }
        std::string operator()(const Data& d) const {
            return fmt::format("DATA {} ({} bytes)", d.block, d.payload.size());
        }
        std::string operator()(const Ack& a) const { return fmt::format("ACK {}", a.block); }
        std::string operator()(const ErrorPacket& e) const {
            return fmt::format("ERROR {} '{}'", static_cast<unsigned>(e.code), printable(e.message));
        }
        std::string operator()(const OptionAck& o) const { return "OACK" + text_of(o.options); }
    } visitor;
    return std::visit(visitor, packet);
}

// Every TFTP packet of the capture as a line; each is written again to the same bytes.
std::string describe_capture(const char* name) {
    std::string out;
    for (const auto& udp : test::read_capture(test::shared_data(name))) {
        if (udp.to.port == 67 || udp.to.port == 68 || udp.to.port == 4011) continue;
        auto packet = parse_packet(udp.payload);
        out += fmt::format("{} > {} {}\n", udp.from.text(), udp.to.text(),
                           packet.ok() ? text_of(*packet) : packet.error().describe());
        // Ethernet padding apart, an error's missing NUL is the only thing we write otherwise.
        if (packet.ok() && !std::holds_alternative<ErrorPacket>(*packet)) {
            EXPECT_EQ(encode_packet(*packet), udp.payload) << out;
        }
    }
    return out;
}

void check_capture(const char* name) {
    auto file = fmt::format("pcap/{}.pcap", name);
    if (!std::filesystem::exists(test::shared_data(file))) GTEST_SKIP() << test::shared_data(file) << " is not here";
    test::expect_golden(std::filesystem::path(SLIPWAY_SOURCE_DIR) / "tftp/test/golden" / (std::string(name) + ".txt"),
                        describe_capture(file.c_str()));
}

Error refused(std::string_view bytes) { return parse_packet(as_bytes(bytes)).error(); }

}  // namespace

TEST(TftpCodec, capture_of_ovmf) { check_capture("ovmf-x64-virtio_dhcp.signalling"); }
TEST(TftpCodec, capture_of_seabios_ipxe) { check_capture("qemu-seabios-ipxe-e1000_proxydhcp.signalling"); }
TEST(TftpCodec, capture_of_a_whole_transfer) { check_capture("tcpdump-tftp"); }

TEST(TftpCodec, request_keeps_options_in_order_and_lower_case) {
    using namespace std::string_view_literals;
    auto packet = parse_packet(as_bytes("\0\1a/b\0OcTeT\0BlkSize\0001468\0tsize\0000\0"sv));
    const auto& request = std::get<Request>(*packet);
    EXPECT_EQ(request.file, "a/b");
    EXPECT_EQ(request.mode, "octet");
    EXPECT_EQ(request.options, (OptionList{{"blksize", "1468"}, {"tsize", "0"}}));
}

TEST(TftpCodec, damaged_packets_are_refused) {
    using namespace std::string_view_literals;
    for (auto bytes : {""sv, "\0"sv, "\0\1"sv, "\0\1a"sv, "\0\1a\0octet"sv, "\0\1\0octet\0"sv, "\0\3"sv, "\0\4\0"sv,
                       "\0\7aa"sv, "\0\1a\0octet\0blksize\0"sv, "\0\6blksize\0001"sv})
        EXPECT_TRUE(refused(bytes).is(errors::kPacket)) << to_hex(as_bytes(bytes));
    EXPECT_TRUE(refused("\0\1"s.append(600, 'a') + "\0octet\0"s).is(errors::kPacket));
    std::string many = "\0\1a\0octet\0"s;
    for (int i = 0; i < 40; ++i) many += "x\0"s + "1\0"s;
    EXPECT_TRUE(refused(many).is(errors::kPacket));
}
