// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/lock.hpp"

#include <fcntl.h>
#include <cerrno>
#include <vector>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks::vhd {

namespace {

constexpr off_t kUsed = 100, kNotShared = 200;
// QEMU's permissions, as bit numbers.
enum Way : off_t { kConsistentRead = 0, kWrite = 1, kResize = 3 };

struct Ways {
    std::vector<off_t> used, refused;  // refused: not shared with others
};

Ways ways_of(Use use) {
    if (use == Use::Read) return {{kConsistentRead}, {kWrite, kResize}};
    return {{kConsistentRead, kWrite, kResize}, {kConsistentRead, kWrite, kResize}};
}

int set_byte(int fd, off_t byte, short type, int command) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    if (::fcntl(fd, command, &lock) != 0) return -1;
    return lock.l_type == F_UNLCK ? 0 : 1;
}

// Another open file holds the byte. Not being able to tell counts as no.
bool held_elsewhere(int fd, off_t byte) { return set_byte(fd, byte, F_WRLCK, F_OFD_GETLK) == 1; }

}  // namespace

bool in_use(int fd, Use use) {
    auto ways = ways_of(use);
    for (auto way : ways.used)
        if (held_elsewhere(fd, kNotShared + way)) return true;
    for (auto way : ways.refused)
        if (held_elsewhere(fd, kUsed + way)) return true;
    return false;
}

Status lock_for(int fd, Use use, std::string_view name) {
    auto ways = ways_of(use);
    auto hold = [&](off_t byte) -> Status {
        // Shared locks: they only show that we are here; a conflict is found by asking below.
        if (set_byte(fd, byte, F_RDLCK, F_OFD_SETLK) >= 0) return {};
        if (errno != EAGAIN && errno != EACCES) return {};  // no locks on this file system
        return make_error(errors::kVhdInUse, "another program is taking {}", name);
    };
    for (auto way : ways.used) TRY(hold(kUsed + way));
    for (auto way : ways.refused) TRY(hold(kNotShared + way));
    if (in_use(fd, use))
        return make_error(errors::kVhdInUse, "{} is open in another program (a running VM, or a `slipway` at work)",
                          name);
    return {};
}

}  // namespace slipway::disks::vhd
