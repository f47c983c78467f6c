// SPDX-License-Identifier: GPL-3.0-or-later
// A receiver of a session: packets and time in, whole chunks and reports out. No sockets, no clock, no disk.
// Memory is bounded by its options; nothing a packet says is believed before its seal, and no chunk before the owner
// has held it against its SHA-256.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "imagestore/multicast/fec.hpp"
#include "imagestore/multicast/random.hpp"
#include "imagestore/multicast/seal.hpp"
#include "lib/base/clock.hpp"

namespace slipway::multicast {

struct ReceiverOptions {
    std::uint64_t session = 0;
    std::uint32_t number = 1;  // of this receiver, from 1
    Key session_key{}, own_key{};
    bool clear = false;              // nonetencrypt: packets that are not encrypted are what is expected
    std::uint32_t symbol_bytes = 0;  // of the session
    std::uint32_t max_chunk = 0;     // bytes of an encoded chunk
    std::size_t memory = 16u << 20;  // for unfinished and finished chunks not taken yet
    std::uint64_t seed = 0;          // of the moments at which it speaks
    std::uint64_t first_report = 0;  // packet number of the first; never one that was used with own_key before
};

struct ReceiverCounts {
    std::uint64_t packets = 0, bytes = 0;  // authentic ones, with their headers
    std::uint64_t lost = 0;                // numbers that never came
    std::uint64_t forged = 0, replayed = 0, foreign = 0, malformed = 0;
    std::uint64_t useless = 0;   // symbols of what it has or does not want
    std::uint64_t repaired = 0;  // source symbols that parity gave back
    std::uint64_t given_up = 0;  // unfinished chunks dropped for want of memory
    std::uint64_t refused = 0;   // chunks that were not what the manifest says
    std::uint64_t left_out = 0;  // packets of wanted chunks that its disk had no room for
    std::uint64_t reports = 0;
    ReceiverCounts& operator+=(const ReceiverCounts& o);
};

class Receiver {
public:
    // wanted[i]: it lacks chunk i of the plan.
    Receiver(ReceiverOptions options, std::vector<bool> wanted, Instant now);

    void on_packet(ByteView packet, Instant now);
    // The next report, when its moment has come; to the sender, by unicast.
    std::optional<Bytes> poll(Instant now);
    Instant deadline() const;  // when poll() may have something

    struct Whole {
        std::uint32_t chunk = 0;
        Bytes encoded;
    };
    // A whole chunk for the owner, who answers with stored() or refused(). Chunks given out do not count as memory.
    std::optional<Whole> take();
    void stored(std::uint32_t chunk);
    void refused(std::uint32_t chunk);  // its hash is another: wanted again
    // Its disk has so much room for more; what is reported. Below half of the most there was the sender is told to slow
    // down; while it is 0 packets are left out.
    void set_room(std::size_t bytes);
    // It has written so much since the last call, and that took so long.
    void add_written(std::size_t bytes, Instant::duration took, Instant now);

    const std::vector<bool>& wanted() const { return wanted_; }
    std::vector<bool> lacked() const;  // wanted, and not with the owner either
    std::uint32_t lacking() const { return lacking_; }
    std::size_t memory() const { return used_; }  // of its options', as it is now
    const ReceiverCounts& counts() const { return counts_; }
    std::optional<SyncBody> last_sync() const { return sync_; }
    // The sender says that it is moved aside. Anyone who has the session's key may say so: its server knows.
    bool sent_away() const { return sent_away_; }
    void stays() { sent_away_ = false; }
    // The sender has been heard within the last three seconds (or three have not passed since it began to listen).
    bool hears(Instant now) const { return now - heard_ < kSilence; }
    static constexpr std::chrono::seconds kSilence{3};
    // It has all of the round that ends, or nothing came of what it lacks for half a second.
    bool settled(Instant now) const { return round_complete() || now - last_data_ >= kQuiet; }
    static constexpr std::chrono::milliseconds kQuiet{500};

private:
    struct Block {
        std::vector<std::uint16_t> numbers;  // symbols it has, at most k
        std::map<std::uint16_t, Bytes> parity;
        bool done = false;
    };
    struct Open {
        Partition partition{0, 1};
        Bytes bytes;  // of the encoded chunk; source symbols in their places
        std::vector<Block> blocks;
        unsigned undone = 0;
        std::size_t memory = 0;
    };

    void on_data(const DataBody& data, Instant now);
    void on_sync(const SyncBody& sync, Instant now);
    void begin_round();
    void look_up_to(std::uint32_t next);
    void note_number(std::uint64_t number);
    std::optional<std::uint64_t> whole_block() const;
    void tell_losses(ReportBody& body);
    Open* open_for(const DataBody& data);
    bool make_room(std::size_t bytes, std::uint32_t chunk);
    bool add_symbol(Open& open, const DataBody& data);
    void complete_block(Open& open, unsigned block);
    void finish(std::uint32_t chunk);
    void give_up(std::uint32_t chunk);
    bool known(const Deficit& deficit) const;
    std::vector<Deficit> deficits() const;
    bool round_complete() const;
    void wish_to_speak(Instant now);
    Instant next_beat() const;
    std::uint32_t disk_kib(Instant now);
    Bytes report(Instant now);

    ReceiverOptions options_;
    Seal session_, own_;
    ReplayWindow window_;
    Random random_;
    std::vector<bool> wanted_;
    std::vector<bool> held_;           // whole, and with the owner or on the way there
    std::vector<bool> passed_;         // not in this round any more: given up, refused, or sent before it joined
    std::set<std::uint32_t> unheard_;  // below scanned_: wanted, and nothing came of them in this round
    std::uint32_t scanned_ = 0;
    std::uint32_t lacking_ = 0;
    std::map<std::uint32_t, Open> open_;
    std::deque<Whole> whole_;
    std::size_t used_ = 0, room_ = SIZE_MAX, most_room_ = 0;
    struct Wrote {
        Instant at;
        std::size_t bytes = 0;
        Instant::duration took{};
    };
    std::deque<Wrote> wrote_;  // the newest
    bool disk_behind_ = false, told_behind_ = false;
    std::optional<SyncBody> sync_;
    Instant heard_, last_report_, last_data_;
    std::optional<Instant> speak_;
    std::uint64_t report_number_, first_number_ = 0;
    std::uint64_t packets_told_ = 0, expected_told_ = 0;  // by its reports so far
    static constexpr std::size_t kKept = 1024;
    std::array<std::uint64_t, kKept> came_{};         // packets of the newest blocks, a bit each
    std::uint64_t told_block_ = 0, told_before_ = 0;  // the newest one of its last report, and of that before
    std::optional<std::uint64_t> lost_block_;         // the first one of which something was lost and not told
    std::uint64_t newest_lost_block_ = 0;
    bool told_complete_ = false, sent_away_ = false;
    ReceiverCounts counts_;
};

}  // namespace slipway::multicast
