// SPDX-License-Identifier: GPL-3.0-or-later
// Folders of drivers, written here in the manner of virtio-win's, asked for one Windows.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/temp_dir.hpp"
#include "vmscript/drop_ins.hpp"
#include "vmscript/test/phony_source.hpp"
#include "vmscript/validation/validate.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

struct DropIns : testing::Test {
    TempDir dir = TempDir::create("drop-ins").value();
    gatherhw::Inventory machine = good_windows();
    Switches switches = good_switches();

    DropIns() {
        machine.os.name = "Windows Server 2019";
        machine.os.version = "10.0.17763";
        machine.os.build = "17763";
        machine.os.architecture = "64-bit";
        machine.os.role = "server";
        switches.controller = ControllerChoice::Virtio;
    }
    void add(const std::string& folder, const std::string& name, const std::string& kind, const std::string& models,
             const std::string& id) {
        fs::create_directories(dir / folder);
        std::ofstream(dir / folder / (name + ".inf"))
            << "[Version]\nSignature=\"$Windows NT$\"\nClass=" << kind
            << "\nClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\nDriverVer=1/1/2020,1.0.0.0\n[SourceDisksNames]\n"
            << "1=d\n[SourceDisksFiles]\n"
            << name << ".sys=1\n[DestinationDirs]\nDefaultDestDir=12\n[Manufacturer]\nV=M," << models << "\n[M."
            << models << "]\nd=i," << id << "\n[i]\nCopyFiles=@" << name << ".sys\n[i.Services]\nAddService=" << name
            << ",2,s\n[s]\nServiceType=1\nStartType=0\nServiceBinary=%12%\\" << name << ".sys\n";
        std::ofstream(dir / folder / (name + ".sys")) << "sys";
    }
    void add_viostor(const std::string& folder, const std::string& models = "NTamd64.10.0") {
        add(folder, "viostor", "SCSIAdapter", models, "PCI\\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00");
    }
    std::optional<DropInDrivers> ask(const std::string& folder) {
        switches.driver_directories = {(dir / folder).string()};
        return drop_in_drivers(machine, switches);
    }
    Finding controller(const std::optional<DropInDrivers>& drop_ins) {
        Surroundings around;
        around.drop_ins = drop_ins;
        for (const auto& f : validate(machine, switches, around))
            if (f.id == "windows-controller") return f;
        return {};
    }
};

TEST_F(DropIns, the_driver_of_this_windows_and_machine_makes_the_controller_good) {
    add_viostor("v/2k19/amd64");
    const auto found = ask("v");
    ASSERT_TRUE(found.has_value());
    EXPECT_THAT(found->storage, EndsWith("v/2k19/amd64/viostor.inf"));
    EXPECT_EQ(found->adapter, "");
    const auto finding = controller(found);
    EXPECT_EQ(finding.verdict, Verdict::Ok);
    EXPECT_THAT(finding.found, HasSubstr("2k19/amd64/viostor.inf"));
}

TEST_F(DropIns, those_of_another_windows_architecture_or_controller_do_not_and_each_is_told) {
    add_viostor("newer/2k25/amd64");
    add_viostor("x86/2k19/x86", "NTx86.10.0");
    add("other/2k19/amd64", "vioscsi", "SCSIAdapter", "NTamd64.10.0", "PCI\\VEN_1AF4&DEV_1004");
    for (const char* folder : {"newer", "x86", "other"}) {
        const auto found = ask(folder);
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->storage, "") << folder;
        const auto finding = controller(found);
        EXPECT_EQ(finding.verdict, Verdict::Error) << folder;
        EXPECT_TRUE(finding.forcible);
    }
    EXPECT_THAT(controller(ask("newer")).found, HasSubstr("viostor.inf: its folder is for another Windows or machine"));
}

TEST_F(DropIns, a_folder_that_is_not_there_or_has_no_driver_is_named) {
    fs::create_directories(dir / "empty");
    for (const char* folder : {"empty", "missing"}) {
        const auto found = ask(folder);
        ASSERT_TRUE(found.has_value());
        EXPECT_THAT(found->why_not, ElementsAre(HasSubstr(folder)));
        EXPECT_THAT(controller(found).found, HasSubstr(folder));
    }
}

TEST_F(DropIns, before_vista_the_adapters_driver_counts_as_well) {
    machine.os = {};
    machine.os.family = "windows";
    machine.os.name = "Windows XP";
    machine.os.version = "5.1.2600";
    machine.os.architecture = "x86";
    switches.controller = ControllerChoice::Ide;
    add("nic", "e1000", "Net", "NTx86", "PCI\\VEN_8086&DEV_100E&SUBSYS_001E8086");
    const auto found = ask("nic");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->storage, "");
    EXPECT_THAT(found->adapter, EndsWith("nic/e1000.inf"));
    machine.os.architecture = "amd64";
    EXPECT_EQ(ask("nic")->adapter, "");
    machine.os.version = "";
    EXPECT_THAT(ask("nic")->why_not, ElementsAre(HasSubstr("does not say which Windows")));
}

TEST_F(DropIns, without_the_switch_or_for_linux_there_is_nothing_to_say) {
    EXPECT_EQ(drop_in_drivers(machine, switches).has_value(), false);
    add_viostor("v/2k19/amd64");
    machine = good_source();
    EXPECT_EQ(ask("v").has_value(), false);
}

}  // namespace
