// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/medium.hpp"

#include <algorithm>

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent-ramdisk/builder/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxImage = 2u << 30;
constexpr std::size_t kFloppy = std::size_t{1440} * 1024;

// File systems of USB disks and shares, what SMB 3 signs and encrypts by (the kernel asks for it by algorithm, which no
// module's dependencies tell), the drives the medium is in, and a keyboard.
const std::vector<std::string>& medium_modules() {
    static const std::vector<std::string> kModules{
        "exfat", "xfs",  "btrfs",         "fuse",  "isofs",    "sr_mod", "nfs",         "nfsv3", "nfsv4",      "cifs",
        "ctr",   "cmac", "ghash_generic", "seqiv", "nls_utf8", "usbhid", "hid_generic", "uas",   "usb_storage"};
    return kModules;
}

// A word of the kernel's command line as it stands in grub.cfg: no quotes, no expansion, no end of command.
Status check_words(const std::string& text) {
    auto odd = std::find_if(text.begin(), text.end(), [](unsigned char c) {
        return c < ' ' || c >= 0x7f ||
               std::string_view("\"'\\$;&|{}<>#`").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (odd != text.end()) return make_error(errors::kMedium, "'{}' cannot stand in a boot menu", printable(text));
    return {};
}

std::string program_needed(const std::string& program, const char* package) {
    return fmt::format("{} is needed: install the package {}", program, package);
}

Status run_tool(const std::vector<std::string>& argv, const char* package, int cancel_fd) {
    CommandOptions options;
    options.cancel_fd = cancel_fd;
    auto done = run_command(argv, options);
    pollfd cancelled{cancel_fd, POLLIN, 0};
    if (cancel_fd >= 0 && ::poll(&cancelled, 1, 0) > 0) return make_error(errors::kInterrupted, "interrupted");
    if (!done || done->exit_code == 127) return make_error(errors::kNeeded, "{}", program_needed(argv[0], package));
    if (!done->ok())
        return make_error(errors::kMedium, "{} ended with code {}: {}", argv[0], done->exit_code,
                          printable(trim(done->error_text.substr(
                              done->error_text.size() - std::min<std::size_t>(400, done->error_text.size())))));
    return {};
}

Status put_copy(const fs::path& from, const fs::path& to) {
    std::error_code failed;
    fs::create_directories(to.parent_path(), failed);
    fs::copy_file(from, to, fs::copy_options::overwrite_existing, failed);
    return failed ? Status(errno_error(failed.value(), to.string())) : Status();
}

}  // namespace

Result<std::string> grub_configuration(const MediumRequest& r) {
    for (const auto* text : {&r.server, &r.bulk, &r.token, &r.arguments}) TRY(check_words(*text));
    auto common =
        fmt::format("rootfstype=ramfs initcall_blacklist=tracer_init_tracefs slipway.time-at-least={}", r.made_unix);
    std::string local = common + " slipway.local", agent = common + " slipway.server=" + r.server;
    if (!r.bulk.empty()) agent += " slipway.bulk=" + r.bulk;
    if (!r.token.empty()) agent += " slipway.token=" + r.token;
    auto more = r.arguments.empty() ? std::string() : " " + r.arguments;
    auto entry = [&](const std::string& title, const std::string& arguments) {
        return fmt::format("menuentry \"{}\" {{\n  linux /slipway/kernel {}\n  initrd /slipway/ramdisk\n}}\n", title,
                           arguments + more);
    };
    // The screen, and whoever listens on the first serial port.
    std::string out =
        "set timeout=5\nset default=0\nserial --unit=0 --speed=115200\nterminal_input console serial\n"
        "terminal_output console serial\n";
    if (!r.server.empty()) out += entry("Slipway: Deployment Agent of " + r.server, agent);
    return out + entry("Slipway: without a server", local);
}

Result<MediumReport> make_iso(const MediumRequest& request) {
    auto configuration = TRY(grub_configuration(request));
    TRY(check_output(request.output));
    auto work = TRY(TempDir::create("medium"));
    auto r = request.ramdisk;
    r.output = work / "boot";
    r.name = "medium";
    r.set = ModuleSet::Broad;
    r.more_modules = medium_modules();
    for (const auto& program : {request.slipway, request.fixup, r.root / "usr/sbin/blkid", r.root / "usr/bin/ntfs-3g",
                                r.root / "usr/sbin/mount.nfs"})
        if (!program.empty() && fs::exists(program)) r.programs.push_back(program);
    if (!request.script.empty()) r.more_files.emplace_back("etc/slipway/run", request.script);
    MediumReport report;
    report.ramdisk = TRY(build_ramdisk(r));
    auto tree = work / "tree";
    TRY(put_copy(report.ramdisk.kernel, tree / "slipway/kernel"));
    TRY(put_copy(report.ramdisk.ramdisk, tree / "slipway/ramdisk"));
    std::error_code failed;
    fs::create_directories(tree / "boot/grub", failed);
    TRY(write_file_atomic(tree / "boot/grub/grub.cfg", as_bytes(configuration)));
    if (r.say) r.say("writing the image…");
    auto made = work / "medium.iso";
    TRY(run_tool({"grub-mkrescue", "--output=" + made.string(), tree.string(), "--", "-volid", "SLIPWAY"},
                 "grub-common (and xorriso, mtools, grub-pc-bin, grub-efi-amd64-bin)", request.cancel_fd));
    // grub-mkrescue says that all is well when xorriso is not there.
    if (!fs::exists(made)) return make_error(errors::kNeeded, "{}", program_needed("xorriso", "xorriso"));
    auto image = TRY(read_file(made, kMaxImage));
    report.bytes = image.size();
    TRY(write_file_atomic(request.output, image));
    return report;
}

Result<std::string> floppy_script(const std::string& http) {
    TRY(check_words(http));
    if (!http.starts_with("http://") || http.find(' ') != std::string::npos)
        return make_error(errors::kMedium, "'{}' is not http://ADDRESS:PORT", printable(http));
    return fmt::format(
        "#!ipxe\n:retry\ndhcp || goto wait\nchain {}/boot/script?mac=${{netX/mac}} || goto wait\n:wait\n"
        "echo Slipway: the server was not reached, trying again in 10 s\nsleep 10\ngoto retry\n",
        http);
}

Status make_floppy(const FloppyRequest& request) {
    auto script = TRY(floppy_script(request.http));
    TRY(check_output(request.output));
    const int cancel = request.cancel_fd;
    auto work = TRY(TempDir::create("floppy"));
    if (!fs::exists(request.ipxe))
        return make_error(errors::kNeeded, "{}", program_needed(request.ipxe.string(), "ipxe"));
    auto image = work / "floppy.img";
    TRY(write_file_atomic(image, Bytes(kFloppy)));
    TRY(run_tool({"mformat", "-i", image.string(), "-f", "1440", "-v", "SLIPWAY", "::"}, "mtools", cancel));
    TRY(run_tool({"syslinux", "--install", image.string()}, "syslinux", cancel));
    TRY(write_file_atomic(work / "script.ipx", as_bytes(script)));
    TRY(write_file_atomic(
        work / "syslinux.cfg",
        as_bytes("DEFAULT slipway\nPROMPT 0\nLABEL slipway\n  KERNEL ipxe.krn\n  INITRD script.ipx\n")));
    TRY(run_tool({"mcopy", "-i", image.string(), request.ipxe.string(), "::ipxe.krn"}, "mtools", cancel));
    for (const char* file : {"script.ipx", "syslinux.cfg"})
        TRY(run_tool({"mcopy", "-i", image.string(), (work / file).string(), std::string("::") + file}, "mtools",
                     cancel));
    return write_file_atomic(request.output, TRY(read_file(image, kFloppy)));
}

namespace {

// O_EXCL of a block device: EBUSY when it, or a partition of it, is mounted or held by anything.
Result<UniqueFd> open_device(const fs::path& device) {
    struct stat info {};
    if (::stat(device.c_str(), &info) != 0) return errno_error(errno, device.string());
    if (!S_ISBLK(info.st_mode)) return make_error(errors::kMedium, "{} is no block device", device.string());
    auto place = fmt::format("/sys/dev/block/{}:{}", major(info.st_rdev), minor(info.st_rdev));
    if (fs::exists(place + "/partition"))
        return make_error(errors::kMedium, "{} is a partition: name the disk", device.string());
    auto fd = open_fd(device, O_RDWR | O_EXCL);
    if (!fd)
        return make_error(errors::kMedium, "{} is in use, or cannot be written: {}", device.string(),
                          fd.error().message());
    return fd;
}

}  // namespace

Status check_output(const fs::path& output) {
    auto directory = output.has_parent_path() ? output.parent_path() : fs::path(".");
    std::error_code failed;
    auto what = fs::status(output, failed);
    if (fs::is_directory(what)) return make_error(errors::kMedium, "{} is a directory", output.string());
    // It would be replaced by a file, not written to.
    if (fs::exists(what) && !fs::is_regular_file(what))
        return make_error(errors::kMedium, "{} is no file: --write-device is for a disk", output.string());
    if (!fs::is_directory(directory, failed))
        return make_error(errors::kMedium, "there is no directory {} for {}", directory.string(),
                          output.filename().string());
    if (::access(directory.c_str(), W_OK | X_OK) != 0)
        return make_error(errors::kMedium, "nothing can be written in {}: {}", directory.string(),
                          errno_error(errno, "").message());
    return {};
}

Status check_device(const fs::path& device) {
    TRY(open_device(device));
    return {};
}

Status write_to_device(const fs::path& image, const fs::path& device) {
    auto content = TRY(read_file(image, kMaxImage));
    auto fd = TRY(open_device(device));
    std::uint64_t size = 0;
    if (::ioctl(fd.get(), BLKGETSIZE64, &size) != 0) return errno_error(errno, device.string());
    if (size < content.size())
        return make_error(errors::kMedium, "{} has {}, the medium needs {}", device.string(), human_bytes(size),
                          human_bytes(content.size()));
    TRY(pwrite_full(fd.get(), content, 0));
    return fsync_fd(fd.get(), device.string());
}

}  // namespace slipway::builder
