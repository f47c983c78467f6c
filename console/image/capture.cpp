// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image capture` into a store in a directory, or the server's.
#include "imagestore/capture.hpp"

#include <algorithm>
#include <iostream>

#include <unistd.h>

#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/one_volume.hpp"
#include "imagestore/selection.hpp"
#include "imagestore/snapshot.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/device_info.hpp"
#include "lib/disks/luks/unlock.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace slipway::imagestore;

struct CaptureArguments {
    std::vector<std::string> sources;
    PlaceName place;
    std::string name, volume, base;
    std::vector<std::string> exclusions, luks_keys;
    bool all_sectors = false, drop_page_files = false, live = false, allow_hibernated = false;
    int level = 1;
    std::uint64_t rate = 0, memory = 256u << 20;
};

// What is captured, and what must live as long.
struct Sources {
    std::vector<Snapshot> snapshots;  // outlive the devices: one that is open cannot be removed
    std::vector<std::unique_ptr<disks::BlockDevice>> devices;
    std::unique_ptr<disks::OffsetLayer> volume;
    std::vector<CaptureDisk> disks;
    std::vector<std::string> why_inconsistent;
};

DiskIdentity identity_of(const std::string& source) {
    DiskIdentity identity;
    identity.name = fs::path(source).filename().string();
    auto disks = disks::list_disks();
    if (!disks) return identity;
    for (const auto& disk : *disks)
        if (disk.path == source) {
            identity.serial = disk.serial;
            identity.model = disk.model;
        }
    return identity;
}

Result<CommandResult> run_tool(const std::vector<std::string>& argv) { return run_command(argv); }

// Of a device in use, with --live: its snapshot where its volume manager gives one, else the device as it is.
Result<std::string> still_picture(const std::string& source, const std::vector<std::string>& mounts,
                                  const CaptureArguments& a, Sources& out) {
    if (!a.live) return make_error(errors::kSourceInUse, "{} is in use read-write: {}", source, join(mounts, ", "));
    auto plan = plan_snapshot(find_logical_volume(source, run_tool), fmt::format("slipway-{}", ::getpid()));
    if (plan.create.empty()) {
        out.why_inconsistent.push_back(fmt::format("{} is in use ({}): {}", source, join(mounts, ", "), plan.why_not));
        return source;
    }
    out.snapshots.push_back(TRY(Snapshot::create(std::move(plan), run_tool)));
    return out.snapshots.back().device();
}

// In use is the disk, or with --volume that partition of it.
Result<std::vector<std::string>> mounts_of(const std::string& source, const CaptureArguments& a) {
    std::error_code ignored;
    if (a.volume.empty() || !fs::is_block_file(source, ignored)) return disks::writable_mounts(source);
    auto number = parse_u64(a.volume);
    auto name = fs::path(source).filename().string();
    auto partition = number ? partition_name(name, static_cast<std::uint32_t>(*number)) : a.volume;
    auto path = fs::path(source).parent_path() / fs::path(partition).filename();
    return disks::writable_mounts(fs::exists(path, ignored) ? path.string() : source);
}

Result<Sources> open_sources(const CaptureArguments& a) {
    Sources out;
    for (const auto& source : a.sources) {
        auto path = source;
        auto mounts = TRY(mounts_of(source, a));
        if (!mounts.empty()) path = TRY(still_picture(source, mounts, a, out));
        out.devices.push_back(TRY(disks::open_disk(path, disks::OpenMode::ReadOnly)));
        out.disks.push_back({out.devices.back().get(), identity_of(source), std::nullopt});
    }
    if (a.volume.empty()) return out;
    auto volume = TRY(find_volume(out.disks, a.volume));
    out.volume = std::move(volume.window);
    out.disks = {volume.disk};
    return out;
}

// Told before the first byte is sent: what is taken whole and why, and what stops the capture.
Status review(const CaptureReport& planned, const CaptureArguments& a, const Context& context) {
    if (!context.json)
        for (const auto& w : planned.warnings) std::cerr << "warning: " << printable(w) << "\n";
    std::vector<std::string> hibernated;
    for (const auto& [disk, v] : planned.volumes)
        if (v.state == VolumeState::Hibernated && !v.excluded)
            hibernated.push_back(fmt::format("{}:{} ({})", disk, v.partition, printable(v.filesystem)));
    if (hibernated.empty() || a.allow_hibernated) return {};
    return make_error(errors::kHibernated, "hibernated: {}; nothing was sent", join(hibernated, ", "));
}

json::value to_json(const CaptureReport& r, bool inconsistent) {
    json::array volumes, losses, warnings(r.warnings.begin(), r.warnings.end());
    for (const auto& [disk, v] : r.volumes) {
        auto volume = describe_volume(v);
        volume["disk"] = disk;
        volumes.push_back(std::move(volume));
    }
    for (const auto& l : r.losses)
        losses.push_back({{"disk", l.disk}, {"offset", l.range.offset}, {"length", l.range.length}});
    return {{"image", r.image},
            {"disk_bytes", r.disk_bytes},
            {"used_bytes", r.used_bytes},
            {"bytes_read", r.bytes_read},
            {"zero_bytes", r.zero_bytes},
            {"unused_bytes", r.unused_bytes},
            {"data_chunks", r.data_chunks},
            {"sent_chunks", r.sent_chunks},
            {"sent_bytes", r.sent_bytes},
            {"deduplicated_bytes", r.deduplicated_bytes},
            {"base", r.base},
            {"base_chunks", r.base_chunks},
            {"changed_chunks", r.changed_chunks},
            {"changed_bytes", r.changed_bytes},
            {"inconsistent", inconsistent},
            {"manifest_bytes", r.manifest_bytes},
            {"seconds", r.seconds},
            {"bytes_per_second", r.bytes_per_second},
            {"bottleneck", r.bottleneck},
            {"volumes", volumes},
            {"losses", losses},
            {"warnings", warnings}};
}

std::string loss_text(const CaptureReport& r, const std::vector<std::string>& names) {
    std::string out;
    for (const auto& l : r.losses) {
        std::vector<VolumeInfo> volumes;
        for (const auto& [disk, v] : r.volumes)
            if (disk == l.disk) volumes.push_back(v);
        out += "LOST: " + describe_loss(names[l.disk], volumes, l.range) + " could not be read and are zero\n";
    }
    return out;
}

// `told`: how many of the warnings were said before.
std::string text_of(const CaptureReport& r, std::size_t told, const std::vector<std::string>& names) {
    std::string out =
        fmt::format("{}: read {} of {} in {:.1f} s ({}/s), stored {} in {} chunks, {} known already; {}\n", r.image,
                    human_bytes(r.bytes_read), human_bytes(r.disk_bytes), r.seconds,
                    human_bytes(static_cast<std::uint64_t>(r.bytes_per_second)), human_bytes(r.sent_bytes),
                    r.sent_chunks, human_bytes(r.deduplicated_bytes), r.bottleneck);
    if (!r.base.empty())
        out += fmt::format("against {}: {} chunks as before, {} new or changed ({})\n", r.base, r.base_chunks,
                           r.changed_chunks, human_bytes(r.changed_bytes));
    for (; told < r.warnings.size(); ++told) out += "warning: " + printable(r.warnings[told]) + "\n";
    return out + loss_text(r, names);
}

bool from_pipe(const CaptureArguments& a) { return a.sources.front() == "-"; }

Status check_sources(const std::vector<std::string>& sources) {
    std::error_code ignored;
    for (std::size_t i = 0; i < sources.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (sources[i] == sources[k] || fs::equivalent(sources[i], sources[k], ignored))
                return make_error(errors::kUsage, "--source {} and --source {} are the same disk", sources[k],
                                  sources[i]);
    return {};
}

Status check_arguments(const CaptureArguments& a) {
    TRY(check_sources(a.sources));
    if (std::find(a.sources.begin(), a.sources.end(), "-") == a.sources.end()) return {};
    if (a.sources.size() > 1 || !a.volume.empty() || !a.exclusions.empty() || a.live || a.drop_page_files)
        return make_error(errors::kUsage,
                          "--source - is a whole disk, alone, and takes no --volume, --exclude, --live or "
                          "--drop-page-files");
    if (::isatty(STDIN_FILENO) == 1) return make_error(errors::kTerminal, "a terminal is no disk");
    return {};
}

CaptureRequest request_of(const CaptureArguments& a, const Context& context) {
    CaptureRequest request;
    request.name = a.name;
    request.source = from_pipe(a) ? "pipe" : fs::path(a.sources.front()).filename().string();
    request.created_ms = static_cast<std::uint64_t>(unix_milliseconds(context.clock.wall()));
    request.exclusions = a.exclusions;
    request.all_sectors = a.all_sectors;
    request.map_options.drop_page_files = a.drop_page_files;
    request.level = a.level;
    request.rate_limit = a.rate;
    request.memory_limit = a.memory;
    return request;
}

// A snapshot that filled up was read as errors: such an image is not kept.
Status check_snapshots(const Sources& sources, const CaptureReport& report, ImagePlace& place) {
    for (const auto& snapshot : sources.snapshots) {
        auto whole = snapshot.still_whole();
        if (whole) continue;
        TRY(place.remove(TRY(ImageRef::parse(report.image))));
        return whole;
    }
    return {};
}

Result<ExitCode> capture(const CaptureArguments& a, const Context& context) {
    TRY(check_arguments(a));
    auto request = request_of(a, context);
    auto keys = TRY(read_luks_keys(a.luks_keys));
    request.map_options.luks = keys.get();
    auto sources = from_pipe(a) ? Sources{} : TRY(open_sources(a));
    request.disks = sources.disks;
    request.inconsistent = !sources.why_inconsistent.empty();
    auto place = TRY(open_place(a.place, true));
    PlacedImage base;
    if (!a.base.empty()) {
        base = TRY_WITH(place->image(TRY(ImageRef::parse(a.base))), "the base");
        request.base = base.manifest.get();
        request.base_name = base.version.text();
    }
    std::size_t told = 0;
    request.planned = [&](const CaptureReport& planned) {
        told = planned.warnings.size();
        return review(planned, a, context);
    };
    auto sink = TRY(place->sink(a.name, true));
    DiskIdentity piped;
    piped.name = "disk";
    auto report =
        from_pipe(a)
            ? TRY(capture_stream(request, STDIN_FILENO, piped, *sink, progress_printer(context), &cancel_flag()))
            : TRY(capture_disks(request, *sink, progress_printer(context), &cancel_flag()));
    TRY(check_snapshots(sources, report, *place));
    for (const auto& why : sources.why_inconsistent)
        report.warnings.push_back("the image is INCONSISTENT, good only as --base of a capture at rest: " + why);
    std::vector<std::string> names;
    for (const auto& disk : sources.disks) names.push_back(disk.identity.name);
    context.print(text_of(report, told, names), to_json(report, request.inconsistent));
    return !report.losses.empty() ? kExitLosses : request.inconsistent || report.odd_table ? kExitWarnings : kExitDone;
}

}  // namespace

void add_image_capture(CLI::App& image, Context& context) {
    auto a = std::make_shared<CaptureArguments>();
    auto* app = add_command(
        image, context, "capture", "Capture disks into a store; the source is only read",
        "  slipway image capture --source /dev/sdb --store /srv/store --name web\n"
        "  slipway image capture --source disk.vhd --store /mnt/usb/store --name web --exclude sda3 --json\n"
        "  slipway image capture --source /dev/vg0/root --store /srv/store --name web --live\n"
        "  slipway image capture --source /dev/sdb --store /srv/store --name web --base web@1\n"
        "  slipway image capture --source /dev/sdb --server https://10.99.0.1:8443 --name web\n"
        "  ssh rescue 'cat /dev/sda' | slipway image capture --source - --store /srv/store --name web\n");
    app->add_option(
           "--source", a->sources,
           "block device, raw file or VHD, or - for a raw disk from a pipe; repeat it for a machine of several disks")
        ->required();
    add_place_options(*app, a->place);  // a directory is made a store when it is empty
    app->add_option("--name", a->name, "the image's name; an existing one gets a new version")->required();
    auto* exclude = app->add_option("--exclude", a->exclusions, "partitions left out: sda3, 3, or DISK:PARTITION");
    app->add_option("--volume", a->volume, "this partition alone, as an image of its own: sda3, 3, or DISK:PARTITION")
        ->excludes(exclude);
    app->add_option("--base", a->base, "earlier image of the same machine, NAME or NAME@VERSION: what changed is told");
    app->add_flag(
        "--live", a->live,
        "take a disk that is in use: by a snapshot of its logical volume, or else as an inconsistent image, good only "
        "as --base");
    add_luks_key_option(*app, a->luks_keys, "used blocks only are taken then, still encrypted");
    app->add_flag("--drop-page-files", a->drop_page_files,
                  "leave out the content of Windows page and hibernation files");
    app->add_flag("--allow-hibernated", a->allow_hibernated, "take a hibernated Windows volume as it is");
    app->add_flag("--all-sectors", a->all_sectors, "take free space too");
    app->add_option("--level", a->level, "zstd level")->check(CLI::Range(1, 19))->capture_default_str();
    app->add_option("--limit-rate", a->rate, "bytes read a second")->transform(size_text());
    add_memory_option(*app, a->memory);
    on_command(*app, context, [a, &context] { return capture(*a, context); });
}

}  // namespace slipway::console
