// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/copy.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fcntl.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/sparse.hpp"

namespace slipway::disks::vhd {

namespace {

constexpr std::uint64_t kFlatBlock = 2u << 20;
constexpr std::uint64_t kGrain = 64u << 10;  // zeroes in shorter runs are written

// Hands out the blocks that may hold data, in order, to several threads.
class Cursor {
public:
    Cursor(BlockDevice& source, std::uint64_t block_bytes) : source_(source), block_bytes_(block_bytes) {}

    // The next block's number; nothing at the end.
    Result<std::optional<std::uint64_t>> next() {
        std::lock_guard lock(mutex_);
        auto offset = next_ * block_bytes_;
        if (offset >= source_.size()) return std::optional<std::uint64_t>{};
        if (offset >= range_.offset + range_.length || range_.length == 0) {
            range_ = TRY(source_.next_data(offset));
            if (range_.length == 0) {
                next_ = source_.size();
                return std::optional<std::uint64_t>{};
            }
        }
        next_ = std::max(next_, range_.offset / block_bytes_);
        return std::optional(next_++);
    }

private:
    BlockDevice& source_;
    std::uint64_t block_bytes_;
    std::mutex mutex_;  // guards what follows
    std::uint64_t next_ = 0;
    DataRange range_;
};

// Calls step(offset, length) for each run of grains of `bytes` that are not all zero.
template <typename Step>
Status each_run(ByteView bytes, Step step) {
    for (std::size_t at = 0; at < bytes.size();) {
        auto grain = [&](std::size_t i) { return bytes.subspan(i, std::min<std::size_t>(kGrain, bytes.size() - i)); };
        if (all_zero(grain(at))) {
            at += grain(at).size();
            continue;
        }
        auto end = at + grain(at).size();
        while (end < bytes.size() && !all_zero(grain(end))) end += grain(end).size();
        TRY(step(at, end - at));
        at = end;
    }
    return {};
}

// Sends what was written towards the disk at once, so that the fsync at the end finds little to do.
void start_writeback(int fd, std::uint64_t offset, std::uint64_t length) {
    if (fd >= 0)
        (void)::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(length), SYNC_FILE_RANGE_WRITE);
}

// Runs put(block, bytes, data_bytes) for every block that may hold data. `put` is called from several threads.
class Copier {
public:
    using Put = std::function<Status(std::uint64_t block, std::uint64_t offset, ByteView bytes)>;
    Copier(BlockDevice& source, std::uint64_t block_bytes, const VhdWork& work, Put put)
        : source_(source), block_bytes_(block_bytes), work_(work), put_(std::move(put)), cursor_(source, block_bytes) {}

    Status run() {
        auto workers = std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
        std::vector<std::jthread> threads;
        {
            std::lock_guard lock(mutex_);
            running_ = workers;
        }
        for (unsigned i = 0; i < workers; ++i) threads.emplace_back([this] { work(); });
        std::unique_lock lock(mutex_);
        while (running_ != 0) {
            ended_.wait_for(lock, std::chrono::milliseconds(200));
            if (work_.progress) work_.progress({reached_.load(), source_.size(), "copying"});
        }
        if (!failed_.ok()) return std::move(failed_);
        if (work_.progress) work_.progress({source_.size(), source_.size(), "copying"});
        return {};
    }

private:
    void work() {
        auto done = copy();
        std::lock_guard lock(mutex_);
        if (!done.ok()) {
            stop_.store(true);
            if (failed_.ok()) failed_ = std::move(done);
        }
        --running_;
        ended_.notify_all();
    }

    Status copy() {
        Bytes buffer(block_bytes_);
        while (!stop_.load()) {
            if (work_.cancel && work_.cancel->load()) return make_error(errors::kVhdCancelled, "stopped on request");
            auto block = TRY(cursor_.next());
            if (!block) break;
            auto offset = *block * block_bytes_;
            auto bytes = std::span(buffer).first(std::min(block_bytes_, source_.size() - offset));
            TRY(source_.read(offset, bytes));
            TRY(put_(*block, offset, bytes));
            for (auto seen = reached_.load(); seen < offset + bytes.size();)
                if (reached_.compare_exchange_weak(seen, offset + bytes.size())) break;
        }
        return {};
    }

    BlockDevice& source_;
    std::uint64_t block_bytes_;
    const VhdWork& work_;
    Put put_;
    Cursor cursor_;
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> reached_{0};
    std::mutex mutex_;  // guards failed_ and running_
    std::condition_variable ended_;
    Status failed_;
    unsigned running_ = 0;
};

}  // namespace

Result<CopyReport> copy_flat(BlockDevice& source, File& out, const VhdWork& work) {
    TRY(out.truncate(source.size()));
    std::atomic<std::uint64_t> data{0};
    Copier copier(source, kFlatBlock, work, [&](std::uint64_t, std::uint64_t offset, ByteView bytes) -> Status {
        return each_run(bytes, [&](std::size_t at, std::size_t length) -> Status {
            data += length;
            TRY(out.files().write(out.fd(), bytes.subspan(at, length), offset + at));
            start_writeback(out.fd(), offset + at, length);
            return {};
        });
    });
    TRY(copier.run());
    return CopyReport{data.load()};
}

Result<CopyReport> copy_dynamic(BlockDevice& source, File& out, Image image, const VhdWork& work) {
    TRY(write_empty(out, image, {}));
    const auto bitmap_bytes = image.header.bitmap_bytes();
    const Bytes bitmap(bitmap_bytes, std::byte{0xff});
    const auto block_bytes = std::uint64_t{image.header.block_bytes};
    std::atomic<std::uint64_t> data{0};
    std::mutex mutex;  // guards the table and the end
    // Room for every block's end: nothing in the file is named before the table is written, at the end.
    auto place = [&](std::uint64_t block) -> Result<std::uint64_t> {
        std::lock_guard lock(mutex);
        auto start = SparseDisk::place_behind(image.end, bitmap_bytes);
        if (start / kSectorBytes >= kUnallocated)
            return make_error(errors::kVhdTooLarge, "the file is too large for another block");
        image.table[block] = static_cast<std::uint32_t>(start / kSectorBytes);
        image.end = start + bitmap_bytes + block_bytes;
        return start;
    };
    Copier copier(source, block_bytes, work, [&](std::uint64_t block, std::uint64_t, ByteView bytes) -> Status {
        std::optional<std::uint64_t> start;
        TRY(each_run(bytes, [&](std::size_t at, std::size_t length) -> Status {
            if (!start) {
                start = TRY(place(block));
                TRY(out.files().write(out.fd(), bitmap, *start));
            }
            data += length;
            return out.files().write(out.fd(), bytes.subspan(at, length), *start + bitmap_bytes + at);
        }));
        if (start) start_writeback(out.fd(), *start, bitmap_bytes + block_bytes);
        return {};
    });
    TRY(copier.run());
    // The old footer, behind the empty table, lies in the gap before the first block.
    TRY(out.write(image.end, encode_footer(image.footer)));
    TRY(out.write(image.header.table_offset, encode_table(image.table)));
    return CopyReport{data.load()};
}

}  // namespace slipway::disks::vhd
