// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image capture` into a store in a directory.
#include "imagestore/capture.hpp"

#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "imagestore/store.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/device_info.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace slipway::imagestore;

struct CaptureArguments {
    std::vector<std::string> sources;
    std::string store, name;
    std::vector<std::string> exclusions;
    bool all_sectors = false;
    int level = 1;
    std::uint64_t rate = 0, memory = 256u << 20;
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

Result<std::unique_ptr<disks::BlockDevice>> open_source(const std::string& source) {
    auto mounts = TRY(disks::writable_mounts(source));
    if (!mounts.empty())
        return make_error(errors::kSourceInUse, "{} is in use read-write: {}", source, join(mounts, ", "));
    return disks::open_disk(source, disks::OpenMode::ReadOnly);
}

json::value to_json(const CaptureReport& r) {
    json::array volumes, losses, warnings(r.warnings.begin(), r.warnings.end());
    for (const auto& [disk, v] : r.volumes)
        volumes.push_back({{"disk", disk},
                           {"partition", v.partition},
                           {"filesystem", v.filesystem},
                           {"label", v.label},
                           {"uuid", v.uuid},
                           {"length", v.length},
                           {"used", v.used},
                           {"every_sector", v.every_sector},
                           {"excluded", v.excluded},
                           {"state", std::string(name_of(v.state))},
                           {"note", v.note}});
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
            {"manifest_bytes", r.manifest_bytes},
            {"seconds", r.seconds},
            {"bytes_per_second", r.bytes_per_second},
            {"bottleneck", r.bottleneck},
            {"volumes", volumes},
            {"losses", losses},
            {"warnings", warnings}};
}

std::string text_of(const CaptureReport& r) {
    std::string out =
        fmt::format("{}: read {} of {} in {:.1f} s ({}/s), stored {} in {} chunks, {} known already; {}\n", r.image,
                    human_bytes(r.bytes_read), human_bytes(r.disk_bytes), r.seconds,
                    human_bytes(static_cast<std::uint64_t>(r.bytes_per_second)), human_bytes(r.sent_bytes),
                    r.sent_chunks, human_bytes(r.deduplicated_bytes), r.bottleneck);
    for (const auto& w : r.warnings) out += "warning: " + printable(w) + "\n";
    for (const auto& l : r.losses)
        out += fmt::format("LOST: disk {}: {} bytes at byte {} could not be read and are zero\n", l.disk,
                           l.range.length, l.range.offset);
    return out;
}

Result<ExitCode> capture(const CaptureArguments& a, const Context& context) {
    CaptureRequest request;
    request.name = a.name;
    request.source = fs::path(a.sources.front()).filename().string();
    request.created_ms = static_cast<std::uint64_t>(unix_milliseconds(context.clock.wall()));
    request.exclusions = a.exclusions;
    request.all_sectors = a.all_sectors;
    request.level = a.level;
    request.rate_limit = a.rate;
    request.memory_limit = a.memory;
    std::vector<std::unique_ptr<disks::BlockDevice>> devices;
    for (const auto& source : a.sources) {
        devices.push_back(TRY(open_source(source)));
        request.disks.push_back({devices.back().get(), identity_of(source)});
    }
    auto store = TRY(open_store(a.store, true));
    WriterOptions options;
    options.check_chunks = false;  // hashed by the capture in this very process
    auto writer = TRY(store->writer(options));
    auto report = TRY(capture_disks(request, *writer, progress_printer(context), &cancel_flag()));
    context.print(text_of(report), to_json(report));
    return report.losses.empty() ? kExitDone : kExitLosses;
}

}  // namespace

void add_image_capture(CLI::App& image, Context& context) {
    auto a = std::make_shared<CaptureArguments>();
    auto* app = add_command(
        image, context, "capture", "Capture disks into a store; the source is only read",
        "  slipway image capture --source /dev/sdb --store /srv/store --name web\n"
        "  slipway image capture --source disk.vhd --store /mnt/usb/store --name web --exclude sda3 --json\n");
    app->add_option("--source", a->sources, "block device, raw file or VHD; repeat it for a machine of several disks")
        ->required();
    app->add_option("--store", a->store, "directory of the store, made when empty")->required();
    app->add_option("--name", a->name, "the image's name; an existing one gets a new version")->required();
    app->add_option("--exclude", a->exclusions, "partitions left out: sda3, 3, or DISK:PARTITION");
    app->add_flag("--all-sectors", a->all_sectors, "take free space too");
    app->add_option("--level", a->level, "zstd level")->check(CLI::Range(1, 19))->capture_default_str();
    app->add_option("--limit-rate", a->rate, "bytes read a second")->transform(size_text());
    add_memory_option(*app, a->memory);
    on_command(*app, context, [a, &context] { return capture(*a, context); });
}

}  // namespace slipway::console
