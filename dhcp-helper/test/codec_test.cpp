// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "dhcp-helper/codec.hpp"
#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/listener.hpp"
#include "tests/pcap.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

std::string describe_capture(const std::string& name) {
    std::string out;
    for (const auto& udp : test::read_capture(test::shared_data(name))) {
        if (udp.to.port != 67 && udp.to.port != 68 && udp.to.port != 4011) continue;
        auto message = parse_message(udp.payload);
        out += fmt::format("{} > {} {}", udp.from.text(), udp.to.text(),
                           message.ok() ? describe(*message) : message.error().describe() + "\n");
        if (!message.ok()) continue;
        auto written = encode_message(*message);
        auto common = std::min(written.size(), udp.payload.size());
        EXPECT_TRUE(std::equal(written.begin(), written.begin() + static_cast<long>(common), udp.payload.begin()))
            << out;
        EXPECT_TRUE(all_zero(ByteView(written).subspan(common)) && all_zero(ByteView(udp.payload).subspan(common)))
            << out;
    }
    return out;
}

void check_capture(const std::string& name) {
    auto file = "pcap/" + name + ".pcap";
    if (!std::filesystem::exists(test::shared_data(file))) GTEST_SKIP() << test::shared_data(file) << " is not here";
    test::expect_golden(std::filesystem::path(SLIPWAY_SOURCE_DIR) / "dhcp-helper/test/golden" / (name + ".txt"),
                        describe_capture(file));
}

Message discover() {
    Message m;
    m.xid = 0x12345678;
    m.set_type(MessageType::Discover);
    m.hardware[0] = std::byte{0x52};
    return m;
}

}  // namespace

TEST(DhcpCodec, capture_of_ovmf) { check_capture("ovmf-x64-virtio_dhcp.signalling"); }
TEST(DhcpCodec, capture_of_seabios_ipxe_with_proxy) { check_capture("qemu-seabios-ipxe-e1000_proxydhcp.signalling"); }
TEST(DhcpCodec, capture_of_a_pxe_exchange) { check_capture("zeek-dhcp_pxe"); }

TEST(DhcpCodec, long_options_are_split_and_joined) {
    auto m = discover();
    std::string text(700, 'u');
    m.options.set(Code::BootFile, text);
    auto bytes = encode_message(m);
    auto back = parse_message(bytes).value();
    EXPECT_EQ(back.options.text(Code::BootFile), text);
    EXPECT_EQ(encode_message(back), bytes);
}

TEST(DhcpCodec, overloaded_fields_hold_options) {
    auto m = discover();
    std::byte both{3};
    m.options.set(Code::Overload, ByteView(&both, 1));
    auto bytes = encode_message(m);
    auto put = [&](std::size_t at, std::string_view text) {
        std::copy_n(as_bytes(text).begin(), text.size(), bytes.begin() + static_cast<long>(at));
    };
    put(108,
        "\x43\x03"
        "abc\xff");  // file: option 67
    put(44,
        "\x43\x03"
        "def\xff");  // sname: the same one goes on, RFC 3396 §5: file before sname
    auto back = parse_message(bytes).value();
    EXPECT_EQ(back.options.text(Code::BootFile), "abcdef");
    EXPECT_EQ(back.file, "");
    put(108, "\x43\xff");  // 255 bytes in a field of 128
    EXPECT_TRUE(parse_message(bytes).error().is(errors::kPacket));
}

TEST(DhcpCodec, damaged_messages_are_refused) {
    auto bytes = encode_message(discover());
    EXPECT_EQ(bytes.size(), kLeastSize);
    for (std::size_t cut = 0; cut < kFixedSize + 4; ++cut) EXPECT_FALSE(parse_message(ByteView(bytes).first(cut)).ok());
    auto with = [&](std::size_t at, int value) {
        auto copy = bytes;
        copy[at] = static_cast<std::byte>(value);
        return parse_message(copy).ok();
    };
    EXPECT_TRUE(with(0, 2));
    EXPECT_FALSE(with(0, 3));
    EXPECT_FALSE(with(2, 17));                // chaddr length
    EXPECT_FALSE(with(kFixedSize, 0));        // cookie
    EXPECT_FALSE(with(kFixedSize + 5, 255));  // an option past the end
}

TEST(DhcpCodec, answers_go_where_rfc_2131_says) {
    Arrival a{discover(), {}, {}, kServerPort};
    auto offer = reply_to(a.message, MessageType::Offer);
    EXPECT_EQ(destination_of(offer, a).text(), "255.255.255.255:68");
    a.message.client = *Ipv4Address::parse("10.0.0.9");
    EXPECT_EQ(destination_of(offer, a).text(), "10.0.0.9:68");
    EXPECT_EQ(destination_of(reply_to(a.message, MessageType::Nak), a).text(), "255.255.255.255:68");
    a.message.relay = *Ipv4Address::parse("10.0.1.1");
    EXPECT_EQ(destination_of(offer, a).text(), "10.0.1.1:67");
    a.port = kBootServerPort;
    for (std::uint16_t port : {68, 4011}) {  // iPXE and BIOS ROMs ask from 68, EDK2 from 4011
        a.from = {*Ipv4Address::parse("10.0.0.9"), port};
        EXPECT_EQ(destination_of(offer, a), a.from);
    }
}
