// SPDX-License-Identifier: GPL-3.0-or-later
// A file system mounted through FUSE by an oracle's program, in the foreground: when unmount returns it has ended and
// everything is in the image.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "lib/disks/test/checks.hpp"

namespace slipway::disks::test {

class FuseMount {
public:
    // argv: the program, which stays in the foreground; the mount point is added. reason(): why nothing is mounted.
    FuseMount(std::vector<std::string> argv, std::filesystem::path at) : at_(std::move(at)) {
        std::filesystem::create_directories(at_);
        argv.push_back(at_.string());
        if (!std::filesystem::exists("/dev/fuse")) {
            reason_ = "there is no /dev/fuse";
            return;
        }
        auto before = device_of(at_);
        auto table = open_fd("/proc/self/mountinfo", O_RDONLY);
        auto quiet = open_fd("/dev/null", O_RDWR);
        auto child = Child::spawn(argv, {quiet->get(), quiet->get(), quiet->get()});
        if (!child.ok()) {
            reason_ = argv[0] + " is not installed";
            return;
        }
        child_.emplace(std::move(*child));
        while (device_of(at_) == before) {
            if (!child_->running()) {
                reason_ = argv[0] + " did not mount";
                return;
            }
            pollfd changed{table->get(), POLLPRI, 0};
            ::poll(&changed, 1,
                   100);  // the kernel wakes us when the mounts change; the limit is for a child that ended
        }
        mounted_ = true;
    }
    FuseMount(const FuseMount&) = delete;
    ~FuseMount() { unmount(); }
    void unmount() {
        if (!std::exchange(mounted_, false)) return;
        run({"umount", at_.string()});
        EXPECT_EQ(child_->wait(), 0);
    }
    bool ok() const { return mounted_; }
    const std::string& reason() const { return reason_; }
    const std::filesystem::path& path() const { return at_; }

private:
    static dev_t device_of(const std::filesystem::path& path) {
        struct stat st {};
        return ::stat(path.c_str(), &st) == 0 ? st.st_dev : 0;
    }
    std::filesystem::path at_;
    std::optional<Child> child_;
    bool mounted_ = false;
    std::string reason_;
};

}  // namespace slipway::disks::test
