// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/loops.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cerrno>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

bool has_holders(const fs::path& in_sys) {
    std::error_code none;
    return fs::exists(in_sys / "holders", none) && !fs::is_empty(in_sys / "holders", none);
}

bool is_held(const fs::path& device) {
    const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    return !fd.valid() && errno == EBUSY;
}

// A partition that is held holds the whole as well.
std::vector<fs::path> held_of(const fs::path& in_sys) {
    const auto name = in_sys.filename().string();
    std::vector<fs::path> out;
    bool layers = has_holders(in_sys), parts = false;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(in_sys, none)) {
        const auto part = entry.path().filename().string();
        if (!part.starts_with(name) || !fs::exists(entry.path() / "partition", none)) continue;
        if (has_holders(entry.path())) layers = true;
        else if (is_held("/dev/" + part)) out.push_back("/dev/" + part), parts = true;
    }
    if (!layers && !parts && is_held("/dev/" + name)) out.push_back("/dev/" + name);
    return out;
}

std::optional<loop_info64> status_of(const fs::path& device) {
    const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
    loop_info64 info{};
    if (!fd.valid() || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) return std::nullopt;
    return info;
}

}  // namespace

Result<std::vector<ShownBy>> loops_that_show(int file) {
    struct stat wanted {};
    if (::fstat(file, &wanted) != 0) return errno_error(errno, "looking at the file");
    std::vector<ShownBy> out;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("/sys/block", none)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with("loop") || !fs::exists(entry.path() / "loop", none)) continue;
        const auto info = status_of("/dev/" + name);
        if (!info || info->lo_device != wanted.st_dev || info->lo_inode != wanted.st_ino) continue;
        out.push_back({"/dev/" + name, (info->lo_flags & LO_FLAGS_READ_ONLY) != 0, held_of(entry.path())});
    }
    return out;
}

std::optional<UniqueFd> file_behind(const fs::path& device, int flags) {
    struct stat node {};
    if (::stat(device.c_str(), &node) != 0 || !S_ISBLK(node.st_mode)) return std::nullopt;
    std::error_code failed;
    auto in_sys = fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(node.st_rdev), minor(node.st_rdev)), failed);
    if (failed) return std::nullopt;
    if (fs::exists(in_sys / "partition", failed)) in_sys = in_sys.parent_path();
    const auto told = read_text_file(in_sys / "loop/backing_file");
    const auto info = told ? status_of("/dev/" + in_sys.filename().string()) : std::nullopt;
    if (!info) return std::nullopt;
    // A FIFO that somebody has put there meanwhile is not waited for.
    UniqueFd file(::open(std::string(trim(*told)).c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    struct stat behind {};
    if (!file.valid() || ::fstat(file.get(), &behind) != 0 || behind.st_dev != info->lo_device ||
        behind.st_ino != info->lo_inode)
        return std::nullopt;
    return file;
}

}  // namespace slipway::fixup
