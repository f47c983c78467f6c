// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/ntfs_mount.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "guest-fixup/windows/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr auto kFuse = 0x65735546;   // statfs(2)
constexpr int kEndsWithin = 60'000;  // ms: what it holds has to reach a slow disk
constexpr const char* kOwner = "uid=0,gid=0,umask=0077";

// 0: it cannot be asked.
dev_t device_at(const fs::path& where) {
    struct stat info {};
    return ::stat(where.c_str(), &info) == 0 ? info.st_dev : 0;
}

// The directory may be one of such a file system itself, as that of the volume that starts Windows is.
bool is_served(const fs::path& where, dev_t before) {
    struct statfs info {};
    return ::statfs(where.c_str(), &info) == 0 && info.f_type == kFuse && device_at(where) != before;
}

UniqueFd handle_of(const Child& child) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0))); }

std::string words_of(int pipe) {
    Bytes words(4096);
    const auto count = ::read(pipe, words.data(), words.size());
    return count > 0 ? std::string(trim(as_text(ByteView(words).first(static_cast<std::size_t>(count))))) : "";
}

// It says that it is ready by being mounted.
Status wait_until_served(Child& server, const fs::path& where, dev_t before, int words) {
    const auto process = handle_of(server);
    // A change of this thread's mounts is an event of this file (proc(5)).
    const auto mounts = TRY(open_fd("/proc/thread-self/mountinfo", O_RDONLY));
    while (!is_served(where, before)) {
        pollfd watched[2] = {{mounts.get(), POLLPRI, 0}, {process.get(), POLLIN, 0}};
        if (::poll(watched, 2, kEndsWithin) < 0 && errno != EINTR) return errno_error(errno, "ntfs-3g");
        if (is_served(where, before)) return {};
        if (!server.running()) {
            const auto said = in_one_line(words_of(words));
            return make_error(errors::kNtfsDamaged, "ntfs-3g: {}", said.empty() ? "it ended at once" : said);
        }
        if (watched[0].revents == 0 && watched[1].revents == 0)
            return make_error(errors::kMount, "ntfs-3g has not mounted it in {} s", kEndsWithin / 1000);
    }
    return {};
}

Result<Child> start_ntfs_3g(const fs::path& device, const fs::path& where, unsigned long flags) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "a pipe");
    UniqueFd words(ends[0]), write_end(ends[1]);
    const auto null = TRY(open_fd("/dev/null", O_RDWR));
    // Killed behind this thread it would be the last in this mount namespace, and as it ends have the kernel unmount
    // what it serves, asking it for ever. So it holds the namespace by a descriptor as well, the lowest, which the
    // kernel puts back behind the one of /dev/fuse: then nobody is asked any more.
    const auto space = TRY(open_fd("/proc/thread-self/ns/mnt", O_RDONLY));
    CommandOptions options;
    // However this thread ends, a file system that is told so writes out what it has and unmounts.
    options.before_exec = [] { return ::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 ? 0 : errno; };
    const auto how = fmt::format("no_detach,{},{},noatime,nodev,nosuid,noexec,norecover",
                                 (flags & MS_RDONLY) != 0 ? "ro" : "rw", kOwner);
    const auto before = device_at(where);
    auto server = Child::spawn({"ntfs-3g", "-o", how, device.string(), where.string()},
                               {space.get(), null.get(), write_end.get()}, options);
    if (!server) return make_error(errors::kNtfs, "{}", server.error().message());
    write_end.reset();
    TRY(wait_until_served(*server, where, before, words.get()));
    return std::move(*server);
}

}  // namespace

std::string in_one_line(std::string_view words) {
    std::vector<std::string> lines;
    for (const auto& line : split(words, '\n'))
        if (const auto text = trim(line); !text.empty()) lines.push_back(printable(text));
    return join(lines, " ");
}

Result<std::optional<Child>> mount_ntfs(const fs::path& device, const fs::path& where, unsigned long flags) {
    if (::mount(device.c_str(), where.c_str(), "ntfs3", flags, kOwner) == 0) return std::optional<Child>();
    if (errno != ENODEV) return make_error(errors::kNtfsDamaged, "ntfs3: {}", std::strerror(errno));
    return std::optional(TRY(start_ntfs_3g(device, where, flags)));
}

void wait_for_ntfs(Child& server) {
    const auto process = handle_of(server);
    if (process.valid()) {
        pollfd ended{process.get(), POLLIN, 0};
        while (::poll(&ended, 1, kEndsWithin) < 0 && errno == EINTR) continue;
        if (ended.revents == 0) return;  // its owner ends it
    }
    server.wait();
}

}  // namespace slipway::fixup
