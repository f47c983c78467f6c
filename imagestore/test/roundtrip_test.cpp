// SPDX-License-Identifier: GPL-3.0-or-later
// Every file system and every partition table through the store, onto a target full of other bytes: file systems sound
// by their own checkers, files the same by their own readers, tables the same to the byte, free blocks not stored.
#include "imagestore/test/roundtrip.hpp"

#include "imagestore/errors.hpp"
#include "imagestore/test/volumes.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::imagestore::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A partition of a disk that a test makes: where it begins and what is in it. Without a volume: garbage, which is
// nobody's file system and so must come through as it is.
struct Part {
    std::uint64_t mebibyte;
    TestVolume* volume;
    std::uint64_t mebibytes;  // without a volume
    std::uint64_t size() const { return volume ? volume->size() : mebibytes * kMiB; }
    std::uint64_t offset() const { return mebibyte * kMiB; }
};

// The volume was mapped, and what is free in it is not in the store: as garbage it could be no smaller than it is.
void expect_mapped(const CaptureReport& report, const std::vector<Part>& parts) {
    std::uint64_t raw = 0;
    ASSERT_EQ(report.volumes.size(), parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto& v = report.volumes[i].volume;
        EXPECT_EQ(v.offset, parts[i].offset());
        EXPECT_EQ(v.every_sector, parts[i].volume == nullptr) << v.note;
        if (!parts[i].volume) {
            raw += v.length;
            continue;
        }
        EXPECT_EQ(v.filesystem, parts[i].volume->name());
        EXPECT_EQ(v.state, VolumeState::Clean);
        EXPECT_LT(v.used, v.length / 2) << v.filesystem;
        raw += v.used;
    }
    std::uint64_t volumes = 0;
    for (const auto& part : parts) volumes += part.size();
    EXPECT_LT(report.sent_bytes, raw + (report.disk_bytes - volumes) + kMiB);
}

void expect_volumes(RoundTrip& trip, const fs::path& target, const std::vector<Part>& parts, const fs::path& tree) {
    for (const auto& part : parts) {
        if (!part.volume) continue;
        auto image = trip.dir() / "volume.img";
        fs::remove(image);
        copy_range(target, part.offset(), image, 0, part.size());
        part.volume->check(image);
        part.volume->expect_tree(image, trip.dir(), tree);
    }
}

// Makes the volumes and lays them where the parts say. A reason where this machine cannot.
std::string fill_parts(const TempDir& dir, const fs::path& disk, const std::vector<Part>& parts, const fs::path& tree) {
    for (const auto& part : parts) {
        if (!part.volume) continue;
        if (auto missing = part.volume->missing(); !missing.empty()) return missing;
        auto image = dir / "volume.img";
        fs::remove(image);
        if (auto reason = part.volume->make(image, dir, tree); !reason.empty()) return reason;
        copy_range(image, 0, disk, part.offset(), part.size());
    }
    return "";
}

bool have_sfdisk() { return run_command({"sfdisk", "--version"}).ok(); }

void partition(const fs::path& disk, const std::string& script) {
    run({"sfdisk", "-q", "--no-reread", "--no-tell-kernel", "--wipe", "never", "--wipe-partitions", "never",
         disk.string()},
        script);
}

void write_at(const fs::path& path, std::uint64_t at, ByteView bytes) {
    ASSERT_TRUE(disks::FileDisk::open(path, disks::OpenMode::ReadWrite).value()->write(at, bytes).ok());
}

// A raw disk image as a device of 4096-byte sectors: raw files have 512.
struct BigSectors {
    std::optional<disks::test::LoopDevice> source, target;
    BigSectors(const fs::path& a, const fs::path& b)
        : source(disks::test::LoopDevice::attach(a, 4096)), target(disks::test::LoopDevice::attach(b, 4096)) {}
    bool ok() const { return source && target; }
};

}  // namespace

// Each file system, in a partition of a GPT.
class RoundTripVolumes : public testing::TestWithParam<VolumeCase> {};

TEST_P(RoundTripVolumes, files_are_the_same_and_free_blocks_are_not_stored) {
    if (!have_sfdisk()) GTEST_SKIP() << "sfdisk is not installed";
    RoundTrip trip;
    auto volume = GetParam().make();
    auto tree = disks::test::make_tree(trip.dir());
    std::vector<Part> parts{{1, volume.get(), 0}};
    auto disk = trip.dir() / "source.img";
    make_garbage(disk, volume->size() + 2 * kMiB);
    partition(disk, fmt::format("label: gpt\nstart=1MiB, size={}MiB\n", volume->size() / kMiB));
    if (auto reason = fill_parts(trip.dir(), disk, parts, tree); !reason.empty()) GTEST_SKIP() << reason;

    auto report = trip.capture(disk);
    expect_mapped(report, parts);
    auto target = trip.dirty_target(fs::file_size(disk));
    trip.deploy(target);
    expect_same_outside(disk, target, report.volumes);
    expect_volumes(trip, target, parts, tree);
}

INSTANTIATE_TEST_SUITE_P(Volumes, RoundTripVolumes,
                         testing::Values(VolumeCase{"ext2", [] { return make_ext("ext2"); }},
                                         VolumeCase{"ext3", [] { return make_ext("ext3"); }},
                                         VolumeCase{"ext4", [] { return make_ext("ext4"); }},
                                         VolumeCase{"xfs_v5", [] { return std::make_unique<XfsVolume>(); }},
                                         VolumeCase{"xfs_v4", [] { return std::make_unique<Xfs4Volume>(); }},
                                         VolumeCase{"btrfs",
                                                    [] {
                                                        return std::make_unique<KernelVolume>(
                                                            "btrfs", 160,
                                                            std::vector<std::string>{"mkfs.btrfs", "-q", "-f", "-K"},
                                                            std::vector<std::string>{"btrfs", "check", "--readonly",
                                                                                     "--check-data-csum"});
                                                    }},
                                         VolumeCase{"ntfs", [] { return std::make_unique<NtfsVolume>(); }},
                                         VolumeCase{"fat12",
                                                    [] {
                                                        return make_fat("fat12", {"-F", "12", "-s", "32"});
                                                    }},
                                         VolumeCase{"fat16",
                                                    [] {
                                                        return make_fat("fat16", {"-F", "16"});
                                                    }},
                                         VolumeCase{"fat32",
                                                    [] {
                                                        return make_fat("fat32", {"-F", "32", "-s", "1"});
                                                    }},
                                         VolumeCase{"exfat", [] { return std::make_unique<ExfatVolume>(); }},
                                         VolumeCase{"swap", [] { return std::make_unique<SwapVolume>(); }}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(RoundTripTables, a_bare_volume_is_a_disk_of_its_own) {
    RoundTrip trip;
    auto volume = make_ext("ext4");
    auto tree = disks::test::make_tree(trip.dir());
    auto disk = trip.dir() / "source.img";
    std::vector<Part> parts{{0, volume.get(), 0}};
    make_garbage(disk, volume->size());
    if (auto reason = fill_parts(trip.dir(), disk, parts, tree); !reason.empty()) GTEST_SKIP() << reason;
    auto report = trip.capture(disk);
    expect_mapped(report, parts);
    EXPECT_EQ(report.volumes.at(0).volume.partition, 0u);
    auto target = trip.dirty_target(fs::file_size(disk));
    trip.deploy(target);
    expect_volumes(trip, target, parts, tree);
}

namespace {

// ext4, FAT and a partition of garbage, laid out by `script`; boot code and gaps are garbage of the disk before.
struct TableTrip {
    RoundTrip trip;
    std::unique_ptr<TestVolume> ext = make_ext("ext4"), fat = make_fat("fat16", {"-F", "16"});
    fs::path tree = disks::test::make_tree(trip.dir()), disk = trip.dir() / "source.img";
    CaptureReport report;

    std::string make(std::uint64_t mebibytes, const std::string& script, const std::vector<Part>& parts) {
        if (!have_sfdisk()) return "sfdisk is not installed";
        make_garbage(disk, mebibytes * kMiB);
        partition(disk, script);
        write_at(disk, 0, garbage(440, 4711));  // boot code
        return fill_parts(trip.dir(), disk, parts, tree);
    }
    void go(const std::vector<Part>& parts) {
        report = trip.capture(disk);
        expect_mapped(report, parts);
        auto target = trip.dirty_target(fs::file_size(disk));
        trip.deploy(target);
        expect_same_outside(disk, target, report.volumes);
        for (const auto& part : parts)
            if (!part.volume)
                expect_same(disk, target, part.offset(), part.offset() + part.size(), "an unknown volume");
        expect_volumes(trip, target, parts, tree);
        EXPECT_EQ(table_of(target), table_of(disk));
    }
    // As sfdisk tells it, without the file's name.
    static std::string table_of(const fs::path& path) {
        auto text = run({"sfdisk", "-d", path.string()});
        for (std::size_t at; (at = text.find(path.string())) != std::string::npos;)
            text.erase(at, path.string().size());
        return text;
    }
};

}  // namespace

TEST(RoundTripTables, mbr_with_an_extended_partition_and_three_logical_ones) {
    TableTrip t;
    std::vector<Part> parts{{2, nullptr, 3}, {8, t.ext.get(), 0}, {75, t.fat.get(), 0}, {137, nullptr, 2}};
    auto reason = t.make(144,
                         "label: dos\nlabel-id: 0x5117a4a1\nstart=2MiB, size=3MiB, type=da\n"
                         "start=6MiB, size=137MiB, type=f\nstart=8MiB, size=64MiB, type=83, bootable\n"
                         "start=75MiB, size=60MiB, type=e\nstart=137MiB, size=2MiB, type=da\n",
                         parts);
    if (!reason.empty()) GTEST_SKIP() << reason;
    t.go(parts);
    std::vector<std::uint32_t> numbers;
    for (const auto& v : t.report.volumes) numbers.push_back(v.volume.partition);
    EXPECT_EQ(numbers, (std::vector<std::uint32_t>{1, 5, 6, 7}));
}

TEST(RoundTripTables, gpt_with_a_bios_boot_partition_and_an_esp) {
    TableTrip t;
    std::vector<Part> parts{{1, nullptr, 1}, {2, t.fat.get(), 0}, {70, t.ext.get(), 0}};
    auto reason = t.make(136,
                         "label: gpt\nstart=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649\n"
                         "start=2MiB, size=60MiB, type=uefi, name=EFI\nstart=70MiB, size=64MiB, type=linux\n",
                         parts);
    if (!reason.empty()) GTEST_SKIP() << reason;
    t.go(parts);
}

TEST(RoundTripTables, hybrid_mbr_beside_a_gpt_with_a_partition_that_only_the_mbr_has) {
    TableTrip t;
    std::vector<Part> parts{{2, t.ext.get(), 0}, {70, t.fat.get(), 0}};
    auto reason =
        t.make(136, "label: gpt\nstart=2MiB, size=64MiB, type=linux\nstart=70MiB, size=60MiB, type=uefi\n", parts);
    if (!reason.empty()) GTEST_SKIP() << reason;
    // As `sgdisk --hybrid` writes it: the GPT's own range first, then partitions of both; the last one is in the MBR
    // alone (132 to 134 MiB).
    ByteWriter mbr;
    auto entry = [&](unsigned status, unsigned type, std::uint32_t first, std::uint32_t count) {
        mbr.le32(status | 0xfffffe00u).le32(type | 0xfffffe00u).le32(first).le32(count);
    };
    entry(0, 0xee, 1, 2 * 2048 - 1);
    entry(0x80, 0x83, 2 * 2048, 64 * 2048);
    entry(0, 0x0e, 70 * 2048, 60 * 2048);
    entry(0, 0xda, 132 * 2048, 2 * 2048);
    mbr.be16(0x55aa);
    write_at(t.disk, 0x1be, mbr.view());
    t.go(parts);
    auto nested = [](const fs::path& path) { return run({"sfdisk", "--label-nested", "dos", "-d", path.string()}); };
    EXPECT_NE(nested(t.trip.dir() / "target.img").find("type=da"), std::string::npos);
}

TEST(RoundTripTables, sectors_of_4096_bytes) {
    if (!have_sfdisk()) GTEST_SKIP() << "sfdisk is not installed";
    RoundTrip trip;
    auto ext = make_ext("ext4"), fat = make_fat("fat16", {"-F", "16", "-S", "4096", "-s", "1"});
    auto tree = disks::test::make_tree(trip.dir());
    std::vector<Part> parts{{1, ext.get(), 0}, {66, fat.get(), 0}};
    auto disk = trip.dir() / "source.img";
    make_garbage(disk, 128 * kMiB);
    auto target = trip.dirty_target(128 * kMiB);
    BigSectors loops(disk, target);
    if (!loops.ok()) GTEST_SKIP() << "there is no loop device of 4096-byte sectors";
    fs::path from = loops.source->path(), to = loops.target->path();
    partition(from, "label: gpt\nstart=1MiB, size=64MiB, type=linux\nstart=66MiB, size=60MiB, type=uefi\n");
    if (auto reason = fill_parts(trip.dir(), from, parts, tree); !reason.empty()) GTEST_SKIP() << reason;
    EXPECT_EQ(as_text(bytes_at(from, 4096, 8)), "EFI PART");

    auto report = trip.capture(from);
    expect_mapped(report, parts);
    trip.deploy(to);
    expect_same_outside(from, to, report.volumes);
    expect_volumes(trip, to, parts, tree);
    run({"sfdisk", "--verify", to.string()});
}
