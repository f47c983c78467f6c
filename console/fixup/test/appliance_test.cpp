// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of the appliance, with a program that speaks as QEMU's guest would.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/errors.hpp"
#include "console/fixup/appliance.hpp"
#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::console;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

namespace {

constexpr const char* kReport =
    R"({"report":{"distribution":"Fake 1","root_device":"/dev/vda partition 1","kernels":["6.1"],"journal":[],)"
    R"("warnings":[],"dry_run":false,"undo":false,"unchanged":false,"inputs":""}})";

class ApplianceTest : public testing::Test {
protected:
    // A guest that writes to its disk, by QEMU's own NBD client, and reports whatever came of it.
    void writing_guest() {
        guest(
            std::string("say '{\"hello\":1}'; hear\ndisk=$(sed 's/.*\"str\":\"\\([0-9]*\\)\".*/\\1/' <<<\"$*\")\n") +
            "qemu-io --image-opts driver=nbd,server.type=fd,server.str=$disk -c 'write -P 5 4096 512' -c flush\nsay '" +
            kReport + "'\n");
    }
    // `$port` is the port's descriptor. The script's own pid is written first.
    void guest(const std::string& body) {
        machine.qemu = dir / "qemu";
        std::ofstream(machine.qemu) << "#!/bin/bash\necho $$ >" << (dir / "pid").string()
                                    << "\nport=$(sed 's/.*id=port,fd=\\([0-9]*\\).*/\\1/' <<<\"$*\")\n"
                                    << "say() { printf '%s\\n' \"$1\" >&$port; }\nhear() { read -r line <&$port; }\n"
                                    << body;
        fs::permissions(machine.qemu, fs::perms(0755));
    }
    Result<fixup::RepairReport> run() {
        job.request.disk = "web.vhd";
        if (job.disks.empty()) job.disks = {&disk};
        job.note = [this](const std::string& note) { notes.push_back(note); };
        return repair_in_appliance(machine, job);
    }
    // The machine is gone, or goes now.
    void expect_no_machine() {
        const auto pid = parse_u64(trim(read_text_file(dir / "pid").value_or("")));
        ASSERT_TRUE(pid.has_value());
        UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)));
        if (!process.valid()) return;
        pollfd ended{process.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "the machine runs on";
    }

    TempDir dir = TempDir::create("appliance-test").value();
    ApplianceMachine machine;
    ApplianceJob job;
    disks::MemoryDisk disk{1u << 20};
    std::vector<std::string> notes;
};

}  // namespace

TEST(ApplianceCommand, has_the_disks_by_descriptor_and_no_network) {
    ApplianceMachine machine;
    machine.kernel = "/k";
    machine.ramdisk = "/r";
    const auto text = join(appliance_command(machine, {7, 8}, true, 9), " ");
    EXPECT_THAT(text, HasSubstr("-nic none"));
    EXPECT_THAT(text, HasSubstr("-sandbox on"));
    EXPECT_THAT(text, HasSubstr(R"("read-only":true,"server":{"type":"fd","str":"8"})"));
    EXPECT_THAT(text, HasSubstr("socket,id=port,fd=9"));
    EXPECT_THAT(text, HasSubstr("-kernel /k -initrd /r"));
    EXPECT_THAT(text, HasSubstr("slipway.mode=fixup"));
    EXPECT_THAT(text, Not(HasSubstr("kvm")));
    machine.accelerator = "kvm";
    EXPECT_THAT(join(appliance_command(machine, {7}, false, 9), " "), HasSubstr("-accel kvm"));
}

TEST_F(ApplianceTest, steps_and_report_come_back_with_the_users_name_of_the_disk) {
    guest(std::string("say '{\"hello\":1}'; hear; printf '%s' \"$line\" >") + (dir / "request").string() +
          "\nsay '{\"note\":\"network\"}'; say '{\"alive\":true}'; say '{\"note\":\"drivers\"}'\nsay '" + kReport +
          "'\n");
    job.request.target = fixup::TargetController::Nvme;
    const auto report = run();
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(report->root_device, "web.vhd partition 1");
    EXPECT_THAT(notes, ElementsAre("network", "drivers"));
    EXPECT_THAT(read_text_file(dir / "request").value(), HasSubstr(R"("disk":"/dev/vda")"));
    EXPECT_THAT(read_text_file(dir / "request").value(), HasSubstr(R"("target":"nvme")"));
    expect_no_machine();
}

TEST_F(ApplianceTest, the_machines_other_disks_have_the_guests_names_there_and_the_users_here) {
    std::string report = kReport;
    report.replace(report.find("vda"), 3, "vdc");
    guest(std::string("say '{\"hello\":1}'; hear; printf '%s' \"$line\" >") + (dir / "request").string() +
          "\nprintf '%s' \"$*\" >" + (dir / "command").string() + "\nsay '" + report + "'\n");
    disks::MemoryDisk second{1u << 20}, third{1u << 20};
    job.request.more_disks = {"home.vhd", "mirror.vhd"};
    job.disks = {&disk, &second, &third};
    const auto outcome = run();
    ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
    EXPECT_EQ(outcome->root_device, "mirror.vhd partition 1");
    EXPECT_THAT(read_text_file(dir / "request").value(), HasSubstr(R"("more_disks":["/dev/vdb","/dev/vdc"])"));
    EXPECT_THAT(read_text_file(dir / "command").value(), HasSubstr("virtio-blk-pci,drive=disk2"));
}

TEST_F(ApplianceTest, the_guest_gets_the_patch_files_it_wants_from_this_machines_library) {
    const std::string want = R"(say '{"wanted":{"name":"hal.dll","version":"4.0.1381.7","language":"0409"}}'; hear)";
    guest("say '{\"hello\":1}'; hear; " + want + "; printf '%s' \"$line\" >" + (dir / "first").string() + "; " + want +
          "; printf '%s' \"$line\" >" + (dir / "second").string() + "\nsay '" + kReport + "'\n");
    std::vector<std::string> asked;
    job.request.patch_supply = [&](const patches::FileKey& key) -> Result<std::optional<std::string>> {
        asked.push_back(key.text());
        if (asked.size() > 1) return std::optional<std::string>();
        return std::optional<std::string>("MZ\n");
    };
    const auto report = run();
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_THAT(asked, testing::Each("hal.dll 4.0.1381.7 (0409, English)"));
    EXPECT_EQ(read_text_file(dir / "first").value(), R"({"patch_file":{"content":"4d5a0a"}})");
    EXPECT_EQ(read_text_file(dir / "second").value(), R"({"patch_file":{}})");
}

TEST_F(ApplianceTest, a_guest_that_wants_patch_files_without_end_is_ended) {
    guest(
        "say '{\"hello\":1}'; hear\nwhile say '{\"wanted\":{\"name\":\"hal.dll\",\"version\":\"4.0.1381.7\","
        "\"language\":\"0409\"}}'; do hear; done\nexec sleep 600\n");
    job.patience.end = std::chrono::milliseconds(600);
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kWire)) << report.error().describe();
    expect_no_machine();
}

TEST_F(ApplianceTest, what_the_guest_writes_is_on_the_disk) {
    writing_guest();
    const auto report = run();
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(disk.content()[4096], std::byte{5});
}

TEST_F(ApplianceTest, a_dry_run_writes_nothing_whatever_the_guest_does) {
    writing_guest();
    job.request.dry_run = true;
    EXPECT_TRUE(run().ok());
    EXPECT_TRUE(all_zero(disk.content()));
}

TEST_F(ApplianceTest, a_disk_that_fails_is_the_outcome_though_the_guest_is_content) {
    disks::FaultLayer faulty(disk, [](disks::FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == disks::FaultLayer::Op::Write) return make_error(slipway::errors::kNoSpace, "the host is full");
        return {};
    });
    writing_guest();
    job.disks = {&faulty};
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(slipway::errors::kNoSpace)) << report.error().describe();
}

TEST_F(ApplianceTest, the_guests_error_is_ours_by_its_name) {
    guest(
        "say '{\"hello\":1}'; hear\nsay '{\"error\":{\"name\":\"fixup.no-root\",\"message\":\"no partition\","
        "\"next_step\":\"look\",\"temporary\":false}}'\n");
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kNoRoot)) << report.error().describe();
}

TEST_F(ApplianceTest, a_machine_that_falls_silent_is_ended_and_named) {
    guest("say '{\"hello\":1}'; hear; echo 'soft lockup'; exec sleep 600\n");
    job.patience.silence = std::chrono::milliseconds(500);
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(console::errors::kApplianceSilent)) << report.error().describe();
    EXPECT_THAT(report.error().message(), HasSubstr("soft lockup"));
    expect_no_machine();
}

TEST_F(ApplianceTest, a_machine_that_never_starts_is_ended_and_named) {
    guest("exec sleep 600\n");
    job.patience.start = std::chrono::milliseconds(300);
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(console::errors::kApplianceSilent)) << report.error().describe();
    EXPECT_THAT(report.error().message(), HasSubstr("did not start"));
    expect_no_machine();
}

TEST_F(ApplianceTest, signs_of_life_keep_it_waiting) {
    guest(std::string(
              "say '{\"hello\":1}'; hear; for i in 1 2 3 4 5 6; do sleep 0.3; say '{\"alive\":true}'; done\nsay '") +
          kReport + "'\n");
    job.patience.silence = std::chrono::milliseconds(1500);  // less than all of it together
    const auto report = run();
    EXPECT_TRUE(report.ok()) << report.error().describe();
}

TEST_F(ApplianceTest, a_machine_that_dies_midway_is_named_with_its_last_words) {
    guest(
        "say '{\"hello\":1}'; hear; say '{\"note\":\"drivers\"}'\necho 'Kernel panic'; echo -e '\\033[2Jevil' >&2; "
        "exit 9\n");
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(console::errors::kApplianceEnded)) << report.error().describe();
    EXPECT_THAT(report.error().message(), HasSubstr("code 9"));
    EXPECT_THAT(report.error().message(), HasSubstr("Kernel panic"));
    EXPECT_THAT(report.error().message(), Not(HasSubstr("\x1b")));
}

TEST_F(ApplianceTest, a_machine_that_talks_nonsense_is_ended) {
    guest("say nonsense; exec sleep 600\n");
    job.patience.end = std::chrono::milliseconds(600);
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kWire)) << report.error().describe();
    expect_no_machine();
}

TEST_F(ApplianceTest, without_qemu_it_says_what_to_install) {
    machine.qemu = dir / "none";
    const auto report = run();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(console::errors::kNoAppliance));
}

TEST_F(ApplianceTest, what_its_boot_says_are_the_first_steps) {
    guest(std::string("printf 'noise\\r\\nSlipway: the kernel is up\\r\\n'; say '{\"hello\":1}'; hear; ") +
          "say '{\"note\":\"volumes\"}'; echo 'Slipway: too late'; say '" + kReport + "'\n");
    const auto report = run();
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_THAT(notes, ElementsAre("appliance: the kernel is up", "volumes"));
}

TEST_F(ApplianceTest, an_interrupted_repair_asks_the_guest_to_stop_and_waits_for_it) {
    guest("say '{\"hello\":1}'; hear; say '{\"note\":\"drivers\"}'; hear; printf '%s' \"$line\" >" +
          (dir / "cancel").string() +
          "\nsay "
          "'{\"error\":{\"name\":\"fixup.cancelled\",\"message\":\"all is as it "
          "was\",\"next_step\":\"\",\"temporary\":true}}'\n");
    std::atomic<bool> cancelled{false};
    job.cancelled = &cancelled;
    job.request.disk = "web.vhd";
    job.disks = {&disk};
    job.note = [&](const std::string&) { cancelled = true; };
    const auto report = repair_in_appliance(machine, job);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().describe(), "all is as it was [fixup.cancelled]");
    EXPECT_EQ(read_text_file(dir / "cancel").value(), R"({"cancel":true})");
    expect_no_machine();
}

TEST_F(ApplianceTest, an_interrupted_repair_that_gives_no_answer_is_not_said_to_be_taken_back) {
    guest("say '{\"hello\":1}'; hear; say '{\"note\":\"drivers\"}'; hear; exec sleep 600\n");
    std::atomic<bool> cancelled{false};
    job.cancelled = &cancelled;
    job.patience.end = std::chrono::milliseconds(200);
    job.request.disk = "web.vhd";
    job.disks = {&disk};
    job.note = [&](const std::string&) { cancelled = true; };
    const auto report = repair_in_appliance(machine, job);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(console::errors::kRepairInterrupted)) << report.error().describe();
    EXPECT_THAT(report.error().message(), HasSubstr("did not say"));
    expect_no_machine();
}

TEST_F(ApplianceTest, it_ends_with_us_when_we_are_killed) {
    ASSERT_EQ(::mkfifo((dir / "noted").c_str(), 0600), 0);
    guest("say '{\"hello\":1}'; hear; echo >" + (dir / "noted").string() + "; exec sleep 600\n");
    const pid_t child = ::fork();
    if (child == 0) {
        (void)run().ok();
        ::_exit(0);
    }
    (void)read_text_file(dir / "noted").ok();  // comes back once the machine runs
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    expect_no_machine();
}
