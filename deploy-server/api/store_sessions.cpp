// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/store_sessions.hpp"

#include <algorithm>

#include "deploy-server/errors.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::server {

StoreSessions::StoreSessions(ChunkDesk& desk, const Clock& clock, SessionLimits limits)
    : desk_(desk), clock_(clock), limits_(limits), watcher_([this] { watch(); }) {}

StoreSessions::~StoreSessions() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    watcher_.join();
    for (const auto& [id, upload] : uploads_) desk_.over(key_of(id));
}

void StoreSessions::watch() {
    auto every = std::clamp<std::chrono::milliseconds>(limits_.upload_idle / 4, std::chrono::milliseconds(10),
                                                       std::chrono::seconds(30));
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every, [this] { return stopping_; })) {
        lock.unlock();
        expire();
        lock.lock();
    }
}

Result<std::string> StoreSessions::open(const std::string& image) {
    if (!imagestore::valid_image_name(image))
        return make_error(imagestore::errors::kBadName, "'{}' is not an image name", printable(image));
    expire();
    auto id = random_token(16);
    std::vector<std::string> others;
    {
        std::lock_guard lock(mutex_);
        if (uploads_.size() >= limits_.uploads)
            return make_error(errors::kTooManyUploads, "{} uploads are open", uploads_.size());
        for (const auto& [other, upload] : uploads_)
            if (upload.image == image) others.push_back(other);
        uploads_.emplace(id, Upload{image, 0, false, clock_.now()});
    }
    for (const auto& other : others) desk_.seal(key_of(other));
    return id;
}

Result<StoreSessions::Use> StoreSessions::Use::begin(StoreSessions& sessions, const std::string& id) {
    std::lock_guard lock(sessions.mutex_);
    auto found = sessions.uploads_.find(id);
    if (found == sessions.uploads_.end() || found->second.closed)
        return make_error(errors::kNoUpload, "there is no such upload");
    ++found->second.calls;
    return Use(&sessions, id, found->second.image);
}

// The last call of a closed upload ends it: a writer made after the end would stay for ever.
StoreSessions::Use::~Use() {
    if (!sessions_) return;
    {
        std::lock_guard lock(sessions_->mutex_);
        auto& upload = sessions_->uploads_.at(id_);
        upload.used = sessions_->clock_.now();
        if (--upload.calls != 0 || !upload.closed) return;
        sessions_->uploads_.erase(id_);
    }
    sessions_->desk_.over(key());
}

Status StoreSessions::close(const std::string& id) {
    {
        std::lock_guard lock(mutex_);
        auto found = uploads_.find(id);
        if (found == uploads_.end() || found->second.closed)
            return make_error(errors::kNoUpload, "there is no such upload");
        found->second.closed = true;
        if (found->second.calls != 0) return {};
        uploads_.erase(found);
    }
    desk_.over(key_of(id));
    return {};
}

Result<std::shared_ptr<const imagestore::StoredManifest>> StoreSessions::read(const std::string& image) {
    auto ref = TRY(imagestore::ImageRef::parse(image));
    auto kept = [&](const std::string& name) -> std::shared_ptr<const imagestore::StoredManifest> {
        std::lock_guard lock(mutex_);
        auto found = readers_.find(name);
        if (found == readers_.end()) return nullptr;
        found->second.used = clock_.now();
        return found->second.manifest;
    };
    // Also of a version deleted meanwhile: whoever reads it may go on.
    if (ref.version)
        if (auto manifest = kept(ref.text())) return manifest;
    std::shared_ptr<const imagestore::StoredManifest> manifest = TRY(desk_.store().manifest(ref));
    auto name = manifest->version().text();
    std::lock_guard lock(mutex_);
    auto [reader, fresh] = readers_.try_emplace(name, Reader{manifest, {}});
    reader->second.used = clock_.now();
    if (fresh && readers_.size() > limits_.readers) {
        auto oldest = std::min_element(readers_.begin(), readers_.end(),
                                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
        readers_.erase(oldest);
    }
    return manifest;
}

void StoreSessions::expire() {
    std::vector<std::string> ended;
    {
        std::lock_guard lock(mutex_);
        auto now = clock_.now();
        for (auto it = uploads_.begin(); it != uploads_.end();) {
            if (it->second.calls != 0 || now - it->second.used < limits_.upload_idle) {
                ++it;
                continue;
            }
            log::info("server", "an upload of image {} was idle and is over", it->second.image);
            ended.push_back(it->first);
            it = uploads_.erase(it);
        }
        std::erase_if(readers_, [&](const auto& r) { return now - r.second.used >= limits_.reader_idle; });
    }
    for (const auto& id : ended) desk_.over(key_of(id));
}

}  // namespace slipway::server
