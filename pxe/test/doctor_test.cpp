// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/doctor.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::pxe;
using namespace std::chrono_literals;
using dhcp::MessageType;

namespace {

Ipv4Address ip(const char* text) { return *Ipv4Address::parse(text); }
const auto kMac = *MacAddress::parse("52:54:00:51:00:01");
const WallTime kStart = from_unix_milliseconds(1'700'000'000'000);

// Writes down a boot as it would be seen, and asks the doctor.
class Boot {
public:
    BootContext context{.known = true,
                        .controlled = true,
                        .device = "poseidon",
                        .ours = {ip("10.99.0.1")},
                        .subnets = {{ip("10.99.0.1"), 24}}};

    Boot& at(std::chrono::milliseconds time) {
        now_ = kStart + time;
        return *this;
    }
    Boot& see(EventDetail detail) {
        store_.add(kMac, now_, std::move(detail));
        return *this;
    }
    Boot& later(std::chrono::milliseconds by) {
        now_ += by;
        return *this;
    }

    Heard discover() {
        return {MessageType::Discover, 67, true, false, arch, "PXEClient:Arch:00000:UNDI:002001", "br0", relay};
    }
    Ipv4Address relay;
    Arch arch = Arch::Bios;

    // The hops, as they go well.
    Boot& asks(Arch firmware = Arch::Bios) {
        arch = firmware;
        return see(discover());
    }
    Boot& answered(const char* file = "undionly.kpxe") {
        return see(Answered{67, file, std::string("BIOS gets ") + file});
    }
    Boot& offered(const char* server = "10.99.0.2") {
        return see(Overheard{MessageType::Offer, ip(server), ip("10.99.0.100"), {}, false, "", "br0"});
    }
    Boot& takes(const char* server = "10.99.0.2") {
        auto h = discover();
        h.type = MessageType::Request;
        h.address = ip("10.99.0.100");
        h.server = ip(server);
        return see(h);
    }
    Boot& fetches(const char* file, bool http = false, std::uint64_t size = 70000) {
        see(Transfer{Stage::Begun, http, file, 0, size});
        return see(Transfer{Stage::Whole, http, file, size, size, 50, 0, 300ms});
    }
    Boot& to_loader(Arch firmware = Arch::Bios, const char* file = "undionly.kpxe") {
        return asks(firmware).offered().answered(file).takes().fetches(file);
    }
    Boot& to_ipxe() {
        to_loader().later(2s);
        auto h = discover();
        h.ipxe = true;
        see(h);
        h.type = MessageType::Request;
        return see(h).see(Answered{67, "http://10.99.0.1:8480/boot/script?mac=x", "iPXE gets its script"});
    }
    Boot& to_script() { return to_ipxe().see(ScriptGiven{true, "starts the agent"}); }
    Boot& to_kernel() {
        return to_script().fetches("boot/kernel", true, 8 << 20).fetches("boot/ramdisk/default", true, 30 << 20);
    }
    Boot& kernel_asks() {
        Heard h{MessageType::Discover, 67, false, false, {}, "udhcp 1.35.0", "br0"};
        return later(10s).see(h);
    }

    Diagnosis ask() const { return diagnose(store_.of(kMac), now_, context); }
    std::string outcome() const {
        auto d = ask();
        return d.finding ? std::string(d.finding->row->id) : std::string(name_of(d.outcome));
    }
    std::string text() const {
        auto d = ask();
        return d.finding ? d.finding->text : "";
    }

private:
    TraceStore store_;
    WallTime now_ = kStart;
};

}  // namespace

TEST(Doctor, a_boot_that_goes_well_is_booted_and_never_ill_on_its_way) {
    Boot b;
    auto well = [&] { return b.outcome(); };
    EXPECT_EQ(b.asks().outcome(), "underway");
    EXPECT_EQ(b.offered().answered().outcome(), "underway");
    EXPECT_EQ(b.takes().fetches("undionly.kpxe").outcome(), "underway");
    Boot c;
    EXPECT_EQ(c.to_kernel().outcome(), "underway");
    c.kernel_asks();
    EXPECT_EQ(c.later(5s).see(Enrolment{}).outcome(), "underway");
    EXPECT_EQ(c.see(Ready{"0.1"}).outcome(), "booted");
    EXPECT_EQ(c.ask().reached, Hop::Ready);
    EXPECT_EQ(c.later(1h).outcome(), "booted");
    EXPECT_EQ(well(), "underway");
}

TEST(Doctor, a_device_that_is_sent_to_its_disk_is_well) {
    Boot b;
    EXPECT_EQ(b.to_ipxe().see(ScriptGiven{false, "leaves to the local disk"}).later(1h).outcome(), "local-disk");
}

TEST(Doctor, nothing_heard_is_no_discover) {
    Boot b;
    EXPECT_EQ(b.outcome(), "netboot.no-discover");
    b.context.addresses = {ip("10.99.0.17")};
    EXPECT_EQ(b.outcome(), "netboot.no-discover");
}

TEST(Doctor, only_its_operating_system_heard_is_no_discover_with_the_cable_right) {
    Boot b;
    b.see(Heard{MessageType::Request, 67, false, false, {}, "systemd", "br0"});
    EXPECT_EQ(b.outcome(), "netboot.no-discover");
    EXPECT_NE(b.text().find("cable and VLAN are right"), std::string::npos);
}

TEST(Doctor, nothing_heard_of_a_machine_of_another_subnet_wants_a_relay) {
    Boot b;
    b.context.addresses = {ip("10.78.0.10")};
    EXPECT_EQ(b.outcome(), "netboot.relay-missing");
    EXPECT_NE(b.text().find("10.78.0.10"), std::string::npos);
}

TEST(Doctor, what_came_before_the_boot_that_is_asked_about_does_not_count) {
    Boot b;
    b.to_kernel().later(10s).see(Ready{"0.1"}).later(1h);
    b.context.since = kStart + 30min;
    b.context.addresses = {ip("10.78.0.10")};
    EXPECT_EQ(b.outcome(), "netboot.relay-missing");
}

TEST(Doctor, silence_to_the_unknown_and_to_the_released_are_told_apart) {
    Boot b;
    b.asks().see(Silence{"no device under control has this MAC, or it has nothing to do"});
    b.context.controlled = false;
    EXPECT_EQ(b.outcome(), "netboot.not-controlled");
    EXPECT_NE(b.text().find("poseidon"), std::string::npos);
    b.context.known = false;
    EXPECT_EQ(b.outcome(), "netboot.unknown-device");
}

TEST(Doctor, an_architecture_without_a_loader_is_named) {
    Boot b;
    b.asks(Arch::EfiArm64).see(Silence{"there is no boot loader for UEFI ARM64", "pxe.no-loader"});
    EXPECT_EQ(b.outcome(), "netboot.no-loader");
    EXPECT_NE(b.text().find("UEFI ARM64"), std::string::npos);
    Boot c;
    c.asks(static_cast<Arch>(99)).see(Silence{"architecture 99 is unknown", "pxe.architecture"});
    EXPECT_EQ(c.outcome(), "netboot.no-loader");
}

TEST(Doctor, silence_that_was_ordered_is_not_for_want_of_a_loader) {
    Boot b;
    b.asks().see(Silence{"it is told to be ignored"});
    EXPECT_EQ(b.outcome(), "netboot.ignored");
}

TEST(Doctor, another_pxe_server_is_named_by_its_address) {
    Boot b;
    b.asks().answered();
    b.see(
        Overheard{MessageType::Offer, ip("10.99.0.9"), ip("10.99.0.100"), ip("10.99.0.9"), true, "pxelinux.0", "br0"});
    b.takes("10.99.0.9");
    EXPECT_EQ(b.outcome(), "underway");
    EXPECT_EQ(b.later(20s).outcome(), "netboot.other-pxe-server");
    EXPECT_NE(b.text().find("10.99.0.9"), std::string::npos);
}

TEST(Doctor, a_dhcp_server_that_points_at_us_is_no_other_pxe_server) {
    Boot b;
    b.asks().answered();
    b.see(
        Overheard{MessageType::Offer, ip("10.99.0.2"), ip("10.99.0.100"), ip("10.99.0.1"), true, "undionly.kpxe", ""});
    EXPECT_EQ(b.takes().later(40s).outcome(), "netboot.offer-not-taken");
}

TEST(Doctor, no_address_offered_or_none_taken) {
    Boot b;
    b.asks().answered().later(4s).asks().answered();
    EXPECT_EQ(b.outcome(), "underway");
    EXPECT_EQ(b.later(20s).outcome(), "netboot.no-address");
    EXPECT_EQ(b.ask().reached, Hop::Offer);
}

TEST(Doctor, a_relay_that_drops_our_answer) {
    Boot b;
    b.relay = ip("10.78.0.1");
    b.asks().answered().takes("10.77.0.9").later(20s);
    EXPECT_EQ(b.outcome(), "netboot.relay-drops-pxe");
    EXPECT_NE(b.text().find("10.78.0.1"), std::string::npos);
    EXPECT_NE(b.text().find("10.77.0.9"), std::string::npos);
}

TEST(Doctor, our_offer_on_the_own_segment_that_is_not_taken) {
    Boot b;
    EXPECT_EQ(b.asks().answered().offered().takes().later(40s).outcome(), "netboot.offer-not-taken");
}

TEST(Doctor, firmware_that_gets_the_file_of_another_architecture) {
    Boot b;
    b.asks(Arch::EfiBc).offered().answered("snponly.efi").takes().fetches("undionly.kpxe");
    EXPECT_EQ(b.later(20s).outcome(), "netboot.wrong-architecture");
    Boot c;
    EXPECT_EQ(c.to_loader(Arch::Bios, "grubx64.efi").later(20s).outcome(), "netboot.wrong-architecture");
    Boot d;
    EXPECT_EQ(d.to_loader(Arch::EfiX64, "snponly.efi").later(1min).outcome(), "netboot.secure-boot");
}

TEST(Doctor, a_file_that_is_not_there) {
    Boot b;
    b.asks().offered().answered().takes().see(Transfer{Stage::Refused, false, "pxelinux.0"});
    EXPECT_EQ(b.later(6s).outcome(), "netboot.file-not-found");
    Boot c;  // the script's second way, by TFTP, may still do
    c.to_script().see(Transfer{Stage::Refused, true, "boot/kernel", 0, 0, 0, 0, 0ms, "404"});
    EXPECT_EQ(c.outcome(), "underway");
    c.fetches("boot/kernel").fetches("boot/ramdisk/default");
    EXPECT_EQ(c.later(6s).outcome(), "underway");
}

TEST(Doctor, a_transfer_that_stalls_says_at_which_byte) {
    Boot b;
    b.asks().offered().answered().takes();
    b.see(Transfer{Stage::Moving, false, "undionly.kpxe", 40000, 70000, 28, 0, 1s});
    EXPECT_EQ(b.outcome(), "underway");
    EXPECT_EQ(b.later(11s).outcome(), "netboot.transfer-stalled");
    EXPECT_NE(b.text().find("byte 40000 of 70000"), std::string::npos) << b.text();
    b.see(Transfer{Stage::Broken, false, "undionly.kpxe", 40000, 70000, 28, 0, 30s, "the client went silent"});
    EXPECT_EQ(b.later(6s).outcome(), "netboot.transfer-stalled");
}

TEST(Doctor, asking_for_the_size_first_is_no_broken_transfer) {
    Boot b;
    b.asks(Arch::EfiBc).answered("snponly.efi").takes();
    b.see(Transfer{Stage::Begun, false, "snponly.efi", 0, 90000});
    b.see(Transfer{Stage::Broken, false, "snponly.efi", 0, 90000, 0, 0, 1ms, "the client ended it: 8 User aborted"});
    EXPECT_EQ(b.later(6s).outcome(), "underway");
}

TEST(Doctor, a_link_that_loses_packets_is_not_a_stall) {
    Boot b;
    b.asks().offered().answered().takes();
    b.see(Transfer{Stage::Broken, false, "undionly.kpxe", 40000, 70000, 300, 30, 60s, "the client went silent"});
    EXPECT_EQ(b.later(6s).outcome(), "netboot.link");
    EXPECT_NE(b.text().find("30 of 300"), std::string::npos);
    Boot c;  // a lost block now and then is nobody's fault
    c.asks().offered().answered().takes();
    c.see(Transfer{Stage::Broken, false, "undionly.kpxe", 40000, 70000, 3000, 20, 60s, "the client went silent"});
    EXPECT_EQ(c.later(6s).outcome(), "netboot.transfer-stalled");
}

TEST(Doctor, our_own_end_at_half_duplex_is_a_sick_link) {
    Boot b;
    b.context.links = {{"br0", 100, true}};
    b.asks().offered().answered().takes();
    b.see(Transfer{Stage::Broken, false, "undionly.kpxe", 40000, 70000, 28, 0, 60s, "the client went silent"});
    EXPECT_EQ(b.later(6s).outcome(), "netboot.link");
    EXPECT_NE(b.text().find("half duplex"), std::string::npos);
}

TEST(Doctor, secure_boot_refuses_and_the_firmware_asks_again) {
    Boot b;
    b.to_loader(Arch::EfiBc, "snponly.efi");
    EXPECT_EQ(b.outcome(), "underway");
    b.later(3s).asks(Arch::EfiBc).answered("snponly.efi");
    EXPECT_EQ(b.outcome(), "netboot.secure-boot");
    EXPECT_EQ(b.ask().attempts, 2u);
    b.context.stopped = true;
    EXPECT_EQ(b.outcome(), "netboot.secure-boot");
    b.context.stopped = false;
    b.takes().fetches("snponly.efi");
    EXPECT_EQ(b.later(40s).outcome(), "netboot.secure-boot");
}

TEST(Doctor, bios_that_does_not_start_its_loader) {
    Boot b;
    EXPECT_EQ(b.to_loader().later(40s).outcome(), "netboot.loader-did-not-start");
}

TEST(Doctor, ipxe_that_does_not_fetch_its_script) {
    Boot b;
    EXPECT_EQ(b.to_ipxe().later(40s).outcome(), "netboot.script-not-fetched");
}

TEST(Doctor, ipxe_that_gets_no_address_of_its_own) {
    Boot b;
    b.to_loader().later(2s);
    auto h = b.discover();
    h.ipxe = true;
    b.see(h).see(Answered{67, "http://10.99.0.1:8480/boot/script?mac=x", "iPXE gets its script"});
    EXPECT_EQ(b.later(40s).outcome(), "netboot.no-address");
}

// Many cards have iPXE in their ROM: there is no loader before it.
TEST(Doctor, firmware_that_is_ipxe_fails_for_the_same_reasons) {
    auto rom = [](Boot& b) -> Boot& {
        auto h = b.discover();
        h.ipxe = true;
        return b.see(h).see(Answered{67, "http://10.99.0.1:8480/boot/script?mac=x", "iPXE gets its script"});
    };
    Boot none;
    EXPECT_EQ(rom(none).later(20s).outcome(), "netboot.no-address");
    Boot other;
    rom(other).see(Overheard{MessageType::Offer, ip("10.99.0.9"), ip("10.99.0.100"), {}, true, "pxelinux.0", "br0"});
    EXPECT_EQ(other.takes("10.99.0.9").later(20s).outcome(), "netboot.other-pxe-server");
    Boot relayed;
    relayed.relay = ip("10.78.0.1");
    EXPECT_EQ(rom(relayed).takes("10.77.0.9").later(20s).outcome(), "netboot.relay-drops-pxe");
    Boot blocked;
    EXPECT_EQ(rom(blocked).offered().takes().later(40s).outcome(), "netboot.script-not-fetched");
    Boot again;  // and a boot soon after another is one of its own
    rom(again).offered().takes().see(ScriptGiven{true, "starts the agent"}).see(Ready{"0.1"}).later(20s);
    EXPECT_EQ(again.outcome(), "booted");
    EXPECT_EQ(rom(again).outcome(), "underway");
    EXPECT_EQ(again.later(20s).outcome(), "netboot.no-address");
}

TEST(Doctor, a_script_without_a_kernel) {
    Boot b;
    EXPECT_EQ(b.to_script().later(40s).outcome(), "netboot.kernel-not-fetched");
    EXPECT_EQ(b.fetches("boot/kernel", true).later(40s).outcome(), "netboot.kernel-not-fetched");
    EXPECT_NE(b.text().find("no ramdisk"), std::string::npos);
}

TEST(Doctor, a_kernel_whose_card_is_not_heard_lacks_a_driver_and_the_ids_are_named) {
    Boot b;
    EXPECT_EQ(b.to_kernel().later(60s).outcome(), "underway");
    b.context.stopped = true;
    EXPECT_EQ(b.outcome(), "netboot.no-driver");
    EXPECT_NE(b.text().find("no inventory"), std::string::npos);
    b.context.cards = {"14e4:16d7 (bnxt_en)"};
    EXPECT_NE(b.text().find("14e4:16d7"), std::string::npos);
    b.context.without_driver = {"14e4:16d7"};
    EXPECT_NE(b.text().find("no driver for 14e4:16d7"), std::string::npos);
    b.context.stopped = false;
    EXPECT_EQ(b.later(120s).outcome(), "netboot.no-driver");
}

TEST(Doctor, a_kernel_that_is_heard_and_no_agent) {
    Boot b;
    EXPECT_EQ(b.to_kernel().kernel_asks().later(130s).outcome(), "netboot.no-agent");
}

TEST(Doctor, a_clock_that_is_off_says_by_how_much) {
    Boot b;
    b.to_kernel().kernel_asks().see(TlsRefused{"sslv3 alert bad certificate"});
    b.see(Trouble{"10.99.0.1:8443: the certificate was refused: certificate is not yet valid", WallTime{}});
    EXPECT_EQ(b.outcome(), "netboot.clock");
    EXPECT_NE(b.text().find("off by 19675 days"), std::string::npos) << b.text();
    EXPECT_EQ(b.ask().reached, Hop::Agent);
    EXPECT_EQ(b.see(Enrolment{}).outcome(), "underway");  // it came right
}

TEST(Doctor, a_ramdisk_of_another_server) {
    Boot b;
    b.to_kernel().kernel_asks().see(TlsRefused{"tlsv1 alert unknown ca"});
    EXPECT_EQ(b.outcome(), "netboot.other-ca");
}

TEST(Doctor, half_a_handshake_is_given_time) {
    Boot b;
    b.to_kernel().kernel_asks().see(TlsRefused{"stream truncated"});
    EXPECT_EQ(b.outcome(), "underway");
    EXPECT_EQ(b.later(130s).outcome(), "netboot.tls");
}

TEST(Doctor, a_refused_token) {
    Boot b;
    b.to_kernel().kernel_asks().see(Enrolment{"server.bad-token", "the token has expired"});
    EXPECT_EQ(b.outcome(), "netboot.token");
    EXPECT_NE(b.text().find("expired"), std::string::npos);
    EXPECT_EQ(b.see(Enrolment{"server.not-controlled", "device 'poseidon'"}).outcome(), "netboot.not-controlled");
}

TEST(Doctor, evidence_names_events_of_the_boot_it_speaks_of) {
    Boot b;
    b.to_kernel().later(5s).see(Enrolment{"server.bad-token", "used"});
    auto d = b.ask();
    ASSERT_TRUE(d.finding);
    EXPECT_FALSE(d.finding->evidence.empty());
    EXPECT_EQ(d.begun, kStart);
}

// A machine that is switched off and on within the minute in which its boot came to nothing.
TEST(Doctor, who_asks_anew_after_it_had_an_address_begins_another_boot) {
    auto began = [](bool ipxe) {
        Heard h;
        h.boots = true;
        h.ipxe = ipxe;
        h.arch = Arch::Bios;
        h.type = dhcp::MessageType::Discover;
        return h;
    };
    for (bool rom_is_ipxe : {false, true}) {
        std::vector<BootEvent> events;
        auto add = [&](std::uint64_t s, Heard h) {
            events.push_back({events.size() + 1, WallTime(std::chrono::seconds(1'700'000'000 + s)), MacAddress{}, h});
        };
        add(0, began(rom_is_ipxe));
        add(4, began(rom_is_ipxe));  // said again: the same
        auto chose = began(rom_is_ipxe);
        chose.type = dhcp::MessageType::Request;
        add(5, chose);
        EXPECT_EQ(diagnose(events, events.back().time, {}).attempts, 1u);
        if (!rom_is_ipxe) {  // its loader's iPXE is no other boot
            add(6, began(true));
            EXPECT_EQ(diagnose(events, events.back().time, {}).attempts, 1u);
        }
        add(20, began(rom_is_ipxe));
        EXPECT_EQ(diagnose(events, events.back().time, {}).attempts, 2u) << rom_is_ipxe;
    }
}

TEST(Doctor, a_new_boot_after_a_good_one_is_judged_alone) {
    Boot b;
    b.to_kernel().later(20s).see(Ready{"0.1"}).later(1h).asks().answered();
    EXPECT_EQ(b.outcome(), "underway");
    EXPECT_EQ(b.later(20s).outcome(), "netboot.no-address");
}

// ---- the table

TEST(Findings, each_has_an_id_of_its_own_and_words) {
    std::set<std::string_view> ids;
    for (const auto* row : all_findings()) {
        EXPECT_TRUE(ids.insert(row->id).second) << row->id;
        EXPECT_TRUE(row->id.starts_with("netboot."));
        EXPECT_GT(row->title.size(), 20u) << row->id;
        EXPECT_GT(row->advice.size(), 150u) << row->id;
    }
    EXPECT_EQ(ids.size(), 24u);
}

TEST(Findings, the_page_is_the_table) {
    auto page = std::string(SLIPWAY_SOURCE_DIR) + "/docs/netboot-findings.md";
    if (std::getenv("SLIPWAY_REGENERATE")) {
        ASSERT_TRUE(write_file_atomic(page, as_bytes(findings_page())).ok());
    }
    EXPECT_EQ(read_text_file(page, 1u << 20).value_or(""), findings_page())
        << "write it again: SLIPWAY_REGENERATE=1 build/bin/pxe_doctor_test";
}
