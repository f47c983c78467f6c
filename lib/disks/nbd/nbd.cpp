// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/nbd/nbd.hpp"

#include <sys/socket.h>
#include <cerrno>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks::nbd {

namespace {

enum class Phase { Options, Transmission, Ended };

class Session {
public:
    Session(Stream& stream, BlockDevice& disk, bool read_only) : stream_(stream), disk_(disk), read_only_(read_only) {}

    Status run() {
        TRY(greet());
        Phase phase = Phase::Options;
        for (std::uint32_t asked = 0; phase == Phase::Options; ++asked) {
            if (asked == kMaxOptions) return make_error(errors::kNbd, "{} options and no end", asked);
            phase = TRY(option());
        }
        while (phase == Phase::Transmission) phase = TRY(request());
        return {};
    }

private:
    // Of a phase in which an end of the stream is an end of the session, or else an error.
    Result<Bytes> read(std::size_t length) {
        Bytes bytes(length);
        if (!TRY(stream_.read(bytes))) return make_error(errors::kNbd, "the client left in the middle");
        return bytes;
    }

    Status send(const ByteWriter& out) { return stream_.write(out.view()); }

    Status greet() {
        ByteWriter out;
        out.be64(kInitMagic);
        out.be64(kOptionMagic);
        out.be16(kFixedNewstyle | kNoZeroes);
        TRY(send(out));
        const auto bytes = TRY(read(4));
        ByteReader in(bytes);
        const auto flags = in.be32();
        if ((flags & ~std::uint32_t{kFixedNewstyle | kNoZeroes}) || !(flags & kFixedNewstyle))
            return make_error(errors::kNbd, "client flags {:#x}", flags);
        zeroes_ = !(flags & kNoZeroes);
        return {};
    }

    std::uint16_t export_flags() const {
        return static_cast<std::uint16_t>(kHasFlags | kSendFlush | kSendFua | (read_only_ ? kReadOnly : 0));
    }

    Status answer(std::uint32_t option, Reply reply, ByteView data = {}) {
        ByteWriter out;
        out.be64(kReplyMagic);
        out.be32(option);
        out.be32(static_cast<std::uint32_t>(reply));
        out.be32(static_cast<std::uint32_t>(data.size()));
        out.bytes(data);
        return send(out);
    }

    Status answer_info(std::uint32_t option) {
        ByteWriter info;
        info.be16(0);  // NBD_INFO_EXPORT
        info.be64(disk_.size());
        info.be16(export_flags());
        TRY(answer(option, Reply::Info, info.view()));
        return answer(option, Reply::Ack);
    }

    // The name counts for nothing: there is one disk.
    static bool well_formed(ByteView data) {
        ByteReader in(data);
        in.skip(in.be32());
        in.skip(std::size_t{2} * in.be16());
        return !in.failed() && in.remaining() == 0;
    }

    Result<Phase> option() {
        const auto head = TRY(read(16));
        ByteReader in(head);
        const auto magic = in.be64();
        const auto option = in.be32(), length = in.be32();
        if (magic != kOptionMagic || length > kMaxOption)
            return make_error(errors::kNbd, "option {} of {} bytes, magic {:#x}", option, length, magic);
        const auto data = TRY(read(length));
        switch (static_cast<Option>(option)) {
            case Option::ExportName: TRY(answer_name()); return Phase::Transmission;
            case Option::Abort: TRY(answer(option, Reply::Ack)); return Phase::Ended;
            case Option::Info:
            case Option::Go:
                if (!well_formed(data)) {
                    TRY(answer(option, Reply::Invalid));
                    return Phase::Options;
                }
                TRY(answer_info(option));
                return static_cast<Option>(option) == Option::Go ? Phase::Transmission : Phase::Options;
            default: TRY(answer(option, Reply::Unsupported)); return Phase::Options;
        }
    }

    Status answer_name() {
        ByteWriter out;
        out.be64(disk_.size());
        out.be16(export_flags());
        if (zeroes_) out.zeros(124);
        return send(out);
    }

    static Failure failure_of(const Status& status) {
        if (status) return Failure::None;
        if (status.error().is(slipway::errors::kNoSpace)) return Failure::NoSpace;
        if (status.error().is(errors::kReadOnly)) return Failure::NotPermitted;
        return Failure::Io;
    }

    Status reply(std::uint64_t cookie, Failure failure, ByteView data = {}) {
        ByteWriter out;
        out.be32(kSimpleReplyMagic);
        out.be32(static_cast<std::uint32_t>(failure));
        out.be64(cookie);
        out.bytes(failure == Failure::None ? data : ByteView{});
        return send(out);
    }

    Failure check(std::uint64_t offset, std::uint32_t length) const {
        const bool inside = length > 0 && length <= disk_.size() && offset <= disk_.size() - length;
        return inside ? Failure::None : Failure::Invalid;
    }

    Status answer_read(std::uint64_t cookie, std::uint64_t offset, std::uint32_t length) {
        auto failure = length > kMaxLength ? Failure::Invalid : check(offset, length);
        Bytes data(failure == Failure::None ? length : 0);
        if (failure == Failure::None) failure = failure_of(disk_.read(offset, data));
        return reply(cookie, failure, data);
    }

    Status answer_write(std::uint64_t cookie, std::uint64_t offset, std::uint32_t length, bool durable) {
        // Its data follow, whatever is thought of it.
        if (length > kMaxLength) return make_error(errors::kNbd, "a write of {} bytes", length);
        const auto data = TRY(read(length));
        auto failure = read_only_ ? Failure::NotPermitted : check(offset, length);
        if (failure == Failure::None) failure = failure_of(disk_.write(offset, data));
        if (failure == Failure::None && durable) failure = failure_of(disk_.flush());
        return reply(cookie, failure);
    }

    Result<Phase> request() {
        Bytes head(28);
        if (!TRY(stream_.read(head))) return Phase::Ended;
        ByteReader in(head);
        const auto magic = in.be32();
        const auto flags = in.be16(), type = in.be16();
        const auto cookie = in.be64(), offset = in.be64();
        const auto length = in.be32();
        if (magic != kRequestMagic) return make_error(errors::kNbd, "a request of magic {:#x}", magic);
        switch (static_cast<Command>(type)) {
            case Command::Read: TRY(answer_read(cookie, offset, length)); break;
            case Command::Write: TRY(answer_write(cookie, offset, length, flags & kFua)); break;
            case Command::Disconnect: return Phase::Ended;
            case Command::Flush: TRY(reply(cookie, read_only_ ? Failure::None : failure_of(disk_.flush()))); break;
            default: TRY(reply(cookie, Failure::Invalid)); break;
        }
        return Phase::Transmission;
    }

    Stream& stream_;
    BlockDevice& disk_;
    bool read_only_;
    bool zeroes_ = true;
};

class SocketStream final : public Stream {
public:
    explicit SocketStream(int socket) : socket_(socket) {}
    Result<bool> read(std::span<std::byte> buffer) override {
        for (std::size_t had = 0; had < buffer.size();) {
            const auto n = ::recv(socket_, buffer.data() + had, buffer.size() - had, 0);
            if (n < 0 && errno == EINTR) continue;
            // A client that was killed with something unread: an end like another.
            if (n < 0 && errno != ECONNRESET) return errno_error(errno, "the NBD client");
            if (n <= 0 && had == 0) return false;
            if (n <= 0) return make_error(errors::kNbd, "the client left in the middle");
            had += static_cast<std::size_t>(n);
        }
        return true;
    }
    Status write(ByteView bytes) override {
        while (!bytes.empty()) {
            const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return errno_error(errno, "the NBD client");
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        return {};
    }

private:
    int socket_;
};

}  // namespace

Status serve(Stream& stream, BlockDevice& disk, bool read_only) {
    return Session(stream, disk, read_only || !disk.writable()).run();
}

Status serve(int socket, BlockDevice& disk, bool read_only) {
    SocketStream stream(socket);
    return serve(stream, disk, read_only);
}

}  // namespace slipway::disks::nbd
