// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/trace.hpp"

#include <gtest/gtest.h>

#include <future>

#include "pxe/trace_log.hpp"

using namespace slipway;
using namespace slipway::pxe;
using namespace std::chrono_literals;
using dhcp::Code;
using dhcp::MessageType;

namespace {

MacAddress mac(unsigned n) {
    return {
        {2, 0, 0, static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}};
}
Ipv4Address ip(const char* text) { return *Ipv4Address::parse(text); }
Heard discover() { return {MessageType::Discover, 67, true, false, Arch::Bios, "PXEClient", "br0"}; }

}  // namespace

TEST(Trace, a_dhcp_request_says_who_boots_and_whom_it_chose) {
    dhcp::Message m;
    m.set_type(MessageType::Request);
    m.relay = ip("10.78.0.1");
    m.options.set(Code::VendorClass, std::string_view("PXEClient:Arch:00007:UNDI:003000"));
    m.options.set(Code::RequestedAddress, ip("10.78.0.10"));
    m.options.set(Code::ServerId, ip("10.77.0.9"));
    auto h = heard_of(m, 67, "br0");
    EXPECT_TRUE(h.boots);
    EXPECT_FALSE(h.ipxe);
    EXPECT_EQ(h.arch, Arch::EfiX64);
    EXPECT_EQ(describe(h),
              "REQUEST of the firmware (UEFI x64), through the relay 10.78.0.1, address 10.78.0.10, chose the DHCP "
              "server 10.77.0.9");
    m.options.remove(static_cast<std::uint8_t>(Code::VendorClass));
    EXPECT_FALSE(heard_of(m, 67, "br0").boots);
}

TEST(Trace, an_overheard_answer_is_a_pxe_servers_by_class_or_by_file) {
    dhcp::Message m;
    m.set_type(MessageType::Offer);
    m.yours = ip("10.99.0.100");
    m.options.set(Code::ServerId, ip("10.99.0.2"));
    EXPECT_FALSE(overheard_of(m, "br0").pxe);
    m.options.set(Code::BootFile, std::string_view("pxelinux.0"));
    EXPECT_TRUE(overheard_of(m, "br0").pxe);
    EXPECT_EQ(overheard_of(m, "br0").file, "pxelinux.0");
    m.options.remove(static_cast<std::uint8_t>(Code::BootFile));
    m.options.set(Code::VendorClass, std::string_view("PXEClient"));
    EXPECT_TRUE(overheard_of(m, "br0").pxe);
}

TEST(Trace, progress_takes_the_place_of_earlier_progress) {
    TraceStore store;
    for (std::uint64_t n = 1; n <= 50; ++n)
        store.add(mac(1), {}, Transfer{Stage::Moving, false, "kernel", n * 1000, 90000});
    store.add(mac(1), {}, Transfer{Stage::Moving, false, "ramdisk", 1, 90000});
    auto events = store.of(mac(1));
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(std::get<Transfer>(events[0].detail).bytes, 50000u);
    EXPECT_EQ(events[0].id, 50u);
}

TEST(Trace, memory_is_bounded_and_made_up_machines_push_out_each_other) {
    TraceStore store({.machines = 10, .events = 5});
    store.add(mac(1), {}, discover());
    store.add(mac(1), {}, Transfer{Stage::Begun, false, "undionly.kpxe"});
    for (unsigned n = 100; n < 300; ++n) store.add(mac(n), {}, discover());
    EXPECT_EQ(store.machines().size(), 10u);
    EXPECT_TRUE(store.knows(mac(1)));
    EXPECT_FALSE(store.knows(mac(150)));
    EXPECT_TRUE(store.knows(mac(299)));
    for (unsigned n = 0; n < 20; ++n) store.add(mac(1), {}, Silence{std::string(5000, 'x')});
    EXPECT_EQ(store.of(mac(1)).size(), 5u);
    EXPECT_EQ(std::get<Silence>(store.of(mac(1)).back().detail).why.size(), TraceStore::kText);
    // When all of them fetched something, the one heard least recently goes.
    for (unsigned n = 300; n < 320; ++n) store.add(mac(n), {}, Transfer{Stage::Begun, false, "undionly.kpxe"});
    EXPECT_EQ(store.machines().size(), 10u);
    EXPECT_TRUE(store.knows(mac(319)));
    EXPECT_FALSE(store.knows(mac(1)));
}

TEST(Trace, an_address_is_whose_last_claimed_it) {
    TraceStore store({.machines = 2, .events = 5});
    auto request = discover();
    request.type = MessageType::Request;
    request.address = ip("10.99.0.100");
    store.add(mac(1), {}, request);
    EXPECT_EQ(store.owner(ip("10.99.0.100")), mac(1));
    store.add(mac(2), {}, request);
    EXPECT_EQ(store.owner(ip("10.99.0.100")), mac(2));
    EXPECT_EQ(store.addresses(mac(2)), std::vector{ip("10.99.0.100")});
    store.add(mac(3), {}, discover());  // pushes out 1, whose claim is old
    EXPECT_EQ(store.owner(ip("10.99.0.100")), mac(2));
    store.add(mac(4), {}, discover());  // pushes out 2
    EXPECT_EQ(store.owner(ip("10.99.0.100")), std::nullopt);
}

TEST(Trace, news_come_in_order_of_one_or_of_all) {
    TraceStore store;
    store.add(mac(1), {}, discover());
    store.add(mac(2), {}, discover());
    store.add(mac(1), {}, Silence{"why"});
    auto ids = [](const std::vector<BootEvent>& events) {
        std::vector<std::uint64_t> out;
        for (const auto& e : events) out.push_back(e.id);
        return out;
    };
    EXPECT_EQ(ids(store.after(0, {}, 100)), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(ids(store.after(1, {}, 100)), (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(ids(store.after(1, mac(1), 100)), (std::vector<std::uint64_t>{3}));
    EXPECT_EQ(ids(store.after(0, {}, 2)), (std::vector<std::uint64_t>{1, 2}));
    store.claim(ip("10.0.0.1"), mac(2));  // is no news, and hides none
    EXPECT_EQ(ids(store.after(2, {}, 100)), (std::vector<std::uint64_t>{3}));
}

TEST(TraceLog, a_waiter_hears_of_what_comes_and_of_its_end) {
    SystemClock clock;
    TraceLog log(clock);
    std::promise<TraceLog::News> first, second, third;
    log.wait(0, mac(1), 30s, [&](TraceLog::News n) { first.set_value(std::move(n)); });
    log.note(mac(2), discover());
    log.note(mac(1), discover());
    auto news = first.get_future().get();
    ASSERT_EQ(news.events.size(), 1u);
    EXPECT_EQ(news.last, 2u);
    log.wait(news.last, mac(1), 0s, [&](TraceLog::News n) { second.set_value(std::move(n)); });
    EXPECT_TRUE(second.get_future().get().events.empty());
    log.wait(news.last, mac(1), 30s, [&](TraceLog::News n) { third.set_value(std::move(n)); });
    log.stop();
    EXPECT_EQ(third.get_future().get().last, news.last);
}

TEST(TraceLog, an_event_by_address_goes_to_its_machine_or_nowhere) {
    SystemClock clock;
    TraceLog log(clock, [](Ipv4Address) { return mac(7); });
    log.note(ip("10.99.0.5"), Transfer{Stage::Begun, false, "undionly.kpxe"});
    EXPECT_TRUE(log.machines().empty());
    log.note(mac(7), discover());
    log.note(ip("10.99.0.5"), Transfer{Stage::Begun, false, "undionly.kpxe"});
    EXPECT_EQ(log.of(mac(7)).size(), 2u);
    log.note(mac(8), discover());
    log.claim(ip("10.99.0.5"), mac(8));
    log.note(ip("10.99.0.5"), Transfer{Stage::Begun, false, "undionly.kpxe"});
    EXPECT_EQ(log.of(mac(8)).size(), 2u);
}

TEST(TraceLog, made_up_addresses_are_looked_for_a_hundred_times_a_second_at_most) {
    ManualClock clock;
    unsigned looks = 0;
    TraceLog log(clock, [&](Ipv4Address) {
        ++looks;
        return mac(7);
    });
    log.note(mac(7), discover());
    auto flood = [&] {
        for (std::uint32_t i = 0; i < 300; ++i)
            log.note(Ipv4Address{0x0a000000 + i}, Transfer{Stage::Begun, false, "undionly.kpxe"});
    };
    flood();
    EXPECT_EQ(looks, 100u);
    clock.advance(999ms);
    flood();
    EXPECT_EQ(looks, 100u);
    clock.advance(1ms);
    flood();
    EXPECT_EQ(looks, 200u);
}

TEST(TraceLog, a_neighbour_is_read_from_the_kernels_table) {
    std::string_view table =
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.99.0.100      0x1         0x2         52:54:00:51:00:01     *        br0\n"
        "10.99.0.101      0x1         0x0         00:00:00:00:00:00     *        br0\n";
    EXPECT_EQ(neighbour_in(table, ip("10.99.0.100")), MacAddress::parse("52:54:00:51:00:01"));
    EXPECT_EQ(neighbour_in(table, ip("10.99.0.101")), std::nullopt);
    EXPECT_EQ(neighbour_in(table, ip("10.99.0.1")), std::nullopt);
}
