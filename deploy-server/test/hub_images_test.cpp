// SPDX-License-Identifier: GPL-3.0-or-later
// One job, one version of an image.
#include "deploy-server/test/hub_fixture.hpp"
#include "imagestore/errors.hpp"

namespace slipway::server {
namespace {

using namespace test;

struct ImagesOfJobs : Bench {
    std::map<std::string, int> newest{{"web", 1}};
    int asked = 0;

    void SetUp() override {
        Bench::SetUp();
        hear_of_images();
    }
    void hear_of_images() {
        hub->on_images([this](const std::string& image) -> Result<std::string> {
            ++asked;
            const auto at = image.find('@');
            const auto found = newest.find(image.substr(0, at));
            if (found == newest.end()) return make_error(imagestore::errors::kNoImage, "no image '{}'", image);
            return at == std::string::npos ? fmt::format("{}@{}", image, found->second) : image;
        });
    }
    static Sequence deploy(const std::string& image = "${image}") {
        Sequence s;
        s.add("deploy-image", {{"image", image}});
        return s;
    }
    static Sequence capture(const std::string& image = "${image}") {
        Sequence s;
        s.add("capture-image", {{"image", image}});
        return s;
    }
    JobRequest group(const std::vector<std::string>& devices, unsigned at_a_time) {
        JobRequest parent;
        parent.name = "group";
        parent.mode = JobMode::Parallel;
        parent.max_parallel = at_a_time;
        parent.variables = {{"image", "web"}};
        for (const auto& device : devices) {
            add(device);
            parent.children.push_back(request(device, deploy()));
        }
        return parent;
    }
    std::vector<std::string> log(std::int64_t job) {
        std::vector<std::string> out;
        for (const auto& e : events(job)) out.push_back(e.text);
        return out;
    }
};

TEST_F(ImagesOfJobs, machines_that_begin_after_a_new_version_get_the_jobs_version_and_so_does_a_resume) {
    auto id = hub->submit(group({"a", "b", "c"}, 1)).value();
    EXPECT_EQ(asked, 1) << "once for all";
    hello("a");
    auto first = poll_until_given("a");
    EXPECT_EQ(first.parameters["image"], "web@1");
    newest["web"] = 2;
    report("a", first.key, "done");
    hello("b");
    auto second = poll_until_given("b");
    EXPECT_EQ(second.parameters["image"], "web@1");
    report("b", second.key, "failed");
    restart();
    hear_of_images();
    hello("c");
    auto third = poll_until_given("c");
    EXPECT_EQ(third.parameters["image"], "web@1");
    report("c", third.key, "done");
    ASSERT_EQ(wait_end(id), RunState::Failed);
    ASSERT_TRUE(hub->resume(id));
    hello("b");
    auto again = poll_until_given("b");
    EXPECT_EQ(again.parameters["image"], "web@1");
    report("b", again.key, "done");
    EXPECT_EQ(wait_end(id), RunState::Done);
    EXPECT_THAT(log(id), testing::Contains(fmt::format("image web is web@1 for all of job {}", id)));
    EXPECT_THAT(log(id), testing::Contains("step 1 'deploy-image-1' (deploy-image of web@1)"));
}

TEST_F(ImagesOfJobs, an_image_that_is_not_there_is_refused_when_the_job_is_made) {
    add("a");
    auto refused = hub->submit(request("a", deploy("wbe")));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(imagestore::errors::kNoImage)) << refused.error().explain();
    EXPECT_TRUE(db->jobs().value().empty());
    auto later = deploy("web");
    later.add("capture-image", {{"image", "new"}});
    later.add("deploy-image", {{"image", "new"}});
    EXPECT_TRUE(hub->submit(request("a", later))) << "the job itself makes it";
    auto early = deploy("new");
    early.add("capture-image", {{"image", "new"}});
    EXPECT_FALSE(hub->submit(request("a", early))) << "it is made too late";
}

TEST_F(ImagesOfJobs, what_the_job_captures_is_what_it_lays_down_whatever_else_is_stored_meanwhile) {
    add("a");
    add("b");
    JobRequest chain;
    chain.name = "chain";
    chain.mode = JobMode::Serial;
    chain.variables = {{"image", "new"}};
    chain.children = {request("a", capture()), request("b", deploy())};
    auto id = hub->submit(chain).value();
    hello("a");
    auto first = poll_until_given("a");
    EXPECT_EQ(first.parameters["image"], "new");
    newest["new"] = 5;
    report("a", first.key, "done", R"({"image":"new@4"})");
    hello("b");
    auto second = poll_until_given("b");
    EXPECT_EQ(second.parameters["image"], "new@4");
    report("b", second.key, "failed");
    ASSERT_EQ(wait_end(id), RunState::Failed);
    newest["new"] = 6;
    ASSERT_TRUE(hub->resume(id));
    hello("b");
    EXPECT_EQ(poll_until_given("b").parameters["image"], "new@4");
}

TEST_F(ImagesOfJobs, a_task_taken_up_after_a_restart_keeps_its_version) {
    add("a");
    auto s = capture("web");
    s.add("deploy-image", {{"image", "web"}});
    submit("a", s);
    hello("a");
    report("a", poll_until_given("a").key, "done", R"({"image":"web@2"})");
    newest["web"] = 3;
    auto task = poll_until_given("a");
    EXPECT_EQ(task.parameters["image"], "web@2");
    restart();
    hear_of_images();
    hello("a");
    auto held = hub->held(row("a").id, "deploy-image");
    ASSERT_TRUE(held);
    EXPECT_EQ(held->parameters["image"], "web@2");
}

TEST_F(ImagesOfJobs, a_version_that_an_unfinished_job_needs_is_not_deleted_and_one_gone_is_not_resumed_for) {
    auto id = hub->submit(group({"a", "b"}, 1)).value();
    bool removed = false;
    auto remove = [&](const char* version) {
        removed = false;
        return hub->remove_images({version}, [&]() -> Status {
            removed = true;
            return {};
        });
    };
    auto refused = remove("web@1");
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(errors::kImageInUse));
    EXPECT_FALSE(removed);
    EXPECT_TRUE(remove("web@2"));
    ASSERT_TRUE(hub->cancel(id));
    EXPECT_TRUE(remove("web@1"));
    EXPECT_TRUE(removed);
    newest.clear();
    auto resumed = hub->resume(id);
    ASSERT_FALSE(resumed);
    EXPECT_TRUE(resumed.error().is(imagestore::errors::kNoImage)) << resumed.error().explain();
    EXPECT_EQ(state(id), RunState::Cancelled);
}

}  // namespace
}  // namespace slipway::server
