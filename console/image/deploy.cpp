// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image deploy` from a store in a directory, or the server's.
#include "imagestore/deploy.hpp"

#include <unistd.h>

#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "imagestore/deploy_stream.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/one_volume.hpp"
#include "imagestore/selection.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/device_info.hpp"
#include "lib/disks/table/grow_filesystem.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace slipway::imagestore;

struct DeployArguments {
    PlaceName place;
    std::string name, target, format, compare = "auto";
    std::uint32_t disk = 0, volume = 0, partition = 0, grow = 0;
    bool format_given = false, verify = false, resume = false;
    std::uint64_t rate = 0, memory = 256u << 20;
};

// A target that does not exist is made, with the size the image asks for.
struct Target {
    std::unique_ptr<disks::BlockDevice> device;
    bool blank = false;
    std::unique_ptr<disks::OffsetLayer> partition;  // of the device, where one was named
    disks::BlockDevice& disk() { return partition ? static_cast<disks::BlockDevice&>(*partition) : *device; }
};

Result<Target> open_target_partition(const DeployArguments& a) {
    Target target{TRY(disks::open_disk(a.target, disks::OpenMode::ReadWrite)), false, nullptr};
    target.partition = TRY_WITH(open_partition(*target.device, a.partition), a.target);
    return target;
}

Result<Target> open_target(const DeployArguments& a, std::uint64_t size) {
    std::error_code ignored;
    if (a.partition || fs::exists(a.target, ignored)) {
        auto mounts = TRY(disks::writable_mounts(a.target));
        if (!mounts.empty()) return make_error(errors::kTargetInUse, "{} is in use: {}", a.target, join(mounts, ", "));
        if (a.partition) return open_target_partition(a);
        if (!fs::is_block_file(a.target, ignored) && !a.resume)
            return make_error(slipway::errors::kExists, "{} exists (--resume goes on with an interrupted deploy)",
                              a.target);
        return Target{TRY(disks::open_disk(a.target, disks::OpenMode::ReadWrite)), false, nullptr};
    }
    if (a.format == "vhd-fixed")
        return Target{TRY(disks::create_vhd(a.target, disks::VhdKind::Fixed, size)), true, nullptr};
    if (a.format == "vhd-dynamic")
        return Target{TRY(disks::create_vhd(a.target, disks::VhdKind::Dynamic, size)), true, nullptr};
    return Target{TRY(disks::FileDisk::create(a.target, size)), true, nullptr};
}

json::value to_json(const DeployReport& r) {
    json::array losses, warnings(r.warnings.begin(), r.warnings.end());
    for (std::size_t i = 0; i < r.losses.size(); ++i)
        losses.push_back({{"offset", r.losses[i].offset}, {"length", r.losses[i].length}, {"place", r.loss_places[i]}});
    return {{"source", r.source},
            {"disk_bytes", r.disk_bytes},
            {"data_chunks", r.data_chunks},
            {"written_bytes", r.written_bytes},
            {"fetched_bytes", r.fetched_bytes},
            {"sampled_chunks", r.sampled_chunks},
            {"sampled_equal", r.sampled_equal},
            {"compared_chunks", r.compared_chunks},
            {"kept_chunks", r.kept_chunks},
            {"cleared_bytes", r.cleared_bytes},
            {"verified_bytes", r.verified_bytes},
            {"verified_on_medium", r.verified_on_medium},
            {"seconds", r.seconds},
            {"bytes_per_second", r.bytes_per_second},
            {"losses", losses},
            {"backup_table_moved", r.backup_table_moved},
            {"grown", r.grown ? json::value{{"offset", r.grown->offset},
                                            {"length", r.grown->length},
                                            {"before", r.grown->before},
                                            {"filesystem", r.grown->filesystem}}
                              : json::value()},
            {"warnings", warnings}};
}

std::string verified_text(const DeployReport& r) {
    return fmt::format(
        ", verified {}{}", human_bytes(r.verified_bytes),
        r.verified_on_medium ? "" : " (as the system remembers it: the target cannot be read past that)");
}

std::string text_of(const DeployArguments& a, const DeployReport& r) {
    auto text = fmt::format("{}: wrote {} in {:.1f} s ({}/s), {} chunks were there already{}\n", a.target,
                            human_bytes(r.written_bytes), r.seconds,
                            human_bytes(static_cast<std::uint64_t>(r.bytes_per_second)), r.kept_chunks,
                            a.verify ? verified_text(r) : "");
    if (r.backup_table_moved) text += "the backup partition table is at the end of the target\n";
    if (r.grown)
        text += fmt::format("partition {} grew from {} to {}\n", a.grow, human_bytes(r.grown->before),
                            human_bytes(r.grown->length));
    for (const auto& w : r.warnings) text += "warning: " + printable(w) + "\n";
    for (const auto& place : r.loss_places) text += "LOST at the source, zero here: " + place + "\n";
    return text;
}

ExitCode exit_of(const DeployReport& r) {
    return !r.losses.empty() ? kExitLosses : r.warnings.empty() ? kExitDone : kExitWarnings;
}

// After the partition: the kernel's view of it, and the file system in it.
void grow_inside(const DeployArguments& a, DeployReport& report) {
    std::error_code ignored;
    if (fs::is_block_file(a.target, ignored)) {
        auto read = disks::reread_partitions(a.target);
        if (!read) report.warnings.push_back("the kernel still sees the old table: " + read.error().message());
    }
    disks::GrownVolume volume{report.grown->filesystem, a.format == "vhd-dynamic" ? "" : a.target, report.grown->offset,
                              report.grown->length};
    auto left = disks::grow_filesystem(volume, [](const auto& argv) { return run_command(argv); });
    if (!left.empty())
        report.warnings.push_back(
            fmt::format("partition {} has grown, its {} not: {}", a.grow, report.grown->filesystem, left));
}

// Raw bytes to standard output; what there is to say goes to standard error.
Result<ExitCode> deploy_to_pipe(const DeployArguments& a, const DeployRequest& request, ChunkSource& chunks,
                                Context& context) {
    if (a.verify || a.resume || a.grow || a.partition || a.format != "raw" || a.compare != "auto")
        return make_error(errors::kUsage,
                          "--target - takes no --verify, --resume, --compare, --grow, --partition or --format");
    if (::isatty(STDOUT_FILENO) == 1) return make_error(errors::kTerminal, "a disk's bytes would go to the terminal");
    auto r = TRY(deploy_stream(request, chunks, STDOUT_FILENO, progress_printer(context), &cancel_flag()));
    context.print(text_of(a, r), to_json(r));
    return exit_of(r);
}

// A raw disk under the name of a VHD would pass for a broken one.
Status check_format(const DeployArguments& a) {
    std::error_code ignored;
    if (a.format_given || a.partition || !to_lower(a.target).ends_with(".vhd") || fs::exists(a.target, ignored))
        return {};
    return make_error(
        errors::kUsage,
        "{} would be a raw disk: give --format vhd-fixed or vhd-dynamic, or --format raw if that is meant", a.target);
}

Result<DeployReport> lay_down(const DeployArguments& a, const DeployRequest& request, ChunkSource& chunks,
                              const Context& context) {
    auto report = deploy_disk(request, chunks, progress_printer(context), &cancel_flag());
    if (report || !report.error().is(imagestore::errors::kCancelled)) return report;
    return make_error(errors::kDeployInterrupted, "{}: {}", a.target, report.error().message());
}

Result<ExitCode> deploy(const DeployArguments& a, Context& context) {
    TRY(check_format(a));
    bool pipe = a.target == "-";
    context.on_stderr = pipe;
    auto place = TRY(open_place(a.place));
    auto opened = TRY(place->image(TRY(ImageRef::parse(a.name))));
    auto image = TRY(summarize(*opened.manifest));
    if (image.image.inconsistent)
        return make_error(imagestore::errors::kInconsistent, "{} is marked inconsistent", opened.version.text());
    auto part = TRY(select_part(image, a.disk, a.volume));
    DeployRequest request;
    request.manifest = opened.manifest.get();
    request.disk = a.disk;
    request.volume = a.volume;
    request.grow = a.grow;
    request.rate_limit = a.rate;
    request.memory_limit = a.memory;
    if (pipe) return deploy_to_pipe(a, request, *opened.chunks, context);
    auto target = TRY(open_target(a, part.size()));
    request.target = &target.disk();
    request.resume = a.resume;
    request.compare = a.compare == "always" ? Compare::Always : a.compare == "never" ? Compare::Never : Compare::Auto;
    request.verify = a.verify;
    request.target_is_blank = target.blank;
    auto r = TRY(lay_down(a, request, *opened.chunks, context));
    target = {};  // closed, so that tools and kernel see what was written
    if (r.grown) grow_inside(a, r);
    context.print(text_of(a, r), to_json(r));
    return exit_of(r);
}

}  // namespace

void add_image_deploy(CLI::App& image, Context& context) {
    auto a = std::make_shared<DeployArguments>();
    auto* app = add_command(
        image, context, "deploy", "Lay one disk of an image, or one volume, onto a disk or into a file",
        "  slipway image deploy --store /srv/store --name web --target web.vhd --format vhd-fixed --verify\n"
        "  slipway image deploy --server https://10.99.0.1:8443 --name web --target /dev/sdb --verify\n"
        "  slipway image deploy --store /srv/store --name web@2 --disk 1 --target /dev/sdb --grow 2\n"
        "  slipway image deploy --store /srv/store --name web@3 --target /dev/sdb --compare always\n"
        "  slipway image deploy --store /srv/store --name web --volume 3 --target /dev/sdb --partition 1\n"
        "  slipway image deploy --store /srv/store --name web --target - | ssh rescue 'cat > /dev/sda'\n");
    add_place_options(*app, a->place);
    app->add_option("--name", a->name, "NAME (newest version) or NAME@VERSION")->required();
    app->add_option("--target", a->target, "block device, a file to be made, or - for raw bytes to a pipe")->required();
    auto* format = app->add_option("--format", a->format, "of a new file")
                       ->check(CLI::IsMember({"raw", "vhd-fixed", "vhd-dynamic"}))
                       ->default_val("raw");
    app->add_option("--disk", a->disk, "which disk of the image, from 0")->capture_default_str();
    auto* volume =
        app->add_option("--volume", a->volume, "that partition of the image alone")->check(CLI::Range(1, 4096));
    auto* partition =
        app->add_option("--partition", a->partition, "the target's partition that takes it; only that is written")
            ->check(CLI::Range(1, 4096))
            ->excludes(format);
    app->add_option("--grow", a->grow, "partition that takes the space behind it on a larger target")
        ->check(CLI::Range(1, 4096))
        ->excludes(volume)
        ->excludes(partition);
    app->add_flag("--verify", a->verify, "read all back, from the medium and not from memory, and compare");
    auto* resume =
        app->add_flag("--resume", a->resume, "go on with an interrupted deploy: only what differs is written");
    app->add_option("--compare", a->compare,
                    "hash what the target holds, and keep what is as in the image (an earlier version): auto, where 32 "
                    "places looked at say that it pays; always; never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->capture_default_str()
        ->excludes(resume);
    app->add_option("--limit-rate", a->rate, "bytes written a second")->transform(size_text());
    add_memory_option(*app, a->memory);
    on_command(*app, context, [a, format, &context] {
        a->format_given = format->count() > 0;
        return deploy(*a, context);
    });
}

}  // namespace slipway::console
