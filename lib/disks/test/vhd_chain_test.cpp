// SPDX-License-Identifier: GPL-3.0-or-later
// Differencing disks: content through chains, how parents are found, the disks real programs made.
#include <gtest/gtest.h>

#include "lib/disks/test/vhd_bench.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kSize = (5u << 20) + 512;

// /dir/base.vhd and children d1.vhd, d2.vhd … one on the other, each with content of its own.
struct Chain {
    TempDir dir = TempDir::create("vhd").value();
    Bytes model;

    explicit Chain(int children, VhdKind base = VhdKind::Dynamic, std::uint32_t block = kVhdBlockBytes) {
        model = make_vhd(path(0), base, kSize, 1);
        for (int i = 1; i <= children; ++i) {
            auto made = create_difference(path(i - 1), path(i), block);
            EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().describe());
            add_to(path(i), model, static_cast<unsigned>(i) * 100);
        }
    }
    fs::path path(int i) const { return dir / (i ? "d" + std::to_string(i) + ".vhd" : "base.vhd"); }
};

}  // namespace

class VhdChains : public testing::TestWithParam<std::tuple<VhdKind, std::uint32_t>> {};

TEST_P(VhdChains, a_child_reads_its_own_sectors_and_its_parents_others) {
    Chain chain(3, std::get<0>(GetParam()), std::get<1>(GetParam()));
    EXPECT_TRUE(content_of(chain.path(3)) == chain.model);
    EXPECT_EQ(findings_of(chain.path(3)), "");
}

TEST_P(VhdChains, libvhdi_reads_the_same_from_a_chain) {
    Chain chain(2, std::get<0>(GetParam()), std::get<1>(GetParam()));
    if (!run_command({"vhdimount", "-V"}).ok()) GTEST_SKIP() << "vhdimount is not installed";
    auto mount = chain.dir / "m";
    fs::create_directory(mount);
    auto mounted = run_command({"vhdimount", chain.path(2).string(), mount.string()});
    if (!mounted.ok() || !mounted->ok())
        GTEST_SKIP() << "vhdimount: " << (mounted.ok() ? mounted->output + mounted->error_text : "");
    EXPECT_TRUE(read_file(mount / "vhdi1").value() == content_of(chain.path(0))) << "the oldest is the first";
    EXPECT_TRUE(read_file(mount / "vhdi3").value() == chain.model);
    run({"umount", mount.string()});
}

INSTANTIATE_TEST_SUITE_P(Kinds, VhdChains,
                         testing::Combine(testing::Values(VhdKind::Fixed, VhdKind::Dynamic),
                                          testing::Values(512u << 10, kVhdBlockBytes)),
                         [](const auto& p) {
                             return std::string(name_of(std::get<0>(p.param))) + "_" +
                                    std::to_string(std::get<1>(p.param) >> 10) + "k";
                         });

TEST(VhdChain, a_chain_of_forty_is_read_from_its_youngest) {
    auto dir = TempDir::create("vhd").value();
    auto path = [&](int i) { return dir / (std::to_string(i) + ".vhd"); };
    ASSERT_TRUE(create_vhd(path(0), VhdKind::Dynamic, 1u << 20, 64u << 10).ok());
    for (int i = 1; i <= 40; ++i) {
        ASSERT_TRUE(create_difference(path(i - 1), path(i), 64u << 10).ok());
        auto disk = open_vhd(path(i), OpenMode::ReadWrite).value();
        ASSERT_TRUE(disk->write(static_cast<std::uint64_t>(i) * 700, pattern(700, static_cast<unsigned>(i))).ok());
        ASSERT_TRUE(disk->flush().ok());
    }
    auto youngest = open_disk(path(40), OpenMode::ReadOnly).value();
    for (int i = 1; i <= 40; ++i) {
        Bytes got(700);
        ASSERT_TRUE(youngest->read(static_cast<std::uint64_t>(i) * 700, got).ok());
        EXPECT_TRUE(got == pattern(700, static_cast<unsigned>(i))) << i;
    }
}

TEST(VhdChain, writing_zeroes_hides_what_the_parent_holds) {
    Chain chain(1);
    auto disk = open_vhd(chain.path(1), OpenMode::ReadWrite).value();
    ASSERT_TRUE(disk->write(0, Bytes(3u << 20)).ok());
    ASSERT_TRUE(disk->flush().ok());
    disk.reset();
    std::fill_n(chain.model.begin(), 3u << 20, std::byte{0});
    EXPECT_TRUE(content_of(chain.path(1)) == chain.model);
}

TEST(VhdChain, a_moved_family_is_found_by_the_relative_path_and_a_moved_child_by_the_absolute_one) {
    Chain chain(1);
    auto moved = chain.dir / "elsewhere";
    fs::create_directory(moved);
    fs::copy_file(chain.path(0), moved / "base.vhd");
    fs::rename(chain.path(0), chain.dir / "gone.vhd");
    fs::rename(chain.path(1), moved / "d1.vhd");
    EXPECT_EQ(inspect_vhd(moved / "d1.vhd")->parent, moved / "base.vhd");
    EXPECT_TRUE(content_of(moved / "d1.vhd") == chain.model);
    fs::remove(moved / "base.vhd");
    EXPECT_TRUE(open_vhd(moved / "d1.vhd", OpenMode::ReadOnly).error().is(errors::kVhdParent));
    fs::rename(chain.dir / "gone.vhd", chain.path(0));
    EXPECT_EQ(inspect_vhd(moved / "d1.vhd")->parent, fs::canonical(chain.path(0)));
    EXPECT_TRUE(content_of(moved / "d1.vhd") == chain.model);
}

TEST(VhdChain, another_disk_under_the_parents_name_is_refused_by_its_id) {
    Chain chain(1);
    fs::remove(chain.path(0));
    make_vhd(chain.path(0), VhdKind::Dynamic, kSize, 9);
    auto opened = open_vhd(chain.path(1), OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.error().is(errors::kVhdParent));
    EXPECT_NE(opened.error().message().find("is another disk"), std::string::npos) << opened.error().message();
    EXPECT_TRUE(inspect_vhd(chain.path(1))->parent.empty());
}

TEST(VhdChain, a_parent_written_since_is_a_warning_and_no_refusal) {
    Chain chain(1);
    EXPECT_EQ(inspect_vhd(chain.path(1))->parent_problem, "");
    fs::last_write_time(chain.path(0), fs::last_write_time(chain.path(0)) + std::chrono::seconds(5));
    EXPECT_NE(inspect_vhd(chain.path(1))->parent_problem.find("written since"), std::string::npos);
    EXPECT_TRUE(content_of(chain.path(1)) == chain.model);
    auto opened = vhd::open_chain(chain.path(1), {});
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened->warnings.size(), 1u);
}

TEST(VhdChain, a_disk_that_is_its_own_ancestor_is_refused) {
    Chain chain(2);
    // d1's parent becomes d2: its header gets d2's id, and d2 takes the parent's name.
    auto id = inspect_vhd(chain.path(2))->id;
    auto file = vhd::File::open(vhd::real_files(), chain.path(1), OpenMode::ReadWrite).value();
    auto image = vhd::load_image(file).value();
    image.header.parent_id = id;
    ASSERT_TRUE(file.write(image.footer.data_offset, vhd::encode_header(image.header)).ok());
    fs::remove(chain.path(0));
    fs::create_symlink(chain.path(2), chain.path(0));
    auto opened = open_vhd(chain.path(2), OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message().find("its own ancestor"), std::string::npos) << opened.error().message();
}

TEST(VhdChain, reconnect_takes_the_parent_by_its_id_alone) {
    Chain chain(1);
    auto moved = chain.dir / "B\xc3\xa4r";
    fs::create_directory(moved);
    fs::rename(chain.path(0), moved / "renamed.vhd");
    make_vhd(chain.dir / "other.vhd", VhdKind::Dynamic, kSize, 3);
    EXPECT_TRUE(reconnect_vhd(chain.path(1), chain.dir / "other.vhd").error().is(errors::kVhdParent));
    EXPECT_FALSE(open_vhd(chain.path(1), OpenMode::ReadOnly).ok());
    auto done = reconnect_vhd(chain.path(1), moved / "renamed.vhd");
    ASSERT_TRUE(done.ok()) << done.error().describe();
    EXPECT_TRUE(content_of(chain.path(1)) == chain.model);
    EXPECT_EQ(inspect_vhd(chain.path(1))->parent, fs::canonical(moved / "renamed.vhd"));
    // New blocks do not overwrite the new paths.
    add_to(chain.path(1), chain.model, 77);
    EXPECT_TRUE(content_of(chain.path(1)) == chain.model);
    EXPECT_EQ(findings_of(chain.path(1)), "");
}

TEST(VhdChain, a_path_that_windows_text_cannot_spell_is_refused) {
    auto dir = TempDir::create("vhd").value();
    ASSERT_TRUE(create_vhd(dir / "a\\b.vhd", VhdKind::Dynamic, 1u << 20).ok());
    EXPECT_TRUE(create_difference(dir / "a\\b.vhd", dir / "c.vhd").error().is(errors::kVhdUnsupported));
    EXPECT_FALSE(fs::exists(dir / "c.vhd"));
}

TEST(VhdChain, parents_are_locked_against_writing_while_a_child_is_written) {
    Chain chain(1);
    auto child = open_vhd(chain.path(1), OpenMode::ReadWrite).value();
    EXPECT_TRUE(open_vhd(chain.path(0), OpenMode::ReadWrite).error().is(errors::kVhdInUse));
    EXPECT_TRUE(open_vhd(chain.path(1), OpenMode::ReadWrite).error().is(errors::kVhdInUse));
    EXPECT_TRUE(vhd_in_use(chain.path(1)));
    child.reset();
    EXPECT_FALSE(vhd_in_use(chain.path(1)));
    EXPECT_TRUE(open_vhd(chain.path(0), OpenMode::ReadWrite).ok());
}

namespace {

class RealVhds : public testing::Test {
protected:
    TempDir dir = TempDir::create("vhd").value();

    // Unpacked under the name its makers gave it; false: not here.
    bool unpack(const std::string& name, const std::string& as) {
        if (!fs::exists(shared_vhd(name))) return false;
        CommandOptions options;
        auto r = run_command(
            {"/bin/sh", "-c", "xz -dc \"$0\" > \"$1\"", shared_vhd(name).string(), (dir / as).string()}, options);
        EXPECT_TRUE(r.ok() && r->ok());
        return true;
    }
};

#define UNPACK_OR_SKIP(name, as) \
    if (!unpack(name, as)) GTEST_SKIP() << shared_vhd(name) << " is not here"

}  // namespace

TEST_F(RealVhds, a_chain_of_windows_reads_as_libvhdi_reads_it) {
    UNPACK_OR_SKIP("dfvfs-ntfs-parent.vhd", "ntfs-parent.vhd");
    UNPACK_OR_SKIP("dfvfs-ntfs-differential.vhd", "ntfs-differential.vhd");
    auto info = inspect_vhd(dir / "ntfs-differential.vhd").value();
    EXPECT_EQ(info.parent_name, "C:\\Projects\\dfvfs\\test_data\\ntfs-parent.vhd");
    EXPECT_EQ(info.parent, dir / "ntfs-parent.vhd");
    EXPECT_EQ(info.parent_problem, "") << "Windows keeps no time, so none can have changed";
    EXPECT_EQ(findings_of(dir / "ntfs-differential.vhd"), "");
    EXPECT_EQ(children_of(dir / "ntfs-parent.vhd")->size(), 1u);
    auto ours = content_of(dir / "ntfs-differential.vhd");
    EXPECT_FALSE(ours == content_of(dir / "ntfs-parent.vhd"));
    fs::create_directory(dir / "m");
    auto mounted = run_command({"vhdimount", (dir / "ntfs-differential.vhd").string(), (dir / "m").string()});
    if (!mounted.ok() || !mounted->ok()) GTEST_SKIP() << "vhdimount is not installed, or has no FUSE";
    EXPECT_TRUE(read_file(dir / "m/vhdi2").value() == ours);
    run({"umount", (dir / "m").string()});
}

TEST_F(RealVhds, a_child_of_windows_is_written_and_merged) {
    UNPACK_OR_SKIP("dfvfs-ntfs-parent.vhd", "ntfs-parent.vhd");
    UNPACK_OR_SKIP("dfvfs-ntfs-differential.vhd", "ntfs-differential.vhd");
    auto model = content_of(dir / "ntfs-differential.vhd");
    add_to(dir / "ntfs-differential.vhd", model, 5);
    EXPECT_TRUE(content_of(dir / "ntfs-differential.vhd") == model);
    ASSERT_TRUE(merge_vhd(dir / "ntfs-differential.vhd", false).ok());
    EXPECT_TRUE(content_of(dir / "ntfs-parent.vhd") == model);
}

TEST_F(RealVhds, fixed_and_dynamic_disks_read_as_qemu_img_reads_them) {
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    for (std::string name : {"dfvfs-ntfs-fixed.vhd", "dfvfs-ntfs-dynamic.vhd", "dfvfs-ext2.vhd"}) {
        UNPACK_OR_SKIP(name, name);
        EXPECT_EQ(findings_of(dir / name), "") << name;
        auto raw = (dir / (name + ".raw")).string();
        run({"qemu-img", "convert", "-f", "vpc", "-O", "raw", (dir / name).string(), raw});
        EXPECT_TRUE(content_of(dir / name) == read_file(raw).value()) << name;
    }
}

TEST_F(RealVhds, a_wrong_checksum_of_its_maker_is_named_and_mended) {
    UNPACK_OR_SKIP("dfvfs-image.vhd", "image.vhd");
    auto opened = open_disk(dir / "image.vhd", OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message().find("0xfffff683"), std::string::npos) << opened.error().message();
    EXPECT_TRUE(check_vhd(dir / "image.vhd", false)->errors_left());
    EXPECT_TRUE(check_vhd(dir / "image.vhd", true)->sound());
    EXPECT_EQ(content_of(dir / "image.vhd").size(), 104448u);
    EXPECT_EQ(findings_of(dir / "image.vhd"), "");
}
