// SPDX-License-Identifier: GPL-3.0-or-later
// What caller and appliance say to each other, and the appliance's side of it over a socket.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/serve.hpp"
#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

RepairRequest full_request() {
    RepairRequest request;
    request.disk = "/dev/vda";
    request.target = TargetController::Megasas;
    request.firmware = Firmware::Uefi;
    request.nics = {*parse_nic("ens18=52:54:00:51:00:02"), *parse_nic("52:54:00:00:00:01=52:54:00:51:00:03")};
    request.proof_nonce = "n-1";
    request.dry_run = true;
    request.fix_hal = patches::FixHal::Nacpi;
    request.patch_directories = {"/patches", "/more"};
    request.processors = 4;
    request.driver_files = {{"/media/v/w10/viostor.inf", "[Version]\n"},
                            {"/media/v/w10/viostor.sys", std::string("\0\xff", 2)}};
    return request;
}

RepairReport full_report() {
    RepairReport report;
    report.distribution = "Debian 12";
    report.root_device = "/dev/vda partition 1";
    report.kernels = {"6.1"};
    report.journal = {{"fstab: by UUID", "/etc/fstab", "a\tb\n", "c\n"}};
    report.warnings = {"look at it"};
    return report;
}

wire::Outcome outcome_in(const std::string& line) {
    auto message = wire::parse_message(line);
    if (!message) return std::move(message).error();
    return std::get<wire::Outcome>(std::move(*message));
}

// The caller's end of a port.
class Caller {
public:
    Caller() {
        int fds[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
        ours_ = UniqueFd(fds[0]);
        theirs = UniqueFd(fds[1]);
    }
    void say(const std::string& line) { ASSERT_TRUE(write_full(ours_.get(), as_bytes(line)).ok()); }
    std::string hear() {
        while (true) {
            if (auto line = lines_.next()) return *line;
            char buffer[4096];
            auto n = ::read(ours_.get(), buffer, sizeof buffer);
            if (n <= 0) return "";
            if (!lines_.feed({buffer, static_cast<std::size_t>(n)})) return "";
        }
    }
    void hang_up() { ours_.reset(); }
    UniqueFd theirs;

private:
    UniqueFd ours_;
    wire::Lines lines_;
};

// Waits for its cancellation.
Result<RepairReport> until_cancelled(const RepairRequest& request,
                                     const std::function<void(const std::string&)>& note) {
    note("waiting");
    pollfd cancelled{request.cancel_fd, POLLIN, 0};
    ::poll(&cancelled, 1, -1);
    return make_error(fixup::errors::kInitramfs, "cancelled");
}

}  // namespace

TEST(Wire, a_request_crosses_with_all_it_has) {
    const auto line = wire::request_line(full_request());
    const auto there = wire::parse_request(line);
    ASSERT_TRUE(there.ok()) << there.error().describe();
    EXPECT_EQ(there->target, TargetController::Megasas);
    EXPECT_EQ(there->firmware, Firmware::Uefi);
    EXPECT_EQ(there->nics.size(), 2u);
    EXPECT_EQ(wire::request_line(*there), line);
    ASSERT_EQ(there->driver_files.size(), 2u);
    EXPECT_EQ(there->driver_files[1].name, "/media/v/w10/viostor.sys");
    EXPECT_EQ(there->driver_files[1].content, std::string("\0\xff", 2));
}

TEST(Wire, a_report_crosses_with_all_it_has) {
    auto there = outcome_in(wire::line_of(wire::Outcome(full_report())));
    ASSERT_TRUE(there.ok()) << there.error().describe();
    EXPECT_EQ(to_json(*there), to_json(full_report()));
}

TEST(Wire, an_error_keeps_its_name_its_words_and_its_next_step) {
    const Error error = make_error(fixup::errors::kNoRoot, "no partition").with("the disk");
    auto there = outcome_in(wire::line_of(wire::Outcome(error)));
    ASSERT_FALSE(there.ok());
    EXPECT_TRUE(there.error().is(fixup::errors::kNoRoot));
    EXPECT_EQ(there.error().explain(), error.explain());
}

TEST(Wire, what_is_no_message_is_named) {
    for (const char* line : {"", "x", "[]", "{}", R"({"hello":2})", R"({"report":{}})", R"({"report":{"journal":[1]}})",
                             R"({"error":{"name":1}})"}) {
        auto message = wire::parse_message(line);
        ASSERT_FALSE(message.ok()) << line;
        EXPECT_TRUE(message.error().is(fixup::errors::kWire)) << line;
    }
    for (const char* line : {"{}", R"({"slipway-fixup":2,"request":{}})", R"({"slipway-fixup":1,"request":{}})"})
        EXPECT_FALSE(wire::parse_request(line).ok()) << line;
    EXPECT_FALSE(wire::parse_message(std::string(1000, '[')).ok());
}

TEST(Wire, a_line_without_an_end_is_cut_off_and_many_lines_are_not) {
    wire::Lines lines;
    const std::string piece(65536, 'x');
    Status fed;
    for (std::size_t had = 0; fed && had <= wire::kMaxLine; had += piece.size()) {
        fed = lines.feed(piece);
        EXPECT_EQ(lines.next(), std::nullopt);
    }
    ASSERT_FALSE(fed.ok());
    EXPECT_TRUE(fed.error().is(fixup::errors::kWire));
    wire::Lines many;
    for (std::size_t had = 0; had <= 2 * wire::kMaxLine; had += piece.size()) {
        ASSERT_TRUE(many.feed(piece + "\n").ok());
        EXPECT_EQ(many.next(), piece);
    }
}

TEST(Serve, a_request_is_done_and_its_report_is_the_last_line) {
    Caller caller;
    std::thread appliance([&] {
        EXPECT_TRUE(serve(caller.theirs.get(), [](const RepairRequest& request, const auto& note) {
                        EXPECT_EQ(request.proof_nonce, "n-1");
                        note("network");
                        return Result<RepairReport>(full_report());
                    }).ok());
        caller.theirs.reset();
    });
    EXPECT_EQ(caller.hear(), R"({"hello":1})");
    caller.say(wire::request_line(full_request()));
    EXPECT_EQ(caller.hear(), R"({"note":"network"})");
    EXPECT_THAT(caller.hear(), StartsWith(R"({"report":{"distribution":"Debian 12")"));
    EXPECT_EQ(caller.hear(), "");
    appliance.join();
}

TEST(Wire, what_is_wanted_and_what_comes_cross) {
    const patches::FileKey key{"ntkrnlpa.exe", {5, 1, 2600, 6419}, 0x0407};
    const auto wanted = wire::parse_message(wire::line_of(wire::Message(wire::Wanted{key})));
    ASSERT_TRUE(wanted.ok()) << wanted.error().describe();
    EXPECT_EQ(std::get<wire::Wanted>(*wanted).key, key);
    const auto there = [](const wire::Saying& saying) {
        return std::get<wire::PatchFile>(wire::parse_saying(wire::line_of(saying)).value()).content;
    };
    const std::string content("MZ\0\xff\n", 5);
    EXPECT_EQ(there(wire::PatchFile{std::optional(content)}).value(), content);
    EXPECT_EQ(there(wire::PatchFile{std::optional<std::string>()}).value(), std::nullopt);
    EXPECT_TRUE(
        there(wire::PatchFile{make_error(fixup::errors::kPatches, "unreadable")}).error().is(fixup::errors::kPatches));
    EXPECT_TRUE(std::holds_alternative<wire::Cancel>(*wire::parse_saying(wire::line_of(wire::Cancel{}))));
    for (const char* line : {R"({"wanted":{"name":"../../etc/shadow","version":"1.2.3.4","language":"0409"}})",
                             R"({"wanted":{"name":"hal.dll","version":"1.2.3","language":"0409"}})",
                             R"({"wanted":{"name":"hal.dll","version":"1.2.3.4","language":"/"}})", R"({"wanted":{}})"})
        EXPECT_FALSE(wire::parse_message(line).ok()) << line;
    for (const char* line : {R"({"patch_file":{"content":"0"}})", R"({"patch_file":{"content":1}})",
                             R"({"patch_file":1})", R"({"cancel":false})"})
        EXPECT_FALSE(wire::parse_saying(line).ok()) << line;
}

TEST(Serve, a_patch_file_is_asked_of_the_caller) {
    const patches::FileKey key{"halacpi.dll", {5, 1, 2600, 5512}, 0x0407};
    Caller caller;
    std::thread appliance([&] {
        EXPECT_TRUE(serve(caller.theirs.get(), [&](const RepairRequest& request, const auto& note) {
                        note("HAL");
                        auto report = full_report();
                        auto content = request.patch_supply(key);
                        report.warnings = {content ? content->value_or("none") : content.error().message()};
                        return Result<RepairReport>(std::move(report));
                    }).ok());
        caller.theirs.reset();
    });
    caller.hear();
    caller.say(wire::request_line(full_request()));
    EXPECT_EQ(caller.hear(), R"({"note":"HAL"})");
    EXPECT_EQ(caller.hear(), R"({"wanted":{"name":"halacpi.dll","version":"5.1.2600.5512","language":"0407"}})");
    caller.say("garbage\n");
    caller.say(wire::line_of(wire::PatchFile{std::optional<std::string>("MZ")}) +
               wire::line_of(wire::PatchFile{std::optional<std::string>("not asked for")}));
    EXPECT_THAT(caller.hear(), HasSubstr(R"("warnings":["MZ"])"));
    appliance.join();
}

TEST(Serve, who_waits_for_a_patch_file_is_cancelled_when_the_caller_says_so) {
    Caller caller;
    std::thread appliance([&] {
        EXPECT_TRUE(
            serve(caller.theirs.get(), [](const RepairRequest& request, const auto&) -> Result<RepairReport> {
                return TRY(request.patch_supply({"hal.dll", {5, 1, 2600, 0}, 0})) ? full_report() : RepairReport{};
            }).ok());
    });
    caller.hear();
    caller.say(wire::request_line(full_request()));
    EXPECT_THAT(caller.hear(), StartsWith(R"({"wanted")"));
    caller.say(wire::line_of(wire::Cancel{}));
    EXPECT_TRUE(outcome_in(caller.hear()).error().is(fixup::errors::kWire));
    appliance.join();
}

TEST(Serve, a_request_that_cannot_be_read_is_answered_by_its_error) {
    Caller caller;
    std::thread appliance([&] { EXPECT_TRUE(serve(caller.theirs.get(), until_cancelled).ok()); });
    EXPECT_EQ(caller.hear(), R"({"hello":1})");
    caller.say("garbage\n");
    auto outcome = outcome_in(caller.hear());
    ASSERT_FALSE(outcome.ok());
    EXPECT_TRUE(outcome.error().is(fixup::errors::kWire));
    appliance.join();
}

TEST(Serve, is_cancelled_when_the_caller_says_so) {
    Caller caller;
    std::thread appliance([&] { EXPECT_TRUE(serve(caller.theirs.get(), until_cancelled).ok()); });
    caller.hear();
    caller.say(wire::request_line(full_request()));
    EXPECT_EQ(caller.hear(), R"({"note":"waiting"})");
    caller.say(wire::line_of(wire::Cancel{}));
    auto outcome = outcome_in(caller.hear());
    ASSERT_FALSE(outcome.ok());
    EXPECT_THAT(outcome.error().message(), HasSubstr("cancelled"));
    appliance.join();
}

TEST(Serve, is_cancelled_when_the_caller_is_gone) {
    ::signal(SIGPIPE, SIG_IGN);
    Caller caller;
    std::thread appliance([&] { EXPECT_FALSE(serve(caller.theirs.get(), until_cancelled).ok()); });
    caller.hear();
    caller.say(wire::request_line(full_request()));
    caller.hear();
    caller.hang_up();
    appliance.join();
}
