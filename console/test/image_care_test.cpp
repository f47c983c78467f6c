// SPDX-License-Identifier: GPL-3.0-or-later
// What the image commands say and refuse where a slip would cost an image, a disk or an hour: by the real program.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "console/test/program.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::console;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMiB = 1u << 20;

struct Care {
    TempDir dir = TempDir::create("care").value();
    std::string path(const std::string& name) const { return (dir / name).string(); }

    // A disk of noise, another one for each seed.
    void make_disk(const std::string& name, unsigned seed, std::size_t size = 6 * kMiB) const {
        std::mt19937_64 random(seed);
        Bytes content(size);
        for (auto& b : content) b = static_cast<std::byte>(random());
        content[510] = std::byte{0};  // no partition table by chance
        EXPECT_TRUE(write_file_atomic(dir / name, content).ok());
    }
    Run image(std::vector<std::string> words) const {
        words.insert(words.begin(), "image");
        words.insert(words.end(), {"--store", path("store")});
        return slipway_run(words);
    }
    void capture(unsigned seed) const {
        make_disk("disk.img", seed);
        auto r = image({"capture", "--source", path("disk.img"), "--name", "web"});
        EXPECT_EQ(r.code, kExitDone) << r.error;
    }
    std::string list() const { return image({"list"}).out; }
};

bool says(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

// Its standard error as far as it has come, until `what` is in it or it ends.
bool says_at_last(int fd, const std::string& what) {
    std::string text;
    for (char buffer[4096];;) {
        auto n = ::read(fd, buffer, sizeof buffer);
        if (n <= 0) return false;
        text.append(buffer, static_cast<std::size_t>(n));
        if (says(text, what)) return true;
    }
}

struct Pipe {
    UniqueFd reading, writing;
    Pipe() {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        reading = UniqueFd(ends[0]);
        writing = UniqueFd(ends[1]);
    }
};

}  // namespace

TEST(ImageCare, a_name_of_several_versions_is_deleted_only_when_that_is_said) {
    Care care;
    for (unsigned seed : {1u, 2u, 3u}) care.capture(seed);
    auto refused = care.image({"delete", "web"});
    EXPECT_EQ(refused.code, kExitFailed);
    EXPECT_TRUE(says(refused.error, "web has 3 versions, web@1 to web@3; nothing was deleted")) << refused.error;
    EXPECT_TRUE(says(refused.error, "--all-versions")) << refused.error;
    EXPECT_TRUE(says(care.list(), "web@2"));
    EXPECT_EQ(care.image({"delete", "web@2"}).code, kExitDone);
    EXPECT_FALSE(says(care.list(), "web@2"));
    EXPECT_EQ(care.image({"delete", "web@1", "--all-versions"}).code, kExitUsage);
    auto all = care.image({"delete", "web", "--all-versions"});
    EXPECT_EQ(all.code, kExitDone) << all.error;
    EXPECT_TRUE(says(all.out, "deleted web@1") && says(all.out, "deleted web@3")) << all.out;
    // The only version there is needs no more words.
    care.capture(4);
    EXPECT_EQ(care.image({"delete", "web"}).code, kExitDone);
    EXPECT_TRUE(says(care.image({"delete", "web"}).error, "imagestore.no-image"));
}

TEST(ImageCare, gc_with_a_shorter_grace_frees_what_a_day_would_keep) {
    Care care;
    care.capture(1);
    ASSERT_EQ(care.image({"delete", "web"}).code, kExitDone);
    auto kept = care.image({"gc"});
    EXPECT_TRUE(says(kept.out, "0 packs removed") && says(kept.out, "within 24 hours")) << kept.out;
    auto hour = care.image({"gc", "--grace", "1h"});
    EXPECT_TRUE(says(hour.out, "0 packs removed")) << hour.out;
    // Used an hour and a half ago.
    auto then = std::to_string(::time(nullptr) - 5400);
    for (const auto& entry : fs::recursive_directory_iterator(care.dir / "store"))
        if (entry.is_regular_file()) run_command({"touch", "-d", "@" + then, entry.path().string()}).value();
    EXPECT_TRUE(says(care.image({"gc", "--grace", "2h"}).out, "0 packs removed"));
    auto freed = care.image({"gc", "--grace", "1h"});
    EXPECT_EQ(freed.code, kExitDone) << freed.error;
    EXPECT_FALSE(says(freed.out, " 0 packs removed")) << freed.out;
    for (const char* bad : {"soon", "-1h", "3w"}) EXPECT_EQ(care.image({"gc", "--grace", bad}).code, kExitUsage) << bad;
}

TEST(ImageCare, a_damaged_store_names_the_way_to_heal_it) {
    Care care;
    care.capture(1);
    EXPECT_FALSE(says(care.image({"verify"}).out, "--heal"));
    for (const auto& entry : fs::directory_iterator(care.dir / "store/packs")) {
        auto bytes = read_file(entry.path(), 64 * kMiB).value();
        bytes[bytes.size() / 2] ^= std::byte{1};
        ASSERT_TRUE(write_file_atomic(entry.path(), bytes).ok());
    }
    auto hurt = care.image({"verify"});
    EXPECT_EQ(hurt.code, kExitFailed);
    EXPECT_TRUE(says(hurt.out, "DAMAGED") && says(hurt.out, "next: `slipway image verify --heal")) << hurt.out;
    EXPECT_TRUE(says(care.image({"verify", "--json"}).out, "\"next_step\""));
    auto healed = care.image({"verify", "--heal"});
    EXPECT_TRUE(says(healed.out, "set aside 1 damaged packs") && !says(healed.out, "next:")) << healed.out;
}

TEST(ImageCare, one_disk_given_twice_is_not_two) {
    Care care;
    care.make_disk("disk.img", 1);
    fs::create_symlink("disk.img", care.dir / "link.img");
    fs::copy_file(care.dir / "disk.img", care.dir / "other.img");
    for (const char* second : {"disk.img", "link.img", "./disk.img"}) {
        auto r =
            care.image({"capture", "--source", care.path("disk.img"), "--source", care.path(second), "--name", "web"});
        EXPECT_EQ(r.code, kExitUsage) << second;
        EXPECT_TRUE(says(r.error, "are the same disk")) << r.error;
    }
    auto two =
        care.image({"capture", "--source", care.path("disk.img"), "--source", care.path("other.img"), "--name", "web"});
    EXPECT_EQ(two.code, kExitDone) << two.error;
}

TEST(ImageCare, a_new_vhd_without_a_format_is_refused_and_nothing_is_made) {
    Care care;
    care.capture(1);
    for (const char* name : {"web.vhd", "web.VHD"}) {
        auto r = care.image({"deploy", "--name", "web", "--target", care.path(name)});
        EXPECT_EQ(r.code, kExitUsage);
        EXPECT_TRUE(says(r.error, "--format vhd-fixed or vhd-dynamic")) << r.error;
        EXPECT_FALSE(fs::exists(care.dir / name));
    }
    auto meant = care.image({"deploy", "--name", "web", "--target", care.path("web.vhd"), "--format", "raw"});
    EXPECT_EQ(meant.code, kExitDone) << meant.error;
    EXPECT_EQ(fs::file_size(care.dir / "web.vhd"), 6 * kMiB);
}

TEST(ImageCare, partitions_left_out_are_told_when_the_image_is_deployed) {
    Care care;
    care.make_disk("disk.img", 1, 24 * kMiB);
    CommandOptions table;
    table.input = "label: dos\nstart=2048, size=8M, type=83\nsize=8M, type=83\n";
    if (!run_command({"sfdisk", "-q", care.path("disk.img")}, table).ok()) GTEST_SKIP() << "sfdisk is not installed";
    ASSERT_EQ(care.image({"capture", "--source", care.path("disk.img"), "--name", "web", "--exclude", "2"}).code,
              kExitDone);
    auto whole = care.image({"deploy", "--name", "web", "--target", care.path("back.img")});
    EXPECT_EQ(whole.code, kExitWarnings) << whole.error;
    EXPECT_TRUE(says(whole.out, "warning: disk.img2 (8.0 MiB) was left out of the image")) << whole.out;
    auto first = care.image({"deploy", "--name", "web", "--volume", "1", "--target", care.path("one.img")});
    EXPECT_EQ(first.code, kExitDone) << first.out;
    auto second = care.image({"deploy", "--name", "web", "--volume", "2", "--target", care.path("two.img")});
    EXPECT_EQ(second.code, kExitFailed);
    EXPECT_TRUE(says(second.error, "partition 2 was left out of the image")) << second.error;
}

TEST(ImageCare, an_import_from_a_pipe_that_brings_nothing_ends_by_a_signal) {
    Care care;
    const auto fifo = care.path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    for (bool writer : {false, true}) {
        UniqueFd opened(::inotify_init1(IN_CLOEXEC));
        ASSERT_GE(::inotify_add_watch(opened.get(), fifo.c_str(), IN_OPEN), 0);
        Pipe error;
        auto child = Child::spawn({slipway_program(), "image", "import", "--from", fifo, "--store", care.path("store")},
                                  {-1, -1, error.writing.get()})
                         .value();
        error.writing.reset();
        pollfd event{opened.get(), POLLIN, 0};
        ASSERT_EQ(::poll(&event, 1, 60'000), 1) << "it hangs in open()";
        UniqueFd end;
        if (writer) end = UniqueFd(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
        EXPECT_EQ(end.valid(), writer);
        child.signal(SIGTERM);
        EXPECT_TRUE(says_at_last(error.reading.get(), "the import was cancelled"));
        EXPECT_EQ(child.wait(), kExitFailed);
    }
}

TEST(ImageCare, an_interrupted_deploy_names_the_way_on_and_goes_on_there) {
    Care care;
    care.capture(1);
    std::vector<std::string> words{slipway_program(),    "image",  "deploy", "--store",
                                   care.path("store"),   "--name", "web",    "--target",
                                   care.path("back.img")};
    auto slow = words;
    slow.insert(slow.end(), {"--limit-rate", "1M"});
    Pipe error;
    auto child = Child::spawn(slow, {-1, -1, error.writing.get()}).value();
    error.writing.reset();
    ASSERT_TRUE(says_at_last(error.reading.get(), "deploying"));
    child.signal(SIGINT);
    EXPECT_TRUE(says_at_last(error.reading.get(), "with --resume"));
    EXPECT_EQ(child.wait(), kExitFailed);
    words.emplace_back("--resume");
    EXPECT_EQ(slipway_run({words.begin() + 1, words.end()}).code, kExitDone);
    EXPECT_TRUE(run_command({"cmp", care.path("disk.img"), care.path("back.img")})->ok());
}
