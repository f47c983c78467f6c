// SPDX-License-Identifier: GPL-3.0-or-later
// Which drivers a Windows starts from which controller: made registries for each generation, and the real ones.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/windows/errors.hpp"
#include "guest-fixup/windows/find_windows.hpp"
#include "lib/base/strings.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using test::TestKey;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace {

const std::string kServices = "ControlSet001\\Services", kCritical = "ControlSet001\\Control\\CriticalDeviceDatabase";

Hive hive_of(const std::string& bytes) {
    auto hive = Hive::open(bytes, "SYSTEM");
    EXPECT_TRUE(hive.ok()) << (hive.ok() ? "" : hive.error().explain());
    return *std::move(hive);
}

WindowsSystem version(unsigned major, unsigned minor, Architecture architecture = Architecture::X86) {
    return {.root = "/WINDOWS",
            .product = "Windows",
            .major = major,
            .minor = minor,
            .build = 1,
            .architecture = architecture,
            .control_set = "ControlSet001"};
}

// Files by the last name, whatever the case.
HasFile files(std::set<std::string> names) {
    return [names](const std::string& path) { return names.contains(to_lower(path.substr(path.rfind('/') + 1))); };
}
const HasFile kEverything = [](const std::string&) { return true; };

Hive real(const char* name) {
    const auto bytes = test::shared_hive(name);
    return bytes ? hive_of(*bytes) : hive_of(test::make_hive(test::system_tree()));
}

#define NEEDS_HIVE(name) \
    if (!test::shared_hive(name)) GTEST_SKIP() << name << " is not in ../shared/data"

std::string error_of(Hive& hive, const WindowsSystem& windows, TargetController target, const HasFile& has) {
    const auto done = set_up_storage(hive, windows, target, has);
    EXPECT_FALSE(done.ok());
    EXPECT_FALSE(hive.changed());
    if (done.ok()) return {};
    EXPECT_TRUE(done.error().is(fixup::errors::kWindowsDriver)) << done.error().explain();
    return done.error().message();
}

}  // namespace

TEST(WindowsStorage, xp_of_another_chipset_gets_every_row_that_the_knowledge_base_lists_for_ide) {
    auto tree = test::system_tree();
    test::add_service(tree, "atapi", 0, "SCSI miniport");
    test::add_service(tree, "disk", 0, "SCSI Class");
    auto hive = hive_of(test::make_hive(tree));
    const auto has = files({"atapi.sys", "intelide.sys", "pciide.sys", "pciidex.sys", "disk.sys"});
    const auto services = set_up_storage(hive, version(5, 1), TargetController::Ide, has);
    ASSERT_TRUE(services.ok()) << services.error().explain();
    EXPECT_THAT(*services, UnorderedElementsAre("atapi", "disk", "intelide", "pciide"));
    EXPECT_EQ(hive.string(kCritical + "\\pci#ven_8086&dev_7010", "Service"), "intelide");
    EXPECT_EQ(hive.string(kCritical + "\\pci#cc_0101", "Service"), "pciide");
    EXPECT_EQ(hive.string(kCritical + "\\primary_ide_channel", "ClassGUID"), "{4D36E96A-E325-11CE-BFC1-08002BE10318}");
    EXPECT_EQ(hive.string(kCritical + "\\gendisk", "ClassGUID"), "{4D36E967-E325-11CE-BFC1-08002BE10318}");
    EXPECT_EQ(hive.number(kServices + "\\intelide", "Start"), 0u);
    EXPECT_EQ(hive.number(kServices + "\\intelide", "Tag"), 4u);
    EXPECT_EQ(hive.string(kServices + "\\pciide", "Group"), "System Bus Extender");
    EXPECT_EQ(hive.get(kServices + "\\pciide", "ImagePath"), reg_expand_sz("system32\\DRIVERS\\pciide.sys"));
    auto again = hive_of(*hive.bytes());
    ASSERT_TRUE(set_up_storage(again, version(5, 1), TargetController::Ide, has).ok());
    EXPECT_THAT(again.journal(), IsEmpty());
}

TEST(WindowsStorage, one_bus_driver_of_ide_is_enough_and_the_rows_of_the_other_are_left_out) {
    auto tree = test::system_tree();
    test::add_service(tree, "disk", 0, "SCSI Class");
    auto hive = hive_of(test::make_hive(tree));
    const auto has = files({"atapi.sys", "pciide.sys", "pciidex.sys", "disk.sys"});
    ASSERT_TRUE(set_up_storage(hive, version(5, 2), TargetController::Ide, has).ok());
    EXPECT_TRUE(hive.has(kCritical + "\\pci#cc_0101"));
    EXPECT_FALSE(hive.has(kCritical + "\\pci#ven_8086&dev_7010"));
    EXPECT_FALSE(hive.has(kServices + "\\intelide"));
}

TEST(WindowsStorage, every_missing_file_is_named_and_nothing_is_changed) {
    auto hive = hive_of(test::make_hive(test::system_tree()));
    const auto message = error_of(hive, version(5, 1), TargetController::Ide, files({"disk.sys"}));
    for (const char* file : {"%SystemRoot%\\system32\\drivers\\atapi.sys", "intelide.sys", "pciidex.sys"})
        EXPECT_THAT(message, HasSubstr(file));
}

TEST(WindowsStorage, nt4_starts_from_ide_alone) {
    auto tree = test::system_tree();
    auto hive = hive_of(test::make_hive(tree));
    ASSERT_TRUE(set_up_storage(hive, version(4, 0), TargetController::Ide, files({"atapi.sys"})).ok());
    EXPECT_EQ(hive.number(kServices + "\\atapi", "Start"), 0u);
    EXPECT_FALSE(hive.has(kCritical));
    auto other = hive_of(test::make_hive(tree));
    EXPECT_THAT(error_of(other, version(4, 0), TargetController::VirtioBlk, kEverything), HasSubstr("Windows NT 4"));
}

TEST(WindowsStorage, xp_has_no_ahci_and_says_what_it_lacks) {
    auto hive = hive_of(test::make_hive(test::system_tree()));
    EXPECT_THAT(error_of(hive, version(5, 1), TargetController::Sata, kEverything), HasSubstr("PCI\\CC_010601"));
}

TEST(WindowsStorage, virtio_without_its_driver_names_the_file) {
    auto hive = hive_of(test::make_hive(test::system_tree()));
    EXPECT_THAT(error_of(hive, version(6, 1), TargetController::VirtioBlk, files({})),
                HasSubstr("%SystemRoot%\\system32\\drivers\\viostor.sys"));
}

TEST(WindowsStorage, virtio_that_an_inf_registered_is_used_as_it_is) {
    auto tree = test::system_tree();
    test::add_service(tree, "viostor", 3, "SCSI miniport");
    tree.key(kCritical + "\\PCI#VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00").set("Service", reg_sz("viostor"));
    auto hive = hive_of(test::make_hive(tree));
    const auto services =
        set_up_storage(hive, version(6, 1), TargetController::VirtioBlk, files({"viostor.sys", "disk.sys"}));
    ASSERT_TRUE(services.ok()) << services.error().explain();
    EXPECT_THAT(*services, ElementsAre("viostor"));
    EXPECT_THAT(hive.journal(), ElementsAre(testing::Field(&Change::where, HasSubstr("viostor: Start"))));
}

TEST(WindowsStorage, virtio_beside_a_driver_database_is_made_known_to_plug_and_play_and_found_there_the_second_time) {
    auto tree = test::system_tree("AMD64");
    tree.key("DriverDatabase\\DeviceIds\\PCI");
    auto hive = hive_of(test::make_hive(tree));
    const auto windows = version(10, 0, Architecture::Amd64);
    ASSERT_TRUE(set_up_storage(hive, windows, TargetController::VirtioScsi, files({"vioscsi.sys"})).ok());
    EXPECT_EQ(service_by_driver_database(hive, "VEN_1AF4&DEV_1048"), "vioscsi");
    EXPECT_EQ(hive.string("DriverDatabase\\DriverInfFiles\\slipway-vioscsi.inf", "Active"),
              "slipway-vioscsi.inf_amd64_0000000000000000");
    EXPECT_FALSE(hive.has(kCritical));
    auto again = hive_of(*hive.bytes());
    ASSERT_TRUE(set_up_storage(again, windows, TargetController::VirtioScsi, files({"vioscsi.sys"})).ok());
    EXPECT_THAT(again.journal(), IsEmpty());
}

TEST(WindowsStorage, image_paths_of_every_spelling_lead_below_the_system_root_or_nowhere) {
    auto tree = test::system_tree();
    const std::pair<const char*, const char*> cases[] = {
        {"\\SystemRoot\\System32\\drivers\\a.sys", "System32/drivers/a.sys"},
        {"system32\\DRIVERS\\a.sys", "system32/DRIVERS/a.sys"},
        {"%SystemRoot%\\system32\\a.sys", "system32/a.sys"},
        {"\\??\\C:\\WINDOWS\\system32\\a.sys", "system32/a.sys"},
        {"C:\\tools\\a.sys", ""},
        {"..\\..\\a.sys", ""}};
    for (std::size_t i = 0; i < std::size(cases); ++i)
        tree.key(kServices + "\\s" + std::to_string(i)).set("ImagePath", reg_expand_sz(cases[i].first));
    tree.key(kServices + "\\Plain");
    const auto hive = hive_of(test::make_hive(tree));
    for (std::size_t i = 0; i < std::size(cases); ++i)
        EXPECT_EQ(driver_file(hive, kServices, "s" + std::to_string(i)), cases[i].second) << cases[i].first;
    EXPECT_EQ(driver_file(hive, kServices, "Plain"), "system32/drivers/plain.sys");
}

// ---- the real ones

TEST(WindowsStorage, real_xp_that_would_stop_with_7b_knows_the_target_chipset_afterwards) {
    NEEDS_HIVE("hives/bitcurator-SYSTEM");
    auto hive = real("hives/bitcurator-SYSTEM");
    ASSERT_FALSE(hive.has(kCritical + "\\pci#ven_8086&dev_7010"));
    ASSERT_TRUE(set_up_storage(hive, version(5, 1), TargetController::Ide, kEverything).ok());
    EXPECT_EQ(hive.string(kCritical + "\\pci#ven_8086&dev_7010", "Service"), "intelide");
    // What its own setup had written stays: the old chipset's row, the tags.
    EXPECT_TRUE(hive.has(kCritical + "\\pci#ven_8086&dev_24cb"));
    EXPECT_EQ(hive.number(kServices + "\\atapi", "Tag"), 0x19u);
}

TEST(WindowsStorage, real_xp_starts_the_driver_of_the_lsi_controller_that_it_came_with) {
    NEEDS_HIVE("hives/bitcurator-SYSTEM");
    auto hive = real("hives/bitcurator-SYSTEM");
    ASSERT_EQ(hive.number(kServices + "\\sym_hi", "Start"), 4u) << "installed, and not in use";
    EXPECT_THAT(error_of(hive, version(5, 1), TargetController::ScsiLsi, files({"disk.sys"})), HasSubstr("sym_hi.sys"));
    ASSERT_TRUE(set_up_storage(hive, version(5, 1), TargetController::ScsiLsi, files({"sym_hi.sys", "disk.sys"})).ok());
    EXPECT_EQ(hive.number(kServices + "\\sym_hi", "Start"), 0u);
    EXPECT_EQ(hive.string(kCritical + "\\pci#ven_1000&dev_0012", "Service"), "sym_hi");
    EXPECT_EQ(hive.number(kServices + "\\sym_hi", "Tag"), 0x37u);
    std::vector<std::string> changed;
    for (const auto& change : hive.journal())
        if (change.where.find("sym_hi") != std::string::npos) changed.push_back(change.where);
    EXPECT_THAT(changed, ElementsAre(testing::EndsWith("sym_hi: ImagePath"), testing::EndsWith("sym_hi: Start")))
        << "all else is as Windows made it";
}

TEST(WindowsStorage, a_system_without_the_lsi_service_gets_it_as_a_real_one_has_it) {
    auto hive = hive_of(test::make_hive(test::system_tree()));
    const auto has = files({"sym_hi.sys", "disk.sys"});
    ASSERT_TRUE(set_up_storage(hive, version(5, 2), TargetController::ScsiLsi, has).ok());
    const auto key = kServices + "\\sym_hi";
    EXPECT_EQ(hive.number(key, "Tag"), 0x37u);
    EXPECT_EQ(hive.string(key, "Group"), "SCSI miniport");
    EXPECT_EQ(hive.number(key + "\\Parameters\\PnpInterface", "5"), 1u);
    auto again = hive_of(*hive.bytes());
    ASSERT_TRUE(set_up_storage(again, version(5, 2), TargetController::ScsiLsi, has).ok());
    EXPECT_THAT(again.journal(), IsEmpty());
    EXPECT_THAT(error_of(again, version(4, 0), TargetController::ScsiLsi, has), HasSubstr("Windows NT 4"));
}

TEST(WindowsStorage, real_windows_7_starts_its_drivers_that_waited_to_be_asked) {
    NEEDS_HIVE("hives/regipy-SYSTEM");
    const auto start = [](TargetController target, const std::string& service) {
        auto hive = real("hives/regipy-SYSTEM");
        EXPECT_TRUE(set_up_storage(hive, version(6, 1), target, kEverything).ok());
        return hive.number(kServices + "\\" + service, "Start");
    };
    EXPECT_EQ(start(TargetController::Sata, "msahci"), 0u);
    EXPECT_EQ(start(TargetController::Ide, "intelide"), 0u);
    auto hive = real("hives/regipy-SYSTEM");
    EXPECT_THAT(error_of(hive, version(6, 1), TargetController::ScsiLsi, kEverything), HasSubstr("DEV_0012"));
}

TEST(WindowsStorage, real_windows_10_overrides_no_start_of_the_driver_that_is_needed) {
    NEEDS_HIVE("hives/regipy-SYSTEM_WIN_10_1709");
    const std::string unused = kServices + "\\megasas\\StartOverride";
    auto hive = real("hives/regipy-SYSTEM_WIN_10_1709");
    ASSERT_EQ(hive.number(unused, "0"), 3u);
    const auto windows = version(10, 0, Architecture::Amd64);
    const auto services = set_up_storage(hive, windows, TargetController::Megasas, kEverything);
    ASSERT_TRUE(services.ok()) << services.error().explain();
    EXPECT_THAT(*services, ElementsAre("megasas"));
    EXPECT_EQ(hive.number(unused, "0"), 0u);
    auto nvme = real("hives/regipy-SYSTEM_WIN_10_1709");
    EXPECT_THAT(*set_up_storage(nvme, windows, TargetController::Nvme, kEverything), ElementsAre("stornvme"));
    auto sata = real("hives/regipy-SYSTEM_WIN_10_1709");
    EXPECT_THAT(*set_up_storage(sata, windows, TargetController::Sata, kEverything), ElementsAre("storahci"));
}
