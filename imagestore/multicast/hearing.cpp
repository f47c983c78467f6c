// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/hearing.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "imagestore/errors.hpp"
#include "imagestore/queue.hpp"
#include "lib/base/errors.hpp"

namespace slipway::multicast {

namespace {

using imagestore::ChunkBroadcast;
using imagestore::Queue;

// The thread that writes. Chunks go in, verdicts come out; wake() becomes readable with each.
class Writer {
public:
    struct Verdict {
        std::uint32_t chunk = 0;
        bool right = false;
        std::size_t bytes = 0;
    };
    Writer(const ChunkBroadcast::Take& take, std::size_t limit)
        : take_(take), limit_(limit), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { run(); }) {}
    ~Writer() {
        in_.close();  // after an error or a cancel nothing more is written
        if (thread_.joinable()) thread_.join();
    }
    int wake() const { return wake_.get(); }
    void put(Receiver::Whole whole) {
        waiting_ += whole.encoded.size();
        in_.push(std::move(whole));
    }
    std::size_t room() const {
        const auto waiting = waiting_.load();
        return waiting < limit_ ? limit_ - waiting : 0;
    }
    std::vector<Verdict> verdicts() {
        std::uint64_t count = 0;
        (void)!::read(wake_.get(), &count, sizeof count);
        std::lock_guard hold(mutex_);
        return std::exchange(out_, {});
    }
    std::optional<Error> error() {
        std::lock_guard hold(mutex_);
        return error_;
    }
    // Returns when what was put in is written, or an error has ended it.
    void finish() {
        in_.push(std::nullopt);
        thread_.join();
    }

private:
    void run() {
        while (auto item = in_.pop()) {
            auto& whole = *item;
            if (!whole) return;  // finish()
            auto right = take_(whole->chunk, whole->encoded);
            waiting_ -= whole->encoded.size();
            {
                std::lock_guard hold(mutex_);
                if (right) out_.push_back({whole->chunk, *right, whole->encoded.size()});
                else error_ = std::move(right).error();
            }
            const std::uint64_t one = 1;
            (void)!::write(wake_.get(), &one, sizeof one);
            if (error()) return;
        }
    }
    const ChunkBroadcast::Take& take_;
    std::size_t limit_;
    UniqueFd wake_;
    std::atomic<std::size_t> waiting_{0};
    Queue<std::optional<Receiver::Whole>> in_;
    std::mutex mutex_;
    std::vector<Verdict> out_;
    std::optional<Error> error_;
    std::thread thread_;
};

class Listening {
public:
    Listening(SessionCalls& calls, const HearingOptions& options, const Invitation& invitation, GroupReceiver socket,
              std::vector<bool> wanted, const ChunkBroadcast::Take& take)
        : calls_(calls),
          options_(options),
          invitation_(invitation),
          socket_(std::move(socket)),
          receiver_(receiver_options(), std::move(wanted), Instant::clock::now()),
          writer_(take, options.memory) {}

    Status run() {
        while (!over_ && receiver_.lacking() > 0) {
            if (options_.cancel && *options_.cancel)
                return make_error(imagestore::errors::kCancelled, "the deploy was cancelled");
            wait();
            if (auto error = writer_.error()) {
                (void)calls_.tell(invitation_.number, receiver_.wanted(), true);
                return *error;
            }
            turn();
        }
        writer_.finish();
        if (auto error = writer_.error()) return *error;
        take_verdicts();
        if (receiver_.lacking() == 0) (void)calls_.tell(invitation_.number, receiver_.wanted(), false);
        return {};
    }
    const ReceiverCounts& counts() const { return receiver_.counts(); }
    const std::vector<bool>& wanted() const { return receiver_.wanted(); }
    bool joins_again() const { return joins_again_; }

private:
    ReceiverOptions receiver_options() const {
        ReceiverOptions o;
        o.session = invitation_.session;
        o.number = invitation_.number;
        o.session_key = invitation_.session_key;
        o.own_key = invitation_.own_key;
        o.clear = invitation_.clear;
        o.symbol_bytes = invitation_.symbol_bytes;
        o.max_chunk = imagestore::kMaxEncodedBytes;
        o.memory = options_.memory;
        o.seed = options_.seed + invitation_.number;
        return o;
    }

    void wait() {
        using namespace std::chrono_literals;
        const auto now = Instant::clock::now();
        if (batches_) {  // what comes meanwhile is read at once; a verdict of the disk ends it
            pollfd verdict{writer_.wake(), POLLIN, 0};
            (void)::poll(&verdict, 1, static_cast<int>(kBatch.count()));
        }
        // Not longer than a look at `cancel` and at the silence may take.
        const auto until = std::min(receiver_.deadline(), now + kTurn);
        const auto left = std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(until - now).count());
        pollfd fds[] = {{socket_.fd(), POLLIN, 0}, {writer_.wake(), POLLIN, 0}};
        (void)::poll(fds, 2, static_cast<int>(left));
    }

    // A machine slower than what comes never gets to the end of it: its reports, which slow the sender, and the clock
    // have their turn in between.
    void turn() {
        auto now = Instant::clock::now();
        const auto until = now + kReading;
        const auto packets = receiver_.counts().packets;
        const auto passed = last_turn_ == Instant{} ? Instant::duration{} : now - last_turn_;
        last_turn_ = now;
        std::size_t heard = 0;
        bool more = false;
        for (auto views = socket_.receive(); !views.empty(); views = socket_.receive()) {
            heard += views.size();
            receiver_.set_room(writer_.room());
            for (const auto& view : views) receiver_.on_packet(view, now);
            while (auto whole = receiver_.take()) writer_.put(std::move(*whole));
            now = Instant::clock::now();
            more = views.size() == 64;
            if (now >= until || !more) break;
        }
        // Only while it listened: a machine that was not given its processor for seconds has heard nothing for that.
        deaf_ = receiver_.counts().packets != packets ? Instant::duration{}
                                                      : deaf_ + std::min<Instant::duration>(passed, kTurn);
        batches_ = heard > 0 && !more && heard < socket_.holds() / 8;
        take_verdicts();
        if (auto report = receiver_.poll(now)) socket_.send(*report, invitation_.sender);
        if (options_.progress && now - told_ >= std::chrono::seconds(1)) {
            told_ = now;
            options_.progress(receiver_.counts(), receiver_.lacking());
        }
        speak_with_server(now);
    }

    void take_verdicts() {
        for (const auto& verdict : writer_.verdicts()) {
            if (verdict.right) receiver_.stored(verdict.chunk);
            else receiver_.refused(verdict.chunk);
            receiver_.add_written(verdict.bytes);
        }
    }

    // At the end of a round, when nothing is heard, and when the sender has ended.
    void speak_with_server(Instant now) {
        const auto sync = receiver_.last_sync();
        if (deaf_ >= Receiver::kSilence) {
            tell(true);
            over_ = true;
            if (options_.note && !joins_again_)
                options_.note(
                    sync ? "the multicast is not heard any more: the rest comes by unicast"
                         : fmt::format(
                               "no multicast is heard of {}: the image comes by unicast. Likely causes: a switch "
                               "with {} snooping and no querier, a router between without multicast routing, "
                               "a firewall, a TTL too small",
                               invitation_.group.group.text(), invitation_.group.group.is_v4() ? "IGMP" : "MLD"));
            return;
        }
        if (!sync || sync->state == SyncState::Running || sync->state == SyncState::Paused) return;
        if (sync->state == SyncState::RoundEnds && (sync->round == 0 || told_round_ == sync->round)) return;
        // What is being repaired still may come; an answer is due within a few seconds all the same.
        if (sync->state == SyncState::RoundEnds && !receiver_.settled(now)) return;
        told_round_ = sync->round;
        over_ = !tell(false);
    }

    // True: it goes on.
    bool tell(bool asks_unicast) {
        const auto advice = calls_.tell(invitation_.number, receiver_.wanted(), asks_unicast);
        joins_again_ = advice && *advice == Advice::Join;
        return advice && *advice == Advice::Listen;
    }

    SessionCalls& calls_;
    const HearingOptions& options_;
    const Invitation& invitation_;
    GroupReceiver socket_;
    Receiver receiver_;
    Writer writer_;
    Instant told_{};
    std::optional<std::uint32_t> told_round_;
    bool over_ = false, joins_again_ = false;
    // As adapters moderate their interrupts: to wake for each datagram costs more than to read it. Only while data
    // comes, and much less than the kernel holds in the time.
    static constexpr std::chrono::milliseconds kBatch{4}, kReading{20}, kTurn{200};
    Instant last_turn_{};
    Instant::duration deaf_{};
    bool batches_ = false;
};

}  // namespace

Result<GroupReceiver> Hearing::socket_for(const Invitation& invitation) const {
    const auto& sender = invitation.sender.address;
    // An address of the link does not say of which one: it is that of the agent channel.
    auto on = TRY(!options_.interface.is_zero() ? segment_of(options_.interface)
                  : sender.is_link_local()      ? segment_of(invitation.you)
                                                : segment_towards(sender.text()));
    on = TRY(segment_in(invitation.group.group.is_v4(), on, !sender.is_link_local()));
    return GroupReceiver::open(invitation.group, on);
}

// One session. True: it is gone, and there may be another.
Result<bool> Hearing::hear(std::vector<bool>& wanted, const Take& take) {
    const auto joined = calls_.join(wanted);
    if (!joined && options_.note) options_.note("the image comes by unicast: " + joined.error().describe());
    if (!joined || !*joined) return false;
    const auto& invitation = *joined;
    auto socket = socket_for(*invitation);
    if (!socket) {
        if (options_.note)
            options_.note(fmt::format("the multicast group {} cannot be joined, the image comes by unicast: {}",
                                      invitation->group.text(), socket.error().describe()));
        (void)calls_.tell(invitation->number, wanted, true);
        return false;
    }
    Listening listening(calls_, options_, *invitation, std::move(*socket), std::move(wanted), take);
    auto done = listening.run();
    counts_ += listening.counts();
    TRY(std::move(done));
    wanted = listening.wanted();
    return listening.joins_again();
}

Status Hearing::receive(const imagestore::ChunkPlan&, std::vector<bool> wanted, const Take& take) {
    for (int sessions = 0; sessions < kMostSessions; ++sessions) {
        if (!TRY(hear(wanted, take))) return {};
        if (options_.note) options_.note("the server has started again: the rest comes by another session");
    }
    return {};
}

}  // namespace slipway::multicast
