// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/maps/ntfs_volume.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/test/fuse_mount.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;
namespace fs = std::filesystem;

namespace {

bool have_ntfs() { return run_command({"mkntfs", "--version"}).ok(); }

#define NEEDS_NTFS_3G() \
    if (!have_ntfs()) GTEST_SKIP() << "ntfs-3g is not installed"

void make_ntfs(const fs::path& image, std::uint64_t size, const std::string& options = {}) {
    make_file(image, size);
    std::vector<std::string> argv{"mkntfs", "-Q", "-q", "-F", "-p", "2048", "-H", "255", "-S", "63"};
    std::istringstream words{options};
    for (std::string w; words >> w;) argv.push_back(w);
    argv.push_back(image.string());
    run(argv);
}

FuseMount mount_ntfs(const fs::path& image, const fs::path& at, const std::string& options = "no_detach") {
    return FuseMount({"ntfs-3g", "-o", options, image.string()}, at);
}

UsedMap map_of(const fs::path& image, const MapOptions& options = {}) {
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk, options);
    EXPECT_TRUE(map.ok()) << map.error().describe();
    return map.ok() ? *map : UsedMap{};
}

void expect_whole(const UsedMap& map, std::uint64_t size, const std::string& reason) {
    EXPECT_NE(map.why_all.find(reason), std::string::npos) << map.why_all;
    EXPECT_EQ(map.used.total(), size);
}

// A volume opened by our own reader, so that a test finds the bytes it wants to hurt.
struct Opened {
    std::unique_ptr<FileDisk> disk;
    std::unique_ptr<ntfs::Volume> volume;
    ntfs::Boot boot;

    explicit Opened(const fs::path& image) : disk(FileDisk::open(image, OpenMode::ReadWrite).value()) {
        Bytes head(512);
        EXPECT_TRUE(disk->read(0, head).ok());
        boot = ntfs::parse_boot(head).value();
        volume = std::make_unique<ntfs::Volume>(ntfs::Volume::open(*disk, boot).value());
    }
    std::uint64_t data_at(std::uint64_t record) {
        return volume->needed_stream(record).value().clusters().at(0).first * boot.cluster_bytes;
    }
    // In the volume's bytes, of a file record's attribute value.
    std::uint64_t value_at(std::uint64_t number, std::uint32_t type) {
        auto record = volume->record(number).value();
        const auto* attribute = record.find(type, {});
        return boot.mft_cluster * boot.cluster_bytes + number * boot.record_bytes +
               static_cast<std::uint64_t>(attribute->value.data() - record.bytes.data());
    }
    void write(std::uint64_t at, ByteView bytes) { ASSERT_TRUE(disk->write(at, bytes).ok()); }
    void flip(std::uint64_t at, std::byte bits) {
        Bytes byte(1);
        ASSERT_TRUE(disk->read(at, byte).ok());
        byte[0] ^= bits;
        write(at, byte);
    }
};

// Restart page of a log with one client, as Windows writes it (4 KiB pages).
Bytes restart_page(std::uint64_t lsn, std::uint16_t major, bool in_use, bool marked_clean) {
    ByteWriter page;
    page.text("RSTR").le16(0x1e).le16(9).le64(0).le32(4096).le32(4096).le16(0x30).le16(major == 2 ? 0 : 1).le16(major);
    page.le16(1).pad_to(0x30);  // the update sequence number, then the words it stands for (zeros)
    page.le64(lsn).le16(1).le16(0xffff).le16(in_use ? 0 : 0xffff).le16(marked_clean ? 2 : 0).pad_to(4096);
    auto bytes = std::move(page).take();
    for (std::size_t end = 512; end <= bytes.size(); end += 512) bytes[end - 2] = std::byte{1};
    return bytes;
}

}  // namespace

struct Geometry {
    const char* options;
    unsigned mebibytes = 64;  // mkntfs makes no smaller volume of 2 MiB clusters
};
class NtfsGeometries : public testing::TestWithParam<Geometry> {};

TEST_P(NtfsGeometries, nothing_outside_the_map_is_missed) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_ntfs(image, (GetParam().mebibytes << 20) + 512 * 7, std::string("-L Wörld ") + GetParam().options);
    {
        auto mount = mount_ntfs(image, dir / "m");
        if (!mount.ok()) GTEST_SKIP() << mount.reason();
        run({"cp", "-r", tree.string(), (mount.path() / "tree").string()});
        run({"cp", "-r", tree.string(), (mount.path() / "gone").string()});
        run({"rm", "-r", (mount.path() / "gone").string()});
    }
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.filesystem, "ntfs");
    EXPECT_EQ(map.label, "Wörld");
    EXPECT_EQ(map.state, VolumeState::Clean);
    auto blkid = run({"blkid", "-p", "-o", "value", "-s", "UUID", image.string()});
    EXPECT_EQ(map.uuid + "\n", blkid);
    EXPECT_LT(map.used.total(), GetParam().mebibytes / 2 << 20);
    scribble_outside(image, map);
    run({"ntfsfix", "-n", image.string()});
    auto mount = mount_ntfs(image, dir / "m", "no_detach,ro");
    ASSERT_TRUE(mount.ok()) << mount.reason();
    run({"diff", "-r", tree.string(), (mount.path() / "tree").string()});
}

class NtfsClones : public NtfsGeometries {};

TEST_P(NtfsClones, ntfsclone_takes_exactly_the_same_clusters) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img", clone = dir / "clone.img";
    make_ntfs(image, GetParam().mebibytes << 20, GetParam().options);
    {
        auto mount = mount_ntfs(image, dir / "m");
        if (!mount.ok()) GTEST_SKIP() << mount.reason();
        for (int i = 0; i < 20; ++i) run({"cp", "/proc/self/exe", (mount.path() / std::to_string(i)).string()});
        for (int i = 0; i < 20; i += 3) fs::remove(mount.path() / std::to_string(i));
    }
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    scribble_outside(image, map);
    run({"ntfsclone", "-o", clone.string(), image.string()});
    // What ntfsclone took is in the map, or it would carry the scribble; and it left holes where the map has none.
    auto ours = FileDisk::open(image, OpenMode::ReadOnly).value(),
         theirs = FileDisk::open(clone, OpenMode::ReadOnly).value();
    for (std::uint64_t at = 0; at < theirs->size(); at += 512) {
        Bytes a(512), b(512);
        ASSERT_TRUE(ours->read(at, a).ok() && theirs->read(at, b).ok());
        if (map.used.covers(at)) ASSERT_EQ(a, b) << at;
        else ASSERT_TRUE(all_zero(b)) << at;
    }
}

std::string name_of_geometry(const testing::TestParamInfo<Geometry>& info) {
    std::string name;
    for (const char* c = info.param.options; *c != '\0'; ++c)
        if (std::isalnum(static_cast<unsigned char>(*c))) name += *c;
    return name;
}

INSTANTIATE_TEST_SUITE_P(Ntfs, NtfsGeometries,
                         testing::Values(Geometry{"-c 512"}, Geometry{"-c 4096"}, Geometry{"-c 65536"},
                                         Geometry{"-c 2097152", 512}, Geometry{"-s 4096 -c 4096"},
                                         Geometry{"-s 1024 -c 8192"}),
                         name_of_geometry);
INSTANTIATE_TEST_SUITE_P(Ntfs, NtfsClones,
                         testing::Values(Geometry{"-c 512"}, Geometry{"-c 4096"}, Geometry{"-s 4096 -c 65536"}),
                         name_of_geometry);

TEST(NtfsMap, a_fragmented_file_table_is_followed_through_its_attribute_list) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, 12u << 20, "-c 512");
    {
        auto mount = mount_ntfs(image, dir / "m");
        if (!mount.ok()) GTEST_SKIP() << mount.reason();
        // Full of files of two clusters; then every other one goes, and the table grows into the gaps.
        Bytes two(1024, std::byte{7});
        auto put = [&](const fs::path& path, ByteView bytes) {
            std::ofstream file(path, std::ios::binary);
            file.write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
            file.close();
            return file.good();
        };
        int made = 0;
        while (made < 20000 && put(mount.path() / ("a" + std::to_string(made)), two)) ++made;
        ASSERT_LT(made, 20000);
        for (int i = 0; i < made; i += 2) fs::remove(mount.path() / ("a" + std::to_string(i)));
        for (int i = 0; i < 20000 && put(mount.path() / ("b" + std::to_string(i)), {}); ++i) continue;
    }
    Opened opened(image);
    ASSERT_NE(opened.volume->record(ntfs::kMft).value().find(ntfs::kAttributeList, {}), nullptr)
        << "the table is not fragmented enough for an attribute list";
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    scribble_outside(image, map);
    run({"ntfsfix", "-n", image.string()});
    auto mount = mount_ntfs(image, dir / "m", "no_detach,ro");
    ASSERT_TRUE(mount.ok()) << mount.reason();
    EXPECT_EQ(fs::file_size(mount.path() / "a1"), 1024u);
}

TEST(NtfsMap, a_volume_marked_dirty_makes_every_sector_count) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, 64u << 20);
    run({"ntfsfix", image.string()});  // leaves it marked for chkdsk
    auto map = map_of(image);
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
    expect_whole(map, 64u << 20, "dirty");
}

TEST(NtfsMap, a_log_that_was_not_closed_makes_every_sector_count) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, 64u << 20);
    auto with_log = [&](ByteView first, ByteView second) {
        Opened opened(image);
        auto at = opened.data_at(ntfs::kLogFile);
        opened.write(at, first);
        opened.write(at + 4096, second);
        return map_of(image);
    };
    auto closed = restart_page(20, 1, true, true), idle = restart_page(20, 1, false, false);
    auto open = restart_page(30, 1, true, false), cached = restart_page(30, 2, true, true);
    EXPECT_EQ(with_log(closed, closed).why_all, "");
    EXPECT_EQ(with_log(idle, idle).why_all, "");
    // The newer of the two counts, wherever it is.
    expect_whole(with_log(closed, open), 64u << 20, "log was not closed");
    expect_whole(with_log(open, closed), 64u << 20, "log was not closed");
    EXPECT_EQ(map_of(image).state, VolumeState::NeedsRecovery);
    EXPECT_EQ(with_log(restart_page(10, 1, true, false), closed).why_all, "");
    expect_whole(with_log(cached, closed), 64u << 20, "held metadata");
    Bytes torn = closed;
    torn[1022] = std::byte{9};
    EXPECT_EQ(with_log(torn, closed).why_all, "");
    expect_whole(with_log(torn, torn), 64u << 20, "no sound restart page");
}

TEST(NtfsMap, a_hibernated_windows_is_named_and_makes_every_sector_count) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto hiberfil = dir / "hiberfil.sys";
    auto image = dir / "fs.img";
    auto with = [&](std::string_view signature, const std::string& name = "/HiberFil.sys") {
        fs::remove(image);
        make_ntfs(image, 64u << 20);
        auto bytes = pattern(3u << 20, 1);
        std::copy_n(as_bytes(signature).begin(), signature.size(), bytes.begin());
        std::ofstream(hiberfil, std::ios::binary).write(as_text(bytes).data(), 3 << 20);
        run({"ntfscp", "-f", image.string(), hiberfil.string(), name});
        return map_of(image, {.drop_page_files = true});
    };
    for (auto signature : {"hibr", "HIBR", "rstr"}) {
        auto map = with(signature);
        EXPECT_EQ(map.state, VolumeState::Hibernated) << signature;
        expect_whole(map, 64u << 20, "hibernated");
    }
    // ntfs-3g, which will not write to it, agrees.
    with("hibr", "/hiberfil.sys");
    auto probe = run_command({"ntfs-3g.probe", "--readwrite", image.string()}).value();
    EXPECT_EQ(probe.exit_code, 14) << probe.error_text;
    auto resumed = with("wake"), nothing = with(std::string_view("\0\0\0\0", 4)), unknown = with("what");
    EXPECT_EQ(resumed.state, VolumeState::Clean);
    EXPECT_EQ(resumed.why_all, "");
    EXPECT_EQ(nothing.used.total(), resumed.used.total());
    EXPECT_EQ(unknown.used.total(), resumed.used.total() + (3u << 20)) << "an unknown header is no leave to drop it";
}

TEST(NtfsMap, page_files_in_the_root_directory_are_left_out_when_asked) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    auto tree = make_tree(dir);
    make_ntfs(image, 100u << 20);
    auto bytes = pattern(20u << 20, 5);
    {
        auto mount = mount_ntfs(image, dir / "m");
        if (!mount.ok()) GTEST_SKIP() << mount.reason();
        auto put = [&](const char* name) {
            std::ofstream(mount.path() / name, std::ios::binary).write(as_text(bytes).data(), 20 << 20);
        };
        // So many names that the root directory has index blocks.
        for (int i = 0; i < 300; ++i) std::ofstream(mount.path() / ("name " + std::to_string(i))) << i;
        run({"cp", "-r", tree.string(), (mount.path() / "tree").string()});
        put("PageFile.SYS");
        put("swapfile.sys");
        put("tree/pagefile.sys");
        std::ofstream(mount.path() / "hiberfil.sys") << "tiny";  // resident
    }
    auto all = map_of(image), fewer = map_of(image, {.drop_page_files = true});
    ASSERT_EQ(all.why_all + fewer.why_all, "");
    EXPECT_EQ(all.used.total() - fewer.used.total(), 40u << 20);
    scribble_outside(image, fewer);
    run({"ntfsfix", "-n", image.string()});
    auto mount = mount_ntfs(image, dir / "m", "no_detach,ro");
    ASSERT_TRUE(mount.ok()) << mount.reason();
    EXPECT_EQ(fs::file_size(mount.path() / "PageFile.SYS"), 20u << 20);
    std::ofstream(dir / "expected", std::ios::binary).write(as_text(bytes).data(), 20 << 20);
    run({"cmp", (dir / "expected").string(), (mount.path() / "tree/pagefile.sys").string()});
    fs::remove(dir / "expected");
    run({"diff", "-rq", "-x", "pagefile.sys", tree.string(), (mount.path() / "tree").string()});
}

TEST(NtfsMap, clusters_marked_bad_are_not_read_and_it_says_so) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, 64u << 20, "-c 4096");
    auto before = map_of(image);
    constexpr std::uint8_t cluster = 100;
    {
        // $BadClus:$Bad, one hole, becomes a hole, a cluster and a hole: eight bytes more in the last attribute.
        Opened o(image);
        auto record = o.volume->record(ntfs::kBadClusters).value();
        const auto* stream = record.find(ntfs::kData, "$Bad");
        ASSERT_TRUE(stream != nullptr && stream == &record.attributes.back());
        auto rest = static_cast<unsigned>(stream->last_vcn - cluster);
        ByteWriter runs;
        runs.u8(0x01).u8(cluster).u8(0x11).u8(1).u8(cluster).u8(0x02).le16(static_cast<std::uint16_t>(rest));
        auto runs_at = static_cast<std::uint64_t>(stream->runs.data() - record.bytes.data());
        auto attribute_at = runs_at - (stream->name.size() + 0x40);
        auto length = static_cast<std::uint32_t>(record.bytes_in_use - 8 - attribute_at);
        auto at = o.boot.mft_cluster * 4096 + ntfs::kBadClusters * o.boot.record_bytes;
        o.write(at + runs_at, runs.view());
        o.write(at + runs_at + runs.size(), ByteWriter().u8(0).zeros(7).le32(0xffffffff).le32(0).view());
        o.write(at + attribute_at + 4, ByteWriter().le32(length + 8).view());
        o.write(at + 0x18, ByteWriter().le32(record.bytes_in_use + 8).view());
        o.flip(o.data_at(ntfs::kBitmap) + cluster / 8, std::byte{1} << cluster % 8);
    }
    EXPECT_NE(run({"ntfsinfo", "-i", "8", "-v", image.string()}).find("0x64\t\t0x64"), std::string::npos);
    run({"ntfsfix", "-n", image.string()});
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.notes, std::vector<std::string>{"clusters marked bad, not read: 1"});
    EXPECT_FALSE(map.used.covers(cluster * 4096));
    EXPECT_EQ(map.used.extents(), before.used.extents());
}

TEST(NtfsMap, structures_that_disagree_make_every_sector_count) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    constexpr std::uint64_t size = 64u << 20;
    make_ntfs(image, size, "-c 4096");
    ASSERT_EQ(map_of(image).why_all, "");
    auto hurt = [&](auto how, const std::string& reason) {
        auto copy = dir / "hurt.img";
        fs::copy_file(image, copy, fs::copy_options::overwrite_existing);
        {
            Opened opened(copy);
            how(opened);
        }
        expect_whole(map_of(copy), size, reason);
    };
    auto mirror = [](Opened& o) { return o.boot.mirror_cluster * o.boot.cluster_bytes; };
    hurt([&](Opened& o) { o.flip(mirror(o) + 3 * 1024 + 0x38, std::byte{1}); }, "$MFT and $MFTMirr differ in record 3");
    hurt([&](Opened& o) { o.write(mirror(o), Bytes(4)); }, "$MFTMirr");
    hurt([&](Opened& o) { o.write(mirror(o) + 510, Bytes(2)); }, "written only in part");
    hurt([](Opened& o) { o.write(o.data_at(ntfs::kBitmap), Bytes(1)); }, "$Bitmap calls clusters of");
    hurt([](Opened& o) { o.write(o.boot.mft_cluster * 4096 + 510, Bytes(2)); }, "file record 0");
    hurt([](Opened& o) { o.write(o.boot.mft_cluster * 4096 + 5 * 1024, Bytes(4)); }, "file record 5");
    hurt([](Opened& o) { o.write(o.value_at(ntfs::kVolume, ntfs::kVolumeInformation) + 8, Bytes(1, std::byte{4})); },
         "version 4.1 is not known");
    hurt([](Opened& o) { o.write(0x0d, Bytes(1, std::byte{3})); }, "an impossible cluster size");
    hurt([](Opened& o) { o.write(0x2c, Bytes(1, std::byte{1})); }, "larger than its volume");
    hurt(
        [](Opened& o) {
            o.write(0x1000, Bytes{std::byte{0xfc}, std::byte{0x4e}, std::byte{0x2b}, std::byte{0xa9}});
        },
        "mdraid");
}

TEST(NtfsMap, an_unreadable_bitmap_is_an_error_and_not_a_guess) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, 64u << 20);
    Opened opened(image);
    auto bitmap = opened.data_at(ntfs::kBitmap);
    FaultLayer broken(*opened.disk, [&](FaultLayer::Op, std::uint64_t at, std::uint64_t length) -> Status {
        if (at <= bitmap && bitmap < at + length) return make_error(disks::errors::kRead, "bad sector");
        return {};
    });
    auto map = map_used(broken);
    ASSERT_FALSE(map.ok());
    EXPECT_TRUE(map.error().is(disks::errors::kRead));
}

TEST(NtfsMap, a_volume_of_8_tib_is_streamed) {
    NEEDS_NTFS_3G();
    auto dir = TempDir::create("ntfs").value();
    auto image = dir / "fs.img";
    make_ntfs(image, std::uint64_t{8} << 40, "-c 65536");
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    StatsLayer counted(*disk);
    auto map = map_used(counted).value();
    ASSERT_EQ(map.why_all, "");
    EXPECT_LT(map.used.total(), 200u << 20);
    EXPECT_LT(counted.counters().read_bytes, 20u << 20) << "the bitmap's 16 MiB and little else";
}

class RealNtfs : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(RealNtfs, volumes_made_by_windows_are_mapped) {
    NEEDS_NTFS_3G();
    auto [name, label] = GetParam();
    auto packed = shared_data() / name;
    if (!fs::exists(packed)) GTEST_SKIP() << packed << " is not here";
    auto dir = TempDir::create("ntfs").value();
    fs::copy_file(packed, dir / "disk.xz");
    run({"xz", "-d", (dir / "disk.xz").string()});
    auto disk = open_disk(dir / "disk", OpenMode::ReadOnly).value();
    auto layout = read_layout(*disk).value();
    // One volume, in a partition or bare, brought out as a file for the oracle.
    auto from = layout.partitions.empty() ? 0 : layout.partitions[0].offset;
    auto length = layout.partitions.empty() ? disk->size() : layout.partitions[0].length;
    auto image = dir / "fs.img";
    {
        auto out = FileDisk::create(image, length).value();
        Bytes content(length);
        ASSERT_TRUE(disk->read(from, content).ok());
        ASSERT_TRUE(out->write(0, content).ok());
    }
    auto map = map_of(image);
    ASSERT_EQ(map.why_all, "");
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_EQ(map.label, label);
    EXPECT_EQ(map.uuid + "\n", run({"blkid", "-p", "-o", "value", "-s", "UUID", image.string()}));
    EXPECT_LT(map.used.total(), length);
    auto before = run({"ntfsls", "-R", "-l", "-a", "-s", image.string()});
    scribble_outside(image, map);
    run({"ntfsfix", "-n", image.string()});
    EXPECT_EQ(run({"ntfsls", "-R", "-l", "-a", "-s", image.string()}), before);
}

INSTANTIATE_TEST_SUITE_P(Ntfs, RealNtfs,
                         testing::Values(std::pair{"fs/ntfs.img.xz", "Новый том"},
                                         std::pair{"fs/dfvfs-ntfs.raw.xz", "ntfs_test"},
                                         std::pair{"vhd/dfvfs-ntfs-dynamic.vhd.xz", "TestVolume"},
                                         std::pair{"vhd/dfvfs-ntfs-fixed.vhd.xz", "TestVolume"},
                                         std::pair{"vhd/dfvfs-ntfs-parent.vhd.xz", "TestVolume"}));
