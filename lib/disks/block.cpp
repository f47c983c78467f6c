// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/block.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/files.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::disks {

Status BlockDevice::check_range(std::uint64_t offset, std::uint64_t length) const {
    if (offset > size() || length > size() - offset)
        return make_error(errors::kRange, "bytes {}+{} are past the end of a disk of {} bytes", offset, length, size());
    return {};
}

Result<std::unique_ptr<FileDisk>> FileDisk::open(const std::filesystem::path& path, OpenMode mode) {
    struct stat st {};
    // Looked at before it is opened: opening a FIFO waits for its other end, for ever.
    if (::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return make_error(slipway::errors::kBadValue, "{} is neither a file nor a block device", path.string());
    auto fd = TRY(open_fd(path, mode == OpenMode::ReadWrite ? O_RDWR : O_RDONLY));
    std::unique_ptr<FileDisk> disk(new FileDisk(std::move(fd), mode));
    if (::fstat(disk->fd(), &st) != 0) return errno_error(errno, path.string());
    if (S_ISREG(st.st_mode)) {
        disk->size_ = static_cast<std::uint64_t>(st.st_size);
        disk->fresh_ = st.st_blocks == 0;
        return disk;
    }
    int sector = 0;
    if (::ioctl(disk->fd(), BLKGETSIZE64, &disk->size_) != 0 || ::ioctl(disk->fd(), BLKSSZGET, &sector) != 0)
        return errno_error(errno, path.string());
    disk->sector_size_ = static_cast<unsigned>(sector);
    disk->block_device_ = true;
    return disk;
}

Result<std::unique_ptr<FileDisk>> FileDisk::create(const std::filesystem::path& path, std::uint64_t size) {
    auto made = TRY(vhd::NewFile::create(vhd::real_files(), path));
    TRY_WITH(made.file().truncate(size), path.string());
    TRY(made.publish());
    UniqueFd fd(::fcntl(made.file().fd(), F_DUPFD_CLOEXEC, 3));
    if (!fd.valid()) return errno_error(errno, path.string());
    std::unique_ptr<FileDisk> disk(new FileDisk(std::move(fd), OpenMode::ReadWrite));
    disk->size_ = size;
    disk->fresh_ = true;
    return disk;
}

Status FileDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    auto n = direct_.valid() ? direct_.read(buffer, offset) : pread_full(fd_.get(), buffer, offset);
    if (!n.ok()) return make_error(errors::kRead, "{}", n.error().message());
    if (*n != buffer.size())
        return make_error(errors::kRange, "the file was cut while it was read, at byte {}", offset + *n);
    return {};
}

Status FileDisk::write(std::uint64_t offset, ByteView data) {
    if (!writable()) return make_error(errors::kReadOnly, "a write to a disk opened read-only");
    TRY(check_range(offset, data.size()));
    TRY(pwrite_full(fd_.get(), data, offset));
    if (unhinted_.fetch_add(data.size()) + data.size() >= kWritebackBytes) {
        unhinted_ = 0;
        start_writeback(fd_.get(), 0, 0);  // to the end of the file
    }
    return {};
}

Result<bool> FileDisk::discard(std::uint64_t offset, std::uint64_t length) {
    if (!writable()) return make_error(errors::kReadOnly, "a discard on a disk opened read-only");
    TRY(check_range(offset, length));
    if (length == 0) return true;
    // On block devices the kernel turns this into write-zeroes with unmap, which reads back as zero.
    if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) == 0)
        return true;
    if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL || errno == ENODEV) return false;
    return errno_error(errno, "discard");
}

Status FileDisk::flush() { return fsync_fd(fd_.get(), "the disk"); }

Result<bool> FileDisk::read_past_cache() {
    TRY(flush());
    forget_cached(fd_.get());
    if (!direct_.valid()) direct_ = PastCache::open(fd_.get());
    return direct_.valid();
}

Result<DataRange> FileDisk::next_data(std::uint64_t offset) {
    if (block_device_) return BlockDevice::next_data(offset);
    return file_data_range(fd_.get(), offset, size_);
}

Result<DataRange> file_data_range(int fd, std::uint64_t offset, std::uint64_t size) {
    if (offset >= size) return DataRange{};
    auto data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return DataRange{};
    // A file system that knows no holes says EINVAL: then all of it may be data.
    auto start = data < 0 ? offset : static_cast<std::uint64_t>(data);
    if (start >= size) return DataRange{};
    auto hole = ::lseek(fd, static_cast<off_t>(start), SEEK_HOLE);
    auto end = hole < 0 ? size : std::min(size, static_cast<std::uint64_t>(hole));
    // A hole punched between the two calls leaves nothing: then all the rest may be data.
    return DataRange{start, (end > start ? end : size) - start};
}

Result<std::unique_ptr<BlockDevice>> open_disk(const std::filesystem::path& path, OpenMode mode) {
    if (looks_like_vhd(path)) return open_vhd(path, mode);
    return std::unique_ptr<BlockDevice>(TRY(FileDisk::open(path, mode)));
}

Status MemoryDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
    return {};
}

Status MemoryDisk::write(std::uint64_t offset, ByteView data) {
    TRY(check_range(offset, data.size()));
    std::copy(data.begin(), data.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
}

Result<bool> MemoryDisk::discard(std::uint64_t offset, std::uint64_t length) {
    TRY(check_range(offset, length));
    std::fill_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return true;
}

Status OffsetLayer::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    return below_.read(start_ + offset, buffer);
}

Status OffsetLayer::write(std::uint64_t offset, ByteView data) {
    TRY(check_range(offset, data.size()));
    return below_.write(start_ + offset, data);
}

Result<bool> OffsetLayer::discard(std::uint64_t offset, std::uint64_t length) {
    TRY(check_range(offset, length));
    return below_.discard(start_ + offset, length);
}

Status ReadOnlyLayer::write(std::uint64_t, ByteView) {
    return make_error(errors::kReadOnly, "a write below a read-only layer");
}

Result<bool> ReadOnlyLayer::discard(std::uint64_t, std::uint64_t) {
    return make_error(errors::kReadOnly, "a discard below a read-only layer");
}

Status StatsLayer::read(std::uint64_t offset, std::span<std::byte> buffer) {
    ++counters_.reads;
    counters_.read_bytes += buffer.size();
    return below_.read(offset, buffer);
}

Status StatsLayer::write(std::uint64_t offset, ByteView data) {
    ++counters_.writes;
    counters_.written_bytes += data.size();
    return below_.write(offset, data);
}

Result<bool> StatsLayer::discard(std::uint64_t offset, std::uint64_t length) {
    ++counters_.discards;
    return below_.discard(offset, length);
}

Status StatsLayer::flush() {
    ++counters_.flushes;
    return below_.flush();
}

Result<bool> StatsLayer::read_past_cache() {
    ++counters_.flushes;
    return below_.read_past_cache();
}

Status FaultLayer::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(rule_(Op::Read, offset, buffer.size()));
    return below_.read(offset, buffer);
}

Status FaultLayer::write(std::uint64_t offset, ByteView data) {
    TRY(rule_(Op::Write, offset, data.size()));
    return below_.write(offset, data);
}

Result<bool> FaultLayer::discard(std::uint64_t offset, std::uint64_t length) {
    TRY(rule_(Op::Discard, offset, length));
    return below_.discard(offset, length);
}

Status FaultLayer::flush() {
    TRY(rule_(Op::Flush, 0, 0));
    return below_.flush();
}

Result<bool> FaultLayer::read_past_cache() {
    TRY(rule_(Op::Flush, 0, 0));
    return below_.read_past_cache();
}

}  // namespace slipway::disks
