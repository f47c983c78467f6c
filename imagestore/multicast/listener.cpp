// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/listener.hpp"

#include <utility>

namespace slipway::multicast {

Listener::Listener(ReceiverOptions options, std::vector<bool> wanted, std::size_t holds, Surroundings& around)
    : around_(around), receiver_(std::move(options), std::move(wanted), around.now()), holds_(holds) {}

// A machine slower than what comes never gets to the end of it: its reports, which slow the sender, and the clock
// have their turn in between.
std::size_t Listener::read(Instant until, bool& more) {
    std::size_t heard = 0;
    more = false;
    for (auto views = around_.receive(); !views.empty(); views = around_.receive()) {
        heard += views.size();
        receiver_.set_room(around_.room());
        const auto now = around_.now();
        for (const auto& view : views) receiver_.on_packet(view, now);
        while (auto whole = receiver_.take()) around_.put(std::move(*whole));
        more = views.size() == Surroundings::kAtOnce;
        if (around_.now() >= until || !more) break;
    }
    return heard;
}

void Listener::turn() {
    const auto begun = around_.now();
    const auto packets = receiver_.counts().packets;
    const auto passed = last_turn_ == Instant{} ? Instant::duration{} : begun - last_turn_;
    last_turn_ = begun;
    bool more = false;
    const auto heard = read(begun + kReading, more);
    // Only while it listened: a machine that was not given its processor for seconds has heard nothing for that.
    deaf_ = receiver_.counts().packets != packets ? Instant::duration{}
                                                  : deaf_ + std::min<Instant::duration>(passed, kTurn);
    was_deaf_ &= receiver_.counts().packets == packets;
    batches_ = heard > 0 && !more && heard < holds_ / 8;
    take_written();
    const auto now = around_.now();
    if (auto report = receiver_.poll(now)) around_.report(*report);
    speak_with_server(now);
}

void Listener::take_written() {
    for (const auto& chunk : around_.written()) {
        if (chunk.right) receiver_.stored(chunk.chunk);
        else receiver_.refused(chunk.chunk);
        receiver_.add_written(chunk.bytes, chunk.took, around_.now());
    }
}

// Its line is full of what is sent to the others: that ends first, so that the answer can come. Who is to stay after
// all was told so by another receiver, and does not listen to the next such word for a while.
void Listener::step_aside(Instant now) {
    if (stepped_aside_ && now - *stepped_aside_ < kNotAgain) return receiver_.stays();
    stepped_aside_ = now;
    (void)around_.listen(false);
    over_ = !tell(false) || !around_.listen(true);
    receiver_.stays();
}

// A line that was cut is heard again when it is mended, and then the answer comes as well. Who has heard nothing yet,
// or nothing since, goes by unicast.
void Listener::ask_when_deaf() {
    if (!receiver_.last_sync() || std::exchange(was_deaf_, true)) {
        tell(true);
        over_ = true;
        return;
    }
    const auto advice = around_.tell(receiver_.lacked(), false);
    joins_again_ = advice == Advice::Join;
    over_ = advice && advice != Advice::Listen;
    if (!over_) deaf_ = {};
}

// When it is moved aside, at the end of a round, when nothing is heard, and when the sender has ended.
void Listener::speak_with_server(Instant now) {
    if (deaf()) return ask_when_deaf();
    if (receiver_.sent_away()) {
        step_aside(now);
        if (over_) return;
    }
    const auto sync = receiver_.last_sync();
    if (!sync || sync->state == SyncState::Running || sync->state == SyncState::Paused) return;
    if (sync->state == SyncState::RoundEnds && (sync->round == 0 || told_round_ == sync->round)) return;
    // What is being repaired still may come; an answer is due within a few seconds all the same.
    if (sync->state == SyncState::RoundEnds && !receiver_.settled(now)) return;
    told_round_ = sync->round;
    over_ = !tell(false);
}

bool Listener::tell(bool asks_unicast) {
    const auto advice = around_.tell(receiver_.lacked(), asks_unicast);
    joins_again_ = advice == Advice::Join;
    return advice == Advice::Listen;
}

}  // namespace slipway::multicast
