// SPDX-License-Identifier: GPL-3.0-or-later
// The console program against a server in this process: what its commands make of records, jobs and files.
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/db/json.hpp"
#include "deploy-server/server.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"
#include "vmscript/test/phony_source.hpp"

namespace slipway::server {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

struct SlipwayTest : testing::Test {
    TempDir dir = TempDir::create("slipway").value();
    SystemClock clock;
    std::unique_ptr<DeployServer> server;

    void SetUp() override {
        ServerOptions o;
        o.state = dir / "state";
        o.address = "127.0.0.1";
        o.tls_port = o.http_port = 0;
        auto started = DeployServer::start(o, clock);
        ASSERT_TRUE(started) << started.error().describe();
        server = std::move(*started);
        ASSERT_TRUE(write_file_atomic(dir / "triton.xml", as_bytes(gatherhw::to_xml(vmscript::good_source()))).ok());
    }
    CommandResult run(std::vector<std::string> arguments) const {
        const char* bin = std::getenv("SLIPWAY_BIN");
        arguments.insert(arguments.begin(), (fs::path(bin ? bin : "bin") / "slipway").string());
        CommandOptions options;
        options.working_directory = dir.path();
        options.timeout = std::chrono::seconds(60);
        options.environment = {fmt::format("SLIPWAY_URL=https://127.0.0.1:{}", server->tls_port()),
                               "SLIPWAY_CA=" + (dir / "state/pki/ca.pem").string(),
                               "SLIPWAY_TOKEN_FILE=" + (dir / "state/admin.token").string()};
        return run_command(arguments, options).value();
    }
    void done(const std::vector<std::string>& arguments) const {
        auto ran = run(arguments);
        EXPECT_EQ(ran.exit_code, 0) << ran.error_text;
    }
    json::object asked(std::vector<std::string> arguments) const {
        arguments.push_back("--json");
        auto ran = run(arguments);
        EXPECT_EQ(ran.exit_code, 0) << ran.output << ran.error_text;
        return parse_object(ran.output).value_or({});
    }
    CommandResult migrate(const std::vector<std::string>& more) const {
        std::vector<std::string> words{"migrate",    "--hwinfofile",   "triton.xml", "--name",
                                       "triton",     "--vmconfigpath", "/srv/vm",    "--virtualdiskpath",
                                       "/srv/disks", "--hwdestvs",     "hercules",   "--hwtaskseqpath",
                                       "out",        "--no-wait"};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
    // The host is registered, its agent never comes: jobs wait for it.
    void add_host() const {
        done({"device", "add", "hercules", "--kind", "vmhost"});
        done({"device", "take-control", "hercules"});
    }
};

TEST_F(SlipwayTest, a_record_is_brought_up_to_date_but_never_turned_into_another_machine) {
    done({"device", "add", "a", "--mac", "52:54:00:00:00:01", "--update"});
    done({"device", "add", "a", "--mac", "52:54:00:00:00:02", "--power-driver", "command", "--power-command", "pdu",
          "--update"});
    auto device = asked({"device", "show", "a"});
    EXPECT_EQ(device.at("macs"), (json::array{"52:54:00:00:00:02"}));
    EXPECT_EQ(device.at("power_driver"), "command");
    done({"device", "add", "a", "--mac", "52:54:00:00:00:03", "--if-absent"});
    EXPECT_EQ(asked({"device", "show", "a"}).at("macs"), (json::array{"52:54:00:00:00:02"}));
    auto as_vm = run({"device", "add", "a", "--power-driver", "vm", "--update"});
    EXPECT_THAT(as_vm.error_text, HasSubstr("console.other-machine"));
    done({"device", "add", "vm", "--mac", "52:54:00:00:00:04", "--power-driver", "vm"});
    auto as_source = run({"device", "add", "vm", "--mac", "52:54:00:00:00:04", "--power-driver", "prompt", "--update"});
    EXPECT_EQ(as_source.exit_code, 1);
    EXPECT_THAT(as_source.error_text, HasSubstr("as a virtual machine"));
    auto taken = run({"device", "add", "b", "--mac", "52:54:00:00:00:04", "--update"});
    EXPECT_THAT(taken.error_text, HasSubstr("another device has the MAC")) << taken.error_text;
}

TEST_F(SlipwayTest, a_group_is_made_once_and_a_rate_given_to_one_of_its_machines_is_said_to_be_the_groups) {
    done({"device", "add", "a", "--mac", "52:54:00:00:00:01"});
    done({"device", "add", "b", "--mac", "52:54:00:00:00:02"});
    for (const char* name : {"a", "b"}) done({"device", "take-control", name});
    done({"group", "add", "lab", "--device", "a", "--device", "b"});
    auto again = run({"group", "add", "lab", "--device", "a"});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.error_text, HasSubstr("there is a group 'lab' already, of 2 devices"));
    EXPECT_THAT(again.error_text, HasSubstr("slipway group set"));
    auto refused = run({"job", "run", "--sequence", "da-shutdown", "--group", "lab", "--variable", "compar=always"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.error_text, HasSubstr("there is no variable 'compar'"));
    done({"job", "run", "--sequence", "da-shutdown", "--group", "lab"});
    EXPECT_EQ(run({"job", "throttle", "2", "10M"}).output,
              "job 2 is of one machine of job 1: what is sent for job 1 goes at 10 Mbit/s at most\n");
    EXPECT_EQ(run({"job", "throttle", "1", "off"}).output, "what is sent for job 1 goes as the settings say\n");
    EXPECT_EQ(run({"group", "set", "lab", "--device", "b"}).output, "group lab has 1 member\n");
    EXPECT_EQ(run({"group", "set", "bal", "--device", "b"}).exit_code, 1);
}

TEST_F(SlipwayTest, distribution_is_shown_and_set_and_a_job_that_sends_nothing_is_named) {
    auto shown = run({"distribution", "show"});
    EXPECT_THAT(shown.output, HasSubstr("239.255.52.0"));
    EXPECT_THAT(shown.output, HasSubstr("nothing is sent by multicast now"));
    EXPECT_EQ(asked({"distribution", "set", "--rate", "300M", "--ttl", "4", "--multicast", "off"}).at("rate"),
              300'000'000);
    auto settings = asked({"distribution", "show"}).at("settings");
    EXPECT_EQ(settings.at("ttl"), 4);
    EXPECT_EQ(settings.at("multicast"), false);
    EXPECT_EQ(asked({"distribution", "set", "--rate", "off"}).at("rate"), 0);
    done({"distribution", "set", "--limit", "127.0.0.1=300M", "--window", "22:00-06:00=unlimited"});
    auto strangers = run({"distribution", "set", "--limit", "192.0.2.77=1G"});
    EXPECT_EQ(strangers.exit_code, 3);
    EXPECT_THAT(strangers.output, HasSubstr("warning: 192.0.2.77 is "));
    auto limited = asked({"distribution", "show"}).at("settings");
    EXPECT_EQ(limited.at("limits").as_array().size(), 2u) << "one more; the first stays";
    EXPECT_EQ(limited.at("windows").at(0).at("rate"), 0);
    EXPECT_THAT(run({"distribution", "show"}).output, HasSubstr("from 22:00 to 06:00  unlimited"));
    EXPECT_EQ(asked({"distribution", "set", "--limit", "192.0.2.77=off"}).at("limits").as_array().size(), 1u);
    EXPECT_EQ(asked({"distribution", "set", "--no-windows"}).at("windows").as_array().size(), 0u);
    EXPECT_EQ(asked({"distribution", "set", "--report-ports", "8482-8581"}).at("report_ports"), "8482-8581");
    EXPECT_THAT(run({"distribution", "show"}).output, HasSubstr("to UDP ports 8482-8581"));
    EXPECT_THAT(run({"distribution", "set", "--report-ports", "80-90"}).error_text, HasSubstr("from 1024 to 65535"));
    EXPECT_EQ(asked({"distribution", "set", "--report-ports", "any"}).at("report_ports"), "");
    done({"distribution", "set", "--wait", "0"});
    EXPECT_THAT(run({"distribution", "show"}).output, HasSubstr("no time"));
    EXPECT_EQ(run({"distribution", "set", "--window", "22:00=1M"}).exit_code, 2);
    EXPECT_EQ(run({"distribution", "set", "--limit", "10.99.0.1"}).exit_code, 2);
    EXPECT_THAT(run({"distribution", "set", "--window", "25:00-06:00=1M"}).error_text, HasSubstr("no time of day"));
    EXPECT_EQ(run({"distribution", "set"}).exit_code, 2);
    EXPECT_EQ(run({"distribution", "set", "--rate", "fast"}).exit_code, 2);
    EXPECT_THAT(run({"distribution", "set", "--group", "10.0.0.1"}).error_text, HasSubstr("no multicast address"));
    EXPECT_THAT(run({"distribution", "set", "--group", "ff02::1"}).error_text, HasSubstr("transient"));
    EXPECT_THAT(run({"distribution", "set", "--group", "ff18::7:0"}).output, HasSubstr("4096 from ff18::7:0 on"));
    EXPECT_THAT(run({"distribution", "set", "--group", "auto"}).output, HasSubstr("ff15::8481:0 (IPv6)"));
    EXPECT_THAT(run({"distribution", "set", "--rate", "100"}).error_text, HasSubstr("Was 100M meant?"));
    EXPECT_THAT(run({"job", "throttle", "7", "100"}).error_text, HasSubstr("server.rate"));
    auto nobodys = run({"distribution", "set", "--interface", "203.0.113.9"});
    EXPECT_EQ(nobodys.exit_code, 3);
    for (const auto& said : {nobodys.output, run({"distribution", "show"}).output})
        EXPECT_THAT(said, HasSubstr("warning: no interface of the server has the address 203.0.113.9"));
    EXPECT_EQ(asked({"distribution", "show"}).at("warnings").as_array().size(), 1u);
    EXPECT_EQ(run({"distribution", "set", "--interface", "127.0.0.1"}).exit_code, 0);
    EXPECT_FALSE(asked({"distribution", "show"}).contains("warnings"));
    auto throttled = run({"job", "throttle", "7", "10M"});
    EXPECT_EQ(throttled.exit_code, 1);
    EXPECT_THAT(throttled.error_text, HasSubstr("nothing is sent for job 7"));
}

TEST_F(SlipwayTest, migrate_writes_the_files_and_hands_every_switch_on) {
    add_host();
    const std::string drivers = "<Configuration><Service Name=\"hp-health\" Start=\"Disable\"/></Configuration>";
    ASSERT_TRUE(write_file_atomic(dir / "s.xml", as_bytes(drivers)));
    auto ran = migrate({"--adminmac", "52:54:00:51:00:77", "--servicedriverstate", "s.xml", "--hwpatchdir", "/patches",
                        "--hwdriverdir", "/srv/a;/srv/b", "--fixhal", "--suppressvsconsole", "--image", "golden",
                        "--power-command", "/usr/bin/pdu"});
    ASSERT_EQ(ran.exit_code, 0) << ran.error_text;
    EXPECT_THAT(ran.error_text, HasSubstr("triton_CleanupVM.sh"));
    auto settings = read_text_file(dir / "out/p2v/triton/triton_commonInit.sh").value();
    EXPECT_THAT(settings, HasSubstr("IMAGE_NAME=golden\n"));
    EXPECT_TRUE(fs::exists(dir / "out/p2v/triton/triton_internalState.xml"));
    auto device = asked({"device", "show", "triton"});
    EXPECT_EQ(device.at("macs"), (json::array{"52:54:00:51:00:77", "52:54:00:51:00:01"}));
    EXPECT_EQ(device.at("power_driver"), "command");
    auto job = asked({"job", "show", "1"});
    const auto& variables = job.at("variables").as_object();
    for (auto [name, value] : {std::pair<const char*, std::string>{"image", "golden"},
                               {"service-driver-file", drivers},
                               {"patch-directory", "/patches"},
                               {"driver-directories", "/srv/a;/srv/b"},
                               {"fix-hal", "auto"},
                               {"suppress-console", "true"}})
        EXPECT_EQ(view(variables.at(name).as_string()), value) << name;
}

TEST_F(SlipwayTest, migrate_neither_runs_twice_nor_overwrites_edited_files) {
    add_host();
    ASSERT_EQ(migrate({}).exit_code, 0);
    auto twice = migrate({});
    EXPECT_EQ(twice.exit_code, 1);
    EXPECT_THAT(twice.error_text, HasSubstr("server.device-busy"));
    done({"job", "cancel", "--machine", "triton"});
    EXPECT_EQ(asked({"job", "list", "--state", "running"}).at("items").as_array().size(), 0u);
    EXPECT_EQ(asked({"job", "list", "--state", "queued"}).at("items").as_array().size(), 0u);
    EXPECT_THAT(run({"job", "cancel", "--machine", "triton"}).output, HasSubstr("no job works on triton"));
    EXPECT_THAT(migrate({"--vmmemory", "256"}).error_text, HasSubstr("vmscript.edited"));
    EXPECT_EQ(migrate({"--vmmemory", "256", "--forcegenerate"}).exit_code, 0);
    EXPECT_EQ(run({"job", "cancel"}).exit_code, 2) << "which?";
}

TEST_F(SlipwayTest, a_vm_is_checked_and_made_with_the_network_and_addresses_given) {
    add_host();
    auto plan = vmscript::make_plan(vmscript::good_source(), vmscript::good_switches()).value();
    ASSERT_TRUE(write_file_atomic(dir / "vm.xml", as_bytes(vmscript::render_definition(plan))).ok());
    auto definition = (dir / "vm.xml").string();
    auto wrong =
        run({"vm", "create", "--definition", definition, "--mac", "52:54:00:00:00:01", "--mac", "52:54:00:00:00:02"});
    EXPECT_THAT(wrong.error_text, HasSubstr("1 adapters"));
    for (std::string verb : {"check", "create"}) {
        auto follows = std::async(std::launch::async, [&] {
            return run({"vm", verb, "--definition", definition, "--host", "hercules", "--name", "nereus", "--network",
                        "lab", "--mac", "52:54:00:99:00:01"});
        });
        auto items = json::array();
        while (items.empty()) items = asked({"job", "list", "--state", "running"}).at("items").as_array();
        auto job = asked({"job", "show", std::to_string(items[0].at("id").to_number<int>())});
        EXPECT_EQ(job.at("steps").at(0).at("type"), verb == "check" ? "check-vmhost" : "create-vm");
        auto made = std::string(job.at("variables").at("definition").as_string());
        EXPECT_THAT(made, HasSubstr("name=\"nereus\""));
        EXPECT_THAT(made, HasSubstr("52:54:00:99:00:01"));
        EXPECT_THAT(made, HasSubstr("\"lab\""));
        EXPECT_THAT(made, HasSubstr(vmscript::render_definition(plan).substr(
                              vmscript::render_definition(plan).find("uuid="), 42)));
        done({"job", "cancel", "--machine", "nereus"});  // found by the VM's name
        EXPECT_EQ(follows.get().exit_code, 1);
    }
}

}  // namespace
}  // namespace slipway::server
