// SPDX-License-Identifier: GPL-3.0-or-later
// The mounts of a repair beside those of its host, and what a kill leaves of them.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/mounts.hpp"
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
