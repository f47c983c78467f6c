// SPDX-License-Identifier: GPL-3.0-or-later
// The store's side of the chunk calls: one writer a capture, one set of allowed chunks a deploy task. A key is a
// task's, or that of an upload by REST (api/store_sessions.hpp).
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_set>

#include "imagestore/store.hpp"
#include "lib/channel/chunk_frames.hpp"

namespace slipway::server {

class ChunkDesk {
public:
    explicit ChunkDesk(imagestore::Store& store) : store_(store) {}

    imagestore::Store& store() { return store_; }

    // ---- of a capture
    Result<std::string> have(const std::string& key, std::string_view body);
    Status put(const std::string& key, std::string_view body);
    Status flush(const std::string& key);
    Result<imagestore::CommitResult> commit(const std::string& key, const std::string& name, std::string_view manifest);

    // ---- of a deploy of `image`: only chunks that the image names
    struct Wanted {
        std::vector<Digest> ids;
        std::size_t bytes = 0;  // of the answer, for which nothing is read yet
    };
    Result<Wanted> wanted(const std::string& key, const std::string& image, std::string_view body);
    Result<std::string> read(const std::vector<Digest>& ids);

    // A manifest for the deploy task `key`: the lease on it lasts as long as the task.
    Result<std::shared_ptr<const imagestore::StoredManifest>> manifest(const std::string& key,
                                                                       const imagestore::ImageRef& ref);

    // ---- of whoever may read all
    Result<std::string> get_any(std::string_view body);

    void seal(const std::string& key);  // what its writer took is found by other writers from now on
    void over(const std::string& key);  // it has ended: seals what its writer took, gives up its leases

private:
    struct Writer {
        std::mutex mutex;  // a writer takes one call at a time
        std::unique_ptr<imagestore::StoreWriter> writer;
    };
    struct Allowed {
        imagestore::ImageVersion version;
        std::unordered_set<Digest> ids;
    };
    template <typename Call>
    auto with_writer(const std::string& key, Call call) -> decltype(call(std::declval<imagestore::StoreWriter&>()));
    Result<std::shared_ptr<const Allowed>> allowed(const std::string& key, const std::string& image, bool again);

    imagestore::Store& store_;
    std::mutex mutex_;  // over the maps; taken before, never inside a Writer's
    std::map<std::string, std::shared_ptr<Writer>> writers_;
    std::map<std::string, std::shared_ptr<const Allowed>> allowed_;
    std::map<std::string, std::weak_ptr<const Allowed>> sets_;  // by NAME@VERSION: machines of a job share one
    std::mutex loading_;  // taken before mutex_: who asks in many calls at once has its manifest read once
    using Leases = std::map<std::string, std::shared_ptr<const imagestore::StoredManifest>>;  // by NAME@VERSION
    std::map<std::string, Leases> leases_;
};

}  // namespace slipway::server
