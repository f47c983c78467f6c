// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/bench/storm/machine.hpp"

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "tests/bench/storm/transfer.hpp"

namespace slipway::storm {

using dhcp::Code;
using dhcp::Message;
using dhcp::MessageType;
using std::chrono::seconds;

namespace {

struct Boot {
    Ipv4Address own, server;
    std::string file;
};

class Machine {
public:
    Machine(asio::io_context& io, Segment& segment, MacAddress mac, Tally& tally)
        : io_(io), segment_(segment), mac_(mac), tally_(tally), inbox_(io) {}

    asio::awaitable<Status> boot() {
        auto rom = co_await configure(false);
        if (!rom) co_return std::move(rom).error().with("the ROM");
        auto program = co_await fetch_tftp(io_, rom->own, rom->server, rom->file);
        if (!program) co_return std::move(program).error();
        tally_.tftp_bytes += program->bytes;
        auto ipxe = co_await configure(true);
        if (!ipxe) co_return std::move(ipxe).error().with("iPXE");
        auto script = co_await fetch_http(io_, ipxe->own, ipxe->file, true);
        if (!script) co_return std::move(script).error();
        for (const auto& url : urls_of(script->text)) {
            auto file = co_await fetch_http(io_, ipxe->own, url, false);
            if (!file) co_return std::move(file).error();
            tally_.http_bytes += file->bytes;
        }
        co_return Status{};
    }

private:
    Message ask(MessageType type, bool ipxe) {
        Message m;
        m.xid = segment_.expect(inbox_);
        m.flags = dhcp::kBroadcastFlag;
        for (std::size_t i = 0; i < 6; ++i) m.hardware[i] = std::byte{mac_.octets[i]};
        m.set_type(type);
        m.options.set(Code::VendorClass, "PXEClient:Arch:00000:UNDI:002001");
        m.options.set(Code::ClientArch, ByteView(std::array{std::byte{0}, std::byte{0}}));
        m.options.set(Code::ParameterList, as_bytes("\x01\x03\x2b\x3c\x42\x43"));
        if (ipxe) m.options.set(Code::UserClass, "iPXE");
        return m;
    }

    // An address and what to boot, by as many offers as it takes. Repeats as PXE 2.1 §2.2.1 wants: after 4, 8, 16, 32
    // seconds.
    asio::awaitable<Result<Boot>> configure(bool ipxe) {
        for (auto patience : {seconds(4), seconds(8), seconds(16), seconds(32)}) {
            auto discover = ask(MessageType::Discover, ipxe);
            auto sent = Instant::clock::now();
            segment_.send(discover);
            std::optional<Message> address, program;
            while (!address || !program) {
                auto letter = co_await inbox_.next(sent + patience);
                if (!letter) break;
                const auto& m = letter->message;
                if (m.type() != MessageType::Offer || m.xid != discover.xid) continue;
                if (!m.yours.is_zero() && !address) address = m;
                if (!file_of(m).empty() && !program) {
                    program = m;
                    tally_.offer_ms.push_back(std::chrono::duration<double, std::milli>(letter->heard - sent).count());
                }
            }
            segment_.forget(discover.xid);
            if (address && program && co_await take(*address, ipxe))
                co_return Boot{address->yours, program->server, file_of(*program)};
            ++tally_.repeats;
        }
        co_return make_error(errors::kBadValue, "no offer within 60 s");
    }

    asio::awaitable<bool> take(const Message& offer, bool ipxe) {
        for (auto patience : {seconds(1), seconds(2), seconds(4)}) {
            auto request = ask(MessageType::Request, ipxe);
            request.options.set(Code::RequestedAddress, offer.yours);
            request.options.set(Code::ServerId, offer.options.address(Code::ServerId));
            segment_.send(request);
            auto deadline = Instant::clock::now() + patience;
            std::optional<MessageType> got;
            while (!got) {
                auto letter = co_await inbox_.next(deadline);
                if (!letter) break;
                if (letter->message.xid == request.xid) got = letter->message.type();
            }
            segment_.forget(request.xid);
            if (got == MessageType::Ack) co_return true;
            if (got == MessageType::Nak) co_return false;
            ++tally_.repeats;
        }
        co_return false;
    }

    static std::string file_of(const Message& m) { return m.file.empty() ? m.options.text(Code::BootFile) : m.file; }

    // Of the words "${base}NAME" after `kernel` and `initrd`.
    static std::vector<std::string> urls_of(const std::string& script) {
        std::string base;
        std::vector<std::string> out;
        for (const auto& line : split(script, '\n')) {
            if (line.starts_with("set base ") && base.empty()) base = line.substr(9);
            if (!line.starts_with("kernel ") && !line.starts_with("initrd ")) continue;
            for (const auto& word : split(line, ' '))
                if (word.starts_with("${base}")) out.push_back(base + word.substr(7));
        }
        return out;
    }

    asio::io_context& io_;
    Segment& segment_;
    MacAddress mac_;
    Tally& tally_;
    Inbox inbox_;
};

}  // namespace

asio::awaitable<void> switch_on(asio::io_context& io, Segment& segment, MacAddress mac, Instant when, Tally& tally) {
    asio::steady_timer timer(io, when);
    co_await timer.async_wait(kAwait);
    Machine machine(io, segment, mac, tally);
    auto status = co_await machine.boot();
    if (status) {
        tally.ready_s.push_back(std::chrono::duration<double>(Instant::clock::now() - when).count());
        co_return;
    }
    ++tally.failures[status.error().describe()];
}

}  // namespace slipway::storm
