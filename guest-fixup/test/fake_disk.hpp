// SPDX-License-Identifier: GPL-3.0-or-later
// The fake guest of fake_system.hpp on a disk image: one partition of 40 MiB, ext4.
#pragma once

#include <unistd.h>

#include <gtest/gtest.h>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/test/fake_system.hpp"
#include "lib/base/process.hpp"

namespace slipway::fixup::test {

// What a test with such disks lacks here; "": nothing.
inline std::string lacking_for_disks() {
    if (::geteuid() != 0) return "needs root: mounts, chroot and namespaces";
    for (const char* path : {"/bin/busybox", "/dev/loop-control", "/sbin/sfdisk", "/sbin/mke2fs", "/sbin/losetup"})
        if (!std::filesystem::exists(path)) return std::string(path) + " is missing";
    return {};
}

// The guest's fstab names its disk as sda.
inline Status make_disk(const FakeRoot& guest, const std::filesystem::path& disk) {
    guest.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    TRY(run_checked({"truncate", "-s", "0", disk.string()}));
    TRY(run_checked({"truncate", "-s", "48M", disk.string()}));
    CommandOptions table;
    table.input = "label: dos\nstart=2048,size=81920,type=83\n";
    TRY(run_checked({"sfdisk", "-q", disk.string()}, table));
    TRY(run_checked({"mke2fs", "-F", "-q", "-t", "ext4", "-b", "1024", "-E", "offset=1048576", "-d",
                     guest.path().string(), disk.string(), "40960"}));
    return {};
}

// A window of an image, or all of it, as a block device.
class TestLoop {
public:
    static Result<TestLoop> attach(const std::filesystem::path& image, const std::vector<std::string>& options = {}) {
        std::vector<std::string> argv{"losetup", "-f", "--show"};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.push_back(image.string());
        const auto said = TRY(run_checked(argv));
        return TestLoop(said.substr(0, said.find('\n')));
    }
    TestLoop(TestLoop&& other) noexcept : device_(std::exchange(other.device_, "")) {}
    TestLoop& operator=(TestLoop&&) = delete;
    ~TestLoop() {
        if (!device_.empty()) (void)run_checked({"losetup", "-d", device_}).ok();
    }
    const std::string& device() const { return device_; }

private:
    explicit TestLoop(std::string device) : device_(std::move(device)) {}
    std::string device_;
};

inline const std::vector<std::string> kFakePartition{"-o", "1048576", "--sizelimit", "41943040"};

// What the partition holds, as this machine's kernel sees it.
inline Result<std::map<std::string, std::string>> files_on(const std::filesystem::path& disk) {
    const auto loop = TRY(TestLoop::attach(disk, {"-o", "1048576", "-r"}));
    const auto place = TRY(TempDir::create("fake-disk"));
    TRY(run_checked({"mount", "-o", "ro,noload", loop.device(), place.path().string()}));
    auto files = manifest(place.path());
    TRY(run_checked({"umount", place.path().string()}));
    return files;
}

// The names of what is not the same in both; contents are too long to be shown.
inline std::vector<std::string> differences(const std::map<std::string, std::string>& a,
                                            const std::map<std::string, std::string>& b) {
    std::vector<std::string> out;
    for (const auto& [name, content] : a)
        if (const auto there = b.find(name); there == b.end() || there->second != content) out.push_back(name);
    for (const auto& [name, content] : b)
        if (!a.contains(name)) out.push_back(name);
    return out;
}

}  // namespace slipway::fixup::test
