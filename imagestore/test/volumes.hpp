// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes of every file system that has a used-block map, for round trips: made inside garbage by its own tools, given
// a tree of files and deprived of another, checked and read back by its own tools.
#pragma once

#include <memory>
#include <random>

#include "lib/disks/test/fuse_mount.hpp"
#include "lib/disks/test/mounts.hpp"
#include "lib/disks/test/xfs_images.hpp"

namespace slipway::imagestore::test {

namespace fs = std::filesystem;
using disks::test::run;

// Garbage that neither compresses nor repeats: what of it is stored is seen in the bytes stored.
inline Bytes garbage(std::size_t size, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Bytes out(size);
    for (std::size_t at = 0; at < size; at += 8) {
        auto word = random();
        std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, size - at));
    }
    return out;
}

inline void make_garbage(const fs::path& image, std::uint64_t size) {
    auto disk = disks::FileDisk::create(image, size).value();
    constexpr std::uint64_t kPiece = 1u << 20;
    for (std::uint64_t at = 0; at < size; at += kPiece)
        ASSERT_TRUE(disk->write(at, garbage(std::min(kPiece, size - at), at + size)).ok());
}

// One file system in an image that is full of garbage before.
class TestVolume {
public:
    TestVolume(std::string name, unsigned mebibytes, std::vector<std::string> mkfs)
        : name_(std::move(name)), mebibytes_(mebibytes), mkfs_(std::move(mkfs)) {}
    virtual ~TestVolume() = default;
    const std::string& name() const { return name_; }  // as the used-block map says it
    std::uint64_t size() const { return std::uint64_t{mebibytes_} << 20; }
    // Why it cannot be made here; empty: it can.
    virtual std::string missing() const {
        return run_command({"which", mkfs_[0]})->ok() ? "" : mkfs_[0] + " is not installed";
    }

    // The file system with `tree` in it, and as much deleted again. A reason where this machine cannot.
    virtual std::string make(const fs::path& image, const TempDir& dir, const fs::path& tree) {
        make_garbage(image, size());
        format(image);
        return edit(image, dir / "mnt", [&](const fs::path& root) {
            run({"cp", "-r", tree.string(), (root / "gone").string()});
            run({"cp", "-r", tree.string(), (root / "tree").string()});
            run({"sync", "-f", root.string()});
            run({"rm", "-r", (root / "gone").string()});
        });
    }
    virtual void check(const fs::path& image) = 0;
    virtual void expect_tree(const fs::path& image, const TempDir& dir, const fs::path& tree) {
        auto reason = look(image, dir / "mnt", [&](const fs::path& root) {
            run({"diff", "-r", tree.string(), (root / "tree").string()});
        });
        EXPECT_EQ(reason, "");
    }

protected:
    using Work = std::function<void(const fs::path& root)>;
    void format(const fs::path& image) {
        auto argv = mkfs_;
        argv.push_back(image.string());
        run(argv);
    }
    virtual std::string edit(const fs::path&, const fs::path&, const Work&) { return "nothing mounts it"; }
    virtual std::string look(const fs::path& image, const fs::path& at, const Work& work) {
        return edit(image, at, work);
    }

    std::string name_;
    unsigned mebibytes_;
    std::vector<std::string> mkfs_;
};

// What the kernel mounts.
class KernelVolume : public TestVolume {
public:
    KernelVolume(std::string name, unsigned mebibytes, std::vector<std::string> mkfs, std::vector<std::string> checker)
        : TestVolume(std::move(name), mebibytes, std::move(mkfs)), checker_(std::move(checker)) {}
    void check(const fs::path& image) override {
        auto argv = checker_;
        argv.push_back(image.string());
        run(argv);
    }

protected:
    std::string edit(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "rw");
    }
    std::string look(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "ro");
    }

private:
    std::string mounted(const fs::path& image, const fs::path& at, const Work& work, const std::string& mode) {
        auto mount = disks::test::LoopMount::mount(image, at, mode);
        if (!mount) return "images of " + name_ + " cannot be mounted here";
        work(mount->path());
        return "";
    }
    std::vector<std::string> checker_;
};

class XfsVolume final : public KernelVolume {
public:
    XfsVolume() : KernelVolume("xfs", 128, {"mkfs.xfs"}, {"xfs_repair", "-n"}) {}
    std::string make(const fs::path& image, const TempDir& dir, const fs::path& tree) override {
        make_garbage(image, size());
        disks::test::format_tiny_xfs(image, "-f -K");
        return edit(image, dir / "mnt", [&](const fs::path& root) { disks::test::fill(root, tree); });
    }
    void expect_tree(const fs::path& image, const TempDir& dir, const fs::path& tree) override {
        auto reason = look(image, dir / "mnt", [&](const fs::path& root) { disks::test::expect_filled(root, tree); });
        EXPECT_EQ(reason, "");
    }
};

// Kernels no longer mount version 4: content from a prototype, read back by where xfs_db says it lies.
class Xfs4Volume final : public TestVolume {
public:
    Xfs4Volume() : TestVolume("xfs", 128, {"mkfs.xfs"}) {}
    std::string make(const fs::path& image, const TempDir& dir, const fs::path& tree) override {
        constexpr int kCrumbs = 300;
        make_garbage(image, size());
        disks::test::format_tiny_xfs(image, "-f -K -m crc=0", disks::test::write_prototype(dir, tree, kCrumbs));
        disks::test::remove_crumbs(image, kCrumbs);
        return "";
    }
    void check(const fs::path& image) override { run({"xfs_repair", "-n", image.string()}); }
    void expect_tree(const fs::path& image, const TempDir&, const fs::path&) override {
        disks::test::expect_content_by_blocks(image);
    }
};

class NtfsVolume final : public TestVolume {
public:
    NtfsVolume() : TestVolume("ntfs", 96, {"mkntfs", "-Q", "-q", "-F", "-p", "2048", "-H", "255", "-S", "63"}) {}
    void check(const fs::path& image) override {
        run({"ntfsfix", "-n", image.string()});
        run({"ntfsinfo", "-m", image.string()});
    }

protected:
    std::string edit(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "no_detach");
    }
    std::string look(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "no_detach,ro");
    }

private:
    static std::string mounted(const fs::path& image, const fs::path& at, const Work& work, const std::string& mode) {
        disks::test::FuseMount mount({"ntfs-3g", "-o", mode, image.string()}, at);
        if (mount.ok()) work(mount.path());
        return mount.reason();
    }
};

// exfat-fuse mounts block devices only.
class ExfatVolume final : public TestVolume {
public:
    ExfatVolume() : TestVolume("exfat", 64, {"mkfs.exfat"}) {}
    void check(const fs::path& image) override { run({"fsck.exfat", "-n", image.string()}); }

protected:
    std::string edit(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "rw");
    }
    std::string look(const fs::path& image, const fs::path& at, const Work& work) override {
        return mounted(image, at, work, "ro");
    }

private:
    static std::string mounted(const fs::path& image, const fs::path& at, const Work& work, const std::string& mode) {
        auto loop = disks::test::LoopDevice::attach(image);
        if (!loop) return "there is no loop device";
        disks::test::FuseMount mount({"mount.exfat-fuse", "-d", "-o", mode, loop->path()}, at);
        if (mount.ok()) work(mount.path());
        return mount.reason();
    }
};

// By mtools, without mounting.
class FatVolume final : public TestVolume {
public:
    FatVolume(std::string name, std::vector<std::string> options) : TestVolume(std::move(name), 60, {"mkfs.fat"}) {
        mkfs_.insert(mkfs_.end(), options.begin(), options.end());
    }
    std::string missing() const override {
        auto reason = TestVolume::missing();
        return reason.empty() && !run_command({"which", "mcopy"})->ok() ? "mtools is not installed" : reason;
    }
    std::string make(const fs::path& image, const TempDir&, const fs::path& tree) override {
        make_garbage(image, size());
        format(image);
        run({"mcopy", "-s", "-i", image.string(), tree.string(), "::/gone"});
        run({"mcopy", "-s", "-i", image.string(), tree.string(), "::/tree"});
        run({"mdeltree", "-i", image.string(), "::/gone"});
        return "";
    }
    void check(const fs::path& image) override { run({"fsck.fat", "-n", image.string()}); }
    void expect_tree(const fs::path& image, const TempDir& dir, const fs::path& tree) override {
        auto out = dir / "fat";
        fs::remove_all(out);
        fs::create_directory(out);
        run({"mcopy", "-s", "-n", "-i", image.string(), "::/tree", out.string()});
        run({"diff", "-r", tree.string(), (out / "tree").string()});
    }
};

// Label and UUID, no content: pages that were swapped out are garbage.
class SwapVolume final : public TestVolume {
public:
    SwapVolume() : TestVolume("swap", 16, {"mkswap", "-q", "-L", "paging", "-U", kUuid}) {}
    std::string make(const fs::path& image, const TempDir&, const fs::path&) override {
        make_garbage(image, size());
        format(image);
        return "";
    }
    void check(const fs::path& image) override {
        auto said = run({"blkid", "-p", "-o", "export", image.string()});
        for (const char* line : {"TYPE=swap", "LABEL=paging", kUuid}) EXPECT_NE(said.find(line), std::string::npos);
    }
    void expect_tree(const fs::path&, const TempDir&, const fs::path&) override {}

private:
    static constexpr const char* kUuid = "4f6b3f0e-7c1d-4e3a-9a55-0123456789ab";
};

struct VolumeCase {
    const char* name;
    std::function<std::unique_ptr<TestVolume>()> make;
};

inline std::unique_ptr<TestVolume> make_ext(const std::string& kind) {
    return std::make_unique<KernelVolume>(kind, 64,
                                          std::vector<std::string>{"mke2fs", "-q", "-F", "-t", kind, "-E",
                                                                   "nodiscard,lazy_itable_init=0,lazy_journal_init=0"},
                                          std::vector<std::string>{"e2fsck", "-fn"});
}

inline std::unique_ptr<TestVolume> make_fat(const std::string& kind, const std::vector<std::string>& options) {
    return std::make_unique<FatVolume>(kind, options);
}

}  // namespace slipway::imagestore::test
