// SPDX-License-Identifier: GPL-3.0-or-later
// What the target holds already is found first (comparison.hpp); then a broadcast is heard, if there is one; then
// fetch thread (asks the source) -> workers (decode) -> caller's thread (writes).
// The disk's first chunk, with its partition table and boot code, is written last. Before anything else is written a
// marker takes its place: a disk that was not finished does not look like one that was, and the next deploy of the
// same image onto it goes on where this one stopped.
#include "imagestore/deploy.hpp"

#include <algorithm>
#include <deque>
#include <thread>

#include "imagestore/codec.hpp"
#include "imagestore/comparison.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/part_walk.hpp"
#include "imagestore/queue.hpp"
#include "imagestore/read_back.hpp"
#include "imagestore/selection.hpp"
#include "imagestore/window_target.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/table/fit_table.hpp"

namespace slipway::imagestore {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Slot {
    std::uint64_t chunk = 0;
    ChunkId id;
    Bytes encoded, plain;
};

class Deploy {
public:
    Deploy(const DeployRequest& request, const Selection& part, ChunkSource& source, DeployReport& report,
           const ProgressSink& progress, const std::atomic<bool>* cancel)
        : request_(request),
          part_(part),
          info_(part.disk->disk),
          target_(*request.target, info_.size, part.begin, part.end),
          source_(source),
          report_(report),
          progress_(progress),
          cancel_(cancel) {}

    Status run() {
        TRY(find_what_is_there());
        TRY(mark());
        if (request_.broadcast) TRY(hear_broadcast());
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
            for (unsigned i = 0; i < threads_; ++i) pool.emplace_back([&] { decode_all(); });
            auto status = write_all();
            if (!status) fail(std::move(status).error());
            free_.close();
            work_.close();
        }
        {
            std::lock_guard hold(mutex_);
            if (error_) return *error_;
        }
        if (first_missing_) return missing_error();  // with the mark: it is unfinished
        TRY(finish());
        return target_.flush();
    }

    // Reads all back, in order, from the medium: the page cache would say what was written, not what is there.
    Status verify() {
        slots_.clear();  // their memory is for the reading
        report_.verified_on_medium = TRY(target_.read_past_cache());
        ReadBack back(target_, *request_.manifest, part_);
        while (const auto* piece = TRY(back.next())) {
            if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled while verifying");
            bool right = piece->kind == RunKind::Zero ? all_zero(piece->there)
                         : is_cut(piece->chunk)       ? TRY(same_inside(piece->chunk, piece->id, piece->there))
                                                      : sha256(piece->there) == piece->id;
            if (!right)
                return make_error(errors::kVerifyFailed, "the MiB at byte {} differs", piece->chunk * kChunkBytes);
            report_.verified_bytes += piece->there.size();
            tell("verifying", (piece->chunk + 1 - head_) * kChunkBytes, part_.size());
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

    // Of what the target did not hold already, so that the rate is that of the work.
    void tell_deploying() { tell("deploying", done_bytes_, (report_.data_chunks - report_.kept_chunks) * kChunkBytes); }

    // A chunk that lies partly outside the volume.
    bool is_cut(std::uint64_t chunk) const {
        return chunk * kChunkBytes < part_.begin || chunk * kChunkBytes + info_.chunk_length(chunk) > part_.end;
    }
    Result<bool> same_inside(std::uint64_t chunk, const ChunkId& id, ByteView back) {
        Bytes plain;
        TRY(ChunkDecoder().decode(id, TRY(source_.get(id)), plain));
        auto start = chunk * kChunkBytes;
        auto from = std::max(start, part_.begin) - start, to = std::min(start + back.size(), part_.end) - start;
        return plain.size() == back.size() && std::equal(plain.begin() + static_cast<std::ptrdiff_t>(from),
                                                         plain.begin() + static_cast<std::ptrdiff_t>(to),
                                                         back.begin() + static_cast<std::ptrdiff_t>(from));
    }

    // Before anything is written: which chunks of the part are on the target, by their hashes.
    Status find_what_is_there() {
        done_with_.assign(part_.end_chunk() - head_, false);
        if (part_.size() == 0) return {};
        // A try before this one may have ended by a write error: what it wrote is then right in memory alone.
        TRY(target_.read_past_cache());
        TRY(look_for_mark());
        if (request_.resume && !marked_ && !part_.volume) TRY(check_ours());
        ComparisonOptions options;
        // A chunk each, and the aligned buffer it is read through.
        options.threads =
            static_cast<unsigned>(std::clamp<std::uint64_t>(request_.memory_limit / (2 * kChunkBytes), 1, threads_));
        options.data_chunks = report_.data_chunks;
        options.cancel = cancel_;
        options.progress = [this](const Progress& p) { tell(p.what.c_str(), p.done, p.total); };
        if (!TRY(pays_to_compare(options))) return {};
        done_with_ = TRY(compare_target(*request_.manifest, part_, target_, options));
        compared_ = true;
        report_.compared_chunks = report_.data_chunks;
        TRY(keep_first());
        report_.kept_chunks = static_cast<std::uint64_t>(std::count(done_with_.begin(), done_with_.end(), true));
        return {};
    }

    Result<bool> pays_to_compare(const ComparisonOptions& options) {
        if (request_.resume || marked_ || request_.compare == Compare::Always) return true;
        if (request_.compare == Compare::Never || request_.target_is_blank) return false;
        const auto sample = TRY(sample_target(*request_.manifest, part_, target_, options));
        report_.sampled_chunks = sample.places;
        report_.sampled_equal = sample.equal;
        return sample.pays();
    }

    // The mark will take its place: what is written last is what was read, and hashed.
    Status keep_first() {
        if (done_with_.empty() || !done_with_[0]) return {};
        done_with_[0] = false;
        PartWalk walk(*request_.manifest, part_);
        const auto run = TRY(walk.next_run());
        if (!run || run->kind != RunKind::Data || run->first != head_) return {};
        Bytes there(info_.chunk_length(head_));
        if (!target_.read(head_ * kChunkBytes, there) || sha256(there) != run->ids.front()) return {};
        done_with_[0] = first_kept_ = true;
        first_ = std::move(there);
        return {};
    }

    // "SLIPWAY DEPLOY UNFINISHED", and the digest of the manifest that is being laid down.
    Result<ByteWriter> mark_text() const {
        Bytes digest(32);
        TRY(request_.manifest->read(request_.manifest->size() - digest.size(), digest));
        ByteWriter text;
        text.text("SLIPWAY DEPLOY UNFINISHED ").text(to_hex(digest)).text("\n");
        return text;
    }
    // What of the part is in its first chunk, bytes.
    std::uint64_t room_for_mark() const { return std::min(part_.end, (head_ + 1) * kChunkBytes) - part_.begin; }

    Status look_for_mark() {
        const auto text = TRY(mark_text());
        Bytes there(text.size());
        TRY(target_.read(part_.begin, std::span(there).first(std::min<std::size_t>(there.size(), room_for_mark()))));
        marked_ = std::equal(there.begin(), there.end(), text.view().begin());
        return {};
    }

    // Its sector first: a write of a MiB may arrive in part, and in any order.
    Status mark() {
        if (part_.size() == 0 || marked_) return {};
        auto text = TRY(mark_text());
        const auto room = room_for_mark(), sector = std::min<std::uint64_t>(room, target_.sector_size());
        if (text.size() < room) text.pad_to(room);
        TRY(write_at(part_.begin, text.view().first(sector)));
        TRY(target_.flush());
        marked_ = true;
        if (sector == room) return {};
        TRY(write_at(part_.begin + sector, text.view().subspan(sector, room - sector)));
        return target_.flush();
    }

    // All else is durable before the first chunk takes the mark's place, and of that one the sector of the mark comes
    // last.
    Status finish() {
        if (!first_ && !marked_) return {};
        TRY(target_.flush());
        const auto start = head_ * kChunkBytes;
        const auto content = first_ ? std::move(*first_) : Bytes(info_.chunk_length(head_));
        const auto marked = std::min<std::uint64_t>(content.size(), part_.begin - start + target_.sector_size());
        if (marked < content.size()) {
            TRY(write_at(start + marked, ByteView(content).subspan(marked)));
            TRY(target_.flush());
        }
        TRY(write_at(start, ByteView(content).first(marked)));
        if (first_kept_) return {};
        ++report_.written_chunks;
        report_.written_bytes += content.size();
        return {};
    }

    // To go on without the mark, the target begins as the image does, or has nothing yet.
    Status check_ours() {
        PartWalk walk(*request_.manifest, part_);
        auto run = TRY(walk.next_run());
        Bytes there(info_.chunk_length(0));
        TRY(request_.target->read(0, there));
        if (all_zero(there) || !run || run->first != 0) return {};
        if (run->kind == RunKind::Data && sha256(there) == run->ids.front()) return {};
        return make_error(errors::kNotUnfinished, "the target holds something else than an interrupted deploy of this");
    }

    Status fetch_all() {
        PartWalk walk(*request_.manifest, part_);
        std::vector<Slot*> batch;
        while (auto run = TRY(walk.next_run())) {
            if (run->kind != RunKind::Data) {
                TRY(clear(*run));
                continue;
            }
            for (std::uint32_t i = 0; i < run->count; ++i) {
                if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
                auto chunk = run->first + i;
                if (done_with_[chunk - head_]) continue;
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

    struct Place {
        std::uint32_t number;  // in the plan
        std::uint64_t chunk;   // on the disk
        bool operator<(const Place& o) const { return number < o.number; }
    };

    // What it brings is written where it belongs, whatever the order.
    Status hear_broadcast() {
        const auto plan = TRY(ChunkPlan::of(*request_.manifest));
        std::vector<bool> wanted(plan.size());
        std::vector<Place> places;
        TRY(look_for_places(plan, wanted, places));
        std::stable_sort(places.begin(), places.end());
        ChunkDecoder decoder;
        Bytes plain;
        auto take = [&](std::uint32_t number, ByteView encoded) -> Result<bool> {
            if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
            if (number >= plan.size() || !decoder.decode(plan.id(number), encoded, plain).ok()) return false;
            auto [from, to] = std::equal_range(places.begin(), places.end(), Place{number, 0});
            for (; from != to; ++from) TRY(take_heard(from->chunk, plain));
            report_.fetched_bytes += encoded.size();
            tell_deploying();
            return true;
        };
        return request_.broadcast->receive(plan, std::move(wanted), take);
    }

    Status look_for_places(const ChunkPlan& plan, std::vector<bool>& wanted, std::vector<Place>& places) {
        PartWalk walk(*request_.manifest, part_);
        while (auto run = TRY(walk.next_run()))
            for (std::uint32_t i = 0; i < run->ids.size(); ++i) {
                if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
                auto chunk = run->first + i;
                auto number = plan.find(run->ids[i]);
                if (!number) return make_error(errors::kBadManifest, "chunk {} is not in the plan", chunk);
                if (done_with_[chunk - head_]) continue;
                wanted[*number] = true;
                places.push_back({*number, chunk});
            }
        return {};
    }

    Status take_heard(std::uint64_t chunk, ByteView plain) {
        if (plain.size() != info_.chunk_length(chunk))
            return make_error(errors::kBadManifest, "chunk {} has {} bytes", chunk, plain.size());
        if (chunk == head_) first_ = Bytes(plain.begin(), plain.end());
        else TRY(write_chunk(chunk, plain));
        done_with_[chunk - head_] = true;
        ++report_.broadcast_chunks;
        done_bytes_ += plain.size();
        return {};
    }

    Status fetch(std::vector<Slot*>& batch) {
        if (batch.empty()) return {};
        std::vector<ChunkId> ids;
        for (const auto* slot : batch) ids.push_back(slot->id);
        std::size_t taken = 0;
        // On to the disk with it while the next are on their way: over a slow line a batch takes a minute.
        auto take = [&](std::size_t i, Bytes encoded) -> Status {
            if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
            taken = i + 1;
            report_.fetched_bytes += encoded.size();
            batch[i]->encoded = std::move(encoded);
            ++expected_;
            work_.push(batch[i]);
            return {};
        };
        auto all = source_.get_each(ids, take);
        if (!all && !hurts_one_chunk(all.error())) return all;
        while (taken < batch.size()) {  // which of them it is, and each once more
            const auto i = taken;
            auto one = source_.get(ids[i]);
            if (one) {
                TRY(take(i, std::move(*one)));
                continue;
            }
            TRY(leave_out(ids[i], std::move(one).error()));
            free_.push(batch[i]);
            ++taken;
        }
        batch.clear();
        return {};
    }

    static bool hurts_one_chunk(const Error& error) {
        return error.is(errors::kBadChunk) || error.is(errors::kChunkMissing);
    }
    // The rest is laid down all the same, so that another try, once the store is healed, asks for this one alone.
    Status leave_out(const ChunkId& id, Error error) {
        if (!hurts_one_chunk(error) || missing_.size() == kMostMissing) return error;
        missing_.push_back(id);
        if (!first_missing_) first_missing_ = std::move(error);
        return {};
    }
    Error missing_error() {
        std::string names;
        for (std::size_t i = 0; i < std::min<std::size_t>(missing_.size(), 4); ++i)
            names += (i ? ", " : "") + missing_[i].text();
        return std::move(*first_missing_)
            .with(
                fmt::format("{} of the image cannot be had ({}{}), all else is laid down",
                            missing_.size() == 1 ? std::string("one chunk") : fmt::format("{} chunks", missing_.size()),
                            names, missing_.size() > 4 ? ", …" : ""));
    }

    // Zero must read as zero; unused ranges need not, and are only given back where that is cheap.
    Status clear(const ChunkRun& run) {
        if (request_.target_is_blank && !compared_) return {};
        auto start = std::max<std::uint64_t>(run.first, marked_ ? head_ + 1 : 0) * kChunkBytes;
        auto end = std::min<std::uint64_t>(info_.size, (run.first + run.count) * kChunkBytes);
        if (start >= end) return {};
        report_.cleared_bytes += end - start;
        bool zero = TRY(target_.discard(start, end - start));
        if (zero || run.kind == RunKind::Unused) return {};
        Bytes zeros(std::min<std::uint64_t>(kChunkBytes, end - start)), there;
        for (auto at = start; at < end; at += zeros.size()) {
            if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
            const auto length = std::min<std::uint64_t>(zeros.size(), end - at);
            there.resize(length);
            if (compared_ && target_.read(at, there) && all_zero(there)) continue;
            TRY(target_.write(at, ByteView(zeros).first(length)));
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
            tell_deploying();
            TRY(flush_in_time());
        }
        return {};
    }

    Status flush_in_time() {
        if (Clock::now() - flushed_ < request_.flush_every) return {};
        TRY(target_.flush());
        flushed_ = Clock::now();
        return {};
    }

    Status take(Slot& slot) {
        if (cancelled()) return make_error(errors::kCancelled, "the deploy was cancelled");
        if (slot.chunk != head_) return write_chunk(slot.chunk, slot.plain);
        first_ = slot.plain;
        return {};
    }

    Status write_at(std::uint64_t offset, ByteView bytes) {
        return target_.write(offset, bytes).with(fmt::format("writing at byte {}", offset));
    }
    Status write_chunk(std::uint64_t chunk, ByteView plain) {
        TRY(write_at(chunk * kChunkBytes, plain));
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
    const Selection& part_;
    const DiskInfo& info_;
    WindowTarget target_;
    const std::uint64_t head_ = part_.first_chunk();
    ChunkSource& source_;
    DeployReport& report_;
    const ProgressSink& progress_;
    const std::atomic<bool>* cancel_;
    std::deque<Slot> slots_;
    Queue<Slot*> free_, work_, done_;
    std::size_t batch_ = 1;
    std::atomic<std::uint64_t> expected_{0}, done_bytes_{0};
    static constexpr std::size_t kMostMissing = 32;  // beyond it the store has worse than a bad chunk
    std::vector<ChunkId> missing_;                   // by the fetching thread
    std::optional<Error> first_missing_;
    const unsigned threads_ = request_.threads ? request_.threads : std::max(1u, std::thread::hardware_concurrency());
    bool marked_ = false, compared_ = false;
    std::vector<bool> done_with_;  // chunks from head_ on that are right, or in first_: found there, or heard
    std::optional<Bytes> first_;
    bool first_kept_ = false;  // first_ was on the target
    Clock::time_point started_ = Clock::now(), told_{}, flushed_ = started_;
    std::mutex mutex_;  // guards error_
    std::optional<Error> error_;
};

// Before anything is written: a partition with another one right behind it cannot grow.
Status check_room(const DiskSummary& disk, std::uint32_t number) {
    constexpr std::uint64_t kGap = 1u << 20;  // alignment, or a logical partition's boot record
    std::uint64_t end = 0;
    for (const auto& p : disk.partitions)
        if (p.number == number) end = p.offset + p.length;
    for (const auto& p : disk.partitions)
        if (p.number != number && p.offset + kGap > end && p.offset <= end + kGap)
            return make_error(disks::errors::kNoRoom, "partition {} lies right behind partition {}", p.number, number);
    return {};
}

Status check_target(const Selection& part, const DeployRequest& request, DeployReport& report) {
    const auto& target = *request.target;
    const auto& disk = part.disk->disk;
    if (target.size() < part.size()) {
        auto error = fmt::format("{} of the image has {} ({} bytes), the target {} ({} bytes): {} bytes are wanting",
                                 part.name, human_bytes(part.size()), part.size(), human_bytes(target.size()),
                                 target.size(), part.size() - target.size());
        if (auto least = least_target(*part.disk); !part.volume && least <= target.size())
            error +=
                fmt::format("; its last partition would fit ({} bytes), with a table made for the smaller disk", least);
        return make_error(errors::kTargetTooSmall, "{}", error);
    }
    if (target.sector_size() != disk.sector_size) {
        auto what = fmt::format("{} has sectors of {} bytes, the target of {}", part.name, disk.sector_size,
                                target.sector_size());
        if (!part.volume && disk.table != TableKind::None) return make_error(errors::kTargetSectors, "{}", what);
        report.warnings.push_back(what + ": its file system may not be usable there");
    }
    if (request.grow == 0) return {};
    bool known = std::any_of(part.disk->partitions.begin(), part.disk->partitions.end(),
                             [&](const auto& p) { return p.number == request.grow; });
    if (part.volume || disk.table == TableKind::None || !known)
        return make_error(errors::kNoPartition, "{} of the image has no partition {} to grow", part.name, request.grow);
    return check_room(*part.disk, request.grow);
}

// Data chunks inside, for the progress.
Result<std::uint64_t> count_data(const ManifestBytes& manifest, const Selection& part) {
    if (!part.volume) return part.disk->data_chunks;
    std::uint64_t count = 0;
    PartWalk walk(manifest, part);
    while (auto run = TRY(walk.next_run())) count += run->ids.size();
    return count;
}

Status fit(const DeployRequest& request, const Selection& part, DeployReport& report) {
    bool larger = request.target->size() > part.disk->disk.size;
    if (request.grow == 0 && !(larger && part.disk->disk.table == TableKind::Gpt)) return {};
    auto fitted = disks::fit_table(*request.target, request.grow);
    if (!fitted && request.grow == 0) {  // the disk is as its source was, backup and all
        report.warnings.push_back("the backup GPT stays where the source ended: " + fitted.error().message());
        return {};
    }
    if (!fitted) return std::move(fitted).error().with("the image is laid down; growing its partition");
    report.backup_table_moved = fitted->backup_moved;
    if (!fitted->grown) return {};
    report.grown = {fitted->grown->offset, fitted->grown->length, fitted->grown_from, {}};
    for (const auto& v : part.disk->volumes)
        if (v.partition == request.grow) report.grown->filesystem = v.filesystem;
    return {};
}

}  // namespace

void note_losses(const Selection& part, DeployReport& report) {
    for (const auto& v : part.disk->volumes)
        if (v.excluded && v.offset < part.end && v.offset + v.length > part.begin)
            report.warnings.push_back(
                fmt::format("{} ({}) was left out of the image: nothing is written there, so the target has no file "
                            "system of it",
                            partition_name(part.disk->disk.name, v.partition), human_bytes(v.length)));
    for (const auto& loss : part.disk->losses) {
        if (loss.offset >= part.end || loss.offset + loss.length <= part.begin) continue;
        report.losses.push_back(loss);
        report.loss_places.push_back(describe_loss(part.disk->disk.name, part.disk->volumes, loss));
    }
}

Result<DeployReport> deploy_disk(const DeployRequest& request, ChunkSource& source, const ProgressSink& progress,
                                 const std::atomic<bool>* cancel) {
    auto started = Clock::now();
    auto image = TRY(summarize(*request.manifest));  // digest and structure, before the first write
    if (image.image.inconsistent) return make_error(errors::kInconsistent, "the image is marked inconsistent");
    auto part = TRY(select_part(image, request.disk, request.volume));
    DeployReport report;
    TRY(check_target(part, request, report));
    report.source = part.name;
    report.disk_bytes = part.size();
    report.data_chunks = TRY(count_data(*request.manifest, part));
    note_losses(part, report);
    Deploy deploy(request, part, source, report, progress, cancel);
    TRY(deploy.run());
    if (request.verify) TRY(deploy.verify());
    if (!part.volume) TRY(fit(request, part, report));
    report.seconds = Seconds(Clock::now() - started).count();
    report.bytes_per_second = report.seconds > 0 ? static_cast<double>(report.written_bytes) / report.seconds : 0;
    return report;
}

}  // namespace slipway::imagestore
