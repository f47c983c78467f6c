// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "pxe/policy.hpp"
#include "pxe/script.hpp"
#include "tests/pcap.hpp"

using namespace slipway;
using namespace slipway::pxe;
using dhcp::Code;
using dhcp::MessageType;

namespace {

const BootServer kServer{*Ipv4Address::parse("10.99.0.1"), 8480};
const BootServer kNoHttp{*Ipv4Address::parse("10.99.0.1"), 0};

ClientFacts client(std::optional<Arch> arch, bool ipxe = false, bool http = false) {
    ClientFacts f;
    f.mac = *MacAddress::parse("52:54:00:51:00:01");
    f.arch = arch;
    f.pxe = !http;
    f.http = http;
    f.ipxe = ipxe;
    return f;
}

std::string file_for(const ClientFacts& f, Action action = Action::Agent, const BootServer& server = kServer) {
    auto choice = choose_boot(f, action, server);
    EXPECT_FALSE(choice.why.empty());
    return choice.answer ? choice.answer->file : "-";
}

dhcp::Message request(MessageType type, std::string_view vendor_class) {
    dhcp::Message m;
    m.xid = 0xabcd;
    m.set_type(type);
    m.options.set(Code::VendorClass, vendor_class);
    return m;
}

}  // namespace

TEST(PxePolicy, each_client_gets_what_it_can_boot) {
    const std::string script = "http://10.99.0.1:8480/boot/script?mac=52:54:00:51:00:01";
    EXPECT_EQ(file_for(client(Arch::Bios)), "undionly.kpxe");
    EXPECT_EQ(file_for(client(Arch::EfiBc)), "snponly.efi");
    EXPECT_EQ(file_for(client(Arch::EfiX64)), "snponly.efi");
    EXPECT_EQ(file_for(client(Arch::HttpX64, false, true)), "http://10.99.0.1:8480/boot/ipxe/snponly.efi");
    EXPECT_EQ(file_for(client(Arch::Bios, true)), script);
    EXPECT_EQ(file_for(client(Arch::EfiX64, true)), script);
    EXPECT_EQ(file_for(client({}, true)), script);
    for (auto arch : {Arch::EfiIa32, Arch::EfiArm64, static_cast<Arch>(999)}) EXPECT_EQ(file_for(client(arch)), "-");
    EXPECT_EQ(file_for(client(Arch::HttpArm64, false, true)), "-");
    EXPECT_EQ(file_for(client({})), "-");
    EXPECT_LT(script.size(), dhcp::kFileSize);
}

TEST(PxePolicy, without_http_everything_is_by_tftp) {
    EXPECT_EQ(file_for(client(Arch::Bios), Action::Agent, kNoHttp), "undionly.kpxe");
    EXPECT_EQ(file_for(client(Arch::Bios, true), Action::Agent, kNoHttp), "boot/script/525400510001");
    EXPECT_EQ(file_for(client(Arch::HttpX64, false, true), Action::Agent, kNoHttp), "-");
}

TEST(PxePolicy, silence_for_strangers_and_an_answer_for_those_sent_to_their_disk) {
    EXPECT_EQ(file_for(client(Arch::Bios), Action::Ignore), "-");
    EXPECT_EQ(file_for(client(Arch::Bios, true), Action::Ignore), "-");
    EXPECT_EQ(file_for(client(Arch::Bios), Action::LocalDisk), "undionly.kpxe");
    ClientFacts laptop;
    EXPECT_EQ(file_for(laptop), "-");
}

TEST(PxePolicy, quirks_of_firmware) {
    auto m = request(MessageType::Discover, "PXEClient:Arch:00007:UNDI:003000");
    EXPECT_EQ(facts_of(m).arch, Arch::EfiBc);  // no option 93
    m.options.set(Code::ClientArch, std::string_view("\0\0", 2));
    EXPECT_EQ(facts_of(m).arch, Arch::Bios);
    EXPECT_FALSE(facts_of(m).ipxe);
    m.options.set(Code::UserClass, std::string_view("\4iPXE"));  // as RFC 3004 has it
    EXPECT_TRUE(facts_of(m).ipxe);
    m.options.set(Code::UserClass, std::string_view("gPXE"));
    EXPECT_FALSE(facts_of(m).ipxe);
    for (auto bad : {"PXEClient:Arch:", "PXEClient:Arch:99999", "PXEClient:Arch:x", "PXEClient"})
        EXPECT_EQ(facts_of(request(MessageType::Discover, bad)).arch, std::nullopt) << bad;
    m.options.set(Code::ClientGuid, std::string(16, 'g'));
    EXPECT_EQ(facts_of(m).guid, std::nullopt);
    m.options.set(Code::ClientGuid,
                  std::string_view("\0\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 17));
    EXPECT_EQ(facts_of(m).guid->text(), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(PxePolicy, replies_are_what_boot_roms_look_for) {
    Answer answer{"PXEClient", "undionly.kpxe", false};
    auto discover = request(MessageType::Discover, "PXEClient:Arch:00000:UNDI:002001");
    auto offer = make_reply(discover, false, answer, kServer);
    ASSERT_TRUE(offer);
    EXPECT_EQ(offer->type(), MessageType::Offer);
    EXPECT_EQ(offer->xid, 0xabcdu);
    EXPECT_TRUE(offer->yours.is_zero());
    EXPECT_EQ(offer->server, kServer.address);
    EXPECT_EQ(offer->file, "undionly.kpxe");
    EXPECT_EQ(to_hex(offer->options.get(Code::VendorOptions)), "060108ff");
    EXPECT_FALSE(offer->options.has(Code::BootFile));
    // The rest of the conversation on port 67 is the DHCP server's.
    for (auto type : {MessageType::Request, MessageType::Inform, MessageType::Release, MessageType::None})
        EXPECT_FALSE(make_reply(request(type, "PXEClient"), false, answer, kServer));
    EXPECT_FALSE(make_reply(discover, true, answer, kServer));
    auto asked = request(MessageType::Request, "PXEClient");
    asked.client = *Ipv4Address::parse("10.99.0.143");
    auto ack = make_reply(asked, true, answer, kServer);
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->type(), MessageType::Ack);
    EXPECT_EQ(ack->client, asked.client);
    auto http = make_reply(discover, false, Answer{"HTTPClient", "http://x/y.efi", true}, kServer);
    EXPECT_EQ(http->options.text(Code::BootFile), "http://x/y.efi");
    EXPECT_EQ(http->options.text(Code::VendorClass), "HTTPClient");
}

// What we would have answered to the firmware in the captures.
TEST(PxePolicy, answers_to_captured_firmware) {
    std::string out;
    for (const char* name : {"ovmf-x64-virtio_dhcp", "qemu-seabios-ipxe-e1000_proxydhcp"}) {
        auto path = test::shared_data(fmt::format("pcap/{}.signalling.pcap", name));
        if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
        for (const auto& udp : test::read_capture(path)) {
            auto message = dhcp::parse_message(udp.payload);
            if (!message.ok() || message->op != dhcp::Op::Request) continue;
            auto choice = choose_boot(facts_of(*message), Action::Agent, kServer);
            ASSERT_TRUE(choice.answer) << choice.why;
            auto reply = make_reply(*message, udp.to.port == 4011, *choice.answer, kServer);
            out += fmt::format("{} {} > {}: {}\n", name, dhcp::name_of(message->type()), udp.to.port, choice.why);
            if (reply) out += dhcp::describe(*reply);
        }
    }
    test::expect_golden(std::filesystem::path(SLIPWAY_SOURCE_DIR) / "pxe/test/golden/answers.txt", out);
}

TEST(PxeScript, agent_by_http_and_by_tftp) {
    AgentBoot boot{.server = kServer.address, .mac = *MacAddress::parse("52:54:00:51:00:01"), .token = "c0ffee"};
    boot.now = WallTime(std::chrono::seconds(1795447528));
    auto script = agent_script(boot).value();
    EXPECT_TRUE(script.starts_with("#!ipxe\n"));
    EXPECT_NE(script.find("kernel ${base}kernel initrd=ramdisk rootfstype=ramfs "
                          "initcall_blacklist=tracer_init_tracefs slipway.server=https://10.99.0.1:8443 "
                          "slipway.bulk=http://10.99.0.1:8480 "
                          "slipway.token=c0ffee slipway.time=1795447528 slipway.mac=52:54:00:51:00:01 ||"),
              std::string::npos)
        << script;
    EXPECT_NE(script.find("set base http://10.99.0.1:8480/boot/\n"), std::string::npos);
    boot.http_port = 0;
    script = agent_script(boot).value();
    EXPECT_EQ(script.find("http:"), std::string::npos) << script;
    EXPECT_NE(script.find("set base tftp://10.99.0.1/boot/\n"), std::string::npos);
}

TEST(PxeScript, a_value_cannot_end_its_line) {
    AgentBoot boot{.server = kServer.address, .token = "c0ffee"};
    for (const char* bad : {"a b", "a\nreboot", "${x}", "a;b", "a||b", "a\"b", ""}) {
        auto other = boot;
        other.token = bad;
        EXPECT_FALSE(agent_script(other).ok()) << bad;
    }
    boot.more = "console=ttyS0 quiet";
    EXPECT_TRUE(agent_script(boot).ok());
    boot.more = "x\n";
    EXPECT_FALSE(agent_script(boot).ok());
}
