// SPDX-License-Identifier: GPL-3.0-or-later
// A session at work: its socket and the thread that drives it. Calls come from any thread.
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
    };
    // feed is called on the session's thread; key on the caller's of join().
    static Result<std::unique_ptr<Sending>> start(Options options, ChunkFeed feed, std::function<Key()> key);
    ~Sending();  // stops at once; receivers fall to unicast

    Session::Grant join(const std::string& name, std::vector<bool> wanted);
    Advice tell(std::uint32_t number, std::vector<bool> wanted, bool asks_unicast);
    void leave(std::uint32_t number);
    void expect(unsigned receivers);  // at least 1; does not wait for the session's thread
    void finish();
    void set_ceiling(std::uint64_t bits);
    void pause(bool paused);

    struct Look {
        SessionState state = SessionState::Waiting;
        std::uint32_t round = 0;
        std::uint64_t rate = 0;
        SenderCounts counts;
        std::vector<Session::Member> members;
    };
    Look look() const;
    SessionState state() const;
    std::vector<Session::BadChunk> take_bad_chunks();
    std::uint16_t report_port() const { return socket_.port(); }
    const Options& options() const { return options_; }

private:
    Sending(Options options, GroupSender socket, ChunkFeed feed, std::function<Key()> key);
    template <class F>
    auto with(F&& f);
    void run();
    void wake() const;
    void log_unicast(std::uint32_t number) const;
    bool send_what_is_due(Instant now);
    void wait(Instant until);

    Options options_;
    GroupSender socket_;
    UniqueFd wake_;
    mutable std::mutex mutex_;  // guards session_
    Session session_;
    std::atomic<unsigned> expected_{0};  // for its thread; 0: as before
    bool stopped_ = false;
    std::optional<Bytes> held_;  // the interface's queue was full
    std::thread thread_;
};

}  // namespace slipway::multicast
