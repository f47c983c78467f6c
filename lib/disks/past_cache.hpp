// SPDX-License-Identifier: GPL-3.0-or-later
// Reads of an open file or block device that come from the medium and not from the kernel's page cache. After a write
// to the medium has failed the cache still holds what was meant to be there, as clean as if it were, and the error is
// told once: whoever then reads through the cache reads what the medium has not.
#pragma once

#include <span>

#include "lib/base/fd.hpp"

namespace slipway::disks {

class PastCache {
public:
    // Of a file that is open as `fd`: a second opening of it, with O_DIRECT. Not valid() where the file system, or its
    // device, has no such reads. They see what was written before through any descriptor: the kernel writes it first.
    static PastCache open(int fd);
    PastCache() = default;
    bool valid() const { return fd_.valid(); }
    // As pread_full, of any alignment; takes up to 1 MiB for its time where that is not the device's own. Safe from
    // several threads.
    Result<std::size_t> read(std::span<std::byte> buffer, std::uint64_t offset) const;

private:
    explicit PastCache(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

// What the cache holds of the file, and is neither dirty nor in use, is dropped; the kernel decides. For after an
// fsync.
void forget_cached(int fd);

}  // namespace slipway::disks
