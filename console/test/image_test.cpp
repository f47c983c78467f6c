// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image capture|deploy` by the real program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/block.hpp"

using namespace slipway;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::string program() {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return std::string(bin ? bin : "bin") + "/slipway";
}

CommandResult slipway_run(std::vector<std::string> arguments, const CommandOptions& options = {}) {
    arguments.insert(arguments.begin(), {program(), "image"});
    auto r = run_command(arguments, options);
    return r ? *r : CommandResult{};
}

Bytes noise(std::size_t size, unsigned seed = 7) {
    std::mt19937_64 random(seed);
    Bytes out(size);
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        auto word = random();
        std::memcpy(out.data() + i, &word, 8);
    }
    return out;
}

// Runs it with its output dropped; the most memory it ever held, in MiB.
struct Peak {
    int code = -1;
    long mib = 0;
};
Peak peak_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {program(), "image"});
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    auto pid = ::fork();
    if (pid == 0) {
        if (!::freopen("/dev/null", "w", stdout)) ::_exit(126);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    rusage usage{};
    if (::wait4(pid, &status, 0, &usage) != pid) return {};
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, usage.ru_maxrss / 1024};
}

}  // namespace

TEST(ImageProgram, a_disk_of_2_GiB_goes_through_96_MiB) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's own memory is counted too";
#endif
    auto dir = TempDir::create("console").value();
    auto path = [&](const char* name) { return (dir / name).string(); };
    {
        auto disk = disks::FileDisk::create(dir / "disk.img", 2048 * kMiB).value();
        for (unsigned piece = 0; piece < 30; ++piece)
            ASSERT_TRUE(disk->write(piece * 67 * kMiB + 12345, noise(10 * kMiB, piece)).ok());
    }
    auto capture = peak_of(
        {"capture", "--source", path("disk.img"), "--store", path("store"), "--name", "web", "--memory", "48M"});
    EXPECT_EQ(capture.code, kExitDone);
    EXPECT_LE(capture.mib, 96);
    auto deploy = peak_of({"deploy", "--store", path("store"), "--name", "web", "--target", path("back.img"),
                           "--memory", "48M", "--verify"});
    EXPECT_EQ(deploy.code, kExitDone);
    EXPECT_LE(deploy.mib, 96);
    EXPECT_EQ(run_command({"cmp", path("disk.img"), path("back.img")})->exit_code, 0);
    auto little = slipway_run(
        {"capture", "--source", path("disk.img"), "--store", path("store"), "--name", "w", "--memory", "4M"});
    EXPECT_EQ(little.exit_code, kExitFailed);
    EXPECT_NE(little.error_text.find("imagestore.memory"), std::string::npos) << little.error_text;
}
