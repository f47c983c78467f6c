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
    std::vector<std::pair<std::string, std::string>> links;
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
            nodes.push_back({volume.lexically_relative("/dev").string(), S_IFBLK | 0440, info.st_rdev});
    }
    return nodes;
}

void make_directories(const std::string& dev, const std::string& name) {
    for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
        ::mkdir((dev + "/" + name.substr(0, slash)).c_str(), 0755);
}

int make_dev(const std::string& dev, const Cell& cell) {
    if (::mount("slipway", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1M") != 0) return errno;
    for (const auto& node : cell.nodes) {
        const auto path = dev + "/" + node.name;
        make_directories(dev, node.name);
        if (::mknod(path.c_str(), node.mode, node.device) != 0) return errno;
        ::chmod(path.c_str(), node.mode & 07777);
    }
    static constexpr std::array<std::pair<const char*, const char*>, 4> kLinks{
        {{"/proc/self/fd", "/fd"}, {"fd/0", "/stdin"}, {"fd/1", "/stdout"}, {"fd/2", "/stderr"}}};
    for (const auto& [target, name] : kLinks)
        if (::symlink(target, (dev + name).c_str()) != 0) return errno;
    for (const auto& [name, target] : cell.links) {
        make_directories(dev, name);
        // Of two volumes of one UUID, such as the members of one btrfs, the first has the link; a group may be called
        // as something that is here already, and then does without.
        (void)!::symlink(target.c_str(), (dev + "/" + name).c_str());
    }
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
    if (int e = make_dev(cell.root + "/dev", cell)) return e;
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

// A name that came from a hostile disk and becomes one in a directory.
bool plain_name(std::string_view text) {
    return !text.empty() && text.size() <= 127 && text[0] != '.' &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+:-") ==
               std::string_view::npos;
}

}  // namespace

SandboxDevices devices_for_sandbox(const std::vector<Volume>& volumes) {
    SandboxDevices out;
    for (const auto& volume : volumes) {
        struct stat info {};
        if (volume.device.empty() || ::stat(volume.device.c_str(), &info) != 0 || !S_ISBLK(info.st_mode)) continue;
        const auto own = volume.device.lexically_relative("/dev").string();
        if (own.empty() || own.starts_with("..")) continue;
        out.nodes.push_back(volume.device);
        // blkid goes by the kernel's name.
        const auto kernels = "/dev/dm-" + std::to_string(minor(info.st_rdev));
        struct stat same {};
        if (::stat(kernels.c_str(), &same) == 0 && same.st_rdev == info.st_rdev) out.nodes.emplace_back(kernels);
        auto link = [&](const std::string& directory, const std::string& name) {
            if (plain_name(name)) out.links.emplace_back(directory + name, "/dev/" + own);
        };
        link("block/", std::to_string(major(info.st_rdev)) + ":" + std::to_string(minor(info.st_rdev)));
        link("disk/by-uuid/", volume.uuid);
        link("disk/by-partuuid/", volume.partuuid);
        link("disk/by-label/", volume.label);
        for (const auto& name : volume.names) {
            const std::filesystem::path path(name);
            if (path == volume.device || path.parent_path() == "/dev" || !plain_name(path.filename().string()))
                continue;
            const auto directory = path.parent_path().lexically_relative("/dev").string();
            if (plain_name(directory)) link(directory + "/", path.filename().string());
        }
    }
    return out;
}

GuestRunner guest_runner(const std::filesystem::path& root, const SandboxDevices& devices, int cancel_fd) {
    Cell cell{root.string(), nodes_for(devices.nodes), devices.links};
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
