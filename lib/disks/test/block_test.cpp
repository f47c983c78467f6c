// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <sys/stat.h>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

TEST(FileDisk, a_fifo_is_refused_and_not_waited_for) {
    auto dir = TempDir::create("disks").value();
    ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
    auto opened = FileDisk::open(dir / "fifo", OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.error().is(slipway::errors::kBadValue));
}

// It has its name when it has its size: what was cut in between is nobody's target.
TEST(FileDisk, what_cannot_have_its_size_is_not_made) {
    auto dir = TempDir::create("disks").value();
    EXPECT_FALSE(FileDisk::create(dir / "disk", std::uint64_t{1} << 62).ok());
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
    auto made = FileDisk::create(dir / "disk", 1 << 20).value();
    ASSERT_TRUE(made->write(4096, as_bytes("content")).ok());
    EXPECT_EQ(std::filesystem::file_size(dir / "disk"), 1u << 20);
    EXPECT_TRUE(FileDisk::create(dir / "disk", 1 << 20).error().is(slipway::errors::kExists));
}

TEST(Layers, a_window_stays_inside_and_read_only_refuses) {
    MemoryDisk disk(4096);
    OffsetLayer window(disk, 512, 1024);
    ASSERT_TRUE(window.write(1020, as_bytes("abcd")).ok());
    EXPECT_EQ(disk.content()[512 + 1020], std::byte{'a'});
    EXPECT_TRUE(window.write(1021, as_bytes("abcd")).error().is(disks::errors::kRange));
    ReadOnlyLayer frozen(disk);
    EXPECT_TRUE(frozen.write(0, as_bytes("x")).error().is(disks::errors::kReadOnly));
    EXPECT_FALSE(frozen.discard(0, 1).ok());
    int left = 1;
    FaultLayer faulty(disk, [&](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == FaultLayer::Op::Read && left-- == 0) return make_error(disks::errors::kRead, "injected");
        return {};
    });
    Bytes buffer(16);
    EXPECT_TRUE(faulty.read(0, buffer).ok());
    EXPECT_FALSE(faulty.read(0, buffer).ok());
}
