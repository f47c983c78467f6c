// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/cpio.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

namespace slipway::builder {

void CpioWriter::write(const std::string& path, const Entry& e, unsigned inode) {
    auto pad = [&] { out_.pad_to((out_.size() + 3) / 4 * 4); };
    out_.text("070701");
    unsigned links = S_ISDIR(e.mode) ? 2 : 1;
    for (auto number : {inode, e.mode, 0u, 0u, links, 0u, static_cast<unsigned>(e.content.size()), 0u, 0u,
                        e.device_major, e.device_minor, static_cast<unsigned>(path.size() + 1), 0u})
        out_.text(fmt::format("{:08X}", number));
    out_.text(path).u8(0);
    pad();
    out_.bytes(e.content);
    pad();
}

void CpioWriter::put(const std::string& path, const Entry& entry) {
    if (auto slash = path.rfind('/'); slash != std::string::npos) directory(path.substr(0, slash));
    if (paths_.insert(path).second) write(path, entry, static_cast<unsigned>(paths_.size()));
}

void CpioWriter::directory(const std::string& path, unsigned mode) {
    if (!paths_.contains(path)) put(path, {.mode = S_IFDIR | mode});
}

void CpioWriter::file(const std::string& path, ByteView content, unsigned mode) {
    put(path, {S_IFREG | mode, content});
}
void CpioWriter::symlink(const std::string& path, std::string_view target) {
    put(path, {S_IFLNK | 0777, as_bytes(target)});
}
void CpioWriter::character_device(const std::string& path, unsigned mode, unsigned major, unsigned minor) {
    put(path, {S_IFCHR | mode, {}, major, minor});
}

Bytes CpioWriter::finish() && {
    write("TRAILER!!!", {}, 0);
    return std::move(out_).take();
}

}  // namespace slipway::builder
