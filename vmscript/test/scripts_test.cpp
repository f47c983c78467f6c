// SPDX-License-Identifier: GPL-3.0-or-later
// The generated files against a golden directory and shellcheck, and the scripts run with a program in the console's
// place (fake-slipway): in order, failing at every call, and cleaned up after it.
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/output.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
using namespace slipway::vmscript;
namespace fs = std::filesystem;

namespace {

const fs::path kGolden = SLIPWAY_SOURCE_DIR "/vmscript/test/golden";
const fs::path kFake = SLIPWAY_SOURCE_DIR "/vmscript/test/fake-slipway";

Switches golden_switches() {
    auto s = good_switches();
    s.excluded_drives = {"/srv"};
    return s;
}

std::vector<GeneratedFile> files_of(const Switches& switches) {
    auto inventory = good_source();
    return render_files(make_plan(inventory, switches).value(), inventory);
}

bool regenerate() { return std::getenv("SLIPWAY_REGENERATE") != nullptr; }

// The scripts of one migration and the state of the fake console.
class Migration {
public:
    explicit Migration(const Switches& switches) {
        directory_ = write_files(temp_.path(), "triton", files_of(switches), false).value();
        fs::create_directories(temp_ / "fake/state");
    }

    CommandResult run(const std::string& script, std::vector<std::string> arguments = {}) const {
        arguments.insert(arguments.begin(), {"bash", (directory_ / ("triton_" + script)).string()});
        CommandOptions options;
        options.environment = {"SLIPWAY=" + kFake.string(), "FAKE=" + (temp_ / "fake").string(),
                               "FAKE_CODE=" + std::to_string(code_)};
        options.timeout = std::chrono::seconds(60);
        return run_command(arguments, options).value();
    }
    // The whole migration; the first script that fails ends it.
    CommandResult journey() const {
        CommandResult last;
        for (auto script : {"capture.sh", "CreateVM.sh", "DeployVM.sh"}) {
            last = run(script);
            if (!last.ok()) return last;
        }
        return last;
    }
    void fail_at(std::size_t call, const std::string& how = "", int code = 1) {
        put("fail", std::to_string(call));
        if (!how.empty()) put(how, "");
        code_ = code;
        fs::remove(temp_ / "fake/log");
    }
    void fail_no_more() {
        for (auto name : {"fail", "after", "runs-on"}) fs::remove(temp_ / "fake" / name);
    }
    void put(const std::string& name, const std::string& text) const { std::ofstream(temp_ / "fake" / name) << text; }
    void drop(const std::string& name) const { fs::remove(temp_ / "fake" / name); }
    // As an operator does, in the one place to edit.
    void edit(const std::string& line, const std::string& by) const {
        auto file = directory_ / "triton_commonInit.sh";
        auto text = read_text_file(file).value();
        auto at = text.find(line);
        ASSERT_NE(at, std::string::npos) << line;
        ASSERT_TRUE(write_file_atomic(file, as_bytes(text.replace(at, line.size(), by)), 0644).ok());
    }
    std::string log() const { return read_text_file(temp_ / "fake/log").value_or(""); }
    std::size_t calls() const { return split(log(), '\n').size() - 1; }
    std::vector<std::string> state() const {
        std::vector<std::string> out;
        for (const auto& entry : fs::directory_iterator(temp_ / "fake/state")) out.push_back(entry.path().filename());
        std::sort(out.begin(), out.end());
        return out;
    }
    const fs::path& directory() const { return directory_; }
    fs::path base() const { return temp_.path(); }

private:
    TempDir temp_ = std::move(TempDir::create("vmscript").value());
    fs::path directory_;
    int code_ = 1;
};

std::string masked(std::string log, const fs::path& directory) {
    for (std::size_t at = 0; (at = log.find(directory.string(), at)) != std::string::npos;)
        log.replace(at, directory.string().size(), "P2V");
    for (std::size_t at = 0; (at = log.find("nonce=", at)) != std::string::npos; at += 6) {
        auto end = log.find_first_not_of("0123456789abcdef", at + 6);
        EXPECT_EQ(end - at - 6, 32u);
        log.replace(at + 6, end - at - 6, "NONCE");
    }
    return log;
}

std::string nonce_in(const std::string& log) {
    auto at = log.find("nonce=");
    return at == std::string::npos ? "" : log.substr(at + 6, 32);
}

}  // namespace

// SLIPWAY_REGENERATE=1 writes the golden directory anew.
TEST(Scripts, are_the_golden_ones) {
    auto files = files_of(golden_switches());
    files.push_back(render_initenv());
    EXPECT_EQ(files.size(), 13u);
    for (const auto& f : files) {
        if (regenerate()) {
            ASSERT_TRUE(write_file_atomic(kGolden / f.name, as_bytes(f.text)).ok());
        }
        EXPECT_EQ(read_text_file(kGolden / f.name).value_or(""), f.text) << f.name;
    }
}

TEST(Scripts, bear_the_names_of_the_field) {
    std::vector<std::string> names;
    for (const auto& f : files_of(good_switches())) names.push_back(f.name);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names,
              (std::vector<std::string>{"triton_CleanupVM.sh", "triton_CreateVM.sh", "triton_DeployVM.sh",
                                        "triton_DeployVM.xml", "triton_P2V_readme.txt", "triton_PostDeploy.sh",
                                        "triton_ServiceDriver.xml", "triton_boot.cfg", "triton_capture.sh",
                                        "triton_captureDisk.xml", "triton_commonInit.sh", "triton_internalState.xml"}));
}

TEST(Scripts, pass_shellcheck) {
    auto shellcheck = run_command({"shellcheck", "--version"});
    if (!shellcheck || !shellcheck->ok()) GTEST_SKIP() << "shellcheck is not installed";
    Migration m(golden_switches());
    std::vector<std::string> argv{"shellcheck", kFake.string(), (m.base() / "p2v/slipway_initenv.sh").string()};
    for (const auto& entry : fs::directory_iterator(m.directory()))
        if (entry.path().extension() == ".sh") argv.push_back(entry.path().string());
    EXPECT_EQ(argv.size(), 9u);
    auto run = run_command(argv);
    EXPECT_EQ(run->exit_code, 0) << run->output;
}

TEST(Scripts, hostile_names_in_an_inventory_stay_data) {
    auto inventory = good_source();
    inventory.disks[1].name = inventory.volumes[2].backing[0] = inventory.volumes[3].backing[0] = "sd b;$(touch /x)'`";
    inventory.disks[0].controller = "";
    inventory.network[0].name = "eth\n0;x";
    inventory.disks[1].serial = "'`touch /x`$(id)";
    inventory.services[0].name = "smartd.service";
    auto switches = good_switches();
    switches.excluded_drives = {"sdb2"};
    auto temp = TempDir::create("hostile").value();
    auto files = render_files(make_plan(inventory, switches).value(), inventory);
    auto directory = write_files(temp.path(), "triton", files, false).value();
    auto script =
        ". " + (directory / "triton_commonInit.sh").string() + "; printf '%s %s' \"$REPAIR_NICS\" \"$CAPTURE_EXCLUDE\"";
    auto run = run_command({"bash", "-euc", script});
    EXPECT_EQ(run->output, "=52:54:00:51:00:01=52:54:00:51:00:01 '`touch /x`$(id):2") << run->error_text;
}

TEST(Journey, calls_the_console_in_this_order) {
    Migration m(golden_switches());
    auto end = m.journey();
    ASSERT_EQ(end.exit_code, 0) << end.error_text;
    EXPECT_EQ(m.run("CleanupVM.sh").exit_code, 0);
    auto log = masked(m.log(), m.directory());
    if (regenerate()) {
        ASSERT_TRUE(write_file_atomic(kGolden / "journey.txt", as_bytes(log)).ok());
    }
    EXPECT_EQ(read_text_file(kGolden / "journey.txt").value_or(""), log);
    EXPECT_EQ(m.state(), (std::vector<std::string>{"image-triton"}));
}

TEST(Journey, after_a_failure_at_any_call_cleanup_leaves_nothing_and_it_runs_again) {
    std::vector<std::string> calls;
    {
        Migration m(good_switches());
        ASSERT_TRUE(m.journey().ok());
        calls = split(m.log(), '\n');
        calls.pop_back();
    }
    ASSERT_GT(calls.size(), 10u);
    // "" before the call has done anything; "after" its work; "runs-on": only who follows the job fails, the job goes
    // on.
    for (const char* how : {"", "after", "runs-on"})
        for (std::size_t call = 0; call < calls.size(); ++call) {
            if (calls[call].starts_with("job artifact")) continue;  // a picture is no part of the migration
            bool job = calls[call].starts_with("job run") || calls[call].starts_with("vm create");
            if (how == std::string("runs-on") && !job) continue;
            SCOPED_TRACE(fmt::format("{}: fails {}", calls[call], how));
            Migration m(good_switches());
            m.fail_at(call + 1, how);
            auto failed = m.journey();
            EXPECT_EQ(failed.exit_code, 1) << failed.output;
            EXPECT_NE(failed.error_text.find("error: "), std::string::npos);
            EXPECT_NE(failed.error_text.find("triton_CleanupVM.sh"), std::string::npos) << failed.error_text;
            m.fail_no_more();
            auto cleaned = m.run("CleanupVM.sh");
            EXPECT_EQ(cleaned.exit_code, 0) << cleaned.error_text;
            for (const auto& name : m.state()) EXPECT_EQ(name, "image-triton");
            auto again = m.journey();
            EXPECT_EQ(again.exit_code, 0) << again.error_text;
        }
}

TEST(Journey, a_script_that_failed_may_simply_be_run_again) {
    Migration m(good_switches());
    m.fail_at(3);  // the capture job
    EXPECT_EQ(m.run("capture.sh").exit_code, 1);
    m.fail_no_more();
    EXPECT_EQ(m.run("capture.sh").exit_code, 0);
    EXPECT_EQ(m.run("capture.sh").exit_code, 0);
    EXPECT_EQ(m.run("CreateVM.sh").exit_code, 0);
    auto second = m.run("CreateVM.sh");
    EXPECT_EQ(second.exit_code, 0);
    EXPECT_NE(second.output.find("made already"), std::string::npos);
    EXPECT_EQ(m.run("DeployVM.sh").exit_code, 0);
    auto before = m.log();
    EXPECT_EQ(m.run("DeployVM.sh").exit_code, 0);
    EXPECT_EQ(m.log(), before) << "a machine that may be at work is not laid down again";
    auto capture = m.run("capture.sh");
    EXPECT_EQ(capture.exit_code, 1) << "the VM has the source's addresses";
    EXPECT_NE(capture.error_text.find("CleanupVM"), std::string::npos);
}

TEST(Journey, a_script_out_of_turn_says_which_comes_first) {
    Migration m(good_switches());
    auto deploy = m.run("DeployVM.sh");
    EXPECT_EQ(deploy.exit_code, 1);
    EXPECT_NE(deploy.error_text.find("triton_CreateVM.sh first"), std::string::npos) << deploy.error_text;
    EXPECT_EQ(m.run("CreateVM.sh").exit_code, 1) << "there is no image";
    EXPECT_EQ(m.run("DeployVM.sh", {"nonsense"}).exit_code, 2);
    EXPECT_EQ(m.run("CleanupVM.sh", {"nonsense"}).exit_code, 2);
}

TEST(Journey, losses_of_the_capture_are_the_script_s_exit_code) {
    Migration m(good_switches());
    m.fail_at(3, "after", 4);
    auto run = m.run("capture.sh");
    EXPECT_EQ(run.exit_code, 4) << run.error_text;
    EXPECT_NE(run.error_text.find("note: "), std::string::npos);
    EXPECT_EQ(m.state(), (std::vector<std::string>{"image-triton"}))
        << "the device is released and deleted all the same";
}

TEST(Deploy, a_bad_first_boot_is_discarded_and_tried_again_without_deploying) {
    Migration m(good_switches());
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    ASSERT_EQ(m.run("CreateVM.sh").exit_code, 0);
    m.fail_at(4);  // take-control, deploy job, shutdown job, first-boot job
    EXPECT_EQ(m.run("DeployVM.sh").exit_code, 1);
    auto log = m.log();
    EXPECT_NE(log.find("triton-discard"), std::string::npos) << log;
    auto nonce = nonce_in(log);
    m.fail_no_more();
    auto again = m.run("DeployVM.sh", {"first-boot"});
    EXPECT_EQ(again.exit_code, 0) << again.error_text;
    auto later = m.log().substr(log.size());
    EXPECT_EQ(later.find("triton_DeployVM.xml"), std::string::npos) << "nothing is sent twice";
    EXPECT_EQ(nonce_in(later), nonce) << "the proof is the one that the repair put in";
    EXPECT_EQ(m.run("DeployVM.sh", {"first-boot"}).exit_code, 1) << "it proves itself once";
}

TEST(Deploy, what_has_proved_itself_is_not_laid_down_again_when_only_its_start_failed) {
    Migration m(good_switches());
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    ASSERT_EQ(m.run("CreateVM.sh").exit_code, 0);
    m.fail_at(7);  // take-control, deploy, shutdown, first-boot, artifact, release-control, vm start
    auto run = m.run("DeployVM.sh");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.error_text.find("slipway vm start triton"), std::string::npos) << run.error_text;
    m.fail_no_more();
    auto before = m.log();
    EXPECT_EQ(m.run("DeployVM.sh").exit_code, 0);
    EXPECT_EQ(m.log(), before);
}

TEST(Deploy, the_console_of_the_first_boot_is_shown_unless_suppressed) {
    Migration shown(good_switches());
    auto end = shown.journey();
    ASSERT_EQ(end.exit_code, 0) << end.error_text;
    const auto picture = shown.directory() / "triton_console.png";
    EXPECT_EQ(read_text_file(picture).value_or(""), "png");
    EXPECT_NE(shown.log().find("job artifact 12 screenshot.png"), std::string::npos) << shown.log();
    EXPECT_NE(end.output.find("job 12  triton-first-boot  done"), std::string::npos) << "the job is still shown";
    EXPECT_EQ(shown.run("CleanupVM.sh").exit_code, 0);
    EXPECT_FALSE(fs::exists(picture));

    auto switches = good_switches();
    switches.suppress_console = true;
    Migration quiet(switches);
    ASSERT_EQ(quiet.journey().exit_code, 0);
    EXPECT_EQ(quiet.log().find("job artifact"), std::string::npos);

    Migration lost(good_switches());
    ASSERT_EQ(lost.run("capture.sh").exit_code, 0);
    ASSERT_EQ(lost.run("CreateVM.sh").exit_code, 0);
    lost.fail_at(5);  // take-control, deploy, shutdown, first-boot, artifact
    auto run = lost.run("DeployVM.sh");
    EXPECT_EQ(run.exit_code, 0) << "a picture that is not to be had is no failed boot: " << run.error_text;
    EXPECT_NE(run.error_text.find("could not be fetched"), std::string::npos);
}

TEST(Deploy, every_run_has_its_own_nonce) {
    Migration m(good_switches());
    ASSERT_TRUE(m.journey().ok());
    auto first = m.log();
    ASSERT_EQ(m.run("DeployVM.sh", {"deploy"}).exit_code, 0);
    EXPECT_NE(nonce_in(first), nonce_in(m.log().substr(first.size())));
}

TEST(Deploy, the_post_deploy_actions_end_as_they_say) {
    struct Row {
        PostDeploy action;
        bool started;
        const char* says;
    };
    for (const auto& row : {Row{PostDeploy::StayInAgent, true, "and runs"},
                            {PostDeploy::ShutDown, false, "and is off"},
                            {PostDeploy::Restart, true, "and runs"}}) {
        auto switches = good_switches();
        switches.post_deploy = row.action;
        Migration m(switches);
        auto end = m.journey();
        EXPECT_EQ(end.exit_code, 0) << end.error_text;
        EXPECT_NE(end.output.find(row.says), std::string::npos) << end.output;
        auto log = m.log();
        EXPECT_LT(log.find("--sequence da-shutdown"), log.find("--sequence first-boot"))
            << "the agent is left in order";
        EXPECT_NE(log.find("--sequence first-boot"), std::string::npos) << log;
        EXPECT_EQ(log.find("vm start") != std::string::npos, row.started) << log;
        EXPECT_NE(log.rfind("device release-control triton\n"), std::string::npos);
    }
}

TEST(Deploy, its_first_half_ends_as_the_action_says) {
    struct Row {
        PostDeploy action;
        bool in_agent, proved;
        const char* says;
    };
    for (const auto& row : {Row{PostDeploy::StayInAgent, true, false, "stays in the agent"},
                            {PostDeploy::ShutDown, false, false, "deployed and off"},
                            {PostDeploy::Restart, false, true, "and runs"}}) {
        auto switches = good_switches();
        switches.post_deploy = row.action;
        Migration m(switches);
        ASSERT_EQ(m.run("capture.sh").exit_code, 0);
        ASSERT_EQ(m.run("CreateVM.sh").exit_code, 0);
        auto first = m.run("DeployVM.sh", {"deploy"});
        EXPECT_EQ(first.exit_code, 0) << first.error_text;
        EXPECT_NE(first.output.find(row.says), std::string::npos) << first.output;
        auto state = m.state();
        EXPECT_EQ(std::count(state.begin(), state.end(), "agent"), row.in_agent);
        EXPECT_EQ(m.log().find("first-boot") != std::string::npos, row.proved);
        EXPECT_EQ(m.run("DeployVM.sh", {"first-boot"}).exit_code, row.proved ? 1 : 0);
    }
}

TEST(Deploy, out_of_the_agent_the_reboot_template_and_release_control_do_too) {
    Migration m(good_switches());
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    ASSERT_EQ(m.run("CreateVM.sh").exit_code, 0);
    EXPECT_EQ(m.run("DeployVM.sh", {"reboot"}).exit_code, 1) << "it is in no agent yet";
    ASSERT_EQ(m.run("DeployVM.sh", {"deploy"}).exit_code, 0);
    auto before = m.log().size();
    auto reboot = m.run("DeployVM.sh", {"reboot"});
    EXPECT_EQ(reboot.exit_code, 0) << reboot.error_text;
    EXPECT_EQ(m.log().substr(before),
              "job run --sequence reboot --device triton --name triton-reboot --wait\ndevice release-control triton\n");
    EXPECT_NE(reboot.output.find("Nothing has proved"), std::string::npos);
    EXPECT_EQ(m.run("DeployVM.sh", {"reboot"}).exit_code, 1);
    EXPECT_EQ(m.run("DeployVM.sh").exit_code, 0) << "it may be at work";
    EXPECT_EQ(m.log().find("--sequence first-boot"), std::string::npos);
}

TEST(Settings, edited_in_the_one_place_reach_every_call) {
    Migration m(good_switches());
    m.edit("DEVICE_SOURCE_MAC=52:54:00:51:00:01", "DEVICE_SOURCE_MAC=52:54:00:51:00:77");
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    EXPECT_NE(m.log().find("--mac 52:54:00:51:00:77"), std::string::npos) << m.log();
    m.edit("VM_NAME=triton", "VM_NAME=nereus");
    m.edit("VM_NETWORK=VM0", "VM_NETWORK=lab");
    m.edit("VM_MACS=(52:54:00:51:00:01)", "VM_MACS=(52:54:00:99:00:01)");
    m.edit("POST_DEPLOY_ACTION=0", "POST_DEPLOY_ACTION=1");
    ASSERT_EQ(m.run("CreateVM.sh").exit_code, 0);
    auto end = m.run("DeployVM.sh");
    ASSERT_EQ(end.exit_code, 0) << end.error_text;
    auto log = m.log();
    for (auto part : {"network create lab ", "--name nereus --host hercules --network lab --mac 52:54:00:99:00:01",
                      "device add nereus --mac 52:54:00:99:00:01", "nics=ens18=52:54:00:51:00:01=52:54:00:99:00:01"})
        EXPECT_NE(log.find(part), std::string::npos) << part << "\n" << log;
    EXPECT_EQ(log.find("VM0"), std::string::npos);
    EXPECT_EQ(log.find("vm start"), std::string::npos) << "action 1: it stays off";
    m.edit("POST_DEPLOY_ACTION=1", "POST_DEPLOY_ACTION=7");
    EXPECT_NE(m.run("DeployVM.sh").error_text.find("0, 1 or 2"), std::string::npos);
    m.edit("POST_DEPLOY_ACTION=7", "POST_DEPLOY_ACTION=1");
    m.edit("VM_MACS=(52:54:00:99:00:01)", "VM_MACS=()");
    EXPECT_NE(m.run("DeployVM.sh").error_text.find("SOURCE_NICS"), std::string::npos);
}

TEST(Settings, a_corrected_address_after_a_failed_try_takes_effect) {
    Migration m(good_switches());
    m.fail_at(3);
    ASSERT_EQ(m.run("capture.sh").exit_code, 1);
    m.fail_no_more();
    m.edit("DEVICE_SOURCE_MAC=52:54:00:51:00:01", "DEVICE_SOURCE_MAC=52:54:00:51:00:02");
    m.fail_at(3);
    ASSERT_EQ(m.run("capture.sh").exit_code, 1);
    EXPECT_EQ(read_text_file(m.base() / "fake/state/device-triton").value(), "prompt\n52:54:00:51:00:02\n");
}

TEST(Create, a_host_without_room_is_found_before_anything_is_made) {
    Migration m(good_switches());
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    m.put("poor", "");
    auto run = m.run("CreateVM.sh");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.error_text.find("vmm.memory"), std::string::npos) << run.error_text;
    EXPECT_EQ(m.log().find("network create"), std::string::npos);
    EXPECT_EQ(m.state(), (std::vector<std::string>{"image-triton"}));
    m.drop("poor");
    EXPECT_EQ(m.run("CreateVM.sh").exit_code, 0) << "with no clean-up between";
}

TEST(Cleanup, cancels_the_jobs_of_this_migration_only) {
    Migration m(good_switches());
    m.put("running", "7 triton\n8 poseidon\n9 triton\n");
    m.put("state/device-triton", "prompt\n");
    EXPECT_EQ(m.run("CleanupVM.sh").exit_code, 0) << "a device that a job holds cannot be deleted";
    EXPECT_EQ(read_text_file(m.base() / "fake/running").value(), "8 poseidon\n");
    EXPECT_TRUE(m.state().empty());
}

// `slipway migrate` leaves the generated files, and no marker of the scripts.
TEST(Cleanup, removes_what_a_migration_as_one_job_made) {
    Migration m(good_switches());
    auto definition = read_text_file(m.directory() / "triton_internalState.xml").value();
    auto at = definition.find("uuid=");
    ASSERT_NE(at, std::string::npos);
    m.put("state/vm", definition.substr(at, definition.find('"', at + 6) + 1 - at) + "\n");
    m.put("state/device-triton", "vm\n");
    m.put("running", "3 triton\n");
    EXPECT_EQ(m.run("capture.sh").exit_code, 1) << "the VM is not captured as the source";
    EXPECT_EQ(m.run("CreateVM.sh").exit_code, 1);
    auto run = m.run("CleanupVM.sh");
    EXPECT_EQ(run.exit_code, 0) << run.error_text;
    EXPECT_TRUE(m.state().empty());
    EXPECT_EQ(m.journey().exit_code, 0);
}

TEST(Cleanup, leaves_a_machine_that_another_definition_made) {
    Migration m(good_switches());
    m.put("state/vm", "uuid=\"another\"\n");
    EXPECT_EQ(m.run("CleanupVM.sh").exit_code, 0);
    EXPECT_EQ(m.state(), (std::vector<std::string>{"vm"}));
}

TEST(Cleanup, needs_no_vm_host_before_there_is_one) {
    Migration m(good_switches());
    m.put("no-host", "");
    ASSERT_EQ(m.run("capture.sh").exit_code, 0);
    auto run = m.run("CleanupVM.sh");
    EXPECT_EQ(run.exit_code, 0) << run.error_text;
    EXPECT_EQ(m.log().find("vm delete"), std::string::npos);
}

TEST(Cleanup, goes_on_over_a_failure_and_says_that_something_is_left) {
    Migration m(good_switches());
    ASSERT_TRUE(m.journey().ok());
    m.fail_at(4);  // job cancel, release-control, device show, vm delete
    auto run = m.run("CleanupVM.sh");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(m.log().find("device delete"), std::string::npos) << "the steps after it are done";
    EXPECT_NE(run.error_text.find("something is left"), std::string::npos);
    m.fail_no_more();
    EXPECT_EQ(m.run("CleanupVM.sh", {"--image"}).exit_code, 0);
    EXPECT_TRUE(m.state().empty());
}

TEST(PostDeployScript, refuses_what_is_not_root) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to drop it";
    auto text = files_of(good_switches());
    auto script = std::find_if(text.begin(), text.end(), [](auto& f) { return f.name == "triton_PostDeploy.sh"; });
    CommandOptions options;
    options.input = script->text;
    options.before_exec = [] { return ::setgid(65534) != 0 || ::setuid(65534) != 0 ? errno : 0; };
    auto run = run_command({"bash", "-s"}, options);
    EXPECT_EQ(run->exit_code, 1);
    EXPECT_NE(run->error_text.find("run this as root"), std::string::npos) << run->error_text;
}

// The real console must at least understand every command line the scripts use: 2 would be a usage error.
TEST(Scripts, speak_the_console_s_language) {
    auto slipway = fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / "slipway";
    if (!fs::exists(slipway)) GTEST_SKIP() << slipway << " is not built";
    Migration m(good_switches());
    ASSERT_TRUE(m.journey().ok());
    ASSERT_EQ(m.run("DeployVM.sh", {"deploy"}).exit_code, 0);
    ASSERT_EQ(m.run("DeployVM.sh", {"reboot"}).exit_code, 0);
    ASSERT_EQ(m.run("CleanupVM.sh", {"--image"}).exit_code, 0);
    CommandOptions options;
    options.environment = {"HOME=/nonexistent", "SLIPWAY_URL=https://127.0.0.1:1"};
    options.timeout = std::chrono::seconds(20);
    for (const auto& line : split(m.log(), '\n')) {
        if (line.empty()) continue;
        auto run = run_command({"bash", "-c", slipway.string() + " " + line}, options);
        EXPECT_NE(run->exit_code, 2) << line << "\n" << run->error_text;
        EXPECT_NE(run->exit_code, 0) << "there is no server";
    }
}

TEST(Output, edited_files_are_not_overwritten_unless_forced) {
    auto temp = TempDir::create("output").value();
    auto files = files_of(good_switches());
    auto directory = write_files(temp.path(), "triton", files, false).value();
    EXPECT_TRUE(write_files(temp.path(), "triton", files, false).ok()) << "the same again is no loss";
    std::ofstream(directory / "triton_commonInit.sh", std::ios::app) << "# mine\n";
    std::ofstream(temp / "p2v/slipway_initenv.sh", std::ios::app) << "# mine too\n";
    auto refused = write_files(temp.path(), "triton", files, false);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(errors::kEdited));
    EXPECT_NE(refused.error().message().find("triton_commonInit.sh"), std::string::npos);
    EXPECT_TRUE(write_files(temp.path(), "triton", files, true).ok());
    EXPECT_EQ(read_text_file(directory / "triton_commonInit.sh")->find("# mine"), std::string::npos);
    EXPECT_NE(read_text_file(temp / "p2v/slipway_initenv.sh")->find("# mine too"), std::string::npos)
        << "the shared defaults are written once";
    EXPECT_EQ(fs::status(directory / "triton_capture.sh").permissions() & fs::perms::owner_exec, fs::perms::owner_exec);
}
