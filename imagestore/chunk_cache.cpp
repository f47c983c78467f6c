// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/chunk_cache.hpp"

namespace slipway::imagestore {

Result<std::shared_ptr<const Bytes>> ChunkCache::get(const ChunkId& id) {
    std::shared_ptr<Entry> entry;
    {
        std::unique_lock lock(mutex_);
        if (auto found = places_.find(id); found != places_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            entry = *found->second;
            ready_.wait(lock, [&] { return entry->ready; });
            if (entry->error) return *entry->error;
            return entry->plain;
        }
        entry = std::make_shared<Entry>();
        entry->id = id;
        order_.push_front(entry);
        places_[id] = order_.begin();
        if (order_.size() > limit_) {
            places_.erase(order_.back()->id);
            order_.pop_back();
        }
    }
    auto loaded = load(id);
    std::lock_guard lock(mutex_);
    entry->ready = true;
    if (loaded) entry->plain = *loaded;
    else {
        entry->error = loaded.error();
        if (auto found = places_.find(id); found != places_.end() && *found->second == entry) {
            order_.erase(found->second);
            places_.erase(found);
        }
    }
    ready_.notify_all();
    return loaded;
}

Result<std::shared_ptr<const Bytes>> ChunkCache::load(const ChunkId& id) {
    Bytes encoded;
    {
        std::lock_guard one_at_a_time(source_mutex_);
        encoded = TRY(source_.get(id));
    }
    std::optional<ChunkDecoder> decoder;
    {
        std::lock_guard lock(mutex_);
        if (!decoders_.empty()) {
            decoder = std::move(decoders_.back());
            decoders_.pop_back();
        }
    }
    if (!decoder) decoder.emplace();
    auto plain = std::make_shared<Bytes>();
    auto decoded = decoder->decode(id, encoded, *plain);
    ++decoded_;
    std::lock_guard lock(mutex_);
    decoders_.push_back(std::move(*decoder));
    TRY(std::move(decoded));
    return std::shared_ptr<const Bytes>(std::move(plain));
}

void ChunkCache::expect(const ChunkId& id) {
    if (!read_ahead_) return;
    std::lock_guard lock(mutex_);
    if (places_.contains(id) || ahead_.size() >= kAhead) return;
    ahead_.push_back(id);
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run_ahead(stop); });
    expected_.notify_one();
}

void ChunkCache::run_ahead(const std::stop_token& stop) {
    for (;;) {
        std::unique_lock lock(mutex_);
        if (!expected_.wait(lock, stop, [&] { return !ahead_.empty(); })) return;
        auto id = ahead_.front();
        ahead_.pop_front();
        lock.unlock();
        (void)get(id).ok();  // whoever wants it for good sees the error
    }
}

}  // namespace slipway::imagestore
