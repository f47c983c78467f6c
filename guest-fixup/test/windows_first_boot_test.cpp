// SPDX-License-Identifier: GPL-3.0-or-later
// What a Windows does at its first boot: the runner and how it is started, the boot proof, answer files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/windows_guest.hpp"
#include "guest-fixup/windows/answer_file.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"

namespace slipway::fixup::windows {
namespace {

using test::WindowsGuest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

const std::string kFolder = "/WINDOWS/slipway/FirstBoot/";

struct WindowsFirstBoot : testing::Test {
    WindowsGuest guest;
    void setup(std::uint32_t type, const std::string& command) {
        guest.system_tree.key("Setup").set("SetupType", reg_dword(type)).set("CmdLine", reg_sz(command));
    }
};

TEST(WindowsFirstBootText, every_file_is_ascii_with_windows_line_ends) {
    for (const auto& text : {runner(), proof_command("nonce-1"), crash_control_values(1)}) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            EXPECT_TRUE(text[i] == '\r' || text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
            if (text[i] == '\n') {
                EXPECT_EQ(text[i - 1], '\r');
            }
        }
        EXPECT_TRUE(text.ends_with("\r\n"));
    }
}

TEST(WindowsFirstBootText, the_runner_jumps_to_labels_that_are_there_and_no_echo_feeds_a_handle) {
    std::vector<std::string> labels, jumps;
    for (const auto& line : split(runner(), '\n')) {
        const std::string text(trim(line));
        if (text.starts_with(':')) labels.push_back(text.substr(1));
        for (const char* jump : {"goto ", "call :"})
            if (const auto at = text.find(jump); at != std::string::npos) {
                const auto rest = text.substr(at + std::string(jump).size());
                jumps.push_back(rest.substr(0, rest.find(' ')));
            }
        // "echo x 1>>file" would say nothing: what is echoed into a file has its redirection first.
        if (const auto echo = text.find("echo "); echo != std::string::npos) {
            EXPECT_EQ(text.find(">>", echo), std::string::npos) << text;
        }
    }
    EXPECT_THAT(jumps, Not(IsEmpty()));
    for (const auto& jump : jumps) EXPECT_THAT(labels, testing::Contains(jump));
    EXPECT_THAT(runner(), Not(HasSubstr("~")));
    EXPECT_THAT(runner(), Not(HasSubstr(":eof")));
}

TEST_F(WindowsFirstBoot, nothing_asked_is_nothing_done) {
    setup(0, "");
    EXPECT_THAT(guest.run(add_first_boot).changes, IsEmpty());
}

TEST_F(WindowsFirstBoot, the_proof_is_started_by_winlogon_and_setup_gets_its_values_back) {
    setup(0, "setup -newsetup \"C:\\x\"");
    guest.request.proof_nonce = "nonce-1";
    const auto out = guest.run(add_first_boot);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_THAT(out.warnings, IsEmpty());
    EXPECT_THAT(guest.root.get(kFolder + "proof.cmd"), HasSubstr(">COM2 echo SLIPWAY-UP nonce-1\r\n"));
    EXPECT_EQ(guest.root.get(kFolder + "run.cmd"), runner());
    EXPECT_EQ(guest.root.get(kFolder + "setup.reg"),
              "REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Setup]\r\n\"SetupType\"=dword:00000000\r\n"
              "\"CmdLine\"=\"setup -newsetup \\\"C:\\\\x\\\"\"\r\n\r\n");
    EXPECT_EQ(guest.system_hive().number("Setup", "SetupType"), 2u);
    EXPECT_EQ(guest.system_hive().string("Setup", "CmdLine"), kSetupCommand);

    const auto before = guest.root.everything();
    const auto again = guest.run(add_first_boot);
    ASSERT_TRUE(again.status.ok());
    EXPECT_THAT(again.changes, IsEmpty());
    EXPECT_EQ(guest.root.everything(), before);
}

TEST_F(WindowsFirstBoot, a_dry_run_says_the_same_and_does_nothing) {
    setup(0, "");
    guest.request.proof_nonce = "nonce-1";
    const auto planned = guest.run(add_first_boot, true);
    EXPECT_THAT(guest.root.everything(), IsEmpty());
    EXPECT_EQ(guest.system_hive().number("Setup", "SetupType"), 0u);
    EXPECT_EQ(planned.changes.size(), guest.run(add_first_boot).changes.size());
}

TEST_F(WindowsFirstBoot, once_it_has_run_the_same_request_starts_nothing_again) {
    setup(0, "");
    guest.request.proof_nonce = "nonce-1";
    guest.request.personality =
        R"({"first_boot":[{"name":"hello","script":"@echo hello\n"},{"name":"unix","script":"#!/bin/sh\n"}]})";
    const auto out = guest.run(add_first_boot);
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("unix is one of Unix")));
    const auto script = guest.only_file(kFolder + "scripts");
    EXPECT_THAT(script, StartsWith(kFolder + "scripts/5000-hello."));
    EXPECT_EQ(guest.root.get(script), "@echo hello\r\n");
    // Its text may hold a password: nobody reads it in the journal.
    for (const auto& change : out.changes) EXPECT_THAT(change.after, Not(HasSubstr("echo hello")));

    // What the runner leaves.
    const auto id = script.substr(script.rfind('/') + 1);
    guest.root.put(kFolder + "done/" + id, "0\r\n");
    guest.root.put(kFolder + "done/proof.nonce-1", "sent\r\n");
    std::filesystem::remove_all(guest.root.path() / "WINDOWS/slipway/FirstBoot/scripts");
    std::filesystem::remove(guest.root.path() / "WINDOWS/slipway/FirstBoot/proof.cmd");
    guest.system = test::make_hive(guest.system_tree);
    EXPECT_THAT(guest.run(add_first_boot).changes, IsEmpty());
}

TEST_F(WindowsFirstBoot, another_request_takes_back_what_the_earlier_one_wanted) {
    setup(0, "");
    guest.request.personality = R"({"first_boot":[{"name":"one","script":"@echo 1\n"}]})";
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    guest.request.personality = R"({"first_boot":[{"name":"two","script":"@echo 2\n"}]})";
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    EXPECT_THAT(guest.only_file(kFolder + "scripts"), HasSubstr("5000-two."));
}

TEST_F(WindowsFirstBoot, work_of_an_earlier_repair_that_never_ran_is_not_dropped_in_silence) {
    const auto with_work = [](WindowsRepair& repair) -> Status {
        TRY(put_script(repair, kDriversOrder, "drivers", "@echo off\r\n"));
        TRY(put_script(repair, kNetworkOrder, "network", "@echo off\r\n"));
        return add_first_boot(repair);
    };
    ASSERT_TRUE(guest.run(with_work).status.ok());
    EXPECT_THAT(guest.run(with_work).warnings, IsEmpty());
    const std::vector<testing::Matcher<std::string>> told{
        testing::AllOf(HasSubstr("2000-drivers"), HasSubstr("(--drivers)")),
        testing::AllOf(HasSubstr("2500-network"), HasSubstr("(--nic or --address)"))};
    EXPECT_THAT(guest.run(add_first_boot, true).warnings, testing::ElementsAreArray(told));
    EXPECT_THAT(guest.run(add_first_boot).warnings, testing::ElementsAreArray(told));
    EXPECT_THAT(guest.run(add_first_boot).warnings, IsEmpty());
    // One that is only another now is asked for.
    ASSERT_TRUE(guest.run(with_work).status.ok());
    const auto other = [](WindowsRepair& repair) -> Status {
        TRY(put_script(repair, kDriversOrder, "drivers", "@echo off\r\n"));
        TRY(put_script(repair, kNetworkOrder, "network", "@echo on\r\n"));
        return add_first_boot(repair);
    };
    EXPECT_THAT(guest.run(other, true).warnings, IsEmpty());
    EXPECT_THAT(guest.run(other).warnings, IsEmpty());
}

TEST_F(WindowsFirstBoot, automatic_restarts_come_back_at_the_end_of_the_first_boot) {
    setup(0, "");
    const std::string crash = "ControlSet001\\Control\\CrashControl";
    guest.system_tree.key(crash).set("AutoReboot", reg_dword(0)).set("SlipwayAutoReboot", reg_dword(1));
    guest.root.put(kFolder + "done/9800-crash-control.x.cmd", "0");  // of another time
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    const auto script = guest.only_file(kFolder + "scripts");
    EXPECT_THAT(script, HasSubstr("9800-crash-control."));
    const auto values = guest.only_file(kFolder + "files");
    EXPECT_THAT(guest.root.get(script), HasSubstr(values.substr(values.rfind('/') + 1)));
    EXPECT_THAT(guest.root.get(values), HasSubstr("\"AutoReboot\"=dword:00000001"));
    EXPECT_THAT(guest.root.get(values), HasSubstr("\"SlipwayAutoReboot\"=-"));
    EXPECT_THAT(guest.run(add_first_boot).changes, IsEmpty());
    EXPECT_EQ(guest.only_file(kFolder + "scripts"), script);
}

TEST_F(WindowsFirstBoot, the_guest_agent_is_started_where_it_is_and_installed_by_its_msi_where_it_is_not) {
    setup(0, "");
    guest.request.guest_agent = true;
    EXPECT_THAT(guest.run(add_first_boot).warnings, ElementsAre(HasSubstr("no .msi of it was given")));
    guest.request.guest_agent_packages = {{"qemu-ga-x86_64.msi", "msi"}};
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    EXPECT_THAT(guest.root.get(guest.only_file(kFolder + "scripts")), HasSubstr("msiexec.exe\" /i \"%SystemRoot%"));
    EXPECT_EQ(guest.root.get(guest.only_file(kFolder + "files")), "msi");

    guest.system.clear();
    guest.system_tree.key("ControlSet001\\Services\\QEMU-GA").set("Start", reg_dword(3));
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    EXPECT_EQ(guest.system_hive().number("ControlSet001\\Services\\QEMU-GA", "Start"), 2u);
}

TEST_F(WindowsFirstBoot, what_a_personality_says_of_linux_is_not_passed_over_in_silence) {
    setup(0, "");
    guest.request.personality = R"({"machine_id":"new","timezone":"Europe/Berlin"})";
    EXPECT_THAT(guest.run(add_first_boot).warnings,
                ElementsAre(HasSubstr("are of Linux"), HasSubstr("sysprep's answer file alone")));
}

TEST_F(WindowsFirstBoot, on_a_prepared_vista_the_end_of_its_own_setup_calls_the_runner) {
    setup(1, "oobe\\windeploy.exe");
    guest.root.put("/WINDOWS/setup/SCRIPTS/SetupComplete.cmd", "echo mine\r\n");
    guest.request.proof_nonce = "n";
    ASSERT_TRUE(guest.run(add_first_boot).status.ok());
    EXPECT_THAT(guest.root.get("/WINDOWS/setup/SCRIPTS/SetupComplete.cmd"),
                testing::AllOf(HasSubstr("FirstBoot\\run.cmd"), testing::EndsWith("echo mine\r\n")));
    EXPECT_EQ(guest.system_hive().string("Setup", "CmdLine"), "oobe\\windeploy.exe");
    EXPECT_FALSE(guest.root.has(kFolder + "setup.reg"));
    EXPECT_THAT(guest.run(add_first_boot).changes, IsEmpty());
}

TEST_F(WindowsFirstBoot, a_cmdline_that_could_not_be_put_back_is_left_alone) {
    setup(0, "caf\xc3\xa9.exe");
    guest.request.proof_nonce = "n";
    const auto out = guest.run(add_first_boot);
    ASSERT_TRUE(out.status.ok());
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("could not be put back")));
    EXPECT_EQ(guest.system_hive().number("Setup", "SetupType"), 0u);
}

// ---- answer files

Personality personality(const std::string& json) {
    auto read = parse_personality(json);
    EXPECT_TRUE(read.ok()) << (read.ok() ? "" : read.error().describe());
    return *read;
}

const char* const kWindows = R"({"hostname":"web01.example.org","timezone":"Europe/Berlin","locale":"de_DE.UTF-8",
 "interfaces":[{"mac":"52:54:00:00:00:01","method":"static","addresses":["10.0.0.5/24","fd00::5/64"],
   "gateways":["10.0.0.1"],"dns":["10.0.0.53"],"search":["example.org"]}],
 "windows":{"domain":"example.org","domain_user":"join","domain_password":"a<b>&\"c%","owner":"R & D",
   "administrator_password":"p\"w%1"}})";

TEST(WindowsAnswerFile, unattend_is_xml_that_says_what_the_personality_says) {
    const auto text = unattend_xml(personality(kWindows), Architecture::Amd64);
    tinyxml2::XMLDocument document;
    ASSERT_TRUE(parse_xml(document, text).ok());
    std::map<std::string, std::string> found;
    std::function<void(const tinyxml2::XMLElement*)> walk = [&](const tinyxml2::XMLElement* element) {
        for (; element; element = element->NextSiblingElement()) {
            if (element->GetText()) found[element->Name()] = element->GetText();
            if (std::string(element->Name()) == "component") {
                EXPECT_STREQ(element->Attribute("processorArchitecture"), "amd64");
            }
            walk(element->FirstChildElement());
        }
    };
    walk(document.RootElement());
    EXPECT_EQ(found["ComputerName"], "web01");
    EXPECT_EQ(found["TimeZone"], "W. Europe Standard Time");
    EXPECT_EQ(found["JoinDomain"], "example.org");
    EXPECT_EQ(found["Password"], "a<b>&\"c%");
    EXPECT_EQ(found["RegisteredOwner"], "R & D");
    EXPECT_EQ(found["UserLocale"], "de-DE");
    EXPECT_EQ(found["NextHopAddress"], "10.0.0.1");
    EXPECT_EQ(found["DNSDomain"], "example.org");
    EXPECT_EQ(found["Value"], "p\"w%1");
}

TEST(WindowsAnswerFile, sysprep_inf_quotes_what_could_end_a_value) {
    const auto text = sysprep_inf(personality(kWindows));
    EXPECT_THAT(text, HasSubstr("AdminPassword=\"p\"\"w%%1\"\r\n"));
    EXPECT_THAT(text, HasSubstr("ComputerName=\"web01\"\r\n"));
    EXPECT_THAT(text, HasSubstr("TimeZone=110\r\n"));
    EXPECT_THAT(text, HasSubstr("JoinDomain=\"example.org\"\r\n"));
}

TEST(WindowsAnswerFile, bad_members_are_named_and_passwords_are_not_said) {
    for (const char* bad :
         {R"({"windows":{"product_key":"abc"}})", R"({"windows":{"owner":"a\nb"}})", R"({"windows":{"colour":"red"}})",
          R"({"windows":{"domain":"a","workgroup":"b"}})", R"({"windows":{"domain":"a.b"}})",
          "{\"windows\":{\"administrator_password\":\"secret\\u0001\"}}"}) {
        const auto read = parse_personality(bad);
        ASSERT_FALSE(read.ok()) << bad;
        EXPECT_TRUE(read.error().is(errors::kPersonality));
        EXPECT_THAT(read.error().describe(), Not(HasSubstr("secret")));
    }
}

TEST_F(WindowsFirstBoot, the_answer_file_lies_where_each_windows_looks_for_it) {
    setup(1, "oobe\\windeploy.exe");
    guest.request.personality = kWindows;
    guest.root.put("/WINDOWS/panther/setupact.log", "");
    const auto out = guest.run(add_first_boot);
    ASSERT_TRUE(out.status.ok()) << out.status.error().describe();
    EXPECT_THAT(out.warnings, IsEmpty());
    EXPECT_THAT(guest.root.get("/WINDOWS/panther/unattend.xml"), HasSubstr("<ComputerName>web01</ComputerName>"));
    for (const auto& change : out.changes) EXPECT_THAT(change.after, Not(HasSubstr("web01")));
    EXPECT_THAT(guest.run(add_first_boot).changes, IsEmpty());

    guest.windows.major = 5;
    guest.request.proof_nonce = "n";
    const auto old = guest.run(add_first_boot);
    ASSERT_TRUE(old.status.ok());
    EXPECT_THAT(old.warnings, IsEmpty());
    EXPECT_THAT(guest.root.get("/sysprep/sysprep.inf"), HasSubstr("ComputerName=\"web01\""));
    EXPECT_THAT(guest.root.get("/sysprep/i386/$OEM$/cmdlines.txt"), HasSubstr("run.cmd"));
    EXPECT_EQ(guest.system_hive().number("Setup", "SetupType"), 1u);
}

TEST_F(WindowsFirstBoot, a_name_too_long_for_windows_is_an_error_and_a_system_not_prepared_is_told) {
    setup(0, "");
    guest.request.personality = R"({"hostname":"a-name-of-sixteen","windows":{}})";
    const auto bad = guest.run(add_first_boot);
    ASSERT_FALSE(bad.status.ok());
    EXPECT_TRUE(bad.status.error().is(errors::kPersonality));
    guest.request.personality = R"({"hostname":"short","windows":{}})";
    EXPECT_THAT(guest.run(add_first_boot).warnings, ElementsAre(HasSubstr("was not prepared by sysprep")));
    guest.request.personality = R"({"hostname":"short"})";
    EXPECT_THAT(guest.run(add_first_boot).warnings, ElementsAre(HasSubstr("by sysprep alone")));
}

}  // namespace
}  // namespace slipway::fixup::windows
