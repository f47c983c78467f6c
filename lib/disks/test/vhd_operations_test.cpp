// SPDX-License-Identifier: GPL-3.0-or-later
// convert, compact, merge, resize, check; and what they refuse.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disks/test/vhd_bench.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kSize = (9u << 20) + 512;

class VhdOperations : public testing::Test {
protected:
    TempDir dir = TempDir::create("vhd").value();

    void expect_compare(const std::string& format, const fs::path& path, const Bytes& model) {
        if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
        ASSERT_TRUE(write_file_atomic(dir / "model.raw", model).ok());
        run({"qemu-img", "compare", "-f", format, "-F", "raw", path.string(), (dir / "model.raw").string()});
    }
    void expect_libvhdi(const fs::path& path, const Bytes& model) {
        if (!run_command({"vhdimount", "-V"}).ok()) GTEST_SKIP() << "vhdimount is not installed";
        auto mount = dir / ("m-" + path.filename().string());
        fs::create_directory(mount);
        auto mounted = run_command({"vhdimount", path.string(), mount.string()});
        if (!mounted.ok() || !mounted->ok()) GTEST_SKIP() << "vhdimount needs FUSE";
        EXPECT_TRUE(read_file(mount / "vhdi1", 1u << 30).value() == model) << path;
        run({"umount", mount.string()});
    }
    ConvertReport convert(const fs::path& from, const fs::path& to, DiskFormat format) {
        auto done = convert_disk({from, to, format, kVhdBlockBytes, false});
        EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().describe());
        return done.ok() ? *done : ConvertReport{};
    }
};

std::uint64_t blocks_on_disk(const fs::path& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0);
    return static_cast<std::uint64_t>(st.st_blocks) * 512;
}

}  // namespace

TEST_F(VhdOperations, every_kind_converts_into_every_other_and_the_source_stays) {
    Bytes model = make_vhd(dir / "dynamic.vhd", VhdKind::Dynamic, kSize, 1);
    convert(dir / "dynamic.vhd", dir / "fixed.vhd", DiskFormat::Fixed);
    convert(dir / "dynamic.vhd", dir / "raw.img", DiskFormat::Raw);
    ASSERT_TRUE(create_difference(dir / "dynamic.vhd", dir / "child.vhd").ok());
    Bytes child_model = model;
    add_to(dir / "child.vhd", child_model, 2);
    fs::create_directory(dir / "out");
    for (std::string from : {"fixed.vhd", "raw.img", "child.vhd"}) {
        auto before = read_file(dir / from).value();
        const auto& want = from == "child.vhd" ? child_model : model;
        for (auto format : {DiskFormat::Raw, DiskFormat::Fixed, DiskFormat::Dynamic}) {
            auto to = dir / "out" / (from + "-" + std::string(name_of(format)) + ".vhd");
            convert(dir / from, to, format);
            EXPECT_TRUE(content_of(to) == want) << to;
            expect_compare(format == DiskFormat::Raw ? "raw" : "vpc", to, want);
            if (format == DiskFormat::Raw) continue;
            EXPECT_EQ(findings_of(to), "");
            expect_libvhdi(to, want);
        }
        EXPECT_TRUE(read_file(dir / from).value() == before) << from;
    }
}

TEST_F(VhdOperations, qcow2_and_vhdx_are_written_by_qemu_img) {
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    Bytes model = make_vhd(dir / "base.vhd", VhdKind::Dynamic, kSize, 1);
    ASSERT_TRUE(create_difference(dir / "base.vhd", dir / "child.vhd").ok());
    add_to(dir / "child.vhd", model, 2);
    convert(dir / "child.vhd", dir / "x.qcow2", DiskFormat::Qcow2);
    convert(dir / "child.vhd", dir / "x.vhdx", DiskFormat::Vhdx);
    for (std::string format : {"qcow2", "vhdx"}) {
        // VHDX is whole MiBs: what is more than the source reads as zero.
        run({"qemu-img", "convert", "-f", format, "-O", "raw", (dir / ("x." + format)).string(),
             (dir / (format + ".raw")).string()});
        auto got = read_file(dir / (format + ".raw")).value();
        ASSERT_GE(got.size(), model.size());
        EXPECT_TRUE(all_zero(ByteView(got).subspan(model.size())));
        got.resize(model.size());
        EXPECT_TRUE(got == model) << format;
    }
    // No temporary file is left beside them.
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 6);
}

TEST_F(VhdOperations, a_sparse_terabyte_converts_at_once_and_stays_sparse) {
    {
        auto raw = FileDisk::create(dir / "big.img", 1ull << 40).value();
        ASSERT_TRUE(raw->write((700ull << 30) + 5, pattern(1000, 7)).ok());
        ASSERT_TRUE(raw->flush().ok());
    }
    auto done = convert(dir / "big.img", dir / "big.vhd", DiskFormat::Dynamic);
    EXPECT_LT(blocks_on_disk(dir / "big.vhd"), 5u << 20);
    EXPECT_EQ(done.data_bytes, 64u << 10);
    auto vhd = open_disk(dir / "big.vhd", OpenMode::ReadOnly).value();
    Bytes got(1000);
    ASSERT_TRUE(vhd->read((700ull << 30) + 5, got).ok());
    EXPECT_TRUE(got == pattern(1000, 7));
    EXPECT_EQ(inspect_vhd(dir / "big.vhd")->allocated_blocks, 1u);
}

TEST_F(VhdOperations, a_raw_size_that_is_no_whole_sectors_is_rounded_up) {
    auto bytes = pattern(1000, 1);
    ASSERT_TRUE(write_file_atomic(dir / "odd.img", bytes).ok());
    convert(dir / "odd.img", dir / "odd.vhd", DiskFormat::Fixed);
    bytes.resize(1024);
    EXPECT_TRUE(content_of(dir / "odd.vhd") == bytes);
}

TEST_F(VhdOperations, more_than_2040_gib_and_an_existing_target_are_refused) {
    ASSERT_TRUE(FileDisk::create(dir / "huge.img", kVhdMaxBytes + 512).ok());
    auto huge = convert_disk({dir / "huge.img", dir / "huge.vhd", DiskFormat::Dynamic, kVhdBlockBytes, false});
    EXPECT_TRUE(huge.error().is(errors::kVhdTooLarge));
    EXPECT_FALSE(fs::exists(dir / "huge.vhd"));
    make_vhd(dir / "a.vhd", VhdKind::Dynamic, kSize, 1);
    auto again = convert_disk({dir / "a.vhd", dir / "a.vhd", DiskFormat::Fixed, kVhdBlockBytes, false});
    EXPECT_EQ(again.error().name(), "base.exists");
}

TEST_F(VhdOperations, a_conversion_that_is_stopped_leaves_nothing) {
    make_vhd(dir / "a.vhd", VhdKind::Dynamic, kSize, 1);
    std::atomic<bool> cancel{true};
    auto done =
        convert_disk({dir / "a.vhd", dir / "b.vhd", DiskFormat::Fixed, kVhdBlockBytes, false}, {{}, &cancel, nullptr});
    EXPECT_TRUE(done.error().is(errors::kVhdCancelled));
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST_F(VhdOperations, compact_drops_blocks_of_zeroes_and_keeps_id_mode_and_content) {
    Bytes model(kSize);
    {
        auto disk = create_vhd(dir / "a.vhd", VhdKind::Dynamic, kSize).value();
        ASSERT_TRUE(disk->write(0, pattern(8u << 20, 1)).ok());
        ASSERT_TRUE(disk->write(2u << 20, Bytes(4u << 20)).ok());
        ASSERT_TRUE(disk->flush().ok());
        model = content_of(*disk);
    }
    fs::permissions(dir / "a.vhd", fs::perms(0600));
    auto before = inspect_vhd(dir / "a.vhd").value();
    ASSERT_EQ(before.allocated_blocks, 4u);
    fs::create_symlink(dir / "a.vhd", dir / "link.vhd");
    auto done = compact_vhd(dir / "link.vhd", false);
    ASSERT_TRUE(done.ok()) << done.error().describe();
    auto after = inspect_vhd(dir / "a.vhd").value();
    EXPECT_EQ(after.allocated_blocks, 2u);
    EXPECT_EQ(after.id, before.id);
    EXPECT_TRUE(fs::is_symlink(dir / "link.vhd"));
    EXPECT_EQ(fs::status(dir / "a.vhd").permissions(), fs::perms(0600));
    EXPECT_EQ(done->before - done->after, 2 * ((2u << 20) + 4096));
    EXPECT_TRUE(content_of(dir / "a.vhd") == model);
    expect_compare("vpc", dir / "a.vhd", model);
}

TEST_F(VhdOperations, compact_unused_drops_what_ext4_has_freed_and_the_file_system_stays_whole) {
    if (!run_command({"mke2fs", "-V"}).ok()) GTEST_SKIP() << "e2fsprogs is not installed";
    auto raw = dir / "fs.img";
    make_file(raw, 64u << 20);
    auto tree = make_tree(dir);
    run({"mke2fs", "-q", "-t", "ext4", "-d", tree.string(), raw.string()});
    {
        // What was deleted once: every unused byte of the volume is junk.
        auto disk = FileDisk::open(raw, OpenMode::ReadOnly).value();
        auto map = map_used(*disk).value();
        ASSERT_EQ(map.why_all, "");
        scribble_outside(raw, map);
    }
    convert(raw, dir / "fs.vhd", DiskFormat::Dynamic);
    EXPECT_GE(inspect_vhd(dir / "fs.vhd")->allocated_blocks, 28u);
    auto done = compact_vhd(dir / "fs.vhd", true);
    ASSERT_TRUE(done.ok()) << done.error().describe();
    EXPECT_GT(done->unused_bytes, 20u << 20);
    EXPECT_LT(blocks_on_disk(dir / "fs.vhd"), 40u << 20);
    convert(dir / "fs.vhd", dir / "back.img", DiskFormat::Raw);
    run({"e2fsck", "-fn", (dir / "back.img").string()});
    for (const auto& entry : fs::recursive_directory_iterator(tree)) {
        if (!entry.is_regular_file()) continue;
        auto name = fs::relative(entry.path(), tree).string();
        EXPECT_EQ(run({"debugfs", "-R", "cat " + name, (dir / "back.img").string()}),
                  read_text_file(entry.path()).value())
            << name;
    }
}

TEST_F(VhdOperations, compact_says_why_it_does_not_do_fixed_and_differencing_disks) {
    make_vhd(dir / "fixed.vhd", VhdKind::Fixed, kSize, 1);
    ASSERT_TRUE(create_difference(dir / "fixed.vhd", dir / "child.vhd").ok());
    auto fixed = compact_vhd(dir / "fixed.vhd", false), child = compact_vhd(dir / "child.vhd", false);
    EXPECT_NE(fixed.error().message().find("fixed disk"), std::string::npos);
    EXPECT_NE(child.error().message().find("merge it"), std::string::npos);
}

TEST_F(VhdOperations, a_disk_with_children_is_not_compacted_converted_resized_or_merged_away) {
    Bytes model = make_vhd(dir / "base.vhd", VhdKind::Dynamic, kSize, 1);
    ASSERT_TRUE(create_difference(dir / "base.vhd", dir / "one.vhd").ok());
    ASSERT_TRUE(create_difference(dir / "base.vhd", dir / "two.vhd").ok());
    ASSERT_TRUE(create_difference(dir / "two.vhd", dir / "three.vhd").ok());
    auto is_refused = [](const Error& error, const char* child) {
        EXPECT_TRUE(error.is(errors::kVhdHasChildren)) << error.describe();
        EXPECT_NE(error.message().find(child), std::string::npos) << error.message();
    };
    is_refused(compact_vhd(dir / "base.vhd", false).error(), "one.vhd");
    is_refused(convert_disk({dir / "base.vhd", dir / "x.vhd", DiskFormat::Fixed, kVhdBlockBytes, false}).error(),
               "two.vhd");
    is_refused(resize_vhd(dir / "base.vhd", 2 * kSize).error(), "one.vhd");
    is_refused(merge_vhd(dir / "one.vhd", false).error(), "two.vhd");
    is_refused(merge_vhd(dir / "two.vhd", false).error(), "three.vhd");
    EXPECT_TRUE(convert_disk({dir / "base.vhd", dir / "x.vhd", DiskFormat::Fixed, kVhdBlockBytes, true}).ok());
    EXPECT_TRUE(content_of(dir / "x.vhd") == model);
}

TEST_F(VhdOperations, merge_writes_the_child_into_a_parent_of_each_kind_and_removes_it) {
    for (auto kind : {VhdKind::Fixed, VhdKind::Dynamic, VhdKind::Differencing}) {
        auto sub = dir / std::string(name_of(kind));
        fs::create_directory(sub);
        auto parent = sub / "parent.vhd", child = sub / "child.vhd";
        Bytes model;
        if (kind == VhdKind::Differencing) {
            model = make_vhd(sub / "oldest.vhd", VhdKind::Dynamic, kSize, 4);
            ASSERT_TRUE(create_difference(sub / "oldest.vhd", parent).ok());
            add_to(parent, model, 5);
        } else {
            model = make_vhd(parent, kind, kSize, 4);
        }
        ASSERT_TRUE(create_difference(parent, child).ok());
        add_to(child, model, 6);
        auto done = merge_vhd(child, false);
        ASSERT_TRUE(done.ok()) << done.error().describe();
        EXPECT_FALSE(fs::exists(child));
        EXPECT_TRUE(content_of(parent) == model) << name_of(kind);
        EXPECT_EQ(findings_of(parent), "");
    }
}

class VhdGrowth : public VhdOperations, public testing::WithParamInterface<VhdKind> {};

TEST_P(VhdGrowth, what_is_new_reads_as_zero_and_what_was_stays) {
    auto path = dir / "a.vhd";
    Bytes model = make_vhd(path, GetParam(), kSize, 1, 128u << 10);
    auto id = inspect_vhd(path)->id;
    // One step within the last block, one far behind the table's first end.
    for (auto size : {kSize + 4096, std::uint64_t{30} << 20}) {
        auto done = resize_vhd(path, size);
        ASSERT_TRUE(done.ok()) << done.error().describe();
        model.resize(size);
        EXPECT_TRUE(content_of(path) == model);
        EXPECT_EQ(findings_of(path), "");
        EXPECT_EQ(inspect_vhd(path)->geometry, chs_of(size / 512));
    }
    EXPECT_EQ(inspect_vhd(path)->id, id);
    add_to(path, model, 8);
    EXPECT_TRUE(content_of(path) == model);
    expect_compare("vpc", path, model);
    expect_libvhdi(path, model);
    EXPECT_TRUE(resize_vhd(path, kSize).error().is(errors::kVhdUnsupported)) << "no shrinking";
    EXPECT_TRUE(resize_vhd(path, kVhdMaxBytes + 512).error().is(errors::kVhdTooLarge));
}

INSTANTIATE_TEST_SUITE_P(Kinds, VhdGrowth, testing::Values(VhdKind::Fixed, VhdKind::Dynamic),
                         [](const auto& p) { return std::string(name_of(p.param)); });

TEST_F(VhdOperations, a_disk_in_use_by_qemu_is_left_alone_and_qemu_leaves_ours_alone) {
    if (!run_command({"qemu-io", "--version"}).ok()) GTEST_SKIP() << "qemu-io is not installed";
    auto path = dir / "a.vhd";
    Bytes model = make_vhd(path, VhdKind::Dynamic, kSize, 1);
    int to_qemu[2], from_qemu[2];
    ASSERT_EQ(::pipe2(to_qemu, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(from_qemu, O_CLOEXEC), 0);
    UniqueFd qemu_in(to_qemu[0]), commands(to_qemu[1]), answers(from_qemu[0]), qemu_out(from_qemu[1]);
    auto child = Child::spawn({"qemu-io", "-f", "vpc", path.string()}, {qemu_in.get(), qemu_out.get(), -1});
    ASSERT_TRUE(child.ok());
    qemu_out.reset();
    // Its answer to a command says that the disk is open.
    ASSERT_TRUE(write_full(commands.get(), as_bytes("length\n")).ok());
    std::string said;
    char byte = 0;
    while (said.find("9 MiB") == std::string::npos && ::read(answers.get(), &byte, 1) == 1) said += byte;
    ASSERT_NE(said.find("9 MiB"), std::string::npos) << said;
    EXPECT_TRUE(vhd_in_use(path));
    EXPECT_TRUE(compact_vhd(path, false).error().is(errors::kVhdInUse));
    EXPECT_TRUE(resize_vhd(path, 2 * kSize).error().is(errors::kVhdInUse));
    EXPECT_TRUE(check_vhd(path, true).error().is(errors::kVhdInUse));
    EXPECT_TRUE(
        convert_disk({path, dir / "b.vhd", DiskFormat::Fixed, kVhdBlockBytes, false}).error().is(errors::kVhdInUse));
    commands.reset();
    child->wait();
    EXPECT_FALSE(vhd_in_use(path));
    auto ours = open_vhd(path, OpenMode::ReadWrite).value();
    auto refused = run_command({"qemu-io", "-f", "vpc", "-c", "length", path.string()});
    ASSERT_TRUE(refused.ok());
    EXPECT_NE(refused->error_text.find("lock"), std::string::npos) << refused->error_text;
}
