// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/capture_pass.hpp"

#include <algorithm>
#include <thread>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"

namespace slipway::imagestore {

using Seconds = std::chrono::duration<double>;

// An encoder's own memory is about 3 MiB at low levels: many processors may not take all of a small limit.
unsigned worker_count(const CaptureRequest& request) {
    auto wanted = request.threads ? request.threads : std::max(1u, std::thread::hardware_concurrency());
    return static_cast<unsigned>(std::clamp<std::uint64_t>(request.memory_limit / (8u << 20), 1, wanted));
}

Status CapturePass::run(const Next& next, const Seen& seen) {
    auto threads = worker_count(request_);
    // A slot holds a chunk plain and encoded; the limit is of the whole process, with its maps and its manifest.
    auto limit = std::max(request_.memory_limit, kMinCaptureMemory);
    auto reserve = std::uint64_t{threads} * (4u << 20) + limit / 8;
    auto count = std::clamp<std::uint64_t>((limit - std::min(limit / 2, reserve)) / (2 * kChunkBytes + 4096), 4, 256);
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

void CapturePass::fail(Error error) {
    {
        std::lock_guard hold(mutex_);
        if (!error_) error_ = std::move(error);
    }
    free_.close();
    work_.close();
    done_.close();
}

void CapturePass::pace() {
    if (request_.rate_limit == 0) return;
    auto due = started_ + std::chrono::duration_cast<Clock::duration>(Seconds(
                              static_cast<double>(bytes_read_.load()) / static_cast<double>(request_.rate_limit)));
    while (Clock::now() < due && !cancelled())
        std::this_thread::sleep_until(std::min(due, Clock::now() + std::chrono::milliseconds(200)));
}

void CapturePass::read_all(const Next& next) {
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

void CapturePass::work_all() {
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

Status CapturePass::sink_all(const Seen& seen) {
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

Status CapturePass::in_order(const Seen& seen) {
    for (auto it = order_.begin(); it != order_.end() && it->first == next_in_order_; it = order_.erase(it)) {
        TRY(seen(it->second.wish, it->second.id, it->second.zero));
        ++next_in_order_;
    }
    return {};
}

std::uint64_t CapturePass::drop_unchanged(std::vector<Slot*>& hashed) {
    if (!request_.base) return 0;
    auto changed =
        std::stable_partition(hashed.begin(), hashed.end(), [](const Slot* slot) { return slot->base != slot->id; });
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

Result<std::uint64_t> CapturePass::ask(const std::vector<Slot*>& hashed) {
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

Status CapturePass::put(Slot& slot) {
    TRY(busies_.sink([&] { return sink_.put(slot.id, slot.encoded); }));
    under_way_.erase(slot.id);
    ++report_.sent_chunks;
    report_.sent_bytes += slot.encoded.size();
    if (slot.encoded[0] == std::byte{static_cast<std::uint8_t>(ChunkCodec::Raw)}) ++report_.raw_chunks;
    return {};
}

}  // namespace slipway::imagestore
