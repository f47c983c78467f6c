// SPDX-License-Identifier: GPL-3.0-or-later
// A disk that is being repaired is nobody else's.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/fixup/claim.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/operations.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::console;
namespace fs = std::filesystem;

namespace {

class Claim : public testing::Test {
protected:
    void SetUp() override {
        std::ofstream(raw).close();
        fs::resize_file(raw, 4u << 20);
        ASSERT_TRUE(disks::create_vhd(vhd, disks::VhdKind::Dynamic, 4u << 20).ok());
    }
    template <typename T>
    static void expect_in_use(const Result<T>& claimed) {
        ASSERT_FALSE(claimed.ok());
        EXPECT_TRUE(claimed.error().is(disks::errors::kVhdInUse)) << claimed.error().describe();
    }
    TempDir dir = TempDir::create("claim").value();
    fs::path raw = dir / "a.img", vhd = dir / "a.vhd";
};

}  // namespace

TEST_F(Claim, a_disk_under_repair_is_refused_to_a_second_one_and_to_qemu) {
    for (const auto& path : {raw, vhd}) {
        auto first = open_claimed(path, false);
        ASSERT_TRUE(first.ok()) << first.error().describe();
        EXPECT_TRUE(first->disk->writable());
        expect_in_use(open_claimed(path, false));
        expect_in_use(open_claimed(path, true));
        expect_in_use(claim_disk(path, false));
        const auto qemu =
            run_command({"qemu-io", "-f", path == raw ? "raw" : "vpc", "-c", "write 0 512", path.string()});
        ASSERT_TRUE(qemu.ok());
        EXPECT_NE(qemu->exit_code, 0) << qemu->output;
        first = make_error(disks::errors::kVhdInUse, "let go");
        EXPECT_TRUE(open_claimed(path, false).ok());
    }
}

TEST_F(Claim, dry_runs_share_a_disk_and_keep_writers_out) {
    for (const auto& path : {raw, vhd}) {
        auto first = open_claimed(path, true);
        ASSERT_TRUE(first.ok()) << first.error().describe();
        EXPECT_FALSE(first->disk->writable());
        EXPECT_TRUE(open_claimed(path, true).ok());
        EXPECT_TRUE(claim_disk(path, true).ok());
        expect_in_use(claim_disk(path, false));
        expect_in_use(open_claimed(path, false));
    }
}

TEST_F(Claim, a_difference_is_written_and_what_it_is_built_on_stays_as_it_is) {
    const auto child = dir / "try.vhd";
    ASSERT_TRUE(disks::create_difference(vhd, child).ok());
    const auto before = read_file(vhd).value();
    for (const auto& refused : {open_claimed(vhd, false).error(), claim_disk(vhd, false).error()})
        EXPECT_TRUE(refused.is(disks::errors::kVhdHasChildren)) << refused.describe();
    EXPECT_TRUE(open_claimed(vhd, true).ok());
    auto claimed = open_claimed(child, false);
    ASSERT_TRUE(claimed.ok()) << claimed.error().describe();
    ASSERT_TRUE(claimed->disk->write(4096, Bytes(512, std::byte{7})).ok());
    ASSERT_TRUE(claimed->disk->flush().ok());
    EXPECT_EQ(read_file(vhd).value(), before);
}

TEST_F(Claim, a_file_that_is_mounted_by_a_loop_device_is_refused) {
    if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs root and loop devices";
    ASSERT_TRUE(run_checked({"mke2fs", "-q", "-t", "ext4", "-F", raw.string()}).ok());
    const auto place = dir / "mnt";
    fs::create_directory(place);
    ASSERT_TRUE(run_checked({"mount", "-o", "loop", raw.string(), place.string()}).ok());
    const auto claimed = open_claimed(raw, false);
    const auto direct = claim_disk(raw, true);
    ASSERT_TRUE(run_checked({"umount", place.string()}).ok());
    ASSERT_FALSE(claimed.ok());
    EXPECT_EQ(claimed.error().name(), "console.disk-in-use");
    EXPECT_FALSE(direct.ok());
}
