// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image deploy` from a store in a directory.
#include "imagestore/deploy.hpp"

#include "console/errors.hpp"
#include "console/image/image.hpp"
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

struct DeployArguments {
    std::string store, name, target, format;
    std::uint32_t disk = 0;
    bool verify = false, resume = false;
    std::uint64_t rate = 0, memory = 256u << 20;
};

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
    request.memory_limit = a.memory;
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

}  // namespace

void add_image_deploy(CLI::App& image, Context& context) {
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
    add_memory_option(*app, a->memory);
    on_command(*app, context, [a, &context] { return deploy(*a, context); });
}

}  // namespace slipway::console
