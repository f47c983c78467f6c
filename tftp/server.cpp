// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/server.hpp"

#include <deque>
#include <map>
#include <queue>
#include <unordered_map>

#include <sys/epoll.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"
#include "tftp/transfer.hpp"

namespace slipway::tftp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::uint64_t kListening = 0;  // the id of the port that is asked; transfers count from 1
constexpr unsigned kRounds = 16;
constexpr unsigned kRequestsAtOnce = 64;  // then the transfers under way have their turn

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
    struct Session {
        std::unique_ptr<Transfer> transfer;
        Instant due = Instant::max();           // its place in `due`
        bool proved = false, told = false;      // told: its report was given
        Instant shown = Instant::clock::now();  // of its progress
    };
    using Due = std::pair<Instant, std::uint64_t>;

    asio::io_context& io;
    ServerOptions options;
    UdpPort port;
    UniqueFd ready;  // the epoll that the port and all transfers are in
    asio::posix::stream_descriptor wait;
    asio::steady_timer timer;
    FloodGuard guard, plain_guard;
    std::unordered_map<std::uint64_t, Session> sessions;
    std::map<UdpEndpoint, std::uint64_t> by_client;
    std::unordered_map<std::uint32_t, std::size_t> of_address;
    std::deque<std::uint64_t> unproved;  // oldest first; may name some that are proved or gone
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
    Instant armed = Instant::max();  // what the timer waits for
    Instant complained{};            // of too many transfers
    std::uint64_t next_id = kListening + 1;
    unsigned alone = 0;  // turns with one transfer
    bool stopped = false;

    Impl(asio::io_context& context, ServerOptions o, UdpPort p, UniqueFd epoll)
        : io(context),
          options(std::move(o)),
          port(std::move(p)),
          ready(std::move(epoll)),
          wait(io, ready.get()),
          timer(io),
          guard(options.flood),
          plain_guard(options.plain_flood) {
        if (!options.cache) options.cache = std::make_shared<HotCache>();
    }
    ~Impl() { wait.release(); }  // the fd is ready's

    static Result<std::shared_ptr<Impl>> create(asio::io_context& io, ServerOptions options) {
        auto port = TRY(UdpPort::open({.local = options.local, .device = options.device}));
        UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
        if (!epoll.valid()) return errno_error(errno, "an epoll");
        auto impl = std::make_shared<Impl>(io, std::move(options), std::move(port), std::move(epoll));
        TRY(impl->watch(impl->port.fd(), kListening));
        return impl;
    }

    Status watch(int fd, std::uint64_t id) {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
        if (::epoll_ctl(ready.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error(errno, "watching a socket");
        return {};
    }

    void listen() {
        wait.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this(), this](const error_code& error) {
                            if (error || stopped) return;
                            take_events();
                            if (!stopped) listen();
                        });
    }

    // While several clients are busy the next ones are looked for here: cheaper than a turn of the io_context, which
    // has its turn after kRounds.
    void take_events() {
        if (sessions.size() == 1 && ++alone % kRounds != 0 && take_from_the_only_one()) return;
        for (unsigned round = 0; round < kRounds && !stopped; ++round)
            if (take_ready() <= 1) return;
    }

    // One client in lock-step: nearly every event is its acknowledgement, which need not be looked for.
    bool take_from_the_only_one() {
        auto it = sessions.begin();
        auto now = Instant::clock::now();
        auto& transfer = *it->second.transfer;
        if (!transfer.on_readable(now) && !transfer.over()) return false;
        settle(it, now);
        return true;
    }

    int take_ready() {
        std::array<epoll_event, 128> events;
        auto count = ::epoll_wait(ready.get(), events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < count && !stopped; ++i) {
            auto id = events[static_cast<std::size_t>(i)].data.u64;
            auto now = Instant::clock::now();
            if (id == kListening) {
                take_requests(now);
            } else if (auto it = sessions.find(id); it != sessions.end()) {
                it->second.transfer->on_readable(now);
                settle(it, now);
            }
        }
        return count;
    }

    void take_requests(Instant now) {
        for (unsigned i = 0; i < kRequestsAtOnce && !stopped; ++i) {
            auto datagram = port.receive();
            if (!datagram.ok() || !*datagram) return;
            on_datagram(**datagram, now);
        }
    }

    // Anything but a request is nobody's here, and answered with nothing.
    void on_datagram(const Datagram& datagram, Instant now) {
        auto packet = parse_packet(datagram.data);
        const auto* request = packet.ok() ? std::get_if<Request>(&*packet) : nullptr;
        if (!request) return;
        if (!admitted(guard, datagram.from, now) || heard_before(datagram, *request, now)) return;
        if (!make_room(datagram.from, now)) return;
        auto begun = begin(datagram, *request, now);
        if (begun.ok()) return;
        log::info("tftp", "{} asks for '{}': {}", datagram.from.text(), printable(request->file),
                  begun.error().describe());
        // Never longer than the request, which may have come from anywhere.
        auto answer = encode_error(begun.error().is(errors::kMode)
                                       ? ErrorPacket{ErrorCode::NotDefined, "mode is neither octet nor netascii"}
                                       : refusal(begun.error()),
                                   datagram.data.size());
        (void)port.send(answer, datagram.from, datagram.interface, datagram.local).ok();
    }

    bool admitted(FloodGuard& by, const UdpEndpoint& client, Instant now) {
        auto verdict = by.on_request(client.address.value, now);
        if (verdict == FloodGuard::Verdict::RefuseAndSay)
            log::warning("tftp", "{} asks too often, not answered for now", client.address.text());
        return verdict == FloodGuard::Verdict::Admit;
    }
    bool may_answer(const Transfer& transfer, Instant now) {
        return !transfer.plain() || transfer.proved() || admitted(plain_guard, transfer.client(), now);
    }

    // A request sent again belongs to the transfer that answers it; another one ends what the client had.
    bool heard_before(const Datagram& datagram, const Request& request, Instant now) {
        auto known = by_client.find(datagram.from);
        if (known == by_client.end()) return false;
        auto id = known->second;
        auto it = sessions.find(id);
        it->second.transfer->drain(now);  // it may have been ended a moment ago, on its own socket
        if (!it->second.transfer->over()) {
            if (!it->second.transfer->is_for(request)) it->second.transfer->end("the client asked for something else");
            else if (may_answer(*it->second.transfer, now)) it->second.transfer->on_request(datagram.data.size(), now);
        }
        settle(it, now);
        return by_client.contains(datagram.from);
    }

    bool make_room(const UdpEndpoint& client, Instant now) {
        auto mine = of_address.find(client.address.value);
        bool full = sessions.size() >= options.max_sessions;
        if ((mine == of_address.end() || mine->second < options.max_of_address) && !full) return true;
        if (full && drop_unproved(now)) return true;
        if (now - complained > std::chrono::seconds(10)) {
            complained = now;
            log::warning("tftp", "{}: {} transfers are under way, not answered", client.text(), sessions.size());
        }
        return false;
    }

    // Addresses that may be lies take no place from clients that answer, nor from one that asks now.
    bool drop_unproved(Instant now) {
        while (!unproved.empty()) {
            auto it = sessions.find(unproved.front());
            unproved.pop_front();
            if (it == sessions.end() || it->second.proved) continue;
            it->second.transfer->end("never answered, and others are waiting");
            settle(it, now);
            return true;
        }
        return false;
    }

    Status begin(const Datagram& datagram, const Request& request, Instant now) {
        if (request.mode != "octet" && request.mode != "netascii")
            return make_error(errors::kMode, "'{}'", printable(request.mode));
        Content content;
        std::unique_ptr<Upload> upload;
        if (!request.write) content = TRY(options.source(request.file, datagram.from));
        else if (!options.sink) return make_error(errors::kAccess, "uploads are not taken");
        else upload = TRY(options.sink(request.file, datagram.from));
        auto socket = TRY(UdpPort::open({.local = {datagram.local, 0}, .device = options.device}));
        TRY(socket.connect(datagram.from));
        auto fd = socket.fd();
        Transfer::Peer peer{std::move(socket), datagram.from, request, datagram.data.size()};
        auto transfer = upload ? Transfer::upload(std::move(peer), std::move(upload), options.limits)
                               : Transfer::download(std::move(peer), std::move(content), options.cache, options.limits);
        if (!may_answer(*transfer, now)) return {};
        auto id = next_id++;
        TRY(watch(fd, id));
        by_client[datagram.from] = id;
        ++of_address[datagram.from.address.value];
        unproved.push_back(id);
        auto it = sessions.emplace(id, Session{std::move(transfer)}).first;
        it->second.transfer->start(now);
        settle(it, now);
        return {};
    }

    // After everything that was told to a transfer.
    void settle(std::unordered_map<std::uint64_t, Session>::iterator it, Instant now) {
        auto& session = it->second;
        if (session.transfer->over()) return forget(it, now);
        if (!session.told && session.transfer->complete()) {
            session.told = true;
            if (options.on_transfer) options.on_transfer(session.transfer->report(now));
        }
        if (!session.proved && session.transfer->proved()) {
            session.proved = true;
            while (!unproved.empty() && settled(unproved.front())) unproved.pop_front();
        }
        if (options.on_progress && session.proved && !session.told && now - session.shown >= options.progress_pause) {
            session.shown = now;
            options.on_progress(session.transfer->report(now));
        }
        // A deadline that moved on is found when its time comes.
        if (session.transfer->deadline() >= session.due) return;
        session.due = session.transfer->deadline();
        due.emplace(session.due, it->first);
        arm();
    }

    bool settled(std::uint64_t id) const {
        auto it = sessions.find(id);
        return it == sessions.end() || it->second.proved;
    }

    void forget(std::unordered_map<std::uint64_t, Session>::iterator it, Instant now) {
        auto transfer = std::move(it->second.transfer);
        bool told = it->second.told;
        by_client.erase(transfer->client());
        if (auto mine = of_address.find(transfer->client().address.value); --mine->second == 0) of_address.erase(mine);
        sessions.erase(it);
        while (!unproved.empty() && settled(unproved.front())) unproved.pop_front();
        auto report = transfer->report(now);
        transfer.reset();  // what it leaves behind is gone before anybody hears of its end
        if (options.on_transfer && !told) options.on_transfer(report);
    }

    void arm() {
        if (stopped || due.empty() || due.top().first >= armed) return;
        armed = due.top().first;
        timer.expires_at(armed);
        timer.async_wait([self = shared_from_this(), this](const error_code& error) {
            if (error || stopped) return;
            armed = Instant::max();
            keep_time(Instant::clock::now());
            arm();
        });
    }

    void keep_time(Instant now) {
        while (!stopped && !due.empty() && due.top().first <= now) {
            auto [when, id] = due.top();
            due.pop();
            auto it = sessions.find(id);
            if (it == sessions.end() || it->second.due != when) continue;
            it->second.due = Instant::max();
            it->second.transfer->on_time(now);
            settle(it, now);
        }
    }

    void stop() {
        if (std::exchange(stopped, true)) return;
        error_code ignored;
        wait.cancel(ignored);
        timer.cancel();
        auto now = Instant::clock::now();
        while (!sessions.empty()) {
            auto it = sessions.begin();
            it->second.transfer->end("the server stops");
            forget(it, now);
        }
    }
};

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() {
    if (impl_) impl_->stop();
}

Result<Server> Server::create(asio::io_context& io, ServerOptions options) {
    auto impl = Impl::create(io, std::move(options));
    if (!impl.ok()) return make_error(errors::kListen, "{}", impl.error().describe());
    (*impl)->listen();
    return Server(std::move(*impl));
}

std::uint16_t Server::port() const { return impl_->port.port(); }
void Server::stop() { impl_->stop(); }

}  // namespace slipway::tftp
