// SPDX-License-Identifier: GPL-3.0-or-later
// Uploads: what is written below the directory, and what never is.
#include "lib/base/errors.hpp"
#include "tftp/test/fixture.hpp"

using namespace slipway;
using namespace slipway::tftp;
using test::TftpServer;

namespace {

std::vector<std::string> names_in(const std::filesystem::path& folder) {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path().filename());
    return out;
}

}  // namespace

TEST(TftpUpload, a_file_is_there_when_it_is_finished_and_not_before) {
    auto dir = TempDir::create("tftp").value();
    std::filesystem::create_directory(dir / "sub");
    auto upload = store_below(dir.path(), "sub/report").value();
    ASSERT_TRUE(upload->write(as_bytes("one ")).ok());
    ASSERT_TRUE(upload->write(as_bytes("two")).ok());
    EXPECT_FALSE(std::filesystem::exists(dir / "sub/report"));
    ASSERT_TRUE(upload->finish().ok());
    EXPECT_EQ(read_text_file(dir / "sub/report").value(), "one two");
    upload.reset();
    EXPECT_EQ(names_in(dir / "sub"), std::vector<std::string>{"report"});
}

TEST(TftpUpload, an_abandoned_one_leaves_nothing) {
    auto dir = TempDir::create("tftp").value();
    auto upload = store_below(dir.path(), "report").value();
    ASSERT_TRUE(upload->write(as_bytes("half")).ok());
    EXPECT_EQ(names_in(dir.path()).size(), 1u);
    upload.reset();
    EXPECT_TRUE(names_in(dir.path()).empty());
}

TEST(TftpUpload, nothing_is_replaced) {
    auto dir = TempDir::create("tftp").value();
    auto first = store_below(dir.path(), "report").value(), second = store_below(dir.path(), "report").value();
    ASSERT_TRUE(second->write(as_bytes("second")).ok());
    ASSERT_TRUE(second->finish().ok());
    EXPECT_TRUE(first->finish().error().is(tftp::errors::kExists));
    first.reset();
    EXPECT_TRUE(store_below(dir.path(), "report").error().is(tftp::errors::kExists));
    EXPECT_EQ(read_text_file(dir / "report").value(), "second");
    EXPECT_EQ(names_in(dir.path()).size(), 1u);
}

TEST(TftpUpload, nothing_outside_the_directory_is_written) {
    auto dir = TempDir::create("tftp").value();
    std::filesystem::create_directories(dir / "in/sub");
    std::filesystem::create_directory_symlink("..", dir / "in/up");
    std::filesystem::create_symlink("../target", dir / "in/link");
    for (const char* name : {"../x", "sub/../../x", "up/x", "a\\b", "a\nb", "sub/.."})
        EXPECT_TRUE(store_below(dir / "in", name).error().is(tftp::errors::kAccess)) << name;
    EXPECT_TRUE(store_below(dir / "in", std::string("a\0b", 3)).error().is(tftp::errors::kAccess));
    EXPECT_TRUE(store_below(dir / "in", "link").error().is(tftp::errors::kExists));
    EXPECT_TRUE(store_below(dir / "in", "none/x").error().is(tftp::errors::kNotFound));
    EXPECT_TRUE(store_below(dir / "in", "/").error().is(tftp::errors::kNotFound));
    EXPECT_EQ(names_in(dir.path()).size(), 1u);
}

TEST_F(TftpServer, an_upload_larger_than_allowed_leaves_nothing) {
    Limits limits;
    limits.max_upload = 1000;
    restart_with_uploads(limits);
    auto answer = ask(Request{.write = true, .file = "big", .mode = "octet", .options = {{"tsize", "1001"}}});
    EXPECT_EQ(std::get<ErrorPacket>(answer).code, ErrorCode::DiskFull);
    auto socket = UdpPort::open({}).value();
    ASSERT_TRUE(socket.send(encode_packet(Request{.write = true, .file = "big", .mode = "octet"}), at()).ok());
    auto ready = next(socket);
    ASSERT_TRUE(ready.ok());
    ASSERT_TRUE(socket.send(encode_packet(Data{1, Bytes(512)}), ready->from).ok());
    ASSERT_TRUE(next(socket).ok());
    ASSERT_TRUE(socket.send(encode_packet(Data{2, Bytes(512)}), ready->from).ok());
    auto refusal = next(socket);
    ASSERT_TRUE(refusal.ok());
    EXPECT_EQ(std::get<ErrorPacket>(*parse_packet(refusal->data)).code, ErrorCode::DiskFull);
    auto ended = wait_for_reports(2);
    for (const auto& r : ended) EXPECT_TRUE(r.upload && !r.failure.empty());
    EXPECT_TRUE(names_in(dir / "in").empty());
}

TEST_F(TftpServer, the_sink_says_who_may_write_what) {
    ServerOptions options;
    options.sink = [this](const std::string& name, const UdpEndpoint& client) -> Result<std::unique_ptr<Upload>> {
        if (client.address != *Ipv4Address::parse("127.0.0.1") || name != "log")
            return make_error(tftp::errors::kAccess, "'{}' from {}", name, client.address.text());
        return store_below(dir / "in", name);
    };
    restart(std::move(options));
    EXPECT_EQ(refused("other", true), ErrorCode::AccessViolation);
    EXPECT_EQ(std::get<Ack>(ask(Request{.write = true, .file = "log", .mode = "octet"})).block, 0u);
    auto stranger = UdpPort::open({.local = {*Ipv4Address::parse("127.0.0.2"), 0}}).value();
    ASSERT_TRUE(stranger.send(encode_packet(Request{.write = true, .file = "log", .mode = "octet"}), at()).ok());
    auto answer = next(stranger);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(std::get<ErrorPacket>(*parse_packet(answer->data)).code, ErrorCode::AccessViolation);
}
