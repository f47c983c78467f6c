// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/transfer.hpp"

#include <cerrno>

#include <sys/socket.h>

#include "lib/base/errors.hpp"
#include "tftp/errors.hpp"
#include "tftp/netascii.hpp"
#include "tftp/send_blocks.hpp"

namespace slipway::tftp {

namespace {

class Download final : public Transfer {
public:
    Download(Peer peer, std::uint64_t size, std::unique_ptr<BlockReader> reader, const Limits& limits)
        : Transfer(std::move(peer)),
          reader_(std::move(reader)),
          session_(peer_.request, peer_.request_bytes, size, limits),
          sender_(fd()) {}

    void start(Instant now) override { perform(session_.start(now)); }
    void on_request(std::size_t bytes, Instant now) override { perform(session_.on_request(bytes, now)); }
    void on_time(Instant now) override { perform(session_.on_time(now)); }
    Instant deadline() const override { return session_.deadline(); }
    bool proved() const override { return session_.proved(); }
    bool plain() const override { return session_.plain(); }

private:
    void on_packet(const Packet& packet, Instant now) override { perform(session_.on_packet(packet, now)); }

    void describe(TransferReport& report) const override {
        report.bytes = session_.acknowledged();
        report.resent_blocks = session_.resent();
        report.size = session_.size();
        report.blocks = session_.blocks_acknowledged();
        report.losses = session_.recovered();
    }

    std::span<std::byte> buffer() const override {
        static thread_local std::array<std::byte, 1024> space;  // acknowledgements and errors
        return space;
    }

    void perform(const Step& step) {
        if (step.option_ack) send(session_.option_ack());
        if (step.count > 0)
            if (auto sent = send_blocks(step); !sent.ok()) {
                send_error(refusal(sent.error()));
                return end(sent.error().describe());
            }
        if (step.error) send_error(*step.error);
        if (session_.ended()) end(std::string(session_.why()));
    }

    Status send_blocks(const Step& step) {
        TRY(reader_->prepare(session_.slice(step.first).offset, std::size_t{step.count} * session_.block_size()));
        if (auto size = reader_->size()) session_.ends_at(*size);
        sender_.begin(session_.block_size());
        for (std::uint32_t i = 0; i < step.count; ++i) {
            auto slice = session_.slice(step.first + i);
            sender_.add(static_cast<std::uint16_t>(step.first + i), slice.length,
                        [&](std::vector<iovec>& to) { reader_->append(slice.offset, slice.length, to); });
            if (slice.length < session_.block_size()) break;  // the last, though more were asked for
        }
        sender_.flush();
        return {};
    }

    std::unique_ptr<BlockReader> reader_;
    ReadSession session_;
    BlockSender sender_;
};

class Reception final : public Transfer {
public:
    Reception(Peer peer, std::unique_ptr<Upload> file, const Limits& limits)
        : Transfer(std::move(peer)),
          file_(std::move(file)),
          text_(peer_.request.mode == "netascii"),
          session_(peer_.request, peer_.request_bytes, limits) {}

    void start(Instant now) override { perform(session_.start(now), {}, now); }
    void on_request(std::size_t bytes, Instant now) override { perform(session_.on_request(bytes, now), {}, now); }
    void on_time(Instant now) override { perform(session_.on_time(now), {}, now); }
    Instant deadline() const override { return session_.deadline(); }
    bool proved() const override { return session_.proved(); }

    bool complete() const override { return session_.state() == WriteState::Dallying; }

private:
    void on_packet(const Packet& packet, Instant now) override {
        const auto* data = std::get_if<Data>(&packet);
        perform(session_.on_packet(packet, now), data ? ByteView(data->payload) : ByteView(), now);
    }

    void describe(TransferReport& report) const override {
        report.bytes = session_.received();
        report.upload = true;
    }

    std::span<std::byte> buffer() const override {
        static thread_local std::array<std::byte, 65536> space;
        return space;
    }

    void perform(WriteStep step, ByteView payload, Instant now) {
        if (step.store) {
            auto stored = store(payload, step.complete);
            if (!stored.ok()) {
                step = session_.refused(refusal(stored.error()));
                log_ = stored.error().describe();
            } else if (step.complete) {
                step = session_.stored(now);
            }
        }
        if (step.option_ack) send(session_.option_ack());
        if (step.ack) send(Ack{*step.ack});
        if (step.error) send_error(*step.error);
        if (session_.ended()) end(log_.empty() ? std::string(session_.why()) : log_);
    }

    Status store(ByteView payload, bool complete) {
        Bytes plain;
        if (text_) {
            decoder_.decode(payload, plain);
            if (complete) decoder_.finish(plain);
            payload = plain;
        }
        TRY(file_->write(payload));
        if (!complete) return {};
        TRY(file_->finish());
        file_.reset();
        return {};
    }

    std::unique_ptr<Upload> file_;
    bool text_;
    NetasciiDecoder decoder_;
    WriteSession session_;
    std::string log_;  // why it could not be stored
};

}  // namespace

ErrorPacket refusal(const Error& error) {
    if (error.is(errors::kNotFound)) return {ErrorCode::FileNotFound, "file not found"};
    if (error.is(errors::kAccess)) return {ErrorCode::AccessViolation, "access violation"};
    if (error.is(errors::kExists)) return {ErrorCode::FileExists, "file exists"};
    if (error.is(errors::kChanged)) return {ErrorCode::NotDefined, "the file was changed, ask again"};
    if (error.is(slipway::errors::kNoSpace)) return {ErrorCode::DiskFull, "disk full"};
    return {ErrorCode::NotDefined, "the file cannot be read or written"};
}

std::unique_ptr<Transfer> Transfer::download(Peer peer, Content content, std::shared_ptr<HotCache> cache,
                                             const Limits& limits) {
    bool text = peer.request.mode == "netascii";
    auto size = text ? ReadSession::kUnknownSize : content.size;
    auto reader =
        text ? read_netascii(std::move(content), std::move(cache)) : read_octet(std::move(content), std::move(cache));
    return std::make_unique<Download>(std::move(peer), size, std::move(reader), limits);
}

std::unique_ptr<Transfer> Transfer::upload(Peer peer, std::unique_ptr<Upload> file, const Limits& limits) {
    return std::make_unique<Reception>(std::move(peer), std::move(file), limits);
}

bool Transfer::is_for(const Request& r) const {
    const auto& mine = peer_.request;
    return r.write == mine.write && r.file == mine.file && r.mode == mine.mode && r.options == mine.options;
}

bool Transfer::receive(Instant now) {
    auto space = buffer();
    auto got = ::recv(fd(), space.data(), space.size(), MSG_DONTWAIT);
    bool closed = got < 0 && errno == ECONNREFUSED;
    // The refusal overtakes what the client said last, which may be that it has all.
    if (closed) got = ::recv(fd(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0) {
        if (closed) end("the client's port is closed");
        return false;
    }
    auto packet = parse_packet(space.first(static_cast<std::size_t>(got)));
    if (packet.ok()) on_packet(*packet, now);
    return true;
}

bool Transfer::on_readable(Instant now) { return !over_ && receive(now); }

void Transfer::drain(Instant now) {
    while (!over_ && receive(now)) {
    }
}

void Transfer::send(const Packet& packet) { (void)peer_.port.send(encode_packet(packet)).ok(); }

void Transfer::send_error(const ErrorPacket& error) {
    auto limit = proved() ? std::size_t{512} : peer_.request_bytes;
    (void)peer_.port.send(encode_error(error, limit)).ok();
}

void Transfer::end(std::string failure) {
    if (std::exchange(over_, true)) return;
    failure_ = std::move(failure);
}

TransferReport Transfer::report(Instant now) const {
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - begun_);
    TransferReport report{.client = peer_.client, .file = peer_.request.file, .took = took, .failure = failure_};
    describe(report);
    return report;
}

}  // namespace slipway::tftp
