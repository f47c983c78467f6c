// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image …` on a store in a directory (--store). Without --store the server is asked (image_server.cpp).
#include <unistd.h>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/image_server.hpp"
#include "console/table.hpp"
#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/device_info.hpp"
#include "lib/disks/vhd/vhd.hpp"

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
    std::uint64_t rate = 0;
};

struct DeployArguments {
    std::string store, name, target, format;
    std::uint32_t disk = 0;
    bool verify = false, resume = false;
    std::uint64_t rate = 0;
};

Result<std::unique_ptr<Store>> open_store(const std::string& directory, bool create = false) {
    StoreOptions options;
    options.create = create;
    return Store::open(directory, options);
}

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

// A target that does not exist is made, with the size the image asks for.
struct Target {
    std::unique_ptr<disks::BlockDevice> device;
    bool blank = false;
};

Result<Target> open_target(const DeployArguments& a, std::uint64_t size) {
    std::error_code ignored;
    if (fs::exists(a.target, ignored)) {
        auto mounts = TRY(disks::writable_mounts(a.target));
        if (!mounts.empty()) return make_error(errors::kTargetInUse, "{} is in use: {}", a.target, join(mounts, ", "));
        if (!fs::is_block_file(a.target, ignored) && !a.resume)
            return make_error(slipway::errors::kExists, "{} exists (--resume goes on with an interrupted deploy)",
                              a.target);
        return Target{TRY(disks::open_disk(a.target, disks::OpenMode::ReadWrite)), false};
    }
    if (a.format == "vhd-fixed") return Target{TRY(disks::create_vhd(a.target, disks::VhdKind::Fixed, size)), true};
    if (a.format == "vhd-dynamic") return Target{TRY(disks::create_vhd(a.target, disks::VhdKind::Dynamic, size)), true};
    return Target{TRY(disks::FileDisk::create(a.target, size)), true};
}

json::value to_json(const DeployReport& r) {
    json::array warnings(r.warnings.begin(), r.warnings.end());
    return {{"source", r.source},
            {"disk_bytes", r.disk_bytes},
            {"data_chunks", r.data_chunks},
            {"written_bytes", r.written_bytes},
            {"fetched_bytes", r.fetched_bytes},
            {"kept_chunks", r.kept_chunks},
            {"cleared_bytes", r.cleared_bytes},
            {"verified_bytes", r.verified_bytes},
            {"seconds", r.seconds},
            {"bytes_per_second", r.bytes_per_second},
            {"losses", r.losses.size()},
            {"warnings", warnings}};
}

Result<ExitCode> deploy(const DeployArguments& a, const Context& context) {
    auto store = TRY(open_store(a.store));
    auto manifest = TRY(store->manifest(TRY(ImageRef::parse(a.name))));
    auto image = TRY(summarize(*manifest));
    if (a.disk >= image.disks.size())
        return make_error(imagestore::errors::kNoDisk, "the image has {} disks, not number {}", image.disks.size(),
                          a.disk);
    auto target = TRY(open_target(a, image.disks[a.disk].disk.size));
    DeployRequest request;
    request.manifest = manifest.get();
    request.disk = a.disk;
    request.target = target.device.get();
    request.resume = a.resume;
    request.verify = a.verify;
    request.target_is_blank = target.blank;
    request.rate_limit = a.rate;
    auto r = TRY(deploy_disk(request, *store, progress_printer(context), &cancel_flag()));
    auto text = fmt::format("{}: wrote {} in {:.1f} s ({}/s), {} chunks were there already{}\n", a.target,
                            human_bytes(r.written_bytes), r.seconds,
                            human_bytes(static_cast<std::uint64_t>(r.bytes_per_second)), r.kept_chunks,
                            a.verify ? ", verified " + human_bytes(r.verified_bytes) : "");
    for (const auto& w : r.warnings) text += "warning: " + w + "\n";
    if (!r.losses.empty())
        text += fmt::format("LOST: {} ranges of the source could not be read and are zero\n", r.losses.size());
    context.print(text, to_json(r));
    return !r.losses.empty() ? kExitLosses : r.warnings.empty() ? kExitDone : kExitWarnings;
}

json::value describe(const ManifestSummary& image, const std::string& name) {
    json::array disks;
    for (const auto& d : image.disks) {
        json::array volumes;
        for (const auto& v : d.volumes)
            volumes.push_back({{"partition", v.partition},
                               {"filesystem", v.filesystem},
                               {"label", v.label},
                               {"uuid", v.uuid},
                               {"length", v.length},
                               {"used", v.used},
                               {"every_sector", v.every_sector},
                               {"excluded", v.excluded},
                               {"note", v.note}});
        disks.push_back({{"name", d.disk.name},
                         {"serial", d.disk.serial},
                         {"size", d.disk.size},
                         {"sector_size", d.disk.sector_size},
                         {"table", std::string(name_of(d.disk.table))},
                         {"table_id", d.disk.table_id},
                         {"data_chunks", d.data_chunks},
                         {"losses", d.losses.size()},
                         {"volumes", volumes}});
    }
    return {{"image", name},
            {"created", iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image.image.created_ms)))},
            {"source", image.image.source},
            {"writer", image.image.writer},
            {"inconsistent", image.image.inconsistent},
            {"disks", disks}};
}

Result<ExitCode> list(const std::string& directory, const Context& context) {
    auto store = TRY(open_store(directory));
    Table table({"IMAGE", "CREATED", "SOURCE", "DISKS", "SIZE", "DATA"});
    json::array items;
    for (const auto& version : TRY(store->images())) {
        auto manifest = TRY(store->manifest(TRY(ImageRef::parse(version.text()))));
        auto image = summarize(*manifest);
        if (!image) {
            table.row({version.text(), "", "", "", "", "damaged: " + image.error().message()});
            items.push_back({{"image", version.text()}, {"damaged", image.error().describe()}});
            continue;
        }
        std::uint64_t size = 0, data = 0;
        for (const auto& d : image->disks) {
            size += d.disk.size;
            data += d.data_chunks * kChunkBytes;
        }
        table.row({version.text(), iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image->image.created_ms))),
                   image->image.source, std::to_string(image->disks.size()), human_bytes(size), human_bytes(data)});
        items.push_back(describe(*image, version.text()));
    }
    context.print(table.text(), {{"items", items}});
    return kExitDone;
}

Result<ExitCode> show(const std::string& directory, const std::string& name, const Context& context) {
    auto store = TRY(open_store(directory));
    auto manifest = TRY(store->manifest(TRY(ImageRef::parse(name))));
    auto image = TRY(summarize(*manifest));
    auto full = manifest->version().text();
    std::string text = fmt::format("{}  taken {} from {} by {}\n", full,
                                   iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image.image.created_ms))),
                                   printable(image.image.source), printable(image.image.writer));
    for (const auto& d : image.disks) {
        text +=
            fmt::format("\n{}  {}  {} table {}  serial {}\n", printable(d.disk.name), human_bytes(d.disk.size),
                        name_of(d.disk.table), d.disk.table_id, d.disk.serial.empty() ? "-" : printable(d.disk.serial));
        Table volumes({"PARTITION", "FILE SYSTEM", "LABEL", "SIZE", "TAKEN", "NOTE"});
        for (const auto& v : d.volumes)
            volumes.row({std::to_string(v.partition), v.filesystem.empty() ? "-" : v.filesystem, v.label,
                         human_bytes(v.length), human_bytes(v.used), v.note});
        text += volumes.text();
    }
    context.print(text, describe(image, full));
    return kExitDone;
}

Result<ExitCode> verify(const std::string& directory, bool heal, const Context& context) {
    auto store = TRY(open_store(directory));
    auto r = TRY(store->verify(progress_printer(context), &cancel_flag()));
    json::array hurt, damaged(r.damaged.begin(), r.damaged.end());
    std::string text = fmt::format("{} packs, {} chunks, {} read, {} images: {}\n", r.packs, r.chunks,
                                   human_bytes(r.bytes), r.images, r.ok() ? "all well" : "DAMAGED");
    for (const auto& d : r.damaged) text += "damaged: " + d + "\n";
    for (const auto& h : r.hurt) {
        text += fmt::format("hurt: {} ({})\n", h.image,
                            h.reason.empty() ? fmt::format("{} chunks", h.missing_chunks) : h.reason);
        hurt.push_back({{"image", h.image}, {"missing_chunks", h.missing_chunks}, {"reason", h.reason}});
    }
    if (heal && !r.damaged_packs.empty()) {
        auto healed = TRY(store->heal(r.damaged_packs));
        text += fmt::format(
            "set aside {} damaged packs: {} chunks kept, {} lost; capture the machines of the hurt images again\n",
            healed.packs, healed.chunks_kept, healed.chunks_lost);
    }
    context.print(text, {{"ok", r.ok()},
                         {"packs", r.packs},
                         {"chunks", r.chunks},
                         {"bytes", r.bytes},
                         {"damaged", damaged},
                         {"hurt", hurt}});
    return r.ok() ? kExitDone : kExitFailed;
}

Result<ExitCode> remove(const std::string& directory, const std::string& name, const Context& context) {
    auto store = TRY(open_store(directory));
    auto removed = TRY(store->remove(TRY(ImageRef::parse(name))));
    std::string text;
    json::array items;
    for (const auto& version : removed) {
        text += "deleted " + version.text() + " (its space comes back by `slipway image gc`)\n";
        items.push_back(json::string(version.text()));
    }
    context.print(text, {{"deleted", items}});
    return kExitDone;
}

Result<ExitCode> collect(const std::string& directory, bool dry_run, const Context& context) {
    auto store = TRY(open_store(directory));
    GcOptions options;
    options.dry_run = dry_run;
    auto r = TRY(store->gc(options, context.clock));
    context.print(
        fmt::format("{}{} freed: {} packs removed, {} rewritten; {} too young to touch\n", dry_run ? "would be: " : "",
                    human_bytes(r.bytes_freed), r.packs_removed, r.packs_rewritten, r.packs_young),
        {{"bytes_freed", r.bytes_freed},
         {"packs_removed", r.packs_removed},
         {"packs_rewritten", r.packs_rewritten},
         {"packs_young", r.packs_young},
         {"chunks_removed", r.chunks_removed}});
    return kExitDone;
}

void add_capture(CLI::App& image, Context& context) {
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
    on_command(*app, context, [a, &context] { return capture(*a, context); });
}

void add_deploy(CLI::App& image, Context& context) {
    auto a = std::make_shared<DeployArguments>();
    auto* app = add_command(
        image, context, "deploy", "Lay one disk of an image onto a disk or into a file",
        "  slipway image deploy --store /srv/store --name web --target web.vhd --format vhd-fixed --verify\n"
        "  slipway image deploy --store /srv/store --name web@2 --disk 1 --target /dev/sdb\n");
    app->add_option("--store", a->store, "directory of the store")->required();
    app->add_option("--name", a->name, "NAME (newest version) or NAME@VERSION")->required();
    app->add_option("--target", a->target, "block device, or a file to be made")->required();
    app->add_option("--format", a->format, "of a new file")
        ->check(CLI::IsMember({"raw", "vhd-fixed", "vhd-dynamic"}))
        ->default_val("raw");
    app->add_option("--disk", a->disk, "which disk of the image, from 0")->capture_default_str();
    app->add_flag("--verify", a->verify, "read all back and compare");
    app->add_flag("--resume", a->resume, "go on with an interrupted deploy: only what differs is written");
    app->add_option("--limit-rate", a->rate, "bytes written a second")->transform(size_text());
    on_command(*app, context, [a, &context] { return deploy(*a, context); });
}

}  // namespace

void add_image_commands(CLI::App& root, Context& context) {
    auto* image = root.add_subcommand("image", "Images: capture, deploy, look at and care for them");
    image->require_subcommand(1);
    add_capture(*image, context);
    add_deploy(*image, context);
    auto store = std::make_shared<std::string>(), name = std::make_shared<std::string>();
    auto dry = std::make_shared<bool>(false), heal = std::make_shared<bool>(false);
    auto add = [&](const char* word, const char* what, bool named, std::function<Result<ExitCode>()> local,
                   std::function<Result<ExitCode>()> remote) {
        auto* app = add_command(*image, context, word, what,
                                fmt::format("  slipway image {}{} --store /srv/store\n", word, named ? " web" : ""));
        if (named) app->add_option("name", *name, "NAME or NAME@VERSION")->required();
        app->add_option("--store", *store,
                        remote ? "directory of a store; without it the server's is asked" : "directory of the store")
            ->required(!remote);
        on_command(*app, context, [store, local, remote] { return store->empty() ? remote() : local(); });
        return app;
    };
    add(
        "list", "The images and their versions", false, [=, &context] { return list(*store, context); },
        [&context] { return server_image_list(context); });
    add(
        "show", "One image: disks, volumes, what was taken", true,
        [=, &context] { return show(*store, *name, context); },
        [=, &context] { return server_image_show(*name, context); });
    add(
        "verify", "Read every pack, check every chunk and manifest", false,
        [=, &context] { return verify(*store, *heal, context); }, nullptr)
        ->add_flag("--heal", *heal, "set damaged packs aside, so that the next capture sends what they lost");
    add(
        "delete", "Delete a version, or all of a name", true, [=, &context] { return remove(*store, *name, context); },
        [=, &context] { return server_image_delete(*name, context); });
    add(
        "gc", "Free the space of what no image names", false, [=, &context] { return collect(*store, *dry, context); },
        nullptr)
        ->add_flag("--dry-run", *dry, "say what would be freed");
}

}  // namespace slipway::console
