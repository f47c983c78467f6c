// SPDX-License-Identifier: GPL-3.0-or-later
// The sender of a session: reports and time in, packets out. No sockets, no clock; chunks come from a feed.
// One round at a time: its owner begins each with the chunks that anyone lacks, and asks the receivers afterwards.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "imagestore/multicast/congestion.hpp"
#include "imagestore/multicast/fec.hpp"
#include "imagestore/multicast/pace.hpp"
#include "imagestore/multicast/repairs.hpp"
#include "imagestore/multicast/seal.hpp"

namespace slipway::multicast {

// The encoded chunk of a number in the plan. An error is of this chunk alone: the round goes on without it.
using ChunkFeed = std::function<Result<Bytes>(std::uint32_t chunk)>;

struct SenderOptions {
    std::uint64_t session = 0;
    Key key{};
    bool clear = false;
    std::uint32_t chunks = 0;  // in the plan
    std::uint32_t symbol_bytes = 1376;
    PaceOptions pace;
    std::size_t cache = 32u << 20;         // encoded chunks kept for repairs
    std::chrono::milliseconds settle{30};  // how long a packet may be on its way
    std::chrono::milliseconds sync_every{100};
    std::chrono::milliseconds silence{5000};  // a receiver that says nothing for so long is gone
    std::uint64_t per_packet = 28;            // IP and UDP headers, for the pace
};

struct SenderCounts {
    std::uint64_t packets = 0, bytes = 0;  // with IP and UDP headers
    std::uint64_t source_symbols = 0, ahead_symbols = 0, repair_symbols = 0;
    std::uint64_t reports = 0, forged = 0, replayed = 0, malformed = 0;
    std::uint64_t late = 0;  // reports of those that take no part any more
};

struct ReceiverView {
    double loss = 0;  // of packets, smoothed
    std::uint32_t written_kib = 0, room_kib = 0;
    bool round_complete = false, disk_behind = false;
    Instant heard{};
};

struct SenderEvent {
    enum class Kind {
        Aside,       // this receiver holds the others up: loss
        AsideDisk,   // and this one by its disk
        Gone,        // this one says nothing any more; it is not waited for
        Back,        // and has spoken again: it takes part as before
        Unreadable,  // this chunk is not to be had
    } kind = Kind::Gone;
    std::uint32_t receiver = 0, chunk = 0;
    std::optional<Error> error;
};

class Sender {
public:
    Sender(SenderOptions options, ChunkFeed feed, Instant now);

    // number >= 1, its own key. A receiver that comes again gets another number.
    void add_receiver(std::uint32_t number, const Key& key, Instant now);
    // It takes no part any more, and knows it. What it has still said is known as its own.
    void remove_receiver(std::uint32_t number);
    void forget_receiver(std::uint32_t number);
    const ReceiverView* receiver(std::uint32_t number) const;  // of one that takes no part: as it was
    std::size_t receivers() const { return audience_.size(); }

    // chunks: ascending. The receivers learn of the round with its first SYNC.
    void begin_round(std::vector<std::uint32_t> chunks, Instant now);
    // All was sent; what is asked for may still come again.
    bool round_ends() const { return !has_work() && settled_ == chunks_.size(); }
    // And everybody has all of it or says no more.
    bool round_over(Instant now);
    void end(Instant now);  // the session: a last SYNC says so
    void pause(bool paused, Instant now);
    void set_ceiling(std::uint64_t bits) { pace_.set_ceiling(bits); }

    void on_packet(ByteView packet, Instant now);
    std::optional<Bytes> poll(Instant now);  // the next packet for the group, when its moment has come
    Instant deadline(Instant now);
    std::optional<SenderEvent> take_event();

    std::uint64_t rate() const { return pace_.rate(); }
    std::uint32_t round() const { return round_; }
    std::uint32_t chunks_sent() const { return static_cast<std::uint32_t>(position_); }  // of this round's chunks
    const SenderCounts& counts() const { return counts_; }

private:
    struct Member {
        Seal seal;
        ReplayWindow window;
        ReceiverView view;
        std::uint64_t told_block = 0;  // it has told of the losses before it
        // Its reports of at least kToldOf: of the packets from told_from on, of which it lost so many; bits a second
        // that went by, that it took in, and had taken in before.
        std::uint64_t told_from = 0;
        double told_loss = 0, passes = 0, takes = 0, took = 0;
        Instant::duration lag{};  // from the sending of the newest packet it told of to that word, its delay left out
        std::optional<double> round_trip;  // seconds; the lag, smoothed
        Instant telling_since{};           // of those that do not make kToldOf yet
        std::uint64_t telling_expected = 0, telling_received = 0;
        std::optional<Instant> bad_since, slow_since;
        bool sent_away = false;  // moved aside, and has not been heard to know it
    };
    struct Cached {
        std::uint32_t chunk;
        std::shared_ptr<const Bytes> bytes;
    };
    struct SentOnce {
        std::uint32_t length = 0;  // of the encoded chunk; 0: not sent
        unsigned ahead = 0;        // parity symbols sent with each block
    };
    struct Fresh {  // the chunk that is being sent for the first time in this round
        std::uint32_t chunk = 0;
        std::shared_ptr<const Bytes> bytes;
        Partition partition{0, 1};
        unsigned ahead = 0, symbol = 0, block = 0;
    };

    std::shared_ptr<const Bytes> chunk_bytes(std::uint32_t chunk);
    bool next_fresh();
    std::optional<Bytes> fresh_packet(Instant now);
    std::optional<Bytes> repair_packet(Instant now);
    std::optional<Bytes> later_packet(Instant now);
    Bytes data_packet(std::uint32_t chunk, const Bytes& bytes, const Partition& partition, unsigned block,
                      unsigned symbol);
    Bytes sync_packet(Instant now);
    std::optional<Bytes> aside_packet(Instant now);
    void part(std::uint32_t number, Instant now);
    Bytes sealed(PacketType type, ByteView body);
    bool has_work() const;
    void settle(Instant now);
    std::uint16_t backoff() const;
    std::chrono::milliseconds three_beats() const;  // in which whoever is there has spoken
    unsigned ahead_of(unsigned k) const;
    void on_report(Member& member, const ReportBody& report, Instant now);
    Member* speaker(const Header& header);
    void welcome_back(std::uint32_t number, Instant now);
    void look_at_losses(Instant now);
    void note_losses(Member& member, const ReportBody& report);
    void note_sent(Instant now);
    std::optional<Instant> sent_at(std::uint64_t number) const;
    Pace::Losses common_losses();
    Instant::duration round_trip() const;
    double packet_bytes() const;
    std::optional<double> loss_of_most() const;
    Instant::duration lag_of_most() const;
    double most_take() const;
    double passes_most() const;
    void note_told(Member& member, const ReportBody& report, Instant now) const;
    bool most_are_silent(Instant now) const;
    void want(const Deficit& deficit, Instant now);
    void slow_for(Member& behind, Instant now);
    void judge(Instant now);
    std::uint32_t usual_take() const;
    const SentOnce* sent_once(std::uint32_t chunk) const;

    SenderOptions options_;
    ChunkFeed feed_;
    Seal seal_;
    Pace pace_;
    CommonLoss common_;
    LossEvents loss_events_;
    std::uint64_t told_ = 0, lost_ = 0;  // packets since rate_since_ that most have told of, and lost
    Repairs repairs_;
    std::map<std::uint32_t, Member> audience_;
    std::map<std::uint32_t, Member> absent_;    // those that are Gone
    std::map<std::uint32_t, Member> parted_;    // those that take no part any more
    std::map<std::uint32_t, Instant> leaving_;  // of them, who is told to go, and until when
    std::uint64_t rate_since_ = 0;              // number of the first packet at the rate of now
    std::vector<std::uint32_t> chunks_;         // of this round
    std::size_t position_ = 0;                  // those sent once
    std::deque<std::pair<Instant, std::size_t>> settling_;
    std::size_t settled_ = 0;
    std::optional<Fresh> fresh_;
    std::map<std::pair<std::uint32_t, std::uint16_t>, unsigned> cursor_;  // next repair symbol of a block
    std::set<std::uint32_t> later_;  // chunks of which someone has nothing: again when all were sent once
    std::vector<SentOnce> once_;     // by place in the round
    std::list<Cached> cache_;
    std::size_t cached_ = 0;
    std::deque<SenderEvent> events_;
    std::set<std::uint32_t> unreadable_;
    std::uint32_t round_ = 0;
    std::uint64_t number_ = 0;
    std::deque<std::pair<std::uint64_t, Instant>> when_;  // from this number on, packets went then or later
    bool paused_ = false, over_ = false;
    double loss_limit_ = 1;  // beyond it a receiver holds the others up
    bool unheard_ = false;   // most receivers are not heard: what is sent now would be sent again
    Instant next_sync_, next_judgement_, next_look_, next_aside_{}, ends_since_{};
    SenderCounts counts_;
};

}  // namespace slipway::multicast
