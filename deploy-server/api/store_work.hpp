// SPDX-License-Identifier: GPL-3.0-or-later
// Care of the store that takes as long as reading it does (verify, gc): begun by one call, asked for by others, on
// threads of its own.
#pragma once

#include <condition_variable>
#include <deque>

#include "deploy-server/api/api.hpp"

namespace slipway::server {

class StoreWork {
public:
    StoreWork(imagestore::Store& store, const Clock& clock, LongCalls& calls)
        : store_(store), clock_(clock), calls_(calls) {}

    // The id of a verify, or a gc, that runs. One that runs already is handed out again, so that nobody reads the store
    // twice at once.
    std::string verify();
    std::string gc(bool dry_run);
    // Answers once it has ended, after `wait` at the latest:
    // {id, what, state: "running"|"done"|"failed", progress?, result?, error?}. Error: server.no-work.
    void answer(const std::string& id, std::chrono::seconds wait, const http::Responder& out);
    Status cancel(const std::string& id);  // a verify; a gc is short of anything that could be left half done
    void stop();                           // cancels all; before LongCalls::stop()

private:
    using Result_ = Result<json::object>;
    struct Work {
        std::string id, what;
        std::atomic<bool> cancel{false};
        std::optional<Result_> ended;
        std::optional<Progress> progress;
    };
    std::string start(const std::string& what, std::function<Result_(Work&)> run);
    std::shared_ptr<Work> find(const std::string& id);
    json::object describe(const Work& work) const;

    imagestore::Store& store_;
    const Clock& clock_;
    LongCalls& calls_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    std::deque<std::shared_ptr<Work>> works_;  // newest last; shared with the threads that run and wait
};

}  // namespace slipway::server
