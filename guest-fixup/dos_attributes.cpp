// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/dos_attributes.hpp"

#include <fcntl.h>
#include <linux/msdos_fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <cstdint>
#include <optional>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup {

namespace {

constexpr std::uint32_t kOfDos = ATTR_RO | ATTR_HIDDEN | ATTR_SYS | ATTR_ARCH;
constexpr const char* kNtfs = "system.ntfs_attrib";

UniqueFd opened(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

std::optional<std::uint32_t> of_fat(const std::string& path) {
    const auto fd = opened(path);
    std::uint32_t attributes = 0;
    if (!fd.valid() || ::ioctl(fd.get(), FAT_IOCTL_GET_ATTRIBUTES, &attributes) != 0) return std::nullopt;
    return attributes;
}

bool give_fat(const std::string& path, std::uint32_t attributes) {
    const auto fd = opened(path);
    return fd.valid() && ::ioctl(fd.get(), FAT_IOCTL_SET_ATTRIBUTES, &attributes) == 0;
}

std::optional<std::uint32_t> of_ntfs(const std::string& path) {
    std::byte value[4];
    if (::lgetxattr(path.c_str(), kNtfs, value, sizeof value) != sizeof value) return std::nullopt;
    return ByteReader(value).le32();
}

void give_ntfs(const std::string& path, std::uint32_t attributes) {
    ByteWriter value;
    value.le32(attributes);
    (void)::lsetxattr(path.c_str(), kNtfs, value.view().data(), value.view().size(), 0);
}

}  // namespace

void copy_dos_attributes(const std::string& from, const std::string& to) {
    const auto fat = of_fat(from);
    const auto ntfs = fat ? std::nullopt : of_ntfs(from);
    if (!fat && !ntfs) return;
    if (const auto now = of_fat(to)) (void)give_fat(to, (*now & ~kOfDos) | ((fat ? *fat : *ntfs) & kOfDos));
    else if (ntfs) give_ntfs(to, *ntfs);  // with what is NTFS' own
    else if (const auto there = of_ntfs(to)) give_ntfs(to, (*there & ~kOfDos) | (*fat & kOfDos));
}

}  // namespace slipway::fixup
