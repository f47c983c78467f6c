// SPDX-License-Identifier: GPL-3.0-or-later
// Decoded chunks, the ones used last, for whoever reads an image at random. Every chunk is checked against its id.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "imagestore/chunk_source.hpp"
#include "imagestore/codec.hpp"

namespace slipway::imagestore {

// Thread-safe. Memory: `chunks` of 1 MiB, and one more for each thread that decodes.
class ChunkCache {
public:
    // The source outlives the cache and is asked by one thread at a time.
    ChunkCache(ChunkSource& source, std::size_t chunks) : source_(source), limit_(chunks ? chunks : 1) {}

    // The plain chunk, shared because the cache may drop it while it is read. Threads that want the same one wait for
    // the first to decode it. A failure is not kept: the next one to ask tries again.
    Result<std::shared_ptr<const Bytes>> get(const ChunkId& id);
    // A guess that `id` is asked for next: a thread of the cache's own gets it meanwhile. Starts that thread when
    // first called, so that a process may still fork before. At most kAhead guesses wait; more are dropped.
    void expect(const ChunkId& id);
    static constexpr std::size_t kAhead = 4;
    // False: guesses are dropped, and so no thread is started.
    void read_ahead(bool wanted) { read_ahead_ = wanted; }

    std::uint64_t decoded() const { return decoded_; }  // chunks

private:
    struct Entry {
        ChunkId id;
        std::shared_ptr<const Bytes> plain;
        std::optional<Error> error;
        bool ready = false;
    };
    // Entries are shared: whoever waits for one may outlive its place in the list.
    using Order = std::list<std::shared_ptr<Entry>>;

    Result<std::shared_ptr<const Bytes>> load(const ChunkId& id);
    void run_ahead(const std::stop_token& stop);

    ChunkSource& source_;
    const std::size_t limit_;
    std::atomic<std::uint64_t> decoded_{0};
    std::atomic<bool> read_ahead_{true};
    std::mutex source_mutex_;  // taken without the other
    std::mutex mutex_;         // guards all below
    std::condition_variable ready_;
    std::condition_variable_any expected_;
    Order order_;  // last used first
    std::unordered_map<ChunkId, Order::iterator> places_;
    std::vector<ChunkDecoder> decoders_;  // idle ones
    std::deque<ChunkId> ahead_;
    std::jthread thread_;  // the last member: it ends before what it uses
};

}  // namespace slipway::imagestore
