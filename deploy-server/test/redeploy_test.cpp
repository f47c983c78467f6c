// SPDX-License-Identifier: GPL-3.0-or-later
// Whole deploys onto disks, of which a group's session carries what they lack: over an earlier version of the image, of
// several disks, and with a chunk that the store has lost.
#include <set>

#include "deploy-server/test/server_fixture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/multicast/hearing.hpp"
#include "lib/channel/multicast_messages.hpp"
#include "lib/disks/block.hpp"

namespace slipway::server {
namespace {

using namespace test;
using imagestore::kChunkBytes;

Bytes content_of(unsigned seed) {
    Bytes out(kChunkBytes);
    for (auto& b : out) b = static_cast<std::byte>((seed = seed * 1664525 + 1013904223) >> 24);
    return out;
}

// An image by its disks, a disk by the seeds of its chunks.
struct Picture {
    std::vector<Bytes> disks;
    imagestore::MemoryManifest manifest;
    std::vector<std::string> frames;  // a chunk each
    explicit Picture(const std::vector<std::vector<unsigned>>& seeds) {
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = static_cast<std::uint32_t>(seeds.size());
        EXPECT_TRUE(w.image(info));
        for (const auto& disk : seeds) {
            imagestore::DiskInfo about;
            about.index = static_cast<std::uint32_t>(disks.size());
            about.size = disk.size() * kChunkBytes;
            about.name = about.index ? "sdb" : "sda";
            EXPECT_TRUE(w.disk(about));
            auto& all = disks.emplace_back();
            for (auto seed : disk) {
                auto chunk = content_of(seed);
                const auto id = sha256(chunk);
                EXPECT_TRUE(w.data(id));
                all.insert(all.end(), chunk.begin(), chunk.end());
                chunk.insert(chunk.begin(), std::byte{0});
                channel::append_frame(frames.emplace_back(), id, chunk);
            }
            EXPECT_TRUE(w.end_disk());
        }
        EXPECT_TRUE(w.finish());
    }
    std::string bytes() const { return std::string(as_text(manifest.bytes())); }
};

struct Redeploy : ServerTest {
    static constexpr std::size_t kMany = 12;
    Picture v1{{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}}, v2{{{1, 2, 3, 4, 55, 6, 7, 8, 9, 10, 11, 66}}};

    void SetUp() override {
        ServerTest::SetUp();
        ASSERT_EQ(api("PATCH", "/distribution", {{"wait_seconds", 60}, {"port", 20000 + ::getpid() % 20000}}).status,
                  200u);
    }
    void store(const Picture& picture) {
        add_device();
        Working w(*this, kCapture);
        for (const auto& frame : picture.frames) ASSERT_LT(w.agent.call("/chunks", frame).status, 300u);
        ASSERT_EQ(w.agent.call("/images/web/commit", picture.bytes()).status, 200u);
        w.agent.report(w.task, "done");
        ASSERT_EQ(api("DELETE", "/devices/poseidon").status, 204u);
    }
    static std::string mac_of(const std::string& name) { return "52:54:00:00:00:0" + name; }
    std::int64_t deploy_to_both(const std::vector<std::string>& images = {"web"}) {
        for (const auto* name : {"a", "b"}) add_device(name, mac_of(name));
        EXPECT_EQ(api("POST", "/groups", {{"name", "lab"}, {"devices", {"a", "b"}}}).status, 201u);
        std::string xml = R"(<sequence xmlns="urn:slipway:sequence:1" name="t"><tasks><task type="boot-to-da"/>)";
        for (const auto& image : images)
            xml += R"(<task type="deploy-image"><parameter name="image">)" + image + "</parameter></task>";
        return start_job({{"sequence_xml", xml + "</tasks></sequence>"}, {"group", "lab"}});
    }
};

// A machine and its disks.
struct Machine : Agent, multicast::SessionCalls, imagestore::ChunkSource {
    const Picture* image;
    std::vector<disks::MemoryDisk> disks;
    json::object task;
    std::vector<std::size_t> wanted;      // chunks, at each join
    std::size_t asked = 0;                // by unicast
    std::atomic<std::uint64_t> told = 0;  // of the bytes it has heard
    std::atomic<bool> may_end = true;
    multicast::ReceiverCounts heard;
    std::vector<imagestore::DeployReport> reports;
    std::string failed;

    Machine(ServerTest& t, const std::string& name, const Picture& picture, const std::vector<Bytes>& before)
        : Agent{t}, image(&picture) {
        for (const auto& disk : before) disks.emplace_back(disk);
        const auto mac = Redeploy::mac_of(name);
        EXPECT_EQ(enroll(t.boot_token(mac), mac).status, 200u);
        hello();
        next_task();
    }
    void next_task() {
        task = {};
        for (int i = 0; i < 20 && !task.contains("type"); ++i) task = poll();
    }
    Result<std::optional<multicast::Invitation>> join(const std::vector<bool>& bits) override {
        wanted.push_back(static_cast<std::size_t>(std::count(bits.begin(), bits.end(), true)));
        const auto digest = to_hex(ByteView(image->manifest.bytes()).last(32));
        const auto reply = call("/multicast/join?manifest=" + digest, channel::render_bitmap(bits));
        const auto i = TRY(channel::parse_multicast_invitation(reply.body));
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
    Result<multicast::Advice> tell(std::uint32_t, const std::vector<bool>& bits, bool asks_unicast) override {
        const auto advice =
            call(std::string("/multicast/tell") + (asks_unicast ? "?unicast=1" : ""), channel::render_bitmap(bits))
                .object()
                .at("advice")
                .as_string();
        return advice == "done"     ? multicast::Advice::Done
               : advice == "listen" ? multicast::Advice::Listen
               : advice == "join"   ? multicast::Advice::Join
                                    : multicast::Advice::Unicast;
    }
    Result<Bytes> get(const imagestore::ChunkId& id) override {
        ++asked;
        const auto reply = call("/chunks/get", channel::render_ids({&id, 1}));
        if (reply.status != 200) return make_error(imagestore::errors::kBadChunk, "{}", reply.error());
        const auto frames = TRY(channel::parse_frames(reply.body));
        return Bytes(frames.at(0).encoded.begin(), frames.at(0).encoded.end());
    }
    // All disks, one after the other, as the agent does.
    void work() {
        multicast::HearingOptions options;
        options.progress = [&](const multicast::ReceiverCounts& c, std::uint32_t lacking) {
            report(task, "running",
                   {{"multicast",
                     {{"bytes", c.bytes},
                      {"packets", c.packets},
                      {"lost", c.lost},
                      {"repaired", c.repaired},
                      {"lacking", lacking}}}});
            told = c.bytes;
            told.notify_all();
        };
        multicast::Hearing hearing(*this, options);
        const imagestore::ManifestView manifest(image->manifest.bytes());
        for (std::uint32_t d = 0; d < disks.size() && failed.empty(); ++d) {
            imagestore::DeployRequest request;
            request.manifest = &manifest;
            request.disk = d;
            request.target = &disks[d];
            request.broadcast = &hearing;
            auto done = imagestore::deploy_disk(request, *this);
            if (done) reports.push_back(std::move(*done));
            else failed = done.error().describe();
        }
        heard = hearing.counts();
        may_end.wait(false);
        report(task, failed.empty() ? "done" : "failed",
               failed.empty() ? json::object()
                              : json::object{{"error",
                                              {{"name", "imagestore.bad-chunk"},
                                               {"message", failed},
                                               {"next_step", "x"},
                                               {"temporary", false}}}});
    }
    bool right() {
        for (std::size_t d = 0; d < disks.size(); ++d)
            if (disks[d].content() != image->disks[d]) return false;
        return failed.empty();
    }
};

void work_both(Machine& a, Machine& b) {
    std::jthread first([&] { a.work(); });
    b.work();
}

TEST_F(Redeploy, a_new_version_over_the_old_one_sends_what_changed_and_no_more) {
    store(v1);
    store(v2);
    const auto id = deploy_to_both();
    Machine a(*this, "a", v2, v1.disks), b(*this, "b", v2, v1.disks);
    work_both(a, b);
    for (auto* m : {&a, &b}) {
        EXPECT_TRUE(m->right()) << m->failed;
        EXPECT_EQ(m->wanted, std::vector<std::size_t>{2});
        EXPECT_EQ(m->asked, 0u);
        EXPECT_EQ(m->reports.at(0).kept_chunks, kMany - 2);
        EXPECT_GT(m->heard.bytes, 2 * kChunkBytes);
        EXPECT_LT(m->heard.bytes, 4 * kChunkBytes) << "of an image of twelve";
    }
    EXPECT_EQ(job(id).at("state"), "done");
}

TEST_F(Redeploy, one_that_has_the_old_version_sits_beside_one_that_has_nothing_and_one_place_is_spoilt) {
    store(v1);
    store(v2);
    deploy_to_both();
    Machine a(*this, "a", v2, v1.disks), b(*this, "b", v2, {Bytes(v1.disks[0].size())});
    a.disks[0].content()[7 * kChunkBytes + 99] ^= std::byte{1};
    work_both(a, b);
    EXPECT_TRUE(a.right() && b.right()) << a.failed << b.failed;
    EXPECT_EQ(a.wanted, std::vector<std::size_t>{3});
    EXPECT_EQ(b.wanted, std::vector<std::size_t>{kMany});
    EXPECT_EQ(a.asked + b.asked, 0u);
}

TEST_F(Redeploy, one_that_has_all_of_it_keeps_nobody_waiting) {
    store(v1);
    deploy_to_both();
    Machine a(*this, "a", v1, v1.disks), b(*this, "b", v1, {Bytes(v1.disks[0].size())});
    const auto begun = std::chrono::steady_clock::now();
    work_both(a, b);
    EXPECT_TRUE(a.right() && b.right()) << a.failed << b.failed;
    EXPECT_EQ(a.reports.at(0).written_chunks, 0u);
    EXPECT_EQ(a.wanted, std::vector<std::size_t>{0}) << "it says so, and is counted";
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 50s) << "wait_seconds is 60";
}

TEST_F(Redeploy, each_disk_of_an_image_has_its_turn_in_the_session) {
    // Two chunks are on both disks: what was heard for the first disk comes again for the second.
    const Picture two{{{1, 2, 3, 4}, {5, 2, 6, 3, 7}}};
    store(two);
    const auto id = deploy_to_both();
    const std::vector<Bytes> blank{Bytes(4 * kChunkBytes), Bytes(5 * kChunkBytes)};
    Machine a(*this, "a", two, blank), b(*this, "b", two, blank);
    work_both(a, b);
    for (auto* m : {&a, &b}) {
        EXPECT_TRUE(m->right()) << m->failed;
        EXPECT_EQ(m->wanted, (std::vector<std::size_t>{4, 5}));
        EXPECT_EQ(m->asked, 0u);
        EXPECT_EQ(m->reports.at(0).broadcast_chunks, 4u);
        EXPECT_EQ(m->reports.at(1).broadcast_chunks, 5u);
    }
    EXPECT_EQ(job(id).at("state"), "done");
}

TEST_F(Redeploy, a_chunk_the_store_has_lost_is_named_in_the_jobs_log_and_all_else_is_laid_down) {
    store(v1);
    const auto bad = content_of(5);
    for (const auto& file : std::filesystem::directory_iterator(dir / "state/store/packs")) {
        auto bytes = read_file(file.path(), 64u << 20).value();
        const auto found = std::search(bytes.begin(), bytes.end(), bad.begin(), bad.begin() + 4096);
        if (found == bytes.end()) continue;
        *(found + 4096) ^= std::byte{1};
        ASSERT_TRUE(write_file_atomic(file.path(), bytes));
    }
    server.reset();
    begin();
    const auto id = deploy_to_both();
    Machine a(*this, "a", v1, {Bytes(v1.disks[0].size())}), b(*this, "b", v1, {Bytes(v1.disks[0].size())});
    work_both(a, b);
    const auto name = sha256(bad).text();
    for (auto* m : {&a, &b}) {
        EXPECT_THAT(m->failed, HasSubstr("one chunk of the image cannot be had (" + name));
        EXPECT_EQ(as_text(ByteView(m->disks[0].content()).first(25)), "SLIPWAY DEPLOY UNFINISHED");
        EXPECT_TRUE(std::equal(m->disks[0].content().begin() + 5 * kChunkBytes, m->disks[0].content().end(),
                               v1.disks[0].begin() + 5 * kChunkBytes));
    }
    std::size_t lines = 0;
    const auto record = job(id);
    for (const auto& entry : record.at("log").as_array())
        if (json::serialize(entry).find(
                "chunk " + name + " of web@1 cannot be read; the multicast goes on without it") != std::string::npos)
            ++lines;
    EXPECT_EQ(lines, 1u) << json::serialize(record.at("log"));
}

TEST_F(Redeploy, what_each_machine_has_heard_is_seen_while_it_goes_on_and_every_session_of_the_job) {
    // Three seconds an image.
    ASSERT_EQ(api("PATCH", "/distribution", {{"rate", 40'000'000}, {"adaptive", false}}).status, 200u);
    store(v1);
    store(v2);
    const auto id = deploy_to_both({"web@1", "web@2"});
    Machine a(*this, "a", v1, {Bytes(v1.disks[0].size())}), b(*this, "b", v1, {Bytes(v1.disks[0].size())});
    a.may_end = b.may_end = false;
    std::jthread first([&] { a.work(); }), second([&] { b.work(); });
    for (auto* m : {&a, &b})
        for (auto told = m->told.load(); told < 100'000; told = m->told) m->told.wait(told);
    auto sessions = job(id).at("multicast").as_array();
    EXPECT_EQ(sessions.size(), 1u);
    for (const auto& device : sessions.at(0).at("devices").as_array()) {
        const auto& d = device.as_object();
        EXPECT_TRUE(d.contains("lost_packets") && d.contains("repaired_symbols"));
        EXPECT_GT(d.at("heard_bytes").to_number<std::uint64_t>(), 100'000u - 1);
    }
    // One is at the next image already.
    a.may_end = true;
    a.may_end.notify_all();
    first.join();
    a.next_task();
    a.image = &v2;
    EXPECT_TRUE(a.join(std::vector<bool>(kMany, true)));
    sessions = job(id).at("multicast").as_array();
    std::set<std::string> images;
    for (const auto& s : sessions) images.insert(std::string(view(s.at("image").as_string())));
    EXPECT_EQ(images, (std::set<std::string>{"web@1", "web@2"}));
    b.may_end = true;
    b.may_end.notify_all();
    second.join();
    sessions = job(id).at("multicast").as_array();
    ASSERT_EQ(sessions.size(), 1u) << "the first is over with its last machine";
    EXPECT_FALSE(sessions[0].at("devices").at(0).as_object().contains("heard_bytes")) << "that was of another task";
}

}  // namespace
}  // namespace slipway::server
