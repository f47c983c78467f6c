// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/server.hpp"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#include <tins/tins.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "dhcp-helper/advertiser.hpp"
#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/prober.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/seldom.hpp"

namespace slipway::dhcp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::uint16_t kEtherIp = 0x0800;
constexpr int kReceiveBuffer = 8 << 20;  // a power-on storm waits here, not on the wire
constexpr int kBurst = 64;               // datagrams before timers and the disk have their turn

UnixSeconds unix_now() { return unix_milliseconds(SystemClock().wall()) / 1000; }

std::vector<Ipv4Address> addresses_of_this_machine() {
    std::vector<Ipv4Address> out;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return out;
    for (auto* i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
            out.push_back({ntohl(reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr)});
    ::freeifaddrs(all);
    return out;
}

// Owns the store. Commits in the order given, as many at once as have come together.
class Writer {
public:
    struct Done {
        std::uint64_t ticket;
        std::size_t count;
        bool ok;
    };
    // `wake` is called on the writer's thread when take() has something new.
    Writer(LeaseStore& store, std::function<void()> wake)
        : store_(store), wake_owner_(std::move(wake)), thread_([this] { run(); }) {}
    ~Writer() { finish(); }

    void put(Commit commit) {
        {
            std::lock_guard lock(mutex_);
            queue_.push_back(std::move(commit.lease));
            last_ = commit.ticket;
        }
        wake_.notify_one();
    }
    std::vector<Done> take() {
        std::lock_guard lock(mutex_);
        return std::exchange(done_, {});
    }
    void finish() {  // writes what is queued; take() has the rest then
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return ending_ || !queue_.empty(); });
            if (queue_.empty()) return;
            auto batch = std::exchange(queue_, {});
            auto ticket = last_;
            lock.unlock();
            auto stored = store_.append(batch);
            if (!stored.ok()) log::error("dhcp", "leases are not stored: {}", stored.error().describe());
            lock.lock();
            done_.push_back({ticket, batch.size(), stored.ok()});
            wake_owner_();
        }
    }

    LeaseStore& store_;
    std::function<void()> wake_owner_;
    std::mutex mutex_;  // guards what is below
    std::condition_variable wake_;
    std::vector<Lease> queue_;
    std::vector<Done> done_;
    std::uint64_t last_ = 0;
    bool ending_ = false;
    std::thread thread_;  // started last
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
    struct Port {
        UdpPort udp;
        asio::posix::stream_descriptor wait;
        unsigned interface;
    };

    asio::io_context& io;
    ServerOptions options;
    ServerEngine engine;
    UniqueFd raw;
    std::vector<std::unique_ptr<Port>> ports;
    std::optional<Prober> prober;
    std::vector<Advertiser> advertisers;
    std::unique_ptr<Writer> writer;
    ServerCounters counters;
    FloodGuard guard;
    Seldom full;  // lines of a range that is used up
    bool stopped = false;

    Impl(asio::io_context& context, ServerOptions o, ServerEngine e, UniqueFd raw_socket)
        : io(context), options(std::move(o)), engine(std::move(e)), raw(std::move(raw_socket)), guard(options.flood) {}
    ~Impl() {
        for (auto& p : ports) p->wait.release();  // the fd is udp's
    }

    Status open_ports() {
        for (const auto& name : engine.config().interfaces) {
            auto index = ::if_nametoindex(name.c_str());
            auto udp = UdpPort::open({.local = {{}, options.port}, .device = name, .broadcast = true, .share = true});
            if (index == 0) return make_error(errors::kListen, "no interface {}", name);
            if (!udp.ok()) return make_error(errors::kListen, "{}: {}", name, udp.error().describe());
            if (::setsockopt(udp->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
                (void)::setsockopt(udp->fd(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
            int fd = udp->fd();
            ports.push_back(
                std::make_unique<Port>(Port{std::move(*udp), asio::posix::stream_descriptor(io, fd), index}));
        }
        return {};
    }

    Status start(LeaseStore& store) {
        TRY(open_ports());
        std::weak_ptr<Impl> weak = weak_from_this();
        prober.emplace(TRY(Prober::create(io, options.probe_wait, [weak](Ipv4Address address, bool in_use) {
            auto self = weak.lock();
            if (!self || self->stopped) return;
            if (in_use) ++self->counters.conflicts;
            self->handle(Probed{address, in_use});
        })));
        writer = std::make_unique<Writer>(store, [weak, &io = io] {
            asio::post(io, [weak] {
                if (auto self = weak.lock(); self && !self->stopped) self->take_commits();
            });
        });
        for (std::size_t i = 0; i < ports.size(); ++i) listen(i);
        for (const auto& name : engine.config().interfaces) advertise(name);
        return {};
    }

    // Where the segment is ours, and every subnet of it lets us.
    void advertise(const std::string& name) {
        bool any = false;
        for (const auto& subnet : engine.config().subnets) {
            if (subnet.interface != name) continue;
            if (!subnet.advertise) return;
            any = true;
        }
        if (!any) return;
        auto advertiser = Advertiser::create(io, name);
        if (advertiser) advertisers.push_back(std::move(*advertiser));
        else log::info("dhcp", "{}: no answers to router solicitations: {}", name, advertiser.error().describe());
    }

    void take_commits() {
        for (const auto& done : writer->take()) {
            ++(done.ok ? counters.commits : counters.failed_commits);
            if (done.ok) counters.leases_written += done.count;
            handle(Committed{done.ticket, done.ok});
        }
    }

    void listen(std::size_t index) {
        auto& port = *ports[index];
        port.wait.async_wait(asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this(), this, index](const error_code& error) {
                                 if (error || stopped) return;
                                 for (int i = 0; i < kBurst && !stopped; ++i) {
                                     auto datagram = ports[index]->udp.receive();
                                     if (!datagram.ok() || !*datagram) break;
                                     on_datagram(index, **datagram);
                                 }
                                 if (!stopped) listen(index);
                             });
    }

    void on_datagram(std::size_t index, const Datagram& datagram) {
        ++counters.received;
        auto message = parse_message(datagram.data);
        if (!message.ok()) {
            log::debug("dhcp", "{}: {}", datagram.from.text(), message.error().describe());
            return;
        }
        if (!admitted(guard, *message, datagram)) {
            ++counters.limited;
            return;
        }
        bool broadcast = datagram.to.value == 0xffffffff || datagram.to != datagram.local;
        Arrived arrived{std::move(*message), index, datagram.local, broadcast};
        if (options.heard && arrived.message.op == Op::Request) options.heard(arrived);
        handle(arrived);
    }

    void handle(const Event& event) { carry_out(engine.handle(event, unix_now())); }

    void carry_out(std::vector<Action> actions) {
        for (auto& action : actions) std::visit([this](auto& a) { carry_out(a); }, action);
    }

    void carry_out(Commit& commit) { writer->put(std::move(commit)); }

    void carry_out(const Note& note) {
        auto left_out = note.client ? full.due(*note.client, SystemClock().now()) : std::string();
        if (!left_out) return;
        if (note.warning) log::warning("dhcp", "{}{}", note.text, *left_out);
        else log::debug("dhcp", "{}", note.text);
    }

    void carry_out(const Probe& probe) {
        ++counters.probes;
        if (probe.on_link) prober->arp(probe.address, ports[probe.port]->interface);
        else prober->ping(probe.address);
    }

    void carry_out(const Send& send) {
        auto type = send.reply.type();
        ++(type == MessageType::Offer ? counters.offers : type == MessageType::Ack ? counters.acks : counters.naks);
        auto& port = *ports[send.port];
        auto bytes = encode_message(send.reply);
        auto sent =
            send.raw ? send_raw(send, bytes, port.interface) : port.udp.send(bytes, send.to, port.interface, send.from);
        if (!sent.ok()) log::warning("dhcp", "{}: {}", send.reply.mac().text(), sent.error().describe());
    }

    // To a client that cannot answer ARP yet: IP and UDP are ours, the kernel adds the frame.
    Status send_raw(const Send& send, const Bytes& bytes, unsigned interface) {
        auto packet =
            Tins::IP(Tins::IPv4Address(htonl(send.to.address.value)), Tins::IPv4Address(htonl(send.from.value))) /
            Tins::UDP(send.to.port, options.port) /
            Tins::RawPDU(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<std::uint32_t>(bytes.size()));
        packet.ttl(64);
        auto frame = packet.serialize();
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_protocol = htons(kEtherIp);
        to.sll_ifindex = static_cast<int>(interface);
        to.sll_halen = 6;
        auto mac = send.reply.mac();
        std::copy(mac.octets.begin(), mac.octets.end(), to.sll_addr);
        if (::sendto(raw.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
            return errno_error(errno, "sending to " + mac.text());
        return {};
    }
};

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() {
    if (impl_) stop();
}

Result<Server> Server::create(asio::io_context& io, ServerConfig config, LeaseStore& store, ServerOptions options) {
    auto own = addresses_of_this_machine();
    config.addresses.insert(config.addresses.end(), own.begin(), own.end());
    auto checked = TRY(check_config(std::move(config)));
    auto leases = TRY_WITH(store.load(), "reading the leases");
    UniqueFd raw(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));  // protocol 0: receives nothing
    if (!raw.valid()) return make_error(errors::kListen, "{}", errno_error(errno, "a packet socket").describe());
    ServerEngine engine(std::move(checked), leases, options.decorate);
    auto impl = std::make_shared<Impl>(io, std::move(options), std::move(engine), std::move(raw));
    TRY(impl->start(store));
    return Server(std::move(impl));
}

const ServerEngine& Server::engine() const { return impl_->engine; }
ServerCounters Server::counters() const { return impl_->counters; }

std::vector<std::string> Server::set_reservations(const std::vector<Reservation>& more) {
    return impl_->engine.set_reservations(more);
}

bool Server::take_back(Ipv4Address address) {
    auto actions = impl_->engine.take_back(address, unix_now());
    bool any = !actions.empty();
    impl_->carry_out(std::move(actions));
    return any;
}

void Server::stop() {
    if (impl_->stopped) return;
    impl_->writer->finish();
    impl_->take_commits();  // whoever was waiting for the disk is answered
    impl_->stopped = true;
    impl_->prober.reset();
    for (auto& a : impl_->advertisers) a.stop();
    error_code ignored;
    for (auto& p : impl_->ports) p->wait.cancel(ignored);
}

}  // namespace slipway::dhcp
