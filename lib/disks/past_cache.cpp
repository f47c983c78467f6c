// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/past_cache.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "lib/base/errors.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint64_t kAlignment = 4096;  // enough for sectors of either size, and for memory
constexpr std::uint64_t kPiece = 1u << 20;

struct Free {
    void operator()(std::byte* p) const { std::free(p); }
};
using Aligned = std::unique_ptr<std::byte, Free>;

Aligned aligned(std::uint64_t bytes) { return Aligned(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes))); }

constexpr std::uint64_t up(std::uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

bool is_aligned(std::span<std::byte> buffer, std::uint64_t offset) {
    return (reinterpret_cast<std::uintptr_t>(buffer.data()) | buffer.size() | offset) % kAlignment == 0;
}

}  // namespace

PastCache PastCache::open(int fd) {
    // By its number: its name may be another's by now, or none.
    auto direct = open_fd(fmt::format("/proc/self/fd/{}", fd), O_RDONLY | O_DIRECT | O_NONBLOCK);
    if (!direct) return {};
    // Some take the flag and refuse the read; one of our alignment, too. A sector that cannot be read is no such case.
    auto probe = aligned(kAlignment);
    if (!probe || (::pread(direct->get(), probe.get(), kAlignment, 0) < 0 && (errno == EINVAL || errno == EOPNOTSUPP)))
        return {};
    return PastCache(std::move(*direct));
}

Result<std::size_t> PastCache::read(std::span<std::byte> buffer, std::uint64_t offset) const {
    if (is_aligned(buffer, offset)) return pread_full(fd_.get(), buffer, offset);
    const auto most = std::min(kPiece, up(offset % kAlignment + buffer.size()));
    auto bounce = aligned(most);
    if (!bounce) return errno_error(ENOMEM, "a buffer to read the medium");
    std::size_t done = 0;
    while (done < buffer.size()) {
        const auto skip = (offset + done) % kAlignment;
        const auto ask = std::min(most, up(skip + buffer.size() - done));
        // The end of a file or device need not be aligned: a short read is its last.
        const auto n = TRY(pread_full(fd_.get(), {bounce.get(), ask}, offset + done - skip));
        if (n <= skip) break;
        const auto took = std::min<std::size_t>(n - skip, buffer.size() - done);
        std::copy_n(bounce.get() + skip, took, buffer.begin() + static_cast<std::ptrdiff_t>(done));
        done += took;
        if (n < ask) break;
    }
    return done;
}

void forget_cached(int fd) {
    // The one is for block devices and asks more of the kernel than the other, which all files have.
    (void)::ioctl(fd, BLKFLSBUF, 0);
    (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace slipway::disks
