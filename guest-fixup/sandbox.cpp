// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/sandbox.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>

namespace slipway::fixup {

namespace {

struct Node {
    std::string name;
    mode_t mode;
    dev_t device;
};

struct Cell {
    std::string root;
    std::vector<Node> nodes;
};

std::vector<Node> nodes_for(const std::vector<std::filesystem::path>& volumes) {
    std::vector<Node> nodes{{"null", S_IFCHR | 0666, makedev(1, 3)},
                            {"zero", S_IFCHR | 0666, makedev(1, 5)},
                            {"full", S_IFCHR | 0666, makedev(1, 7)},
                            {"random", S_IFCHR | 0666, makedev(1, 8)},
                            {"urandom", S_IFCHR | 0666, makedev(1, 9)}};
    for (const auto& volume : volumes) {
        struct stat info {};
        if (::stat(volume.c_str(), &info) == 0 && S_ISBLK(info.st_mode))
            nodes.push_back({volume.filename().string(), S_IFBLK | 0440, info.st_rdev});
    }
    return nodes;
}

int make_dev(const std::string& dev, const std::vector<Node>& nodes) {
    if (::mount("slipway", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1M") != 0) return errno;
    for (const auto& node : nodes) {
        const auto path = dev + "/" + node.name;
        if (::mknod(path.c_str(), node.mode, node.device) != 0) return errno;
        ::chmod(path.c_str(), node.mode & 07777);
    }
    static constexpr std::array<std::pair<const char*, const char*>, 4> kLinks{
        {{"/proc/self/fd", "/fd"}, {"fd/0", "/stdin"}, {"fd/1", "/stdout"}, {"fd/2", "/stderr"}}};
    for (const auto& [target, name] : kLinks)
        if (::symlink(target, (dev + name).c_str()) != 0) return errno;
    // Nobody makes a node here: with the guest's volumes mounted nodev, none reaches this host's disks.
    return ::mount(nullptr, dev.c_str(), nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, nullptr) ? errno : 0;
}

int drop_capabilities() {
    static constexpr int kKept[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                    CAP_FSETID, CAP_KILL,         CAP_SETGID,          CAP_SETUID,
                                    CAP_MKNOD,  CAP_SETFCAP,      CAP_SYS_CHROOT};
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
        bool kept = false;
        for (int k : kKept) kept = kept || k == capability;
        if (!kept && ::prctl(PR_CAPBSET_DROP, capability) != 0) return errno;
    }
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
}

int enter(const Cell& cell) {
    const auto mount_at = [&](const char* type, const char* where, unsigned long flags, const char* data) {
        return ::mount(type, (cell.root + where).c_str(), type, flags, data) ? errno : 0;
    };
    if (int e = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) return e;
    if (int e = mount_at("sysfs", "/sys", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) return e;
    if (int e = mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777")) return e;
    if (int e = mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755")) return e;
    if (int e = make_dev(cell.root + "/dev", cell.nodes)) return e;
    if (::chroot(cell.root.c_str()) != 0 || ::chdir("/") != 0) return errno;
    return drop_capabilities();
}

// In the forked child. A second fork makes the first process of the new PID namespace; when that ends, the kernel
// ends everything the tool may have left running. The process between them only hands on the exit status.
int enter_cell(const Cell& cell) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return errno;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    const pid_t first = ::fork();
    if (first < 0) return errno;
    if (first == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        return enter(cell);
    }
    ::close_range(0, ~0u, 0);
    int status = 0;
    while (::waitpid(first, &status, 0) < 0 && errno == EINTR) {
    }
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace

GuestRunner guest_runner(const std::filesystem::path& root, const std::vector<std::filesystem::path>& volumes,
                         int cancel_fd) {
    Cell cell{root.string(), nodes_for(volumes)};
    return [cell = std::move(cell), cancel_fd](const std::vector<std::string>& argv, std::chrono::seconds limit) {
        std::vector<std::string> words{"/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                       "HOME=/root"};
        words.insert(words.end(), argv.begin(), argv.end());
        CommandOptions options;
        options.timeout = limit;
        options.cancel_fd = cancel_fd;
        options.output_limit = 64u << 20;
        options.before_exec = [&cell] { return enter_cell(cell); };
        return run_command(words, options);
    };
}

}  // namespace slipway::fixup
