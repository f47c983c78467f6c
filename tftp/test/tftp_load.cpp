// SPDX-License-Identifier: GPL-3.0-or-later
// The client of tests/bench/netboot.py: fetches one file with N clients at once on one thread and checks its length.
//
//   tftp_load ADDRESS:PORT FILE BYTES CLIENTS BLKSIZE WINDOWSIZE
//
// Prints one line: seconds, and this program's own processor seconds. It is cheap on purpose: a receive of what is
// there, an acknowledgement, nothing stored. A client that hears nothing for a second says its last word again.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/base/clock.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/udp.hpp"
#include "tftp/codec.hpp"

using namespace slipway;
using namespace slipway::tftp;

namespace {

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "error: %s\n", text.c_str());
    std::exit(1);
}

struct Job {
    UdpEndpoint server;
    std::string file;
    std::uint64_t bytes;
    std::uint32_t block, window;
};

constexpr std::size_t kBatch = 64, kSpace = 2048;

// One datagram each; the space is shared by all clients.
struct Batch {
    std::vector<std::byte> space = std::vector<std::byte>(kBatch * kSpace);
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    Batch() {
        for (std::size_t i = 0; i < kBatch; ++i) {
            parts[i] = {space.data() + i * kSpace, kSpace};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
    }
    ByteView at(std::size_t i) const { return {space.data() + i * kSpace, messages[i].msg_len}; }
};

class Client {
public:
    explicit Client(const Job& job) : job_(job), socket_(UdpPort::open({}).value()) { ask(); }

    int fd() const { return socket_.fd(); }
    bool whole() const { return whole_; }

    void take(Batch& batch) {
        if (!connected_) return take_first();
        // Lock-step has one packet under way, so it is not looked for a second.
        if (job_.window == 1) {
            auto got = ::recv(fd(), batch.space.data(), kSpace, MSG_DONTWAIT);
            if (got >= 0) on_packet({batch.space.data(), static_cast<std::size_t>(got)});
            return;
        }
        auto got = ::recvmmsg(fd(), batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < got && !whole_; ++i) on_packet(batch.at(static_cast<std::size_t>(i)));
    }

    void keep_time(Instant now) {
        if (now - heard_ < std::chrono::seconds(1)) return;
        heard_ = now;
        if (!connected_) ask();
        else acknowledge();
    }
    void mark(Instant now) { heard_ = now; }

private:
    void ask() {
        Request request{.file = job_.file, .mode = "octet"};
        if (job_.block != kDefaultBlock) request.options.emplace_back("blksize", std::to_string(job_.block));
        if (job_.window > 1) request.options.emplace_back("windowsize", std::to_string(job_.window));
        if (!socket_.send(encode_packet(request), job_.server).ok()) die("the request cannot be sent");
    }

    void take_first() {
        auto datagram = socket_.receive();
        if (!datagram.ok() || !*datagram) return;
        if (!socket_.connect((*datagram)->from).ok()) die("connect");
        connected_ = true;
        on_packet((*datagram)->data);
    }

    void on_packet(ByteView bytes) {
        ByteReader in(bytes);
        auto opcode = static_cast<Opcode>(in.be16());
        auto number = in.be16();
        if (opcode == Opcode::OptionAck) return on_option_ack(bytes);
        if (opcode != Opcode::Data || in.failed()) die("the server refuses: " + printable(as_text(bytes.subspan(4))));
        if (number != static_cast<std::uint16_t>(got_ + 1)) {
            if (window_ > 1 && !std::exchange(gap_, true)) acknowledge();
            return;
        }
        ++got_;
        received_ += in.remaining();
        gap_ = false;
        whole_ = in.remaining() < block_;
        if (whole_ && received_ != job_.bytes) die(fmt::format("{} bytes instead of {}", received_, job_.bytes));
        if (whole_ || ++in_window_ == window_) acknowledge();
    }

    void on_option_ack(ByteView bytes) {
        auto packet = parse_packet(bytes);
        if (!packet.ok()) die("a damaged OACK");
        if (got_ > 0) return;
        for (const auto& row : kOptions) {
            auto value = value_of(std::get<OptionAck>(*packet).options, row);
            if (value && row.option == Option::BlockSize) block_ = static_cast<std::uint32_t>(*value);
            if (value && row.option == Option::WindowSize) window_ = static_cast<std::uint32_t>(*value);
        }
        if (block_ != job_.block || window_ != job_.window) die("the server does not take the options");
        acknowledge();
    }

    void acknowledge() {
        in_window_ = 0;
        std::array<std::byte, 4> ack{std::byte{0}, static_cast<std::byte>(Opcode::Ack),
                                     static_cast<std::byte>(got_ >> 8), static_cast<std::byte>(got_)};
        (void)::send(fd(), ack.data(), ack.size(), MSG_DONTWAIT);
    }

    const Job& job_;
    UdpPort socket_;
    bool connected_ = false, whole_ = false, gap_ = false;
    std::uint32_t block_ = kDefaultBlock, window_ = 1, in_window_ = 0;
    std::uint64_t got_ = 0, received_ = 0;
    Instant heard_ = Instant::clock::now();
};

void fetch(const Job& job, std::size_t count) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(std::make_unique<Client>(job));
        epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, clients.back()->fd(), &event) != 0) die("epoll_ctl");
    }
    Batch batch;
    std::array<epoll_event, 64> events;
    auto looked = Instant::clock::now();
    for (std::size_t left = count; left > 0;) {
        auto ready = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), 200);
        auto now = Instant::clock::now();
        for (int i = 0; i < ready; ++i) {
            auto& client = clients[events[static_cast<std::size_t>(i)].data.u64];
            client->mark(now);
            client->take(batch);
            if (!client->whole()) continue;
            client.reset();  // which takes it out of the epoll
            --left;
        }
        if (now - looked < std::chrono::milliseconds(200)) continue;
        looked = now;
        for (auto& client : clients)
            if (client) client->keep_time(now);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::array<std::uint64_t, 7> numbers{};
    for (int i = 1; i < argc && i < 7; ++i) numbers[static_cast<std::size_t>(i)] = parse_u64(argv[i]).value_or(0);
    auto server = argc == 7 ? split(argv[1], ':') : std::vector<std::string>();
    auto address = server.size() == 2 ? Ipv4Address::parse(server[0]) : std::nullopt;
    if (!address) {
        std::fputs("usage: tftp_load ADDRESS:PORT FILE BYTES CLIENTS BLKSIZE WINDOWSIZE\n", stderr);
        return 2;
    }
    Job job{{*address, static_cast<std::uint16_t>(parse_u64(server[1]).value_or(0))},
            argv[2],
            numbers[3],
            static_cast<std::uint32_t>(numbers[5]),
            static_cast<std::uint32_t>(numbers[6])};
    auto begun = Instant::clock::now();
    fetch(job, numbers[4]);
    std::chrono::duration<double> took = Instant::clock::now() - begun;
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    std::printf("%.6f %.6f\n", took.count(), seconds(used.ru_utime) + seconds(used.ru_stime));
    return 0;
}
