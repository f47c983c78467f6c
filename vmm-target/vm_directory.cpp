// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/vm_directory.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include <boost/json.hpp>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/vhd/vhd.hpp"
#include "vmm-target/errors.hpp"
#include "vmm-target/host.hpp"
#include "vmm-target/linked_disk.hpp"

namespace slipway::vmm {

namespace fs = std::filesystem;

Result<FileLock> FileLock::acquire(const fs::path& file) {
    std::error_code failed;
    fs::create_directories(file.parent_path(), failed);
    auto fd = TRY(open_fd(file, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX) != 0)
        if (errno != EINTR) return errno_error(errno, file.string());
    return FileLock(std::move(fd));
}

std::optional<QemuProcess> QemuProcess::find(const fs::path& pid_file) {
    const auto text = read_text_file(pid_file, 64);
    const auto pid = text ? parse_u64(trim(*text)) : std::nullopt;
    if (!pid || *pid < 2 || *pid > INT32_MAX) return std::nullopt;
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)));
    if (!fd.valid()) return std::nullopt;
    // Looked at while the pidfd is held: the number may long belong to another program. A zombie has no words.
    const auto words = read_text_file(fmt::format("/proc/{}/cmdline", *pid), 1u << 20);
    if (!words) return std::nullopt;
    const auto arguments = split(*words, '\0');
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
        if (arguments[i] == "-pidfile" && arguments[i + 1] == pid_file.string()) return QemuProcess(std::move(fd));
    return std::nullopt;
}

bool QemuProcess::wait_end(std::chrono::milliseconds timeout) const {
    const auto until = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = until - std::chrono::steady_clock::now();
        pollfd poll{fd_.get(), POLLIN, 0};
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
        const int ready = ::poll(&poll, 1, static_cast<int>(std::max<std::int64_t>(ms, 0)));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

void QemuProcess::kill() const { (void)::syscall(SYS_pidfd_send_signal, fd_.get(), SIGKILL, nullptr, 0); }

Result<VmDefinition> VmDirectory::definition() const {
    auto text = TRY(read_text_file(path_ / "vm.xml", 1u << 20));
    return TRY(parse_definition(text)).definition;
}

// With a directory of the operator's choice, ours is a link to it.
Status VmDirectory::begin_create(const VmDefinition& definition) const {
    std::error_code failed;
    if (fs::is_symlink(path_, failed)) ::unlink(path_.c_str());  // a removal that was cut off
    if (definition.directory.empty()) {
        fs::create_directories(path_, failed);
    } else {
        const auto chosen = fs::path(definition.directory) / definition.name;
        // All that is in it goes with the machine.
        if (fs::exists(chosen, failed) && !fs::is_empty(chosen, failed))
            return make_error(errors::kDiskExists, "{} exists and is not empty", chosen.string());
        failed.clear();
        fs::create_directories(chosen, failed);
        if (!failed) fs::create_directories(path_.parent_path(), failed);
        if (!failed) fs::create_directory_symlink(chosen, path_, failed);
    }
    if (failed) return errno_error(failed.value(), path_.string());
    return write_file_atomic(path_ / "changing.xml", as_bytes(render_definition(definition)), 0600);
}

Status VmDirectory::finish_create() const {
    if (::rename((path_ / "changing.xml").c_str(), (path_ / "vm.xml").c_str()) != 0)
        return errno_error(errno, path_.string());
    return fsync_directory(path_);
}

Status VmDirectory::remove_all() const {
    if (exists() && ::rename((path_ / "vm.xml").c_str(), (path_ / "changing.xml").c_str()) != 0)
        return errno_error(errno, path_.string());
    const auto text = TRY(read_text_file(path_ / "changing.xml", 1u << 20));
    if (auto parsed = parse_definition(text))
        for (const auto& disk : parsed->definition.disks) {
            if (!disk.create) continue;
            const auto file = disk_path(disk, path_);
            if (::unlink(file.c_str()) != 0 && errno != ENOENT) return errno_error(errno, file.string());
            // A directory of the machine's own name, when nothing else is in it.
            if (file.parent_path() != path_ && file.parent_path().filename() == path_.filename())
                ::rmdir(file.parent_path().c_str());
        }
    std::error_code failed;
    // The record goes last: cut off before, the removal can be done again.
    for (const auto& entry : fs::directory_iterator(path_, failed))
        if (entry.path().filename() != "changing.xml") fs::remove_all(entry.path(), failed);
    const auto chosen = fs::is_symlink(path_) ? fs::read_symlink(path_, failed) : path_;
    fs::remove_all(chosen, failed);
    if (!failed && chosen != path_) fs::remove(path_, failed);
    if (failed) return errno_error(failed.value(), path_.string());
    return {};
}

fs::path VmDirectory::undo_file(std::size_t disk) const { return path_ / fmt::format("undo-{}.qcow2", disk); }

std::size_t VmDirectory::undo_count() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kMaxDisks; ++i) count += fs::exists(undo_file(i)) ? 1 : 0;
    return count;
}

Status VmDirectory::write_run(const RunRecord& run) const {
    const boost::json::object out{{"boot", name_of(run.options.boot)},
                                  {"undo", run.options.undo},
                                  {"taps", boost::json::value_from(run.taps)},
                                  {"started_ms", run.started_ms}};
    return write_file_atomic(path_ / "run.json", as_bytes(boost::json::serialize(out) + "\n"), 0600);
}

std::optional<RunRecord> VmDirectory::run() const {
    const auto text = read_text_file(path_ / "run.json", 65536);
    if (!text) return std::nullopt;
    boost::system::error_code bad;
    const auto value = boost::json::parse(*text, bad);
    if (bad || !value.is_object()) return std::nullopt;
    const auto& o = value.as_object();
    RunRecord run;
    if (const auto* boot = o.if_contains("boot"); boot && boot->is_string())
        run.options.boot = parse_boot(std::string_view(boot->as_string())).value_or(BootFrom::Disk);
    if (const auto* undo = o.if_contains("undo"); undo && undo->is_bool()) run.options.undo = undo->as_bool();
    if (const auto* started = o.if_contains("started_ms"); started && started->is_int64())
        run.started_ms = started->as_int64();
    if (const auto* taps = o.if_contains("taps"); taps && taps->is_array())
        for (const auto& tap : taps->as_array())
            if (tap.is_string()) run.taps.emplace_back(tap.as_string());
    return run;
}

Status check_disk_files(const VmDefinition& definition, const fs::path& directory) {
    for (const auto& disk : definition.disks) {
        const auto file = disk_path(disk, directory);
        std::error_code none;
        if (disk.create && fs::exists(fs::symlink_status(file, none)))
            return make_error(errors::kDiskExists, "{} exists", file.string());
        if (disk.create) continue;
        if (disk.kind == DiskKind::Linked) {
            TRY(LinkedDisk::claim(disk));
            continue;
        }
        if (fs::is_block_file(file, none))
            return make_error(errors::kDefinition, "{} is a block device: its kind is linked", file.string());
        if (!fs::is_regular_file(file, none)) return make_error(errors::kDiskMissing, "{} is not there", file.string());
        TRY(disks::inspect_vhd(file));
    }
    return {};
}

Status make_disks(const VmDefinition& definition, const fs::path& directory) {
    std::vector<fs::path> made;
    auto make = [&](const VmDisk& disk) -> Status {
        const auto file = disk_path(disk, directory);
        std::error_code ignored;
        fs::create_directory(file.parent_path(), ignored);
        const auto kind = disk.kind == DiskKind::Fixed ? disks::VhdKind::Fixed : disks::VhdKind::Dynamic;
        auto vhd = TRY(disks::create_vhd(file, kind, disk.size_bytes));
        made.push_back(file);
        return vhd->flush();
    };
    for (const auto& disk : definition.disks) {
        if (!disk.create) continue;
        if (auto done = make(disk); !done) {
            for (const auto& file : made) ::unlink(file.c_str());
            return std::move(done).with("making " + disk.path);
        }
    }
    return {};
}

}  // namespace slipway::vmm
