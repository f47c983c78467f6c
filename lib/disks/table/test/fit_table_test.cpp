// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/table/fit_table.hpp"

#include "lib/disks/errors.hpp"
#include "lib/disks/table/grow_filesystem.hpp"
#include "lib/disks/table/parted.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A file partitioned by sfdisk, then made larger: as an image of it on a larger disk.
struct Larger {
    TempDir dir = TempDir::create("fit").value();
    std::filesystem::path path = dir / "disk.img";

    Larger(const std::string& table, std::uint64_t size, std::uint64_t later) {
        make_file(path, size);
        run({"sfdisk", "-q", path.string()}, table);
        std::filesystem::resize_file(path, later);
    }
    std::unique_ptr<FileDisk> open() { return FileDisk::open(path, OpenMode::ReadWrite).value(); }
    // What sfdisk has to say of it; a GPT whose backup is not at the end is warned of.
    std::string verdict() {
        auto r = run_command({"sfdisk", "--verify", path.string()}).value();
        return r.output + r.error_text;
    }
    std::string dump() { return run({"sfdisk", "-d", path.string()}); }
};

std::string without(std::string text, const std::string& line_start) {
    std::string out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (!line.starts_with(line_start)) out += line + "\n";
    return out;
}

const char* const kGpt =
    "label: gpt\nstart=2048,size=8192,type=uefi,name=boot\n"
    "start=20480,size=8192,name=r\xc3\xb6t,attrs=\"RequiredPartition LegacyBIOSBootable GUID:60\"\n";

}  // namespace

TEST(FitTable, the_backup_of_a_gpt_goes_to_the_end_and_all_else_stays) {
    Larger disk(kGpt, 64 * kMiB, 100 * kMiB);
    // Junk of an earlier life at the end of the target.
    ASSERT_TRUE(disk.open()->write(99 * kMiB, pattern(kMiB, 3)).ok());
    EXPECT_NE(disk.verdict().find("not on the end"), std::string::npos);
    auto before = disk.dump();
    auto fitted = fit_table(*disk.open());
    ASSERT_TRUE(fitted.ok()) << fitted.error().describe();
    EXPECT_TRUE(fitted->backup_moved);
    EXPECT_EQ(disk.verdict().find("not on the end"), std::string::npos) << disk.verdict();
    EXPECT_NE(disk.verdict().find("No errors detected"), std::string::npos) << disk.verdict();
    EXPECT_EQ(without(disk.dump(), "last-lba"), without(before, "last-lba"));
    // The backup alone tells the same, and the old one is gone.
    auto device = disk.open();
    ASSERT_TRUE(device->write(512, Bytes(512)).ok());
    EXPECT_EQ(read_layout(*device)->partitions.size(), 2u);
    Bytes old(512);
    ASSERT_TRUE(device->read(64 * kMiB - 512, old).ok());
    EXPECT_FALSE(as_text(old).starts_with("EFI PART"));
    auto again = fit_table(*disk.open());  // the primary is damaged now
    ASSERT_FALSE(again.ok());
    EXPECT_TRUE(again.error().is(disks::errors::kTable));
}

TEST(FitTable, the_last_partition_grows_and_its_file_system_with_it) {
    Larger disk("label: gpt\nstart=2048,size=4096,type=uefi\nstart=6144,size=64M,name=root\n", 96 * kMiB, 300 * kMiB);
    run({"mke2fs", "-q", "-t", "ext4", "-F", "-E", "offset=3145728", disk.path.string(), "64M"});
    auto fitted = fit_table(*disk.open(), 2);
    ASSERT_TRUE(fitted.ok()) << fitted.error().describe();
    ASSERT_TRUE(fitted->grown.has_value());
    EXPECT_EQ(fitted->grown_from, 64 * kMiB);
    EXPECT_EQ(fitted->grown->length, 296 * kMiB);  // 3 MiB before it, the backup's MiB behind it
    GrownVolume volume{"ext4", disk.path, fitted->grown->offset, fitted->grown->length};
    EXPECT_EQ(grow_filesystem(volume, [](const auto& argv) { return run_command(argv); }), "");
    run({"e2fsck", "-fn", disk.path.string() + "?offset=3145728"});
    auto info = run({"dumpe2fs", "-h", disk.path.string() + "?offset=3145728"});
    EXPECT_NE(info.find(fmt::format("Block count:              {}\n", 296 * 1024)), std::string::npos) << info;
}

TEST(FitTable, a_logical_partition_takes_its_container_along) {
    Larger disk(
        "label: dos\nlabel-id: 0x0\nstart=2048,size=8192,type=83,bootable\nstart=20480,size=40960,type=5\n"
        "start=22528,size=2048,type=82\nstart=28672,size=4096,type=83\n",
        64 * kMiB, 200 * kMiB);
    ASSERT_TRUE(disk.open()->write(0, as_bytes("boot code")).ok());
    EXPECT_TRUE(fit_table(*disk.open())->notes.empty());  // an MBR has nothing at its end
    auto fitted = fit_table(*disk.open(), 6);
    ASSERT_TRUE(fitted.ok()) << fitted.error().describe();
    auto device = disk.open();
    auto layout = read_layout(*device).value();
    ASSERT_EQ(layout.partitions.size(), 3u);
    EXPECT_EQ(layout.mbr_signature, 0u);  // no new id of libparted's
    EXPECT_EQ(layout.partitions[2].offset + layout.partitions[2].length, 200 * kMiB);
    EXPECT_EQ(layout.partitions[1].length, 2048u * 512);
    Bytes first(9);
    ASSERT_TRUE(device->read(0, first).ok());
    EXPECT_EQ(as_text(first), "boot code");
    EXPECT_NE(disk.verdict().find("No errors detected"), std::string::npos) << disk.verdict();
}

TEST(FitTable, a_partition_with_another_right_behind_it_is_refused_untouched) {
    Larger disk("label: dos\nstart=2048,size=16M,type=83\nstart=34816,size=16M,type=83\n", 64 * kMiB, 100 * kMiB);
    auto before = read_file(disk.path, 1u << 30).value();
    auto refused = fit_table(*disk.open(), 1);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(disks::errors::kNoRoom)) << refused.error().describe();
    auto absent = fit_table(*disk.open(), 9);
    ASSERT_FALSE(absent.ok());
    EXPECT_TRUE(absent.error().is(disks::errors::kNoPartition));
    EXPECT_EQ(read_file(disk.path, 1u << 30).value(), before);
    MemoryDisk bare(4 * kMiB);
    EXPECT_TRUE(fit_table(bare).ok());
    EXPECT_TRUE(fit_table(bare, 1).error().is(disks::errors::kNoPartition));
}

TEST(FitTable, a_hybrid_mbr_is_kept_and_follows_the_growth) {
    Larger disk("label: gpt\nstart=2048,size=4096,type=uefi\nstart=6144,size=65536\n", 64 * kMiB, 128 * kMiB);
    // 0xEE over the first part, then partition 2 once more as 0x83, active.
    Bytes records = from_hex("00000200eeffffff01000000ff17000080000000830000000018000000000100").value();
    ASSERT_TRUE(disk.open()->write(0x1be, records).ok());
    auto fitted = fit_table(*disk.open(), 2);
    ASSERT_TRUE(fitted.ok()) << fitted.error().describe();
    Bytes now(32);
    auto device = disk.open();
    ASSERT_TRUE(device->read(0x1be, now).ok());
    EXPECT_EQ(to_hex(ByteView(now).first(28)), to_hex(ByteView(records).first(28)));
    ByteReader count(ByteView(now).subspan(28));
    EXPECT_EQ(std::uint64_t{count.le32()} * 512, read_layout(*device)->partitions[1].length);
    EXPECT_GT(read_layout(*device)->partitions[1].length, 100 * kMiB);
}

TEST(FitTable, sectors_of_4096_bytes_and_a_dynamic_vhd) {
    auto dir = TempDir::create("fit").value();
    auto path = dir / "disk.img";
    make_file(path, 64 * kMiB);
    CommandOptions options;
    options.environment = {"PARTED_SECTOR_SIZE=4096"};
    auto made = run_command({"parted", "-s", path.string(), "mklabel", "gpt", "mkpart", "a", "1MiB", "40MiB"}, options);
    ASSERT_TRUE(made.ok() && made->ok()) << made->error_text;
    auto content = read_file(path).value();
    MemoryDisk target(128 * kMiB, 4096);
    std::copy(content.begin(), content.end(), target.content().begin());
    ASSERT_EQ(read_layout(target)->partitions.size(), 1u);
    auto fitted = fit_table(target, 1);
    ASSERT_TRUE(fitted.ok()) << fitted.error().describe();
    EXPECT_EQ(fitted->grown->length, 126 * kMiB);
    EXPECT_EQ(as_text(ByteView(target.content()).subspan(128 * kMiB - 4096, 8)), "EFI PART");

    Larger small(kGpt, 64 * kMiB, 64 * kMiB);
    auto vhd = create_vhd(dir / "disk.vhd", VhdKind::Dynamic, 96 * kMiB).value();
    ASSERT_TRUE(vhd->write(0, read_file(small.path).value()).ok());
    ASSERT_TRUE(fit_table(*vhd, 2).ok());
    EXPECT_EQ(read_layout(*vhd)->partitions[1].length, 85 * kMiB);
}

TEST(GrowFilesystem, says_what_to_run_where_no_tool_does_it) {
    auto never = [](const auto&) -> Result<CommandResult> { return CommandResult{}; };
    EXPECT_NE(grow_filesystem({"xfs", "/d", 0, 1}, never).find("xfs_growfs"), std::string::npos);
    EXPECT_NE(grow_filesystem({"ext4", "", 0, 1}, never).find("resize2fs"), std::string::npos);
    EXPECT_EQ(grow_filesystem({"swap", "/d", 0, 1}, never), "");
    auto broken = [](const auto& argv) -> Result<CommandResult> {
        return CommandResult{argv[0] == "e2fsck" ? 4 : 0, "", "errors left"};
    };
    EXPECT_NE(grow_filesystem({"ext4", "/d", 0, 1}, broken).find("errors left"), std::string::npos);
}
