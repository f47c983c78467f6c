// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image capture|deploy` by the real program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "imagestore/capture.hpp"
#include "imagestore/store.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/errors.hpp"

using namespace slipway;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::string program() {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return std::string(bin ? bin : "bin") + "/slipway";
}

CommandResult slipway_run(std::vector<std::string> arguments, const CommandOptions& options = {}) {
    arguments.insert(arguments.begin(), {program(), "image"});
    auto r = run_command(arguments, options);
    return r ? *r : CommandResult{};
}

Bytes noise(std::size_t size, unsigned seed = 7) {
    std::mt19937_64 random(seed);
    Bytes out(size);
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        auto word = random();
        std::memcpy(out.data() + i, &word, 8);
    }
    return out;
}

// Runs it with its output dropped; the most memory it ever held, in MiB.
struct Peak {
    int code = -1;
    long mib = 0;
};
Peak peak_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {program(), "image"});
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    auto pid = ::fork();
    if (pid == 0) {
        if (!::freopen("/dev/null", "w", stdout)) ::_exit(126);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    rusage usage{};
    if (::wait4(pid, &status, 0, &usage) != pid) return {};
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, usage.ru_maxrss / 1024};
}

}  // namespace

TEST(ImageProgram, a_disk_of_2_GiB_goes_through_96_MiB) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's own memory is counted too";
#endif
    auto dir = TempDir::create("console").value();
    auto path = [&](const char* name) { return (dir / name).string(); };
    {
        auto disk = disks::FileDisk::create(dir / "disk.img", 2048 * kMiB).value();
        for (unsigned piece = 0; piece < 30; ++piece)
            ASSERT_TRUE(disk->write(piece * 67 * kMiB + 12345, noise(10 * kMiB, piece)).ok());
    }
    auto capture = peak_of(
        {"capture", "--source", path("disk.img"), "--store", path("store"), "--name", "web", "--memory", "48M"});
    EXPECT_EQ(capture.code, kExitDone);
    EXPECT_LE(capture.mib, 96);
    auto deploy = peak_of({"deploy", "--store", path("store"), "--name", "web", "--target", path("back.img"),
                           "--memory", "48M", "--verify"});
    EXPECT_EQ(deploy.code, kExitDone);
    EXPECT_LE(deploy.mib, 96);
    EXPECT_EQ(run_command({"cmp", path("disk.img"), path("back.img")})->exit_code, 0);
    auto little = slipway_run(
        {"capture", "--source", path("disk.img"), "--store", path("store"), "--name", "w", "--memory", "4M"});
    EXPECT_EQ(little.exit_code, kExitFailed);
    EXPECT_NE(little.error_text.find("imagestore.memory"), std::string::npos) << little.error_text;
}

namespace {

std::string run(const std::vector<std::string>& argv, const std::string& input = {}) {
    CommandOptions options;
    options.input = input;
    auto r = run_command(argv, options);
    EXPECT_TRUE(r.ok() && r->ok()) << argv[0] << ": " << (r.ok() ? r->error_text + r->output : r.error().describe());
    return r.ok() ? r->output : "";
}

// A store, and a disk of 96 MiB: GPT, ext4 with one file of noise in partition 2, which starts 512 KiB beside a MiB.
struct Bench {
    TempDir dir = TempDir::create("console").value();
    static constexpr std::uint64_t kOffset = 8 * kMiB + kMiB / 2, kLength = 64 * kMiB;

    std::string path(const std::string& name) const { return (dir / name).string(); }
    Bench() {
        {
            auto made = disks::FileDisk::create(dir / "disk.img", 96 * kMiB);
            EXPECT_TRUE(made.ok());
        }
        run({"sfdisk", "-q", path("disk.img")},
            "label: gpt\nstart=2048,size=4096,type=uefi\nstart=17408,size=131072,name=root\n");
        std::filesystem::create_directories(dir / "tree");
        EXPECT_TRUE(write_file_atomic(dir / "tree/noise", noise(5 * kMiB)).ok());
        run({"mke2fs", "-q", "-t", "ext4", "-F", "-d", path("tree"), "-E", fmt::format("offset={}", kOffset),
             path("disk.img"), "64M"});
    }
    CommandResult capture(std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"capture", "--source", path("disk.img"), "--store", path("store"),
                                       "--name",  "web"};
        words.insert(words.end(), more.begin(), more.end());
        return slipway_run(words);
    }
    CommandResult deploy(const std::string& target, std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"deploy", "--store", path("store"), "--name", "web", "--target", target};
        words.insert(words.end(), more.begin(), more.end());
        return slipway_run(words);
    }
    std::unique_ptr<disks::FileDisk> open(const std::string& name) const {
        return disks::FileDisk::open(dir / name, disks::OpenMode::ReadWrite).value();
    }
    void make(const std::string& name, std::uint64_t size) const {
        EXPECT_TRUE(disks::FileDisk::create(dir / name, size).ok());
    }
    // The file system there is whole and has the file.
    void expect_file(const std::string& name, std::uint64_t offset) const {
        auto place = fmt::format("{}?offset={}", path(name), offset);
        run({"e2fsck", "-fn", place});
        run({"debugfs", "-R", "dump /noise " + path("noise.back"), place});
        run({"cmp", path("tree/noise"), path("noise.back")});
        std::filesystem::remove(dir / "noise.back");
    }
};

}  // namespace

TEST(ImageProgram, a_larger_target_gets_the_backup_table_at_its_end_and_a_grown_file_system) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    bench.make("plain.img", 160 * kMiB);
    auto plain = bench.deploy(bench.path("plain.img"), {"--resume"});
    EXPECT_EQ(plain.exit_code, kExitDone) << plain.output << plain.error_text;
    auto verdict = run({"sfdisk", "--verify", bench.path("plain.img")});
    EXPECT_NE(verdict.find("No errors detected"), std::string::npos) << verdict;
    Bytes header(8);
    ASSERT_TRUE(bench.open("plain.img")->read(160 * kMiB - 512, header).ok());
    EXPECT_EQ(as_text(header), "EFI PART");

    bench.make("grown.img", 160 * kMiB);
    auto grown = bench.deploy(bench.path("grown.img"), {"--resume", "--grow", "2", "--verify", "--json"});
    EXPECT_EQ(grown.exit_code, kExitDone) << grown.output << grown.error_text;
    EXPECT_NE(grown.output.find(fmt::format("\"length\":{}", 159 * kMiB - Bench::kOffset)), std::string::npos)
        << grown.output;
    bench.expect_file("grown.img", Bench::kOffset);
    auto info = run({"dumpe2fs", "-h", fmt::format("{}?offset={}", bench.path("grown.img"), Bench::kOffset)});
    EXPECT_NE(info.find(fmt::format("Block count:              {}\n", (159 * kMiB - Bench::kOffset) / 1024)),
              std::string::npos)
        << info;

    EXPECT_NE(bench.deploy(bench.path("new.img"), {"--grow", "7"}).error_text.find("imagestore.no-partition"),
              std::string::npos);
    bench.make("small.img", 80 * kMiB);
    auto small = bench.deploy(bench.path("small.img"), {"--resume"});
    EXPECT_EQ(small.exit_code, kExitFailed);
    EXPECT_NE(small.error_text.find(fmt::format("{} bytes are wanting", 16 * kMiB)), std::string::npos);
    EXPECT_NE(small.error_text.find("its last partition would fit"), std::string::npos) << small.error_text;
}

TEST(ImageProgram, a_new_version_over_the_old_one_writes_what_changed_unless_that_is_forbidden) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    ASSERT_EQ(bench.deploy(bench.path("disk1.img")).exit_code, kExitDone);
    ASSERT_TRUE(write_file_atomic(bench.dir / "news", as_bytes("of version 2")).ok());
    run({"debugfs", "-w", "-R", "write " + bench.path("news") + " news",
         fmt::format("{}?offset={}", bench.path("disk.img"), Bench::kOffset)});
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    auto number = [](const CommandResult& ran, const char* name) {
        return boost::json::parse(ran.output).at(name).to_number<std::uint64_t>();
    };
    const std::vector<std::string> into{"--volume", "2", "--partition", "2", "--json", "--compare"};
    auto with = [&](const char* compare) {
        run({"cp", bench.path("disk1.img"), bench.path("disk2.img")});
        auto words = into;
        words.emplace_back(compare);
        auto ran = bench.deploy(bench.path("disk2.img"), words);
        EXPECT_EQ(ran.exit_code, kExitDone) << ran.error_text;
        bench.expect_file("disk2.img", Bench::kOffset);
        EXPECT_EQ(
            run({"debugfs", "-R", "cat /news", fmt::format("{}?offset={}", bench.path("disk2.img"), Bench::kOffset)}),
            "of version 2");
        return ran;
    };
    auto kept = with("auto");
    EXPECT_GE(number(kept, "kept_chunks"), 5u);
    EXPECT_LE(number(kept, "written_bytes"), (number(kept, "data_chunks") - number(kept, "kept_chunks")) * kMiB);
    EXPECT_GT(number(kept, "sampled_equal"), 0u);
    EXPECT_EQ(number(with("always"), "sampled_chunks"), 0u);
    EXPECT_EQ(number(with("never"), "kept_chunks"), 0u);
    EXPECT_EQ(bench.deploy(bench.path("disk2.img"), {"--compare", "perhaps"}).exit_code, kExitUsage);
}

TEST(ImageProgram, one_volume_goes_into_a_partition_of_another_disk_and_nothing_beside_it_is_touched) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    bench.make("other.img", 200 * kMiB);
    run({"sfdisk", "-q", bench.path("other.img")},
        "label: dos\nstart=2048,size=32768,type=83\nstart=34816,size=200000,type=83\n");
    {
        auto other = bench.open("other.img");
        ASSERT_TRUE(other->write(17 * kMiB, Bytes(170 * kMiB, std::byte{0xa5})).ok());
    }
    auto laid = bench.deploy(bench.path("other.img"), {"--volume", "2", "--partition", "2", "--verify"});
    EXPECT_EQ(laid.exit_code, kExitDone) << laid.output << laid.error_text;
    bench.expect_file("other.img", 17 * kMiB);
    Bytes beside(512);
    ASSERT_TRUE(bench.open("other.img")->read(17 * kMiB + Bench::kLength, beside).ok());
    EXPECT_EQ(beside, Bytes(512, std::byte{0xa5}));
    EXPECT_NE(run({"sfdisk", "-d", bench.path("other.img")}).find("start=       34816"), std::string::npos);

    auto small = bench.deploy(bench.path("other.img"), {"--volume", "2", "--partition", "1"});
    EXPECT_NE(small.error_text.find("imagestore.target-too-small"), std::string::npos) << small.error_text;
    auto absent = bench.deploy(bench.path("other.img"), {"--volume", "2", "--partition", "5"});
    EXPECT_NE(absent.error_text.find("has no partition 5"), std::string::npos) << absent.error_text;
    auto file = bench.deploy(bench.path("root.img"), {"--volume", "2"});
    EXPECT_EQ(file.exit_code, kExitDone) << file.error_text;
    EXPECT_EQ(std::filesystem::file_size(bench.dir / "root.img"), Bench::kLength);
    bench.expect_file("root.img", 0);
}

TEST(ImageProgram, a_disk_goes_out_through_a_pipe) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    auto shell = [&](const std::string& more) {
        return run_command({"/bin/sh", "-c",
                            program() + " image deploy --store " + bench.path("store") + " --name web --target - " +
                                more + " > " + bench.path("out.img")})
            .value();
    };
    auto out = shell("--json");
    EXPECT_EQ(out.exit_code, kExitDone) << out.error_text;
    EXPECT_NE(out.error_text.find("\"written_bytes\":100663296"), std::string::npos) << out.error_text;
    bench.expect_file("out.img", Bench::kOffset);
    EXPECT_EQ(run({"sfdisk", "-d", bench.path("out.img")}).find("error"), std::string::npos);
    ASSERT_EQ(shell("--volume 2").exit_code, kExitDone);
    EXPECT_EQ(std::filesystem::file_size(bench.dir / "out.img"), Bench::kLength);
    bench.expect_file("out.img", 0);
    auto refused = shell("--verify");
    EXPECT_EQ(refused.exit_code, kExitUsage);
    EXPECT_NE(refused.error_text.find("console.usage"), std::string::npos) << refused.error_text;
}

TEST(ImageProgram, a_second_pass_tells_what_changed_against_the_base) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    run({"debugfs", "-w", "-R", "rm /noise", fmt::format("{}?offset={}", bench.path("disk.img"), Bench::kOffset)});
    auto again = bench.capture({"--base", "web"});
    ASSERT_EQ(again.exit_code, kExitDone) << again.error_text;
    EXPECT_NE(again.output.find("against web@1: "), std::string::npos) << again.output;
    auto absent = bench.capture({"--base", "other"});
    EXPECT_NE(absent.error_text.find("imagestore.no-image"), std::string::npos) << absent.error_text;
}

TEST(ImageProgram, one_partition_is_captured_as_an_image_of_its_own) {
    Bench bench;
    auto captured = bench.capture({"--volume", "2", "--json"});
    ASSERT_EQ(captured.exit_code, kExitDone) << captured.error_text;
    EXPECT_NE(captured.output.find(fmt::format("\"disk_bytes\":{}", Bench::kLength)), std::string::npos);
    ASSERT_EQ(bench.deploy(bench.path("root.img"), {"--verify"}).exit_code, kExitDone);
    bench.expect_file("root.img", 0);
    bench.make("other.img", 200 * kMiB);
    run({"sfdisk", "-q", bench.path("other.img")}, "label: dos\nstart=4096,size=200000,type=83\n");
    auto laid = bench.deploy(bench.path("other.img"), {"--partition", "1"});
    ASSERT_EQ(laid.exit_code, kExitDone) << laid.error_text;
    bench.expect_file("other.img", 2 * kMiB);
    auto absent = bench.capture({"--volume", "7"});
    EXPECT_NE(absent.error_text.find("imagestore.no-partition"), std::string::npos) << absent.error_text;
}

TEST(ImageProgram, a_disk_comes_in_through_a_pipe) {
    Bench bench;
    auto command = "cat " + bench.path("disk.img") + " | " + program() + " image capture --source - --store " +
                   bench.path("store") + " --name web --memory 48M";
    run({"/bin/sh", "-c", command});
    auto shown = slipway_run({"show", "web", "--store", bench.path("store")}).output;
    EXPECT_NE(shown.find("gpt"), std::string::npos) << shown;
    ASSERT_EQ(bench.deploy(bench.path("back.img")).exit_code, kExitDone);
    run({"cmp", bench.path("disk.img"), bench.path("back.img")});
    auto alone =
        slipway_run({"capture", "--source", "-", "--source", "x", "--store", bench.path("store"), "--name", "web"});
    EXPECT_NE(alone.error_text.find("console.usage"), std::string::npos) << alone.error_text;
}

namespace {

// The disk's file system, mounted read-write through a loop device on the disk's file.
struct MountedRoot {
    std::string device, point, reason;
    explicit MountedRoot(const Bench& bench) : point(bench.path("point")) {
        auto made = run_command({"losetup", "--find", "--show", "--offset", std::to_string(Bench::kOffset),
                                 "--sizelimit", std::to_string(Bench::kLength), bench.path("disk.img")});
        if (!made.ok() || !made->ok()) {
            reason = "no loop device can be made here";
            return;
        }
        device = made->output.substr(0, made->output.find('\n'));
        std::filesystem::create_directories(point);
        auto mounted = run_command({"mount", device, point});
        if (!mounted.ok() || !mounted->ok()) reason = "mount is not allowed here";
    }
    ~MountedRoot() {
        (void)run_command({"umount", point});
        if (!device.empty()) (void)run_command({"losetup", "--detach", device});
    }
};

}  // namespace

TEST(ImageProgram, a_mounted_volume_is_refused_and_by_live_becomes_a_base_that_cannot_be_deployed) {
    Bench bench;
    MountedRoot loop(bench);
    if (!loop.reason.empty()) GTEST_SKIP() << loop.reason;
    std::vector<std::string> words{"capture", "--source", loop.device, "--store", bench.path("store"), "--name", "web"};
    auto refused = slipway_run(words);
    EXPECT_EQ(refused.exit_code, kExitFailed);
    EXPECT_NE(refused.error_text.find("--live"), std::string::npos) << refused.error_text;
    EXPECT_NE(refused.error_text.find(loop.point), std::string::npos) << refused.error_text;
    words.emplace_back("--live");
    auto live = slipway_run(words);
    EXPECT_EQ(live.exit_code, kExitWarnings) << live.error_text;
    EXPECT_NE(live.output.find("INCONSISTENT"), std::string::npos) << live.output;
    for (const char* word : {"list", "show"}) {
        std::vector<std::string> look{word, "--store", bench.path("store")};
        if (std::string(word) == "show") look.emplace_back("web");
        EXPECT_NE(to_lower(slipway_run(look).output).find("inconsistent"), std::string::npos) << word;
    }
    auto deployed = bench.deploy(bench.path("back.img"));
    EXPECT_NE(deployed.error_text.find("imagestore.inconsistent"), std::string::npos) << deployed.error_text;
    EXPECT_FALSE(std::filesystem::exists(bench.path("back.img")));
    run({"umount", loop.point});
    words.back() = "--base";
    words.emplace_back("web");
    auto rest = slipway_run(words);
    EXPECT_EQ(rest.exit_code, kExitDone) << rest.error_text;
    EXPECT_NE(rest.output.find("against web@1"), std::string::npos) << rest.output;
    EXPECT_EQ(bench.deploy(bench.path("back.img")).exit_code, kExitDone);
}

TEST(ImageProgram, the_file_under_a_mounted_loop_device_is_neither_captured_nor_overwritten) {
    Bench bench;
    ASSERT_EQ(bench.capture().exit_code, kExitDone);
    MountedRoot loop(bench);
    if (!loop.reason.empty()) GTEST_SKIP() << loop.reason;
    auto capture = bench.capture();
    EXPECT_EQ(capture.exit_code, kExitFailed);
    EXPECT_NE(capture.error_text.find("console.source-in-use"), std::string::npos) << capture.error_text;
    EXPECT_NE(capture.error_text.find(loop.point), std::string::npos) << capture.error_text;
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{"--resume"}, {"--volume", "2", "--partition", "2"}}) {
        auto deploy = bench.deploy(bench.path("disk.img"), more);
        EXPECT_EQ(deploy.exit_code, kExitFailed);
        EXPECT_NE(deploy.error_text.find("console.target-in-use"), std::string::npos) << deploy.error_text;
    }
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(loop.point) / "noise"));
}

TEST(ImageProgram, a_pipe_that_was_cut_is_named_and_makes_no_image) {
    Bench bench;
    auto cut = run_command({"/bin/sh", "-c",
                            "head -c 50000384 " + bench.path("disk.img") + " | " + program() +
                                " image capture --source - --name web --store " + bench.path("store")})
                   .value();
    EXPECT_EQ(cut.exit_code, kExitFailed);
    EXPECT_NE(cut.error_text.find("imagestore.cut-source"), std::string::npos) << cut.error_text;
    EXPECT_NE(cut.error_text.find("start it again"), std::string::npos) << cut.error_text;
    EXPECT_EQ(slipway_run({"list", "--store", bench.path("store")}).output.find("web"), std::string::npos);
}

TEST(ImageProgram, a_hibernated_volume_stops_the_capture_before_anything_is_sent) {
    Bench bench;
    auto swap = bench.path("swap.img");
    bench.make("swap.img", 8 * kMiB);
    run({"mkswap", "-q", swap});
    ASSERT_TRUE(bench.open("swap.img")->write(4086, as_bytes("S1SUSPEND")).ok());
    std::vector<std::string> words{"capture", "--source", swap, "--store", bench.path("store"), "--name", "web"};
    auto refused = slipway_run(words);
    EXPECT_EQ(refused.exit_code, kExitFailed);
    EXPECT_NE(refused.error_text.find("console.hibernated"), std::string::npos) << refused.error_text;
    EXPECT_NE(refused.error_text.find("warning: swap.img (swap) is taken sector by sector"), std::string::npos)
        << refused.error_text;
    EXPECT_TRUE(slipway_run({"list", "--store", bench.path("store")}).output.find("web") == std::string::npos);
    words.emplace_back("--allow-hibernated");
    EXPECT_EQ(slipway_run(words).exit_code, kExitDone);
}

TEST(ImageProgram, a_lost_range_is_shown_and_a_deploy_names_the_volume_it_hits) {
    Bench bench;
    {
        auto disk = bench.open("disk.img");
        constexpr std::uint64_t kBad = Bench::kOffset + 8 * kMiB;
        disks::FaultLayer failing(*disk,
                                  [](disks::FaultLayer::Op, std::uint64_t offset, std::uint64_t length) -> Status {
                                      if (offset <= kBad && kBad < offset + length)
                                          return make_error(disks::errors::kRead, "bad sector");
                                      return {};
                                  });
        imagestore::StoreOptions options;
        options.create = true;
        auto store = imagestore::Store::open(bench.dir / "store", options).value();
        imagestore::CaptureRequest request;
        request.name = "web";
        request.all_sectors = true;
        request.disks = {{&failing, {"sda", "", "", 0, 0, 0}, std::nullopt}};
        ASSERT_EQ(imagestore::capture_disks(request, *store->writer().value())->losses.size(), 1u);
    }
    const std::string place = fmt::format("4096 bytes at byte {} of sda, in sda2 (ext", Bench::kOffset + 8 * kMiB);
    auto shown = slipway_run({"show", "web", "--store", bench.path("store")});
    EXPECT_NE(shown.output.find("LOST at the source, zero here: " + place), std::string::npos) << shown.output;
    auto deployed = bench.deploy(bench.path("back.img"));
    EXPECT_EQ(deployed.exit_code, kExitLosses);
    EXPECT_NE(deployed.output.find(place), std::string::npos) << deployed.output;
    EXPECT_EQ(bench.deploy(bench.path("boot.img"), {"--volume", "1"}).exit_code, kExitDone);  // not hit
}
