// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/format.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::vhd;

namespace {

Footer some_footer() {
    Footer f;
    f.data_offset = 512;
    f.timestamp = 0x2715ab13;
    f.original_size = f.size = 4u << 20;
    f.geometry = chs_of(8192);
    f.kind = VhdKind::Differencing;
    f.id = Uuid::parse("722fa4e2-59c4-c645-8456-ddb430ac4a19").value();
    return f;
}

}  // namespace

TEST(VhdFormat, geometry_follows_the_specification) {
    EXPECT_EQ(chs_of(8192), (Chs{120, 4, 17}));
    EXPECT_EQ(chs_of(65535ull * 16 * 255 + 5), (Chs{65535, 16, 255}));
    EXPECT_EQ(chs_of(136365211648ull / 512), (Chs{65278, 16, 255}));
}

TEST(VhdFormat, the_footer_of_a_windows_disk_is_encoded_bit_by_bit) {
    auto bytes = encode_footer(some_footer());
    // The first 96 bytes of a differencing disk that Windows 10 made.
    EXPECT_EQ(to_hex(ByteView(bytes).first(96)),
              "636f6e65637469780000000200010000"
              "00000000000002002715ab1377696e20"
              "000a00005769326b0000000000400000"
              "00000000004000000078041100000004"
              "ffffefc4722fa4e259c4c6458456ddb4"
              "30ac4a19000000000000000000000000");
    auto back = parse_footer(bytes).value();
    EXPECT_EQ(back.id, some_footer().id);
    EXPECT_EQ(back.kind, VhdKind::Differencing);
    EXPECT_EQ(back.geometry, (Chs{120, 4, 17}));
    bytes[200] = std::byte{1};
    auto wrong = parse_footer(bytes);
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message().find("0xffffefc4"), std::string::npos) << wrong.error().message();
}

TEST(VhdFormat, footers_that_cannot_be_are_refused) {
    auto refused = [](auto change) {
        auto footer = some_footer();
        change(footer);
        return !parse_footer(encode_footer(footer)).ok();
    };
    EXPECT_FALSE(refused([](Footer&) {}));
    EXPECT_TRUE(refused([](Footer& f) { f.size = kVhdMaxBytes + 512; }));
    EXPECT_TRUE(refused([](Footer& f) { f.size = 0; }));
    EXPECT_TRUE(refused([](Footer& f) { f.size = 1000; }));
    EXPECT_TRUE(refused([](Footer& f) { f.kind = static_cast<VhdKind>(6); }));
}

TEST(VhdFormat, a_header_comes_back_with_parent_and_locators) {
    DynamicHeader h;
    h.table_offset = 0x2000;
    h.entries = 2;
    h.parent_id = Uuid::random();
    h.parent_timestamp = 77;
    h.parent_name = "/srv/B\xc3\xa4r \xf0\x9f\x90\xbb.vhd";
    h.locators = {{"W2ru", 512, 34, 0x3000}, {"W2ku", 4096, 86, 0x1000}};
    auto bytes = encode_header(h);
    ASSERT_EQ(bytes.size(), kHeaderBytes);
    auto back = parse_header(bytes, 4u << 20).value();
    EXPECT_EQ(back.parent_name, h.parent_name);
    EXPECT_EQ(back.parent_id, h.parent_id);
    EXPECT_EQ(back.parent_timestamp, 77u);
    ASSERT_EQ(back.locators.size(), 2u);
    EXPECT_EQ(back.locators[1].platform, "W2ku");
    EXPECT_EQ(back.locators[1].data_offset, 0x1000u);
    EXPECT_FALSE(parse_header(bytes, (4u << 20) + 512).ok()) << "the table is too short for that disk";
}

TEST(VhdFormat, a_parent_name_too_long_for_the_header_is_cut_at_a_whole_unit) {
    DynamicHeader h;
    h.table_offset = 0x2000;
    h.entries = 1;
    h.parent_name = std::string(1000, 'x');
    EXPECT_EQ(parse_header(encode_header(h), 512)->parent_name, std::string(255, 'x'));
}

TEST(VhdFormat, utf16_survives_and_broken_text_is_replaced) {
    for (bool big : {true, false}) {
        std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xbb";
        EXPECT_EQ(from_utf16(to_utf16(text, big), big), text);
        EXPECT_EQ(from_utf16(to_utf16("\xff", big), big), "\xef\xbf\xbd");
    }
    auto lone = from_hex("d83d0041").value();
    EXPECT_EQ(from_utf16(lone, true),
              "\xef\xbf\xbd"
              "A");
    EXPECT_EQ(from_utf16(from_hex("004100").value(), true), "A") << "an odd byte at the end";
}

TEST(VhdFormat, blocks_that_cannot_be_are_named) {
    DynamicHeader h;
    h.table_offset = 1536;
    h.entries = 5;
    constexpr std::uint32_t stride = (kVhdBlockBytes + 512) / 512;
    const std::uint64_t file = 2048 + 3ull * stride * 512 + 512;
    std::vector<std::uint32_t> good{4, kUnallocated, 4 + stride, 4 + 2 * stride, kUnallocated};
    EXPECT_TRUE(check_table(good, h, file, 9).empty());
    EXPECT_EQ(end_of_blocks(good, h, file), file - 512);
    auto bad = good;
    bad[1] = 4 + stride + 1;
    bad[4] = 1u << 30;
    bad[0] = 3;
    auto faults = check_table(bad, h, file, 9);
    ASSERT_EQ(faults.size(), 4u);
    EXPECT_EQ(faults[0].kind, TableFault::Kind::InMetadata);
    EXPECT_EQ(faults[1].kind, TableFault::Kind::BehindEnd);
    EXPECT_EQ(faults[2].kind, TableFault::Kind::Overlap);
    EXPECT_NE(text_of(faults[2], h).find("shares bytes with block"), std::string::npos);
    EXPECT_EQ(check_table(bad, h, file, 1).size(), 1u);
}
