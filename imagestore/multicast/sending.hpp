// SPDX-License-Identifier: GPL-3.0-or-later
// A session at work: its socket and the thread that drives it. Calls come from any thread, and wait while it reads a
// chunk, but for those that say they do not.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

#include "imagestore/multicast/group_socket.hpp"
#include "imagestore/multicast/session.hpp"

namespace slipway::multicast {

class Sending {
public:
    struct Options {
        SessionOptions session;
        GroupAddress group;
        Segment on;  // of the group's family
        unsigned ttl = 1;
        PortRange reports;  // where they arrive
    };
    // feed is called on the session's thread; key on the caller's of join().
    static Result<std::unique_ptr<Sending>> start(Options options, ChunkFeed feed, std::function<Key()> key);
    ~Sending();  // stops at once; receivers fall to unicast

    Session::Grant join(const std::string& name, std::vector<bool> wanted);
    Advice tell(std::uint32_t number, std::vector<bool> wanted, bool asks_unicast);
    void leave(std::uint32_t number);
    void finish();
    void pause(bool paused);

    // These three wait for nothing, also while the feed is stuck in a chunk: who looks after many sessions is not held
    // up by one. The orders are carried out by the session's thread.
    void expect(unsigned receivers);  // at least 1
    void set_ceiling(std::uint64_t bits);
    struct Pulse {
        SessionState state = SessionState::Waiting;
        unsigned listeners = 0;
        std::uint64_t rate = 0, sent = 0;  // bits a second; bytes, with IP and UDP headers
        std::uint64_t reports = 0;         // of machines, that arrived
    };
    Pulse pulse() const;  // of a moment ago

    struct Look {
        SessionState state = SessionState::Waiting;
        std::uint32_t round = 0;
        std::uint64_t rate = 0;
        SenderCounts counts;
        std::vector<Session::Member> members;
    };
    Look look() const;
    std::vector<Session::BadChunk> take_bad_chunks();
    std::uint16_t report_port() const { return socket_.port(); }
    const Options& options() const { return options_; }

private:
    Sending(Options options, GroupSender socket, ChunkFeed feed, std::function<Key()> key);
    template <class F>
    auto with(F&& f);
    std::unique_lock<std::mutex> hold() const;
    void run();
    void wake() const;
    void carry_out_orders(Instant now);
    void take_pulse();
    void log_unicast(std::uint32_t number) const;
    bool send_what_is_due(Instant now);
    void wait(Instant until);

    Options options_;
    GroupSender socket_;
    UniqueFd wake_;
    mutable std::mutex mutex_;  // guards session_
    mutable std::mutex turn_;   // who holds it is the next to have mutex_: its thread cannot take that again and again
    Session session_;
    // Orders for its thread.
    std::atomic<unsigned> expected_{0};  // 0: as before
    static constexpr std::int64_t kAsBefore = -1;
    std::atomic<std::int64_t> ceiling_{kAsBefore};
    // What pulse() says; each for itself.
    std::atomic<SessionState> state_{SessionState::Waiting};
    std::atomic<unsigned> listeners_{0};
    std::atomic<std::uint64_t> rate_{0}, sent_{0}, reports_{0};
    bool stopped_ = false;
    std::optional<Bytes> held_;  // the interface's queue was full
    std::thread thread_;
};

}  // namespace slipway::multicast
