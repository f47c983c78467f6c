// SPDX-License-Identifier: GPL-3.0-or-later
// What is captured, in which order, and what the manifest says of it; capture_pass.hpp moves the bytes.
#include "imagestore/capture.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "imagestore/base_cursor.hpp"
#include "imagestore/capture_pass.hpp"
#include "imagestore/chunk_reader.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/names.hpp"
#include "imagestore/plan.hpp"
#include "imagestore/spool.hpp"
#include "imagestore/stream_disk.hpp"
#include "lib/base/clock.hpp"
#include "lib/disks/block.hpp"
#include "slipway_version.hpp"

namespace slipway::imagestore {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

TableKind table_of(disks::TableKind kind) {
    switch (kind) {
        case disks::TableKind::Mbr: return TableKind::Mbr;
        case disks::TableKind::Gpt: return TableKind::Gpt;
        case disks::TableKind::None: break;
    }
    return TableKind::None;
}

DiskInfo info_of(std::uint32_t index, const DiskIdentity& identity, const disks::BlockDevice& device,
                 const disks::DiskLayout& layout) {
    DiskInfo info;
    info.index = index;
    info.size = device.size();
    info.sector_size = device.sector_size();
    info.cylinders = identity.cylinders;
    info.heads = identity.heads;
    info.sectors = identity.sectors;
    info.name = identity.name;
    info.serial = identity.serial;
    info.model = identity.model;
    info.table = table_of(layout.table);
    if (info.table == TableKind::Mbr) info.table_id = fmt::format("{:08x}", layout.mbr_signature);
    if (info.table == TableKind::Gpt) info.table_id = layout.gpt_id.text();
    return info;
}

Status write_partitions(ManifestWriter& writer, const disks::DiskLayout& layout) {
    for (const auto& p : layout.partitions) TRY(writer.partition(describe(p, layout.table)));
    return {};
}

Status describe_disk(ManifestWriter& writer, std::uint32_t index, const CaptureDisk& disk, const DiskPlan& plan) {
    TRY(writer.disk(info_of(index, disk.identity, *disk.device, plan.layout)));
    if (disk.volume) {
        auto part = *disk.volume;
        part.offset = 0;
        part.length = disk.device->size();
        TRY(writer.partition(part));
    }
    TRY(write_partitions(writer, plan.layout));
    for (const auto& volume : plan.volumes) TRY(writer.volume(volume));
    return {};
}

Status check_exclusions(const CaptureRequest& request, const std::vector<DiskPlan>& plans) {
    for (const auto& exclusion : request.exclusions) {
        bool found = false;
        for (std::uint32_t d = 0; d < plans.size(); ++d)
            for (const auto& volume : plans[d].volumes)
                found = found ||
                        (volume.partition != 0 &&
                         names_partition(exclusion, {d, request.disks[d].identity.name, {}, false}, volume.partition));
        if (!found) return make_error(errors::kNoPartition, "no captured disk has a partition '{}'", exclusion);
    }
    return {};
}

// Runs of unused chunks between those that are read.
class RunWriter {
public:
    RunWriter(ManifestWriter& writer, const CaptureRequest& request, const std::vector<DiskPlan>& plans,
              const std::vector<ChunkReader>& readers)
        : writer_(writer), request_(request), plans_(plans), readers_(readers) {}

    Status begin() { return plans_.empty() ? Status() : open(0); }
    Status add(const Wish& wish, const ChunkId& id, bool zero) {
        TRY(advance(wish.disk));
        TRY(unused(wish.chunk));
        ++next_;
        return zero ? writer_.run(RunKind::Zero, 1) : writer_.data(id);
    }
    Status end() {
        if (plans_.empty()) return {};
        TRY(advance(static_cast<std::uint32_t>(plans_.size() - 1)));
        return close();
    }
    std::uint64_t unused_bytes() const { return unused_bytes_; }

private:
    Status open(std::uint32_t disk) {
        disk_ = disk;
        next_ = 0;
        return describe_disk(writer_, disk, request_.disks[disk], plans_[disk]);
    }
    Status advance(std::uint32_t disk) {
        while (disk_ < disk) {
            TRY(close());
            TRY(open(disk_ + 1));
        }
        return {};
    }
    Status unused(std::uint64_t until) {
        if (until > next_)
            unused_bytes_ += std::min(until * kChunkBytes, request_.disks[disk_].device->size()) - next_ * kChunkBytes;
        while (next_ < until) {
            auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(until - next_, 1u << 30));
            TRY(writer_.run(RunKind::Unused, count));
            next_ += count;
        }
        return {};
    }
    // All chunks of the disk have been read by now, so its losses are known.
    Status close() {
        TRY(unused((request_.disks[disk_].device->size() + kChunkBytes - 1) / kChunkBytes));
        for (const auto& loss : readers_[disk_].losses()) TRY(writer_.loss(loss));
        return writer_.end_disk();
    }

    ManifestWriter& writer_;
    const CaptureRequest& request_;
    const std::vector<DiskPlan>& plans_;
    const std::vector<ChunkReader>& readers_;
    std::uint32_t disk_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t unused_bytes_ = 0;
};

// The places of these chunks, from the manifest just written.
Result<std::vector<Wish>> places_of(const ManifestBytes& manifest, const std::vector<ChunkId>& missing) {
    std::unordered_set<ChunkId> wanted(missing.begin(), missing.end());
    std::vector<Wish> out;
    std::uint32_t disk = 0;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next())) {
        if (auto* info = std::get_if<DiskInfo>(&*event)) disk = info->index;
        auto* run = std::get_if<ChunkRun>(&*event);
        if (!run) continue;
        for (std::size_t i = 0; i < run->ids.size(); ++i)
            if (wanted.erase(run->ids[i])) out.push_back({disk, run->first + i});
    }
    return out;
}

void name_bottleneck(CaptureReport& report, const Busies& busies, unsigned threads) {
    if (report.seconds <= 0) return;
    report.read_busy = std::min(1.0, busies.read.seconds() / report.seconds);
    report.work_busy = std::min(1.0, busies.work.seconds() / (report.seconds * threads));
    report.sink_busy = std::min(1.0, busies.sink.seconds() / report.seconds);
    auto most = std::max({report.read_busy, report.work_busy, report.sink_busy});
    auto what = most == report.read_busy ? "source disk" : most == report.work_busy ? "processors" : "store";
    report.bottleneck = fmt::format("{} {:.0f} % busy", what, most * 100);
}

Status check_request(const CaptureRequest& request) {
    if (!valid_image_name(request.name)) return make_error(errors::kBadName, "'{}' is not an image name", request.name);
    if (request.memory_limit < kMinCaptureMemory)
        return make_error(errors::kMemory, "a capture needs at least {} MiB", kMinCaptureMemory >> 20);
    return {};
}

ImageInfo image_info(const CaptureRequest& request, std::size_t disks) {
    return {request.created_ms, request.inconsistent, static_cast<std::uint32_t>(disks), request.source,
            "slipway " + std::string(kVersion)};
}

void finish_report(CaptureReport& report, const CaptureRequest& request, const CommitResult& committed,
                   const std::vector<ChunkReader>& readers, const Busies& busies, Clock::time_point started) {
    report.version = committed.version;
    report.image = request.name + "@" + std::to_string(committed.version);
    report.base = request.base_name;
    for (std::uint32_t d = 0; d < readers.size(); ++d) {
        report.bytes_read += readers[d].bytes_read();
        for (const auto& loss : readers[d].losses()) report.losses.push_back({d, loss});
    }
    report.seconds = Seconds(Clock::now() - started).count();
    report.bytes_per_second = report.seconds > 0 ? static_cast<double>(report.bytes_read) / report.seconds : 0;
    name_bottleneck(report, busies, worker_count(request));
}

Result<std::vector<DiskPlan>> plan_all(const CaptureRequest& request, CaptureReport& report) {
    std::vector<PlanDisk> wanted;
    for (std::uint32_t d = 0; d < request.disks.size(); ++d) {
        const auto& disk = request.disks[d];
        wanted.push_back(
            {disk.device, {d, disk.identity.name, request.exclusions, request.all_sectors, disk.volume.has_value()}});
    }
    auto plans = TRY(plan_disks(wanted, request.map_options));
    for (std::uint32_t d = 0; d < plans.size(); ++d) {
        report.disk_bytes += request.disks[d].device->size();
        report.used_bytes += plans[d].used.total();
        report.odd_table = report.odd_table || !plans[d].layout.notes.empty();
        for (const auto& volume : plans[d].volumes) report.volumes.push_back({d, volume});
        report.warnings.insert(report.warnings.end(), plans[d].warnings.begin(), plans[d].warnings.end());
    }
    TRY(check_exclusions(request, plans));
    return plans;
}

Result<std::optional<BaseCursor>> open_base(const CaptureRequest& request) {
    if (!request.base) return std::optional<BaseCursor>();
    return std::optional(TRY_WITH(BaseCursor::create(*request.base), "the base " + request.base_name));
}

// Zero or the id of each chunk, until the disk's size is known.
class RunSpool {
public:
    explicit RunSpool(SpoolManifest file) : file_(std::move(file)) {}
    Status add(const ChunkId& id, bool zero) {
        ByteWriter record;
        record.u8(zero ? 1 : 0).bytes(id.octets);
        return file_.write(record.view());
    }
    Status copy(ManifestWriter& writer) const {
        std::array<std::byte, 33> record;
        for (std::uint64_t at = 0; at < file_.size(); at += record.size()) {
            TRY(file_.read(at, record));
            ByteReader in(record);
            bool zero = in.u8() != 0;
            TRY(zero ? writer.run(RunKind::Zero, 1) : writer.data(ChunkId{in.array<32>()}));
        }
        return {};
    }

private:
    SpoolManifest file_;
};

// A connection that broke looks like the end of the disk; the partition table knows better.
Status check_whole(const disks::DiskLayout& layout, std::uint64_t size) {
    if (size % 512 != 0) return make_error(errors::kCutSource, "{} bytes are no whole sectors", size);
    if (layout.reach <= size) return {};
    for (const auto& p : layout.refused)
        if (p.offset > size || p.length > size - p.offset)
            return make_error(errors::kCutSource, "{} bytes came, and partition {} ends behind them", size, p.index);
    return make_error(errors::kCutSource, "{} bytes came, and the partition table goes on to {}", size, layout.reach);
}

Status write_stream_manifest(ManifestWriter& writer, const CaptureRequest& request, const DiskIdentity& identity,
                             StreamDisk& disk, const RunSpool& runs, CaptureReport& report) {
    auto layout = TRY(disk.layout());
    TRY(check_whole(layout, disk.size()));
    for (const auto& note : layout.notes) report.warnings.push_back(identity.name + ": " + note);
    TRY(writer.image(image_info(request, 1)));
    TRY(writer.disk(info_of(0, identity, disk, layout)));
    TRY(write_partitions(writer, layout));
    auto volume = [&](std::uint32_t partition, std::uint64_t offset, std::uint64_t length) {
        VolumeInfo v;
        v.partition = partition;
        v.offset = offset;
        v.length = v.used = length;
        v.every_sector = true;
        v.note = "came through a pipe: every sector was taken";
        report.volumes.push_back({0, v});
        return writer.volume(v);
    };
    if (layout.table == disks::TableKind::None) TRY(volume(0, 0, disk.size()));
    for (const auto& p : layout.partitions) TRY(volume(p.index, p.offset, p.length));
    TRY(runs.copy(writer));
    TRY(writer.end_disk());
    return writer.finish();
}

}  // namespace

PartitionInfo describe(const disks::Partition& p, disks::TableKind table) {
    PartitionInfo part;
    part.number = p.index;
    part.offset = p.offset;
    part.length = p.length;
    part.active = p.active;
    part.name = p.name;
    bool gpt = table == disks::TableKind::Gpt;
    part.type = gpt ? p.type.text() : fmt::format("{:02x}", p.mbr_type);
    if (gpt) part.uuid = p.id.text();
    return part;
}

Result<CaptureReport> capture_stream(const CaptureRequest& request, int in, const DiskIdentity& identity,
                                     ChunkSink& sink, const ProgressSink& progress, const std::atomic<bool>* cancel) {
    TRY(check_request(request));
    auto started = Clock::now();
    CaptureReport report;
    auto base = TRY(open_base(request));
    StreamDisk disk(in, cancel);
    disks::ExtentList all;
    all.add({0, kMaxDiskBytes});
    std::vector<ChunkReader> readers;
    readers.emplace_back(disk, all);
    RunSpool runs(TRY(SpoolManifest::create()));
    Busies busies;
    Status came;
    DiskInfo info;
    info.serial = identity.serial;
    std::uint64_t chunk = 0;
    auto next = [&]() -> std::optional<Wish> {
        auto more = busies.read([&] { return disk.advance(); });
        if (!more) came = std::move(more).error();
        if (!more || !*more) return std::nullopt;
        auto n = chunk++;
        return Wish{0, n, base ? base->at(info, n) : std::nullopt};
    };
    TRY(CapturePass(request, sink, readers, report, busies, progress, cancel)
            .run(next, [&](const Wish&, const ChunkId& id, bool zero) { return runs.add(id, zero); }));
    TRY(std::move(came));
    if (disk.size() == 0) return make_error(errors::kEmptySource, "the pipe brought no byte");
    report.disk_bytes = report.used_bytes = disk.size();
    auto spool = TRY(SpoolManifest::create());
    ManifestWriter writer(spool);
    TRY(write_stream_manifest(writer, request, identity, disk, runs, report));
    report.manifest_bytes = spool.size();
    auto committed = TRY(sink.commit(request.name, spool));
    if (!committed.missing.empty())
        return make_error(errors::kCommitIncomplete, "{} chunks are missing, and a pipe cannot be read again",
                          committed.missing.size());
    finish_report(report, request, committed, readers, busies, started);
    if (progress) progress({report.used_bytes, report.used_bytes, "capturing"});
    return report;
}

Result<CaptureReport> capture_disks(const CaptureRequest& request, ChunkSink& sink, const ProgressSink& progress,
                                    const std::atomic<bool>* cancel) {
    TRY(check_request(request));
    auto started = Clock::now();
    CaptureReport report;
    auto plans = TRY(plan_all(request, report));
    if (request.planned) TRY(request.planned(report));
    auto base = TRY(open_base(request));
    std::vector<ChunkReader> readers;
    std::vector<DiskInfo> infos;
    for (std::uint32_t d = 0; d < plans.size(); ++d) {
        readers.emplace_back(*request.disks[d].device, plans[d].used);
        infos.push_back(info_of(d, request.disks[d].identity, *request.disks[d].device, plans[d].layout));
    }

    auto spool = TRY(SpoolManifest::create());
    ManifestWriter writer(spool);
    TRY(writer.image(image_info(request, plans.size())));
    RunWriter runs(writer, request, plans, readers);
    TRY(runs.begin());

    Busies busies;
    Wish at{0, 0};
    auto next_used = [&]() -> std::optional<Wish> {
        for (; at.disk < plans.size(); at = {at.disk + 1, 0}) {
            auto count = (request.disks[at.disk].device->size() + kChunkBytes - 1) / kChunkBytes;
            for (; at.chunk < count; ++at.chunk)
                if (readers[at.disk].any_used(at.chunk)) {
                    auto n = at.chunk++;
                    return Wish{at.disk, n, base ? base->at(infos[at.disk], n) : std::nullopt};
                }
        }
        return std::nullopt;
    };
    TRY(CapturePass(request, sink, readers, report, busies, progress, cancel)
            .run(next_used, [&](const Wish& w, const ChunkId& id, bool zero) { return runs.add(w, id, zero); }));
    TRY(runs.end());
    TRY(writer.finish());
    report.unused_bytes = runs.unused_bytes();
    report.manifest_bytes = spool.size();

    auto committed = TRY(sink.commit(request.name, spool));
    while (!committed.missing.empty()) {
        if (++report.rounds > 3)
            return make_error(errors::kCommitIncomplete, "{} chunks are missing after three rounds",
                              committed.missing.size());
        auto again = TRY(places_of(spool, committed.missing));
        std::size_t i = 0;
        auto next = [&]() -> std::optional<Wish> {
            return i < again.size() ? std::optional(again[i++]) : std::nullopt;
        };
        TRY(CapturePass(request, sink, readers, report, busies, progress, cancel)
                .run(next, [](const Wish&, const ChunkId&, bool) { return Status(); }));
        committed = TRY(sink.commit(request.name, spool));
    }
    finish_report(report, request, committed, readers, busies, started);
    if (progress) progress({report.used_bytes, report.used_bytes, "capturing"});
    return report;
}

}  // namespace slipway::imagestore
