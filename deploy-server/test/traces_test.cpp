// SPDX-License-Identifier: GPL-3.0-or-later
// The doctor in the server: what HTTP and agents' calls leave in the trace, and the REST calls that read it. Whole
// boots by the real programs are in tests/netboot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/boot.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/channel/messages.hpp"

using namespace slipway;
using namespace slipway::server;
using http::FileSending;
using http::Request;
using pxe::Stage;
using testing::HasSubstr;

namespace {

constexpr const char* kMac = "52:54:00:51:00:01";
const auto kMachine = *MacAddress::parse(kMac);

Request get(const std::string& target, const std::string& peer = "10.99.0.100") {
    Request r;
    r.method = "GET";
    EXPECT_TRUE(http::parse_target(target, r));
    r.peer_address = peer;
    return r;
}

struct TracesTest : testing::Test {
    TempDir dir = TempDir::create("traces").value();
    ManualClock clock;
    std::unique_ptr<Database> db = Database::open(dir / "db").value();
    pxe::TraceLog log{clock};
    http::Router router;
    std::string deaf;

    void SetUp() override {
        add_trace_routes(router, {*db, log, clock, {{"", *Ipv4Address::parse("10.99.0.1")}}, [this] { return deaf; }});
    }
    void add_device(bool controlled = true) {
        DeviceRow row;
        row.name = "poseidon";
        row.macs = {kMac};
        auto made = db->add_device(row).value();
        ASSERT_TRUE(db->set_control(made.id, controlled, "da").ok());
    }
    std::future<http::Response> ask(const std::string& path) {
        auto promise = std::make_shared<std::promise<http::Response>>();
        router.dispatch(get("/api/v1/netboot" + path),
                        http::Responder([promise](http::Response r) { promise->set_value(std::move(r)); }));
        return promise->get_future();
    }
    json::object api(const std::string& path, unsigned status = 200) {
        auto response = ask(path).get();
        EXPECT_EQ(response.status, status) << response.body;
        return parse_object(response.body).value();
    }
    pxe::Heard discover() {
        return {dhcp::MessageType::Discover, 67, true, false, pxe::Arch::Bios, "PXEClient", "br0"};
    }
    template <typename T>
    std::vector<T> noted() {
        std::vector<T> out;
        for (const auto& e : log.of(kMachine))
            if (const auto* d = std::get_if<T>(&e.detail)) out.push_back(*d);
        return out;
    }
};

}  // namespace

TEST_F(TracesTest, a_file_by_http_is_begun_moves_and_is_whole_or_broken) {
    log.claim(*Ipv4Address::parse("10.99.0.100"), kMachine);
    auto kernel = get("/boot/kernel");
    note_file(log, kernel, {FileSending::Phase::Begun, 0, 1000});
    note_file(log, kernel, {FileSending::Phase::Moving, 400, 1000});
    note_file(log, kernel, {FileSending::Phase::Sent, 500, 1000});  // a range
    note_file(log, kernel, {FileSending::Phase::Begun, 500, 1000});
    note_file(log, kernel, {FileSending::Phase::Sent, 1000, 1000});
    auto seen = noted<pxe::Transfer>();
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].stage, Stage::Begun);
    EXPECT_EQ(seen[1].stage, Stage::Whole);
    EXPECT_EQ(seen[1].file, "boot/kernel");
    note_file(log, kernel, {FileSending::Phase::Broken, 700, 1000});
    EXPECT_EQ(noted<pxe::Transfer>().back().stage, Stage::Broken);
    note_status(log, get("/boot/ramdisk/x"), 404);
    EXPECT_EQ(noted<pxe::Transfer>().back().stage, Stage::Refused);
    // Not ours to tell: other paths, other machines, a script.
    auto count = log.last_id();
    note_status(log, get("/boot/script?mac=x"), 403);
    note_file(log, get("/bulk/v1/chunks"), {FileSending::Phase::Begun, 0, 1000});
    note_file(log, get("/boot/kernel", "10.99.0.7"), {FileSending::Phase::Begun, 0, 1000});
    EXPECT_EQ(log.last_id(), count);
}

TEST_F(TracesTest, an_enrolment_and_its_refusal_belong_to_the_mac_that_the_agent_says) {
    auto r = get("/agent/v1/enroll", "10.99.0.101");
    r.body = channel::render(channel::Enroll{std::string(64, 'a'), "csr", kMac, json::object()});
    note_enrolment(log, r, make_error(server::errors::kBadToken, "the token has expired"));
    note_enrolment(log, r, http::Response::json(200, "{}"));
    auto seen = noted<pxe::Enrolment>();
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].error, "server.bad-token");
    EXPECT_EQ(seen[1].error, "");
    note_handshake_failure(log, "10.99.0.101", "tlsv1 alert unknown ca");
    EXPECT_EQ(noted<pxe::TlsRefused>().size(), 1u);
    r.body = "{";
    note_enrolment(log, r, make_error(server::errors::kBadToken, "x"));
    EXPECT_EQ(noted<pxe::Enrolment>().size(), 2u);
}

TEST_F(TracesTest, trouble_is_taken_with_the_clock_and_nonsense_is_refused) {
    auto tell = [&](const char* query) {
        return note_trouble(log, get(std::string("/boot/trouble?") + query)).value().status;
    };
    EXPECT_EQ(tell("mac=52:54:00:51:00:01&time=600&what=not%20yet%20valid"), 204u);
    EXPECT_EQ(noted<pxe::Trouble>().at(0).clock, from_unix_milliseconds(600'000));
    EXPECT_EQ(tell("mac=52:54:00:51:00:01&time=99999999999999999999&what=x"), 204u);
    EXPECT_EQ(tell("mac=52:54:00:51:00:01&time=9223372036854775807&what=x"), 204u);
    EXPECT_FALSE(noted<pxe::Trouble>().at(2).clock);
    EXPECT_EQ(tell("mac=nonsense&time=600"), 400u);
}

TEST_F(TracesTest, a_hello_ends_the_boot_of_the_card_it_came_from) {
    add_device();
    auto device = db->device("poseidon").value().value();
    device.macs.push_back("52:54:00:51:00:02");
    auto second = *MacAddress::parse("52:54:00:51:00:02");
    log.claim(*Ipv4Address::parse("10.99.0.102"), second);
    note_hello(log, device, get("/agent/v1/hello", "10.99.0.102"), "1", true);
    EXPECT_EQ(log.of(second).size(), 1u);
    note_hello(log, device, get("/agent/v1/hello", "10.99.0.103"), "1", false);  // of a running system: no boot
    EXPECT_EQ(log.of(kMachine).size(), 0u);
    EXPECT_EQ(log.addresses(kMachine).size(), 1u);
}

TEST_F(TracesTest, a_trace_says_what_the_doctor_finds_by_mac_and_by_device) {
    add_device(false);
    log.note(kMachine, discover());
    log.note(kMachine, pxe::Silence{"nobody \x1b[31m knows it"});
    for (auto name : {"/traces/poseidon", "/traces/52-54-00-51-00-01"}) {
        auto trace = api(name);
        EXPECT_EQ(trace.at("outcome"), "failed");
        EXPECT_EQ(trace.at("finding").at("id"), "netboot.not-controlled");
        EXPECT_EQ(trace.at("mac"), kMac);
        EXPECT_EQ(trace.at("device"), "poseidon");
        ASSERT_EQ(trace.at("items").as_array().size(), 2u);
        EXPECT_EQ(trace.at("items").at(0).at("type"), "DISCOVER");
        EXPECT_THAT(std::string(trace.at("items").at(1).at("text").as_string()), HasSubstr("\\x1b[31m"));
        EXPECT_TRUE(trace.at("hearing").at("other_servers").as_bool());
    }
    EXPECT_EQ(api("/traces/nobody", 404).at("error").at("name"), "server.no-device");
    EXPECT_EQ(api("/traces/52:54:00:00:00:99").at("finding").at("id"), "netboot.no-discover");
}

TEST_F(TracesTest, since_and_stopped_say_which_boot_and_whether_to_wait) {
    add_device();
    log.note(kMachine, discover());
    log.note(kMachine, pxe::Answered{67, "undionly.kpxe", "BIOS gets undionly.kpxe"});
    EXPECT_EQ(api("/traces/poseidon").at("outcome"), "underway");
    EXPECT_EQ(api("/traces/poseidon?stopped=1").at("finding").at("id"), "netboot.no-address");
    clock.advance(std::chrono::minutes(10));
    EXPECT_EQ(api("/traces/poseidon").at("finding").at("id"), "netboot.no-address");
    auto later = api("/traces/poseidon?since=60");
    EXPECT_EQ(later.at("finding").at("id"), "netboot.no-discover");
    EXPECT_TRUE(later.at("items").as_array().empty());
}

TEST_F(TracesTest, an_inventory_gives_the_ids_without_a_driver_and_the_subnet_of_the_card) {
    add_device();
    auto xml = read_text_file(std::string(SLIPWAY_SOURCE_DIR) + "/gatherhw/test/golden/phony.xml").value();
    ASSERT_TRUE(db->set_inventory(db->device("poseidon").value()->id, xml).ok());
    TracePlace place{*db, log, clock, {{"lo", *Ipv4Address::parse("127.0.0.1")}}, [] { return std::string(); }, {}};
    auto known = BootKnowledge(place).of(kMachine, true);
    EXPECT_EQ(known.device, "poseidon");
    EXPECT_THAT(known.cards, testing::Contains("8086:100e (e1000)"));
    EXPECT_EQ(known.addresses, std::vector{*Ipv4Address::parse("10.99.0.50")});  // not of the other card, 192.168.1.9
    EXPECT_EQ(pxe::diagnose({}, clock.wall(), known).finding->row->id, "netboot.relay-missing");
    place.without_driver = [](const DeviceRow& device, const gatherhw::Inventory& machine) {
        return std::vector{device.name + " " + machine.network.at(0).mac};
    };
    EXPECT_THAT(BootKnowledge(place).of(kMachine, true).without_driver,
                testing::ElementsAre("poseidon 52:54:00:51:00:01"));
    EXPECT_TRUE(BootKnowledge(place).of(kMachine, false).cards.empty());
}

TEST_F(TracesTest, the_list_leaves_out_who_only_renews_its_address_and_says_when_it_is_deaf) {
    auto renewing = discover();
    renewing.boots = false;
    log.note(*MacAddress::parse("52:54:00:51:00:09"), renewing);
    log.note(kMachine, discover());
    deaf = "no right to listen";
    auto list = api("/traces");
    ASSERT_EQ(list.at("items").as_array().size(), 1u);
    EXPECT_EQ(list.at("items").at(0).at("mac"), kMac);
    EXPECT_EQ(list.at("hearing").at("why"), "no right to listen");
}

TEST_F(TracesTest, events_are_waited_for_and_those_of_others_do_not_wake) {
    log.note(kMachine, discover());
    auto last = api("/events").at("last").to_number<std::uint64_t>();
    EXPECT_EQ(last, 1u);
    auto waiting = ask(fmt::format("/events?after={}&wait=30&machine={}", last, kMac));
    log.note(*MacAddress::parse("52:54:00:51:00:09"), discover());
    log.note(kMachine, pxe::Ready{"1"});
    auto news = parse_object(waiting.get().body).value();
    ASSERT_EQ(news.at("items").as_array().size(), 1u);
    EXPECT_EQ(news.at("items").at(0).at("kind"), "ready");
    EXPECT_EQ(api("/events?after=0").at("items").as_array().size(), 3u);
    EXPECT_EQ(api("/events?after=99999").at("items").as_array().size(), 3u);  // an earlier life of the server
    EXPECT_EQ(api("/events?machine=nobody", 404).at("error").at("name"), "server.no-device");
}

TEST_F(TracesTest, a_script_given_or_refused_is_in_the_trace_with_the_address_it_went_to) {
    add_device();
    BootPlace place{.db = *db, .clock = clock, .root = dir.path(), .loaders = {.ipxe = dir.path(), .root = dir.path()}};
    place.ports = std::make_shared<std::pair<std::uint16_t, std::uint16_t>>(8443, 8480);
    place.settings = std::make_shared<SettingsInUse>();
    place.trace = &log;
    add_boot_routes(router, place);
    auto fetch = [&](const char* mac) {
        unsigned status = 0;
        router.dispatch(get(std::string("/boot/script?mac=") + mac, "10.99.0.104"),
                        http::Responder([&](http::Response r) { status = r.status; }));
        return status;
    };
    EXPECT_EQ(fetch(kMac), 200u);
    EXPECT_TRUE(noted<pxe::ScriptGiven>().at(0).agent);
    EXPECT_EQ(log.addresses(kMachine), std::vector{*Ipv4Address::parse("10.99.0.104")});
    const auto stranger = *MacAddress::parse("52:54:00:51:00:77");
    EXPECT_EQ(fetch("52:54:00:51:00:77"), 403u);
    EXPECT_FALSE(log.knows(stranger)) << "made-up machines are not remembered";
    log.note(stranger, pxe::Heard{});
    EXPECT_EQ(fetch("52:54:00:51:00:77"), 403u);
    auto unknown = api("/traces/52:54:00:51:00:77");
    EXPECT_EQ(unknown.at("items").at(1).at("kind"), "silence");
}
