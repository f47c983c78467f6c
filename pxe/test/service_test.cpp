// SPDX-License-Identifier: GPL-3.0-or-later
// The service on loopback: the boot server port and TFTP. Broadcasts are in lab_test.cpp.
#include <poll.h>

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "lib/base/clock.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "pxe/errors.hpp"
#include "pxe/service.hpp"
#include "tftp/errors.hpp"

using namespace slipway;
using namespace slipway::pxe;
using dhcp::Code;
using dhcp::MessageType;

namespace {

NetbootOptions on_loopback(const std::filesystem::path& loaders) {
    NetbootOptions o;
    o.interfaces = {{"", *Ipv4Address::parse("127.0.0.1")}};
    o.ports = {0, 0, 0};
    o.loaders = {.ipxe = loaders, .root = loaders};
    o.decide = [](const MacAddress& mac, const ClientFacts&) {
        return Decision(mac.octets[5] == 1 ? Action::Agent : Action::Ignore, "not under control");
    };
    return o;
}

TempDir make_loaders() {
    auto dir = TempDir::create("pxe").value();
    for (const char* name : {"undionly.kpxe", "snponly.efi"})
        EXPECT_TRUE(write_file_atomic(dir / name, as_bytes(name)).ok());
    return dir;
}

dhcp::Message boot_request(std::uint8_t last_octet) {
    dhcp::Message m;
    m.set_type(MessageType::Request);
    m.hardware[5] = static_cast<std::byte>(last_octet);
    m.client = *Ipv4Address::parse("127.0.0.1");
    m.options.set(Code::VendorClass, std::string_view("PXEClient:Arch:00000:UNDI:002001"));
    return m;
}

}  // namespace

TEST(NetbootService, boot_server_port_answers_those_under_control) {
    auto loaders = make_loaders();
    auto service = NetbootService::create(on_loopback(loaders.path())).value();
    service->start();
    auto socket = UdpPort::open({}).value();
    UdpEndpoint to{*Ipv4Address::parse("127.0.0.1"), service->ports().boot_server};
    ASSERT_TRUE(socket.send(dhcp::encode_message(boot_request(2)), to).ok());  // ignored
    ASSERT_TRUE(socket.send(dhcp::encode_message(boot_request(1)), to).ok());
    pollfd p{socket.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    auto ack = dhcp::parse_message((*socket.receive())->data).value();
    EXPECT_EQ(ack.type(), MessageType::Ack);
    EXPECT_EQ(ack.mac().octets[5], 1);
    EXPECT_EQ(ack.file, "undionly.kpxe");
    service->stop();
    service->stop();
}

TEST(NetbootService, a_client_that_gets_no_answer_is_named_in_the_log_once) {
    static std::atomic<int> lines;
    static std::promise<std::string> first;
    log::set_observer([](log::Level level, std::string_view, std::string_view text) {
        if (level != log::Level::Info || text.find("00:00:00:00:00:02") == std::string_view::npos) return;
        if (lines++ == 0) first.set_value(std::string(text));
    });
    auto loaders = make_loaders();
    auto options = on_loopback(loaders.path());
    auto asked = std::make_shared<std::promise<void>>();
    options.on_answer = [asked, count = 0](const MacAddress&, const std::string&) mutable {
        if (++count == 3) asked->set_value();
    };
    auto service = NetbootService::create(std::move(options)).value();
    service->start();
    auto socket = UdpPort::open({}).value();
    UdpEndpoint to{*Ipv4Address::parse("127.0.0.1"), service->ports().boot_server};
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(socket.send(dhcp::encode_message(boot_request(2)), to).ok());
    asked->get_future().wait();
    service->stop();
    log::set_observer({});
    EXPECT_EQ(lines, 1);
    EXPECT_NE(first.get_future().get().find("not under control"), std::string::npos);
}

TEST(NetbootService, tftp_serves_loaders_and_boot_files) {
    if (!run_checked({"sh", "-c", "command -v atftp"}).ok()) GTEST_SKIP() << "atftp is not installed";
    auto loaders = make_loaders();
    ASSERT_TRUE(write_file_atomic(loaders / "private", as_bytes("x")).ok());
    auto options = on_loopback(loaders.path());
    options.boot_file = [](const std::string& name, const UdpEndpoint&, Ipv4Address) -> Result<tftp::Content> {
        if (name == "kernel") return tftp::Content::of_text("the kernel");
        return make_error(tftp::errors::kNotFound, "{}", name);
    };
    auto service = NetbootService::create(std::move(options)).value();
    service->start();
    auto fetch = [&](const std::string& name) {
        auto out = (loaders / "out").string();
        std::filesystem::remove(out);
        (void)run_command({"atftp", "--get", "-r", name, "-l", out, "127.0.0.1", std::to_string(service->ports().tftp)})
            .ok();
        return read_text_file(out).value_or("");
    };
    EXPECT_EQ(fetch("undionly.kpxe"), "undionly.kpxe");
    EXPECT_EQ(fetch("/snponly.efi"), "snponly.efi");
    EXPECT_EQ(fetch("boot/kernel"), "the kernel");
    EXPECT_EQ(fetch("boot/other"), "");
    EXPECT_EQ(fetch("private"), "");
}

TEST(NetbootService, what_is_seen_of_a_boot_is_told_to_the_trace) {
    auto loaders = make_loaders();
    SystemClock clock;
    TraceLog trace(clock);
    auto options = on_loopback(loaders.path());
    options.trace = &trace;
    auto service = NetbootService::create(std::move(options)).value();
    service->start();
    const MacAddress ours{{0, 0, 0, 0, 0, 1}}, other{{0, 0, 0, 0, 0, 2}};
    auto loopback = *Ipv4Address::parse("127.0.0.1");
    // Waits until that many events of the machine are there.
    auto events = [&](const MacAddress& mac, std::size_t count) {
        for (std::uint64_t after = 0;;) {
            auto have = trace.of(mac);
            if (have.size() >= count) return have;
            std::promise<TraceLog::News> news;
            trace.wait(after, mac, std::chrono::seconds(20), [&](TraceLog::News n) { news.set_value(std::move(n)); });
            auto got = news.get_future().get();
            if (got.events.empty()) return have;
            after = got.last;
        }
    };
    auto socket = UdpPort::open({}).value();
    ASSERT_TRUE(socket.send(dhcp::encode_message(boot_request(2)), {loopback, service->ports().boot_server}).ok());
    auto silence = events(other, 2);
    ASSERT_EQ(silence.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<Silence>(silence[1].detail));
    ASSERT_TRUE(socket.send(dhcp::encode_message(boot_request(1)), {loopback, service->ports().boot_server}).ok());
    auto answered = events(ours, 2);
    ASSERT_EQ(answered.size(), 2u);
    EXPECT_EQ(std::get<Heard>(answered[0].detail).port, 4011);
    EXPECT_EQ(std::get<Heard>(answered[0].detail).address, loopback);
    EXPECT_EQ(std::get<Answered>(answered[1].detail).file, "undionly.kpxe");
    // Its address is known by its request; so its files are its own.
    auto ask = [&](const char* name) {
        auto client = UdpPort::open({}).value();
        auto rrq = to_bytes(std::string("\0\1", 2) + name + std::string("\0octet\0", 7));
        return client.send(rrq, {loopback, service->ports().tftp}).ok();
    };
    ASSERT_TRUE(ask("/nothing"));
    auto refused = std::get<Transfer>(events(ours, 3).at(2).detail);
    EXPECT_EQ(refused.stage, Stage::Refused);
    EXPECT_EQ(refused.file, "nothing");
    ASSERT_TRUE(ask("/undionly.kpxe"));
    auto begun = std::get<Transfer>(events(ours, 4).at(3).detail);
    EXPECT_EQ(begun.stage, Stage::Begun);
    EXPECT_EQ(begun.size, 13u);
    service->stop();
    auto last = std::get<Transfer>(trace.of(ours).back().detail);
    EXPECT_EQ(last.stage, Stage::Broken);
    EXPECT_FALSE(last.why.empty());
}

TEST(NetbootService, the_operators_loader_goes_before_the_packages_and_an_absent_one_is_refused_by_name) {
    auto dir = make_loaders();
    const auto ours = *Ipv4Address::parse("10.99.0.1");
    LoaderPlaces places{.own = dir / "own", .made = dir / "made", .ipxe = dir.path(), .root = dir.path()};
    for (const char* sub : {"own", "made/10.99.0.1", "usr/lib/shim"}) std::filesystem::create_directories(dir / sub);
    auto put = [&](const char* name) { ASSERT_TRUE(write_file_atomic(dir / name, as_bytes(name)).ok()); };
    auto text = [&](const char* name) -> std::string {
        auto opened = open_loader(places, name, ours);
        if (!opened) return opened.error().name();
        return std::string(as_text(opened->read(0, opened->size).value()));
    };
    EXPECT_EQ(text("snponly.efi"), "snponly.efi");
    put("own/snponly.efi");
    EXPECT_EQ(text("snponly.efi"), "own/snponly.efi");
    auto shim = open_loader(places, "shimx64.efi", ours);
    ASSERT_FALSE(shim.ok());
    EXPECT_TRUE(shim.error().is(errors::kNoLoader));
    EXPECT_NE(shim.error().message().find("install shim-signed"), std::string::npos) << shim.error().message();
    put("usr/lib/shim/shimx64.efi.signed");
    EXPECT_EQ(text("shimx64.efi"), "usr/lib/shim/shimx64.efi.signed");
    EXPECT_EQ(text("arm64.efi"), "pxe.no-loader");
    put("made/10.99.0.1/grubia32.efi");
    EXPECT_EQ(text("grubia32.efi"), "made/10.99.0.1/grubia32.efi");
    put("own/realtek.efi");
    EXPECT_EQ(text("realtek.efi"), "own/realtek.efi");
    put("private");
    std::filesystem::create_symlink(dir / "private", dir / "own/link.efi");
    EXPECT_EQ(text("link.efi"), "tftp.access");
    for (const char* out :
         {"../private", "own/../../private", "/private", "private", "", ".", "..", "a\\b", "%2e%2e/private"})
        EXPECT_EQ(text(out), "tftp.not-found") << out;
    EXPECT_EQ(open_loader(places, std::string("snponly.efi\0x", 13), ours).error().name(), "tftp.not-found");
}

TEST(NetbootService, missing_loaders_and_interfaces_are_named) {
    auto dir = TempDir::create("pxe").value();
    EXPECT_TRUE(NetbootService::create(on_loopback(dir.path())).error().is(errors::kLoader));
    auto loaders = make_loaders();
    auto options = on_loopback(loaders.path());
    options.interfaces.clear();
    EXPECT_TRUE(NetbootService::create(std::move(options)).error().is(errors::kSettings));
}
