// SPDX-License-Identifier: GPL-3.0-or-later
// Capturing the machine's disks into the server's store, and laying an image down on them.
#include "agent-ramdisk/agent/image_tasks.hpp"

#include <algorithm>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/multicast_calls.hpp"
#include "agent-ramdisk/agent/remote_store.hpp"
#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/one_volume.hpp"
#include "imagestore/plan.hpp"
#include "imagestore/selection.hpp"
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
void name_partitions(const std::vector<disks::DiskDevice>& all, std::vector<std::string>& words) {
    for (auto& word : words) {
        auto colon = word.rfind(':');
        if (colon == std::string::npos || colon == 0) continue;
        for (const auto& disk : all) {
            if (disk.serial != word.substr(0, colon)) continue;
            if (auto number = parse_u64(word.substr(colon + 1)); number && *number <= 4096)
                word = imagestore::partition_name(disk.name, static_cast<std::uint32_t>(*number));
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

// One disk or volume of the image, and where it goes.
struct Assignment {
    std::uint32_t index = 0;   // in the image
    std::uint32_t volume = 0;  // partition there; 0: all of it
    disks::DiskDevice target;
    std::uint32_t partition = 0;  // of the target; 0: all of it
    std::string place() const {
        return partition ? fmt::format("partition {} of {}", partition, target.path) : target.path;
    }
};

bool is_one_volume(const imagestore::DiskSummary& disk) {
    return disk.disk.table == imagestore::TableKind::None && disk.partitions.size() == 1;
}

std::uint32_t trailing_number(const std::string& word) {
    auto digits = word.substr(word.find_last_not_of("0123456789") + 1);  // npos + 1 is 0
    return digits.size() < 9 ? static_cast<std::uint32_t>(parse_u64(digits).value_or(0)) : 0;
}

// Which volume of the image `word` means; nothing, where it is the image of one.
Status choose_volume(const std::string& word, const imagestore::ManifestSummary& image, Assignment& out) {
    if (word.empty()) {
        if (image.disks.size() == 1 && is_one_volume(image.disks[0])) return {};
        return make_error(errors::kParameter,
                          "the image is of whole disks: `volume` must say which of its volumes goes there");
    }
    for (const auto& d : image.disks) {
        for (const auto& p : d.partitions) {
            bool alone = is_one_volume(d);
            if (!imagestore::names_partition(word, {d.disk.index, d.disk.name, {}, false, false}, p.number) &&
                !(alone && word == d.disk.name))
                continue;
            out.index = d.disk.index;
            out.volume = alone ? 0 : p.number;
            return {};
        }
    }
    return make_error(errors::kParameter, "the image has no volume '{}'", printable(word));
}

Result<Assignment> assign_volume(TaskContext& context, const imagestore::ManifestSummary& image) {
    auto word = context.get("partition");
    if (word.empty()) return make_error(errors::kParameter, "`volume` needs a `partition` that takes it");
    if (!context.get("disk").empty())
        return make_error(errors::kParameter, "`disk` says where whole disks go: leave it out beside `partition`");
    Assignment out;
    TRY(choose_volume(context.get("volume"), image, out));
    auto all = TRY(context.machine.disks());
    std::vector<std::string> words{word};
    name_partitions(all, words);
    out.partition = trailing_number(words[0]);
    for (std::uint32_t d = 0; d < all.size() && out.partition; ++d)
        if (imagestore::names_partition(words[0], {d, all[d].name, {}, false, false}, out.partition)) {
            out.target = all[d];
            return out;
        }
    return make_error(errors::kNoDisk, "'{}' is no partition of the machine's {} disks", printable(word), all.size());
}

// `disk` says "IMAGE-DISK=TARGET;…" (number or name of the image's disk); the rest by serial, else in order.
Result<std::vector<Assignment>> assign(TaskContext& context, const imagestore::ManifestSummary& image) {
    if (!context.get("volume").empty() || !context.get("partition").empty())
        return std::vector<Assignment>{TRY(assign_volume(context, image))};
    if (context.list("disk").empty() && std::any_of(image.disks.begin(), image.disks.end(), is_one_volume))
        return make_error(errors::kParameter, "the image is of one volume: `partition` must say where it goes");
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
    for (const auto& [index, disk] : chosen) out.push_back({index, 0, disk, 0});
    return out;
}

// What the sequence's schema says as well; a machine is asked by name whatever its server is.
Result<imagestore::Compare> compare_of(TaskContext& context) {
    using imagestore::Compare;
    const auto word = context.get("compare", "auto");
    if (word == "auto") return Compare::Auto;
    if (word == "always") return Compare::Always;
    if (word == "never") return Compare::Never;
    return make_error(errors::kParameter, "compare '{}' is not auto, always or never", printable(word));
}

void log_comparison(TaskContext& context, const imagestore::DeployReport& r) {
    const auto sample = fmt::format("{} of {} places looked at are as in the image", r.sampled_equal, r.sampled_chunks);
    if (r.compared_chunks)
        context.log(fmt::format("{} of {} MiB were there already, and stay{}", r.kept_chunks, r.data_chunks,
                                r.sampled_chunks ? ": " + sample : ""));
    else if (r.sampled_chunks) context.log(sample + ": the rest was not compared");
}

Result<imagestore::DeployReport> lay_down(TaskContext& context, const Assignment& a, imagestore::DeployRequest request,
                                          imagestore::ChunkSource& source) {
    request.disk = a.index;
    request.volume = a.volume;
    auto target = TRY_WITH(context.machine.open_target(a.target), "opening " + a.target.path);
    std::unique_ptr<disks::OffsetLayer> window;
    if (a.partition) window = TRY_WITH(imagestore::open_partition(*target, a.partition), a.target.path);
    request.target = window ? static_cast<disks::BlockDevice*>(window.get()) : target.get();
    return imagestore::deploy_disk(request, source, context.progress, &context.cancel);
}

}  // namespace

Result<TaskOutcome> capture_into(TaskContext& context, imagestore::ChunkSink& sink) {
    imagestore::CaptureRequest request;
    request.name = TRY(context.need("image"));
    request.source = context.self.device;
    request.created_ms = static_cast<std::uint64_t>(unix_milliseconds(SystemClock().wall()));
    request.exclusions = context.list("exclude");
    request.memory_limit = pipeline_memory(context.machine);
    std::vector<std::string> volume{context.get("volume")};
    if (!volume[0].empty() && !request.exclusions.empty())
        return make_error(errors::kParameter, "`volume` takes one partition alone: leave `exclude` out");
    if (auto level = context.get("level"); !level.empty()) {
        auto number = parse_u64(level);
        if (!number || *number < 1 || *number > 19)
            return make_error(errors::kParameter, "level '{}' is not 1 to 19", level);
        request.level = static_cast<int>(*number);
    }
    auto chosen = TRY(disks_to_capture(context, request.exclusions));
    std::vector<std::unique_ptr<disks::BlockDevice>> devices;
    for (const auto& disk : chosen) {
        devices.push_back(TRY_WITH(context.machine.open_source(disk), "opening " + disk.path));
        request.disks.push_back({devices.back().get(), {disk.name, disk.serial, disk.model, 0, 0, 0}, std::nullopt});
        if (volume[0].empty())
            context.log(fmt::format("capturing {} ({}, {})", disk.path, human_bytes(disk.size), disk.model));
    }
    imagestore::OneVolume one;
    if (!volume[0].empty()) {
        name_partitions(chosen, volume);
        one = TRY(imagestore::find_volume(request.disks, volume[0]));
        request.disks = {one.disk};
        context.log(fmt::format("capturing {} alone ({})", one.disk.identity.name, human_bytes(one.window->size())));
    }
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

Result<TaskOutcome> capture_task(TaskContext& context) {
    auto link = TRY(BulkLink::open(context.link, context.self, context.get("bulk_key")));
    channel::RemoteSink sink(link);
    return capture_into(context, sink);
}

Result<TaskOutcome> deploy_from(TaskContext& context, const imagestore::ManifestBytes& manifest,
                                imagestore::ChunkSource& source, imagestore::ChunkBroadcast* broadcast) {
    auto name = TRY(context.need("image"));
    imagestore::DeployRequest request;
    request.manifest = &manifest;
    request.verify = TRY(context.flag("verify", true));
    request.compare = TRY(compare_of(context));
    request.memory_limit = pipeline_memory(context.machine);
    request.broadcast = broadcast;
    auto image = TRY(imagestore::summarize(manifest));
    TaskOutcome outcome;
    json::array list;
    std::uint64_t written = 0, kept = 0;
    double seconds = 0;
    bool on_medium = true;
    for (const auto& a : TRY(assign(context, image))) {
        auto part = TRY(imagestore::select_part(image, a.index, a.volume));
        context.log(fmt::format("laying {} of {} down on {}", part.name, name, a.place()));
        auto report = TRY(lay_down(context, a, request, source));
        TRY(context.machine.reread(a.target));
        log_comparison(context, report);
        for (const auto& warning : report.warnings) context.log("warning: " + warning);
        list.push_back({{"disk", a.target.path},
                        {"partition", a.partition},
                        {"source", report.source},
                        {"written_bytes", report.written_bytes},
                        {"compared_chunks", report.compared_chunks},
                        {"kept_chunks", report.kept_chunks},
                        {"multicast_chunks", report.broadcast_chunks},
                        {"fetched_bytes", report.fetched_bytes},
                        {"verified_bytes", report.verified_bytes},
                        {"verified_on_medium", report.verified_on_medium},
                        {"seconds", report.seconds}});
        on_medium = on_medium && report.verified_on_medium;
        written += report.written_bytes;
        kept += report.kept_chunks;
        seconds += report.seconds;
        outcome.losses = outcome.losses || !report.losses.empty();
    }
    auto rate = human_bytes(seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(written) / seconds) : 0);
    outcome.result = {{"image", name},
                      {"disks", list},
                      {"written_bytes", written},
                      {"seconds", seconds},
                      {"losses", outcome.losses ? 1 : 0},
                      {"summary", fmt::format("{}: wrote {} in {:.0f} s ({}/s), {} MiB were there already{}", name,
                                              human_bytes(written), seconds, rate, kept,
                                              !request.verify ? ""
                                              : on_medium     ? ", verified"
                                                              : ", verified as the system remembers it")}};
    return outcome;
}

static multicast::HearingOptions hearing_options(TaskContext& context) {
    multicast::HearingOptions o;
    o.memory = std::clamp<std::size_t>(context.machine.memory_available() / 8, 4u << 20, 32u << 20);
    o.seed = static_cast<std::uint64_t>(unix_milliseconds(SystemClock().wall()));
    o.cancel = &context.cancel;
    o.note = [&context](const std::string& text) { context.log("multicast: " + text); };
    return o;
}

channel::MulticastCounts told_counts(multicast::ReceiverCounts before, const multicast::ReceiverCounts& now,
                                     std::uint32_t lacking) {
    before += now;
    return {before.bytes, before.packets, before.lost, before.repaired, lacking};
}

Result<TaskOutcome> deploy_task(TaskContext& context) {
    auto name = TRY(context.need("image"));
    auto link = TRY(BulkLink::open(context.link, context.self, context.get("bulk_key")));
    auto bytes = TRY(link.manifest(name));
    imagestore::ManifestView manifest(bytes);
    SystemClock clock;
    channel::RemoteSource source(link, clock);
    if (context.get("multicast") == "off") return deploy_from(context, manifest, source, nullptr);
    MulticastCalls calls(link.control(), bytes);
    auto options = hearing_options(context);
    const multicast::Hearing* before = nullptr;
    if (context.heard)
        options.progress = [&](const multicast::ReceiverCounts& now, std::uint32_t lacking) {
            context.heard(told_counts(before->counts(), now, lacking));
        };
    multicast::Hearing hearing(calls, std::move(options));
    before = &hearing;
    auto outcome = TRY(deploy_from(context, manifest, source, &hearing));
    const auto& c = hearing.counts();
    if (c.packets + c.lost == 0) return outcome;  // it took part in none
    outcome.result["multicast"] = json::object{{"packets", c.packets},
                                               {"bytes", c.bytes},
                                               {"lost_packets", c.lost},
                                               {"repaired_symbols", c.repaired},
                                               {"useless_symbols", c.useless},
                                               {"refused_chunks", c.refused},
                                               {"given_up_chunks", c.given_up},
                                               {"left_out_packets", c.left_out},
                                               {"refused_packets", c.forged + c.replayed + c.foreign + c.malformed}};
    context.log(fmt::format("multicast: heard {} in {} packets, {} lost, {} symbols given back by parity",
                            human_bytes(c.bytes), c.packets, c.lost, c.repaired));
    if (c.given_up + c.left_out > 0)
        context.log(
            fmt::format("multicast: {} packets were left out because the disk was behind, and {} unfinished "
                        "chunks given up for want of memory; they came again",
                        c.left_out, c.given_up));
    return outcome;
}

}  // namespace slipway::agent
