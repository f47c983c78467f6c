// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "guest-fixup/network.hpp"
#include "sequences/model.hpp"
#include "vmm-target/definition.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using namespace slipway::gatherhw;

namespace {

Plan plan_of(const Inventory& inventory, const Switches& switches) {
    auto plan = make_plan(inventory, switches);
    EXPECT_TRUE(plan.ok()) << plan.error().explain();
    return plan ? std::move(*plan) : Plan{};
}

std::string file(const std::vector<GeneratedFile>& files, const std::string& name) {
    for (const auto& f : files)
        if (f.name == name) return f.text;
    ADD_FAILURE() << name << " is missing";
    return {};
}

}  // namespace

TEST(Plan, the_vm_has_what_the_source_has) {
    auto plan = plan_of(good_source(), good_switches());
    EXPECT_EQ(plan.memory_mib, 2048u);
    EXPECT_EQ(plan.processors, 2u);
    EXPECT_EQ(plan.controller, Controller::Ide);
    ASSERT_EQ(plan.disks.size(), 2u);
    EXPECT_EQ(plan.disks[1], (PlannedDisk{"sdb", "SN2", 8ull << 30, "/srv/disks/triton_disk1.vhd"}));
    EXPECT_EQ(plan.nics, (std::vector<PlannedNic>{{"ens18", "52:54:00:51:00:01", "52:54:00:51:00:01"}}));
    EXPECT_EQ(plan.source_mac, "52:54:00:51:00:01");
    EXPECT_EQ(plan.hardware_services, (std::vector<std::string>{"smartd.service"}));
    EXPECT_EQ(disks_parameter(plan), "all");
}

TEST(Plan, auto_takes_ide_up_to_127_gb_and_scsi_above) {
    auto inventory = good_source();
    inventory.disks[1].size = kMaxIdeDisk;
    EXPECT_EQ(plan_of(inventory, good_switches()).controller, Controller::Ide);
    inventory.disks[1].size = kMaxIdeDisk + 512;
    EXPECT_EQ(plan_of(inventory, good_switches()).controller, Controller::Scsi);
    inventory.disks[1].size = 1 << 30;
    while (inventory.disks.size() < 5) inventory.disks.push_back(inventory.disks[1]);
    EXPECT_EQ(plan_of(inventory, good_switches()).controller, Controller::Scsi);
    auto switches = good_switches();
    switches.controller = ControllerChoice::Virtio;
    EXPECT_EQ(plan_of(inventory, switches).controller, Controller::Virtio);
}

TEST(Plan, a_disk_whose_volumes_are_all_excluded_is_not_made) {
    auto switches = good_switches();
    switches.excluded_drives = {"/var", "sdb2"};
    auto plan = plan_of(good_source(), switches);
    ASSERT_EQ(plan.disks.size(), 1u);
    EXPECT_EQ(plan.disks[0].source_name, "sda");
    EXPECT_TRUE(plan.excluded_volumes.empty());
    EXPECT_EQ(disks_parameter(plan), "SN1") << "the agent may number disks otherwise";
    switches.excluded_drives = {"/dev/sdb"};
    EXPECT_EQ(plan_of(good_source(), switches).disks.size(), 1u);
}

TEST(Plan, one_excluded_volume_of_a_kept_disk_is_left_out_alone) {
    auto switches = good_switches();
    switches.excluded_drives = {"/var", "sda2"};
    auto plan = plan_of(good_source(), switches);
    EXPECT_EQ(plan.disks.size(), 2u);
    EXPECT_EQ(exclude_parameter(plan), "SN1:2;SN2:1");
    auto inventory = good_source();
    inventory.disks[0].serial = inventory.disks[1].serial;
    EXPECT_EQ(exclude_parameter(plan_of(inventory, switches)), "sda2;sdb1") << "a serial that two have says nothing";
}

TEST(Plan, excluding_the_system_or_nothing_known_is_refused) {
    for (auto name : {"/", "sda1", "sda", "Q:"}) {
        auto switches = good_switches();
        switches.excluded_drives = {name};
        auto plan = make_plan(good_source(), switches);
        ASSERT_FALSE(plan.ok()) << name;
        EXPECT_TRUE(plan.error().is(errors::kNotFit));
    }
}

TEST(Plan, a_usb_disk_stays_behind_unless_the_system_is_on_it) {
    auto inventory = good_source();
    inventory.disks[1].controller = "controller1";
    EXPECT_EQ(plan_of(inventory, good_switches()).disks.size(), 1u);
    inventory.disks[0].controller = "controller1";
    EXPECT_EQ(plan_of(inventory, good_switches()).disks.size(), 1u);
}

TEST(Plan, the_adapter_that_boots_comes_first_and_four_are_enough) {
    auto inventory = good_source();
    for (int n = 2; n < 8; ++n) {
        auto a = inventory.network[0];
        a.name = "ens" + std::to_string(n);
        a.mac = "52:54:00:51:00:0" + std::to_string(n);
        a.permanent_mac = "52:54:00:61:00:0" + std::to_string(n);
        inventory.network.push_back(a);
    }
    auto switches = good_switches();
    switches.admin_mac = MacAddress::parse("52:54:00:61:00:07");
    auto plan = plan_of(inventory, switches);
    ASSERT_EQ(plan.nics.size(), 4u);
    EXPECT_EQ(plan.nics[0].name, "ens7");
    EXPECT_EQ(plan.nics[0].new_mac, "52:54:00:61:00:07") << "the burnt-in address is what PXE shows";
    EXPECT_EQ(plan.source_mac, "52:54:00:61:00:07");
}

TEST(Plan, dynamic_macs_differ_from_the_source_and_from_each_other) {
    auto inventory = good_source();
    inventory.network.push_back(inventory.network[0]);
    auto switches = good_switches();
    switches.dynamic_macs = true;
    auto plan = plan_of(inventory, switches);
    ASSERT_EQ(plan.nics.size(), 2u);
    EXPECT_NE(plan.nics[0].new_mac, plan.nics[0].old_mac);
    EXPECT_NE(plan.nics[0].new_mac, plan.nics[1].new_mac);
    EXPECT_EQ(plan.nics, plan_of(inventory, switches).nics) << "generating again must not look like an edit";
    EXPECT_EQ(nics_parameter(plan).find("ens18=52:54:00:51:00:01=" + plan.nics[0].new_mac), 0u);
}

TEST(Plan, windows_adapters_go_by_their_connection_where_the_repair_takes_it) {
    auto inventory = good_windows();
    inventory.network.resize(1);
    inventory.network[0].connection = "Local Area Connection";
    const auto rest = "=52:54:00:51:00:01=52:54:00:51:00:01";
    EXPECT_EQ(nics_parameter(plan_of(inventory, good_switches())), std::string("Local Area Connection") + rest);
    inventory.network[0].connection = "LAN;DMZ=1";
    EXPECT_EQ(nics_parameter(plan_of(inventory, good_switches())), std::string("ens18") + rest);
    inventory.os.family = "linux";  // there it is the name of NetworkManager's profile
    inventory.network[0].connection = "Wired connection 1";
    EXPECT_EQ(nics_parameter(plan_of(inventory, good_switches())), std::string("ens18") + rest);
}

TEST(Plan, a_name_of_an_adapter_is_one_that_the_repair_takes) {
    for (int c = 0; c < 256; ++c)
        for (const std::string& name :
             {std::string(1, static_cast<char>(c)), "a" + std::string(1, static_cast<char>(c)),
              "a" + std::string(1, static_cast<char>(c)) + "b c"})
            EXPECT_EQ(names_adapter(name), fixup::valid_adapter_name(name)) << c;
    for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string(80, 'x'),
                                    std::string(81, 'x'), std::string("Verbindung \xc3\xa4"), std::string(16, '.')})
        EXPECT_EQ(names_adapter(name), fixup::valid_adapter_name(name)) << name;
}

TEST(Definition, is_one_the_vm_host_accepts) {
    for (auto choice :
         {ControllerChoice::Ide, ControllerChoice::Sata, ControllerChoice::Scsi, ControllerChoice::Virtio}) {
        auto switches = good_switches();
        switches.controller = choice;
        switches.dynamic_disks = true;
        auto inventory = good_source();
        inventory.system.processors.threads = 200;
        auto plan = plan_of(inventory, switches);
        auto parsed = vmm::parse_definition(render_definition(plan));
        ASSERT_TRUE(parsed.ok()) << parsed.error().explain();
        const auto& vm = parsed->definition;
        EXPECT_EQ(vm.name, "triton");
        EXPECT_EQ(vm.directory, "/srv/vm");
        EXPECT_EQ(vm.memory_mib, 2048u);
        EXPECT_EQ(vm.processors, 64u);
        ASSERT_EQ(vm.disks.size(), 2u);
        EXPECT_EQ(vm.disks[1].path, "/srv/disks/triton_disk1.vhd");
        EXPECT_EQ(vm.disks[1].size_bytes, 8ull << 30);
        EXPECT_EQ(vm.disks[1].kind, vmm::DiskKind::Dynamic);
        EXPECT_LE(most_disks(plan.controller), vmm::disk_limit(vm.disks[0].controller));
        EXPECT_EQ(vm.adapters.at(0).mac.text(), "52:54:00:51:00:01");
        EXPECT_EQ(vm.adapters.at(0).network, "VM0");
    }
}

TEST(Sequences, all_three_are_accepted_by_the_engine_s_own_reader) {
    for (auto action : {PostDeploy::StayInAgent, PostDeploy::ShutDown, PostDeploy::Restart}) {
        auto switches = good_switches();
        switches.post_deploy = action;
        switches.patch_directory = "/p${x}";
        switches.fix_hal = patches::FixHal::Nacpi;
        switches.suppress_console = true;
        switches.service_driver_state = "<Configuration/>";
        for (const auto& f : render_sequences(plan_of(good_source(), switches))) {
            auto parsed = sequences::parse_sequence(f.text);
            ASSERT_TRUE(parsed.ok()) << f.name << ": " << parsed.error().explain();
            EXPECT_TRUE(parsed->warnings.empty());
            auto values = sequences::effective_variables(parsed->sequence, {{"nonce", "n"}});
            EXPECT_TRUE(sequences::check_variables(parsed->sequence, values).ok()) << f.name;
        }
    }
}

TEST(Sequences, deployment_ends_in_the_agent_whatever_the_scripts_then_do) {
    std::string first;
    for (auto action : {PostDeploy::StayInAgent, PostDeploy::ShutDown, PostDeploy::Restart}) {
        auto switches = good_switches();
        switches.post_deploy = action;
        auto text = file(render_sequences(plan_of(good_source(), switches)), "triton_DeployVM.xml");
        EXPECT_EQ(sequences::parse_sequence(text)->sequence.tasks.back().type, "repair");
        if (first.empty()) first = text;
        EXPECT_EQ(text, first) << "the action is set in commonInit.sh alone";
    }
}

TEST(Sequences, switches_for_later_travel_along) {
    auto switches = good_switches();
    switches.patch_directory = "/patches";
    switches.service_driver_state = "<Configuration/>";
    auto files = render_sequences(plan_of(good_source(), switches));
    auto s = sequences::parse_sequence(file(files, "triton_DeployVM.xml"))->sequence;
    auto values = sequences::effective_variables(s, {});
    EXPECT_EQ(values["patch-directory"], "/patches");
    EXPECT_EQ(values["service-driver-file"], "<Configuration/>");
}

TEST(Sequences, the_repair_is_told_of_hal_and_patch_library) {
    auto switches = good_switches();
    switches.patch_directory = "/patches";
    switches.fix_hal = patches::FixHal::Nacpi;
    for (const char* name : {"triton_DeployVM.xml", "triton_ServiceDriver.xml"}) {
        const auto files = render_sequences(plan_of(good_source(), switches));
        const auto s = sequences::parse_sequence(file(files, name))->sequence;
        const auto values = sequences::effective_variables(s, {});
        const auto& parameters = s.tasks.back().parameters;
        EXPECT_EQ(sequences::expand(parameters.at("fix-hal"), values).value(), "nacpi") << name;
        EXPECT_EQ(sequences::expand(parameters.at("patch-directory"), values).value(), "/patches") << name;
        EXPECT_EQ(sequences::expand(parameters.at("processors"), values).value(),
                  std::to_string(plan_of(good_source(), switches).processors));
    }
}
