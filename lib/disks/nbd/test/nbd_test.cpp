// SPDX-License-Identifier: GPL-3.0-or-later
// A disk served to clients: to QEMU's own tools over a socket, and to made ones in memory.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/nbd/nbd.hpp"

using namespace slipway;
using namespace slipway::disks;
using testing::HasSubstr;

namespace {

constexpr std::uint64_t kSize = 4u << 20;

// One connection of a QEMU tool to a disk; what it said.
CommandResult with_qemu(BlockDevice& disk, bool read_only, std::vector<std::string> commands) {
    auto dir = TempDir::create("nbd").value();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = (dir / "s").string();
    std::copy(path.begin(), path.end(), address.sun_path);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 1) != 0)
        std::abort();
    std::thread server([&] {
        UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        auto served = nbd::serve(client.get(), disk, read_only);
        EXPECT_TRUE(served.ok()) << served.error().describe();
    });
    std::vector<std::string> argv{"qemu-io", "-f", "raw"};
    if (read_only) argv.push_back("-r");
    for (auto& command : commands) argv.insert(argv.end(), {"-c", std::move(command)});
    argv.push_back("nbd+unix:///any?socket=" + path);
    auto ran = run_command(argv).value();
    ::shutdown(listener.get(), SHUT_RDWR);  // should it never have come
    server.join();
    return ran;
}

class CountFlushes final : public PassLayer {
public:
    using PassLayer::PassLayer;
    Status flush() override { return ++flushes, Status(); }
    int flushes = 0;
};

// The client is a text; what it is answered is kept.
class MemoryStream final : public nbd::Stream {
public:
    explicit MemoryStream(Bytes in) : in_(std::move(in)) {}
    Result<bool> read(std::span<std::byte> buffer) override {
        const auto left = in_.size() - at_;
        if (left == 0 && !buffer.empty()) return false;
        if (left < buffer.size()) return make_error(errors::kNbd, "cut");
        std::copy_n(in_.begin() + static_cast<long>(at_), buffer.size(), buffer.begin());
        at_ += buffer.size();
        return true;
    }
    Status write(ByteView bytes) override {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
    }
    Bytes out;

private:
    Bytes in_;
    std::size_t at_ = 0;
};

// Handshake and EXPORT_NAME: 8 + 8 + 2 and 8 + 2 bytes of answer.
ByteWriter begun() {
    ByteWriter out;
    out.be32(nbd::kFixedNewstyle | nbd::kNoZeroes);
    out.be64(nbd::kOptionMagic).be32(1).be32(0);
    return out;
}
constexpr std::size_t kBegun = 28;

void request(ByteWriter& out, std::uint16_t type, std::uint64_t offset, std::uint32_t length, std::uint16_t flags = 0) {
    out.be32(nbd::kRequestMagic).be16(flags).be16(type).be64(7).be64(offset).be32(length);
}

std::uint32_t failure_in(const MemoryStream& stream) {
    ByteReader in(stream.out);
    in.seek(kBegun + 4);
    return in.be32();
}

}  // namespace

TEST(Nbd, qemu_writes_flushes_and_reads_back) {
    MemoryDisk disk(kSize);
    CountFlushes counted(disk);
    const auto ran =
        with_qemu(counted, false, {"write -P 5 4096 1M", "flush", "read -P 5 4096 1M", "read -P 0 0 4096"});
    EXPECT_EQ(ran.exit_code, 0) << ran.output << ran.error_text;
    EXPECT_THAT(ran.output, testing::Not(HasSubstr("verification failed")));
    EXPECT_EQ(disk.content()[4096], std::byte{5});
    EXPECT_GE(counted.flushes, 1);
}

TEST(Nbd, a_read_only_disk_is_known_as_such_and_stays_as_it_is) {
    MemoryDisk disk(kSize);
    const auto ran = with_qemu(disk, true, {"read -P 0 0 64k", "write -P 5 0 512"});
    EXPECT_THAT(ran.output, HasSubstr("read 65536/65536"));
    EXPECT_THAT(ran.output, testing::Not(HasSubstr("wrote")));
    EXPECT_TRUE(all_zero(disk.content()));
    // A client that does not ask before it writes.
    auto in = begun();
    request(in, 1, 0, 512);
    in.bytes(Bytes(512, std::byte{5}));
    MemoryStream stream(std::move(in).take());
    ASSERT_TRUE(nbd::serve(stream, disk, true).ok());
    EXPECT_EQ(failure_in(stream), static_cast<std::uint32_t>(nbd::Failure::NotPermitted));
    EXPECT_TRUE(all_zero(disk.content()));
}

TEST(Nbd, a_disk_that_fails_is_an_io_error_to_the_client_and_not_the_end) {
    MemoryDisk memory(kSize);
    FaultLayer disk(memory, [](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == FaultLayer::Op::Write) return make_error(errors::kWrite, "a bad sector");
        return {};
    });
    const auto ran = with_qemu(disk, false, {"write -P 5 0 512", "read -P 0 0 512"});
    EXPECT_THAT(ran.output + ran.error_text, HasSubstr("Input/output error"));
    EXPECT_THAT(ran.output, HasSubstr("read 512/512"));
}

TEST(Nbd, what_reaches_beyond_the_disk_is_refused) {
    for (const auto& [offset, length] : {std::pair<std::uint64_t, std::uint32_t>{kSize, 512},
                                         {kSize - 512, 1024},
                                         {~0ull - 100, 512},
                                         {0, 0},
                                         {0, ~0u}}) {
        MemoryDisk disk(kSize);
        auto in = begun();
        request(in, 0, offset, length);
        MemoryStream stream(std::move(in).take());
        ASSERT_TRUE(nbd::serve(stream, disk, false).ok());
        EXPECT_EQ(failure_in(stream), static_cast<std::uint32_t>(nbd::Failure::Invalid)) << offset << " " << length;
    }
}

TEST(Nbd, a_write_with_fua_is_durable_when_it_is_answered) {
    MemoryDisk disk(kSize);
    CountFlushes counted(disk);
    auto in = begun();
    request(in, 1, 0, 512, nbd::kFua);
    in.bytes(Bytes(512));
    MemoryStream stream(std::move(in).take());
    ASSERT_TRUE(nbd::serve(stream, counted, false).ok());
    EXPECT_EQ(counted.flushes, 1);
}

TEST(Nbd, what_is_no_client_is_left) {
    ByteWriter flags, magic, much, request_magic = begun(), cut = begun();
    flags.be32(0xffff);
    magic.be32(1).be64(1).be32(1).be32(0);
    much.be32(1);
    for (int i = 0; i < 100; ++i) much.be64(nbd::kOptionMagic).be32(99).be32(0);
    request_magic.zeros(28);
    request(cut, 1, 0, 512);
    cut.zeros(100);
    for (auto* in : {&flags, &magic, &much, &request_magic, &cut}) {
        MemoryDisk disk(kSize);
        MemoryStream stream(std::move(*in).take());
        auto served = nbd::serve(stream, disk, false);
        ASSERT_FALSE(served.ok());
        EXPECT_TRUE(served.error().is(errors::kNbd)) << served.error().describe();
    }
}
