// SPDX-License-Identifier: GPL-3.0-or-later
// The pure helpers beside the sessions: netascii, the cache of hot pieces, cut errors.
#include <random>

#include <fcntl.h>

#include <gtest/gtest.h>

#include "lib/base/temp_dir.hpp"
#include "tftp/block_reader.hpp"
#include "tftp/codec.hpp"
#include "tftp/errors.hpp"
#include "tftp/netascii.hpp"

using namespace slipway;
using namespace slipway::tftp;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

std::string wire_of(std::string_view text) {
    std::string out;
    to_netascii(as_bytes(text), out);
    return out;
}

Content open(const std::filesystem::path& file) { return Content::of_file(open_fd(file, O_RDONLY).value()).value(); }

std::string noise(std::size_t bytes) {
    std::mt19937_64 random(5);
    std::string out;
    while (out.size() < bytes) out += static_cast<char>("ab\r\n\0x"[random() % 6]);
    return out;
}

// The whole of a reader, by blocks of so many bytes.
std::string all_of(BlockReader& reader, std::size_t block) {
    std::string out;
    for (;;) {
        EXPECT_TRUE(reader.prepare(out.size(), block).ok());
        auto left = reader.size() ? *reader.size() - out.size() : block;
        std::vector<iovec> parts;
        reader.append(out.size(), std::min(left, block), parts);
        for (const auto& p : parts) out.append(static_cast<const char*>(p.iov_base), p.iov_len);
        if (left < block) return out;
    }
}

}  // namespace

TEST(TftpNetascii, lines_and_lone_carriage_returns) {
    EXPECT_EQ(wire_of("a\nb\r\n\r"), "a\r\nb\r\0\r\n\r\0"s);
    Bytes out;
    NetasciiDecoder decoder;
    for (char c : "a\r\nb\r\0\r\n\rx\r"s) decoder.decode(as_bytes({&c, 1}), out);
    decoder.finish(out);
    EXPECT_EQ(as_text(out), "a\nb\r\n\rx\r"s);
}

TEST(TftpNetascii, a_file_read_by_blocks_is_the_same_as_translated_at_once) {
    auto dir = TempDir::create("tftp").value();
    auto text = noise(200'000);
    ASSERT_TRUE(write_file_atomic(dir / "text", as_bytes(text)).ok());
    auto cache = std::make_shared<HotCache>();
    for (std::size_t block : {8u, 512u, 1468u, 65464u}) {
        EXPECT_EQ(all_of(*read_netascii(open(dir / "text"), cache), block), wire_of(text)) << block;
        EXPECT_EQ(all_of(*read_octet(open(dir / "text"), cache), block), text) << block;
        EXPECT_EQ(all_of(*read_netascii(Content::of_text("a\nb"), cache), block), "a\r\nb") << block;
        EXPECT_EQ(all_of(*read_octet(Content::of_text("a\nb"), cache), block), "a\nb") << block;
    }
    EXPECT_EQ(cache->reads(), 4u);  // each piece once
}

TEST(TftpHot, a_piece_is_read_once_and_room_is_bounded) {
    auto dir = TempDir::create("tftp").value();
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes(std::string(10 * HotCache::kPiece + 7, 'x'))).ok());
    HotCache cache(4 * HotCache::kPiece);
    auto content = open(dir / "f");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.piece(content, 10).value()->size(), 7u);
    EXPECT_EQ(cache.reads(), 1u);
    for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(cache.piece(content, i).ok());
    EXPECT_LE(cache.bytes(), 4 * HotCache::kPiece);
    EXPECT_EQ(cache.piece(open(dir / "f"), 9).value()->size(), HotCache::kPiece);  // opened anew: the same content
    EXPECT_EQ(cache.reads(), 11u);
}

TEST(TftpHot, a_file_changed_while_it_is_read_is_named) {
    auto dir = TempDir::create("tftp").value();
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes("one")).ok());
    HotCache cache;
    auto old = open(dir / "f");
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes("two")).ok());  // by rename: the open one stays as it was
    EXPECT_EQ(as_text(*cache.piece(open(dir / "f"), 0).value()), "two");
    auto written = open(dir / "f");
    std::filesystem::last_write_time(dir / "f", std::filesystem::file_time_type::clock::now() - 1h);
    HotCache cold;
    EXPECT_TRUE(cold.piece(written, 0).error().is(errors::kChanged));
}

TEST(TftpErrors, an_answer_is_cut_to_the_request) {
    ErrorPacket error{ErrorCode::FileNotFound, "file not found"};
    EXPECT_EQ(encode_error(error, 512).size(), 19u);
    EXPECT_EQ(encode_error(error, 10).size(), 10u);
    EXPECT_EQ(encode_error(error, 3).size(), 5u);
}
