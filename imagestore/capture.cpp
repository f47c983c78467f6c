// SPDX-License-Identifier: GPL-3.0-or-later
// reader thread -> workers (hash) -> caller's thread (asks the sink) -> workers (encode) -> caller's
// thread (puts). A fixed set of slots goes round, which bounds memory.
#include "imagestore/capture.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "imagestore/base_cursor.hpp"
#include "imagestore/chunk_reader.hpp"
#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/names.hpp"
#include "imagestore/plan.hpp"
#include "imagestore/queue.hpp"
#include "imagestore/spool.hpp"
#include "imagestore/stream_disk.hpp"
#include "lib/base/clock.hpp"
#include "lib/disks/block.hpp"
#include "slipway_version.hpp"

namespace slipway::imagestore {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Slot {
    enum class Step { Hash, Encode, Put } step = Step::Hash;
    std::uint64_t sequence = 0;
    std::uint32_t disk = 0;
    std::uint64_t chunk = 0;
    bool zero = false;
    ChunkId id;
    std::optional<ChunkId> base;  // of the base image at this place
    Bytes plain, encoded;
};

// One chunk to read. Ranges of a first pass are made from the used map, of a later one from what a
// commit missed.
struct Wish {
    std::uint32_t disk;
    std::uint64_t chunk;
    std::optional<ChunkId> base = {};
};

// Adds up how long a thread was busy.
class Busy {
public:
    template <typename F>
    auto operator()(F&& work) {
        auto start = Clock::now();
        auto result = work();
        total_ += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
        return result;
    }
    double seconds() const { return static_cast<double>(total_.load()) * 1e-9; }

private:
    std::atomic<std::int64_t> total_{0};
};

// An encoder's own memory is about 3 MiB at low levels: many processors may not take all of a small limit.
unsigned worker_count(const CaptureRequest& request) {
    auto wanted = request.threads ? request.threads : std::max(1u, std::thread::hardware_concurrency());
    return static_cast<unsigned>(std::clamp<std::uint64_t>(request.memory_limit / (8u << 20), 1, wanted));
}

struct Busies {
    Busy read, work, sink;
};

// One pass over a sequence of chunks.
class Pass {
public:
    // The next chunk to read, or nothing at the end. Called by the reader thread.
    using Next = std::function<std::optional<Wish>()>;
    // Sees every chunk in the order of Next. Called by the caller's thread.
    using Seen = std::function<Status(const Wish&, const ChunkId&, bool zero)>;

    Pass(const CaptureRequest& request, ChunkSink& sink, std::vector<ChunkReader>& readers, CaptureReport& report,
         Busies& busies, const ProgressSink& progress, const std::atomic<bool>* cancel)
        : request_(request),
          sink_(sink),
          readers_(readers),
          report_(report),
          busies_(busies),
          progress_(progress),
          cancel_(cancel) {}

    Status run(const Next& next, const Seen& seen) {
        auto threads = worker_count(request_);
        // A slot holds a chunk plain and encoded.
        auto reserve = std::uint64_t{threads} * (4u << 20);
        auto limit = std::max(request_.memory_limit, kMinCaptureMemory);
        auto count =
            std::clamp<std::uint64_t>((limit - std::min(limit / 2, reserve)) / (2 * kChunkBytes + 4096), 4, 256);
        slots_.resize(count);
        for (auto& slot : slots_) free_.push(&slot);
        {
            std::vector<std::jthread> pool;
            pool.emplace_back([&] { read_all(next); });
            for (unsigned i = 0; i < threads; ++i) pool.emplace_back([&] { work_all(); });
            auto status = sink_all(seen);
            if (!status) fail(std::move(status).error());
            free_.close();
            work_.close();
        }
        std::lock_guard hold(mutex_);
        return error_ ? Status(*error_) : Status();
    }

private:
    void fail(Error error) {
        {
            std::lock_guard hold(mutex_);
            if (!error_) error_ = std::move(error);
        }
        free_.close();
        work_.close();
        done_.close();
    }

    bool cancelled() const { return cancel_ && cancel_->load(std::memory_order_relaxed); }

    void pace() {
        if (request_.rate_limit == 0) return;
        auto due = started_ + std::chrono::duration_cast<Clock::duration>(Seconds(
                                  static_cast<double>(bytes_read_.load()) / static_cast<double>(request_.rate_limit)));
        while (Clock::now() < due && !cancelled())
            std::this_thread::sleep_until(std::min(due, Clock::now() + std::chrono::milliseconds(200)));
    }

    void read_all(const Next& next) {
        std::uint64_t sequence = 0;
        while (auto wish = next()) {
            auto slot = free_.pop();
            if (!slot) return;
            if (cancelled()) return fail(make_error(errors::kCancelled, "the capture was cancelled"));
            auto& s = **slot;
            s.step = Slot::Step::Hash;
            s.sequence = sequence++;
            s.disk = wish->disk;
            s.chunk = wish->chunk;
            s.base = wish->base;
            auto& reader = readers_[wish->disk];
            auto before = reader.bytes_read();
            auto status = busies_.read([&] { return reader.read(s.chunk, s.plain); });
            if (!status) return fail(std::move(status).error());
            bytes_read_ += reader.bytes_read() - before;
            pace();
            work_.push(&s);
        }
        total_ = sequence;
        done_.push(nullptr);
    }

    void work_all() {
        ChunkEncoder encoder(request_.level);
        while (auto slot = work_.pop()) {
            busies_.work([&] {
                auto& s = **slot;
                if (s.step == Slot::Step::Hash) {
                    s.zero = all_zero(s.plain);
                    if (!s.zero) s.id = sha256(s.plain);
                } else {
                    encoder.encode(s.plain, s.encoded);
                    s.step = Slot::Step::Put;
                }
                return true;
            });
            done_.push(*slot);
        }
    }

    Status sink_all(const Seen& seen) {
        std::optional<std::uint64_t> total;
        std::uint64_t finished = 0;
        auto told = Clock::now();
        while (!total || finished < *total) {
            auto batch = done_.pop_all();
            if (batch.empty()) return {};  // closed: the error is set
            std::vector<Slot*> hashed;
            for (auto* slot : batch) {
                if (!slot) {
                    total = total_;
                } else if (slot->step == Slot::Step::Hash) {
                    order_[slot->sequence] = {{slot->disk, slot->chunk}, slot->id, slot->zero};
                    if (slot->zero) {
                        report_.zero_bytes += slot->plain.size();
                        ++finished;
                        free_.push_front(slot);
                    } else {
                        hashed.push_back(slot);
                    }
                } else {
                    TRY(put(*slot));
                    ++finished;
                    free_.push_front(slot);
                }
            }
            TRY(in_order(seen));
            finished += drop_unchanged(hashed);
            finished += TRY(ask(hashed));
            if (progress_ && Clock::now() - told > std::chrono::milliseconds(100)) {
                told = Clock::now();
                progress_({bytes_read_, report_.used_bytes, "capturing"});
            }
        }
        return {};
    }

    Status in_order(const Seen& seen) {
        for (auto it = order_.begin(); it != order_.end() && it->first == next_in_order_; it = order_.erase(it)) {
            TRY(seen(it->second.wish, it->second.id, it->second.zero));
            ++next_in_order_;
        }
        return {};
    }

    // Chunks as the base has them are not asked for; should the store have lost one, the commit says so.
    std::uint64_t drop_unchanged(std::vector<Slot*>& hashed) {
        if (!request_.base) return 0;
        auto changed = std::stable_partition(hashed.begin(), hashed.end(),
                                             [](const Slot* slot) { return slot->base != slot->id; });
        for (auto it = hashed.begin(); report_.rounds == 0 && it != changed; ++it) {
            ++report_.changed_chunks;
            report_.changed_bytes += (*it)->plain.size();
        }
        auto same = static_cast<std::uint64_t>(hashed.end() - changed);
        for (auto it = changed; it != hashed.end(); ++it) {
            ++report_.data_chunks;
            ++report_.base_chunks;
            ++report_.deduplicated_chunks;
            report_.deduplicated_bytes += (*it)->plain.size();
            free_.push_front(*it);
        }
        hashed.erase(changed, hashed.end());
        return same;
    }

    // How many of the chunks need no sending.
    Result<std::uint64_t> ask(const std::vector<Slot*>& hashed) {
        if (hashed.empty()) return std::uint64_t{0};
        std::vector<ChunkId> ids;
        for (const auto* slot : hashed) ids.push_back(slot->id);
        auto known = TRY(busies_.sink([&] { return sink_.have(ids); }));
        std::uint64_t finished = 0;
        for (std::size_t i = 0; i < hashed.size(); ++i) {
            ++report_.data_chunks;
            if (known[i] || !under_way_.insert(ids[i]).second) {
                ++report_.deduplicated_chunks;
                report_.deduplicated_bytes += hashed[i]->plain.size();
                ++finished;
                free_.push_front(hashed[i]);
            } else {
                hashed[i]->step = Slot::Step::Encode;
                work_.push_front(hashed[i]);
            }
        }
        return finished;
    }

    Status put(Slot& slot) {
        TRY(busies_.sink([&] { return sink_.put(slot.id, slot.encoded); }));
        under_way_.erase(slot.id);
        ++report_.sent_chunks;
        report_.sent_bytes += slot.encoded.size();
        if (slot.encoded[0] == std::byte{static_cast<std::uint8_t>(ChunkCodec::Raw)}) ++report_.raw_chunks;
        return {};
    }

    struct Ordered {
        Wish wish;
        ChunkId id;
        bool zero;
    };

    const CaptureRequest& request_;
    ChunkSink& sink_;
    std::vector<ChunkReader>& readers_;
    CaptureReport& report_;
    Busies& busies_;
    const ProgressSink& progress_;
    const std::atomic<bool>* cancel_;

    std::deque<Slot> slots_;
    Queue<Slot*> free_, work_, done_;
    std::atomic<std::uint64_t> total_{0}, bytes_read_{0};
    Clock::time_point started_ = Clock::now();
    std::map<std::uint64_t, Ordered> order_;  // hashed out of order, at most one a slot
    std::uint64_t next_in_order_ = 0;
    std::unordered_set<ChunkId> under_way_;  // being encoded: a second one of the same need not be sent
    std::mutex mutex_;                       // guards error_
    std::optional<Error> error_;
};

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

Status write_stream_manifest(ManifestWriter& writer, const CaptureRequest& request, const DiskIdentity& identity,
                             StreamDisk& disk, const RunSpool& runs, CaptureReport& report) {
    auto layout = TRY(disk.layout());
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
    TRY(Pass(request, sink, readers, report, busies, progress, cancel)
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
    TRY(Pass(request, sink, readers, report, busies, progress, cancel)
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
        TRY(Pass(request, sink, readers, report, busies, progress, cancel)
                .run(next, [](const Wish&, const ChunkId&, bool) { return Status(); }));
        committed = TRY(sink.commit(request.name, spool));
    }
    finish_report(report, request, committed, readers, busies, started);
    if (progress) progress({report.used_bytes, report.used_bytes, "capturing"});
    return report;
}

}  // namespace slipway::imagestore
