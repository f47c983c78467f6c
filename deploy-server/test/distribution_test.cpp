// SPDX-License-Identifier: GPL-3.0-or-later
// The Image Distribution Service: two machines of a job get an image by one sending, over this machine's loopback.
#include "deploy-server/test/server_fixture.hpp"
#include "imagestore/multicast/hearing.hpp"
#include "imagestore/multicast/socket_address.hpp"
#include "lib/channel/multicast_messages.hpp"

namespace slipway::server {
namespace {

using namespace test;

struct DistributionTest : ServerTest {
    Image image;
    imagestore::ManifestView manifest{image.manifest.bytes()};
    imagestore::ChunkPlan plan = imagestore::ChunkPlan::of(manifest).value();
    std::atomic<bool> up{true};  // false: machines make no calls

    void SetUp() override {
        ServerTest::SetUp();
        add_device();
        Working w(*this, kCapture);
        w.agent.call("/chunks", image.frames());
        ASSERT_EQ(w.agent.call("/images/web/commit", image.bytes()).status, 200u);
        w.agent.report(w.task, "done");
        ASSERT_EQ(api("DELETE", "/devices/poseidon").status, 204u);
        ASSERT_EQ(api("PATCH", "/distribution", {{"wait_seconds", 60}, {"port", 20000 + ::getpid() % 20000}}).status,
                  200u);
    }
    std::int64_t deploy_to(const std::vector<std::string>& names, const std::string& more = "") {
        json::array list;
        for (const auto& name : names) {
            add_device(name, mac_of(name));
            list.push_back(json::value(name));
        }
        EXPECT_EQ(api("POST", "/groups", {{"name", "lab"}, {"devices", list}}).status, 201u);
        return start_job({{"sequence_xml", deploy_xml(more)}, {"group", "lab"}});
    }
    // Whether the one session there is begins, or is over, within that time.
    bool begins(std::chrono::milliseconds within) {
        const auto end = Instant::clock::now() + within;
        for (bool came = false; Instant::clock::now() < end; std::this_thread::yield()) {
            const auto all = api("GET", "/distribution").object().at("sessions").as_array();
            if (all.empty() ? came : all.at(0).at("state") != "waiting") return true;
            came |= !all.empty();
        }
        return false;
    }
    std::size_t seats() {
        const auto all = api("GET", "/distribution").object().at("sessions").as_array();
        return all.empty() ? 0 : all.at(0).at("devices").as_array().size();
    }
    static std::string deploy_xml(const std::string& more = "") {
        return R"(<sequence xmlns="urn:slipway:sequence:1" name="t"><tasks><task type="boot-to-da"/>)"
               R"(<task type="deploy-image"><parameter name="image">web</parameter>)" +
               more + "</task></tasks></sequence>";
    }
    static std::string mac_of(const std::string& name) { return "52:54:00:00:00:0" + name; }
    std::string digest() const { return to_hex(ByteView(image.manifest.bytes()).last(32)); }
};

struct Machine : Agent, multicast::SessionCalls {
    std::string name;
    json::object task;
    std::vector<Bytes> disk = std::vector<Bytes>(2);
    std::vector<std::string> notes;
    int taken = 0;
    Reply joined;

    Machine(DistributionTest& t, std::string n) : Agent{t}, name(std::move(n)) {
        EXPECT_EQ(enroll(t.boot_token(DistributionTest::mac_of(name)), DistributionTest::mac_of(name)).status, 200u);
        hello();
        for (int i = 0; i < 20 && !task.contains("type"); ++i) task = poll();
    }
    DistributionTest& place() { return static_cast<DistributionTest&>(test); }
    Result<std::optional<multicast::Invitation>> join(const std::vector<bool>& wanted) override {
        place().up.wait(false);
        joined = call("/multicast/join?manifest=" + place().digest(), channel::render_bitmap(wanted));
        const auto i = TRY(channel::parse_multicast_invitation(joined.body));
        return std::optional(multicast::Invitation{{i.group, i.port},
                                                   {i.sender, i.report_port},
                                                   i.you,
                                                   i.session,
                                                   i.number,
                                                   i.symbol_bytes,
                                                   i.clear,
                                                   i.session_key,
                                                   i.own_key});
    }
    Result<multicast::Advice> tell(std::uint32_t, const std::vector<bool>& wanted, bool asks_unicast) override {
        place().up.wait(false);
        auto reply =
            call(std::string("/multicast/tell") + (asks_unicast ? "?unicast=1" : ""), channel::render_bitmap(wanted));
        auto advice = reply.object().at("advice").as_string();
        return advice == "done"     ? multicast::Advice::Done
               : advice == "listen" ? multicast::Advice::Listen
               : advice == "join"   ? multicast::Advice::Join
                                    : multicast::Advice::Unicast;
    }
    void hear() {
        multicast::HearingOptions options;
        options.note = [this](const std::string& note) { notes.push_back(note); };
        multicast::Hearing hearing(*this, options);
        auto done =
            hearing.receive(place().plan, {true, true}, [&](std::uint32_t number, ByteView bytes) -> Result<bool> {
                disk[number] = Bytes(bytes.begin(), bytes.end());
                ++taken;
                return true;
            });
        EXPECT_TRUE(done);
        report(task, "done");
    }
};

TEST_F(DistributionTest, the_machines_of_a_group_share_one_sending) {
    auto id = deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    std::jthread first([&] { a.hear(); });
    auto seen = [&] { return api("GET", "/distribution").object().at("sessions").as_array(); };
    while (seen().empty()) std::this_thread::yield();
    auto session = seen().at(0).as_object();
    EXPECT_EQ(session.at("state"), "waiting") << "for b";
    EXPECT_EQ(session.at("job"), id);
    EXPECT_EQ(session.at("devices").at(0).at("device"), "a");
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 400000000}}).status, 200u);
    EXPECT_EQ(seen().at(0).at("rate"), 20'000'000) << "where its search begins";
    b.hear();
    first.join();
    EXPECT_EQ(a.disk, image.encoded);
    EXPECT_EQ(b.disk, image.encoded);
    EXPECT_TRUE(a.notes.empty() && b.notes.empty());
    EXPECT_TRUE(seen().empty()) << "over with the last of them";
    EXPECT_EQ(job(id).at("state"), "done");
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 0}}).error(), "server.no-job");
}

TEST_F(DistributionTest, a_server_that_is_killed_and_starts_again_goes_on_with_what_is_missing) {
    // Two seconds a chunk.
    ASSERT_EQ(api("PATCH", "/distribution", {{"rate", 4'500'000}, {"adaptive", false}}).status, 200u);
    auto id = deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    for (auto* m : {&a, &b}) m->report(m->task, "running");
    std::jthread first([&] { a.hear(); }), second([&] { b.hear(); });
    auto sent = [&] {
        auto all = api("GET", "/distribution").object().at("sessions").as_array();
        return all.empty() ? 0 : all.at(0).at("sent_bytes").to_number<std::uint64_t>();
    };
    while (sent() < imagestore::kChunkBytes * 5 / 4) std::this_thread::yield();
    up = false;
    server.reset();
    begin();
    up = true;
    up.notify_all();
    first.join();
    second.join();
    for (auto* m : {&a, &b}) {
        EXPECT_EQ(m->disk, image.encoded) << m->name;
        EXPECT_EQ(m->taken, 2) << m->name << ": no chunk a second time";
        ASSERT_FALSE(m->notes.empty());
        EXPECT_THAT(m->notes[0], HasSubstr("by another session"));
    }
    EXPECT_EQ(job(id).at("state"), "done");
}

TEST_F(DistributionTest, a_session_may_begin_before_all_are_there_and_who_is_late_takes_part) {
    ASSERT_EQ(api("PATCH", "/distribution", {{"start_machines", 1}, {"rate", 4'500'000}, {"adaptive", false}}).status,
              200u);
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    std::jthread first([&] { a.hear(); });
    auto look = [&] {
        auto all = api("GET", "/distribution").object().at("sessions").as_array();
        return all.empty() ? json::object() : all.at(0).as_object();
    };
    for (auto now = look(); now.empty() || now.at("sent_bytes").to_number<std::uint64_t>() < 100'000; now = look())
        std::this_thread::yield();
    b.hear();
    first.join();
    EXPECT_EQ(a.disk, image.encoded);
    EXPECT_EQ(b.disk, image.encoded);
    EXPECT_TRUE(b.notes.empty());
}

TEST_F(DistributionTest, a_session_that_waits_no_time_begins_with_its_first_machine) {
    ASSERT_EQ(api("PATCH", "/distribution", {{"wait_seconds", 0}}).status, 200u);
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    std::jthread first([&] { a.hear(); });
    EXPECT_TRUE(begins(10s)) << "b has not come";
    b.hear();
    first.join();
    EXPECT_EQ(a.disk, image.encoded);
    EXPECT_EQ(b.disk, image.encoded);
}

TEST_F(DistributionTest, machines_that_fail_or_are_cancelled_before_they_come_are_not_waited_for) {
    ASSERT_EQ(api("PATCH", "/distribution", {{"wait_seconds", 3600}}).status, 200u);
    const auto id = deploy_to({"a", "b", "c", "d"});
    Machine a(*this, "a"), b(*this, "b"), c(*this, "c");
    std::jthread first([&] { a.hear(); }), second([&] { b.hear(); });
    const auto cancel = [&](const std::string& name) {
        const auto whole = job(id);
        for (const auto& child : whole.at("children").as_array())
            if (child.at("device") == json::value(name))
                return api("POST", fmt::format("/jobs/{}/cancel", child.at("id").to_number<std::int64_t>())).status;
        return 0u;
    };
    while (seats() < 2) std::this_thread::yield();
    EXPECT_EQ(c.report(c.task, "failed", {{"error", {{"name", "test.broken"}, {"message", "no disk"}}}}).status, 200u);
    EXPECT_FALSE(begins(1500ms)) << "d may still come";
    EXPECT_EQ(cancel("d"), 200u);
    const bool without_them = begins(10s);
    EXPECT_TRUE(without_them);
    if (!without_them) cancel("a"), cancel("b");
    first.join();
    second.join();
    EXPECT_EQ(a.disk, image.encoded);
    EXPECT_EQ(b.disk, image.encoded);
}

TEST_F(DistributionTest, one_machine_alone_and_one_that_is_told_so_are_served_by_unicast) {
    deploy_to({"a"});
    Machine a(*this, "a");
    a.hear();
    EXPECT_EQ(a.joined.error(), "server.no-multicast");
    EXPECT_THAT(a.joined.body, HasSubstr("one machine alone"));
}

TEST_F(DistributionTest, jobs_in_order_are_of_one_machine_however_many_they_are) {
    add_device("a", mac_of("a"));
    const json::object one{{"sequence_xml", deploy_xml()}, {"devices", {"a"}}};
    start_job({{"children", {one, one, one}}});
    Machine a(*this, "a");
    a.hear();
    EXPECT_EQ(a.joined.error(), "server.no-multicast");
    EXPECT_THAT(a.joined.body, HasSubstr("one machine alone"));
}

TEST_F(DistributionTest, unicast_keeps_to_the_rate_of_its_job_and_goes_at_once_when_that_is_lifted) {
    auto id = deploy_to({"a"});
    Machine a(*this, "a");
    auto ask = [&] { return a.call("/chunks/get", channel::render_ids(image.ids)); };
    EXPECT_EQ(ask().status, 200u);
    // Two MiB would take minutes.
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 100'000}}).status, 200u);
    std::atomic<bool> answered{false};
    Reply late;
    std::jthread asking([&] {
        late = ask();
        answered = true;
    });
    auto bytes = [&] {
        auto list = api("GET", "/distribution").object().at("unicast").as_array();
        return list.empty() ? 0 : list.at(0).at("bytes").to_number<std::uint64_t>();
    };
    while (bytes() < 4 * imagestore::kChunkBytes) std::this_thread::yield();
    auto shown = api("GET", "/distribution").object().at("unicast").at(0).as_object();
    EXPECT_EQ(shown.at("device"), "a");
    EXPECT_EQ(shown.at("ceiling"), 100'000);
    EXPECT_FALSE(answered);
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 0}}).status, 200u);
    asking.join();
    EXPECT_EQ(late.status, 200u);
    EXPECT_EQ(channel::parse_frames(late.body)->size(), 2u);
}

TEST_F(DistributionTest, chunks_are_read_when_their_turn_has_come) {
    auto id = deploy_to({"a"});
    Machine a(*this, "a");
    const auto throttle = [&](std::int64_t bits) {
        EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", bits}}).status, 200u);
    };
    throttle(100'000);
    Reply late;
    std::jthread asking([&] { late = a.call("/chunks/get", channel::render_ids(image.ids)); });
    while (api("GET", "/distribution").object().at("unicast").as_array().empty()) std::this_thread::yield();
    for (const auto& pack : std::filesystem::directory_iterator(dir / "state/store/packs"))
        std::filesystem::resize_file(pack, 0);
    throttle(0);
    asking.join();
    EXPECT_NE(late.status, 200u);
    EXPECT_THAT(late.error(), HasSubstr("imagestore."));
    a.report(a.task, "done");
}

TEST_F(DistributionTest, what_a_job_was_given_by_hand_stays_when_the_server_starts_again) {
    auto id = deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    for (auto* m : {&a, &b}) m->report(m->task, "running");
    const auto child = job(id).at("children").at(0).at("id").to_number<std::int64_t>();
    const auto throttle = [&](std::int64_t bits) {
        return api("POST", fmt::format("/jobs/{}/throttle", child), {{"rate", bits}}).status;
    };
    EXPECT_EQ(throttle(1'000'000'000), 200u) << "of a machine of the group: for the group";
    const auto named = api("POST", fmt::format("/jobs/{}/throttle", child), {{"rate", 1'000'000'000}}).object();
    EXPECT_EQ(named.at("job"), id) << "and it says so";
    const auto ceiling = [&] {
        (void)a.call("/chunks/get", channel::render_ids(image.ids));
        const auto now = api("GET", "/distribution").object();
        return now.at("unicast").at(0).at("ceiling").to_number<std::int64_t>();
    };
    EXPECT_EQ(ceiling(), 1'000'000'000);
    server.reset();
    begin();
    EXPECT_EQ(ceiling(), 1'000'000'000);
    EXPECT_EQ(job(id).at("rate"), 1'000'000'000);
    EXPECT_EQ(throttle(0), 200u);
    EXPECT_EQ(ceiling(), 0);
    EXPECT_FALSE(job(id).contains("rate"));
    server.reset();
    begin();
    EXPECT_EQ(ceiling(), 0);
    for (auto* m : {&a, &b}) m->report(m->task, "done");
}

TEST_F(DistributionTest, reports_arrive_at_a_port_that_a_firewall_can_let_in) {
    const auto first = 40000 + ::getpid() % 10000;
    const auto taken = multicast::udp_socket(true).value();
    sockaddr_in place{AF_INET, htons(static_cast<std::uint16_t>(first)), {htonl(INADDR_LOOPBACK)}, {}};
    (void)::bind(taken.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place);  // else another has it
    const auto set = [&](const std::string& ports) {
        EXPECT_EQ(api("PATCH", "/distribution", {{"report_ports", ports}}).status, 200u);
    };
    set(std::to_string(first));
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    (void)a.join({true, true});
    EXPECT_EQ(a.joined.error(), "multicast.no-port") << "served by unicast";
    set(fmt::format("{}-{}", first, first + 20));
    (void)b.join({true, true});
    EXPECT_EQ(b.joined.status, 200u) << b.joined.body;
    const auto all = api("GET", "/distribution").object();
    const auto port = all.at("sessions").at(0).at("report_port").to_number<int>();
    EXPECT_GT(port, first);
    EXPECT_LE(port, first + 20);
    EXPECT_EQ(channel::parse_multicast_invitation(b.joined.body)->report_port, port);
    for (auto* m : {&a, &b}) m->report(m->task, "done");
}

TEST_F(DistributionTest, reports_that_do_not_arrive_are_named_in_the_jobs_log) {
    const auto id = deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    for (auto* m : {&a, &b}) (void)m->join({true, true});  // and says nothing
    const auto log = [&] { return json::serialize(job(id).at("log")); };
    const auto end = Instant::clock::now() + 20s;
    while (log().find("no machine's report") == std::string::npos && Instant::clock::now() < end)
        std::this_thread::yield();
    const auto port = api("GET", "/distribution").object().at("sessions").at(0).at("report_port").to_number<int>();
    EXPECT_THAT(log(), HasSubstr(fmt::format("has arrived at UDP port {} of 127.0.0.1", port)));
    for (auto* m : {&a, &b}) m->report(m->task, "done");
}

TEST_F(DistributionTest, where_the_rate_is_low_an_answer_by_unicast_has_fewer_chunks_than_were_asked_for) {
    auto id = deploy_to({"a"});
    Machine a(*this, "a");
    const auto chunks = [&](const std::string& call) {
        const auto reply = a.call(call, channel::render_ids(image.ids));
        EXPECT_EQ(reply.status, 200u) << reply.body;
        const auto frames = channel::parse_frames(reply.body).value();
        EXPECT_EQ(frames.at(0).id, image.ids[0]);
        return frames.size();
    };
    EXPECT_EQ(chunks("/chunks/get?part=1"), 2u) << "no ceiling";
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 40'000'000}}).status, 200u);
    EXPECT_EQ(chunks("/chunks/get?part=1"), 1u);
    EXPECT_EQ(chunks("/chunks/get"), 2u) << "an agent that knows no parts";
    EXPECT_EQ(a.call("/chunks/get?part=1", std::string(31, 'x')).error(), "server.bad-frames");
    const std::vector<Digest> same(9, image.ids[0]);
    EXPECT_EQ(a.call("/chunks/get", channel::render_ids(same)).error(), "server.bad-frames")
        << "more than any agent asks";
    const auto twice = a.call("/chunks/get", channel::render_ids(std::span(same).first(2)));
    EXPECT_EQ(channel::parse_frames(twice.body)->size(), 2u) << "as it may stand in an image";
    a.report(a.task, "done");
}

TEST_F(DistributionTest, a_session_weighs_as_many_as_listen_to_it) {
    ASSERT_EQ(api("PATCH", "/distribution", {{"start_machines", 2}, {"rate", 9'000'000}, {"adaptive", false}}).status,
              200u);
    auto id = deploy_to({"a", "b", "c"});
    Machine a(*this, "a"), b(*this, "b"), c(*this, "c");
    std::jthread asking([&] { EXPECT_EQ(c.call("/chunks/get", channel::render_ids(image.ids)).status, 200u); });
    const auto look = [&] { return api("GET", "/distribution").object(); };
    while (look().at("unicast").as_array().empty()) std::this_thread::yield();
    EXPECT_EQ(look().at("unicast").at(0).at("ceiling"), 9'000'000) << "alone";
    std::jthread first([&] { a.hear(); }), second([&] { b.hear(); });
    json::object session, unicast;
    const auto end = Instant::clock::now() + 10s;
    while (Instant::clock::now() < end) {
        const auto now = look();
        if (now.at("sessions").as_array().empty()) continue;
        session = now.at("sessions").at(0).as_object(), unicast = now.at("unicast").at(0).as_object();
        // That it sends is taken into account a moment later.
        if (session.at("ceiling") == 6'000'000 && unicast.at("ceiling") == 3'000'000) break;
    }
    EXPECT_EQ(session.at("ceiling"), 6'000'000) << "two of three machines";
    EXPECT_EQ(unicast.at("ceiling"), 3'000'000);
    EXPECT_EQ(api("POST", fmt::format("/jobs/{}/throttle", id), {{"rate", 400'000'000}}).status, 200u);
    first.join();
    second.join();
    asking.join();
    c.report(c.task, "done");
    EXPECT_EQ(a.disk, image.encoded);
    EXPECT_EQ(b.disk, image.encoded);
}

TEST_F(DistributionTest, limits_hold_for_the_interface_and_a_window_takes_their_place) {
    const json::array nobody{json::object{{"interface", "192.0.2.77"}, {"rate", 50'000'000}}};
    const auto warned = api("PATCH", "/distribution", {{"limits", nobody}}).object();
    ASSERT_TRUE(warned.contains("warnings"));
    EXPECT_THAT(json::serialize(warned.at("warnings")), HasSubstr("192.0.2.77 is the address of none"));
    const json::array limit{json::object{{"interface", "127.0.0.1"}, {"rate", 50'000'000}}};
    const auto good = api("PATCH", "/distribution", {{"limits", limit}});
    EXPECT_EQ(good.status, 200u);
    EXPECT_FALSE(good.object().contains("warnings"));
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    for (auto* m : {&a, &b}) EXPECT_EQ(m->call("/chunks/get", channel::render_ids(image.ids)).status, 200u);
    auto ceilings = [&] {
        std::vector<std::uint64_t> out;
        const auto all = api("GET", "/distribution").object();
        for (const auto& u : all.at("unicast").as_array()) out.push_back(u.at("ceiling").to_number<std::uint64_t>());
        return out;
    };
    EXPECT_THAT(ceilings(), testing::ElementsAre(25'000'000, 25'000'000)) << "shared fairly";
    const json::array all_day{json::object{{"from", "00:00"}, {"to", "24:00"}, {"rate", 0}}};
    EXPECT_EQ(api("PATCH", "/distribution", {{"windows", all_day}}).status, 200u);
    EXPECT_THAT(ceilings(), testing::ElementsAre(0, 0)) << "at once";
    EXPECT_EQ(api("GET", "/distribution").object().at("window"), 0);
    server.reset();
    begin();
    auto settings = api("GET", "/distribution").object().at("settings").as_object();
    EXPECT_EQ(settings.at("limits").at(0).at("rate"), 50'000'000) << "after a restart";
    EXPECT_EQ(settings.at("windows"), json::value(all_day));
}

TEST_F(DistributionTest, it_can_be_switched_off) {
    EXPECT_EQ(api("PATCH", "/distribution", {{"multicast", false}}).status, 200u);
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    a.hear();
    EXPECT_THAT(a.joined.body, HasSubstr("switched off"));
    server.reset();
    begin();
    EXPECT_EQ(api("GET", "/distribution").object().at("settings").at("multicast"), false) << "after a restart";
}

TEST_F(DistributionTest, another_manifest_and_a_wrong_bitmap_are_refused) {
    deploy_to({"a", "b"});
    Machine a(*this, "a"), b(*this, "b");
    EXPECT_EQ(a.call("/multicast/join?manifest=" + std::string(64, '0'), "\x03").error(), "server.no-multicast");
    EXPECT_EQ(a.call("/multicast/join?manifest=" + digest(), "\x07").error(), "channel.bad-message");
    EXPECT_EQ(a.call("/multicast/join?manifest=" + digest(), "\x03\x01").error(), "channel.bad-message");
    EXPECT_EQ(a.call("/multicast/tell", "\x03").object().at("advice"), "join") << "it takes part in none";
}

TEST_F(DistributionTest, settings_are_checked_by_name) {
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, json::value>>{
             {"group", "10.0.0.1"},
             {"group", "224.0.0.5"},
             {"group", "239.255.240.1"},
             {"group", "ff02::1"},
             {"group", "ff05::1:3"},
             {"group", "fd00::1"},
             {"ttl", 0},
             {"port", 70000},
             {"rate", -1},
             {"interface", "x"},
             {"report_ports", "x"},
             {"report_ports", "9000-"},
             {"report_ports", "-9000"},
             {"report_ports", "9000-8999"},
             {"report_ports", "1023-9000"},
             {"report_ports", "9000-65536"},
             {"limits", "x"},
             {"limits", json::array{json::object{{"interface", "x"}, {"rate", 1}}}},
             {"windows", json::array{json::object{{"from", "6"}, {"to", "7:00"}, {"rate", 1}}}},
             {"color", 1}})
        EXPECT_EQ(api("PATCH", "/distribution", {{name, value}}).error(), "server.bad-request") << name;
    auto set =
        api("PATCH", "/distribution", {{"group", "239.1.2.0"}, {"ttl", 4}, {"rate", 50000000}, {"adaptive", false}})
            .object();
    EXPECT_EQ(set.at("group"), "239.1.2.0");
    EXPECT_EQ(set.at("ttl"), 4);
    // A unit that was forgotten.
    for (const std::int64_t bits : {1, 100, 99'999}) {
        const json::array limit{json::object{{"interface", "10.99.0.1"}, {"rate", bits}}};
        const json::array window{json::object{{"from", "22:00"}, {"to", "06:00"}, {"rate", bits}}};
        for (const json::object& body :
             {json::object{{"rate", bits}}, json::object{{"limits", limit}}, json::object{{"windows", window}}})
            EXPECT_EQ(api("PATCH", "/distribution", body).error(), "server.rate") << json::serialize(body);
        EXPECT_EQ(api("POST", "/jobs/1/throttle", {{"rate", bits}}).error(), "server.rate");
    }
    EXPECT_THAT(api("POST", "/jobs/1/throttle", {{"rate", 100}}).body, HasSubstr("Was 100M meant?"));
    EXPECT_THAT(api("POST", "/jobs/1/throttle", {{"rate", 50'000}}).body, HasSubstr("Was 50M meant?"));
    EXPECT_EQ(api("PATCH", "/distribution", {{"rate", 100'000}}).object().at("rate"), 100'000);
    EXPECT_EQ(api("PATCH", "/distribution", {{"rate", 0}}).object().at("rate"), 0);
    for (const char* ports : {"9000-9009", "9000", ""})
        EXPECT_EQ(api("PATCH", "/distribution", {{"report_ports", ports}}).object().at("report_ports"), ports);
    auto other = [&](const json::object& body) { return api("PATCH", "/distribution", body); };
    EXPECT_EQ(other({{"interface", "fd00::1"}}).error(), "server.bad-request") << "of another family than the group";
    EXPECT_EQ(other({{"interface", "fd00::1"}, {"group", "ff18::7:0"}}).object().at("group"), "ff18::7:0");
    EXPECT_EQ(other({{"group", ""}, {"interface", ""}}).object().at("group"), "") << "as the machines speak";
    EXPECT_EQ(other({{"limits", json::array{json::object{{"interface", "fd00::1"}, {"rate", 100'000}}}}})
                  .object()
                  .at("limits")
                  .at(0)
                  .at("interface"),
              "fd00::1");
}

}  // namespace
}  // namespace slipway::server
