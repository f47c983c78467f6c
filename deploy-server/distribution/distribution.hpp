// SPDX-License-Identifier: GPL-3.0-or-later
// The Image Distribution Service: which multicast session a deploy task takes part in. The tasks of one job and one
// image share a session; it begins when all machines of the job are there, or some time after the first, and ends with
// the last of them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "deploy-server/db/database.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "imagestore/broadcast.hpp"
#include "imagestore/multicast/sending.hpp"
#include "imagestore/store.hpp"
#include "lib/channel/multicast_messages.hpp"

namespace slipway::server {

class Distribution {
public:
    Distribution(Database& db, imagestore::Store& store) : db_(db), store_(store) {}

    // From the database; the settings hold for sessions that begin afterwards, the rate at once.
    Status load();
    DistributionSettings settings() const;
    Status set(const DistributionSettings& settings);

    struct Seat {
        const HeldTask& task;
        std::string device;
        std::string peer_address;  // whence it speaks to us
        std::string digest;        // of the manifest that it lays down, hex
    };
    // The session of the task's job and image, made when there is none. wanted: a bitmap (lib/channel).
    // Errors: server.no-multicast (with why this one is served by unicast), channel.bad-message, and the store's.
    Result<channel::MulticastInvitation> join(const Seat& seat, std::string_view wanted);
    // Advice as text: "listen", "unicast", "done".
    Result<std::string> tell(const HeldTask& task, std::string_view wanted, bool asks_unicast);
    void task_over(const std::string& key);

    // Bits a second; 0: as the settings say. Error: server.no-job when nothing is sent for this job (or its parent).
    Status throttle(std::int64_t job, std::uint64_t bits);

    struct View {
        std::uint64_t session = 0;
        std::int64_t job = 0;
        std::string image;
        multicast::GroupAddress group;
        Ipv4Address interface;
        std::uint32_t chunks = 0;
        multicast::Sending::Look look;
    };
    std::vector<View> sessions();
    void stop();  // all of them

private:
    struct Session {
        std::uint64_t id = 0;
        std::int64_t job = 0;
        std::string image;
        Ipv4Address interface;
        std::shared_ptr<const imagestore::StoredManifest> manifest;  // a lease on its chunks
        std::shared_ptr<const imagestore::ChunkPlan> plan;
        std::map<std::string, std::uint32_t> seats;   // task key -> number
        std::unique_ptr<multicast::Sending> sending;  // last: its thread uses the plan
    };
    using Sessions = std::map<std::pair<std::int64_t, std::string>, std::shared_ptr<Session>>;

    Result<std::shared_ptr<Session>> session_for(const Seat& seat);
    Result<std::shared_ptr<Session>> begin(const Seat& seat, std::int64_t job, unsigned machines);
    std::shared_ptr<Session> session_of(const std::string& key);
    void note_bad_chunks(Session& session);

    Database& db_;
    imagestore::Store& store_;
    mutable std::mutex mutex_;  // over what follows; a session's own calls are made without it
    DistributionSettings settings_;
    Sessions sessions_;
    std::uint16_t next_ = 0;  // of the range of groups
    bool stopped_ = false;
};

}  // namespace slipway::server
