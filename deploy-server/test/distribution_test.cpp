// SPDX-License-Identifier: GPL-3.0-or-later
// The Image Distribution Service: two machines of a job get an image by one sending, over this machine's loopback.
#include "deploy-server/test/server_fixture.hpp"
#include "imagestore/multicast/hearing.hpp"
#include "lib/channel/multicast_messages.hpp"

namespace slipway::server {
namespace {

using namespace test;

struct DistributionTest : ServerTest {
    Image image;
    imagestore::ManifestView manifest{image.manifest.bytes()};
    imagestore::ChunkPlan plan = imagestore::ChunkPlan::of(manifest).value();

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
        auto xml = R"(<sequence xmlns="urn:slipway:sequence:1" name="t"><tasks><task type="boot-to-da"/>)"
                   R"(<task type="deploy-image"><parameter name="image">web</parameter>)" +
                   more + "</task></tasks></sequence>";
        return start_job({{"sequence_xml", xml}, {"group", "lab"}});
    }
    static std::string mac_of(const std::string& name) { return "52:54:00:00:00:0" + name; }
    std::string digest() const { return to_hex(ByteView(image.manifest.bytes()).last(32)); }
};

struct Machine : Agent, multicast::SessionCalls {
    std::string name;
    json::object task;
    std::vector<Bytes> disk = std::vector<Bytes>(2);
    std::vector<std::string> notes;
    Reply joined;

    Machine(DistributionTest& t, std::string n) : Agent{t}, name(std::move(n)) {
        EXPECT_EQ(enroll(t.boot_token(DistributionTest::mac_of(name)), DistributionTest::mac_of(name)).status, 200u);
        hello();
        for (int i = 0; i < 20 && !task.contains("type"); ++i) task = poll();
    }
    DistributionTest& place() { return static_cast<DistributionTest&>(test); }
    Result<std::optional<multicast::Invitation>> join(const std::vector<bool>& wanted) override {
        joined = call("/multicast/join?manifest=" + place().digest(), channel::render_bitmap(wanted));
        const auto i = TRY(channel::parse_multicast_invitation(joined.body));
        return std::optional(multicast::Invitation{{i.group, i.port},
                                                   {i.sender, i.report_port},
                                                   i.session,
                                                   i.number,
                                                   i.symbol_bytes,
                                                   i.clear,
                                                   i.session_key,
                                                   i.own_key});
    }
    Result<multicast::Advice> tell(std::uint32_t, const std::vector<bool>& wanted, bool asks_unicast) override {
        auto reply =
            call(std::string("/multicast/tell") + (asks_unicast ? "?unicast=1" : ""), channel::render_bitmap(wanted));
        auto advice = reply.object().at("advice").as_string();
        return advice == "done"     ? multicast::Advice::Done
               : advice == "listen" ? multicast::Advice::Listen
                                    : multicast::Advice::Unicast;
    }
    void hear() {
        multicast::HearingOptions options;
        options.note = [this](const std::string& note) { notes.push_back(note); };
        multicast::Hearing hearing(*this, options);
        auto done =
            hearing.receive(place().plan, {true, true}, [&](std::uint32_t number, ByteView bytes) -> Result<bool> {
                disk[number] = Bytes(bytes.begin(), bytes.end());
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

TEST_F(DistributionTest, one_machine_alone_and_one_that_is_told_so_are_served_by_unicast) {
    deploy_to({"a"});
    Machine a(*this, "a");
    a.hear();
    EXPECT_EQ(a.joined.error(), "server.no-multicast");
    EXPECT_THAT(a.joined.body, HasSubstr("one machine alone"));
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
    EXPECT_EQ(a.call("/multicast/tell", "\x03").object().at("advice"), "unicast") << "it takes part in none";
}

TEST_F(DistributionTest, settings_are_checked_by_name) {
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, json::value>>{{"group", "10.0.0.1"},
                                                                                                {"group", "224.0.0.5"},
                                                                                                {"ttl", 0},
                                                                                                {"port", 70000},
                                                                                                {"rate", -1},
                                                                                                {"interface", "x"},
                                                                                                {"color", 1}})
        EXPECT_EQ(api("PATCH", "/distribution", {{name, value}}).error(), "server.bad-request") << name;
    auto set =
        api("PATCH", "/distribution", {{"group", "239.1.2.0"}, {"ttl", 4}, {"rate", 50000000}, {"adaptive", false}})
            .object();
    EXPECT_EQ(set.at("group"), "239.1.2.0");
    EXPECT_EQ(set.at("ttl"), 4);
}

}  // namespace
}  // namespace slipway::server
