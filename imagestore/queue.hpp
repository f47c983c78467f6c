// SPDX-License-Identifier: GPL-3.0-or-later
// A blocking queue between the threads of a pipeline. What bounds memory is the number of slots that
// go round, so the queue itself has no limit. push_front() is for what is still warm in the processor's
// cache: a slot just freed, a chunk just hashed.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace slipway::imagestore {

template <typename T>
class Queue {
public:
    void push(T item) {
        {
            std::lock_guard hold(mutex_);
            items_.push_back(std::move(item));
        }
        ready_.notify_one();
    }
    void push_front(T item) {
        {
            std::lock_guard hold(mutex_);
            items_.push_front(std::move(item));
        }
        ready_.notify_one();
    }
    // Nothing once the queue is closed (what was still in it is dropped).
    std::optional<T> pop() {
        std::unique_lock hold(mutex_);
        ready_.wait(hold, [&] { return closed_ || !items_.empty(); });
        if (closed_) return std::nullopt;
        T item = std::move(items_.front());
        items_.pop_front();
        return item;
    }
    // Waits for at least one, then takes all; empty once closed.
    std::deque<T> pop_all() {
        std::unique_lock hold(mutex_);
        ready_.wait(hold, [&] { return closed_ || !items_.empty(); });
        std::deque<T> out;
        if (!closed_) out.swap(items_);
        return out;
    }
    void close() {
        {
            std::lock_guard hold(mutex_);
            closed_ = true;
        }
        ready_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace slipway::imagestore
