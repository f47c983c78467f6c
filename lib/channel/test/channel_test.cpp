// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/errors.hpp"
#include "lib/channel/messages.hpp"

using namespace slipway;
using namespace slipway::channel;

TEST(Messages, a_report_comes_back_as_it_went) {
    Report report;
    report.key = "7/1/3/2";
    report.boot_id = "boot";
    report.state = TaskState::Failed;
    report.progress = Progress{5, 10, "capturing sda"};
    report.multicast = MulticastCounts{1u << 30, 800'000, 1234, 1200, 17};
    report.log = {"one", "two \"quoted\""};
    report.error = Error("base.no-space", "no space", "Free space.", true);
    auto back = parse_report(render(report)).value();
    EXPECT_EQ(back.key, report.key);
    EXPECT_EQ(back.progress->total, 10u);
    EXPECT_EQ(back.multicast, report.multicast);
    EXPECT_EQ(back.log, report.log);
    EXPECT_EQ(back.error->name(), "base.no-space");
    EXPECT_TRUE(back.error->temporary());
}

TEST(Messages, no_task_and_a_task_are_told_apart) {
    EXPECT_FALSE(parse_task("{}")->has_value());
    Task task{"1/1/1/1", "capture-image", {{"image", "web"}}};
    EXPECT_EQ(parse_task(render(std::optional(task)))->value().parameters.at("image"), "web");
}

TEST(Messages, wrong_kinds_are_named) {
    for (const char* text : {"", "[]", "nonsense", "{\"key\":1}", "{\"key\":\"a\",\"boot_id\":\"b\",\"state\":\"odd\"}",
                             "{\"key\":\"a\",\"boot_id\":\"b\",\"state\":\"failed\"}",
                             R"({"key":"a","boot_id":"b","state":"running","multicast":7})",
                             R"({"key":"a","boot_id":"b","state":"running","multicast":{"bytes":-1}})",
                             "{\"key\":\"a\",\"boot_id\":\"b\",\"state\":\"done\",\"log\":[1]}"}) {
        auto parsed = parse_report(text);
        ASSERT_FALSE(parsed.ok()) << text;
        EXPECT_TRUE(parsed.error().is(errors::kBadMessage));
    }
    EXPECT_FALSE(parse_task("{\"task\":{\"key\":\"a\",\"type\":\"b\",\"parameters\":{\"x\":1}}}").ok());
    EXPECT_FALSE(parse_hello("{\"device\":\"a\",\"boot_id\":\"b\",\"kind\":\"root\"}").ok());
}

TEST(Messages, a_log_line_cannot_drive_a_terminal) {
    auto report =
        parse_report("{\"key\":\"a\",\"boot_id\":\"b\",\"state\":\"running\",\"log\":[\"\\u001b[2J\"]}").value();
    EXPECT_EQ(report.log[0].find('\x1b'), std::string::npos);
}

TEST(ChunkFrames, every_cut_is_refused_except_between_frames) {
    std::string body;
    Bytes chunk(100, std::byte{1});
    append_frame(body, sha256(chunk), chunk);
    auto one = body.size();
    append_frame(body, sha256(chunk), chunk);
    ASSERT_EQ(parse_frames(body)->size(), 2u);
    for (std::size_t n = 1; n < body.size(); ++n)
        EXPECT_EQ(parse_frames(std::string_view(body).substr(0, n)).ok(), n == one) << n;
    EXPECT_FALSE(parse_ids(std::string(33, 'x')).ok());
    EXPECT_FALSE(parse_flags("ab", 3).ok());
}
