// SPDX-License-Identifier: GPL-3.0-or-later
// Patch files asked of a server that is the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent-ramdisk/agent/patch_files.hpp"
#include "lib/channel/messages.hpp"
#include "lib/http/server.hpp"

using namespace slipway;
using namespace slipway::agent;
using testing::ElementsAre;

namespace {

const patches::FileKey kHal{"halacpi.dll", {5, 2, 3790, 3959}, 0x0407};

struct Asking : testing::Test {
    // Answers every path but the HAL's with that error.
    void serve(const char* otherwise, unsigned status) {
        auto router = std::make_shared<http::Router>();
        router->add("GET", "/agent/v1/patches/{version}/{language}/{name}",
                    [=, this](const http::Request& r, const http::Responder& out) {
                        asked.push_back(r.path);
                        if (r.parameter("name") == "halacpi.dll")
                            return out.send(http::Response::text(200, "MZ", "application/octet-stream"));
                        out.send(http::Response::json(
                            status, channel::render_error(Error(otherwise, "not in /srv/Patches", "load it", false))));
                    });
        http::ListenerOptions options;
        options.address = "127.0.0.1";
        options.port = 0;
        link.server_url = fmt::format("http://127.0.0.1:{}", server.listen(std::move(options), router).value());
    }
    Result<std::optional<std::string>> ask(const patches::FileKey& key) {
        const TaskContext context{*machine, link, self, {}, {}, [this](const std::string& l) { log.push_back(l); },
                                  cancel,   -1};
        return patch_file(context, key);
    }
    std::vector<std::string> asked, log;
    std::unique_ptr<Machine> machine = file_machine({});
    LinkOptions link;
    Self self;
    std::atomic<bool> cancel{false};
    http::Server server{1};
};

TEST_F(Asking, the_file_of_its_version_and_language_comes) {
    serve("server.no-patch-file", 404);
    const auto content = ask(kHal);
    ASSERT_TRUE(content.ok()) << content.error().describe();
    EXPECT_EQ(*content, "MZ");
    EXPECT_THAT(asked, ElementsAre("/agent/v1/patches/5.2.3790.3959/0407/halacpi.dll"));
}

TEST_F(Asking, a_file_that_the_server_has_not_is_none_and_where_it_looked_is_logged) {
    serve("server.no-patch-file", 404);
    const auto content = ask({"ntoskrnl.exe", {5, 2, 3790, 3959}, 0});
    ASSERT_TRUE(content.ok()) << content.error().describe();
    EXPECT_EQ(*content, std::nullopt);
    EXPECT_THAT(log, ElementsAre(testing::HasSubstr("not in /srv/Patches")));
}

TEST_F(Asking, any_other_refusal_is_the_tasks_error) {
    serve("server.not-your-task", 403);
    const auto content = ask({"ntoskrnl.exe", {5, 2, 3790, 3959}, 0});
    ASSERT_FALSE(content.ok());
    EXPECT_EQ(content.error().name(), "server.not-your-task");
}

}  // namespace
