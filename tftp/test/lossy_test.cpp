// SPDX-License-Identifier: GPL-3.0-or-later
// The real server and a client of ours whose socket loses, doubles and swaps packets, in both directions.
#include <random>

#include <fcntl.h>
#include <unistd.h>

#include "tftp/block_reader.hpp"
#include "tftp/session.hpp"
#include "tftp/test/fixture.hpp"

using namespace slipway;
using namespace slipway::tftp;
using test::TftpServer;

namespace {

struct Trouble {
    unsigned percent;  // of each kind
    std::mt19937 random;
    bool strikes() { return random() % 100 < percent; }
};

class LossyClient {
public:
    LossyClient(UdpEndpoint server, Request request, unsigned percent, unsigned seed)
        : server_(server), request_(std::move(request)), trouble_{percent, std::mt19937(seed)} {
        for (const auto& [name, value] : request_.options) {
            if (name == "blksize") block_ = std::stoul(value);
            if (name == "windowsize") window_ = std::stoul(value);
        }
    }

    // What was fetched; empty when there was no end of it.
    std::string fetch() {
        say_again();
        for (auto end = Instant::clock::now() + std::chrono::seconds(60); Instant::clock::now() < end && !whole_;) {
            pollfd p{socket_.fd(), POLLIN, 0};
            if (::poll(&p, 1, 40) != 1) {
                gap_ = false;
                say_again();
                continue;
            }
            auto datagram = socket_.receive();
            if (datagram.ok() && *datagram) arrive(std::move((*datagram)->data), (*datagram)->from);
        }
        for (int i = 0; i < 20; ++i) say_again();  // so that the last acknowledgement is not the one that is lost
        return whole_ ? std::move(got_) : std::string();
    }

private:
    void arrive(Bytes packet, const UdpEndpoint& from) {
        if (trouble_.strikes()) return;
        if (trouble_.strikes() && !held_) {  // overtaken by the next one
            held_ = std::move(packet);
            return;
        }
        take(packet, from);
        if (trouble_.strikes()) take(packet, from);
        if (auto late = std::exchange(held_, std::nullopt)) take(*late, from);
    }

    void take(const Bytes& bytes, const UdpEndpoint& from) {
        if (!peer_) peer_ = from;
        auto packet = parse_packet(bytes);
        ASSERT_TRUE(packet.ok());
        ASSERT_FALSE(std::holds_alternative<ErrorPacket>(*packet)) << std::get<ErrorPacket>(*packet).message;
        if (std::holds_alternative<OptionAck>(*packet)) return blocks_ == 0 ? say_again() : void();
        const auto& data = std::get<Data>(*packet);
        if (whole_ || data.block != static_cast<std::uint16_t>(blocks_ + 1)) {
            if (window_ == 1 || !std::exchange(gap_, true)) say_again();
            return;
        }
        ++blocks_;
        gap_ = false;
        got_ += as_text(data.payload);
        whole_ = data.payload.size() < block_;
        if (whole_ || blocks_ % window_ == 0) say_again();
    }

    void say_again() {
        auto packet = peer_ ? encode_packet(Ack{static_cast<std::uint16_t>(blocks_)}) : encode_packet(request_);
        for (int copies = trouble_.strikes() ? 0 : trouble_.strikes() ? 2 : 1; copies > 0; --copies)
            (void)socket_.send(packet, peer_.value_or(server_)).ok();
    }

    UdpEndpoint server_;
    Request request_;
    Trouble trouble_;
    UdpPort socket_ = UdpPort::open({}).value();
    std::optional<UdpEndpoint> peer_;
    std::optional<Bytes> held_;
    std::size_t block_ = kDefaultBlock, window_ = 1;
    std::uint64_t blocks_ = 0;
    std::string got_;
    bool whole_ = false, gap_ = false;
};

}  // namespace

TEST_F(TftpServer, a_lossy_link_costs_time_and_no_bytes) {
    unsigned seed = std::random_device{}();
    std::printf("seed %u\n", seed);
    ServerOptions options;
    options.limits.least_wait = std::chrono::milliseconds(10);
    options.limits.longest_wait = std::chrono::milliseconds(100);
    options.limits.retries = 50;
    restart(std::move(options));
    std::vector<std::thread> clients;
    std::vector<std::string> got(6);
    for (unsigned i = 0; i < got.size(); ++i) {
        Request request{.file = "kernel", .mode = "octet"};
        if (i % 3 > 0) request.options = {{"blksize", "1468"}};
        if (i % 3 == 2) request.options.emplace_back("windowsize", "8");
        clients.emplace_back([&, i, request] { got[i] = LossyClient(at(), request, i < 3 ? 2 : 8, seed + i).fetch(); });
    }
    for (auto& client : clients) client.join();
    for (unsigned i = 0; i < got.size(); ++i) EXPECT_TRUE(got[i] == content) << "client " << i << " seed " << seed;
    for (const auto& r : wait_for_reports(got.size())) EXPECT_EQ(r.failure, "") << r.client.text();
}

// A session over all blocks of a sparse file, and its bytes around the boundary as they are sent.
TEST(TftpReader, a_sparse_file_past_four_gigabytes) {
    constexpr std::uint64_t kSize = (4ull << 30) + 100'000;
    auto dir = TempDir::create("tftp").value();
    auto file = open_fd(dir / "huge", O_RDWR | O_CREAT).value();
    ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
    ASSERT_TRUE(pwrite_full(file.get(), as_bytes("across four gigabytes"), (4ull << 30) - 10).ok());
    auto content = Content::of_file(std::move(file)).value();
    auto cache = std::make_shared<HotCache>(1 << 20);
    auto reader = read_octet(content, cache);
    Request request{.file = "huge", .mode = "octet", .options = {{"tsize", "0"}, {"windowsize", "4"}}};
    ReadSession session(request, 100, content.size, {});
    session.start({});
    auto step = session.on_packet(Ack{0}, {});
    std::string around;
    while (!session.ended()) {
        auto first = session.slice(step.first), last = session.slice(step.first + step.count - 1);
        auto end = last.offset + last.length;
        if (end > (4ull << 30) - 20 && first.offset < (4ull << 30) + 20) {
            ASSERT_TRUE(reader->prepare(first.offset, end - first.offset).ok());
            std::vector<iovec> parts;
            reader->append(first.offset, end - first.offset, parts);
            for (const auto& p : parts) around.append(static_cast<const char*>(p.iov_base), p.iov_len);
        }
        step = session.on_packet(Ack{static_cast<std::uint16_t>(step.first + step.count - 1)}, {});
    }
    EXPECT_EQ(session.acknowledged(), kSize);
    EXPECT_NE(around.find("across four gigabytes"), std::string::npos);
}
