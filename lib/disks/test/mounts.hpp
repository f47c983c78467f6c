// SPDX-License-Identifier: GPL-3.0-or-later
// What only a mounted file system can be given: content that was written, deleted and written again.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "lib/disks/test/checks.hpp"

namespace slipway::disks::test {

// An image mounted through a loop device, until its owner goes. It must not outlive the image's directory.
class LoopMount {
public:
    // nullopt where this machine cannot mount it: no loop device, no such file system in the kernel, no privilege.
    static std::optional<LoopMount> mount(const std::filesystem::path& image, const std::filesystem::path& at,
                                          const std::string& options = "rw") {
        std::filesystem::create_directories(at);
        auto r = run_command({"mount", "-o", "loop," + options, image.string(), at.string()});
        if (!r.ok() || !r->ok()) return std::nullopt;
        return LoopMount(at);
    }
    LoopMount(LoopMount&& other) noexcept : at_(std::exchange(other.at_, {})) {}
    LoopMount& operator=(LoopMount&&) = delete;
    ~LoopMount() {
        if (!at_.empty()) run({"umount", at_.string()});
    }
    const std::filesystem::path& path() const { return at_; }

private:
    explicit LoopMount(std::filesystem::path at) : at_(std::move(at)) {}
    std::filesystem::path at_;
};

// An image as a block device, for what takes no file. It must outlive what is mounted from it.
class LoopDevice {
public:
    static std::optional<LoopDevice> attach(const std::filesystem::path& image, unsigned sector_bytes = 512) {
        auto r =
            run_command({"losetup", "--find", "--show", "--sector-size", std::to_string(sector_bytes), image.string()});
        if (!r.ok() || !r->ok()) return std::nullopt;
        return LoopDevice(r->output.substr(0, r->output.find('\n')));
    }
    LoopDevice(LoopDevice&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    LoopDevice& operator=(LoopDevice&&) = delete;
    ~LoopDevice() {
        if (!path_.empty()) run({"losetup", "--detach", path_});
    }
    const std::string& path() const { return path_; }

private:
    explicit LoopDevice(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

// A tmpfs of so many bytes: a loop device over a larger sparse file in it is a disk whose writes fail. Until its owner
// goes.
class SmallTmpfs {
public:
    static std::optional<SmallTmpfs> mount(const std::filesystem::path& at, std::uint64_t bytes) {
        std::filesystem::create_directories(at);
        auto r = run_command({"mount", "-t", "tmpfs", "-o", "size=" + std::to_string(bytes), "tmpfs", at.string()});
        if (!r.ok() || !r->ok()) return std::nullopt;
        return SmallTmpfs(at);
    }
    SmallTmpfs(SmallTmpfs&& other) noexcept : at_(std::exchange(other.at_, {})) {}
    SmallTmpfs& operator=(SmallTmpfs&&) = delete;
    ~SmallTmpfs() {
        if (!at_.empty()) run({"umount", "--lazy", at_.string()});  // a loop device may be slow to let go
    }
    void resize(std::uint64_t bytes) const {
        run({"mount", "-o", "remount,size=" + std::to_string(bytes), at_.string()});
    }
    const std::filesystem::path& path() const { return at_; }

private:
    explicit SmallTmpfs(std::filesystem::path at) : at_(std::move(at)) {}
    std::filesystem::path at_;
};

// Copies the tree, and leaves free space in crumbs: of many small files every second one goes again.
inline void fill(const std::filesystem::path& root, const std::filesystem::path& tree, int crumbs = 1200) {
    std::filesystem::copy(tree, root / "tree", std::filesystem::copy_options::recursive);
    auto bytes = pattern(5000, 7);
    auto name = [&](int i) { return root / "crumbs" / std::to_string(i); };
    std::filesystem::create_directory(root / "crumbs");
    for (int i = 0; i < crumbs; ++i) {
        std::ofstream file(name(i), std::ios::binary);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    run({"sync", "-f", root.string()});  // a file without blocks yet would leave no hole
    for (int i = 0; i < crumbs; i += 2) std::filesystem::remove(name(i));
}

// The crumbs that fill() left, with what it wrote into them.
inline void expect_filled(const std::filesystem::path& root, const std::filesystem::path& tree, int crumbs = 1200) {
    run({"diff", "-r", tree.string(), (root / "tree").string()});
    auto bytes = pattern(5000, 7);
    for (int i = 1; i < crumbs; i += 2) {
        std::ifstream file(root / "crumbs" / std::to_string(i), std::ios::binary);
        std::string text(std::istreambuf_iterator<char>(file), {});
        ASSERT_TRUE(text == as_text(bytes)) << "crumb " << i;
    }
}

}  // namespace slipway::disks::test
