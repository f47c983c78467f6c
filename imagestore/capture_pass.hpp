// SPDX-License-Identifier: GPL-3.0-or-later
// The pipeline of a capture: one pass over a sequence of chunks.
// reader thread -> workers (hash) -> caller's thread (asks the sink) -> workers (encode) -> caller's
// thread (puts). A fixed set of slots goes round, which bounds memory. For this room's own files.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "imagestore/capture.hpp"
#include "imagestore/chunk_reader.hpp"
#include "imagestore/queue.hpp"

namespace slipway::imagestore {

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
        auto start = std::chrono::steady_clock::now();
        auto result = work();
        total_ +=
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
        return result;
    }
    double seconds() const { return static_cast<double>(total_.load()) * 1e-9; }

private:
    std::atomic<std::int64_t> total_{0};
};

struct Busies {
    Busy read, work, sink;
};

// How many workers the request's processors and memory allow.
unsigned worker_count(const CaptureRequest& request);

// One pass over a sequence of chunks.
class CapturePass {
public:
    // The next chunk to read, or nothing at the end. Called by the reader thread.
    using Next = std::function<std::optional<Wish>()>;
    // Sees every chunk in the order of Next. Called by the caller's thread.
    using Seen = std::function<Status(const Wish&, const ChunkId&, bool zero)>;

    CapturePass(const CaptureRequest& request, ChunkSink& sink, std::vector<ChunkReader>& readers,
                CaptureReport& report, Busies& busies, const ProgressSink& progress, const std::atomic<bool>* cancel)
        : request_(request),
          sink_(sink),
          readers_(readers),
          report_(report),
          busies_(busies),
          progress_(progress),
          cancel_(cancel) {}

    Status run(const Next& next, const Seen& seen);

private:
    using Clock = std::chrono::steady_clock;

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

    void fail(Error error);
    bool cancelled() const { return cancel_ && cancel_->load(std::memory_order_relaxed); }
    void pace();
    void read_all(const Next& next);
    void work_all();
    Status sink_all(const Seen& seen);
    Status in_order(const Seen& seen);
    // Chunks as the base has them are not asked for; should the store have lost one, the commit says so.
    std::uint64_t drop_unchanged(std::vector<Slot*>& hashed);
    // How many of the chunks need no sending.
    Result<std::uint64_t> ask(const std::vector<Slot*>& hashed);
    Status put(Slot& slot);

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

}  // namespace slipway::imagestore
