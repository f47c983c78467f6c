// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/test/vhd_bench.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kSize = 9u << 20;

class VhdCheck : public testing::Test {
protected:
    TempDir dir = TempDir::create("vhd").value();
    fs::path path = dir / "a.vhd";
    Bytes model = make_vhd(path, VhdKind::Dynamic, kSize, 1);

    void poke(std::uint64_t at, Bytes bytes) {
        auto file = vhd::File::open(vhd::real_files(), path, OpenMode::ReadWrite).value();
        ASSERT_TRUE(file.write(at, bytes).ok());
    }
    std::uint64_t file_size() { return fs::file_size(path); }
    void expect_found(const char* text) {
        auto found = findings_of(path);
        EXPECT_NE(found.find(text), std::string::npos) << found;
    }
    void expect_mended() {
        auto report = check_vhd(path, true);
        ASSERT_TRUE(report.ok()) << report.error().describe();
        EXPECT_TRUE(report->sound());
        EXPECT_EQ(findings_of(path), "");
        EXPECT_TRUE(content_of(path) == model);
    }
    // Named as an error, and --repair changes no byte.
    void expect_beyond_repair(const char* text) {
        expect_found(text);
        auto before = read_file(path).value();
        auto report = check_vhd(path, true);
        ASSERT_TRUE(report.ok()) << report.error().describe();
        EXPECT_TRUE(report->errors_left());
        EXPECT_TRUE(read_file(path).value() == before);
    }
};

}  // namespace

TEST_F(VhdCheck, a_damaged_footer_is_mended_from_its_copy) {
    poke(file_size() - 512 + 70, Bytes(3, std::byte{0x55}));
    auto size = file_size();
    expect_found("checksum");
    EXPECT_TRUE(inspect_vhd(path)->footer_copy_used);
    expect_mended();
    EXPECT_EQ(file_size(), size);
}

TEST_F(VhdCheck, a_cut_footer_is_mended_from_its_copy) {
    auto size = file_size();
    fs::resize_file(path, size - 300);
    expect_found("no VHD footer");
    expect_mended();
    EXPECT_EQ(file_size(), size);
}

TEST_F(VhdCheck, a_footer_behind_which_junk_was_added_is_put_behind_the_junk) {
    poke(file_size(), pattern(700, 3));
    expect_mended();
}

TEST_F(VhdCheck, a_damaged_copy_at_the_start_is_mended_from_the_footer) {
    poke(0, Bytes(512));
    expect_found("footer copy at the start");
    expect_mended();
}

TEST_F(VhdCheck, a_header_whose_sum_alone_is_wrong_is_mended) {
    poke(512 + 36, Bytes(4));
    EXPECT_TRUE(open_vhd(path, OpenMode::ReadOnly).error().is(errors::kVhdHeader));
    expect_mended();
}

TEST_F(VhdCheck, a_header_that_points_nowhere_is_named_and_left) {
    poke(512 + 16, Bytes(8, std::byte{0x7f}));
    expect_beyond_repair("dynamic disk header's checksum");
}

TEST_F(VhdCheck, both_footers_gone_is_named_and_left) {
    poke(0, Bytes(512));
    poke(file_size() - 512, Bytes(512));
    expect_beyond_repair("no VHD footer");
}

TEST_F(VhdCheck, blocks_outside_the_file_and_blocks_that_overlap_are_named_and_left) {
    auto first = read_file(path).value();
    poke(1536 + 4, to_bytes("\x01\x02\x03\x04"));
    expect_beyond_repair("does not lie in the file");
    EXPECT_TRUE(open_vhd(path, OpenMode::ReadOnly).error().is(errors::kVhdHeader));
    poke(1536 + 4, Bytes(first.begin() + 1536, first.begin() + 1540));
    expect_beyond_repair("shares bytes with block");
}

TEST_F(VhdCheck, a_file_cut_inside_a_block_names_the_block) {
    fs::resize_file(path, file_size() - 600);
    expect_beyond_repair("does not lie in the file");
}

TEST_F(VhdCheck, a_cut_fixed_disk_and_one_with_a_wrong_sum_are_named) {
    fs::remove(path);
    make_vhd(path, VhdKind::Fixed, kSize, 1);
    EXPECT_EQ(findings_of(path), "");
    auto whole = read_file(path).value();
    fs::resize_file(path, file_size() - 100);
    expect_beyond_repair("no VHD footer");
    ASSERT_TRUE(write_file_atomic(path, ByteView(whole).subspan(512)).ok());
    expect_beyond_repair("the file is cut");
    ASSERT_TRUE(write_file_atomic(path, whole).ok());
    poke(kSize + 40, Bytes(1, std::byte{9}));
    expect_beyond_repair("checksum");
}

TEST_F(VhdCheck, a_footer_of_511_bytes_as_virtual_pc_once_wrote_them_is_read) {
    fs::resize_file(path, file_size() - 1);
    EXPECT_EQ(findings_of(path), "");
    EXPECT_TRUE(content_of(path) == model);
    add_to(path, model, 5);
    EXPECT_TRUE(content_of(path) == model);
}

TEST_F(VhdCheck, a_missing_parent_is_named_and_nothing_is_written) {
    ASSERT_TRUE(create_difference(path, dir / "child.vhd").ok());
    fs::rename(path, dir / "elsewhere.vhd");
    path = dir / "child.vhd";
    expect_beyond_repair("is not found");
}
