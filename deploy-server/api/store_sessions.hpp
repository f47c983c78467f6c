// SPDX-License-Identifier: GPL-3.0-or-later
// Captures into the server's store and reads out of it that come by REST. An agent's end with its task; these have no
// task, so that what keeps hold of the store on their behalf ends by itself once it is idle.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "deploy-server/agents/chunk_desk.hpp"
#include "lib/base/clock.hpp"

namespace slipway::server {

struct SessionLimits {
    std::chrono::milliseconds upload_idle = std::chrono::minutes(10);
    // Longer: a deploy that goes on compares the target for long and fetches nothing meanwhile.
    std::chrono::milliseconds reader_idle = std::chrono::hours(1);
    std::size_t uploads = 64, readers = 256;  // at once
};

class StoreSessions {
public:
    StoreSessions(ChunkDesk& desk, const Clock& clock, SessionLimits limits);
    ~StoreSessions();  // ends all
    StoreSessions(const StoreSessions&) = delete;
    StoreSessions& operator=(const StoreSessions&) = delete;

    // ---- uploads: captures of one image each
    // The id of a new one. What others of this image have taken so far is sealed: a capture that begins again after its
    // console was killed finds all that was accepted. Errors: imagestore.bad-name, server.too-many-uploads.
    Result<std::string> open(const std::string& image);
    // call(desk key, image) for an upload that cannot end meanwhile. Error: server.no-upload, and the call's own.
    template <typename Call>
    auto with(const std::string& id, Call call)
        -> decltype(call(std::declval<const std::string&>(), std::declval<const std::string&>())) {
        auto use = TRY(Use::begin(*this, id));
        return call(use.key(), use.image());
    }
    // After its last call; what it took is sealed. Error: server.no-upload.
    Status close(const std::string& id);

    // ---- readers
    // The manifest of NAME[@VERSION]. Its lease lasts until it was not asked for during reader_idle: till then neither
    // delete nor gc takes a chunk of it. Errors: imagestore.bad-name, .no-image.
    Result<std::shared_ptr<const imagestore::StoredManifest>> read(const std::string& image);

    void expire();  // ends what is idle; a thread of its own calls it

private:
    struct Upload {
        std::string image;
        unsigned calls = 0;
        bool closed = false;
        Instant used;
    };
    // A call under way.
    class Use {
    public:
        static Result<Use> begin(StoreSessions& sessions, const std::string& id);
        Use(Use&& other) noexcept
            : sessions_(std::exchange(other.sessions_, nullptr)), id_(other.id_), image_(other.image_) {}
        Use& operator=(Use&&) = delete;
        ~Use();
        std::string key() const { return key_of(id_); }
        const std::string& image() const { return image_; }

    private:
        Use(StoreSessions* sessions, std::string id, std::string image)
            : sessions_(sessions), id_(std::move(id)), image_(std::move(image)) {}
        StoreSessions* sessions_;
        std::string id_, image_;
    };
    static std::string key_of(const std::string& id) { return "upload " + id; }  // no task's key has a space
    void watch();

    ChunkDesk& desk_;
    const Clock& clock_;
    const SessionLimits limits_;
    std::mutex mutex_;  // guards what follows; the desk is never called under it
    std::map<std::string, Upload> uploads_;
    struct Reader {
        std::shared_ptr<const imagestore::StoredManifest> manifest;  // shared with the calls that read it
        Instant used;
    };
    std::map<std::string, Reader> readers_;  // by NAME@VERSION
    bool stopping_ = false;
    std::condition_variable wake_;
    std::thread watcher_;
};

}  // namespace slipway::server
