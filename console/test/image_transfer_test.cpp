// SPDX-License-Identifier: GPL-3.0-or-later
// Export, import, versions, diff and rollback by the real program.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <random>
#include <thread>

#include <boost/json.hpp>

#include "console/test/program.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::console;
namespace json = boost::json;

namespace {

constexpr std::size_t kMiB = 1u << 20;

struct Desk {
    TempDir dir = TempDir::create("transfer").value();
    Bytes content = Bytes(12 * kMiB);

    Desk() {
        std::mt19937 random(9);
        for (auto& b : content) b = static_cast<std::byte>(random());
    }
    std::string path(const char* name) const { return (dir / name).string(); }
    void capture() {
        ASSERT_TRUE(write_file_atomic(path("disk.img"), content).ok());
        auto r = run({"capture", "--source", path("disk.img"), "--store", path("s"), "--name", "web"});
        ASSERT_EQ(r.code, kExitDone) << r.error;
    }
    static Run run(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "image");
        return slipway_run(std::move(arguments));
    }
    static json::value document(std::vector<std::string> arguments) {
        arguments.emplace_back("--json");
        auto r = run(std::move(arguments));
        EXPECT_EQ(r.code, kExitDone) << r.out << r.error;
        boost::system::error_code failed;
        return json::parse(r.out, failed);
    }
    Bytes deployed(const char* store, const std::string& name) {
        auto target = path("out.img");
        std::filesystem::remove(target);
        auto r = run({"deploy", "--store", path(store), "--name", name, "--target", target});
        EXPECT_EQ(r.code, kExitDone) << r.error;
        return read_file(target).value_or({});
    }
};

std::uint64_t number(const json::value& document, const char* pointer) {
    return document.at_pointer(pointer).to_number<std::uint64_t>();
}

}  // namespace

TEST(ImageTransfer, an_image_goes_by_file_and_by_pipe_and_deploys_the_same) {
    Desk desk;
    desk.capture();
    auto out = desk.document({"export", "web", "--store", desk.path("s"), "--to", desk.dir.path().string()});
    auto file = std::string(out.at_pointer("/file").as_string());
    EXPECT_EQ(file, desk.path("web@1.slipimg"));
    EXPECT_EQ(number(out, "/chunks"), 12u);
    auto in = desk.document({"import", "--from", file, "--store", desk.path("other")});
    EXPECT_EQ(in.at_pointer("/image").as_string(), "web@1");
    EXPECT_EQ(desk.deployed("other", "web"), desk.content);
    EXPECT_EQ(desk.run({"verify", "--store", desk.path("other")}).code, kExitDone);

    auto piped = run_command({"/bin/sh", "-c",
                              "\"$0\" image export web --store \"$1\" --to - | "
                              "\"$0\" image import --from - --store \"$2\" --name copy",
                              slipway_program(), desk.path("s"), desk.path("piped")});
    ASSERT_TRUE(piped.ok() && piped->ok()) << piped->error_text;
    EXPECT_EQ(desk.deployed("piped", "copy@1"), desk.content);

    auto again = desk.run({"export", "web", "--store", desk.path("s"), "--to", file});
    EXPECT_EQ(again.code, kExitFailed);
    EXPECT_NE(again.error.find("base.exists"), std::string::npos) << again.error;
}

TEST(ImageTransfer, an_import_killed_half_way_leaves_no_image_and_goes_on_when_run_again) {
    Desk desk;
    desk.capture();
    auto file = desk.path("web.slipimg");
    ASSERT_EQ(desk.run({"export", "web", "--store", desk.path("s"), "--to", file}).code, kExitDone);
    auto archive = read_file(file).value();
    {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        UniqueFd from(ends[0]), to(ends[1]);
        auto child = Child::spawn({slipway_program(), "image", "import", "--from", "-", "--store", desk.path("other")},
                                  {from.get(), -1, -1});
        ASSERT_TRUE(child.ok());
        ASSERT_TRUE(write_full(to.get(), ByteView(archive).first(archive.size() / 2)).ok());
        // Once it has taken all that came, it waits in the middle of a chunk.
        for (int left = 1; left != 0;) {
            ASSERT_EQ(::ioctl(from.get(), FIONREAD, &left), 0);
            std::this_thread::yield();
        }
        child->signal(SIGKILL);
        EXPECT_EQ(child->wait(), 128 + SIGKILL);
    }
    EXPECT_EQ(desk.run({"show", "web", "--store", desk.path("other")}).code, kExitFailed);
    auto in = desk.document({"import", "--from", file, "--store", desk.path("other")});
    EXPECT_EQ(number(in, "/chunks"), 12u);
    EXPECT_LE(number(in, "/stored_chunks"), 8u);  // five or more of the first half were kept
    EXPECT_EQ(desk.deployed("other", "web"), desk.content);
    EXPECT_EQ(desk.run({"verify", "--store", desk.path("other")}).code, kExitDone);
}

TEST(ImageTransfer, a_file_that_is_no_image_is_named_and_nothing_is_added) {
    Desk desk;
    ASSERT_TRUE(write_file_atomic(desk.path("junk"), desk.content).ok());
    auto r = desk.run({"import", "--from", desk.path("junk"), "--store", desk.path("s")});
    EXPECT_EQ(r.code, kExitFailed);
    EXPECT_NE(r.error.find("imagestore.bad-archive"), std::string::npos) << r.error;
    EXPECT_NE(r.error.find("what to do:"), std::string::npos) << r.error;
}

TEST(ImageVersions, tell_what_changed_and_an_earlier_one_comes_back) {
    Desk desk;
    desk.capture();
    auto first = desk.content;
    desk.content[3 * kMiB + 5] ^= std::byte{1};                            // one chunk changed
    std::fill_n(desk.content.begin() + 6 * kMiB, 2 * kMiB, std::byte{0});  // two gone
    desk.capture();

    auto diff = desk.document({"diff", "web", "--store", desk.path("s")});
    EXPECT_EQ(diff.at_pointer("/a").as_string(), "web@1");
    EXPECT_EQ(number(diff, "/changed_bytes"), kMiB);
    EXPECT_EQ(number(diff, "/removed_bytes"), 2 * kMiB);
    EXPECT_EQ(number(diff, "/added_bytes"), 0u);
    EXPECT_EQ(number(diff, "/disks/0/same_chunks"), 9u);
    auto back = desk.document({"diff", "web@2", "web@1", "--store", desk.path("s")});
    EXPECT_EQ(number(back, "/added_bytes"), 2 * kMiB);

    auto rolled = desk.document({"rollback", "web@1", "--store", desk.path("s")});
    EXPECT_EQ(rolled.at_pointer("/image").as_string(), "web@3");
    EXPECT_EQ(desk.deployed("s", "web"), first);
    auto versions = desk.document({"show", "web", "--versions", "--store", desk.path("s")});
    EXPECT_EQ(number(versions, "/versions/0/new_bytes"), 12 * kMiB);
    EXPECT_EQ(number(versions, "/versions/1/new_bytes"), kMiB);
    EXPECT_GT(number(versions, "/versions/1/new_stored_bytes"), 0u);
    EXPECT_EQ(number(versions, "/versions/2/new_bytes"), 2 * kMiB + kMiB);  // against the one before it
    EXPECT_EQ(versions.at_pointer("/versions/2/same_as").as_string(), "web@1");
    EXPECT_EQ(versions.at_pointer("/versions/2/created"), versions.at_pointer("/versions/0/created"));

    auto twice = desk.document({"rollback", "web@1", "--store", desk.path("s")});
    EXPECT_FALSE(twice.at_pointer("/changed").as_bool());
    EXPECT_EQ(desk.run({"rollback", "web", "--store", desk.path("s")}).code, kExitUsage);
    EXPECT_EQ(desk.run({"diff", "web@1", "--store", desk.path("s")}).code, kExitFailed);
}
