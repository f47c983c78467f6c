// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "console/netboot_view.hpp"
#include "console/test/program.hpp"
#include "lib/base/exit_code.hpp"

using namespace slipway;
using namespace slipway::console;
namespace json = boost::json;

namespace {

json::value event(std::uint64_t id, std::uint64_t ms, const char* kind, json::object more = {}) {
    json::object out{{"id", id},
                     {"ms", 1'700'000'000'000 + ms},
                     {"time", "2023-11-14T22:13:20Z"},
                     {"mac", "52:54:00:51:00:01"},
                     {"kind", kind},
                     {"text", std::string(kind) + "!"}};
    for (auto& [key, value] : more) out[key] = value;
    return out;
}
json::value discover(std::uint64_t id, std::uint64_t ms) {
    return event(id, ms, "heard", {{"type", "DISCOVER"}, {"boots", true}, {"ipxe", false}});
}
json::value moving(std::uint64_t id, std::uint64_t ms) { return event(id, ms, "transfer", {{"stage", "moving"}}); }

}  // namespace

TEST(BootLines, times_count_from_the_first_packet_of_each_boot) {
    BootLines lines(true);
    EXPECT_EQ(lines.line(discover(1, 0), false), "   0.000 s  heard!");
    EXPECT_EQ(lines.line(event(2, 1250, "answered"), false), "   1.250 s  answered!");
    EXPECT_EQ(lines.line(moving(3, 2000), false), "   2.000 s  transfer!");
    EXPECT_EQ(lines.line(discover(4, 9000), false), "   0.000 s  heard!");   // the firmware asks anew
    EXPECT_EQ(lines.line(discover(5, 13000), false), "   4.000 s  heard!");  // and repeats itself
    EXPECT_EQ(lines.line(event(6, 90000, "ready"), false), "   0.000 s  ready!");
    auto ipxe = event(7, 91000, "heard", {{"type", "DISCOVER"}, {"boots", true}, {"ipxe", true}});
    EXPECT_EQ(lines.line(ipxe, false), "   0.000 s  heard!");  // a ROM that is iPXE, after that agent
}

TEST(BootLines, a_machine_switched_on_again_before_it_fetched_anything_begins_anew) {
    for (bool ipxe : {false, true}) {
        BootLines lines(true);
        auto heard = [&](std::uint64_t id, std::uint64_t ms, const char* type, bool by_ipxe) {
            return lines.line(event(id, ms, "heard", {{"type", type}, {"boots", true}, {"ipxe", by_ipxe}}), false);
        };
        EXPECT_EQ(heard(1, 0, "DISCOVER", ipxe), "   0.000 s  heard!");
        EXPECT_EQ(heard(2, 1000, "DISCOVER", ipxe), "   1.000 s  heard!");
        EXPECT_EQ(heard(3, 2000, "REQUEST", ipxe), "   2.000 s  heard!");
        if (!ipxe) {
            EXPECT_EQ(heard(4, 3000, "DISCOVER", true), "   3.000 s  heard!");
        }
        EXPECT_EQ(heard(5, 9000, "DISCOVER", ipxe), "   0.000 s  heard!");
    }
}

TEST(BootLines, a_log_gets_progress_every_few_seconds_and_the_end_of_it_always) {
    BootLines log(false);
    EXPECT_FALSE(log.line(event(1, 0, "transfer", {{"stage", "begun"}}), false).empty());
    EXPECT_TRUE(log.line(moving(2, 500), false).empty());
    EXPECT_TRUE(log.line(moving(3, 4900), false).empty());
    EXPECT_FALSE(log.line(moving(4, 5100), false).empty());
    EXPECT_FALSE(log.line(event(5, 5200, "transfer", {{"stage", "whole"}}), false).empty());
    EXPECT_FALSE(BootLines(true).line(moving(2, 500), false).empty());
}

TEST(BootLines, of_all_machines_a_line_says_which_and_hostile_text_is_disarmed) {
    BootLines lines(false);
    auto e = event(1, 0, "silence", {{"device", "poseidon"}, {"text", "\x1b[31m"}});
    EXPECT_EQ(lines.line(e, true), "   0.000 s  52:54:00:51:00:01  poseidon  \\x1b[31m");
}

TEST(TraceText, a_finding_with_its_evidence_alone) {
    json::value trace{{"mac", "52:54:00:51:00:01"},
                      {"device", "poseidon"},
                      {"outcome", "failed"},
                      {"reached", "offer"},
                      {"finding",
                       {{"id", "netboot.no-address"},
                        {"hop", "address"},
                        {"title", "No address"},
                        {"message", "none"},
                        {"advice", "See that it runs."},
                        {"evidence", json::array{1}}}},
                      {"items", json::array{discover(1, 0), event(2, 10, "answered")}},
                      {"hearing", {{"other_servers", false}, {"why", "not allowed"}}}};
    EXPECT_EQ(trace_text(trace, false),
              "poseidon (52:54:00:51:00:01): the hop 'address' failed\n"
              "No address [netboot.no-address]\n"
              "  none\n"
              "  What to do: See that it runs.\n"
              "seen:\n"
              "  2023-11-14T22:13:20Z     0.000 s  heard!\n"
              "note: the answers of other DHCP and PXE servers are not heard here: not allowed\n");
    EXPECT_NE(trace_text(trace, true).find("answered!"), std::string::npos);
    EXPECT_EQ(exit_of_trace(trace), kExitWarnings);
    trace.get_object()["outcome"] = "booted";
    EXPECT_EQ(exit_of_trace(trace), kExitDone);
}

TEST(TraceText, lines_are_wrapped_between_words) {
    EXPECT_EQ(wrapped("one two three", 9, "  "), "  one two\n  three\n");
    EXPECT_EQ(wrapped("immeasurable", 5, "  "), "  immeasurable\n");
}

TEST(Arrived, with_the_agent_or_with_the_local_disk) {
    EXPECT_TRUE(arrived(event(1, 0, "ready")));
    EXPECT_TRUE(arrived(event(1, 0, "script", {{"agent", false}})));
    EXPECT_FALSE(arrived(event(1, 0, "script", {{"agent", true}})));
}

TEST(Slipway, netboot_commands_say_how_they_are_used) {
    EXPECT_EQ(slipway_run({"netboot", "explain"}).code, kExitUsage);
    EXPECT_EQ(slipway_run({"netboot"}).code, kExitUsage);
    EXPECT_NE(slipway_run({"netboot", "explain", "--help"}).out.find("--stopped"), std::string::npos);
    EXPECT_NE(slipway_run({"netboot", "watch", "--help"}).out.find("Examples:"), std::string::npos);
    EXPECT_EQ(slipway_run({"netboot", "explain", "poseidon"}).code, kExitFailed);  // no server
}
