// SPDX-License-Identifier: GPL-3.0-or-later
// Every change that an operation makes to a file fails once, for each of them, and once everything after it too, as a
// kill in the middle of a write does. Afterwards sources and parents are intact, and the file is the old one or the new
// one, or `check` says what is wrong and mends it.
#include <gtest/gtest.h>

#include "lib/base/log.hpp"
#include "lib/disks/test/vhd_bench.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kSize = 256u << 10;
constexpr std::uint32_t kBlock = 16u << 10;  // many blocks in little space

class VhdFaults : public testing::TestWithParam<bool> {
protected:
    TempDir dir = TempDir::create("vhd").value();

    void SetUp() override { log::set_threshold(log::Level::Error); }  // each parent was written since, on purpose
    void TearDown() override { log::set_threshold(log::Level::Info); }

    // Runs `attempt` with files whose N-th change fails, for N = 0, 1, … until none failed. `prepare` comes before and
    // `judge(failed)` after each.
    template <typename Prepare, typename Attempt, typename Judge>
    void sweep(Prepare prepare, Attempt attempt, Judge judge) {
        for (int n = 0; n < 2000; ++n) {
            SCOPED_TRACE("change " + std::to_string(n));
            prepare();
            FailingFiles files(n, GetParam());
            VhdWork work;
            work.files = &files;
            Status done = attempt(work);
            if (!files.failed()) {
                EXPECT_TRUE(done.ok()) << done.error().describe();
                EXPECT_GT(n, 2) << "the operation changes nothing";
                judge(false);
                return;
            }
            judge(!done.ok());
            if (HasFailure()) return;
        }
        FAIL() << "no end of changes";
    }
    void expect_sound_after_repair(const fs::path& path) {
        auto report = check_vhd(path, true);
        ASSERT_TRUE(report.ok()) << report.error().describe();
        EXPECT_TRUE(report->sound()) << findings_of(path);
    }
    std::ptrdiff_t entries() { return std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()); }
};

template <typename T>
Status status_of(const Result<T>& result) {
    if (result.ok()) return {};
    return result.error();
}

}  // namespace

TEST_P(VhdFaults, create_leaves_a_whole_disk_or_none) {
    for (auto kind : {VhdKind::Fixed, VhdKind::Dynamic})
        sweep([&] { fs::remove(dir / "a.vhd"); },
              [&](const VhdWork& w) { return status_of(create_vhd(dir / "a.vhd", kind, kSize, kBlock, w.files)); },
              [&](bool failed) {
                  if (!fs::exists(dir / "a.vhd")) EXPECT_TRUE(failed && entries() == 0);
                  else EXPECT_EQ(findings_of(dir / "a.vhd"), "");
              });
}

TEST_P(VhdFaults, convert_leaves_a_whole_new_file_or_none_and_the_source_as_it_was) {
    make_vhd(dir / "base.vhd", VhdKind::Dynamic, kSize, 1, kBlock);
    ASSERT_TRUE(create_difference(dir / "base.vhd", dir / "child.vhd", kBlock).ok());
    Bytes model = content_of(dir / "base.vhd");
    add_to(dir / "child.vhd", model, 2);
    auto base = read_file(dir / "base.vhd").value(), child = read_file(dir / "child.vhd").value();
    for (auto format : {DiskFormat::Raw, DiskFormat::Fixed, DiskFormat::Dynamic})
        sweep([&] { fs::remove(dir / "new.vhd"); },
              [&](const VhdWork& w) {
                  return status_of(convert_disk({dir / "child.vhd", dir / "new.vhd", format, kBlock, false}, w));
              },
              [&](bool failed) {
                  if (!fs::exists(dir / "new.vhd")) EXPECT_TRUE(failed && entries() == 2);
                  else EXPECT_TRUE(content_of(dir / "new.vhd") == model);
                  EXPECT_TRUE(read_file(dir / "base.vhd").value() == base);
                  EXPECT_TRUE(read_file(dir / "child.vhd").value() == child);
              });
}

TEST_P(VhdFaults, compact_leaves_the_old_file_or_the_new_one) {
    Bytes model = make_vhd(dir / "kept.vhd", VhdKind::Dynamic, kSize, 1, kBlock);
    sweep([&] { fs::copy_file(dir / "kept.vhd", dir / "a.vhd", fs::copy_options::overwrite_existing); },
          [&](const VhdWork& w) { return status_of(compact_vhd(dir / "a.vhd", false, w)); },
          [&](bool) {
              EXPECT_TRUE(content_of(dir / "a.vhd") == model);
              EXPECT_EQ(findings_of(dir / "a.vhd"), "");
              EXPECT_EQ(entries(), 2);
          });
}

TEST_P(VhdFaults, a_merge_that_failed_leaves_the_child_whole_and_is_done_again) {
    for (auto kind : {VhdKind::Dynamic, VhdKind::Fixed}) {
        Bytes model = make_vhd(dir / "kept.vhd", kind, kSize, 1, kBlock);
        fs::copy_file(dir / "kept.vhd", dir / "base.vhd");
        ASSERT_TRUE(create_difference(dir / "base.vhd", dir / "child.vhd", kBlock).ok());
        add_to(dir / "child.vhd", model, 2);
        fs::create_directory(dir / "aside");
        fs::rename(dir / "child.vhd", dir / "aside/child.vhd");
        sweep(
            [&] {
                fs::copy_file(dir / "kept.vhd", dir / "base.vhd", fs::copy_options::overwrite_existing);
                fs::copy_file(dir / "aside/child.vhd", dir / "child.vhd", fs::copy_options::overwrite_existing);
            },
            [&](const VhdWork& w) { return status_of(merge_vhd(dir / "child.vhd", false, w)); },
            [&](bool failed) {
                if (fs::exists(dir / "child.vhd")) {
                    EXPECT_TRUE(failed);
                    EXPECT_TRUE(content_of(dir / "child.vhd") == model);
                    auto again = merge_vhd(dir / "child.vhd", false);
                    ASSERT_TRUE(again.ok()) << again.error().describe();
                }
                EXPECT_TRUE(content_of(dir / "base.vhd") == model);
                expect_sound_after_repair(dir / "base.vhd");
            });
        fs::remove_all(dir / "aside");
        fs::remove(dir / "base.vhd");
        fs::remove(dir / "kept.vhd");
    }
}

TEST_P(VhdFaults, a_growing_that_failed_leaves_the_old_size_or_the_new_one_with_zeroes) {
    constexpr std::uint64_t after = 4u << 20;
    for (auto kind : {VhdKind::Fixed, VhdKind::Dynamic}) {
        Bytes model = make_vhd(dir / "kept.vhd", kind, kSize + 512, 1, kBlock);
        sweep([&] { fs::copy_file(dir / "kept.vhd", dir / "a.vhd", fs::copy_options::overwrite_existing); },
              [&](const VhdWork& w) { return status_of(resize_vhd(dir / "a.vhd", after, w)); },
              [&](bool failed) {
                  expect_sound_after_repair(dir / "a.vhd");
                  auto got = content_of(dir / "a.vhd");
                  EXPECT_TRUE(got.size() == after || (failed && got.size() == model.size()));
                  auto want = model;
                  want.resize(got.size());
                  EXPECT_TRUE(got == want);
              });
        fs::remove(dir / "kept.vhd");
    }
}

TEST_P(VhdFaults, difference_and_reconnect_leave_a_child_that_knows_a_parent) {
    make_vhd(dir / "base.vhd", VhdKind::Dynamic, kSize, 1, kBlock);
    sweep(
        [&] { fs::remove(dir / "child.vhd"); },
        [&](const VhdWork& w) { return status_of(create_difference(dir / "base.vhd", dir / "child.vhd", kBlock, w)); },
        [&](bool failed) {
            if (!fs::exists(dir / "child.vhd")) EXPECT_TRUE(failed);
            else EXPECT_EQ(findings_of(dir / "child.vhd"), "");
        });
    Bytes model = content_of(dir / "base.vhd");
    fs::create_directory(dir / "aside");
    fs::rename(dir / "child.vhd", dir / "aside/child.vhd");
    fs::copy_file(dir / "base.vhd", dir / "aside/moved.vhd");
    sweep([&] { fs::copy_file(dir / "aside/child.vhd", dir / "child.vhd", fs::copy_options::overwrite_existing); },
          [&](const VhdWork& w) { return status_of(reconnect_vhd(dir / "child.vhd", dir / "aside/moved.vhd", w)); },
          [&](bool) {
              auto report = check_vhd(dir / "child.vhd", true);
              ASSERT_TRUE(report.ok());
              EXPECT_FALSE(report->errors_left());
              EXPECT_TRUE(content_of(dir / "child.vhd") == model);
          });
}

TEST_P(VhdFaults, a_disk_that_is_written_keeps_each_sector_old_or_new) {
    Bytes before = make_vhd(dir / "kept.vhd", VhdKind::Dynamic, kSize, 1, kBlock);
    ASSERT_TRUE(create_difference(dir / "kept.vhd", dir / "child.vhd", kBlock).ok());
    fs::copy_file(dir / "child.vhd", dir / "empty.vhd");
    auto piece = pattern(5 * kBlock + 700, 9);
    sweep([&] { fs::copy_file(dir / "empty.vhd", dir / "child.vhd", fs::copy_options::overwrite_existing); },
          [&](const VhdWork& w) -> Status {
              auto opened = TRY(vhd::open_chain(dir / "child.vhd", {OpenMode::ReadWrite, true, w.files}));
              TRY(opened.disk->write(300, piece));
              return opened.disk->flush();
          },
          [&](bool failed) {
              expect_sound_after_repair(dir / "child.vhd");
              auto got = content_of(dir / "child.vhd");
              auto after = before;
              std::copy(piece.begin(), piece.end(), after.begin() + 300);
              for (std::size_t s = 0; s < got.size(); s += 512) {
                  auto same = [&](const Bytes& other) {
                      return std::equal(got.begin() + s, got.begin() + s + 512, other.begin() + s);
                  };
                  ASSERT_TRUE(same(after) || (failed && same(before))) << "sector " << s / 512;
              }
          });
}

INSTANTIATE_TEST_SUITE_P(Kinds, VhdFaults, testing::Bool(), [](const auto& p) { return p.param ? "killed" : "once"; });
