// SPDX-License-Identifier: GPL-3.0-or-later
// Capturing the machine's disks into the server's store, and laying an image down on them.
#include <algorithm>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/remote_store.hpp"
#include "agent-ramdisk/agent/task.hpp"
#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/strings.hpp"

namespace slipway::agent {

namespace {

namespace json = boost::json;

// A pipeline may take a third of what is free; the rest is for the page cache and TLS.
std::uint64_t pipeline_memory(Machine& machine) {
    return std::clamp<std::uint64_t>(machine.memory_available() / 3, imagestore::kMinCaptureMemory, 256u << 20);
}

bool names_disk(const std::string& word, const disks::DiskDevice& disk) {
    return word == disk.name || word == disk.path || (!disk.serial.empty() && word == disk.serial);
}

const disks::DiskDevice* find_disk(const std::vector<disks::DiskDevice>& all, const std::string& word) {
    auto found = std::find_if(all.begin(), all.end(), [&](const auto& d) { return names_disk(word, d); });
    return found == all.end() ? nullptr : &*found;
}

// "SERIAL:2" -> "sda2": the source's own system may have numbered its disks otherwise than we do.
void name_partitions(const std::vector<disks::DiskDevice>& all, std::vector<std::string>& exclusions) {
    for (auto& word : exclusions) {
        auto colon = word.rfind(':');
        if (colon == std::string::npos || colon == 0) continue;
        for (const auto& disk : all) {
            if (disk.serial != word.substr(0, colon)) continue;
            bool digit = std::isdigit(static_cast<unsigned char>(disk.name.back())) != 0;
            word = disk.name + (digit ? "p" : "") + word.substr(colon + 1);
            break;
        }
    }
}

// `disks` (default all), less those whose partitions are all excluded; exclusions of whole disks are taken out.
Result<std::vector<disks::DiskDevice>> disks_to_capture(TaskContext& context, std::vector<std::string>& exclusions) {
    auto all = TRY(context.machine.disks());
    auto wanted = context.list("disks");
    name_partitions(all, exclusions);
    std::vector<disks::DiskDevice> out;
    for (const auto& word : wanted)
        if (word != "all" && !find_disk(all, word))
            return make_error(errors::kNoDisk, "the machine has no disk '{}'", word);
    for (const auto& disk : all) {
        bool chosen = wanted.empty() || std::any_of(wanted.begin(), wanted.end(),
                                                    [&](const auto& w) { return w == "all" || names_disk(w, disk); });
        bool left_out = std::erase_if(exclusions, [&](const auto& w) { return names_disk(w, disk); }) > 0;
        auto excluded = [&](const std::string& partition) {
            return std::find(exclusions.begin(), exclusions.end(), partition) != exclusions.end();
        };
        if (!disk.partitions.empty() && std::all_of(disk.partitions.begin(), disk.partitions.end(), excluded)) {
            left_out = true;
            std::erase_if(exclusions, [&](const auto& w) {
                return std::find(disk.partitions.begin(), disk.partitions.end(), w) != disk.partitions.end();
            });
        }
        if (chosen && !left_out) out.push_back(disk);
    }
    if (out.empty()) return make_error(errors::kNoDisk, "no disk is left to capture; the machine shows {}", all.size());
    return out;
}

json::object describe(const imagestore::CaptureReport& r) {
    json::array warnings(r.warnings.begin(), r.warnings.end()), volumes;
    for (const auto& [disk, v] : r.volumes)
        volumes.push_back({{"disk", disk},
                           {"partition", v.partition},
                           {"filesystem", v.filesystem},
                           {"used", v.used},
                           {"length", v.length},
                           {"every_sector", v.every_sector},
                           {"note", v.note}});
    auto summary = fmt::format("{}: read {} in {:.0f} s ({}/s), sent {}", r.image, human_bytes(r.bytes_read), r.seconds,
                               human_bytes(static_cast<std::uint64_t>(r.bytes_per_second)), human_bytes(r.sent_bytes));
    return {{"image", r.image},           {"disk_bytes", r.disk_bytes},
            {"used_bytes", r.used_bytes}, {"bytes_read", r.bytes_read},
            {"sent_bytes", r.sent_bytes}, {"deduplicated_bytes", r.deduplicated_bytes},
            {"seconds", r.seconds},       {"bytes_per_second", r.bytes_per_second},
            {"bottleneck", r.bottleneck}, {"losses", r.losses.size()},
            {"warnings", warnings},       {"volumes", volumes},
            {"summary", summary}};
}

struct Assignment {
    std::uint32_t index;  // in the image
    disks::DiskDevice target;
};

// `disk` says "IMAGE-DISK=TARGET;…" (number or name of the image's disk); the rest by serial, else in order.
Result<std::vector<Assignment>> assign(TaskContext& context, const imagestore::ManifestSummary& image) {
    auto all = TRY(context.machine.disks());
    std::map<std::uint32_t, disks::DiskDevice> chosen;
    auto take = [&](std::uint32_t index, const disks::DiskDevice& disk) {
        chosen.emplace(index, disk);
        std::erase_if(all, [&](const auto& d) { return d.path == disk.path; });
    };
    for (const auto& word : context.list("disk")) {
        auto equals = word.find('=');
        auto left = word.substr(0, equals), right = equals == std::string::npos ? "" : word.substr(equals + 1);
        const auto* disk = find_disk(all, right);
        if (!disk) return make_error(errors::kNoDisk, "the machine has no disk '{}'", right);
        for (const auto& d : image.disks)
            if (left == d.disk.name || left == std::to_string(d.disk.index)) {
                take(d.disk.index, *disk);
                break;
            }
    }
    for (const auto& d : image.disks)
        if (!chosen.contains(d.disk.index) && !d.disk.serial.empty())
            if (const auto* same = find_disk(all, d.disk.serial)) take(d.disk.index, *same);
    for (const auto& d : image.disks) {
        if (chosen.contains(d.disk.index)) continue;
        auto fits = std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.size >= d.disk.size; });
        if (fits == all.end())
            return make_error(errors::kNoDisk, "no disk of {} or more is left for {}", human_bytes(d.disk.size),
                              d.disk.name);
        take(d.disk.index, *fits);
    }
    std::vector<Assignment> out;
    for (const auto& [index, disk] : chosen) out.push_back({index, disk});
    return out;
}

}  // namespace

Result<TaskOutcome> capture_task(TaskContext& context) {
    imagestore::CaptureRequest request;
    request.name = TRY(context.need("image"));
    request.source = context.self.device;
    request.created_ms = static_cast<std::uint64_t>(unix_milliseconds(SystemClock().wall()));
    request.exclusions = context.list("exclude");
    request.memory_limit = pipeline_memory(context.machine);
    if (auto level = context.get("level"); !level.empty()) {
        auto number = parse_u64(level);
        if (!number || *number < 1 || *number > 19)
            return make_error(errors::kParameter, "level '{}' is not 1 to 19", level);
        request.level = static_cast<int>(*number);
    }
    std::vector<std::unique_ptr<disks::BlockDevice>> devices;
    for (const auto& disk : TRY(disks_to_capture(context, request.exclusions))) {
        devices.push_back(TRY_WITH(context.machine.open_source(disk), "opening " + disk.path));
        request.disks.push_back({devices.back().get(), {disk.name, disk.serial, disk.model, 0, 0, 0}});
        context.log(fmt::format("capturing {} ({}, {})", disk.path, human_bytes(disk.size), disk.model));
    }
    auto link = TRY(BulkLink::open(context.link, context.self, context.get("bulk_key")));
    channel::RemoteSink sink(link);
    auto report = TRY(imagestore::capture_disks(request, sink, context.progress, &context.cancel));
    for (const auto& warning : report.warnings) context.log("warning: " + warning);
    for (const auto& loss : report.losses)
        context.log(fmt::format("LOST: disk {}: {} bytes at byte {} could not be read and are zero", loss.disk,
                                loss.range.length, loss.range.offset));
    TaskOutcome outcome;
    outcome.result = describe(report);
    outcome.losses = !report.losses.empty();
    return outcome;
}

Result<TaskOutcome> deploy_task(TaskContext& context) {
    auto name = TRY(context.need("image"));
    bool verify = TRY(context.flag("verify", true));
    auto link = TRY(BulkLink::open(context.link, context.self, context.get("bulk_key")));
    auto bytes = TRY(link.manifest(name));
    imagestore::ManifestView manifest(bytes);
    auto image = TRY(imagestore::summarize(manifest));
    channel::RemoteSource source(link);
    TaskOutcome outcome;
    json::array list;
    std::uint64_t written = 0, kept = 0;
    double seconds = 0;
    for (const auto& [index, disk] : TRY(assign(context, image))) {
        context.log(fmt::format("laying {} of {} down on {}", image.disks[index].disk.name, name, disk.path));
        imagestore::DeployRequest request;
        request.manifest = &manifest;
        request.disk = index;
        request.verify = verify;
        request.memory_limit = pipeline_memory(context.machine);
        imagestore::DeployReport report;
        {
            auto target = TRY_WITH(context.machine.open_target(disk), "opening " + disk.path);
            request.target = target.get();
            report = TRY(imagestore::deploy_disk(request, source, context.progress, &context.cancel));
        }
        TRY(context.machine.reread(disk));
        for (const auto& warning : report.warnings) context.log("warning: " + warning);
        list.push_back({{"disk", disk.path},
                        {"source", report.source},
                        {"written_bytes", report.written_bytes},
                        {"kept_chunks", report.kept_chunks},
                        {"fetched_bytes", report.fetched_bytes},
                        {"verified_bytes", report.verified_bytes},
                        {"seconds", report.seconds}});
        written += report.written_bytes;
        kept += report.kept_chunks;
        seconds += report.seconds;
        outcome.losses = outcome.losses || !report.losses.empty();
    }
    outcome.result = {
        {"image", name},
        {"disks", list},
        {"written_bytes", written},
        {"seconds", seconds},
        {"losses", outcome.losses ? 1 : 0},
        {"summary",
         fmt::format("{}: wrote {} in {:.0f} s ({}/s), {} MiB were there already{}", name, human_bytes(written),
                     seconds,
                     human_bytes(seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(written) / seconds) : 0),
                     kept, verify ? ", verified" : "")}};
    return outcome;
}

}  // namespace slipway::agent
