// SPDX-License-Identifier: GPL-3.0-or-later
// What slipway-fixup says and how it ends, by the program itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "guest-fixup/test/fake_system.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

std::string program() {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return std::string(bin ? bin : "bin") + "/slipway-fixup";
}

CommandResult fixup_with(std::vector<std::string> words) {
    words.insert(words.begin(), program());
    return run_command(words).value();
}

json::object error_in(const CommandResult& ran) { return json::parse(ran.output).at("error").as_object(); }

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
}

}  // namespace

TEST(Program, errors_are_json_where_the_report_would_be_and_name_the_disk_once) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: the repair mounts";
    const std::string disk = "/nowhere/disk.img";
    const auto failed = fixup_with({"--disk", disk, "--target", "ide", "--json"});
    EXPECT_EQ(failed.exit_code, 1);
    EXPECT_EQ(error_in(failed).at("name"), "base.not-found");
    EXPECT_NE(error_in(failed).at("next_step"), "");
    EXPECT_EQ(count(failed.output, disk), 1u) << failed.output;
    EXPECT_THAT(failed.error_text, Not(HasSubstr("error:")));
    const auto plain = fixup_with({"--disk", disk, "--target", "ide"});
    EXPECT_EQ(plain.output, "");
    EXPECT_EQ(count(plain.error_text, disk), 1u) << plain.error_text;
    const auto usage = fixup_with({"--disk", disk, "--target", "ide", "--nic", "ens18=1:2", "--json"});
    EXPECT_EQ(usage.exit_code, 2);
    EXPECT_THAT(std::string(error_in(usage).at("message").as_string()), HasSubstr("NEW, '1:2'"));
}

TEST(Program, an_undo_with_a_target_is_wrong_usage) {
    const auto ran = fixup_with({"--disk", "/nowhere/disk.img", "--undo", "--target", "ide"});
    EXPECT_EQ(ran.exit_code, 2);
    EXPECT_THAT(ran.error_text, HasSubstr("--undo"));
    EXPECT_THAT(ran.error_text, HasSubstr("--target"));
}

TEST(Program, a_signal_in_the_middle_of_the_guests_tool_takes_all_back_and_says_so) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: chroot and namespaces";
    if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
    for (const int signal : {SIGINT, SIGTERM}) {
        test::FakeRoot guest;
        test::put_system(guest);
        test::put_script(guest, "/usr/sbin/update-initramfs",
                         "trap '' PIPE; echo broken >/boot/initrd.img-$3; echo x >/begun; sleep 600\n");
        const auto original = test::manifest(guest.path());
        const auto fifo = guest.path() / "begun";
        ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
        const auto outside = TempDir::create("said").value();
        auto said = open_fd(outside / "said", O_RDWR | O_CREAT);
        ASSERT_TRUE(said.ok());
        auto child = Child::spawn({program(), "--root", guest.path().string(), "--target", "ide"},
                                  {-1, said->get(), said->get()});
        ASSERT_TRUE(child.ok());
        (void)read_text_file(fifo).ok();  // comes back once the tool runs
        child->signal(signal);
        EXPECT_EQ(child->wait(), 1);
        const auto text = read_text_file(outside / "said").value();
        EXPECT_THAT(text, HasSubstr("interrupted: what was changed is taken back, all is as it was"));
        EXPECT_EQ(count(text, "["), 1u) << text;  // one name of an error
        fs::remove(fifo);
        EXPECT_EQ(test::manifest(guest.path()), original);
    }
}
