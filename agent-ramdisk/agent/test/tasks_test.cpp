// SPDX-License-Identifier: GPL-3.0-or-later
// Tasks that need no server, on files as disks. What needs one is in tests/faults and tests/lab.
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <thread>

#include <gtest/gtest.h>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/task.hpp"
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
    Result<TaskOutcome> run(const std::string& type, channel::Parameters parameters) {
        TaskContext context{*machine, link,
                            self,     std::move(parameters),
                            {},       [this](const std::string& l) { log.push_back(l); },
                            cancel,   cancel_event.get()};
        auto tasks = device_tasks();
        return tasks.at(type)(context);
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

TEST(InventoryTask, gives_the_xml) {
    Bench bench;
    auto outcome = bench.run("inventory", {}).value();
    EXPECT_TRUE(outcome.result.at("inventory").as_string().starts_with("<?xml"));
}
