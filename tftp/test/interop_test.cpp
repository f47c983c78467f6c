// SPDX-License-Identifier: GPL-3.0-or-later
// The foreign clients against the real server on loopback: atftp, tftp-hpa, curl and busybox, both ways.
#include <fcntl.h>
#include <unistd.h>

#include "tftp/test/fixture.hpp"

using namespace slipway;
using namespace slipway::tftp;
using test::missing;
using test::TftpServer;

namespace {

using Argv = std::vector<std::string>;

void run(Argv argv, const std::filesystem::path& folder) {
    auto line = "cd '" + folder.string() + "' && exec \"$@\"";
    argv.insert(argv.begin(), {"sh", "-c", line, "sh"});
    auto done = run_checked(argv, {.timeout = std::chrono::seconds(60)});
    EXPECT_TRUE(done.ok()) << done.error().describe();
}

// How a client is told to fetch `name` as `to`, and to send `from` as `name`.
struct Client {
    const char* program;
    std::vector<Argv> options;  // each a run of its own
    std::function<Argv(const std::string& port, const Argv& options, const std::string& name, const std::string& to)>
        get;
    std::function<Argv(const std::string& port, const Argv& options, const std::string& from, const std::string& name)>
        put;
};

Argv joined(Argv a, const Argv& b, const Argv& c = {}) {
    a.insert(a.end(), b.begin(), b.end());
    a.insert(a.end(), c.begin(), c.end());
    return a;
}

const Client kAtftp{"atftp",
                    {{},
                     {"--option", "blksize 1428"},
                     {"--option", "windowsize 8", "--option", "blksize 1024"},
                     {"--option", "timeout 2", "--option", "tsize 0"}},
                    [](auto& port, auto& options, auto& name, auto& to) {
                        return joined({"atftp", "--get", "-r", name, "-l", to}, options, {"127.0.0.1", port});
                    },
                    [](auto& port, auto& options, auto& from, auto& name) {
                        return joined({"atftp", "--put", "-l", from, "-r", name}, options, {"127.0.0.1", port});
                    }};

const Client kHpa{"tftp",
                  {{"binary"}},
                  [](auto& port, auto& options, auto& name, auto& to) {
                      return joined({"tftp", "-4", "-m"}, options, {"127.0.0.1", port, "-c", "get", name, to});
                  },
                  [](auto& port, auto& options, auto& from, auto& name) {
                      return joined({"tftp", "-4", "-m"}, options, {"127.0.0.1", port, "-c", "put", from, name});
                  }};

const Client kCurl{"curl",
                   {{}, {"--tftp-blksize", "1400"}, {"--tftp-no-options"}},
                   [](auto& port, auto& options, auto& name, auto& to) {
                       return joined({"curl", "-sSf", "-o", to}, options, {"tftp://127.0.0.1:" + port + "/" + name});
                   },
                   [](auto& port, auto& options, auto& from, auto& name) {
                       return joined({"curl", "-sSf", "-T", from}, options, {"tftp://127.0.0.1:" + port + "/" + name});
                   }};

const Client kBusybox{
    "busybox",
    {{}, {"-b", "1024"}, {"-b", "8192"}},
    [](auto& port, auto& options, auto& name, auto& to) {
        return joined({"busybox", "tftp", "-g", "-r", name, "-l", to}, options, {"127.0.0.1", port});
    },
    [](auto& port, auto& options, auto& from, auto& name) {
        return joined({"busybox", "tftp", "-p", "-l", from, "-r", name}, options, {"127.0.0.1", port});
    }};

class TftpClients : public TftpServer, public testing::WithParamInterface<const Client*> {
protected:
    void SetUp() override {
        if (missing(GetParam()->program)) GTEST_SKIP() << GetParam()->program << " is not installed";
        if (GetParam() == &kBusybox && !run_checked({"sh", "-c", "busybox --list | grep -qx tftp"}).ok())
            GTEST_SKIP() << "this busybox has no tftp";
        TftpServer::SetUp();
        std::filesystem::create_directory(dir / "client");
    }
    const Client& client() const { return *GetParam(); }
};

}  // namespace

TEST_P(TftpClients, fetch) {
    for (const auto& options : client().options)
        for (std::string name : {"kernel", "sub/empty"}) {
            std::filesystem::remove(dir / "client/out");
            run(client().get(port(), options, name, "out"), dir / "client");
            EXPECT_EQ(read_text_file(dir / "client/out").value_or("absent"), name == "kernel" ? content : "");
        }
    for (const auto& r : wait_for_reports(2 * client().options.size())) EXPECT_EQ(r.failure, "") << r.file;
}

TEST_P(TftpClients, upload) {
    restart_with_uploads();
    std::size_t count = 0;
    for (const auto& options : client().options)
        for (std::size_t size : {std::size_t{1}, std::size_t{1024}, content.size()}) {
            ASSERT_TRUE(write_file_atomic(dir / "client/from", as_bytes(content).first(size)).ok());
            auto name = fmt::format("in-{}", count++);
            run(client().put(port(), options, "from", name), dir / "client");
            EXPECT_EQ(read_text_file(dir / "in" / name).value_or("absent"), content.substr(0, size));
        }
    for (const auto& r : wait_for_reports(count)) EXPECT_TRUE(r.failure.empty() && r.upload) << r.failure;
}

// 33.7 MB in blocks of 512: the block number rolls over.
TEST_P(TftpClients, a_file_of_more_than_65535_blocks) {
    constexpr std::uint64_t kSize = 33'700'000;
    auto file = open_fd(dir / "root/large", O_RDWR | O_CREAT).value();
    ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
    for (std::uint64_t at : {0ull, 65'534ull * 512, 65'535ull * 512, 65'536ull * 512, 65'537ull * 512, kSize - 9ull})
        ASSERT_TRUE(pwrite_full(file.get(), as_bytes(fmt::format("{:9}", at)), at).ok());
    Argv options = client().options.front();
    if (&client() == &kCurl) options = {"--tftp-no-options"};
    run(client().get(port(), options, "large", "out"), dir / "client");
    EXPECT_TRUE(run_checked({"cmp", (dir / "root/large").string(), (dir / "client/out").string()}).ok());
}

TEST_P(TftpClients, netascii) {
    if (&client() == &kCurl || &client() == &kBusybox) return;  // which know octet alone
    Argv options = &client() == &kHpa ? Argv{"ascii"} : Argv{"--option", "mode netascii"};
    run(client().get(port(), options, "text", "out"), dir / "client");
    bool translates = &client() == &kHpa;  // atftp says netascii and stores what comes
    if (translates) {
        EXPECT_EQ(read_text_file(dir / "client/out").value_or("absent"), text);
    }
    EXPECT_EQ(wait_for_reports(1)[0].failure, "");
    restart_with_uploads();
    ASSERT_TRUE(write_file_atomic(dir / "client/from", as_bytes(text)).ok());
    run(client().put(port(), options, "from", "name"), dir / "client");
    if (translates) {
        EXPECT_EQ(read_text_file(dir / "in/name").value_or("absent"), text);
    }
}

INSTANTIATE_TEST_SUITE_P(Foreign, TftpClients, testing::Values(&kAtftp, &kHpa, &kCurl, &kBusybox),
                         [](const auto& info) { return std::string(info.param->program); });
