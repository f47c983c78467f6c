// SPDX-License-Identifier: GPL-3.0-or-later
// The program as a user meets it: static, without anything around it, and where nothing can be written beside it.
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatherhw/reader.hpp"
#include "gatherhw/test/phony_machine.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
namespace fs = std::filesystem;

namespace {

fs::path program() { return fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / "gatherhw"; }

bool is_static() {
    auto headers = run_checked({"readelf", "-lW", program().string()});
    return headers && headers->find("INTERP") == std::string::npos;
}

CommandOptions in_chroot(const std::string& root) {
    CommandOptions options;
    options.timeout = std::chrono::seconds(30);
    options.before_exec = [root] { return ::chroot(root.c_str()) != 0 || ::chdir("/") != 0 ? errno : 0; };
    return options;
}

}  // namespace

TEST(Program, needs_no_loader_no_library_and_no_new_kernel) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers' run time is shared";
#endif
    EXPECT_TRUE(is_static());
    auto dynamic = run_checked({"readelf", "-dW", program().string()});
    ASSERT_TRUE(dynamic.ok()) << dynamic.error().explain();
    EXPECT_EQ(dynamic->find("NEEDED"), std::string::npos) << *dynamic;
    auto notes = run_checked({"readelf", "-nW", program().string()}).value();
    auto at = notes.find("ABI: ");
    ASSERT_NE(at, std::string::npos) << notes;
    int major = 0, minor = 0;
    ASSERT_EQ(std::sscanf(notes.c_str() + at, "ABI: %d.%d", &major, &minor), 2);
    EXPECT_LE(major * 100 + minor, 302) << "static glibc wants a newer kernel than 3.2";
}

TEST(Program, ends_with_a_named_error_in_an_empty_chroot) {
    if (::geteuid() != 0 || !is_static()) GTEST_SKIP() << "needs root and a static program";
    auto temp = TempDir::create("chroot").value();
    fs::copy_file(program(), temp / "gatherhw");
    auto run = run_command({"/gatherhw"}, in_chroot(temp.path().string()));
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitFailed) << run->error_text;
    EXPECT_NE(run->error_text.find("gatherhw.no-root"), std::string::npos) << run->error_text;
    EXPECT_FALSE(fs::exists(temp / "machine.xml"));
}

TEST(Program, makes_a_small_inventory_in_a_chroot_with_little) {
    if (::geteuid() != 0 || !is_static()) GTEST_SKIP() << "needs root and a static program";
    auto temp = TempDir::create("chroot").value();
    fs::copy_file(program(), temp / "gatherhw");
    fs::create_directory(temp / "etc");
    std::ofstream(temp / "etc/hostname") << "lonely\n";
    auto run = run_command({"/gatherhw", "--output", "/here.xml"}, in_chroot(temp.path().string()));
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitWarnings) << run->error_text;
    auto read = gatherhw::read_inventory(read_text_file(temp / "here.xml").value_or(""));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_FALSE(read->inventory.unread.empty());
}

TEST(Program, writes_beside_itself_under_the_host_name) {
    auto temp = TempDir::create("beside").value();
    gatherhw::make_phony_machine(temp / "machine");
    fs::copy_file(program(), temp / "gatherhw");
    auto run = run_command({(temp / "gatherhw").string(), "--root", (temp / "machine").string()});
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitDone) << run->error_text;
    EXPECT_NE(run->output.find((temp / "triton.xml").string()), std::string::npos) << run->output;
    EXPECT_TRUE(gatherhw::read_inventory(read_text_file(temp / "triton.xml").value_or("")).ok());
}

TEST(Program, on_a_read_only_stick_it_writes_elsewhere_and_says_where) {
    auto temp = TempDir::create("stick").value();
    gatherhw::make_phony_machine(temp / "machine");
    fs::create_directories(temp / "stick");
    fs::create_directories(temp / "tmp");
    auto script = "mount -t tmpfs none stick && cp '" + program().string() +
                  "' stick/gatherhw && mount -o remount,ro stick && cd stick && exec ./gatherhw --root ../machine";
    CommandOptions options;
    options.working_directory = temp.path();
    options.environment = {"TMPDIR=" + (temp / "tmp").string()};
    if (run_command({"unshare", "-m", "true"})->exit_code != 0) GTEST_SKIP() << "mount namespaces are not available";
    auto run = run_command({"unshare", "-m", "sh", "-c", script}, options);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitDone) << run->error_text;
    EXPECT_NE(run->error_text.find("Read-only file system"), std::string::npos) << run->error_text;
    EXPECT_NE(run->output.find((temp / "tmp/triton.xml").string()), std::string::npos) << run->output;
    EXPECT_TRUE(fs::exists(temp / "tmp/triton.xml"));
}

TEST(Program, names_the_place_it_cannot_write) {
    auto run = run_command({program().string(), "--output", "/nonexistent/x.xml"});
    EXPECT_EQ(run->exit_code, kExitFailed);
    EXPECT_NE(run->error_text.find("/nonexistent/x.xml"), std::string::npos) << run->error_text;
    EXPECT_NE(run->error_text.find("gatherhw.output"), std::string::npos);
}

TEST(Program, explains_itself_in_both_spellings) {
    for (auto spelling : {"/?", "--help", "-h"}) {
        auto run = run_command({program().string(), spelling});
        EXPECT_EQ(run->exit_code, kExitDone) << spelling;
        EXPECT_NE(run->output.find("Examples:"), std::string::npos) << spelling;
    }
    EXPECT_EQ(run_command({program().string(), "--nonsense"})->exit_code, kExitUsage);
    EXPECT_EQ(run_command({program().string(), "--root", "/nonexistent"})->exit_code, kExitUsage);
}

TEST(Program, works_without_privileges_and_says_what_it_missed) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to drop it";
    auto temp = TempDir::create("nobody").value();
    ASSERT_EQ(::chmod(temp.path().c_str(), 0777), 0);
    CommandOptions options;
    options.before_exec = [] { return ::setgid(65534) != 0 || ::setuid(65534) != 0 ? errno : 0; };
    fs::copy_file(program(), temp / "gatherhw");
    auto run = run_command({(temp / "gatherhw").string()}, options);
    ASSERT_TRUE(run.ok()) << run.error().explain();
    EXPECT_TRUE(run->exit_code == kExitWarnings || run->exit_code == kExitDone) << run->error_text;
    if (run->exit_code == kExitWarnings) {
        EXPECT_NE(run->error_text.find("not read:"), std::string::npos);
    }
}
