// SPDX-License-Identifier: GPL-3.0-or-later
// A receiver's work on one session, turn by turn: reads what has come, hands whole chunks on, reports, and speaks with
// its server. What a machine can do in a time is the affair of its surroundings, whose clock goes on meanwhile; no
// sockets and no threads are here.
#pragma once

#include "imagestore/multicast/receiver.hpp"
#include "imagestore/multicast/session.hpp"

namespace slipway::multicast {

struct Written {  // a chunk that was put(), and what became of it
    std::uint32_t chunk = 0;
    bool right = false;
    std::size_t bytes = 0;
    Instant::duration took{};
};

class Surroundings {
public:
    virtual ~Surroundings() = default;
    virtual Instant now() = 0;
    static constexpr std::size_t kAtOnce = 64;
    // Datagrams that have come, at most kAtOnce; good until the next call.
    virtual std::vector<ByteView> receive() = 0;
    virtual void report(ByteView packet) = 0;
    virtual std::size_t room() = 0;  // for chunks that wait for the disk, bytes
    virtual void put(Receiver::Whole chunk) = 0;
    virtual std::vector<Written> written() = 0;  // since the last call
    // Whether the group is heard. False: that could not be.
    virtual bool listen(bool on) = 0;
    // Over the agent channel, which takes its time. Nothing: no answer.
    virtual std::optional<Advice> tell(const std::vector<bool>& wanted, bool asks_unicast) = 0;
};

class Listener {
public:
    // holds: datagrams that the kernel keeps for certain until they are read.
    Listener(ReceiverOptions options, std::vector<bool> wanted, std::size_t holds, Surroundings& around);

    void turn();
    // When the next turn is due if nothing comes.
    Instant deadline(Instant now) const { return std::min(receiver_.deadline(), now + kTurn); }
    // As adapters moderate their interrupts: to wake for each datagram costs more than to read it. So long it may be
    // left alone; only while data comes, and much less than the kernel holds in the time.
    std::chrono::milliseconds rest() const { return batches_ ? kBatch : std::chrono::milliseconds(0); }

    // What it lacks is not to be had here (any more).
    bool over() const { return over_; }
    bool joins_again() const { return joins_again_; }  // by another session
    bool deaf() const { return deaf_ >= Receiver::kSilence; }
    const Receiver& receiver() const { return receiver_; }
    void take_written();
    // True: it goes on.
    bool tell(bool asks_unicast);

private:
    // kReading: without its reports and its clock; kTurn: not longer without a look at who has cancelled.
    static constexpr std::chrono::milliseconds kBatch{4}, kReading{20}, kTurn{200}, kNotAgain{10'000};
    std::size_t read(Instant until, bool& more);
    void speak_with_server(Instant now);
    void step_aside(Instant now);
    void ask_when_deaf();

    Surroundings& around_;
    Receiver receiver_;
    std::size_t holds_;
    Instant last_turn_{};
    Instant::duration deaf_{};
    std::optional<std::uint32_t> told_round_;
    std::optional<Instant> stepped_aside_;
    bool batches_ = false, over_ = false, joins_again_ = false;
    bool was_deaf_ = false;  // it has asked, and has heard nothing since
};

}  // namespace slipway::multicast
