// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/store_work.hpp"

#include <algorithm>

#include "deploy-server/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::server {

namespace {

constexpr std::size_t kKept = 16;  // ended ones, for whoever asks late

json::object to_json(const imagestore::VerifyReport& r) {
    json::array hurt;
    for (const auto& h : r.hurt)
        hurt.push_back({{"image", h.image}, {"missing_chunks", h.missing_chunks}, {"reason", h.reason}});
    return {{"ok", r.ok()},           {"packs", r.packs},
            {"chunks", r.chunks},     {"bytes", r.bytes},
            {"images", r.images},     {"damaged", json::array(r.damaged.begin(), r.damaged.end())},
            {"hurt", std::move(hurt)}};
}

json::object to_json(const imagestore::GcReport& r) {
    return {{"bytes_freed", r.bytes_freed},
            {"packs_removed", r.packs_removed},
            {"packs_rewritten", r.packs_rewritten},
            {"packs_young", r.packs_young},
            {"chunks_removed", r.chunks_removed}};
}

}  // namespace

std::string StoreWork::verify() {
    return start("verify", [this](Work& work) -> Result_ {
        auto progress = [&](const Progress& p) {
            std::lock_guard lock(mutex_);
            work.progress = p;
        };
        return to_json(TRY(store_.verify(progress, &work.cancel)));
    });
}

std::string StoreWork::gc(bool dry_run) {
    return start(dry_run ? "gc-dry-run" : "gc", [this, dry_run](Work&) -> Result_ {
        imagestore::GcOptions options;
        options.dry_run = dry_run;
        auto report = TRY(store_.gc(options, clock_));
        if (!dry_run) log::info("server", "gc freed {} bytes", report.bytes_freed);
        return to_json(report);
    });
}

std::string StoreWork::start(const std::string& what, std::function<Result_(Work&)> run) {
    auto work = std::make_shared<Work>();
    {
        std::lock_guard lock(mutex_);
        for (const auto& other : works_)
            if (other->what == what && !other->ended && !other->cancel) return other->id;
        work->id = random_token(16);
        work->what = what;
        std::size_t ended = 0;
        for (const auto& other : works_) ended += other->ended.has_value();
        for (auto it = works_.begin(); ended >= kKept && it != works_.end();) {
            if (!(*it)->ended) {
                ++it;
                continue;
            }
            it = works_.erase(it);
            --ended;
        }
        works_.push_back(work);
    }
    calls_.run([this, work, run = std::move(run)](const std::atomic<bool>&) {
        auto result = run(*work);
        if (!result) log::warning("server", "{} of the store: {}", work->what, result.error().describe());
        {
            std::lock_guard lock(mutex_);
            work->ended = std::move(result);
        }
        changed_.notify_all();
    });
    return work->id;
}

std::shared_ptr<StoreWork::Work> StoreWork::find(const std::string& id) {
    std::lock_guard lock(mutex_);
    for (const auto& work : works_)
        if (work->id == id) return work;
    return nullptr;
}

json::object StoreWork::describe(const Work& work) const {
    json::object out{{"id", work.id}, {"what", work.what}};
    out["state"] = !work.ended ? "running" : work.ended->ok() ? "done" : "failed";
    if (work.progress)
        out["progress"] = {
            {"done", work.progress->done}, {"total", work.progress->total}, {"what", work.progress->what}};
    if (work.ended && work.ended->ok()) out["result"] = **work.ended;
    if (work.ended && !work.ended->ok()) {
        const auto& e = work.ended->error();
        out["error"] = {
            {"name", e.name()}, {"message", e.describe()}, {"next_step", e.next_step()}, {"temporary", e.temporary()}};
    }
    return out;
}

void StoreWork::answer(const std::string& id, std::chrono::seconds wait, const http::Responder& out) {
    auto work = find(id);
    if (!work) return out.send(error_response(make_error(errors::kNoWork, "there is no such work")));
    // It waits on a thread of its own, not on one of those that serve others.
    calls_.run([this, work, wait, out](const std::atomic<bool>&) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, wait, [&] { return work->ended || stopping_; });
        auto answer = describe(*work);
        lock.unlock();
        out.send(json_response(200, answer));
    });
}

Status StoreWork::cancel(const std::string& id) {
    auto work = find(id);
    if (!work) return make_error(errors::kNoWork, "there is no such work");
    work->cancel = true;
    return {};
}

void StoreWork::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        for (const auto& work : works_) work->cancel = true;
    }
    changed_.notify_all();
}

}  // namespace slipway::server
