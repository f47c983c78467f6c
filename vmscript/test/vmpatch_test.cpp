// SPDX-License-Identifier: GPL-3.0-or-later
// vmpatch from its command line, over trees as CDs, service packs and running systems have them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/patches/test/media.hpp"
#include "vmscript/vmpatch/fill.hpp"
#include "vmscript/vmpatch/switches.hpp"

using namespace slipway;
using namespace slipway::vmpatch;
using patches::FileVersion;
using patches::test::make_cabinet;
using patches::test::make_pe;
using patches::test::put;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

const FileVersion kGold{5, 2, 3790, 0}, kSp2{5, 2, 3790, 3959}, kNt4{4, 0, 1381, 7};

class Vmpatch : public testing::Test {
protected:
    CommandResult run(std::vector<std::string> arguments) const {
        const char* bin = std::getenv("SLIPWAY_BIN");
        arguments.insert(arguments.begin(), (fs::path(bin ? bin : "bin") / "vmpatch").string());
        arguments.push_back("/hwPatchDir:" + library_.string());
        CommandOptions options;
        options.working_directory = dir_.path();
        return run_command(arguments, options).value();
    }
    std::string path_in_library(FileVersion version, const std::string& name, std::uint16_t language = 0x0409) const {
        return patches::path_of(library_, {name, version, language}).string();
    }

    TempDir dir_ = TempDir::create("vmpatch").value();
    fs::path library_ = dir_ / "Patches";
};

TEST_F(Vmpatch, an_install_cd_fills_the_library) {
    put(dir_ / "cd/I386/HALACPI.DL_", make_cabinet({{"halacpi.dll", make_pe("halacpi.dll", kGold)}}));
    put(dir_ / "cd/I386/NTOSKRNL.EX_", make_cabinet({{"ntoskrnl.exe", make_pe("ntoskrnl.exe", kGold)}}));
    put(dir_ / "cd/I386/DRIVER.CAB",
        make_cabinet({{"atapi.sys", "x"}, {"halmacpi.dll", make_pe("halmacpi.dll", kGold)}}));
    put(dir_ / "cd/NT4/HAL.DL_", patches::test::make_szdd(make_pe("hal.dll", kNt4)));
    put(dir_ / "cd/README.TXT", "read me");
    const auto ran = run({"/s:" + (dir_ / "cd").string()});
    EXPECT_EQ(ran.exit_code, kExitDone) << ran.error_text;
    EXPECT_THAT(ran.output, HasSubstr("4 new, 0 known"));
    EXPECT_THAT(ran.output, HasSubstr("I386/DRIVER.CAB: halmacpi.dll"));
    for (const auto& path : {path_in_library(kGold, "halacpi.dll"), path_in_library(kGold, "ntoskrnl.exe"),
                             path_in_library(kGold, "halmacpi.dll"), path_in_library(kNt4, "hal.dll")})
        EXPECT_TRUE(fs::exists(path)) << path;
    EXPECT_EQ(read_text_file(path_in_library(kNt4, "hal.dll")).value(), make_pe("hal.dll", kNt4));
}

TEST_F(Vmpatch, a_running_windows_fills_it_and_a_second_run_changes_nothing) {
    const auto hal = make_pe("halaacpi.dll", kSp2, 0x0407);
    put(dir_ / "w/system32/hal.dll", hal);
    put(dir_ / "w/ServicePackFiles/i386/halacpi.dll", make_pe("halacpi.dll", kSp2, 0x0407));
    put(dir_ / "w/Driver Cache/i386/sp2.cab", make_cabinet({{"NTKRNLMP.EXE", make_pe("ntkrnlmp.exe", kSp2, 0x0407)}}));
    ASSERT_EQ(run({"--s", (dir_ / "w").string()}).exit_code, kExitDone);
    EXPECT_EQ(read_text_file(path_in_library(kSp2, "halaacpi.dll", 0x0407)).value(), hal) << "under its own name";
    const auto before = fs::last_write_time(path_in_library(kSp2, "halacpi.dll", 0x0407));
    const auto again = run({"-s", (dir_ / "w").string()});
    EXPECT_EQ(again.exit_code, kExitDone);
    EXPECT_THAT(again.output, HasSubstr("0 new, 3 known"));
    EXPECT_EQ(fs::last_write_time(path_in_library(kSp2, "halacpi.dll", 0x0407)), before);
}

TEST_F(Vmpatch, a_service_packs_program_is_opened_with_what_it_holds) {
    const auto compressed = make_cabinet({{"halmacpi.dll", make_pe("halmacpi.dll", kSp2)}});
    const auto cabinet = make_cabinet({{"ntkrnlmp.exe", make_pe("ntkrnlmp.exe", kSp2)}});
    const auto program =
        patches::test::make_program_with({make_cabinet({{"update.exe", "x"},
                                                        {"i386\\halacpi.dll", make_pe("halacpi.dll", kSp2)},
                                                        {"i386\\HALMACPI.DL_", compressed},
                                                        {"i386\\sp2.cab", cabinet}})});
    put(dir_ / "pack/WindowsServer2003-KB914961-SP2-x86-ENU.exe", program);
    put(dir_ / "pack/WINDOWS.EXE", program);  // in a tree, a name that says nothing of an update is passed over
    const auto ran = run({"/s:" + (dir_ / "pack").string()});
    EXPECT_EQ(ran.exit_code, kExitDone) << ran.error_text << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("3 new, 0 known"));
    EXPECT_THAT(ran.output, HasSubstr("SP2-x86-ENU.exe: sp2.cab: ntkrnlmp.exe"));
    for (const char* name : {"halacpi.dll", "halmacpi.dll", "ntkrnlmp.exe"})
        EXPECT_TRUE(fs::exists(path_in_library(kSp2, name))) << name;
    // Named itself, any program is looked into.
    EXPECT_THAT(run({"--s", (dir_ / "pack/WINDOWS.EXE").string()}).output, HasSubstr("0 new, 3 known"));
}

TEST_F(Vmpatch, a_program_without_a_cabinet_or_with_differences_is_named) {
    put(dir_ / "a/setup.exe", patches::test::make_program_with({}));
    const auto none = run({"--s", (dir_ / "a/setup.exe").string()});
    EXPECT_EQ(none.exit_code, kExitWarnings) << none.error_text;
    EXPECT_THAT(none.error_text, HasSubstr("a program without a cabinet in it"));
    put(dir_ / "b/kb123456.exe", patches::test::make_program_with({}));
    EXPECT_EQ(run({"--s", (dir_ / "b").string()}).exit_code, kExitFailed) << "nothing is in there";
    put(dir_ / "c/WindowsXP-KB936929-SP3-x86-ENU.exe",
        patches::test::make_program_with({make_cabinet({{"_sfx_.dll", "x"}, {"_sfx_manifest_", "[Deltas]"}})}));
    EXPECT_THAT(run({"--s", (dir_ / "c").string()}).error_text, HasSubstr("unpack it with /x"));
}

TEST_F(Vmpatch, a_set_of_cabinets_is_read_as_one_and_a_missing_part_is_named) {
    const auto kernel = make_pe({.original_name = "ntoskrnl.exe", .version = kSp2, .body = std::string(80'000, 'k')});
    const auto [one, two] = patches::test::make_cabinet_pair("sp1.cab", "SP2.CAB", "ntoskrnl.exe", kernel);
    put(dir_ / "set/SP1.CAB", one);
    put(dir_ / "set/sp2.cab", two);
    put(dir_ / "half/sp1.cab", one);
    const auto half = run({"--s", (dir_ / "half").string()});
    EXPECT_EQ(half.exit_code, kExitWarnings);
    EXPECT_THAT(half.error_text, HasSubstr("it goes on in sp2.cab: it is not there"));
    const auto ran = run({"--s", (dir_ / "set").string()});
    EXPECT_EQ(ran.exit_code, kExitDone) << ran.output << ran.error_text;
    EXPECT_EQ(read_text_file(path_in_library(kSp2, "ntoskrnl.exe")).value(), kernel);
}

TEST_F(Vmpatch, damaged_files_are_named_and_the_others_kept) {
    const auto good = make_pe("halacpi.dll", kSp2);
    put(dir_ / "cd/halacpi.dll", good);
    put(dir_ / "cd/ntoskrnl.exe", make_pe("ntoskrnl.exe", kSp2).substr(0, 700));
    put(dir_ / "cd/HALMPS.DL_", "SZDD\x88\xf0\x27\x33");
    const auto ran = run({"--s", (dir_ / "cd").string(), "--json"});
    EXPECT_EQ(ran.exit_code, kExitWarnings);
    const auto out = json::parse(ran.output).as_object();
    EXPECT_EQ(out.at("files").as_array().size(), 1u);
    EXPECT_EQ(out.at("files").at(0).at("name"), "halacpi.dll");
    EXPECT_EQ(out.at("files").at(0).at("version"), "5.2.3790.3959");
    EXPECT_EQ(out.at("files").at(0).at("new"), true);
    EXPECT_THAT(ran.output, HasSubstr("HALMPS.DL_"));
    EXPECT_THAT(ran.output, HasSubstr("ntoskrnl.exe: cut"));
}

TEST_F(Vmpatch, other_machines_files_and_links_are_left_out) {
    put(dir_ / "cd/halacpi.dll", make_pe({.original_name = "halacpi.dll", .machine = patches::Machine::Amd64}));
    put(dir_ / "outside/hal.dll", make_pe("hal.dll", kSp2));
    fs::create_symlink(dir_ / "outside/hal.dll", dir_ / "cd/hal.dll");
    const auto ran = run({"--s", (dir_ / "cd").string()});
    EXPECT_EQ(ran.exit_code, kExitFailed);
    EXPECT_THAT(ran.output, HasSubstr("left out: halacpi.dll: not for 32-bit x86"));
    EXPECT_FALSE(fs::exists(library_ / "Source"));
}

TEST_F(Vmpatch, nothing_found_says_where_to_look) {
    put(dir_ / "empty/readme.txt", "x");
    const auto ran = run({"--s", (dir_ / "empty").string()});
    EXPECT_EQ(ran.exit_code, kExitFailed);
    EXPECT_THAT(ran.error_text, HasSubstr("ServicePackFiles"));
    EXPECT_EQ(run({"--s", (dir_ / "nowhere").string()}).exit_code, kExitFailed);
}

TEST_F(Vmpatch, a_tree_without_end_is_refused) {
    for (int i = 0; i < 30; ++i) put(dir_ / "many" / std::to_string(i), "x");
    const auto filled = fill_library(dir_ / "many", library_, {.names = 20});
    ASSERT_FALSE(filled.ok());
    EXPECT_EQ(filled.error().name(), "patches.too-much");
}

TEST_F(Vmpatch, list_says_what_is_there_and_what_is_no_good) {
    put(dir_ / "cd/halacpi.dll", make_pe("halacpi.dll", kSp2));
    ASSERT_EQ(run({"--s", (dir_ / "cd").string()}).exit_code, kExitDone);
    const auto good = run({"--list"});
    EXPECT_EQ(good.exit_code, kExitDone);
    EXPECT_THAT(good.output, HasSubstr("halacpi.dll 5.2.3790.3959 (0409, English)"));
    EXPECT_THAT(good.output, HasSubstr("1 file in "));
    put(library_ / "Source/5.2.3790/readme.txt", "x");
    const auto bad = run({"/list", "/json"});
    EXPECT_EQ(bad.exit_code, kExitWarnings);
    EXPECT_EQ(json::parse(bad.output).at("warnings").as_array().size(), 1u);
}

TEST(VmpatchSwitches, both_spellings_in_any_case) {
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"/s:/mnt/x"}, {"/S", "/mnt/x"}, {"--s", "/mnt/x"}, {"--s=/mnt/x"}, {"-s", "/mnt/x"}, {"/s:\"/mnt/x\""}}) {
        const auto switches = parse_switches(arguments);
        ASSERT_TRUE(switches.ok()) << arguments[0];
        EXPECT_THAT(switches->sources, testing::ElementsAre("/mnt/x"));
        EXPECT_EQ(switches->library, "/var/lib/slipway/Patches");
    }
    EXPECT_EQ(parse_switches({"--s", "a", "/HWPATCHDIR:/p"})->library, "/p");
    EXPECT_EQ(parse_switches({"/?"})->command, Command::Help);
}

TEST(VmpatchSwitches, what_cannot_be_meant_is_refused) {
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {}, {"--s"}, {"/s:"}, {"--what"}, {"/mnt/x"}, {"--list=x"}, {"--list", "--s", "x"}, {"--s", "--list"}})
        EXPECT_FALSE(parse_switches(arguments).ok());
}

}  // namespace
