// SPDX-License-Identifier: GPL-3.0-or-later
// The mounts of a repair beside those of its host, and what a kill leaves of them.
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/mounts.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

namespace {

std::string mounts_seen() { return read_text_file("/proc/thread-self/mountinfo", 1u << 20).value_or(""); }
bool put_tmpfs(const fs::path& at) { return ::mount("none", at.c_str(), "tmpfs", 0, nullptr) == 0; }

// A host whose mounts are shared, as systemd makes them: a thread in a mount namespace of its own. act runs in it.
void on_a_host(const fs::path& root, const std::function<void()>& act) {
    std::thread([&] {
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
        ASSERT_TRUE(put_tmpfs(root));
        ASSERT_EQ(::mount(nullptr, root.c_str(), nullptr, MS_SHARED, nullptr), 0);
        for (const char* name : {"old", "new", "place"}) fs::create_directory(root / name);
        act();
    }).join();
}

// A repair's thread, which the host's waits for after each step.
class Repairing {
public:
    explicit Repairing(std::vector<std::function<void()>> steps)
        : steps_(std::move(steps)), thread_([this] {
              for (const auto& step : steps_) {
                  (void)!::read(go_[0], &byte_, 1);
                  step();
                  (void)!::write(done_[1], &byte_, 1);
              }
          }) {}
    ~Repairing() {
        thread_.join();
        for (const int fd : {go_[0], go_[1], done_[0], done_[1]}) ::close(fd);
    }
    void step() {
        char byte = 0;
        (void)!::write(go_[1], &byte, 1);
        (void)!::read(done_[0], &byte, 1);
    }

private:
    struct Pipe {
        int ends[2] = {-1, -1};
        Pipe() { EXPECT_EQ(::pipe(ends), 0); }
        int operator[](int i) const { return ends[i]; }
    };
    Pipe go_, done_;
    char byte_ = 0;
    std::vector<std::function<void()>> steps_;
    std::thread thread_;
};

class Mounts : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    }
    TempDir dir = TempDir::create("mounts").value();
};

}  // namespace

TEST_F(Mounts, what_the_host_unmounts_while_a_repair_goes_on_is_free_and_nothing_of_the_repair_is_seen_there) {
    const auto root = dir.path();
    on_a_host(root, [&] {
        ASSERT_TRUE(put_tmpfs(root / "old"));
        Repairing repair({[] { ASSERT_TRUE(enter_private_mounts().ok()); },
                          [&] {
                              EXPECT_THAT(mounts_seen(), Not(HasSubstr((root / "old").string())));
                              EXPECT_THAT(mounts_seen(), HasSubstr((root / "new").string()));
                              // Also on what came in.
                              fs::create_directory(root / "new/place");
                              EXPECT_TRUE(put_tmpfs(root / "place"));
                              EXPECT_TRUE(put_tmpfs(root / "new/place"));
                          }});
        repair.step();
        EXPECT_EQ(::umount((root / "old").c_str()), 0);
        EXPECT_TRUE(put_tmpfs(root / "new"));
        repair.step();
        EXPECT_THAT(mounts_seen(), Not(HasSubstr("/place")));
    });
}

TEST_F(Mounts, what_the_host_mounts_over_the_way_to_them_keeps_none_of_them_mounted) {
    const auto root = dir.path();
    on_a_host(root, [&] {
        MountStack mounts;
        Volume volume;
        volume.filesystem = "tmpfs";
        Repairing repair({[&] {
                              ASSERT_TRUE(enter_private_mounts().ok());
                              const auto mounted = mounts.mount("none", root / "place", volume, false);
                              ASSERT_TRUE(mounted.ok()) << mounted.error().explain();
                              fs::create_directory(root / "place/boot");
                              ASSERT_TRUE(mounts.mount("none", root / "place/boot", volume, false).ok());
                          },
                          [&] {
                              EXPECT_FALSE(fs::exists(root / "place"));
                              EXPECT_THAT(mounts_seen(), HasSubstr("/place/boot"));
                              mounts.unmount_all();
                              EXPECT_THAT(mounts_seen(), Not(HasSubstr("/place")));
                          }});
        repair.step();
        EXPECT_TRUE(put_tmpfs(root));
        repair.step();
    });
}

namespace {

// The only child of a process; 0: it has none.
pid_t child_of(pid_t parent) {
    return static_cast<pid_t>(
        parse_u64(trim(read_text_file(fmt::format("/proc/{0}/task/{0}/children", parent)).value_or(""))).value_or(0));
}

bool ends_within(int process, int milliseconds) {
    pollfd ended{process, POLLIN, 0};
    return ::poll(&ended, 1, milliseconds) == 1;
}

// What else would stay until the machine is restarted.
void abort_connection(const fs::path& device, const fs::path& at) {
    struct stat info {};
    ASSERT_EQ(::stat(device.c_str(), &info), 0);
    ASSERT_EQ(::mount("none", at.c_str(), "fusectl", 0, nullptr), 0);
    std::ofstream(at / std::to_string(major(info.st_rdev) << 20 | minor(info.st_rdev)) / "abort") << "1";
    ::umount(at.c_str());
}

}  // namespace

TEST_F(Mounts, ntfs_that_loses_its_repair_and_then_its_server_is_gone) {
    if (!fs::exists("/dev/fuse") || !fs::exists("/dev/loop-control"))
        GTEST_SKIP() << "needs /dev/fuse and loop devices";
    for (const char* tool : {"mkntfs", "ntfs-3g"})
        if (!run_command({"sh", "-c", std::string("command -v ") + tool}).value().ok())
            GTEST_SKIP() << tool << " is not installed";
    const auto image = dir.path() / "ntfs.img", at = dir.path() / "m";
    fs::create_directory(at);
    std::ofstream(image).close();
    fs::resize_file(image, 20u << 20);
    ASSERT_TRUE(run_checked({"mkntfs", "-Q", "-q", "-F", "-p", "0", "-H", "16", "-S", "63", image.string()}).ok());
    auto loop = LoopDevice::attach(image, 0, 20u << 20, false);
    ASSERT_TRUE(loop.ok()) << loop.error().explain();
    const auto device = loop->path();
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t repair = ::fork();
    if (repair == 0) {
        Volume volume;
        volume.filesystem = "ntfs";
        MountStack mounts;
        const char good = enter_private_mounts().ok() && mounts.mount(device, at, volume, false).ok();
        (void)!::write(ready[1], &good, 1);
        for (;;) ::pause();
    }
    char good = 0;
    EXPECT_EQ(::read(ready[0], &good, 1), 1);
    const auto server = child_of(repair);
    const UniqueFd handle(static_cast<int>(server == 0 ? -1 : ::syscall(SYS_pidfd_open, server, 0)));
    // So that it does nothing about the signal that it gets with its repair's end.
    if (handle.valid()) ::kill(server, SIGSTOP);
    ::kill(repair, SIGKILL);
    ::waitpid(repair, nullptr, 0);
    ::close(ready[0]), ::close(ready[1]);
    ASSERT_EQ(good, 1);
    if (!handle.valid()) GTEST_SKIP() << "this kernel serves NTFS itself";
    EXPECT_EQ(::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0), 0);
    const bool ended = ends_within(handle.get(), 15'000);
    EXPECT_TRUE(ended) << "ntfs-3g waits for itself";
    if (!ended) abort_connection(device, at);
    EXPECT_TRUE(ended || ends_within(handle.get(), 15'000));
}
