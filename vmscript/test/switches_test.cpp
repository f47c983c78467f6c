// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "vmscript/errors.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/switches.hpp"

using namespace slipway;
using namespace slipway::vmscript;

namespace {

std::vector<std::string> generate_with(std::vector<std::string> more) {
    std::vector<std::string> out{"--hwgeneratep2v", "--hwinfofile", "/tmp/x.xml",        "--name", "p",
                                 "--vmconfigpath",  "/srv/c",       "--virtualdiskpath", "/srv/d", "--hwdestvs",
                                 "hercules"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

std::string refusal(const std::vector<std::string>& arguments) {
    auto s = parse_switches(arguments);
    return s ? "accepted" : s.error().describe();
}

}  // namespace

TEST(Switches, both_spellings_say_the_same) {
    const std::vector<std::vector<std::string>> spellings{
        {"--hwvalidate", "--hwinfofile", "poseidon.xml"}, {"--HWValidate", "--HwInfoFile=poseidon.xml"},
        {"/HWValidate", "/HWInfoFile:poseidon.xml"},      {"/hwvalidate", "/hwinfofile", "poseidon.xml"},
        {"/hwInfoFile:\"poseidon.xml\"", "/hwValidate"},
    };
    for (const auto& arguments : spellings) {
        auto s = parse_switches(arguments);
        ASSERT_TRUE(s.ok()) << s.error().explain();
        EXPECT_EQ(s->command, Command::Validate);
        EXPECT_EQ(s->hw_info_file, "poseidon.xml");
    }
}

TEST(Switches, a_path_is_a_value_and_not_a_switch) {
    for (auto path : {"/tmp/poseidon.xml", "/nameless", "/names/x", "/hw:info", "C:\\x.xml"}) {
        for (const auto& arguments : {std::vector<std::string>{"/hwvalidate", "/hwinfofile", path},
                                      {"/hwvalidate", std::string("/hwinfofile:") + path}}) {
            auto s = parse_switches(arguments);
            ASSERT_TRUE(s.ok()) << s.error().explain();
            EXPECT_EQ(s->hw_info_file, path);
        }
    }
    EXPECT_NE(refusal({"/hwvalidate", "/hwinfofile", "/name:x"}).find("--hwinfofile needs a value"), std::string::npos);
    EXPECT_NE(refusal({"/hwvalidate", "/tmp/poseidon.xml"}).find("belongs to no switch"), std::string::npos);
}

TEST(Switches, each_missing_required_switch_is_named) {
    auto text = refusal({"--hwgeneratep2v"});
    int required = 0;
    for (const auto& row : switch_rows()) {
        if (!row.required) continue;
        ++required;
        EXPECT_NE(text.find("--" + std::string(row.name)), std::string::npos) << text;
        std::vector<std::string> arguments = generate_with({});
        auto at = std::find(arguments.begin(), arguments.end(), "--" + std::string(row.name));
        ASSERT_NE(at, arguments.end());
        arguments.erase(at, at + 2);
        EXPECT_EQ(refusal(arguments), "missing: --" + std::string(row.name) + " [vmscript.usage]");
    }
    EXPECT_EQ(required, 5);
    EXPECT_NE(refusal({"--hwvalidate"}).find("--hwinfofile"), std::string::npos);
    EXPECT_NE(refusal({}).find("--hwvalidate or --hwgeneratep2v"), std::string::npos);
}

TEST(Switches, every_optional_switch_arrives) {
    auto s = parse_switches(generate_with({"--hwtaskseqpath",
                                           "/out",
                                           "/vsHostNet:VM7",
                                           "--virtualdiskdynamic",
                                           "/adminMac:52-54-00-51-00-09",
                                           "/virtualMacDynamic",
                                           "--vmmemory",
                                           "256",
                                           "/postDeployAction:2",
                                           "--excludedrives",
                                           "sda2; /var;",
                                           "--forcegenerate",
                                           "--targetcontroller",
                                           "VIRTIO",
                                           "--hwpatchdir",
                                           "/patches",
                                           "/hwDriverDir:/srv/virtio-win/; /srv/nic;",
                                           "/fixHAL",
                                           "--servicedriverstate",
                                           "/states.xml",
                                           "/suppressVSConsole"}));
    ASSERT_TRUE(s.ok()) << s.error().explain();
    EXPECT_EQ(s->task_sequence_path, "/out");
    EXPECT_EQ(s->network, "VM7");
    EXPECT_TRUE(s->dynamic_disks);
    EXPECT_EQ(s->admin_mac->text(), "52:54:00:51:00:09");
    EXPECT_TRUE(s->dynamic_macs);
    EXPECT_EQ(s->memory_mib, 256u);
    EXPECT_EQ(s->post_deploy, PostDeploy::Restart);
    EXPECT_EQ(s->excluded_drives, (std::vector<std::string>{"sda2", "/var"}));
    EXPECT_TRUE(s->force);
    EXPECT_EQ(s->controller, ControllerChoice::Virtio);
    EXPECT_EQ(s->patch_directory, "/patches");
    EXPECT_EQ(s->driver_directories, (std::vector<std::string>{"/srv/virtio-win", "/srv/nic"}));
    EXPECT_EQ(s->fix_hal, patches::FixHal::Auto);
    EXPECT_EQ(s->service_driver_state, "/states.xml");
    EXPECT_TRUE(s->suppress_console);
}

TEST(Switches, fixhal_alone_is_auto_and_takes_a_value_in_every_spelling) {
    const auto fix_hal = [](std::vector<std::string> more) { return parse_switches(generate_with(std::move(more))); };
    EXPECT_EQ(fix_hal({"--fixhal"})->fix_hal, patches::FixHal::Auto);
    EXPECT_EQ(fix_hal({"--fixhal", "--forcegenerate"})->fix_hal, patches::FixHal::Auto);
    EXPECT_EQ(fix_hal({"--fixhal", "acpi"})->fix_hal, patches::FixHal::Acpi);
    EXPECT_EQ(fix_hal({"--fixhal=none"})->fix_hal, patches::FixHal::None);
    EXPECT_EQ(fix_hal({"/fixHAL:NACPI"})->fix_hal, patches::FixHal::Nacpi);
    EXPECT_EQ(fix_hal({})->fix_hal, std::nullopt);
    EXPECT_FALSE(fix_hal({"--fixhal", "yes"}).ok());
}

TEST(Switches, defaults_are_those_of_the_field) {
    auto s = parse_switches(generate_with({}));
    ASSERT_TRUE(s.ok());
    EXPECT_EQ(s->network, "VM0");
    EXPECT_FALSE(s->dynamic_disks);
    EXPECT_EQ(s->post_deploy, PostDeploy::StayInAgent);
    EXPECT_EQ(s->controller, ControllerChoice::Auto);
    EXPECT_EQ(s->task_sequence_path, ".");
}

TEST(Switches, bad_values_are_refused_by_name) {
    struct Row {
        std::vector<std::string> more;
        const char* says;
    };
    const Row rows[] = {
        {{"--postdeployaction", "3"}, "--postdeployaction 3"},
        {{"--targetcontroller", "floppy"}, "auto, ide, sata, scsi or virtio"},
        {{"--vmmemory", "191"}, "at least 192 MiB"},
        {{"--vmmemory", "96M"}, "at least 192 MiB"},
        {{"--vmmemory", "lots"}, "--vmmemory lots"},
        {{"--vmmemory", "99999999"}, "at most"},
        {{"--adminmac", "01:00:00:00:00:00"}, "--adminmac"},
        {{"--adminmac", "x"}, "--adminmac"},
        {{"--vshostnet", "a b"}, "--vshostnet"},
        {{"--excludedrives", ";;"}, "--excludedrives"},
        {{"--virtualdiskdynamic=yes"}, "takes no value"},
        {{"--hwpatchdir", "rel/none"}, "--hwpatchdir rel/none: an absolute directory"},
        {{"--storefree", "much"}, "no size"},
        {{"--targetmemory", "x"}, "--targetmemory x"},
        {{"--targetprocessors", "0"}, "--targetprocessors 0"},
        {{"--group", "disk"}, "file-systems"},
        {{"--group", ";"}, "--group"},
        {{"--vmmemory"}, "needs a value"},
        {{"--vmmemory="}, "needs a value"},
        {{"--name", "q"}, "given twice"},
        {{"--hwvalidate"}, "not both"},
        {{"--nonsense"}, "unknown switch --nonsense"},
        {{"/nonsense"}, "belongs to no switch"},
    };
    for (const auto& row : rows)
        EXPECT_NE(refusal(generate_with(row.more)).find(row.says), std::string::npos)
            << row.more.front() << ": " << refusal(generate_with(row.more));
    for (const auto& bad : std::vector<std::string>{"../x", "a b", "-x", "a;b", "$(id)", std::string(49, 'x')}) {
        auto arguments = generate_with({});
        arguments[4] = bad;
        EXPECT_NE(refusal(arguments), "accepted") << bad;
    }
    for (auto bad : {"relative", "/a\nb"}) {
        auto arguments = generate_with({});
        arguments[6] = bad;
        EXPECT_NE(refusal(arguments), "accepted") << bad;
    }
}

TEST(Switches, what_is_known_besides_the_inventory_arrives) {
    auto s = parse_switches({"--hwvalidate",
                             "--hwinfofile",
                             "x.xml",
                             "--devicelist",
                             "d.json",
                             "/agentDrivers:a.json",
                             "--storefree",
                             "500G",
                             "--targetfree",
                             "1024",
                             "--targetmemory",
                             "16G",
                             "--targetprocessors",
                             "8",
                             "--storedisk",
                             "h:sda",
                             "--targetdisk",
                             "h:sdb",
                             "--html",
                             "r.html",
                             "--group",
                             "Disks; boot",
                             "--only-problems"});
    ASSERT_TRUE(s.ok()) << s.error().explain();
    EXPECT_EQ(s->device_list, "d.json");
    EXPECT_EQ(s->agent_drivers, "a.json");
    EXPECT_EQ(s->store_free, 500ull << 30);
    EXPECT_EQ(s->target_free, 1024u);
    EXPECT_EQ(s->target_memory_mib, 16384u);
    EXPECT_EQ(parse_switches({"--list-rules", "--targetmemory", "16384"})->target_memory_mib, 16384u);
    EXPECT_EQ(s->target_processors, 8u);
    EXPECT_EQ(s->store_disk, "h:sda");
    EXPECT_EQ(s->target_disk, "h:sdb");
    EXPECT_EQ(s->html_file, "r.html");
    EXPECT_EQ(s->groups, (std::vector<std::string>{"disks", "boot"}));
    EXPECT_TRUE(s->only_problems);
}

TEST(Switches, memory_is_mib_or_a_size) {
    EXPECT_EQ(parse_switches(generate_with({"--vmmemory", "512M"}))->memory_mib, 512u);
    EXPECT_EQ(parse_switches(generate_with({"--vmmemory", "2G"}))->memory_mib, 2048u);
    EXPECT_EQ(parse_switches(generate_with({"--vmmemory", std::to_string(kAgentMemoryFloorMib)}))->memory_mib,
              kAgentMemoryFloorMib);
}

TEST(Switches, help_is_asked_for_in_every_spelling_and_shows_all) {
    for (auto spelling : {"/?", "--help", "-h", "/help"})
        EXPECT_EQ(parse_switches({spelling})->command, Command::Help) << spelling;
    auto text = help_text();
    for (const auto& row : switch_rows())
        if (row.name != "?") {
            EXPECT_NE(text.find("--" + std::string(row.name)), std::string::npos);
        }
}
