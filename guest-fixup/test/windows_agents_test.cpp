// SPDX-License-Identifier: GPL-3.0-or-later
// What a Windows is not to start any more: services, drivers, filters, programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/windows_guest.hpp"
#include "guest-fixup/windows/agents.hpp"

namespace slipway::fixup::windows {
namespace {

using test::WindowsGuest;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kServices = "ControlSet001\\Services\\";

void add_service(WindowsGuest& guest, const std::string& name, std::uint32_t type, std::uint32_t start) {
    guest.system_tree.key(kServices + name).set("Type", reg_dword(type)).set("Start", reg_dword(start));
}

struct WindowsAgents : testing::Test {
    WindowsGuest guest;
    WindowsAgents() {
        add_service(guest, "CqMgHost", 0x10, 2);
        add_service(guest, "Spooler", 0x110, 2);
        add_service(guest, "Intel(R) PROSet Monitoring Service", 0x10, 2);
        add_service(guest, "prl_strg", 1, 0);
        add_service(guest, "VBoxMouse", 1, 3);
        add_service(guest, "mouclass", 1, 1);
        add_service(guest, "viostor", 1, 0);
        guest.system_tree.key("ControlSet001\\Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}")
            .set("LowerFilters", reg_multi_sz({"prl_strg", "EhStorClass"}))
            .set("UpperFilters", reg_multi_sz({"partmgr"}));
        guest.system_tree.key("ControlSet001\\Enum\\PCI\\VEN_80EE&DEV_CAFE\\3&1")
            .set("UpperFilters", reg_multi_sz({"VBoxMouse"}))
            .set("DeviceDesc", reg_sz("pointer"));
    }
    std::optional<std::uint64_t> start(const std::string& name) const {
        return guest.system_hive().number(kServices + name, "Start");
    }
};

TEST(WindowsAgentLists, each_is_read_without_a_warning_and_switches_nothing_off_that_windows_needs) {
    EXPECT_THAT(shipped_agent_lists(), SizeIs(8));
    for (const auto& list : shipped_agent_lists()) {
        const auto file = parse_drivers_file(list.xml, NamesOf::Windows);
        ASSERT_TRUE(file.ok()) << list.name << ": " << file.error().describe();
        EXPECT_THAT(file->warnings, IsEmpty()) << list.name;
        EXPECT_FALSE(file->services.empty() && file->drivers.empty()) << list.name;
        for (const auto& pattern : file->drivers)
            for (const auto target : {TargetController::Ide, TargetController::VirtioBlk, TargetController::Megasas})
                for (const auto& needed : needed_drivers(target))
                    EXPECT_FALSE(fits_name(needed, pattern)) << list.name << ": " << pattern << " means " << needed;
    }
}

TEST(WindowsAgentNames, programs_of_commands_are_found_as_windows_finds_them) {
    EXPECT_EQ(program_of(R"("C:\Program Files\HP\NCU\cpqteam.exe" /tray)"), "cpqteam.exe");
    EXPECT_EQ(program_of(R"(C:\Program Files\HP\NCU\cpqteam.exe -x)"), "cpqteam.exe");
    EXPECT_EQ(program_of("cpqteam"), "cpqteam");
    EXPECT_EQ(program_of("\"unclosed"), "unclosed");
    EXPECT_EQ(program_of(""), "");
    EXPECT_TRUE(starts_program("VMware Tools", "x.exe", "vmware tools"));
    EXPECT_TRUE(starts_program("any", "C:\\a\\VBoxTray.exe -b", "vboxtray"));
    EXPECT_FALSE(starts_program("any", "C:\\VBoxTray\\b.exe", "vboxtray"));
    EXPECT_FALSE(valid_windows_pattern("a*"));
    EXPECT_FALSE(valid_windows_pattern("a\\b"));
    EXPECT_TRUE(valid_windows_pattern("Intel(R) PROSet Monitoring Service"));
}

TEST_F(WindowsAgents, what_the_lists_name_is_off_and_stays_installed_and_all_else_is_as_it_was) {
    guest.system = test::make_hive(guest.system_tree);
    const auto before = guest.system;
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_EQ(start("CqMgHost"), 4u);
    EXPECT_EQ(start("Intel(R) PROSet Monitoring Service"), 4u);
    EXPECT_EQ(start("prl_strg"), 4u);
    EXPECT_EQ(start("Spooler"), 2u);
    const auto hive = guest.system_hive();
    EXPECT_EQ(hive.strings("ControlSet001\\Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}", "LowerFilters"),
              (std::vector<std::string>{"EhStorClass"}));
    EXPECT_EQ(hive.get("ControlSet001\\Enum\\PCI\\VEN_80EE&DEV_CAFE\\3&1", "UpperFilters"), std::nullopt);
    // Four starts, one list shorter, one list gone.
    const auto diff = test::diff_hives(before, guest.system);
    EXPECT_THAT(diff.removed, SizeIs(6)) << test::to_text(diff);
    EXPECT_THAT(diff.added, SizeIs(5)) << test::to_text(diff);
    EXPECT_THAT(out.changes, SizeIs(6));

    const auto again = guest.run(repair_agents);
    ASSERT_TRUE(again.status.ok());
    EXPECT_THAT(again.changes, IsEmpty());
}

TEST_F(WindowsAgents, other_hypervisors_tools_stay_when_leftovers_are_kept) {
    guest.request.keep_leftovers = true;
    ASSERT_TRUE(guest.run(repair_agents).status.ok());
    EXPECT_EQ(start("VBoxMouse"), 3u);
    EXPECT_EQ(start("CqMgHost"), 4u);
}

TEST_F(WindowsAgents, a_file_of_the_administrators_replaces_the_lists) {
    guest.request.drivers_file =
        "<Configuration><Service Name=\"spool*\" Start=\"Disable\"/><Driver Name=\"Spooler\" Start=\"Disable\"/>"
        "<Service Name=\"mouclass\" Start=\"Disable\"/></Configuration>";
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok());
    EXPECT_EQ(start("Spooler"), 4u);
    EXPECT_EQ(start("CqMgHost"), 2u);  // the lists are not used
    EXPECT_EQ(start("mouclass"), 1u);  // a driver is no service
    EXPECT_THAT(out.changes, SizeIs(1));
}

TEST_F(WindowsAgents, services_and_drivers_without_which_no_windows_starts_stay_and_are_named) {
    const std::string services = "ControlSet001\\Services\\";
    for (const char* name : {"RpcSs", "DcomLaunch", "PlugPlay"})
        guest.system_tree.key(services + name).set("Type", reg_dword(0x20)).set("Start", reg_dword(2));
    for (const char* name : {"AFD", "Mup"})
        guest.system_tree.key(services + name).set("Type", reg_dword(1)).set("Start", reg_dword(1));
    std::string text = "<Configuration>";
    for (const char* name : {"RpcSs", "DcomLaunch", "PlugPlay"})
        text += fmt::format("<Service Name=\"{}\" Start=\"Disable\"/>", name);
    for (const char* name : {"AFD", "Mup"}) text += fmt::format("<Driver Name=\"{}\" Start=\"Disable\"/>", name);
    guest.request.drivers_file = text + "</Configuration>";
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok());
    EXPECT_THAT(out.changes, IsEmpty());
    EXPECT_THAT(out.warnings, testing::UnorderedElementsAre(HasSubstr("RpcSs"), HasSubstr("DcomLaunch"),
                                                            HasSubstr("PlugPlay"), HasSubstr("AFD"), HasSubstr("Mup")));
}

TEST_F(WindowsAgents, the_targets_own_driver_stays_whatever_the_file_says) {
    guest.request.target = TargetController::VirtioBlk;
    guest.request.drivers_file = "<Configuration><Driver Name=\"vio*\" Start=\"Disable\"/></Configuration>";
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok());
    EXPECT_EQ(start("viostor"), 0u);
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("viostor")));
    guest.request.target = TargetController::Ide;
    ASSERT_TRUE(guest.run(repair_agents).status.ok());
    EXPECT_EQ(start("viostor"), 4u);
}

TEST_F(WindowsAgents, programs_leave_run_keys_of_both_halves_userinit_and_startup_folders) {
    const std::string run = "Microsoft\\Windows\\CurrentVersion\\Run";
    guest.software_tree.key(run).set("VBoxTray", reg_sz("x")).set("Other", reg_sz("C:\\other.exe"));
    guest.software_tree.key("Wow6432Node\\" + run).set("Tray", reg_expand_sz("%windir%\\VBoxTray.exe"));
    guest.software_tree.key("Microsoft\\Windows NT\\CurrentVersion").set("SystemRoot", reg_sz("C:\\WINDOWS"));
    guest.software_tree.key("Microsoft\\Windows NT\\CurrentVersion\\Winlogon")
        .set("Userinit", reg_sz("C:\\WINDOWS\\system32\\userinit.exe,C:\\vb\\VBoxTray.exe,"));
    guest.software_tree.key("Microsoft\\Windows\\CurrentVersion\\Explorer\\Shell Folders")
        .set("Common Startup", reg_sz("C:\\Dokumente\\Autostart"));
    guest.root.put("/dokumente/AUTOSTART/VBoxTray.lnk", "link");
    guest.root.put("/dokumente/AUTOSTART/Other.lnk", "link");
    ASSERT_TRUE(guest.run(repair_agents).status.ok());
    const auto hive = guest.software_hive();
    EXPECT_THAT(hive.values(run), ElementsAre("Other"));
    EXPECT_THAT(hive.values("Wow6432Node\\" + run), IsEmpty());
    EXPECT_EQ(hive.string("Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "Userinit"),
              "C:\\WINDOWS\\system32\\userinit.exe,");
    EXPECT_FALSE(guest.root.has("/dokumente/AUTOSTART/VBoxTray.lnk"));
    EXPECT_TRUE(guest.root.has("/dokumente/AUTOSTART/Other.lnk"));
    EXPECT_THAT(guest.run(repair_agents).changes, IsEmpty());
}

// Two who have logged on, the pattern of new users, one whose hive is none, one on another drive.
struct WindowsUsers : WindowsAgents {
    const std::string run = "Software\\Microsoft\\Windows\\CurrentVersion\\Run";
    const std::string list = "Microsoft\\Windows NT\\CurrentVersion\\ProfileList";
    WindowsUsers() {
        guest.software_tree.key("Microsoft\\Windows NT\\CurrentVersion").set("SystemRoot", reg_sz("C:\\WINDOWS"));
        guest.software_tree.key(list)
            .set("ProfilesDirectory", reg_expand_sz("%SystemDrive%\\Dokumente"))
            .set("DefaultUserProfile", reg_sz("Default User"));
        user("S-1-5-21-1-500", "%SystemDrive%\\Dokumente\\bob");
        user("S-1-5-21-1-501", "c:\\Dokumente\\ALICE");
        user("S-1-5-21-1-502", "D:\\Dokumente\\eve");
        user("S-1-5-21-1-503", "%SystemDrive%\\Dokumente\\mallory");
        user("S-1-5-21-1-504", "%SystemDrive%\\Dokumente\\gone");
        user("S-1-5-21-1-505", "%SystemDrive%\\..\\..\\etc");
        guest.root.put("/DOKUMENTE/bob/NTUSER.DAT", hive_with("VBoxTray", "x"));
        guest.root.put("/DOKUMENTE/alice/ntuser.dat", hive_with("Tray", "\"C:\\vb\\VBoxTray.exe\" -b"));
        guest.root.put("/DOKUMENTE/Default User/NTUSER.DAT", hive_with("VBoxTray", "x"));
        guest.root.put("/DOKUMENTE/mallory/NTUSER.DAT", "no hive");
    }
    void user(const std::string& sid, const std::string& path) {
        guest.software_tree.key(list + "\\" + sid).set("ProfileImagePath", reg_expand_sz(path));
    }
    std::string hive_with(const std::string& name, const std::string& command) const {
        test::TestKey tree;
        tree.key(run).set(name, reg_sz(command)).set("Other", reg_sz("other.exe"));
        tree.key("Software\\Microsoft\\Windows NT\\CurrentVersion\\Windows").set("Load", reg_sz("VBoxTray.exe"));
        tree.key("Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders")
            .set("Startup", reg_expand_sz("%USERPROFILE%\\Autostart"));
        return test::make_hive(tree);
    }
    std::vector<std::string> runs(const std::string& file) const {
        return Hive::open(guest.root.get(file), "NTUSER.DAT")->values(run);
    }
};

TEST_F(WindowsUsers, programs_leave_the_run_keys_and_startup_folder_of_each_user_and_of_new_ones) {
    guest.root.put("/DOKUMENTE/bob/AUTOSTART/VBoxTray.lnk", "link");
    guest.root.put("/DOKUMENTE/bob/AUTOSTART/Other.lnk", "link");
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    for (const char* file :
         {"/DOKUMENTE/bob/NTUSER.DAT", "/DOKUMENTE/alice/ntuser.dat", "/DOKUMENTE/Default User/NTUSER.DAT"}) {
        EXPECT_THAT(runs(file), ElementsAre("Other")) << file;
        EXPECT_EQ(Hive::open(guest.root.get(file), "NTUSER.DAT")
                      ->string("Software\\Microsoft\\Windows NT\\CurrentVersion\\Windows", "Load"),
                  "");
    }
    EXPECT_FALSE(guest.root.has("/DOKUMENTE/bob/AUTOSTART/VBoxTray.lnk"));
    EXPECT_TRUE(guest.root.has("/DOKUMENTE/bob/AUTOSTART/Other.lnk"));
    std::vector<std::string> where;
    for (const auto& change : out.changes) where.push_back(change.where);
    EXPECT_THAT(where, Contains("NTUSER.DAT of bob\\" + run + ": VBoxTray"));
    // Those that were not looked at are told, and stop nothing.
    EXPECT_EQ(guest.root.get("/DOKUMENTE/mallory/NTUSER.DAT"), "no hive");
    EXPECT_THAT(out.warnings,
                testing::IsSupersetOf({HasSubstr("/DOKUMENTE/mallory/NTUSER.DAT"), HasSubstr("D:\\Dokumente\\eve")}));
    const auto everything = guest.root.everything();
    EXPECT_THAT(guest.run(repair_agents).changes, IsEmpty());
    EXPECT_EQ(guest.root.everything(), everything);
}

TEST_F(WindowsUsers, a_dry_run_says_what_would_go_and_writes_no_users_hive) {
    const auto everything = guest.root.everything();
    const auto out = guest.run(repair_agents, true);
    ASSERT_TRUE(out.status.ok());
    std::vector<std::string> where;
    for (const auto& change : out.changes) where.push_back(change.where);
    EXPECT_THAT(where, Contains("NTUSER.DAT of Default User\\" + run + ": VBoxTray"));
    EXPECT_EQ(guest.root.everything(), everything);
}

TEST_F(WindowsUsers, a_list_without_programs_opens_no_users_hive) {
    guest.request.drivers_file = "<Configuration><Service Name=\"Spooler\" Start=\"Disable\"/></Configuration>";
    EXPECT_THAT(guest.run(repair_agents).warnings, IsEmpty());
}

TEST_F(WindowsUsers, vista_names_the_pattern_of_new_users_whole) {
    guest.software_tree.key(list).set("Default", reg_expand_sz("%SystemDrive%\\Users\\Default"));
    guest.root.put("/Users/Default/NTUSER.DAT", hive_with("VBoxTray", "x"));
    ASSERT_TRUE(guest.run(repair_agents).status.ok());
    EXPECT_THAT(runs("/Users/Default/NTUSER.DAT"), ElementsAre("Other"));
    EXPECT_THAT(runs("/DOKUMENTE/Default User/NTUSER.DAT"), SizeIs(2)) << "not in use";
}

TEST_F(WindowsAgents, a_file_that_names_userinit_itself_locks_nobody_out) {
    guest.software_tree.key("Microsoft\\Windows NT\\CurrentVersion\\Winlogon")
        .set("Userinit", reg_sz("C:\\WINDOWS\\system32\\userinit.exe,"))
        .set("Shell", reg_sz("explorer.exe"));
    guest.request.drivers_file =
        "<Configuration><Program Name=\"userinit\" Action=\"Remove\"/><Program Name=\"explorer*\" "
        "Action=\"Remove\"/></Configuration>";
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok());
    EXPECT_THAT(out.changes, IsEmpty());
}

TEST(WindowsAgentsReal, a_real_windows_7_loses_its_vmware_tools_and_nothing_else) {
    const auto hive = test::shared_hive("hives/regipy-SYSTEM");
    if (!hive) GTEST_SKIP() << "the shared hives are not there";
    WindowsGuest guest;
    guest.system = *hive;
    const auto out = guest.run(repair_agents);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    const auto diff = test::diff_hives(*hive, guest.system);
    EXPECT_FALSE(diff.removed.empty());
    EXPECT_EQ(out.changes.size(), diff.removed.size()) << test::to_text(diff);
    for (const auto& lines : {diff.removed, diff.added})
        EXPECT_THAT(lines, Each(testing::AnyOf(HasSubstr(": Start = "), HasSubstr("Filters = "))))
            << test::to_text(diff);
    EXPECT_EQ(guest.system_hive().number("ControlSet001\\Services\\VMTools", "Start"), 4u);
    EXPECT_THAT(guest.run(repair_agents).changes, IsEmpty());
}

}  // namespace
}  // namespace slipway::fixup::windows
