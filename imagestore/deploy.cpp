// SPDX-License-Identifier: GPL-3.0-or-later
// fetch thread (compares what is there, asks the source) -> workers (decode) -> caller's thread (writes).
// The disk's first chunk, with its partition table and boot code, is written last. Until then a marker
// stands in its place: a disk that was not finished does not look like one that was, and the next
// deploy of the same image onto it goes on where this one stopped.
#include "imagestore/deploy.hpp"

#include <algorithm>
#include <deque>
#include <thread>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/queue.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Events of one disk of the manifest.
class DiskWalk {
public:
    DiskWalk(const ManifestBytes& manifest, std::uint32_t disk) : reader_(manifest), disk_(disk) {}
    // Runs and the end of that disk only.
    Result<std::optional<ChunkRun>> next_run() {
        while (auto event = TRY(reader_.next())) {
            if (auto* info = std::get_if<DiskInfo>(&*event)) inside_ = info->index == disk_;
            if (auto* run = std::get_if<ChunkRun>(&*event); run && inside_) return std::optional(std::move(*run));
            if (std::holds_alternative<DiskEnd>(*event) && inside_) return std::optional<ChunkRun>();
        }
        return std::optional<ChunkRun>();
    }

private:
    ManifestReader reader_;
    std::uint32_t disk_;
    bool inside_ = false;
};

struct Slot {
    std::uint64_t chunk = 0;
    ChunkId id;
    Bytes encoded, plain;
};

class Deploy {
public:
    Deploy(const DeployRequest& request, const DiskInfo& info, ChunkSource& source, DeployReport& report,
           const ProgressSink& progress, const std::atomic<bool>* cancel)
        : request_(request), info_(info), source_(source), report_(report), progress_(progress), cancel_(cancel) {}

    Status run() {
        TRY(mark());
        auto threads = request_.threads ? request_.threads : std::max(1u, std::thread::hardware_concurrency());
        auto count = std::clamp<std::uint64_t>(request_.memory_limit / (2 * kChunkBytes + 4096), 4, 128);
        slots_.resize(count);
        for (auto& slot : slots_) free_.push(&slot);
        batch_ = std::clamp<std::size_t>(count / 2, 1, kGetManyLimit);
        {
            std::vector<std::jthread> pool;
            pool.emplace_back([&] {
                auto status = fetch_all();
                if (!status) return fail(std::move(status).error());
                done_.push(nullptr);
            });
            for (unsigned i = 0; i < threads; ++i) pool.emplace_back([&] { decode_all(); });
            auto status = write_all();
            if (!status) fail(std::move(status).error());
            free_.close();
            work_.close();
        }
        {
            std::lock_guard hold(mutex_);
            if (error_) return *error_;
        }
        if (first_ || marked_) {
            TRY(request_.target->flush());
            TRY(write_chunk(0, first_ ? *first_ : Bytes(info_.chunk_length(0))));
        }
        return request_.target->flush();
    }

    // Reads all back, in order.
    Status verify() {
        DiskWalk walk(*request_.manifest, request_.disk);
        Bytes back;
        while (auto run = TRY(walk.next_run())) {
            if (run->kind == RunKind::Unused) continue;
            for (std::uint32_t i = 0; i < run->count; ++i) {
                if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled while verifying");
                auto chunk = run->first + i;
                back.resize(info_.chunk_length(chunk));
                TRY(request_.target->read(chunk * kChunkBytes, back));
                bool right = run->kind == RunKind::Zero ? all_zero(back) : sha256(back) == run->ids[i];
                if (!right) return make_error(errors::kVerifyFailed, "the MiB at byte {} differs", chunk * kChunkBytes);
                report_.verified_bytes += back.size();
                tell("verifying", (chunk + 1) * kChunkBytes, info_.size);
            }
        }
        return {};
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
    void tell(const char* what, std::uint64_t done, std::uint64_t total) {
        auto now = Clock::now();
        if (!progress_ || now - told_ < std::chrono::milliseconds(100)) return;
        told_ = now;
        progress_({std::min(done, total), total, what});
    }

    // "SLIPWAY DEPLOY UNFINISHED", and the digest of the manifest that is being laid down.
    Status mark() {
        if (info_.size == 0) return {};
        Bytes digest(32);
        TRY(request_.manifest->read(request_.manifest->size() - digest.size(), digest));
        ByteWriter text;
        text.text("SLIPWAY DEPLOY UNFINISHED ").text(to_hex(digest)).text("\n");
        Bytes there(text.size());
        TRY(request_.target->read(0, std::span(there).first(std::min<std::size_t>(there.size(), info_.size))));
        marked_ = std::equal(there.begin(), there.end(), text.view().begin());
        resume_ = request_.resume || marked_;
        if (resume_) return {};
        text.pad_to(info_.chunk_length(0));
        TRY(request_.target->write(0, text.view().first(info_.chunk_length(0))));
        marked_ = true;
        return request_.target->flush();
    }

    Status fetch_all() {
        DiskWalk walk(*request_.manifest, request_.disk);
        std::vector<Slot*> batch;
        Bytes there;
        while (auto run = TRY(walk.next_run())) {
            if (run->kind != RunKind::Data) {
                TRY(clear(*run));
                continue;
            }
            for (std::uint32_t i = 0; i < run->count; ++i) {
                if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
                auto chunk = run->first + i;
                if (resume_ && TRY(is_there(chunk, run->ids[i], there))) {
                    ++report_.kept_chunks;
                    done_bytes_ += there.size();
                    continue;
                }
                auto slot = free_.pop();
                if (!slot) return {};
                (*slot)->chunk = chunk;
                (*slot)->id = run->ids[i];
                batch.push_back(*slot);
                if (batch.size() >= batch_) TRY(fetch(batch));
            }
        }
        return fetch(batch);
    }

    Result<bool> is_there(std::uint64_t chunk, const ChunkId& id, Bytes& there) {
        there.resize(info_.chunk_length(chunk));
        TRY(request_.target->read(chunk * kChunkBytes, there));
        return sha256(there) == id;
    }

    Status fetch(std::vector<Slot*>& batch) {
        if (batch.empty()) return {};
        std::vector<ChunkId> ids;
        for (const auto* slot : batch) ids.push_back(slot->id);
        auto chunks = TRY(source_.get_many(ids));
        for (std::size_t i = 0; i < batch.size(); ++i) {
            batch[i]->encoded = std::move(chunks[i]);
            report_.fetched_bytes += batch[i]->encoded.size();
            ++expected_;
            work_.push(batch[i]);
        }
        batch.clear();
        return {};
    }

    // Zero must read as zero; unused ranges need not, and are only given back where that is cheap.
    Status clear(const ChunkRun& run) {
        if (request_.target_is_blank && !resume_) return {};
        auto start = std::max<std::uint64_t>(run.first, marked_ ? 1 : 0) * kChunkBytes;
        auto end = std::min<std::uint64_t>(info_.size, (run.first + run.count) * kChunkBytes);
        if (start >= end) return {};
        report_.cleared_bytes += end - start;
        bool zero = TRY(request_.target->discard(start, end - start));
        if (zero || run.kind == RunKind::Unused) return {};
        Bytes zeros(std::min<std::uint64_t>(kChunkBytes, end - start));
        for (auto at = start; at < end; at += zeros.size()) {
            if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
            TRY(request_.target->write(at, ByteView(zeros).first(std::min<std::uint64_t>(zeros.size(), end - at))));
        }
        return {};
    }

    void decode_all() {
        ChunkDecoder decoder;
        while (auto slot = work_.pop()) {
            auto status = decoder.decode((*slot)->id, (*slot)->encoded, (*slot)->plain);
            if (status && (*slot)->plain.size() != info_.chunk_length((*slot)->chunk))
                status =
                    make_error(errors::kBadManifest, "chunk {} has {} bytes", (*slot)->chunk, (*slot)->plain.size());
            if (!status) return fail(std::move(status).error());
            done_.push(*slot);
        }
    }

    Status write_all() {
        bool fetched_all = false;
        std::uint64_t written = 0;
        while (!fetched_all || written < expected_) {
            auto batch = done_.pop_all();
            if (batch.empty()) return {};  // closed: the error is set
            for (auto* slot : batch) {
                if (!slot) {
                    fetched_all = true;
                    continue;
                }
                TRY(take(*slot));
                ++written;
                done_bytes_ += slot->plain.size();
                free_.push_front(slot);
            }
            tell("deploying", done_bytes_, report_.data_chunks * kChunkBytes);
        }
        return {};
    }

    Status take(Slot& slot) {
        if (slot.chunk != 0) return write_chunk(slot.chunk, slot.plain);
        first_ = slot.plain;
        return {};
    }

    Status write_chunk(std::uint64_t chunk, ByteView plain) {
        TRY(request_.target->write(chunk * kChunkBytes, plain)
                .with(fmt::format("writing at byte {}", chunk * kChunkBytes)));
        ++report_.written_chunks;
        report_.written_bytes += plain.size();
        if (request_.rate_limit) {
            auto due =
                started_ + std::chrono::duration_cast<Clock::duration>(Seconds(
                               static_cast<double>(report_.written_bytes) / static_cast<double>(request_.rate_limit)));
            while (Clock::now() < due && !cancelled())
                std::this_thread::sleep_until(std::min(due, Clock::now() + std::chrono::milliseconds(200)));
        }
        return {};
    }

    const DeployRequest& request_;
    const DiskInfo& info_;
    ChunkSource& source_;
    DeployReport& report_;
    const ProgressSink& progress_;
    const std::atomic<bool>* cancel_;
    std::deque<Slot> slots_;
    Queue<Slot*> free_, work_, done_;
    std::size_t batch_ = 1;
    std::atomic<std::uint64_t> expected_{0}, done_bytes_{0};
    bool resume_ = false, marked_ = false;
    std::optional<Bytes> first_;
    Clock::time_point started_ = Clock::now(), told_{};
    std::mutex mutex_;  // guards error_
    std::optional<Error> error_;
};

Status check_target(const DiskSummary& disk, const ManifestSummary& image, const disks::BlockDevice& target) {
    if (image.image.inconsistent) return make_error(errors::kInconsistent, "the image is marked inconsistent");
    if (target.size() < disk.disk.size)
        return make_error(errors::kTargetTooSmall, "{} of the image has {} ({} bytes), the target {} ({} bytes)",
                          disk.disk.name, human_bytes(disk.disk.size), disk.disk.size, human_bytes(target.size()),
                          target.size());
    if (target.sector_size() != disk.disk.sector_size && disk.disk.table != TableKind::None)
        return make_error(errors::kTargetSectors, "{} has sectors of {} bytes, the target of {}", disk.disk.name,
                          disk.disk.sector_size, target.sector_size());
    return {};
}

}  // namespace

Result<DeployReport> deploy_disk(const DeployRequest& request, ChunkSource& source, const ProgressSink& progress,
                                 const std::atomic<bool>* cancel) {
    auto started = Clock::now();
    auto image = TRY(summarize(*request.manifest));  // digest and structure, before the first write
    if (request.disk >= image.disks.size())
        return make_error(errors::kNoDisk, "the image has {} disks, not number {}", image.disks.size(), request.disk);
    const auto& disk = image.disks[request.disk];
    TRY(check_target(disk, image, *request.target));

    DeployReport report;
    report.source = disk.disk.name;
    report.disk_bytes = disk.disk.size;
    report.data_chunks = disk.data_chunks;
    report.losses = disk.losses;
    if (disk.disk.table == TableKind::Gpt && request.target->size() > disk.disk.size)
        report.warnings.push_back(
            "the target is larger than the source: the backup GPT stays where the source ended (sgdisk -e moves it)");
    Deploy deploy(request, disk.disk, source, report, progress, cancel);
    TRY(deploy.run());
    if (request.verify) TRY(deploy.verify());
    report.seconds = Seconds(Clock::now() - started).count();
    report.bytes_per_second = report.seconds > 0 ? static_cast<double>(report.written_bytes) / report.seconds : 0;
    return report;
}

}  // namespace slipway::imagestore
