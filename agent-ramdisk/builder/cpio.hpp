// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's initramfs format (Documentation/driver-api/early-userspace/buffer-format): cpio "newc", which is a row
// of
//   header: "070701", then 13 numbers of 8 hex digits: ino mode uid gid nlink mtime filesize devmajor devminor
//   rdevmajor
//           rdevminor namesize check
//   name with its NUL, zeros to a multiple of 4 (counted from the header), content, zeros to a multiple of 4
// and ends with the entry "TRAILER!!!". Everything is root's and of time 0, so that the same files make the same bytes.
#pragma once

#include <set>
#include <string>

#include "lib/base/bytes.hpp"

namespace slipway::builder {

class CpioWriter {
public:
    // Paths have no leading slash. Missing parent directories are made (0755); a path that is there already stays as it
    // is.
    void directory(const std::string& path, unsigned mode = 0755);
    void file(const std::string& path, ByteView content, unsigned mode);
    void symlink(const std::string& path, std::string_view target);
    void character_device(const std::string& path, unsigned mode, unsigned major, unsigned minor);

    const std::set<std::string>& paths() const { return paths_; }
    std::size_t size() const { return out_.size(); }
    Bytes finish() &&;

private:
    struct Entry {
        unsigned mode = 0;
        ByteView content;
        unsigned device_major = 0, device_minor = 0;
    };
    void put(const std::string& path, const Entry& entry);
    void write(const std::string& path, const Entry& entry, unsigned inode);

    ByteWriter out_;
    std::set<std::string> paths_;
};

}  // namespace slipway::builder
