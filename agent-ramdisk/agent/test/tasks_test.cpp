// SPDX-License-Identifier: GPL-3.0-or-later
// Tasks that need no server, on files as disks. What needs one is in tests/faults and tests/lab.
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/image_tasks.hpp"
#include "agent-ramdisk/agent/task.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/layout.hpp"

using namespace slipway;
using namespace slipway::agent;

namespace {

struct Bench {
    TempDir dir = TempDir::create("agent").value();
    std::string disk = (dir / "disk.img").string();
    std::unique_ptr<Machine> machine;
    LinkOptions link;
    Self self;
    std::atomic<bool> cancel{false};
    UniqueFd cancel_event{::eventfd(0, EFD_CLOEXEC)};
    std::vector<std::string> log;

    Bench() {
        EXPECT_TRUE(disks::FileDisk::create(disk, 64u << 20).ok());
        machine = file_machine({disk});
    }
    TaskContext context(channel::Parameters parameters) {
        return {*machine, link,
                self,     std::move(parameters),
                {},       [this](const std::string& l) { log.push_back(l); },
                cancel,   cancel_event.get()};
    }
    Result<TaskOutcome> run(const std::string& type, channel::Parameters parameters) {
        auto given = context(std::move(parameters));
        auto tasks = device_tasks();
        return tasks.at(type)(given);
    }
    Result<TaskOutcome> disk_task(channel::Parameters parameters) {
        parameters.emplace("disk", "sda");
        return run("disk", std::move(parameters));
    }
    disks::DiskLayout layout() {
        auto device = disks::FileDisk::open(disk, disks::OpenMode::ReadOnly).value();
        return disks::read_layout(*device).value();
    }
};

}  // namespace

TEST(Machine, says_whether_secure_boot_is_on) {
    auto dir = TempDir::create("efi").value();
    const auto efi = dir / "efi", variable = efi / "efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    EXPECT_EQ(read_firmware(efi).kind + read_firmware(efi).secure_boot, "biosoff");
    std::filesystem::create_directories(efi / "efivars");
    ASSERT_TRUE(write_file_atomic(efi / "fw_platform_size", as_bytes("64\n")).ok());
    EXPECT_EQ(read_firmware(efi).kind + read_firmware(efi).secure_boot, "uefi-64unknown");
    for (auto [bytes, state] : {std::pair{std::string("\6\0\0\0\1", 5), "on"},
                                {std::string("\6\0\0\0\0", 5), "off"},
                                {std::string("\6\0\0\0", 4), "unknown"},
                                {std::string("\6\0\0\0\1\1", 6), "unknown"}}) {
        ASSERT_TRUE(write_file_atomic(variable, as_bytes(bytes)).ok());
        EXPECT_EQ(read_firmware(efi).secure_boot, state);
    }
}

TEST(DiskTask, a_new_mbr_gets_partitions_on_mib_borders_and_an_active_one) {
    Bench bench;
    ASSERT_TRUE(bench.disk_task({{"action", "init"}, {"table", "mbr"}}).ok());
    auto made = bench.disk_task({{"action", "partition"}, {"size", "20M"}, {"type", "ext4"}});
    ASSERT_TRUE(made.ok()) << made.error().describe();
    ASSERT_TRUE(bench.disk_task({{"action", "partition"}, {"size", "rest"}, {"type", "linux-swap"}}).ok());
    ASSERT_TRUE(bench.disk_task({{"action", "active"}, {"index", "1"}}).ok());
    auto layout = bench.layout();
    ASSERT_EQ(layout.table, disks::TableKind::Mbr);
    ASSERT_EQ(layout.partitions.size(), 2u);
    EXPECT_EQ(layout.partitions[0].offset, 1u << 20);
    EXPECT_EQ(layout.partitions[0].length, 20u << 20);
    EXPECT_TRUE(layout.partitions[0].active);
    EXPECT_EQ(layout.partitions[0].mbr_type, 0x83);
    EXPECT_EQ(layout.partitions[1].offset, 21u << 20);
    EXPECT_EQ(layout.partitions[1].mbr_type, 0x82);
}

TEST(DiskTask, a_gpt_is_made_and_cleaned_away) {
    Bench bench;
    ASSERT_TRUE(bench.disk_task({{"action", "init"}, {"table", "gpt"}}).ok());
    ASSERT_TRUE(bench.disk_task({{"action", "partition"}, {"size", "10M"}}).ok());
    EXPECT_EQ(bench.layout().table, disks::TableKind::Gpt);
    ASSERT_TRUE(bench.disk_task({{"action", "clean"}}).ok());
    EXPECT_EQ(bench.layout().table, disks::TableKind::None);
}

TEST(DiskTask, what_cannot_be_is_refused_with_a_name_and_the_disk_is_left_alone) {
    Bench bench;
    ASSERT_TRUE(bench.disk_task({{"action", "init"}, {"table", "mbr"}}).ok());
    auto before = read_file(bench.disk).value();
    const std::vector<std::pair<channel::Parameters, ErrorId>> cases{
        {{{"disk", "sdz"}, {"action", "init"}}, errors::kNoDisk},
        {{}, errors::kParameter},
        {{{"action", "format"}}, errors::kParameter},
        {{{"action", "init"}, {"table", "bsd"}}, errors::kParameter},
        {{{"action", "partition"}, {"size", "1T"}}, errors::kPartition},
        {{{"action", "partition"}, {"size", "much"}}, errors::kParameter},
        {{{"action", "partition"}, {"type", "nonsense"}}, errors::kParameter},
        {{{"action", "active"}, {"index", "3"}}, errors::kPartition}};
    for (const auto& [parameters, error] : cases) {
        auto result = bench.disk_task(parameters);
        ASSERT_FALSE(result.ok());
        EXPECT_TRUE(result.error().is(error)) << result.error().describe();
    }
    EXPECT_EQ(read_file(bench.disk).value(), before);
}

TEST(ScriptTask, output_is_logged_and_a_failure_is_an_error) {
    Bench bench;
    ASSERT_TRUE(bench.run("run-script", {{"script", "echo one; echo two >&2"}}).ok());
    EXPECT_EQ(bench.log, (std::vector<std::string>{"one", "two"}));
    auto failed = bench.run("run-script", {{"script", "exit 7"}});
    ASSERT_FALSE(failed.ok());
    EXPECT_TRUE(failed.error().is(errors::kScript));
    EXPECT_NE(failed.error().message().find("7"), std::string::npos);
}

TEST(ScriptTask, a_hung_one_ends_when_its_task_is_cancelled) {
    Bench bench;
    const auto fifo = (bench.dir / "begun").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::thread canceller([&] {
        (void)read_text_file(fifo).ok();  // comes back once the script has written, and so runs
        bench.cancel = true;
        ::eventfd_write(bench.cancel_event.get(), 1);
    });
    // Its outputs closed, nothing but its end tells of it.
    auto ended = bench.run("run-script", {{"script", "echo x >" + fifo + "; exec >&- 2>&-; sleep 600"}});
    canceller.join();
    ASSERT_FALSE(ended.ok());
    EXPECT_TRUE(ended.error().is(errors::kCancelled)) << ended.error().describe();
}

TEST(CopyTask, a_file_arrives_whole_in_a_new_directory) {
    Bench bench;
    ASSERT_TRUE(write_file_atomic(bench.dir / "a", as_bytes("content")).ok());
    auto to = bench.dir / "new/b";
    ASSERT_TRUE(bench.run("copy-file", {{"source", (bench.dir / "a").string()}, {"destination", to.string()}}).ok());
    EXPECT_EQ(read_text_file(to).value(), "content");
    EXPECT_FALSE(
        bench.run("copy-file", {{"source", (bench.dir / "none").string()}, {"destination", to.string()}}).ok());
}

TEST(RepairTask, wrong_parameters_are_named_before_anything_is_touched) {
    Bench bench;
    for (const auto& parameters : std::vector<channel::Parameters>{{{"target-controller", "floppy"}},
                                                                   {{"firmware", "openfirmware"}},
                                                                   {{"nics", "ens18=zz=52:54:00:00:00:01"}}}) {
        auto result = bench.run("repair", parameters);
        ASSERT_FALSE(result.ok());
        EXPECT_TRUE(result.error().is(errors::kParameter)) << result.error().describe();
    }
}

TEST(RepairTask, who_the_machine_is_to_be_is_checked_before_any_disk_is_looked_at) {
    Bench bench;
    const std::vector<std::pair<channel::Parameters, std::string>> wrong{
        {{{"hostname", "a b"}}, "fixup.personality"},
        {{{"personality", R"({"devices": {"web01": {}}})"}, {"device", "web02"}}, "fixup.personality"},
        {{{"personality", "/nowhere.json"}}, "base.not-found"},
        {{{"addresses", "ens3=10.0.0.5"}}, "fixup.personality"},
        {{{"service-driver-file", "<Other/>"}}, "fixup.drivers-file"},
        {{{"template", "maybe"}}, std::string(errors::kParameter.name)},
        {{{"personality", "web01"}}, std::string(errors::kParameter.name)}};
    for (const auto& [parameters, name] : wrong) {
        auto result = bench.run("repair", parameters);
        ASSERT_FALSE(result.ok()) << name;
        EXPECT_EQ(result.error().name(), name) << result.error().describe();
    }
}

TEST(RepairTask, says_when_another_name_than_the_personalitys_is_used) {
    Bench bench;
    (void)bench.run("repair", {{"personality", R"({"devices": {"web1": {"hostname": "alpha.example.org"}}})"},
                               {"device", "web1"},
                               {"hostname", "web1"}});
    ASSERT_FALSE(bench.log.empty());
    EXPECT_NE(bench.log[0].find("hostname 'alpha.example.org' is not used: hostname 'web1'"), std::string::npos)
        << bench.log[0];
}

TEST(InventoryTask, gives_the_xml) {
    Bench bench;
    auto outcome = bench.run("inventory", {}).value();
    EXPECT_TRUE(outcome.result.at("inventory").as_string().starts_with("<?xml"));
}

namespace {

// A machine of two disks, each with two partitions full of bytes of their own, and a store in a directory.
struct ImageBench : Bench {
    static constexpr std::uint64_t kMiB = 1u << 20, kFirst = 8 * kMiB, kSecond = 12 * kMiB;
    std::string other = (dir / "other.img").string();
    std::unique_ptr<imagestore::Store> store = imagestore::Store::open(dir / "store", {.create = true}).value();

    ImageBench() {
        EXPECT_TRUE(disks::FileDisk::create(other, 64u << 20).ok());
        machine = file_machine({disk, other});
        for (const char* name : {"sda", "sdb"}) {
            EXPECT_TRUE(run("disk", {{"disk", name}, {"action", "init"}, {"table", "mbr"}}).ok());
            for (const char* size : {"8M", "12M"})
                EXPECT_TRUE(run("disk", {{"disk", name}, {"action", "partition"}, {"size", size}}).ok());
        }
        fill(disk, kMiB, kFirst, 0x11);
        fill(disk, kMiB + kFirst, kSecond, 0x22);
        fill(other, kMiB, kFirst, 0x33);
        fill(other, kMiB + kFirst, kSecond, 0x44);
    }
    static void fill(const std::string& file, std::uint64_t at, std::uint64_t length, int value) {
        auto device = disks::FileDisk::open(file, disks::OpenMode::ReadWrite).value();
        ASSERT_TRUE(device->write(at, Bytes(length, static_cast<std::byte>(value))).ok());
    }
    // Is all of partition 1 or 2 of this byte?
    static bool holds(const std::string& file, int partition, int value) {
        auto device = disks::FileDisk::open(file, disks::OpenMode::ReadOnly).value();
        Bytes got(partition == 1 ? kFirst : kSecond);
        EXPECT_TRUE(device->read(partition == 1 ? kMiB : kMiB + kFirst, got).ok());
        return got == Bytes(got.size(), static_cast<std::byte>(value));
    }
    Result<TaskOutcome> capture(channel::Parameters parameters) {
        auto given = context(std::move(parameters));
        auto writer = store->writer({}).value();
        return capture_into(given, *writer);
    }
    Result<TaskOutcome> deploy(channel::Parameters parameters) {
        auto given = context(std::move(parameters));
        auto manifest = store->manifest(imagestore::ImageRef::parse(given.get("image")).value()).value();
        return deploy_from(given, *manifest, *store);
    }
};

}  // namespace

TEST(ImageTasks, a_disk_of_the_machine_goes_into_an_image_and_comes_back) {
    ImageBench bench;
    ASSERT_TRUE(bench.capture({{"image", "web"}, {"disks", "sda"}}).ok());
    auto before = read_file(bench.disk).value();
    ImageBench::fill(bench.disk, 0, 64 * ImageBench::kMiB, 0);
    auto laid = bench.deploy({{"image", "web"}});
    ASSERT_TRUE(laid.ok()) << laid.error().describe();
    EXPECT_EQ(read_file(bench.disk).value(), before);
    EXPECT_TRUE(ImageBench::holds(bench.other, 1, 0x33));
}

TEST(ImageTasks, a_new_version_over_the_old_one_takes_what_changed_and_says_so) {
    ImageBench bench;
    ASSERT_TRUE(bench.capture({{"image", "web"}, {"disks", "sda"}}).ok());
    const auto before = read_file(bench.disk).value();
    ImageBench::fill(bench.disk, 3 * ImageBench::kMiB, ImageBench::kMiB, 0x99);
    ASSERT_TRUE(bench.capture({{"image", "web"}, {"disks", "sda"}}).ok());
    const auto after = read_file(bench.disk).value();
    auto put_back = [&] {
        auto device = disks::FileDisk::open(bench.disk, disks::OpenMode::ReadWrite).value();
        ASSERT_TRUE(device->write(0, before).ok());
    };
    put_back();
    auto laid = bench.deploy({{"image", "web"}});
    ASSERT_TRUE(laid.ok()) << laid.error().describe();
    EXPECT_EQ(read_file(bench.disk).value(), after);
    const auto& disk = laid->result.at("disks").at(0).as_object();
    EXPECT_EQ(disk.at("written_bytes").to_number<std::uint64_t>(), ImageBench::kMiB);
    EXPECT_EQ(disk.at("compared_chunks").to_number<std::uint64_t>(),
              disk.at("kept_chunks").to_number<std::uint64_t>() + 1);
    EXPECT_NE(bench.log.back().find("were there already, and stay: "), std::string::npos) << bench.log.back();
    // Where that is not wanted.
    put_back();
    laid = bench.deploy({{"image", "web"}, {"compare", "never"}});
    ASSERT_TRUE(laid.ok());
    EXPECT_EQ(laid->result.at("disks").at(0).at("kept_chunks").to_number<std::uint64_t>(), 0u);
    EXPECT_EQ(read_file(bench.disk).value(), after);
    put_back();
    EXPECT_TRUE(bench.deploy({{"image", "web"}, {"compare", "perhaps"}}).error().is(errors::kParameter));
    EXPECT_EQ(read_file(bench.disk).value(), before);
}

TEST(ImageTasks, what_is_told_while_it_hears_is_the_sum_of_its_sessions) {
    multicast::ReceiverCounts before, now;
    before.bytes = 1000, before.packets = 10, before.lost = 3, before.repaired = 2;
    now.bytes = 500, now.packets = 5, now.lost = 1, now.repaired = 1;
    EXPECT_EQ(told_counts(before, now, 7), (channel::MulticastCounts{1500, 15, 4, 3, 7}));
}

TEST(ImageTasks, each_disk_of_an_image_hears_the_broadcast_for_itself) {
    ImageBench bench;
    ASSERT_TRUE(bench.capture({{"image", "web"}}).ok());
    const std::vector<Bytes> before{read_file(bench.disk).value(), read_file(bench.other).value()};
    for (const auto& file : {bench.disk, bench.other}) ImageBench::fill(file, 0, 64 * ImageBench::kMiB, 0);
    struct Sends : imagestore::ChunkBroadcast {
        imagestore::Store& store;
        std::vector<std::ptrdiff_t> wanted;
        explicit Sends(imagestore::Store& s) : store(s) {}
        Status receive(const imagestore::ChunkPlan& plan, std::vector<bool> bits, const Take& take) override {
            wanted.push_back(std::count(bits.begin(), bits.end(), true));
            for (std::uint32_t n = 0; n < plan.size(); ++n)
                if (bits[n] && !TRY(take(n, store.get(plan.id(n)).value()))) ADD_FAILURE() << n;
            return {};
        }
    } sends(*bench.store);
    auto given = bench.context({{"image", "web"}});
    auto manifest = bench.store->manifest(imagestore::ImageRef::parse("web").value()).value();
    auto laid = deploy_from(given, *manifest, *bench.store, &sends);
    ASSERT_TRUE(laid.ok()) << laid.error().describe();
    EXPECT_EQ(sends.wanted, (std::vector<std::ptrdiff_t>{3, 3})) << "the table, and a chunk that is there many times";
    const auto& disks = laid->result.at("disks").as_array();
    ASSERT_EQ(disks.size(), 2u);
    for (const auto& disk : disks)
        EXPECT_EQ(disk.at("multicast_chunks").to_number<int>(), 21) << "8 MiB, 12 MiB and the table";
    EXPECT_EQ(read_file(bench.disk).value(), before[0]);
    EXPECT_EQ(read_file(bench.other).value(), before[1]);
}

TEST(ImageTasks, one_volume_by_its_name_its_disks_serial_number_or_its_number) {
    ImageBench bench;
    const std::vector<std::pair<std::string, int>> words{
        {"sdb2", 0x44}, {"other.img:2", 0x44}, {"1:2", 0x44}, {"2", 0x22}, {"/dev/sda1", 0x11}};
    for (const auto& [word, value] : words) {
        ASSERT_TRUE(bench.capture({{"image", "v"}, {"volume", word}}).ok()) << word;
        int number = word.back() - '0';
        ImageBench::fill(bench.other, number == 1 ? ImageBench::kMiB : ImageBench::kMiB + ImageBench::kFirst, 4096, 0);
        auto laid = bench.deploy({{"image", "v"}, {"partition", "sdb" + std::to_string(number)}});
        ASSERT_TRUE(laid.ok()) << word << laid.error().describe();
        EXPECT_TRUE(ImageBench::holds(bench.other, number, value)) << word;
        if (number == 2)
            ImageBench::fill(bench.other, ImageBench::kMiB + ImageBench::kFirst, ImageBench::kSecond, 0x44);
    }
    // Of the disks that `disks` names, a bare number is of the first.
    ASSERT_TRUE(bench.capture({{"image", "v"}, {"disks", "sdb"}, {"volume", "2"}}).ok());
    EXPECT_EQ(imagestore::summarize(*bench.store->manifest(imagestore::ImageRef::parse("v").value()).value())
                  ->disks.at(0)
                  .disk.name,
              "sdb2");
}

TEST(ImageTasks, one_volume_of_a_whole_image_goes_into_a_partition_and_nothing_beside_it_is_touched) {
    ImageBench bench;
    ASSERT_TRUE(bench.capture({{"image", "web"}}).ok());
    auto before = read_file(bench.other).value();
    for (const auto& [volume, partition] :
         std::vector<std::pair<std::string, std::string>>{{"sda1", "sdb2"}, {"1", "other.img:2"}, {"0:1", "1:2"}}) {
        ImageBench::fill(bench.other, ImageBench::kMiB + ImageBench::kFirst, ImageBench::kSecond, 0x44);
        auto laid = bench.deploy({{"image", "web"}, {"volume", volume}, {"partition", partition}});
        ASSERT_TRUE(laid.ok()) << laid.error().describe();
        EXPECT_EQ(laid->result.at("disks").at(0).at("partition").to_number<int>(), 2);
        auto after = read_file(bench.other).value();
        const auto from = static_cast<std::ptrdiff_t>(ImageBench::kMiB + ImageBench::kFirst);
        const auto to = from + static_cast<std::ptrdiff_t>(ImageBench::kFirst);  // it is 8 MiB of the 12
        EXPECT_TRUE(std::all_of(after.begin() + from, after.begin() + to, [](auto b) { return b == std::byte{0x11}; }));
        EXPECT_TRUE(std::equal(before.begin(), before.begin() + from, after.begin()));
        EXPECT_TRUE(std::equal(before.begin() + to, before.end(), after.begin() + to));
    }
}

TEST(ImageTasks, what_would_hit_more_than_one_volume_is_refused_and_no_disk_is_written) {
    ImageBench bench;
    ASSERT_TRUE(bench.capture({{"image", "web"}}).ok());
    ASSERT_TRUE(bench.capture({{"image", "v"}, {"volume", "sda2"}}).ok());
    auto disk = read_file(bench.disk).value(), other = read_file(bench.other).value();
    const std::vector<std::pair<channel::Parameters, ErrorId>> deploys{
        {{{"image", "v"}}, errors::kParameter},  // it would go over a whole disk
        {{{"image", "web"}, {"volume", "sda2"}}, errors::kParameter},
        {{{"image", "web"}, {"partition", "sda2"}}, errors::kParameter},
        {{{"image", "web"}, {"volume", "sdc1"}, {"partition", "sda2"}}, errors::kParameter},
        {{{"image", "web"}, {"volume", "sda2"}, {"partition", "sdb2"}, {"disk", "0=sdb"}}, errors::kParameter},
        {{{"image", "web"}, {"volume", "sda2"}, {"partition", "sdc2"}}, errors::kNoDisk},
        {{{"image", "web"}, {"volume", "sda2"}, {"partition", "sdb"}}, errors::kNoDisk},
        {{{"image", "web"}, {"volume", "sda2"}, {"partition", "sdb3"}}, imagestore::errors::kNoPartition},
        {{{"image", "v"}, {"partition", "sdb1"}}, imagestore::errors::kTargetTooSmall}};
    for (const auto& [parameters, error] : deploys) {
        auto result = bench.deploy(parameters);
        ASSERT_FALSE(result.ok());
        EXPECT_TRUE(result.error().is(error)) << result.error().describe();
    }
    EXPECT_EQ(read_file(bench.disk).value(), disk);
    EXPECT_EQ(read_file(bench.other).value(), other);
    auto both = bench.capture({{"image", "x"}, {"volume", "sda2"}, {"exclude", "sda1"}});
    EXPECT_TRUE(both.error().is(errors::kParameter));
    EXPECT_TRUE(bench.capture({{"image", "x"}, {"volume", "sda7"}}).error().is(imagestore::errors::kNoPartition));
    // Said outright, an image of one volume goes over a disk.
    auto whole = bench.deploy({{"image", "v"}, {"disk", "0=sdb"}});
    EXPECT_TRUE(whole.ok()) << whole.error().describe();
}
