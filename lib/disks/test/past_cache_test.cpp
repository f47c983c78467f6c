// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <algorithm>
#include <cstring>

#include "lib/disks/test/mounts.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

Bytes read_of(BlockDevice& disk, std::uint64_t offset, std::size_t length) {
    Bytes out(length);
    auto read = disk.read(offset, out);
    EXPECT_TRUE(read.ok()) << read.error().describe();
    return out;
}

}  // namespace

TEST(PastCache, any_offset_and_length_is_read_up_to_an_odd_end) {
    auto dir = TempDir::create("past-cache").value();
    const auto content = pattern(3 * kMiB + 777, 5);
    auto disk = FileDisk::create(dir / "disk", content.size()).value();
    ASSERT_TRUE(disk->write(0, content).ok());
    auto past = disk->read_past_cache();
    ASSERT_TRUE(past.ok()) << past.error().describe();
    if (!*past) GTEST_SKIP() << dir.path() << " knows no reads past the cache";
    for (auto [offset, length] : std::vector<std::pair<std::uint64_t, std::size_t>>{{0, content.size()},
                                                                                    {1, 1},
                                                                                    {511, 4097},
                                                                                    {4096, 4096},
                                                                                    {kMiB - 1, kMiB + 2},
                                                                                    {content.size() - 1, 1},
                                                                                    {3 * kMiB + 5, 772},
                                                                                    {content.size(), 0}})
        EXPECT_TRUE(std::ranges::equal(read_of(*disk, offset, length), ByteView(content).subspan(offset, length)))
            << offset << "+" << length;
    // What is written after it is read, too.
    ASSERT_TRUE(disk->write(kMiB + 3, as_bytes("written later")).ok());
    EXPECT_EQ(as_text(read_of(*disk, kMiB + 3, 13)), "written later");
    // Cut behind our back: an error, and not the rest of a buffer.
    std::filesystem::resize_file(dir / "disk", kMiB + 10);
    Bytes out(20);
    EXPECT_TRUE(disk->read(kMiB, std::span(out).first(10)).ok());
    EXPECT_FALSE(disk->read(kMiB, out).ok());
}

// The kernel keeps what could not be written, as clean as if it had been, while anybody holds the device open.
TEST(PastCache, what_a_failed_write_left_in_memory_is_not_on_the_disk) {
    auto dir = TempDir::create("past-cache").value();
    auto small = SmallTmpfs::mount(dir / "small", 2 * kMiB);
    if (!small) GTEST_SKIP() << "no tmpfs can be mounted here";
    make_file(small->path() / "disk", 4 * kMiB);
    auto loop = LoopDevice::attach(small->path() / "disk");
    if (!loop) GTEST_SKIP() << "no loop device can be had here";
    auto reader = FileDisk::open(loop->path(), OpenMode::ReadOnly).value();
    auto disk = FileDisk::open(loop->path(), OpenMode::ReadWrite).value();
    const auto content = pattern(4 * kMiB, 6);
    ASSERT_TRUE(disk->write(0, content).ok());
    ASSERT_FALSE(disk->flush().ok());  // told once
    ASSERT_TRUE(disk->flush().ok());
    // Mapped pages are those that BLKFLSBUF leaves.
    auto* map = ::mmap(nullptr, content.size(), PROT_READ, MAP_SHARED | MAP_POPULATE, reader->fd(), 0);
    ASSERT_NE(map, MAP_FAILED);
    ASSERT_TRUE(read_of(*disk, 0, content.size()) == content) << "memory has lost it: this shows nothing";
    ASSERT_TRUE(disk->read_past_cache().value());
    EXPECT_EQ(std::memcmp(map, content.data(), content.size()), 0);
    EXPECT_FALSE(read_of(*disk, 0, content.size()) == content);
    // Nor does one that was open all the while believe its memory, once it has been told of the error, too.
    EXPECT_FALSE(reader->read_past_cache().ok());
    ASSERT_TRUE(reader->read_past_cache().value());
    EXPECT_FALSE(read_of(*reader, 0, content.size()) == content);
    ::munmap(map, content.size());
}

TEST(PastCache, a_vhd_is_read_from_the_medium_with_its_bitmaps_and_table) {
    for (auto kind : {VhdKind::Fixed, VhdKind::Dynamic}) {
        auto dir = TempDir::create("past-cache").value();
        make_file(dir / "medium", 32 * kMiB);
        run({"mke2fs", "-q", "-t", "ext4", "-F", (dir / "medium").string()});
        auto mount = LoopMount::mount(dir / "medium", dir / "mnt");
        if (!mount) GTEST_SKIP() << "no image can be mounted here";
        auto disk = create_vhd(mount->path() / "disk.vhd", kind, 8 * kMiB).value();
        const auto content = pattern(kMiB, 7);
        ASSERT_TRUE(disk->write(3 * kMiB, content).ok());
        ASSERT_TRUE(disk->flush().ok());
        auto medium = FileDisk::open(dir / "medium", OpenMode::ReadWrite).value();
        const auto all = read_of(*medium, 0, medium->size());
        auto place = std::search(all.begin(), all.end(), content.begin(), content.begin() + 4096);
        ASSERT_NE(place, all.end());
        ASSERT_TRUE(medium->write(static_cast<std::uint64_t>(place - all.begin()), as_bytes("spoiled")).ok());
        ASSERT_TRUE(read_of(*disk, 3 * kMiB, kMiB) == content) << "memory has lost it: this shows nothing";
        ASSERT_TRUE(disk->read_past_cache().value());
        EXPECT_EQ(as_text(read_of(*disk, 3 * kMiB, 7)), "spoiled");
        EXPECT_TRUE(std::ranges::equal(read_of(*disk, 3 * kMiB + 7, kMiB - 7), ByteView(content).subspan(7)));
        if (kind == VhdKind::Fixed) continue;
        // Its table behind footer copy and header, with the one block in it.
        Bytes entry{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
        auto file = FileDisk::open(mount->path() / "disk.vhd", OpenMode::ReadWrite).value();
        ASSERT_TRUE(file->write(1536 + 4, entry).ok());
        EXPECT_FALSE(disk->read_past_cache().ok());
    }
}
