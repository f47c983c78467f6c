// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image mount` and `unmount`. A process of its own serves the mount until it is unmounted:
//   AT/image.json          which image this is, and what was lost when it was taken
//   AT/disks/0.raw         each disk
//   AT/volumes/0p1.raw     each partition or volume: DISK p PARTITION; 0.raw where a disk is one volume
//   AT/volumes/vg0-root.raw, md127.raw, luks-UUID.raw
//                          what lies inside those: LVM's as device-mapper names it, arrays, encrypted ones (--luks-key)
//   AT/files/0p1/…         the files of each (--files), mounted by the kernel or ntfs-3g
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <iostream>

#include "console/errors.hpp"
#include "console/image/fuse.hpp"
#include "console/image/image.hpp"
#include "console/image/mount_points.hpp"
#include "console/table.hpp"
#include "imagestore/open_image.hpp"
#include "imagestore/store.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/luks/unlock.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace slipway::imagestore;

struct MountArguments {
    std::string name, store, at;
    std::vector<std::string> luks_keys;
    bool files = false, foreground = false, everybody = false;
    std::uint64_t cache = 64u << 20;
};

struct ShownVolume {
    const OpenVolume* of;
    std::string files;  // below AT, while its files are to be shown there
    std::string why_not;
};

// The image, open, and the tree that shows it.
class ServedImage {
public:
    static Result<std::unique_ptr<ServedImage>> open(const MountArguments& a) {
        auto out = std::unique_ptr<ServedImage>(new ServedImage);
        out->store_ = TRY(Store::open(fs::absolute(a.store)));  // the serving process works elsewhere
        out->manifest_ = TRY(out->store_->manifest(TRY(ImageRef::parse(a.name))));
        auto keys = TRY(read_luks_keys(a.luks_keys));
        out->image_ = TRY_WITH(OpenImage::create(*out->manifest_, *out->store_, {a.cache / kChunkBytes, keys.get()}),
                               out->manifest_->version().text());
        out->grow_tree(a.files);
        return out;
    }

    std::string name() const { return manifest_->version().text(); }
    bool leased() const { return manifest_->leased(); }
    const ManifestSummary& summary() const { return image_->summary(); }
    const OpenImage& image() const { return *image_; }
    const FileTree& tree() const { return tree_; }
    std::vector<ShownVolume>& volumes() { return volumes_; }
    std::size_t losses() const {
        std::size_t out = 0;
        for (const auto& disk : summary().disks) out += disk.losses.size();
        return out;
    }

private:
    void grow_tree(bool files) {
        for (std::size_t i = 0; i < image_->disks().size(); ++i)
            tree_.add_file(fmt::format("disks/{}.raw", i), of_image(image_->disks()[i].get()));
        for (const auto& volume : image_->volumes()) {
            tree_.add_file("volumes/" + volume.file + ".raw", of_image(volume.device));
            ShownVolume shown{&volume, {}, {}};
            if (files && volume_mount_command(volume.volume, "", "")) {
                shown.files = "files/" + volume.file;
                tree_.add_directory(shown.files);
            }
            volumes_.push_back(std::move(shown));
        }
        auto text = json::serialize(describe()) + "\n";
        tree_.add_file("image.json", std::make_shared<disks::MemoryDisk>(to_bytes(text)));
    }

    // The tree shares what it serves; this belongs to the image, which outlives it.
    static std::shared_ptr<disks::BlockDevice> of_image(disks::BlockDevice* device) {
        return {std::shared_ptr<void>(), device};
    }

    json::value describe() const {
        json::array losses;
        for (const auto& disk : summary().disks)
            for (const auto& l : disk.losses)
                losses.push_back({{"disk", disk.disk.index}, {"offset", l.offset}, {"length", l.length}});
        auto created = from_unix_milliseconds(static_cast<std::int64_t>(summary().image.created_ms));
        return {{"image", name()},
                {"store", store_->directory().string()},
                {"created", iso8601(created)},
                {"source", summary().image.source},
                {"inconsistent", summary().image.inconsistent},
                {"losses", losses}};
    }

    ServedImage() = default;
    std::unique_ptr<Store> store_;
    std::unique_ptr<StoredManifest> manifest_;  // the lease: what it names stays in the store
    std::unique_ptr<OpenImage> image_;
    FileTree tree_;
    std::vector<ShownVolume> volumes_;
};

// ---- the serving process

void log_to_syslog() {
    ::openlog("slipway", LOG_PID, LOG_DAEMON);
    log::set_observer([](log::Level level, std::string_view room, std::string_view text) {
        auto line = fmt::format("{}: {}", room, text);
        ::syslog(level == log::Level::Error ? LOG_ERR : LOG_WARNING, "%s", line.c_str());
    });
}

json::value to_json(const Error& error) {
    return {{"name", error.name()},
            {"message", error.message()},
            {"next_step", error.next_step()},
            {"temporary", error.temporary()}};
}

// Tells `report` how the mount went, then serves. Never returns: what the parent has open is the parent's.
[[noreturn]] void serve(const ServedImage& image, const MountArguments& a, UniqueFd report) {
    ::setsid();
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::chdir("/") != 0) std::_Exit(kExitFailed);
    auto null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
    log_to_syslog();
    auto mount = FuseMount::create(image.tree(), a.at, {mount_source(image.name(), ::getpid()), a.everybody});
    auto told = write_full(report.get(), as_bytes(mount ? "{}" : json::serialize(to_json(mount.error()))));
    report.reset();
    if (!mount || !told) std::_Exit(kExitFailed);
    auto served = mount->serve();
    if (!served) log::error("mount", "{}: {}", a.at, served.error().describe());
    { auto unmounted = std::move(*mount); }
    std::_Exit(served ? kExitDone : kExitFailed);
}

// What the new process reports: nothing wrong, or its error.
Status read_report(int fd) {
    std::string text;
    std::array<char, 4096> piece{};
    for (;;) {
        auto n = ::read(fd, piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(piece.data(), static_cast<std::size_t>(n));
    }
    boost::system::error_code failed;
    auto value = json::parse(text, failed);
    if (failed || !value.is_object()) return make_error(errors::kMountFailed, "the serving process died");
    const auto& object = value.get_object();
    if (object.empty()) return {};
    auto get = [&](const char* key) { return std::string(object.at(key).as_string()); };
    return Error(get("name"), get("message"), get("next_step"), object.at("temporary").as_bool());
}

Result<pid_t> start_server(const ServedImage& image, const MountArguments& a) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(errno, "a pipe");
    UniqueFd from(ends[0]), to(ends[1]);
    std::cout.flush();
    auto pid = ::fork();
    if (pid < 0) return errno_error(errno, "starting the serving process");
    if (pid == 0) {
        from.reset();
        serve(image, a, std::move(to));
    }
    to.reset();
    auto mounted = read_report(from.get());
    if (!mounted) {
        ::waitpid(pid, nullptr, 0);
        return std::move(mounted).error();
    }
    return pid;
}

// ---- the files of the volumes

void mount_files(std::vector<ShownVolume>& volumes, const std::string& at) {
    CommandOptions options;
    options.timeout = std::chrono::seconds(120);
    for (auto& shown : volumes) {
        if (shown.files.empty()) continue;
        auto argv =
            volume_mount_command(shown.of->volume, at + "/volumes/" + shown.of->file + ".raw", at + "/" + shown.files);
        auto mounted = run_command(*argv, options);
        if (!mounted) shown.why_not = mounted.error().message();
        else if (!mounted->ok())
            shown.why_not = mounted->error_text.empty() ? argv->front() + " failed"
                                                        : split(trim(mounted->error_text), '\n').front();
        if (!shown.why_not.empty()) shown.files.clear();
    }
}

// ---- what is said

struct Told {
    std::vector<std::string> warnings;
    ExitCode code = kExitDone;
};

Told warnings_of(ServedImage& image) {
    Told out;
    auto warn = [&](std::string text) {
        out.warnings.push_back(std::move(text));
        out.code = kExitWarnings;
    };
    if (image.summary().image.inconsistent)
        warn("the image was taken from a running system: its file systems may be torn");
    if (!image.leased())
        warn("the store's file system has no locks: if the image is deleted, gc may free it under this mount");
    for (const auto& warning : image.image().warnings()) warn("not looked into: " + warning);
    for (const auto& shown : image.volumes())
        if (!shown.why_not.empty())
            warn(fmt::format("{} ({}) is not mounted: {}", shown.of->file, shown.of->volume.filesystem, shown.why_not));
    if (image.losses()) {
        out.warnings.push_back(fmt::format(
            "LOST: {} ranges of the source could not be read and are zero; image.json lists them", image.losses()));
        out.code = kExitLosses;
    }
    return out;
}

Told tell(ServedImage& image, const MountArguments& a, pid_t pid, const Context& context) {
    Table table({"FILE", "FILE SYSTEM", "LABEL", "SIZE", "FILES"});
    json::array disks, volumes;
    for (const auto& d : image.summary().disks) {
        auto file = fmt::format("{}/disks/{}.raw", a.at, d.disk.index);
        table.row({file, std::string("(") + std::string(name_of(d.disk.table)) + ")", d.disk.name,
                   human_bytes(d.disk.size), ""});
        disks.push_back({{"file", file}, {"name", d.disk.name}, {"serial", d.disk.serial}, {"size", d.disk.size}});
    }
    for (const auto& v : image.volumes()) {
        const auto& info = v.of->volume;
        auto file = a.at + "/volumes/" + v.of->file + ".raw";
        auto files = v.files.empty() ? std::string() : a.at + "/" + v.files;
        table.row({file, info.filesystem.empty() ? "-" : info.filesystem, info.label, human_bytes(info.length), files});
        json::array on;
        for (auto member : v.of->members) on.emplace_back(image.image().volumes()[member].name);
        volumes.push_back({{"file", file},
                           {"name", v.of->name},
                           {"kind", v.of->kind},
                           {"on", on},
                           {"filesystem", info.filesystem},
                           {"label", info.label},
                           {"size", info.length},
                           {"files", files}});
    }
    auto told = warnings_of(image);
    auto text = fmt::format("{} at {}, read-only, until: slipway image unmount {}\n{}", image.name(), a.at,
                            shell_quote(a.at), table.text());
    for (const auto& warning : told.warnings) text += "warning: " + printable(warning) + "\n";
    context.print(text, {{"image", image.name()},
                         {"at", a.at},
                         {"pid", pid},
                         {"disks", disks},
                         {"volumes", volumes},
                         {"losses", image.losses()},
                         {"warnings", json::array(told.warnings.begin(), told.warnings.end())}});
    return told;
}

// ---- the commands

// Until a signal, then unmounts; or until somebody else did.
Status stay(pid_t server, const std::string& at) {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, server, 0)));
    if (!signals.valid() || !process.valid()) return errno_error(errno, "waiting for the end of the mount");
    std::array<pollfd, 2> watch{pollfd{signals.get(), POLLIN, 0}, pollfd{process.get(), POLLIN, 0}};
    // A signal that came before it was blocked is in the flag.
    while (!cancel_flag() && ::poll(watch.data(), watch.size(), -1) < 0 && errno == EINTR) continue;
    bool ended = watch[1].revents != 0;
    auto unmounted = unmount_image(at);
    if (!unmounted && !unmounted.error().is(errors::kNotMounted)) return std::move(unmounted).error();
    int status = 0;
    ::waitpid(server, &status, 0);
    if (ended && status != 0) return make_error(errors::kMountFailed, "the serving process died");
    return {};
}

Result<ExitCode> mount(MountArguments a, const Context& context) {
    if (a.files && ::geteuid() != 0)
        return make_error(errors::kNeedsRoot, "only root may mount the volumes inside an image");
    auto image = TRY(ServedImage::open(a));
    a.at = TRY(absolute_path(a.at.empty() ? image->name() : a.at));
    TRY(prepare_mount_point(a.at));
    auto server = TRY(start_server(*image, a));
    if (a.files) mount_files(image->volumes(), a.at);
    auto told = tell(*image, a, server, context);
    if (a.foreground) TRY(stay(server, a.at));
    return told.code;
}

Result<ExitCode> unmount(const std::string& at, const Context& context) {
    auto done = TRY(unmount_image(at));
    context.print(fmt::format("{}: {} unmounted\n", at, done.source),
                  {{"at", at},
                   {"image", done.source},
                   {"unmounted_inside", json::array(done.nested.begin(), done.nested.end())}});
    return kExitDone;
}

}  // namespace

void add_image_mount(CLI::App& image, Context& context) {
    auto a = std::make_shared<MountArguments>();
    auto* app = add_command(image, context, "mount", "Show an image's disks, volumes and files, read-only",
                            "  slipway image mount web --store /srv/store --at /mnt/web --files\n"
                            "  ls /mnt/web/disks /mnt/web/volumes /mnt/web/files/0p1 /mnt/web/files/vg0-root\n"
                            "  slipway image mount vault --store /srv/store --at /mnt/vault --files --luks-key key\n"
                            "  slipway image unmount /mnt/web\n"
                            "The image may be deleted meanwhile: gc frees its space once it is unmounted.\n");
    app->add_option("name", a->name, "NAME or NAME@VERSION")->required();
    app->add_option("--store", a->store, "directory of the store")->required();
    app->add_option("--at", a->at, "an empty directory, made when missing; else NAME@VERSION is made here");
    app->add_flag("--files", a->files, "mount the volumes too (root), each below AT/files");
    add_luks_key_option(*app, a->luks_keys, "it is shown decrypted too");
    app->add_flag("--allow-other", a->everybody, "for every user of this machine, not only who mounts it");
    app->add_flag("--foreground", a->foreground, "stay until it is unmounted; Ctrl-C unmounts it");
    app->add_option("--cache", a->cache, "memory for what was read last")->transform(size_text())->default_str("64M");
    on_command(*app, context, [a, &context] { return mount(*a, context); });

    auto at = std::make_shared<std::string>();
    app = add_command(image, context, "unmount", "End a mount, and what is mounted inside; a dead one as well",
                      "  slipway image unmount /mnt/web\n");
    app->add_option("dir", *at, "the directory it is mounted at")->required();
    on_command(*app, context, [=, &context] { return unmount(*at, context); });
}

}  // namespace slipway::console
