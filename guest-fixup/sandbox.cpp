// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/sandbox.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>

namespace slipway::fixup {

namespace {

constexpr rlim_t kLargestToolFile = 4ull << 30;
constexpr std::size_t kMostProcesses = 1024;

// getdents64(2)'s record.
struct linux_entry {
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[1];
};

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

// In the cell's root already, so that a link of the guest's leads nowhere outside. Its own directories only: a /dev
// that is a link to / would be filled with nodes.
int mount_at(const char* type, const char* where, unsigned long flags, const char* data) {
    struct stat info {};
    if (::lstat(where, &info) != 0) return errno;
    if (!S_ISDIR(info.st_mode)) return ENOTDIR;
    return ::mount(type, where, type, flags, data) ? errno : 0;
}

// Temporary files are many and large while an initramfs is made: they go to the guest's disk, where our journal is, and
// with it. The journal itself is out of sight.
int hide_journal() {
    const char* journal = "/var/lib/slipway/repair";
    const char* scratch = "/var/lib/slipway/repair/tmp";
    struct stat info {};
    if (::lstat(journal, &info) != 0) return 0;
    // It is there while a repair changes things.
    if (::lstat(scratch, &info) == 0 && S_ISDIR(info.st_mode) && ::lstat("/var/tmp", &info) == 0 &&
        S_ISDIR(info.st_mode) &&
        (::mount(scratch, "/var/tmp", nullptr, MS_BIND, nullptr) != 0 ||
         ::mount(nullptr, "/var/tmp", nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, nullptr) != 0))
        return errno;
    return mount_at("tmpfs", journal, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700,size=4k");
}

// chroot alone holds no root: who may do it once more walks out. So nothing of the host stays in this mount namespace,
// and no device node that the guest has or makes can be opened, whatever its file system was mounted with.
int leave_the_host(const char* root) {
    if (::mount(root, root, nullptr, MS_BIND | MS_REC, nullptr) != 0) return errno;
    // What this host mounts below a root of its own does not come in, with devices perhaps.
    if (::mount(nullptr, root, nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_NODEV;
    if (::mount_setattr(AT_FDCWD, root, AT_RECURSIVE, &attributes, sizeof attributes) != 0) return errno;
    if (::chdir(root) != 0) return errno;
    if (::syscall(SYS_pivot_root, ".", ".") == 0) {
        if (::umount2(".", MNT_DETACH) != 0) return errno;  // the host, which lies above it now
    } else if (errno != EINVAL || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0) {
        return errno;  // EINVAL: the agent's root is the initial ramfs, which cannot be left but can be covered
    }
    return ::chdir("/") != 0 ? errno : 0;
}

int enter(const Cell& cell) {
    if (int e = leave_the_host(cell.root.c_str())) return e;
    if (int e = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) return e;
    if (int e = mount_at("sysfs", "/sys", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) return e;
    if (int e = mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=25%")) return e;
    if (int e = mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=10%")) return e;
    if (int e = hide_journal()) return e;
    struct stat dev {};
    if (::lstat("/dev", &dev) != 0) return errno;
    return S_ISDIR(dev.st_mode) ? make_dev("/dev", cell) : ENOTDIR;
}

int limit_resources() {
    static constexpr std::pair<__rlimit_resource_t, rlim_t> kLimits[] = {
        {RLIMIT_CORE, 0}, {RLIMIT_FSIZE, kLargestToolFile}, {RLIMIT_NOFILE, 4096}, {RLIMIT_MEMLOCK, 1u << 20}};
    for (const auto& [resource, most] : kLimits) {
        const rlimit limit{most, most};
        if (::setrlimit(resource, &limit) != 0) return errno;
    }
    // When memory runs out it is the tool that goes, not this program.
    const UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    return score.valid() && ::write(score.get(), "1000", 4) == 4 ? 0 : errno;
}

// Allocates nothing: other threads were running when this process was forked.
std::size_t count_processes(int proc) {
    alignas(linux_entry) char buffer[8192];
    std::size_t count = 0;
    ::lseek(proc, 0, SEEK_SET);
    for (long size; (size = ::syscall(SYS_getdents64, proc, buffer, sizeof buffer)) > 0;)
        for (long at = 0; at < size;) {
            const auto* entry = reinterpret_cast<const linux_entry*>(buffer + at);
            if (entry->name[0] >= '1' && entry->name[0] <= '9') ++count;
            at += entry->length;
        }
    return count;
}

// The first process of the PID namespace, and none of the guest's: nothing in the namespace can end it or take its
// death signal away, and when it goes the kernel ends all the rest. Root is not held by RLIMIT_NPROC, so it counts.
[[noreturn]] void watch_over(pid_t tool) {
    const int proc = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, tool, 0));
    ::dup2(process, 0);
    ::dup2(proc, 1);
    ::close_range(3, ~0u, 0);
    for (;;) {
        pollfd ended{process >= 0 ? 0 : -1, POLLIN, 0};
        ::poll(&ended, 1, 100);
        int status = 0;
        for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == tool) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        if (count_processes(1) <= kMostProcesses) continue;
        static constexpr std::string_view kWords = "slipway: ended: it has started too many processes\n";
        (void)!::write(2, kWords.data(), kWords.size());
        ::_exit(128 + SIGKILL);
    }
}

// In the forked child, which stays outside and hands on the exit status.
int enter_cell(const Cell& cell) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return errno;
    // The host's, which leave this namespace soon (leave_the_host), and until then hold nothing that it unmounts.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
    const pid_t first = ::fork();
    if (first < 0) return errno;
    if (first == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (int e = enter(cell)) return e;
        const pid_t tool = ::fork();
        if (tool < 0) return errno;
        if (tool > 0) watch_over(tool);
        if (int e = limit_resources()) return e;
        return drop_capabilities();
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
        options.output_limit = 16u << 20;
        options.before_exec = [&cell] { return enter_cell(cell); };
        return run_command(words, options);
    };
}

}  // namespace slipway::fixup
