// SPDX-License-Identifier: GPL-3.0-or-later
// What the VHD tests share: content, a directory of disks, files whose N-th operation fails.
#pragma once

#include <atomic>
#include <cstdlib>
#include <random>

#include "lib/disks/errors.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::disks::test {

namespace fs = std::filesystem;

inline Bytes content_of(BlockDevice& disk) {
    Bytes all(disk.size());
    auto done = disk.read(0, all);
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().describe());
    return all;
}

inline Bytes content_of(const fs::path& path) {
    auto disk = open_disk(path, OpenMode::ReadOnly);
    EXPECT_TRUE(disk.ok()) << (disk.ok() ? "" : disk.error().describe());
    return disk.ok() ? content_of(**disk) : Bytes{};
}

// Writes of any alignment, some of zeroes, some discards, to a disk and to what it should hold.
inline void scribble(BlockDevice& disk, Bytes& model, unsigned seed, int count = 30) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < count; ++i) {
        auto length = std::min<std::uint64_t>(1 + random() % (random() % 4 ? 5000 : 300000), model.size());
        auto at = random() % (model.size() - length + 1);
        auto kind = random() % 8;
        Bytes bytes = kind == 0 ? Bytes(length) : pattern(length, seed + static_cast<unsigned>(i));
        if (kind == 1) {
            auto zero = disk.discard(at, length);
            ASSERT_TRUE(zero.ok()) << zero.error().describe();
            // A discard that does not promise zeroes leaves anything; make it known again.
            if (*zero) bytes.assign(length, std::byte{0});
            else ASSERT_TRUE(disk.write(at, bytes).ok());
        } else {
            auto done = disk.write(at, bytes);
            ASSERT_TRUE(done.ok()) << done.error().describe();
        }
        std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<std::ptrdiff_t>(at));
    }
}

// A disk of that kind in a new file, with content.
inline Bytes make_vhd(const fs::path& path, VhdKind kind, std::uint64_t size, unsigned seed,
                      std::uint32_t block_bytes = kVhdBlockBytes) {
    Bytes model(size);
    auto disk = create_vhd(path, kind, size, block_bytes);
    EXPECT_TRUE(disk.ok()) << (disk.ok() ? "" : disk.error().describe());
    scribble(**disk, model, seed);
    EXPECT_TRUE((*disk)->flush().ok());
    return model;
}

inline void add_to(const fs::path& path, Bytes& model, unsigned seed) {
    auto disk = open_vhd(path, OpenMode::ReadWrite);
    ASSERT_TRUE(disk.ok()) << disk.error().describe();
    scribble(**disk, model, seed);
    ASSERT_TRUE((*disk)->flush().ok());
}

inline std::string findings_of(const fs::path& path) {
    auto report = check_vhd(path, false);
    if (!report.ok()) return report.error().describe();
    std::string text;
    for (const auto& f : report->findings) text += f.text + "\n";
    return text;
}

inline fs::path shared_vhd(const std::string& name) {
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    return (given ? fs::path(given) : fs::path(SLIPWAY_SOURCE_DIR) / "../shared/data") / "vhd" / (name + ".xz");
}

// Fails the N-th change (from 0); for good, as a kill does: half of that write is done and nothing after it.
class FailingFiles : public vhd::Files {
public:
    explicit FailingFiles(int fail_at, bool for_good = false) : fail_at_(fail_at), for_good_(for_good) {}
    int changes() const { return count_.load(); }
    bool failed() const { return count_.load() > fail_at_; }

    Result<UniqueFd> create(const fs::path& path) override {
        TRY(step());
        return Files::create(path);
    }
    Status write(int fd, ByteView data, std::uint64_t offset) override {
        if (auto may = step(); !may.ok()) {
            if (count_.load() == fail_at_ + 1) (void)Files::write(fd, data.first(data.size() / 1024 * 512), offset);
            return may;
        }
        return Files::write(fd, data, offset);
    }
    Status clear(int fd, std::uint64_t offset, std::uint64_t length) override {
        TRY(step());
        return Files::clear(fd, offset, length);
    }
    Status truncate(int fd, std::uint64_t size) override {
        TRY(step());
        return Files::truncate(fd, size);
    }
    Status sync(int) override {
        TRY(step());
        return {};  // what the test looks at is in the page cache
    }
    Status rename(const fs::path& from, const fs::path& to, bool replace) override {
        TRY(step());
        return Files::rename(from, to, replace);
    }
    Status remove(const fs::path& path) override {
        TRY(step());
        return Files::remove(path);
    }

private:
    Status step() {
        auto n = count_++;
        if (n == fail_at_ || (for_good_ && n > fail_at_)) return make_error(errors::kWrite, "change {} fails", n);
        return {};
    }
    int fail_at_;
    bool for_good_;
    std::atomic<int> count_{0};
};

}  // namespace slipway::disks::test
