// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "pxe/errors.hpp"
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

Decision agent(SecureBoot state = SecureBoot::Off, std::string_view loader = kAuto) {
    Decision d(Action::Agent);
    d.secure_boot = state;
    d.loader = loader;
    return d;
}

Decision image(ImageKind kind, SecureBoot state = SecureBoot::Off) {
    auto d = agent(state);
    d.action = Action::Image;
    d.image = kind;
    return d;
}

// The file, or the name of the refusal.
std::string file_for(const ClientFacts& f, const Decision& decision = agent(), const BootServer& server = kServer) {
    auto choice = choose_boot(f, decision, server);
    EXPECT_FALSE(choice.why.empty());
    return choice.answer ? choice.answer->file : choice.refusal ? choice.refusal->name() : "-";
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
    EXPECT_EQ(file_for(client(Arch::EfiX64)), "snponly.efi");
    EXPECT_EQ(file_for(client(Arch::EfiBc)), "snponly.efi");
    EXPECT_EQ(file_for(client(Arch::HttpX64, false, true)), "http://10.99.0.1:8480/boot/loaders/snponly.efi");
    EXPECT_EQ(file_for(client(Arch::EfiIa32)), "grubia32.efi");
    EXPECT_EQ(file_for(client(Arch::HttpIa32, false, true)), "http://10.99.0.1:8480/boot/loaders/grubia32.efi");
    EXPECT_EQ(file_for(client(Arch::EfiArm64)), "arm64.efi");
    EXPECT_EQ(file_for(client(Arch::HttpArm64, false, true)), "http://10.99.0.1:8480/boot/loaders/arm64.efi");
    EXPECT_EQ(file_for(client(Arch::Bios, true)), script);
    EXPECT_EQ(file_for(client(Arch::EfiX64, true)), script);
    EXPECT_EQ(file_for(client({}, true)), script);
    EXPECT_EQ(file_for(client({})), "pxe.no-architecture");
    EXPECT_LT(script.size(), dhcp::kFileSize);
}

// A machine whose row has no firmware is told so by the row's name; a number that is not IANA's by its number.
TEST(PxePolicy, every_assigned_architecture_is_answered_or_refused_by_name) {
    EXPECT_EQ(kArchs.size(), 42u);
    for (std::size_t i = 0; i < kArchs.size(); ++i) {
        const auto& row = kArchs[i];
        EXPECT_EQ(row.number, i);
        auto choice = choose_boot(client(static_cast<Arch>(i), false, row.medium == Medium::Http), agent(), kServer);
        EXPECT_EQ(choice.answer.has_value(), row.firmware != Firmware::None) << row.name;
        if (!choice.answer) {
            EXPECT_NE(choice.why.find(row.name), std::string::npos) << choice.why;
        }
    }
    auto unassigned = choose_boot(client(static_cast<Arch>(999)), agent(), kServer);
    ASSERT_TRUE(unassigned.refusal);
    EXPECT_TRUE(unassigned.refusal->is(errors::kArchitecture));
    EXPECT_NE(unassigned.why.find("999"), std::string::npos);
}

TEST(PxePolicy, shim_until_secure_boot_is_known_to_be_off) {
    for (auto state : {SecureBoot::Unknown, SecureBoot::On}) {
        EXPECT_EQ(file_for(client(Arch::EfiX64), agent(state)), "shimx64.efi");
        EXPECT_EQ(file_for(client(Arch::HttpX64, false, true), agent(state)),
                  "http://10.99.0.1:8480/boot/loaders/shimx64.img");
        // Neither has it, or iPXE runs already: then it was let in.
        EXPECT_EQ(file_for(client(Arch::Bios), agent(state)), "undionly.kpxe");
        EXPECT_EQ(file_for(client(Arch::EfiIa32), agent(state)), "grubia32.efi");
        EXPECT_TRUE(file_for(client(Arch::EfiX64, true), agent(state)).starts_with("http://"));
    }
    EXPECT_EQ(file_for(client(Arch::EfiX64), agent(SecureBoot::Off)), "snponly.efi");
    for (auto state : {SecureBoot::Unknown, SecureBoot::Off, SecureBoot::On})
        EXPECT_EQ(secure_boot_from(name_of(state)), state);
    EXPECT_EQ(secure_boot_from("maybe"), SecureBoot::Unknown);
}

TEST(PxePolicy, the_operator_of_a_device_chooses_its_loader) {
    EXPECT_EQ(file_for(client(Arch::EfiX64), agent(SecureBoot::On, kIpxe)), "snponly.efi");
    EXPECT_EQ(file_for(client(Arch::EfiX64), agent(SecureBoot::Off, kShim)), "shimx64.efi");
    EXPECT_EQ(file_for(client(Arch::Bios), agent(SecureBoot::Off, kShim)), "pxe.shim-on-bios");
    EXPECT_EQ(file_for(client(Arch::EfiX64), agent(SecureBoot::On, "realtek.efi")), "realtek.efi");
    EXPECT_EQ(file_for(client(Arch::HttpX64, false, true), agent(SecureBoot::On, "realtek.efi")),
              "http://10.99.0.1:8480/boot/loaders/realtek.efi");
    for (auto bad : {"", "../x", "a/b", ".x", "-x", "a b", "a\\b", "a%2eb"}) EXPECT_FALSE(valid_loader(bad)) << bad;
    EXPECT_FALSE(valid_loader(std::string(65, 'a')));
    for (const auto& row : kLoaders) EXPECT_TRUE(valid_loader(row.name));
}

TEST(PxePolicy, images_go_where_they_can_be_booted) {
    EXPECT_EQ(file_for(client(Arch::Bios), image(ImageKind::Floppy, SecureBoot::Unknown)), "undionly.kpxe");
    EXPECT_EQ(file_for(client(Arch::Bios), image(ImageKind::Iso)), "undionly.kpxe");
    EXPECT_EQ(file_for(client(Arch::EfiX64), image(ImageKind::Iso)), "snponly.efi");
    for (auto arch : {Arch::EfiX64, Arch::EfiIa32, Arch::EfiArm64})
        EXPECT_EQ(file_for(client(arch), image(ImageKind::Floppy)), "pxe.floppy-on-uefi");
    EXPECT_EQ(file_for(client(Arch::EfiX64, true), image(ImageKind::Floppy)), "pxe.floppy-on-uefi");
    for (auto state : {SecureBoot::Unknown, SecureBoot::On})
        EXPECT_EQ(file_for(client(Arch::EfiX64), image(ImageKind::Iso, state)), "pxe.iso-under-secure-boot");
}

TEST(PxePolicy, without_http_everything_is_by_tftp) {
    EXPECT_EQ(file_for(client(Arch::Bios), agent(), kNoHttp), "undionly.kpxe");
    EXPECT_EQ(file_for(client(Arch::Bios, true), agent(), kNoHttp), "boot/script/525400510001");
    EXPECT_EQ(file_for(client(Arch::HttpX64, false, true), agent(), kNoHttp), "pxe.no-http");
}

TEST(PxePolicy, silence_for_strangers_and_an_answer_for_those_sent_to_their_disk) {
    for (bool ipxe : {false, true}) {
        auto choice =
            choose_boot(client(Arch::Bios, ipxe), Decision(Action::Ignore, "device 'x' is not under control"), kServer);
        ASSERT_TRUE(choice.refusal && choice.refusal->is(errors::kIgnored));
        EXPECT_NE(choice.why.find("device 'x' is not under control"), std::string::npos);
    }
    EXPECT_EQ(file_for(client(Arch::Bios), Action::LocalDisk), "undionly.kpxe");
    ClientFacts laptop;
    EXPECT_EQ(file_for(laptop), "-");
}

TEST(PxePolicy, actions_have_the_words_of_the_field) {
    for (auto name : kActionNames) EXPECT_EQ(name_of(*action_from(name)), name);
    EXPECT_FALSE(action_from("boot-to-hd"));
    for (auto name : kLocalBootNames) EXPECT_EQ(name_of(local_boot_from(name)), name);
}

TEST(PxeQuirks, each_row_is_reached_and_has_its_story) {
    EXPECT_EQ(quirk_of({"Dull Machines Inc.", "", "", true}), nullptr);
    std::set<std::string_view> names;
    auto story = read_text_file(std::filesystem::path(SLIPWAY_SOURCE_DIR) / "docs/quirks.md").value_or("");
    for (const auto& row : kQuirks) {
        EXPECT_TRUE(names.insert(row.name).second);
        EXPECT_EQ(quirk_of({row.vendor, row.product, "", row.uefi}), &row) << row.name << " is hidden by one above it";
        EXPECT_NE(quirk_of({row.vendor, row.product, "", !row.uefi}), &row);
        EXPECT_NE(story.find("`" + std::string(row.name) + "`"), std::string::npos) << "docs/quirks.md: " << row.name;
    }
    EXPECT_EQ(quirk_of({"qemu", "Standard PC (Q35 + ICH9, 2009)", "", true})->local_boot, LocalBoot::ChainLoad);
}

TEST(PxeImage, is_told_by_its_bytes) {
    Bytes iso(kImageHead);
    std::memcpy(iso.data() + kIsoMark, "\1CD001", 6);
    EXPECT_EQ(image_kind(iso, 400u << 10).value(), ImageKind::Iso);
    Bytes floppy(kImageHead);
    EXPECT_EQ(image_kind(floppy, 1440u << 10).value(), ImageKind::Floppy);
    EXPECT_EQ(image_kind({}, 360u << 10).value(), ImageKind::Floppy);
    for (std::uint64_t size : {0ull, 1ull, (1440ull << 10) + 1, 10ull << 20, ~0ull})
        EXPECT_TRUE(image_kind(floppy, size).error().is(errors::kImage)) << size;
    iso.pop_back();
    EXPECT_FALSE(image_kind(iso, iso.size()).ok());
}

TEST(PxePolicy, quirks_of_firmware) {
    auto m = request(MessageType::Discover, "PXEClient:Arch:00007:UNDI:003000");
    EXPECT_EQ(facts_of(m).arch, Arch::EfiX64);  // no option 93
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
            auto choice = choose_boot(facts_of(*message), agent(), kServer);
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

namespace {

// grub-script-check(1) reads it as GRUB would; where it is not installed, only what is asked of the text is.
void expect_grub_reads(const std::string& script) {
    auto dir = TempDir::create("grub").value();
    ASSERT_TRUE(write_file_atomic(dir / "grub.cfg", as_bytes(script)).ok());
    auto there = run_command({"sh", "-c", "command -v grub-script-check"});
    if (!there || there->exit_code != 0) return;
    auto read = run_command({"grub-script-check", (dir / "grub.cfg").string()});
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->exit_code, 0) << read->error_text << script;
}

}  // namespace

TEST(PxeScript, grub_fetches_by_tftp_with_every_word_quoted) {
    AgentBoot boot{.server = kServer.address, .mac = *MacAddress::parse("52:54:00:51:00:01"), .token = "c0ffee"};
    boot.more = "console=ttyS0 quiet";
    auto script = agent_grub_script(boot).value();
    EXPECT_NE(script.find("set base='(tftp,10.99.0.1)/boot/'\n"), std::string::npos) << script;
    EXPECT_NE(script.find("linux \"$base\"kernel 'rootfstype=ramfs' "), std::string::npos) << script;
    EXPECT_NE(script.find("'slipway.token=c0ffee' "), std::string::npos) << script;
    EXPECT_NE(script.find(" 'console=ttyS0' 'quiet'; then"), std::string::npos) << script;
    EXPECT_NE(script.find("initrd \"$base\"ramdisk/default;"), std::string::npos) << script;
    expect_grub_reads(script);
    for (const char* bad : {"a b", "a\nreboot", "$x", "a;b", "a'b", "a{b}", ""}) {
        auto other = boot;
        other.token = bad;
        EXPECT_FALSE(agent_grub_script(other).ok()) << bad;
    }
}

TEST(PxeScript, grub_finds_its_own_file_at_our_server) {
    auto script = first_grub_script({kServer.address, *Ipv4Address::parse("10.98.0.1")});
    EXPECT_NE(script.find("for server in '10.99.0.1' '10.98.0.1'; do"), std::string::npos) << script;
    EXPECT_NE(script.find("(tftp,$server)/boot/grub/$mac"), std::string::npos) << script;
    // Of a GRUB that was not loaded by PXE.
    EXPECT_NE(script.find("for mac in \"$net_default_mac\" \"$net_efinet0_dhcp_mac\" "), std::string::npos) << script;
    expect_grub_reads(script);
}

TEST(PxeScript, the_local_disk_is_left_to) {
    auto script = [](LocalBoot way, std::uint16_t port = 8480) {
        return local_disk_script(way, kServer.address, port);
    };
    for (auto way : {LocalBoot::Auto, LocalBoot::Exit})
        EXPECT_EQ(script(way), "#!ipxe\necho Slipway: starting from the local disk\nexit 1\n");
    EXPECT_NE(script(LocalBoot::SanBoot).find("sanboot --no-describe --drive 0x80 ||\n"), std::string::npos);
    EXPECT_NE(script(LocalBoot::ChainLoad).find("chain http://10.99.0.1:8480/boot/loaders/localx64.efi ||\nexit 1\n"),
              std::string::npos);
    EXPECT_NE(script(LocalBoot::ChainLoad, 0).find("chain tftp://10.99.0.1/boot/loaders/localx64.efi ||"),
              std::string::npos);
    auto chain = local_disk_grub_script();
    EXPECT_NE(chain.find("/EFI/BOOT/BOOTIA32.EFI"), std::string::npos) << chain;
    EXPECT_NE(chain.find("/EFI/BOOT/BOOTX64.EFI"), std::string::npos) << chain;
    EXPECT_EQ(local_disk_grub_script(LocalBoot::Exit), "exit\n");
    expect_grub_reads(chain);
}

TEST(PxeScript, an_image_by_memdisk_and_by_http_blocks) {
    ImageBoot boot{.server = kServer.address, .name = "dos.img", .kind = ImageKind::Floppy};
    auto floppy = image_script(boot).value();
    EXPECT_NE(floppy.find("kernel http://10.99.0.1:8480/boot/loaders/memdisk floppy raw ||"), std::string::npos)
        << floppy;
    EXPECT_NE(floppy.find("initrd http://10.99.0.1:8480/boot/images/dos.img ||"), std::string::npos) << floppy;
    EXPECT_NE(floppy.find(":efi\necho Slipway: a floppy image cannot be booted on UEFI\n:failed"), std::string::npos)
        << floppy;
    EXPECT_EQ(floppy.find("sanboot"), std::string::npos);
    boot.kind = ImageKind::Iso;
    boot.name = "rescue.iso";
    auto iso = image_script(boot).value();
    const std::string san = "sanboot --no-describe http://10.99.0.1:8480/boot/images/rescue.iso ||\n";
    EXPECT_NE(iso.find("goto efi ||\n" + san + ":memdisk\n"), std::string::npos) << iso;
    EXPECT_NE(iso.find(":efi\n" + san), std::string::npos) << iso;
    boot.http_port = 0;
    EXPECT_NE(image_script(boot).value().find("initrd tftp://10.99.0.1/boot/images/rescue.iso"), std::string::npos);
    boot.name = "a b";
    EXPECT_FALSE(image_script(boot).ok());
}
