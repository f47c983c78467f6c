// SPDX-License-Identifier: GPL-3.0-or-later
// One transfer's socket and session: does what the session says. The server owns it, tells it what happened and asks
// over() afterwards.
#pragma once

#include <memory>
#include <string>

#include "lib/base/udp.hpp"
#include "tftp/block_reader.hpp"
#include "tftp/receive.hpp"
#include "tftp/server.hpp"
#include "tftp/session.hpp"

namespace slipway::tftp {

ErrorPacket refusal(const Error& error);  // what a client hears of it

class Transfer {
public:
    struct Peer {
        UdpPort port;  // connected to the client
        UdpEndpoint client;
        Request request;
        std::size_t request_bytes;
    };
    static std::unique_ptr<Transfer> download(Peer peer, Content content, std::shared_ptr<HotCache> cache,
                                              const Limits& limits);
    static std::unique_ptr<Transfer> upload(Peer peer, std::unique_ptr<Upload> file, const Limits& limits);
    virtual ~Transfer() = default;

    int fd() const { return peer_.port.fd(); }
    const UdpEndpoint& client() const { return peer_.client; }
    bool is_for(const Request& r) const;

    virtual void start(Instant now) = 0;
    virtual void on_request(std::size_t bytes, Instant now) = 0;  // the same one again
    bool on_readable(Instant now);                                // takes one datagram, if there is one
    void drain(Instant now);                                      // takes all that are there
    virtual void on_time(Instant now) = 0;
    virtual Instant deadline() const = 0;
    virtual bool proved() const = 0;
    virtual bool plain() const { return false; }  // its first answer is longer than the request

    virtual bool complete() const { return false; }  // whole, though its last packet may have to be said again
    bool over() const { return over_; }
    void end(std::string failure);
    TransferReport report(Instant now) const;

protected:
    Transfer(Peer peer) : peer_(std::move(peer)) {}
    virtual void on_packet(const Packet& packet, Instant now) = 0;
    virtual void describe(TransferReport& report) const = 0;
    virtual std::span<std::byte> buffer() const = 0;  // for the longest packet that can be meant
    // What cannot be sent now counts as lost: the session sends it again.
    void send(const Packet& packet);
    void send_error(const ErrorPacket& error);

    Peer peer_;

private:
    bool receive(Instant now);

    Instant begun_ = Instant::clock::now();
    bool over_ = false;
    std::string failure_;
};

}  // namespace slipway::tftp
