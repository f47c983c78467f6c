// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes and disks that others made, through the store onto a target full of other bytes. Not all of them are without
// fault, but what their own tools say of them, and the files they give, must stay the same.
#include "imagestore/test/roundtrip.hpp"

#include "lib/disks/test/fuse_mount.hpp"
#include "lib/disks/test/mounts.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::imagestore::test;
using disks::test::run;
namespace fs = std::filesystem;

namespace {

struct RealImage {
    const char* file;
    bool mapped;       // else every sector is taken, and must be the same
    unsigned volumes;  // by its partition table, or the one it is
};

// What the tools say of an image and what files it gives, as text.
class Witness {
public:
    explicit Witness(const fs::path& dir) : dir_(dir) {}

    // Each image is looked at under one name, since tools print it.
    std::string of(const fs::path& image, std::uint64_t offset, std::uint64_t length, const std::string& name) {
        auto copy = dir_ / (name + ".img");
        fs::remove(copy);
        copy_range(image, offset, copy, 0, length);
        auto said = tell({"blkid", "-p", "-o", "export", copy.string()});
        auto kind = run_command({"blkid", "-p", "-o", "value", "-s", "TYPE", copy.string()})->output;
        if (kind.starts_with("ext")) return said + of_ext(copy);
        if (kind == "vfat\n") return said + of_fat(copy);
        if (kind == "ntfs\n") return said + of_ntfs(copy);
        if (kind == "xfs\n") return said + of_xfs(copy);
        if (kind == "LVM2_member\n") return said + of_lvm(copy, name);
        return said;
    }
    const std::vector<std::string>& missing() const { return missing_; }

private:
    static std::string tell(const std::vector<std::string>& argv) {
        auto r = run_command(argv);
        EXPECT_TRUE(r.ok()) << argv[0] << " is not installed";
        return r.ok() ? fmt::format("{}: {}\n{}{}\n", argv[0], r->exit_code, r->output, r->error_text) : "";
    }
    static std::string files(const fs::path& root) {
        return run({"sh", "-c", "cd '" + root.string() + "' && find . -type f | sort | xargs -rd '\\n' sha256sum"});
    }
    fs::path fresh(const std::string& name) const {
        fs::remove_all(dir_ / name);
        fs::create_directories(dir_ / name);
        return dir_ / name;
    }
    std::string of_ext(const fs::path& image) {
        auto out = fresh("out");
        run({"debugfs", "-R", "rdump / " + out.string(), image.string()});
        return tell({"e2fsck", "-fn", image.string()}) + files(out);
    }
    std::string of_fat(const fs::path& image) {
        auto out = fresh("out");
        tell({"mcopy", "-s", "-n", "-Q", "-i", image.string(), "::/", out.string()});
        return tell({"fsck.fat", "-n", "-v", image.string()}) +
               tell({"mdir", "-/", "-a", "-i", image.string(), "::/"}) + files(out);
    }
    std::string of_ntfs(const fs::path& image) {
        auto said = tell({"ntfsinfo", "-m", image.string()}) + tell({"ntfsfix", "-n", image.string()});
        disks::test::FuseMount mount({"ntfs-3g", "-o", "no_detach,ro", image.string()}, dir_ / "mnt");
        if (!mount.ok()) missing_.push_back(mount.reason());
        return said + (mount.ok() ? files(mount.path()) : "");
    }
    std::string of_xfs(const fs::path& image) {
        auto said = tell({"xfs_repair", "-n", "-o", "force_geometry", image.string()});
        auto mount = disks::test::LoopMount::mount(image, dir_ / "mnt", "ro,norecovery");
        if (!mount) missing_.push_back("XFS images cannot be mounted here");
        return said + (mount ? files(mount->path()) : "");
    }
    // Nothing activates it here: the logical volumes by our own reader, what is in them by their tools.
    std::string of_lvm(const fs::path& image, const std::string& name) {
        auto device = disks::FileDisk::open(image, disks::OpenMode::ReadOnly).value();
        std::vector<disks::BlockDevice*> volumes{device.get()};
        auto set = disks::VolumeSet::assemble(volumes).value();
        std::string said;
        for (const auto& inner : set.inner()) {
            Bytes content(inner.device->size());
            EXPECT_TRUE(inner.device->read(0, content).ok());
            auto path = dir_ / (name + "-inner");
            fs::remove(path);
            disks::test::make_file(path, content.size());
            EXPECT_TRUE(disks::FileDisk::open(path, disks::OpenMode::ReadWrite).value()->write(0, content).ok());
            said += inner.name + "\n" + of(path, 0, content.size(), name + "-volume");
        }
        return said;
    }

    fs::path dir_;
    std::vector<std::string> missing_;
};

}  // namespace

class RoundTripReal : public testing::TestWithParam<RealImage> {};

TEST_P(RoundTripReal, tools_say_the_same_and_files_are_the_same) {
    auto packed = disks::test::shared_data() / (std::string(GetParam().file) + ".xz");
    if (!fs::exists(packed)) GTEST_SKIP() << packed << " is not here";
    RoundTrip trip;
    auto source = trip.dir() / "source.img";
    run({"sh", "-c", "xz -dc '" + packed.string() + "' > '" + source.string() + "'"});
    auto report = trip.capture(source);
    auto target = trip.dirty_target(fs::file_size(source));
    trip.deploy(target);

    ASSERT_EQ(report.volumes.size(), GetParam().volumes);
    expect_same_outside(source, target, report.volumes);
    Witness witness(trip.dir().path());
    for (const auto& [disk, v] : report.volumes) {
        EXPECT_EQ(v.every_sector, !GetParam().mapped) << v.note;
        if (v.every_sector) expect_same(source, target, v.offset, v.offset + v.length, "a volume taken whole");
        auto before = witness.of(source, v.offset, v.length, "subject");
        EXPECT_EQ(witness.of(target, v.offset, v.length, "subject"), before);
        EXPECT_NE(before, "");
    }
    if (!witness.missing().empty()) GTEST_SKIP() << witness.missing().front();
}

// Taken whole: the encrypted one, one cut shorter than its file system, one of a volume group and one of an array whose
// other members are not here.
INSTANTIATE_TEST_SUITE_P(
    Shared, RoundTripReal,
    testing::Values(RealImage{"fs/dfvfs-ext2.raw", true, 1}, RealImage{"fs/dfvfs-ext4.raw", true, 1},
                    RealImage{"fs/dfvfs-fat12.raw", true, 1}, RealImage{"fs/dfvfs-luks1.raw", false, 1},
                    RealImage{"fs/dfvfs-lvm.raw", true, 1}, RealImage{"fs/dfvfs-ntfs.raw", true, 1},
                    RealImage{"fs/dfvfs-xfs.raw", true, 1}, RealImage{"fs/fat16_noheads.img", false, 1},
                    RealImage{"fs/fat32_xp_label1.img", true, 1}, RealImage{"fs/lvm2.img", false, 1},
                    RealImage{"fs/mdraid.img", false, 1}, RealImage{"fs/ntfs.img", true, 1},
                    RealImage{"fs/swap1.img", true, 1}, RealImage{"fs/xfs-v5.img", true, 1},
                    RealImage{"parttab/dfvfs-gpt.raw", true, 2}, RealImage{"parttab/dfvfs-mbr.raw", true, 2}),
    [](const auto& p) {
        std::string name;
        for (const char* c = p.param.file; *c != '\0'; ++c)
            name += std::isalnum(static_cast<unsigned char>(*c)) ? *c : '_';
        return name;
    });
