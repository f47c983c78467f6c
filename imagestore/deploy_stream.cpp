// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/deploy_stream.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/selection.hpp"
#include "lib/base/fd.hpp"

namespace slipway::imagestore {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
constexpr std::size_t kBatch = 8;  // chunks asked for at once

class Stream {
public:
    Stream(const DeployRequest& request, const Selection& part, ChunkSource& source, int out, DeployReport& report,
           const ProgressSink& progress, const std::atomic<bool>* cancel)
        : request_(request),
          part_(part),
          source_(source),
          out_(out),
          report_(report),
          progress_(progress),
          cancel_(cancel) {}

    Status run() {
        ManifestReader reader(*request_.manifest);
        bool inside = false;
        while (auto event = TRY(reader.next())) {
            if (auto* info = std::get_if<DiskInfo>(&*event)) inside = info->index == part_.disk->disk.index;
            auto* run = std::get_if<ChunkRun>(&*event);
            if (!run || !inside) continue;
            if (auto clipped = part_.clip(std::move(*run))) TRY(write_run(*clipped));
        }
        return {};
    }

private:
    Status write_run(const ChunkRun& run) {
        if (run.kind != RunKind::Data) {
            for (std::uint64_t i = 0; i < run.count; ++i) {
                auto length = part_.disk->disk.chunk_length(run.first + i);
                TRY(emit(run.first + i, ByteView(zeros_).first(length)));
            }
            return {};
        }
        for (std::size_t at = 0; at < run.ids.size(); at += kBatch) {
            auto ids = std::span(run.ids).subspan(at, std::min(kBatch, run.ids.size() - at));
            auto encoded = TRY(source_.get_many(ids));
            for (std::size_t i = 0; i < ids.size(); ++i) {
                auto chunk = run.first + at + i;
                TRY(decoder_.decode(ids[i], encoded[i], plain_));
                if (plain_.size() != part_.disk->disk.chunk_length(chunk))
                    return make_error(errors::kBadManifest, "chunk {} has {} bytes", chunk, plain_.size());
                report_.fetched_bytes += encoded[i].size();
                TRY(emit(chunk, plain_));
            }
        }
        return {};
    }

    // What of the chunk lies in the volume.
    Status emit(std::uint64_t chunk, ByteView plain) {
        if (cancel_ && cancel_->load(std::memory_order_relaxed))
            return make_error(errors::kCancelled, "the deploy was cancelled");
        auto start = chunk * kChunkBytes;
        auto from = std::max(start, part_.begin), to = std::min(start + plain.size(), part_.end);
        TRY(write_full(out_, plain.subspan(from - start, to - from)).with("writing the stream"));
        ++report_.written_chunks;
        report_.written_bytes += to - from;
        if (request_.rate_limit)
            std::this_thread::sleep_until(
                started_ + std::chrono::duration_cast<Clock::duration>(Seconds(
                               static_cast<double>(report_.written_bytes) / static_cast<double>(request_.rate_limit))));
        if (progress_ && Clock::now() - told_ > std::chrono::milliseconds(100)) {
            told_ = Clock::now();
            progress_({report_.written_bytes, part_.size(), "streaming"});
        }
        return {};
    }

    const DeployRequest& request_;
    const Selection& part_;
    ChunkSource& source_;
    int out_;
    DeployReport& report_;
    const ProgressSink& progress_;
    const std::atomic<bool>* cancel_;
    ChunkDecoder decoder_;
    Bytes plain_, zeros_ = Bytes(kChunkBytes);
    Clock::time_point started_ = Clock::now(), told_{};
};

}  // namespace

Result<DeployReport> deploy_stream(const DeployRequest& request, ChunkSource& source, int out,
                                   const ProgressSink& progress, const std::atomic<bool>* cancel) {
    auto started = Clock::now();
    auto image = TRY(summarize(*request.manifest));
    if (image.image.inconsistent) return make_error(errors::kInconsistent, "the image is marked inconsistent");
    auto part = TRY(select_part(image, request.disk, request.volume));
    DeployReport report;
    report.source = part.name;
    report.disk_bytes = part.size();
    report.data_chunks = part.disk->data_chunks;
    note_losses(part, report);
    TRY(Stream(request, part, source, out, report, progress, cancel).run());
    report.seconds = Seconds(Clock::now() - started).count();
    report.bytes_per_second = report.seconds > 0 ? static_cast<double>(report.written_bytes) / report.seconds : 0;
    if (progress) progress({part.size(), part.size(), "streaming"});
    return report;
}

}  // namespace slipway::imagestore
