// SPDX-License-Identifier: GPL-3.0-or-later
// The service beside a DHCP server in the lab's network: asked by a boot ROM made of frames, and by a real one (QEMU's
// e1000 iPXE).
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <tins/tins.h>

#include "lib/base/clock.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/http/server.hpp"
#include "pxe/script.hpp"
#include "pxe/service.hpp"
#include "tftp/errors.hpp"

using namespace slipway;
using namespace slipway::pxe;
using namespace std::chrono_literals;
using dhcp::Code;
using dhcp::MessageType;

namespace {

const std::string kLab = std::string(SLIPWAY_SOURCE_DIR) + "/tests/lab/";
const auto kOurs = *Ipv4Address::parse("10.99.0.1");
const auto kMachine = *MacAddress::parse("52:54:00:51:00:01");

// Things that happened, by name, with the seconds since the start.
class Diary {
public:
    void note(const std::string& what) {
        std::lock_guard lock(mutex_);
        std::printf("%6.1f s  %s\n", seconds(), what.c_str());
        std::fflush(stdout);
        seen_.insert(what);
        changed_.notify_all();
    }
    bool wait(const std::string& what, std::chrono::seconds patience) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return seen_.contains(what); });
    }
    void restart() { begun_ = Instant::clock::now(); }
    double seconds() const { return std::chrono::duration<double>(Instant::clock::now() - begun_).count(); }

private:
    Instant begun_ = Instant::clock::now();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::multiset<std::string> seen_;
};

class PxeLab : public testing::Test {
protected:
    std::string id = "pxe" + std::to_string(::getpid());
    bool up = false;
    std::unique_ptr<NetbootService> service;
    Diary diary;
    std::optional<UniqueFd> home;

    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "the lab network needs root";
        auto made = run_checked({kLab + "net", "up", id});
        if (!made.ok()) GTEST_SKIP() << made.error().describe();
        up = true;
        home = open_fd("/proc/self/ns/net", O_RDONLY).value();
        auto inside = open_fd("/run/netns/slab-" + id, O_RDONLY).value();
        ASSERT_EQ(::setns(inside.get(), CLONE_NEWNET), 0);  // this thread, and those it starts
    }
    void TearDown() override {
        service.reset();
        if (!up) return;
        ASSERT_EQ(::setns(home->get(), CLONE_NEWNET), 0);
        EXPECT_TRUE(run_checked({kLab + "net", "down", id}).ok());
    }

    void serve(std::function<Action(const MacAddress&)> decide) {
        NetbootOptions o;
        o.interfaces = {{"br0", kOurs}};
        o.decide = [decide](const MacAddress& mac, const ClientFacts&) {
            Decision d(decide(mac));
            d.secure_boot = SecureBoot::Off;
            return d;
        };
        o.boot_file = [this](const std::string& name, const UdpEndpoint&, Ipv4Address) -> Result<tftp::Content> {
            diary.note("TFTP boot/" + name);
            return make_error(tftp::errors::kNotFound, "{}", name);
        };
        auto made = NetbootService::create(std::move(o));
        ASSERT_TRUE(made.ok()) << made.error().describe();
        service = std::move(*made);
        service->start();
    }
};

// A boot ROM at the end of a cable: sends and takes Ethernet frames, and answers ARP for its address.
class Rom {
public:
    Rom(const std::string& cable, const std::string& mac, const std::string& address)
        : interface_(cable), mac_(mac), address_(address), sniffer_(cable, configuration()), sender_(interface_) {}

    void send(dhcp::Message m, const std::string& to, std::uint16_t from_port, std::uint16_t to_port) {
        auto parsed = MacAddress::parse(mac_.to_string());
        for (std::size_t i = 0; i < 6; ++i) m.hardware[i] = static_cast<std::byte>(parsed->octets[i]);
        auto bytes = dhcp::encode_message(m);
        bool broadcast = to == "255.255.255.255";
        auto frame =
            Tins::EthernetII(broadcast ? "ff:ff:ff:ff:ff:ff" : "02:51:1b:00:00:01", mac_) /
            Tins::IP(to, broadcast ? Tins::IPv4Address("0.0.0.0") : address_) / Tins::UDP(to_port, from_port) /
            Tins::RawPDU(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<std::uint32_t>(bytes.size()));
        sender_.send(frame);
    }

    struct Got {
        dhcp::Message message;
        std::string from;
        std::uint16_t to_port = 0;
    };
    // The next reply of that server to us; what others say meanwhile is kept for later.
    std::optional<Got> receive(const std::string& server, std::chrono::seconds patience) {
        for (auto it = kept_.begin(); it != kept_.end(); ++it)
            if (it->from == server) {
                auto got = std::move(*it);
                kept_.erase(it);
                return got;
            }
        for (auto end = Instant::clock::now() + patience; Instant::clock::now() < end;) {
            auto packet = sniffer_.next_packet();
            if (!packet) continue;
            answer_arp(*packet.pdu());
            auto got = reply_in(*packet.pdu());
            if (got && got->from == server) return got;
            if (got) kept_.push_back(std::move(*got));
        }
        return std::nullopt;
    }

private:
    static Tins::SnifferConfiguration configuration() {
        Tins::SnifferConfiguration c;
        c.set_immediate_mode(true);
        c.set_promisc_mode(true);
        c.set_timeout(100);
        c.set_direction(PCAP_D_IN);
        return c;
    }
    void answer_arp(const Tins::PDU& pdu) {
        const auto* arp = pdu.find_pdu<Tins::ARP>();
        if (!arp || arp->opcode() != Tins::ARP::REQUEST || arp->target_ip_addr() != address_) return;
        auto reply = Tins::ARP::make_arp_reply(arp->sender_ip_addr(), address_, arp->sender_hw_addr(), mac_);
        sender_.send(reply);
    }
    std::optional<Got> reply_in(const Tins::PDU& pdu) const {
        const auto* ip = pdu.find_pdu<Tins::IP>();
        const auto* udp = pdu.find_pdu<Tins::UDP>();
        const auto* raw = pdu.find_pdu<Tins::RawPDU>();
        if (!ip || !udp || !raw) return std::nullopt;
        auto message = dhcp::parse_message(std::as_bytes(std::span(raw->payload())));
        if (!message.ok() || message->op != dhcp::Op::Reply || message->mac() != MacAddress::parse(mac_.to_string()))
            return std::nullopt;
        return Got{std::move(*message), ip->src_addr().to_string(), udp->dport()};
    }

    Tins::NetworkInterface interface_;
    Tins::HWAddress<6> mac_;
    Tins::IPv4Address address_;
    Tins::Sniffer sniffer_;
    Tins::PacketSender sender_;
    std::deque<Got> kept_;
};

dhcp::Message rom_message(MessageType type, const char* vendor_class, std::uint8_t arch) {
    dhcp::Message m;
    m.xid = 0x51000001;
    m.set_type(type);
    m.options.set(Code::VendorClass, std::string_view(vendor_class));
    std::byte value[2] = {std::byte{0}, std::byte{arch}};
    m.options.set(Code::ClientArch, ByteView(value));
    m.options.set(Code::ClientGuid, std::string(17, '\0'));
    return m;
}

}  // namespace

TEST_F(PxeLab, a_plain_boot_rom_gets_its_loader_beside_the_dhcp_server) {
    serve([](const MacAddress& mac) { return mac.octets[5] == 0x77 ? Action::Agent : Action::Ignore; });
    ASSERT_TRUE(run_checked({"ip", "link", "add", "rom0", "type", "veth", "peer", "name", "rom1"}).ok());
    ASSERT_TRUE(run_checked({"ip", "link", "set", "rom0", "master", "br0", "up"}).ok());
    ASSERT_TRUE(run_checked({"ip", "link", "set", "rom1", "up"}).ok());
    Rom rom("rom1", "52:54:00:51:00:77", "10.99.0.77"), stranger("rom1", "52:54:00:51:00:78", "10.99.0.78");

    struct Row {
        const char* vendor_class;
        std::uint8_t arch;
        std::uint16_t port;  // from which it asks the boot server
        const char* file;
    };
    for (const Row& row : {Row{"PXEClient:Arch:00000:UNDI:002001", 0, 68, "undionly.kpxe"},
                           Row{"PXEClient:Arch:00007:UNDI:003000", 7, 4011, "snponly.efi"}}) {
        stranger.send(rom_message(MessageType::Discover, row.vendor_class, row.arch), "255.255.255.255", 68, 67);
        // As a ROM does: again, until it is heard (a bridge's new port takes a while).
        std::optional<Rom::Got> offer;
        for (int tries = 0; tries < 8 && !offer; ++tries) {
            rom.send(rom_message(MessageType::Discover, row.vendor_class, row.arch), "255.255.255.255", 68, 67);
            offer = rom.receive("10.99.0.1", 2s);
        }
        ASSERT_TRUE(offer) << row.vendor_class;
        EXPECT_EQ(offer->message.type(), MessageType::Offer);
        EXPECT_EQ(offer->to_port, 68);
        EXPECT_TRUE(offer->message.yours.is_zero());
        EXPECT_EQ(offer->message.server, kOurs);
        EXPECT_EQ(offer->message.file, row.file);
        EXPECT_EQ(offer->message.options.text(Code::VendorClass), "PXEClient");
        EXPECT_EQ(offer->message.options.get(Code::ClientGuid).size(), 17u);
        EXPECT_TRUE(rom.receive("10.99.0.2", 8s)) << "the DHCP server's own offer";

        auto ask = rom_message(MessageType::Request, row.vendor_class, row.arch);
        ask.client = *Ipv4Address::parse("10.99.0.77");
        rom.send(ask, "10.99.0.1", row.port, 4011);
        auto ack = rom.receive("10.99.0.1", 5s);
        ASSERT_TRUE(ack) << row.vendor_class;
        EXPECT_EQ(ack->message.type(), MessageType::Ack);
        EXPECT_EQ(ack->to_port, row.port);
        EXPECT_EQ(ack->message.file, row.file);
    }
    EXPECT_FALSE(stranger.receive("10.99.0.1", 1s));
}

TEST_F(PxeLab, bios_ipxe_fetches_its_script_by_http_and_the_kernel_by_tftp_when_http_has_none) {
    if (!run_checked({"sh", "-c", "command -v qemu-system-x86_64"}).ok()) GTEST_SKIP() << "QEMU is not installed";
    serve([](const MacAddress& mac) { return mac == kMachine ? Action::Agent : Action::Ignore; });
    auto router = std::make_shared<http::Router>();
    router->add("GET", "/boot/script", [&](http::Request r, http::Responder out) {
        diary.note("HTTP script for " + r.query_value("mac"));
        AgentBoot boot{.server = kOurs, .mac = kMachine, .token = "c0ffee"};
        out.send(http::Response::text(200, agent_script(boot).value()));
    });
    router->add("GET", "/boot/{file...}", [&](http::Request r, http::Responder out) {
        diary.note("HTTP " + r.path);
        out.send(http::Response::text(404, "not here\n"));
    });
    http::Server http(1);
    auto port = http.listen({.address = "10.99.0.1", .port = 8480}, router);
    ASSERT_TRUE(port.ok()) << port.error().describe();

    auto dir = TempDir::create("pxe").value();
    ASSERT_TRUE(write_file_atomic(dir / "disk", Bytes(1 << 20)).ok());
    auto metal = [&](std::vector<std::string> words) {
        words.insert(words.begin(), kLab + "metal");
        words.insert(words.begin() + 2, {"--state-dir", (dir / "machine").string()});
        return run_checked(words);
    };
    ASSERT_TRUE(run_checked({kLab + "net", "tap", id, "tap0"}).ok());
    ASSERT_TRUE(metal({"define", "--disk", (dir / "disk").string(), "--boot", "network", "--netns", "slab-" + id,
                       "--tap", "tap0", "--mac", kMachine.text(), "--memory", "128"})
                    .ok());
    diary.restart();
    auto on = metal({"power", "on"});
    ASSERT_TRUE(on.ok()) << on.error().describe();
    EXPECT_TRUE(diary.wait("HTTP script for 52:54:00:51:00:01", 120s));
    EXPECT_TRUE(diary.wait("HTTP /boot/kernel", 20s));
    EXPECT_TRUE(diary.wait("TFTP boot/kernel", 20s));
    EXPECT_TRUE(metal({"down"}).ok());
}
