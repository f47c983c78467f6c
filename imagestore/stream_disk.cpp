// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/stream_disk.hpp"

#include <algorithm>

#include <poll.h>
#include <unistd.h>

#include "imagestore/errors.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::imagestore {

// The kept pieces as a disk, zero elsewhere.
class StreamDisk::Kept final : public disks::BlockDevice {
public:
    Kept(const StreamDisk& stream, std::uint64_t size) : stream_(stream), size_(size) {}
    std::uint64_t size() const override { return size_; }
    unsigned sector_size() const override { return stream_.sector_; }
    bool writable() const override { return false; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        std::fill(buffer.begin(), buffer.end(), std::byte{0});
        take(0, stream_.first_, offset, buffer);
        take(stream_.start_ - stream_.previous_.size(), stream_.previous_, offset, buffer);
        take(stream_.start_, stream_.chunk_, offset, buffer);
        for (const auto& [at, bytes] : stream_.records_) take(at, bytes, offset, buffer);
        return {};
    }
    Status write(std::uint64_t, ByteView) override { return make_error(disks::errors::kReadOnly, "a pipe"); }
    Result<bool> discard(std::uint64_t, std::uint64_t) override {
        return make_error(disks::errors::kReadOnly, "a pipe");
    }
    Status flush() override { return {}; }

private:
    static void take(std::uint64_t at, const Bytes& piece, std::uint64_t offset, std::span<std::byte> out) {
        auto from = std::max(at, offset), to = std::min(at + piece.size(), offset + out.size());
        if (from >= to) return;
        std::copy(piece.begin() + static_cast<std::ptrdiff_t>(from - at),
                  piece.begin() + static_cast<std::ptrdiff_t>(to - at),
                  out.begin() + static_cast<std::ptrdiff_t>(from - offset));
    }
    const StreamDisk& stream_;
    std::uint64_t size_;
};

Result<bool> StreamDisk::advance() {
    if (ended_) return false;
    previous_.swap(chunk_);
    start_ = size_;
    chunk_.resize(kChunkBytes);
    std::size_t got = 0;
    while (got < kChunkBytes) {
        pollfd ready{fd_, POLLIN, 0};
        int events = ::poll(&ready, 1, 200);
        if (cancel_ && cancel_->load(std::memory_order_relaxed))
            return make_error(errors::kCancelled, "the capture was cancelled");
        if (events == 0 || (events < 0 && errno == EINTR)) continue;
        auto n = ::read(fd_, chunk_.data() + got, kChunkBytes - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return slipway::errno_error(errno, "reading the pipe");
        if (n == 0) {
            ended_ = true;
            break;
        }
        got += static_cast<std::size_t>(n);
    }
    chunk_.resize(got);
    size_ += got;
    if (size_ > kMaxDiskBytes) return make_error(disks::errors::kRange, "the pipe brings more than any disk has");
    if (start_ == 0) {
        first_ = chunk_;
        auto is_gpt = [&](std::size_t at) {
            return first_.size() >= at + 8 && as_text(ByteView(first_).subspan(at, 8)) == "EFI PART";
        };
        if (is_gpt(4096) && !is_gpt(512)) sector_ = 4096;
    }
    keep();
    return got > 0;
}

// Follows the chain of boot records: those kept say where the next one will come.
void StreamDisk::keep() {
    if (start_ != 0 && !mbr_) return;
    Kept kept(*this, kMaxDiskBytes);
    auto layout = disks::read_layout(kept);
    mbr_ = layout && layout->table == disks::TableKind::Mbr;
    if (!mbr_) return;
    for (auto at : layout->boot_records) {
        if (at < start_ || at + sector_ > start_ + chunk_.size()) continue;
        auto piece = ByteView(chunk_).subspan(at - start_, sector_);
        records_.insert_or_assign(at, Bytes(piece.begin(), piece.end()));
    }
}

Result<disks::DiskLayout> StreamDisk::layout() {
    Kept kept(*this, size_);
    return disks::read_layout(kept);
}

Status StreamDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    if (offset < start_ || offset + buffer.size() > start_ + chunk_.size())
        return make_error(disks::errors::kRange, "a pipe cannot go back to byte {}", offset);
    std::copy_n(chunk_.begin() + static_cast<std::ptrdiff_t>(offset - start_), buffer.size(), buffer.begin());
    return {};
}

Status StreamDisk::write(std::uint64_t, ByteView) { return make_error(disks::errors::kReadOnly, "a pipe"); }

Result<bool> StreamDisk::discard(std::uint64_t, std::uint64_t) {
    return make_error(disks::errors::kReadOnly, "a pipe");
}

}  // namespace slipway::imagestore
