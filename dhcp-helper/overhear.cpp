// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/overhear.hpp"

#include <array>
#include <cerrno>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/frame.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"

namespace slipway::dhcp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int kBurst = 64;  // packets before others of the io_context have their turn

// udp and (src port 67 or 4011), no later fragment; from the IP header on.
constexpr std::array kFilter = std::to_array<sock_filter>({
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 9, ETH_P_IP},
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 9},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 7, IPPROTO_UDP},
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, 6},
    {BPF_JMP | BPF_JSET | BPF_K, 5, 0, 0x1fff},
    {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},
    {BPF_LD | BPF_H | BPF_IND, 0, 0, 0},
    {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kServerPort},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kBootServerPort},
    {BPF_RET | BPF_K, 0, 0, 0xffff},
    {BPF_RET | BPF_K, 0, 0, 0},
});

Result<UniqueFd> open_socket(const std::string& interface) {
    auto index = ::if_nametoindex(interface.c_str());
    if (index == 0) return make_error(errors::kListen, "no interface {}", interface);
    // Protocol 0 receives nothing until the filter is there and it is bound.
    UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return make_error(errors::kListen, "a packet socket: {}", std::generic_category().message(errno));
    auto rows = kFilter;
    sock_fprog program{static_cast<unsigned short>(rows.size()), rows.data()};
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);  // ETH_P_IP does not show what this machine sends
    address.sll_ifindex = static_cast<int>(index);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return make_error(errors::kListen, "{}: {}", interface, std::generic_category().message(errno));
    return fd;
}

}  // namespace

struct Overhearer::Impl : std::enable_shared_from_this<Impl> {
    UniqueFd fd;
    std::function<void(const Answer&)> on_answer;
    asio::posix::stream_descriptor wait;
    bool stopped = false;

    Impl(asio::io_context& io, UniqueFd socket, std::function<void(const Answer&)> f)
        : fd(std::move(socket)), on_answer(std::move(f)), wait(io, fd.get()) {}
    ~Impl() { wait.release(); }  // the fd is ours

    void listen() {
        wait.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this(), this](const error_code& error) {
                            if (error || stopped) return;
                            for (int i = 0; i < kBurst && take_one(); ++i) {
                            }
                            if (!stopped) listen();
                        });
    }

    bool take_one() {
        std::array<std::byte, 2048> space;  // a longer one is no answer to a boot ROM
        sockaddr_ll address{};
        socklen_t length = sizeof address;
        auto got = ::recvfrom(fd.get(), space.data(), space.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address),
                              &length);
        if (got < 0) return errno == EINTR;
        // What this machine sends may have its checksum made by the card, later.
        auto packet = read_udp(ByteView(space).first(static_cast<std::size_t>(got)), false);
        if (!packet) return true;
        auto message = parse_message(packet->data);
        if (!message.ok() || message->op != Op::Reply || message->hardware_length != 6) return true;
        on_answer({std::move(*message), packet->from.address, address.sll_pkttype == PACKET_OUTGOING});
        return true;
    }
};

Overhearer::Overhearer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Overhearer::Overhearer(Overhearer&&) noexcept = default;
Overhearer& Overhearer::operator=(Overhearer&&) noexcept = default;
Overhearer::~Overhearer() {
    if (impl_) stop();
}

Result<Overhearer> Overhearer::create(asio::io_context& io, const std::string& interface,
                                      std::function<void(const Answer&)> on_answer) {
    auto impl = std::make_shared<Impl>(io, TRY(open_socket(interface)), std::move(on_answer));
    impl->listen();
    return Overhearer(std::move(impl));
}

void Overhearer::stop() {
    impl_->stopped = true;
    error_code ignored;
    impl_->wait.cancel(ignored);
}

}  // namespace slipway::dhcp
