// SPDX-License-Identifier: GPL-3.0-or-later
// A session as its server sees it: who takes part, when a round begins, who had better be served by unicast. The agent
// channel is its owner's: join() and tell() are what comes over it. No sockets, no threads.
#pragma once

#include <functional>
#include <string>

#include "imagestore/multicast/sender.hpp"

namespace slipway::multicast {

struct SessionOptions {
    SenderOptions sender;
    // It starts when so many are there (0: does not count), or so long after one has come (0: at once; none: does not
    // count); whatever comes first.
    unsigned start_receivers = 1;
    std::optional<std::chrono::seconds> start_after;
    std::chrono::milliseconds gather{500};  // later rounds wait so long for others that join
    std::chrono::seconds answer_within{5};  // after a round, with what is lacking; then it goes on without the rest
};

enum class SessionState { Waiting, Sending, Asking, Idle, Over };
// What a receiver is to do next. Unicast: fetch the rest chunk by chunk, over the agent channel. Join: the session is
// not known (any more), there may be another.
enum class Advice { Listen, Unicast, Done, Join };
// Silent: for the time being. Who is heard again takes part again. Vain: it hears, but two rounds brought it nothing.
// Mute: it speaks over the agent channel, but no report, of it or of another, has ever arrived.
enum class AsideReason { None, Loss, Disk, Silent, Asked, Vain, Mute };

class Session {
public:
    // key: a secret one at each call.
    Session(SessionOptions options, ChunkFeed feed, std::function<Key()> key, Instant now);

    struct Grant {
        std::uint32_t number = 0;
        Key key{};
    };
    // Whoever joins under a name that is known takes its place with a new number.
    Grant join(const std::string& name, std::vector<bool> wanted, Instant now);
    // What it lacks now: at the end of a round, when it was moved aside, when it is done.
    // asks_unicast: it hears nothing, or has its own reason.
    Advice tell(std::uint32_t number, std::vector<bool> wanted, bool asks_unicast, Instant now);
    void leave(std::uint32_t number);
    void expect(unsigned receivers, Instant now);  // of those it waits for some failed: from now on start_receivers
    void finish(Instant now);                      // nobody else is expected: over when those who are there have all

    void on_packet(ByteView packet, Instant now) { sender_.on_packet(packet, now); }
    std::optional<Bytes> poll(Instant now);
    Instant deadline(Instant now);
    void set_ceiling(std::uint64_t bits) { sender_.set_ceiling(bits); }
    void pause(bool paused, Instant now) { sender_.pause(paused, now); }

    struct Member {
        std::string name;
        std::uint32_t number = 0;
        std::uint32_t lacking = 0;  // as it said last
        AsideReason aside = AsideReason::None;
        bool present = true;
        ReceiverView view;  // as its reports say
    };
    std::vector<Member> members() const;
    unsigned listeners() const;  // who has something to get by it
    struct BadChunk {
        std::uint32_t chunk = 0;
        std::optional<Error> error;
    };
    std::vector<BadChunk> take_bad_chunks() { return std::exchange(bad_, {}); }
    SessionState state() const { return state_; }
    const Sender& sender() const { return sender_; }

private:
    struct Place {
        std::string name;
        std::vector<bool> wanted;
        std::uint32_t lacking = 0;
        AsideReason aside = AsideReason::None;
        bool present = true;
        bool told = false;         // `wanted` is what it lacks, whatever was sent up to now
        std::uint32_t lacked = 0;  // when the round began; 0: it was not in it
        unsigned vain = 0;         // rounds in a row
    };
    void turn(Instant now);
    void take_events(Instant now);
    void count_vain_rounds(Place& place);
    bool mute() const;
    bool anybody_told() const;
    bool everybody_told() const;
    std::vector<std::uint32_t> union_of_wanted() const;
    void begin(Instant now);
    void start_if_all_are_here(Instant now);

    SessionOptions options_;
    std::function<Key()> key_;
    Sender sender_;
    std::map<std::uint32_t, Place> places_;
    std::set<std::uint32_t> unreadable_;
    std::vector<BadChunk> bad_;
    std::uint32_t numbers_ = 0;
    SessionState state_ = SessionState::Waiting;
    Instant start_at_ = Instant::max(), answers_until_{};
    bool finishing_ = false;
};

}  // namespace slipway::multicast
