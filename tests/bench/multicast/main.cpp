// SPDX-License-Identifier: GPL-3.0-or-later
// For tests/bench/multicast.py: a sender and receivers of a session as the server and the agents have them, with a
// plain TCP connection in place of the agent channel.
//   multicast-lab send FILE ADDRESS PORT BITS RECEIVERS [adaptive] [start=N] [GROUP]   serves FILE as an image until
//   all have left; start=N: begins when so many are there, else when all are
//   multicast-lab receive ADDRESS PORT INTERFACE TARGET NAME [SLOW]         lays it down in TARGET; INTERFACE: its
//   address there, or auto; SLOW: bytes a second of its disk
// Each prints one JSON object at its end.
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/multicast/hearing.hpp"
#include "imagestore/multicast/sending.hpp"
#include "imagestore/multicast/socket_address.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/channel/multicast_messages.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
namespace ms = slipway::multicast;
using imagestore::kChunkBytes;

namespace {

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "multicast-lab: %s\n", what.c_str());
    std::exit(1);
}
template <class T>
T need(Result<T> result) {
    if (!result) die(result.error().describe());
    return std::move(*result);
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Length and bytes, both ways.
class Wire {
public:
    explicit Wire(UniqueFd fd) : fd_(std::move(fd)) {
        int one = 1;
        ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    IpAddress peer() const {
        sockaddr_storage other{};
        socklen_t size = sizeof other;
        (void)::getpeername(fd_.get(), reinterpret_cast<sockaddr*>(&other), &size);
        return ms::address_in(reinterpret_cast<const sockaddr&>(other));
    }
    bool send(std::string_view text) {
        ByteWriter w;
        w.be32(static_cast<std::uint32_t>(text.size())).text(text);
        const auto all = w.view();
        for (std::size_t at = 0; at < all.size();) {
            const auto n = ::send(fd_.get(), all.data() + at, all.size() - at, MSG_NOSIGNAL);
            if (n <= 0) return false;
            at += static_cast<std::size_t>(n);
        }
        return true;
    }
    std::optional<std::string> receive() {
        std::string head(4, '\0');
        if (!fill(head)) return std::nullopt;
        std::string body(ByteReader(as_bytes(head)).be32(), '\0');
        if (!fill(body)) return std::nullopt;
        return body;
    }

private:
    bool fill(std::string& to) {
        for (std::size_t at = 0; at < to.size();) {
            const auto n = ::recv(fd_.get(), to.data() + at, to.size() - at, 0);
            if (n <= 0) return false;
            at += static_cast<std::size_t>(n);
        }
        return true;
    }
    UniqueFd fd_;
};

IpEndpoint place(const char* address, const char* port) {
    const auto parsed = IpAddress::parse(address);
    if (!parsed) die(std::string("no address: ") + address);
    return {*parsed, static_cast<std::uint16_t>(std::atoi(port))};
}
ms::SocketAddress kernel_form(const IpEndpoint& at) { return {at.address.is_v4(), at, 0}; }
UniqueFd tcp_socket(const IpEndpoint& at) {
    return UniqueFd(::socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

struct Image {
    std::vector<Bytes> encoded;
    imagestore::MemoryManifest manifest;
    explicit Image(const char* path) {
        const auto content = need(read_file(path, 1u << 30));
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = 1;
        imagestore::DiskInfo disk;
        disk.size = content.size();
        disk.name = "sda";
        bool ok = w.image(info) && w.disk(disk);
        for (std::size_t at = 0; ok && at < content.size(); at += kChunkBytes) {
            const auto chunk = ByteView(content).subspan(at, std::min<std::size_t>(kChunkBytes, content.size() - at));
            Bytes raw{std::byte{0}};
            raw.insert(raw.end(), chunk.begin(), chunk.end());
            encoded.push_back(std::move(raw));
            ok = w.data(sha256(chunk)).ok();
        }
        if (!ok || !w.end_disk() || !w.finish()) die("the manifest");
    }
};

ms::Key some_key() {
    static std::uint64_t state = static_cast<std::uint64_t>(::getpid());
    ms::Random random(++state);
    ms::Key key{};
    for (auto& b : key) b = static_cast<std::byte>(random.next());
    return key;
}

// ---- the sender
std::string answer(const Image& image, ms::Sending& sending, const IpAddress& peer, const std::string& question) {
    const auto space = question.find(' ');
    const auto verb = question.substr(0, space), rest = space == std::string::npos ? "" : question.substr(space + 1);
    if (verb == "manifest") return std::string(as_text(image.manifest.bytes()));
    if (verb == "get") return std::string(as_text(image.encoded.at(std::stoul(rest))));
    const auto next = rest.find(' ');
    const auto bits = need(channel::parse_bitmap(rest.substr(next + 1), image.encoded.size()));
    if (verb == "join") {
        const auto grant = sending.join(rest.substr(0, next), bits);
        const auto& o = sending.options();
        return channel::render(channel::MulticastInvitation{
            o.group.group, o.on.address, o.group.port, sending.report_port(), o.session.sender.session, grant.number,
            o.session.sender.symbol_bytes, false, o.session.sender.key, grant.key, peer});
    }
    // tell NUMBER,UNICAST bits
    const auto comma = rest.find(',');
    const auto advice = sending.tell(static_cast<std::uint32_t>(std::stoul(rest)), bits, rest[comma + 1] == '1');
    return advice == ms::Advice::Done ? "done" : advice == ms::Advice::Listen ? "listen" : "unicast";
}

int send(int argc, char** argv) {
    if (argc < 7) die("send FILE ADDRESS PORT BITS RECEIVERS [adaptive] [start=N] [GROUP]");
    const Image image(argv[2]);
    const auto at = place(argv[3], argv[4]);
    const auto receivers = static_cast<unsigned>(std::atoi(argv[6]));
    ms::Sending::Options o;
    o.session.sender.session = 1;
    o.session.sender.key = some_key();
    o.session.sender.chunks = static_cast<std::uint32_t>(image.encoded.size());
    o.session.sender.pace = {std::strtoull(argv[5], nullptr, 10), false, 20'000'000};
    o.group = {at.address.is_v4() ? *IpAddress::parse("239.255.52.7") : *IpAddress::parse("ff15::8481:7"), 8481};
    o.session.start_receivers = receivers;
    for (int i = 7; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "adaptive") o.session.sender.pace.adaptive = true;
        else if (word.starts_with("start=")) o.session.start_receivers = static_cast<unsigned>(std::atoi(argv[i] + 6));
        else o.group.group = place(argv[i], "0").address;
    }
    o.on = need(ms::segment_in(o.group.group.is_v4(), need(ms::segment_of(at.address)), false));
    auto sending = need(ms::Sending::start(
        o, [&image](std::uint32_t chunk) -> Result<Bytes> { return image.encoded[chunk]; }, some_key));
    const auto listener = tcp_socket(at);
    const auto here = kernel_form(at);
    int one = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(listener.get(), here.get(), here.size()) != 0 || ::listen(listener.get(), 128) != 0)
        die("the port is taken");
    std::puts("ready");
    std::fflush(stdout);
    std::vector<std::jthread> threads;
    std::atomic<unsigned> finished{0};
    while (finished < receivers) {
        UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
        if (!fd.valid()) continue;
        threads.emplace_back([&, wire = Wire(std::move(fd))]() mutable {
            while (auto question = wire.receive()) {
                if (*question == "bye") {
                    // The last one out opens the door once more, so that accept() returns.
                    if (++finished == receivers) {
                        const auto knock = tcp_socket(at);
                        (void)::connect(knock.get(), here.get(), here.size());
                    }
                    return;
                }
                if (!wire.send(answer(image, *sending, wire.peer(), *question))) return;
            }
        });
    }
    const auto look = sending->look();
    fmt::print(
        "{{\"sent_bytes\": {}, \"packets\": {}, \"ahead\": {}, \"repairs\": {}, \"rounds\": {}, \"reports\": {}, "
        "\"cpu\": {:.3f}}}\n",
        look.counts.bytes, look.counts.packets, look.counts.ahead_symbols, look.counts.repair_symbols, look.round,
        look.counts.reports, cpu_seconds());
    std::fflush(stdout);
    std::_Exit(0);  // a receiver that was killed has left its connection behind
}

// ---- a receiver
struct Calls final : ms::SessionCalls, imagestore::ChunkSource {
    Wire& wire;
    std::string name;
    std::unique_ptr<imagestore::ChunkPlan> plan;
    std::uint64_t asked = 0;
    std::optional<std::uint64_t> missed;  // chunks, at the end of the first round it took part in
    Calls(Wire& w, std::string n) : wire(w), name(std::move(n)) {}
    Result<std::string> ask(const std::string& question) {
        std::optional<std::string> reply;
        if (wire.send(question)) reply = wire.receive();
        if (!reply) return make_error(imagestore::errors::kChunkMissing, "the sender is gone");
        return std::move(*reply);
    }
    Result<std::optional<ms::Invitation>> join(const std::vector<bool>& wanted) override {
        const auto i =
            TRY(channel::parse_multicast_invitation(TRY(ask("join " + name + " " + channel::render_bitmap(wanted)))));
        return std::optional(ms::Invitation{{i.group, i.port},
                                            {i.sender, i.report_port},
                                            i.you,
                                            i.session,
                                            i.number,
                                            i.symbol_bytes,
                                            i.clear,
                                            i.session_key,
                                            i.own_key});
    }
    Result<ms::Advice> tell(std::uint32_t number, const std::vector<bool>& wanted, bool asks) override {
        if (!missed) missed = static_cast<std::uint64_t>(std::count(wanted.begin(), wanted.end(), true));
        const auto advice =
            TRY(ask(fmt::format("tell {},{} {}", number, asks ? 1 : 0, channel::render_bitmap(wanted))));
        return advice == "done" ? ms::Advice::Done : advice == "listen" ? ms::Advice::Listen : ms::Advice::Unicast;
    }
    Result<Bytes> get(const imagestore::ChunkId& id) override {
        ++asked;
        return to_bytes(TRY(ask(fmt::format("get {}", plan->find(id).value_or(0)))));
    }
};

// A disk that takes so many bytes a second.
struct SlowDisk final : disks::PassLayer {
    std::uint64_t rate, written = 0;
    Instant begun = Instant::clock::now();
    SlowDisk(disks::BlockDevice& below, std::uint64_t r) : PassLayer(below), rate(r) {}
    Status write(std::uint64_t offset, ByteView data) override {
        written += data.size();
        std::this_thread::sleep_until(begun + std::chrono::microseconds(written * 1'000'000 / rate));
        return PassLayer::write(offset, data);
    }
};

int receive(int argc, char** argv) {
    if (argc < 7) die("receive ADDRESS PORT INTERFACE TARGET NAME [SLOW]");
    const auto at = place(argv[2], argv[3]);
    auto fd = tcp_socket(at);
    const auto there = kernel_form(at);
    if (::connect(fd.get(), there.get(), there.size()) != 0) die("no sender");
    Wire wire(std::move(fd));
    Calls calls(wire, argv[6]);
    const auto text = need(calls.ask("manifest"));
    imagestore::ManifestView manifest(as_bytes(text));
    calls.plan = std::make_unique<imagestore::ChunkPlan>(need(imagestore::ChunkPlan::of(manifest)));
    const auto size = need(imagestore::summarize(manifest)).disks.at(0).disk.size;
    if (::access(argv[5], F_OK) != 0 && !disks::FileDisk::create(argv[5], size)) die("the target");
    auto disk = need(disks::FileDisk::open(argv[5], disks::OpenMode::ReadWrite));
    std::unique_ptr<disks::BlockDevice> slow;
    if (argc > 7) slow = std::make_unique<SlowDisk>(*disk, std::strtoull(argv[7], nullptr, 10));
    ms::HearingOptions options;
    if (std::string_view(argv[4]) != "auto") options.interface = place(argv[4], "0").address;
    options.seed = static_cast<std::uint64_t>(::getpid());
    options.note = [](const std::string& note) { std::fprintf(stderr, "note: %s\n", note.c_str()); };
    ms::Hearing hearing(calls, options);
    imagestore::DeployRequest request;
    request.manifest = &manifest;
    request.target = slow ? slow.get() : disk.get();
    request.broadcast = &hearing;
    request.target_is_blank = true;
    request.threads = 1;
    const auto report = need(imagestore::deploy_disk(request, calls));
    const auto& c = hearing.counts();
    (void)wire.send("bye");
    fmt::print(
        "{{\"multicast\": {}, \"asked\": {}, \"kept\": {}, \"bytes\": {}, \"lost\": {}, \"repaired\": {}, \"useless\": "
        "{}, \"given_up\": {}, \"missed\": {}, "
        "\"seconds\": {:.3f}, \"cpu\": {:.3f}}}\n",
        report.broadcast_chunks, calls.asked, report.kept_chunks, c.bytes, c.lost, c.repaired, c.useless, c.given_up,
        calls.missed.value_or(0), report.seconds, cpu_seconds());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "send") return send(argc, argv);
    if (argc > 1 && std::string_view(argv[1]) == "receive") return receive(argc, argv);
    die("send or receive");
}
