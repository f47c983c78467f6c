// SPDX-License-Identifier: GPL-3.0-or-later
// The Image Distribution Service: which multicast session a deploy task takes part in, and how fast images go out, by
// multicast and by unicast. The tasks of one job and one image share a session; it begins when all machines of the job
// are there, or some time after the first, and ends with the last of them.
// distribution.cpp: sessions. throttle.cpp: rates. answers.cpp: the unicast answers that wait for their turn.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "deploy-server/db/database.hpp"
#include "deploy-server/distribution/audience.hpp"
#include "deploy-server/distribution/heard.hpp"
#include "deploy-server/distribution/rates.hpp"
#include "deploy-server/distribution/under_way.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "imagestore/broadcast.hpp"
#include "imagestore/multicast/sending.hpp"
#include "imagestore/store.hpp"
#include "lib/channel/multicast_messages.hpp"

namespace slipway::server {

class Distribution {
public:
    Distribution(Database& db, imagestore::Store& store, const Clock& clock);
    ~Distribution();  // stop()

    // For the job's log: level, text. Called without a lock.
    void on_note(std::function<void(std::int64_t job, std::string_view level, const std::string& text)> note) {
        note_ = std::move(note);
    }

    // From the database; the settings hold for sessions that begin afterwards, rates, limits and windows at once.
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
    // Advice as text: "listen", "unicast", "done", "join" (no session of ours has this task).
    Result<std::string> tell(const HeldTask& task, std::string_view wanted, bool asks_unicast);
    // Nothing is kept for the task from now on, by calls that are still on their way neither: its key does not come
    // again.
    void task_over(const std::string& key);
    bool is_over(const std::string& key) const;  // one of the last ten thousand
    HeardBook& heard() { return heard_; }

    // So many chunks should go in one answer to the task's machine, by unicast.
    std::size_t chunks_at_once(const HeldTask& task, const std::string& peer_address);
    // A machine's question for chunks. One of `send` and `refuse` is called, once, at once or on a thread of ours.
    struct Question {
        const HeldTask& task;
        std::string peer_address;
        std::string asker;      // for delivered()
        std::size_t bytes = 0;  // of the answer, which is not read yet
        // Its turn has come: reads the answer and hands it over. False: it was an error that went out. After 40 s in
        // any case, so that the machine does not take us for dead.
        std::function<bool()> send;
        // The agent is to ask again. server.asked-again: by the same machine, in its place; server.still-answering: two
        // answers to it are still on their way; server.busy: no memory came free, or the server stops. Or
        // server.not-your-task: it ended while this waited.
        std::function<void(const Error&)> refuse;
    };
    void ask(Question question);
    void delivered(const std::string& asker);  // an answer that was handed over has been read, or will never be

    // Bits a second of all that goes out for the job (or the group job it belongs to); 0: as the settings say. It holds
    // until it is changed, also after a restart and when the job is resumed.
    // The job that it holds for. Error: server.no-job when it is unknown or has ended.
    Result<std::int64_t> throttle(std::int64_t job, std::uint64_t bits);

    struct View {
        std::uint64_t session = 0;
        std::int64_t job = 0;
        std::string image;
        multicast::GroupAddress group;
        IpAddress interface;            // our address that sends to it
        std::uint16_t report_port = 0;  // of that address
        std::uint32_t chunks = 0;
        std::uint64_t ceiling = 0;  // 0: none
        multicast::Sending::Look look;
        std::map<std::uint32_t, std::string> tasks;  // by the number of the member that works on it
    };
    std::vector<View> sessions();
    // Machines that asked for something by unicast lately.
    struct UnicastView {
        std::int64_t job = 0;
        std::string device;
        IpAddress interface;
        std::uint64_t ceiling = 0, bytes = 0;
    };
    std::vector<UnicastView> unicasts();
    const RateWindow* window_now(const DistributionSettings& settings) const;
    void stop();  // all of them; questions that wait are refused

private:
    struct Session {
        std::uint64_t id = 0;
        std::int64_t job = 0;
        Audience audience;
        unsigned start_machines = 0;  // of the settings
        unsigned coming = 0;          // joins that have not taken their seat yet
        std::string image;
        IpAddress interface;  // our address that speaks to the machines: whose limit it has a share of
        std::shared_ptr<const imagestore::StoredManifest> manifest;  // a lease on its chunks
        std::shared_ptr<const imagestore::ChunkPlan> plan;
        std::uint64_t ceiling = 0;
        Use use{true};
        std::optional<Instant> silent_since;  // these two are look_in_on_sessions()'s alone
        bool noted_silence = false;
        std::map<std::string, std::uint32_t> seats;   // task key -> number
        std::unique_ptr<multicast::Sending> sending;  // last: its thread uses the plan
        unsigned waits_for(unsigned machines) const {
            return std::max(1u, start_machines ? std::min(start_machines, machines) : machines);
        }
    };
    using Sessions = std::map<std::pair<std::int64_t, std::string>, std::shared_ptr<Session>>;
    struct Unicast {  // a machine
        std::int64_t job = 0;
        std::string device;
        IpAddress interface;
        Instant last;  // when it asked for something, or got it
        std::uint64_t bytes = 0;
        unsigned waiting = 0;  // questions, 0 or 1
        bool over = false;     // its task has ended
        bool active(Instant now) const;
    };
    struct Waiting {
        std::string key;  // of the task
        std::string asker;
        std::size_t bytes = 0;
        double place = 0;
        Instant latest;
        std::function<bool()> send;
        std::function<void(const Error&)> refuse;
        bool no_room = false;  // it has waited as long as it may
    };
    // What goes by unicast for a job by one of our addresses. Each machine has one question in it at a time, so that
    // answers in the order of the questions serve them alike, and one with a slow line takes what it takes.
    struct Row {
        Meter meter;
        Use use{false};
        std::uint64_t bytes = 0;
        std::deque<Waiting> waiting;
    };
    using Rows = std::map<std::pair<std::int64_t, IpAddress>, Row>;

    void forget(const std::string& key);  // without mutex_, as the next
    void forget_if_over(const std::string& key);
    Result<std::shared_ptr<Session>> session_for(const Seat& seat);
    struct Beginning;
    Result<std::shared_ptr<Session>> begin(const Seat& seat, Audience audience);
    Status take_seat(const Seat& seat, Session& session, std::string_view wanted, multicast::Session::Grant& grant);
    std::shared_ptr<Session> drop_if_empty(const Session& session);  // with mutex_
    std::shared_ptr<Session> session_of(const std::string& key);
    void note_bad_chunks(Session& session);
    void look_in_on_sessions(Instant now);
    void note_silence(Session& session, Instant now);

    // throttle.cpp; with mutex_ held.
    Unicast& unicast_of(const HeldTask& task, const std::string& peer_address, Instant now);
    unsigned active_in(const Rows::key_type& row, Instant now) const;
    void share(Instant now);
    void measure(Instant now);
    void recall_rate(std::int64_t job);
    void forget_those_that_are_over();
    void look_after();  // the threads run from now on: not before the server has given up root
    void run();

    // answers.cpp; with mutex_ held, but for hand_over() and read().
    std::optional<Waiting> give_up_former(Row& row, Unicast& machine, const std::string& key, Instant now);
    std::vector<Waiting> take_due(Instant now);
    std::vector<Waiting> take_all();
    Instant next_due(Instant now);
    void hand_over(Waiting& answer);
    void read();

    HeardBook heard_;
    Database& db_;
    imagestore::Store& store_;
    const Clock& clock_;
    std::function<void(std::int64_t, std::string_view, const std::string&)> note_;
    mutable std::mutex mutex_;  // over what follows; of a session, only what waits for nothing is called with it
    std::condition_variable wake_;
    DistributionSettings settings_;
    Sessions sessions_;
    std::set<Sessions::key_type> beginning_;  // one call makes the session, others of it wait for that
    std::condition_variable begun_;
    std::map<std::string, Unicast> unicasts_;      // by task key
    Rows rows_;                                    // of unicasts_; made with the first, gone with the last of it
    std::map<std::int64_t, std::uint64_t> given_;  // what throttle() gave the jobs that are sent to; 0: nothing
    std::uint16_t next_ = 0;                       // of the range of groups
    bool stopped_ = false;
    std::set<std::string> over_;  // tasks
    std::deque<std::string> over_in_order_;
    UnderWay under_way_;
    std::deque<Waiting> reads_;  // whose turn has come
    std::condition_variable read_wake_;
    std::thread thread_;                // looks at the clock, and whose turn it is
    std::vector<std::thread> readers_;  // reading may be slow, which holds up no rate
};

}  // namespace slipway::server
