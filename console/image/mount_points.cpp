// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image/mount_points.hpp"

#include <poll.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "console/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace fs = std::filesystem;

namespace {

// Space, tab, newline and backslash come as \040 and so on.
std::string unescaped(std::string_view text) {
    std::string out;
    auto octal = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '7'; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

constexpr int kServerEndsWithin = 10'000;  // ms after the last unmount

// Another process cannot have taken the number since: the file descriptor is of this very one.
void wait_for_end(const UniqueFd& process) {
    if (!process.valid()) return;
    pollfd watch{process.get(), POLLIN, 0};
    while (::poll(&watch, 1, kServerEndsWithin) < 0 && errno == EINTR) continue;
}

Status unmount_one(const std::string& path) {
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
    auto failed = errno;
    if (failed == EPERM) {  // a user's own mount goes by FUSE's helper
        auto helper = run_command({"fusermount3", "-u", path});
        if (helper && helper->ok()) return {};
        if (helper && helper->error_text.find("busy") != std::string::npos) failed = EBUSY;
    }
    if (failed == EBUSY) return make_error(errors::kMountBusy, "{} is in use", path);
    return make_error(errors::kMountFailed, "{}: {}", path, std::strerror(failed));
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
    std::vector<MountEntry> out;
    for (const auto& line : split(text, '\n')) {
        auto fields = split(line, ' ');
        auto dash = std::find(fields.begin(), fields.end(), "-");
        if (dash - fields.begin() < 6 || fields.end() - dash < 3) continue;
        out.push_back({unescaped(fields[4]), unescaped(dash[1]), unescaped(dash[2])});
    }
    return out;
}

Result<std::vector<MountEntry>> read_mounts() { return parse_mountinfo(TRY(read_text_file("/proc/self/mountinfo"))); }

std::string mount_source(const std::string& image, pid_t server) { return image + "#" + std::to_string(server); }

std::optional<pid_t> server_of(std::string_view source) {
    auto hash = source.rfind('#');
    if (hash == std::string_view::npos) return std::nullopt;
    auto number = parse_u64(source.substr(hash + 1));
    if (!number || *number < 2 || *number > 0x7fffffff) return std::nullopt;
    return static_cast<pid_t>(*number);
}

Result<std::string> absolute_path(const std::string& path) {
    std::error_code failed;
    auto whole = fs::absolute(path, failed).lexically_normal();
    if (whole.filename().empty()) whole = whole.parent_path();
    if (fs::is_symlink(whole, failed)) whole = fs::canonical(whole, failed);
    auto parent = fs::canonical(whole.parent_path(), failed);
    if (failed) return errno_error(failed.value(), whole.parent_path().string());
    return (parent / whole.filename()).string();
}

Status prepare_mount_point(const std::string& path) {
    std::error_code failed;
    auto status = fs::status(path, failed);
    if (failed && status.type() != fs::file_type::not_found)
        return make_error(errors::kMountPoint, "{}: {}", path, failed.message());
    if (status.type() == fs::file_type::not_found) {
        fs::create_directory(path, failed);
        if (failed) return errno_error(failed.value(), path);
        return {};
    }
    if (!fs::is_directory(status)) return make_error(errors::kMountPoint, "{} is no directory", path);
    bool empty = fs::is_empty(path, failed);
    if (failed) return errno_error(failed.value(), path);
    if (!empty) return make_error(errors::kMountPoint, "{} is not empty", path);
    return {};
}

std::optional<std::vector<std::string>> volume_mount_command(const imagestore::VolumeInfo& volume,
                                                             const std::string& file, const std::string& directory) {
    struct Kind {
        std::string_view filesystem, type, options;
    };
    // What a kernel would write on a read-only mount is switched off; the image could not take it.
    static constexpr std::array kKinds{
        Kind{"ext2", "ext2", ""},       Kind{"ext3", "ext3", "noload"},
        Kind{"ext4", "ext4", "noload"}, Kind{"xfs", "xfs", "norecovery,nouuid"},
        Kind{"fat12", "vfat", ""},      Kind{"fat16", "vfat", ""},
        Kind{"fat32", "vfat", ""},      Kind{"exfat", "exfat", ""},
        Kind{"iso9660", "iso9660", ""}, Kind{"btrfs", "btrfs", "rescue=nologreplay"},
    };
    // The content is hostile: no devices, no set-user-id, nothing run from there.
    const std::string guard = "ro,nosuid,nodev,noexec";
    if (volume.excluded) return std::nullopt;
    if (volume.filesystem == "ntfs") return std::vector<std::string>{"ntfs-3g", "-o", guard, file, directory};
    for (const auto& kind : kKinds)
        if (kind.filesystem == volume.filesystem) {
            auto options = "loop," + guard + (kind.options.empty() ? "" : "," + std::string(kind.options));
            return std::vector<std::string>{"mount", "-t", std::string(kind.type), "-o", options, file, directory};
        }
    return std::nullopt;
}

Result<Unmounted> unmount_image(const std::string& path) {
    auto at = TRY(absolute_path(path));
    auto mounts = TRY(read_mounts());
    auto image = std::find_if(mounts.rbegin(), mounts.rend(),
                              [&](const auto& m) { return m.path == at && m.type == kMountType; });
    if (image == mounts.rend()) return make_error(errors::kNotMounted, "no image is mounted at {}", at);
    Unmounted out;
    out.source = image->source.substr(0, image->source.rfind('#'));
    auto pid = server_of(image->source);
    UniqueFd process(pid ? static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)) : -1);
    for (auto m = mounts.rbegin(); m != mounts.rend(); ++m)
        if (m->path.starts_with(at + "/")) {
            TRY(unmount_one(m->path));
            out.nested.push_back(m->path);
        }
    TRY(unmount_one(at));
    wait_for_end(process);
    return out;
}

}  // namespace slipway::console
