// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/hearing.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "imagestore/errors.hpp"
#include "imagestore/multicast/listener.hpp"
#include "imagestore/queue.hpp"
#include "lib/base/errors.hpp"

namespace slipway::multicast {

namespace {

using imagestore::ChunkBroadcast;
using imagestore::Queue;

// The thread that writes. Chunks go in, verdicts come out; wake() becomes readable with each.
class Writer {
public:
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
    std::vector<Written> verdicts() {
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
            const auto begun = Instant::clock::now();
            auto right = take_(whole->chunk, whole->encoded);
            const auto took = Instant::clock::now() - begun;
            waiting_ -= whole->encoded.size();
            {
                std::lock_guard hold(mutex_);
                if (right) out_.push_back({whole->chunk, *right, whole->encoded.size(), took});
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
    std::vector<Written> out_;
    std::optional<Error> error_;
    std::thread thread_;
};

class Listening final : Surroundings {
public:
    Listening(SessionCalls& calls, const HearingOptions& options, const Invitation& invitation, GroupReceiver socket,
              std::vector<bool> wanted, const ChunkBroadcast::Take& take)
        : calls_(calls),
          options_(options),
          invitation_(invitation),
          socket_(std::move(socket)),
          writer_(take, options.memory),
          listener_(receiver_options(), std::move(wanted), socket_.holds(), *this) {}

    Status run() {
        while (!listener_.over() && lacking() > 0) {
            if (options_.cancel && *options_.cancel)
                return make_error(imagestore::errors::kCancelled, "the deploy was cancelled");
            wait();
            if (auto error = writer_.error()) {
                listener_.tell(true);
                return *error;
            }
            listener_.turn();
            show_progress();
        }
        if (listener_.deaf() && !joins_again()) note_deafness();
        writer_.finish();
        if (auto error = writer_.error()) return *error;
        listener_.take_written();
        if (lacking() == 0) listener_.tell(false);
        return {};
    }
    const ReceiverCounts& counts() const { return listener_.receiver().counts(); }
    const std::vector<bool>& wanted() const { return listener_.receiver().wanted(); }
    bool joins_again() const { return listener_.joins_again(); }

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
    std::uint32_t lacking() const { return listener_.receiver().lacking(); }

    void wait() {
        const auto begun = now();
        if (const auto rest = listener_.rest(); rest.count() > 0) {  // a verdict of the disk ends it
            pollfd verdict{writer_.wake(), POLLIN, 0};
            (void)::poll(&verdict, 1, static_cast<int>(rest.count()));
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(listener_.deadline(begun) - begun).count();
        pollfd fds[] = {{socket_.fd(), POLLIN, 0}, {writer_.wake(), POLLIN, 0}};
        (void)::poll(fds, 2, static_cast<int>(std::max<std::int64_t>(0, left)));
    }

    void show_progress() {
        const auto moment = now();
        if (!options_.progress || moment - told_ < std::chrono::seconds(1)) return;
        told_ = moment;
        options_.progress(counts(), lacking());
    }
    void note_deafness() {
        if (!options_.note) return;
        const auto& group = invitation_.group.group;
        if (listener_.receiver().last_sync())
            options_.note("the multicast is not heard any more: the rest comes by unicast");
        else
            options_.note(fmt::format(
                "no multicast is heard of {}: the image comes by unicast. Likely causes: a switch with {} snooping and "
                "no querier, a router between without multicast routing, a firewall, a TTL too small",
                group.text(), group.is_v4() ? "IGMP" : "MLD"));
    }

    // ---- Surroundings
    Instant now() override { return Instant::clock::now(); }
    std::vector<ByteView> receive() override { return socket_.receive(); }
    void report(ByteView packet) override { socket_.send(packet, invitation_.sender); }
    std::size_t room() override { return writer_.room(); }
    void put(Receiver::Whole chunk) override { writer_.put(std::move(chunk)); }
    std::vector<Written> written() override { return writer_.verdicts(); }
    bool listen(bool on) override { return socket_.listen(on).ok(); }
    std::optional<Advice> tell(const std::vector<bool>& wanted, bool asks_unicast) override {
        const auto advice = calls_.tell(invitation_.number, wanted, asks_unicast);
        return advice ? std::optional(*advice) : std::nullopt;
    }

    SessionCalls& calls_;
    const HearingOptions& options_;
    const Invitation& invitation_;
    GroupReceiver socket_;
    Writer writer_;
    Listener listener_;
    Instant told_{};
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
