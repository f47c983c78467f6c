// SPDX-License-Identifier: GPL-3.0-or-later
// An old Windows, its patch library and the two programs: validation names what is missing, vmpatch fills it from trees
// as CDs, service packs and running systems have them, and validation has nothing left to say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "gatherhw/writer.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/test/media.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
using patches::FileVersion;
using patches::test::make_cabinet;
using patches::test::make_pe;
using patches::test::make_szdd;
using patches::test::put;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// Revisions that no Windows has, so that the library of the machine that runs this has none of them.
const FileVersion kGold{5, 2, 3790, 60000}, kPack{5, 2, 3790, 63959}, kFix{5, 2, 3790, 64478};

gatherhw::Inventory nt(const char* name, const char* version, const char* level) {
    auto i = vmscript::good_windows();
    i.os.name = name;
    i.os.version = version;
    i.os.service_level = level;
    i.os.architecture = "x86";
    i.os.hal = "acpiapic_mp";
    i.boot = {"ntldr",
              "",
              "",
              {{"C:\\boot.ini",
                "[boot loader]\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
                "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows\" /fastdetect\r\n"}}};
    return i;
}

// Four processors, ACPI; its kernels are newer than its HAL, as an update leaves them.
gatherhw::Inventory server_2003() {
    auto i = nt("Windows Server 2003", "5.2.3790", "Service Pack 2");
    i.system.processors.threads = 4;
    i.os.system_files = {{"C:\\WINDOWS\\system32\\hal.dll", kPack.text(), "halmacpi.dll", "0409", 0},
                         {"C:\\WINDOWS\\system32\\ntoskrnl.exe", kFix.text(), "ntkrnlmp.exe", "0409", 0},
                         {"C:\\WINDOWS\\system32\\ntkrnlpa.exe", kFix.text(), "ntkrpamp.exe", "0409", 0}};
    return i;
}

class Patches : public testing::Test {
protected:
    CommandResult run(const std::string& program, std::vector<std::string> arguments) const {
        const char* bin = std::getenv("SLIPWAY_BIN");
        arguments.insert(arguments.begin(), (fs::path(bin ? bin : "bin") / program).string());
        arguments.push_back("/hwPatchDir:" + library_.string());
        CommandOptions options;
        options.working_directory = dir_.path();
        return run_command(arguments, options).value();
    }
    void give(const gatherhw::Inventory& inventory) const {
        ASSERT_TRUE(write_file_atomic(dir_ / "x.xml", as_bytes(gatherhw::to_xml(inventory))).ok());
    }
    // What the rule says: "patch file halacpi.dll …" for each error, its own words where all is well.
    struct Verdict {
        ExitCode code;
        std::vector<std::string> missing, ok, to_do;
    };
    Verdict validated(const std::string& fix_hal) const {
        const auto ran = run("vmscript", {"/hwValidate", "/hwInfoFile:x.xml", "/FixHAL:" + fix_hal, "/json"});
        Verdict out{static_cast<ExitCode>(ran.exit_code), {}, {}, {}};
        const auto report = json::parse(ran.output);
        for (const auto& check : report.at("checks").as_array()) {
            const bool error = check.at("verdict") == "error";
            if (check.at("id") != "patch-files") {
                EXPECT_FALSE(error) << check;
                continue;
            }
            out.to_do.emplace_back(check.at("to_do").as_string());
            if (error) out.missing.emplace_back(check.at("what").as_string());
            else out.ok.emplace_back(check.at("found").as_string());
        }
        return out;
    }
    CommandResult filled(const std::string& tree) const { return run("vmpatch", {"/s:" + (dir_ / tree).string()}); }
    CommandResult generated() const {
        return run("vmscript", {"/hwGenerateP2V", "/hwInfoFile:x.xml", "/name:triton", "/vmConfigPath:/srv/vm",
                                "/virtualDiskPath:/srv/vm", "/hwDestVS:hercules", "/FixHAL:nacpi"});
    }
    std::size_t in_library() const { return patches::Library::open({library_}).files().size(); }

    TempDir dir_ = TempDir::create("patches").value();
    fs::path library_ = dir_ / "Patches";
};

TEST_F(Patches, missing_files_of_a_multiprocessor_2003_are_named_until_vmpatch_has_found_each_in_its_very_version) {
    give(server_2003());
    const auto first = validated("nacpi");
    EXPECT_EQ(first.code, kExitFailed);
    EXPECT_THAT(first.missing, ElementsAre("patch file hal.dll 5.2.3790.63959 (0409, English)",
                                           "patch file ntoskrnl.exe 5.2.3790.64478 (0409, English)",
                                           "patch file ntkrnlpa.exe 5.2.3790.64478 (0409, English)"));
    EXPECT_THAT(first.to_do[0], HasSubstr("vmpatch --s PATH --hwpatchdir " + library_.string()));
    EXPECT_FALSE(fs::exists(library_)) << "validation makes no library";
    const auto refused = generated();
    EXPECT_EQ(refused.exit_code, kExitFailed);
    EXPECT_THAT(refused.error_text, HasSubstr("patch file hal.dll 5.2.3790.63959"));
    EXPECT_FALSE(fs::exists(dir_ / "p2v"));

    // The install CD has all three by name, of another service level.
    put(dir_ / "cd/I386/HAL.DL_", make_szdd(make_pe("hal.dll", kGold)));
    put(dir_ / "cd/I386/NTOSKRNL.EX_", make_cabinet({{"ntoskrnl.exe", make_pe("ntoskrnl.exe", kGold)}}));
    put(dir_ / "cd/I386/DRIVER.CAB", make_cabinet({{"ntkrnlpa.exe", make_pe("ntkrnlpa.exe", kGold)}}));
    EXPECT_EQ(filled("cd").exit_code, kExitDone);
    EXPECT_EQ(in_library(), 3u);
    EXPECT_EQ(validated("nacpi").missing, first.missing) << "only matching versions are ever installed";

    // The service pack's cabinet has the HAL; of the kernels only the older ones.
    put(dir_ / "pack/i386/sp2.cab",
        make_cabinet({{"hal.dll", make_pe("hal.dll", kPack)}, {"ntoskrnl.exe", make_pe("ntoskrnl.exe", kPack)}}));
    EXPECT_EQ(filled("pack").exit_code, kExitDone);
    const auto second = validated("nacpi");
    EXPECT_EQ(second.code, kExitFailed);
    EXPECT_THAT(second.missing, ElementsAre(HasSubstr("ntoskrnl.exe"), HasSubstr("ntkrnlpa.exe")));

    // What the update left on the source itself.
    put(dir_ / "source/Driver Cache/i386/ntoskrnl.exe", make_pe("ntoskrnl.exe", kFix));
    put(dir_ / "source/Driver Cache/i386/ntkrnlpa.exe", make_pe("ntkrnlpa.exe", kFix));
    EXPECT_EQ(filled("source").exit_code, kExitDone);
    const auto last = validated("nacpi");
    EXPECT_THAT(last.missing, IsEmpty());
    EXPECT_THAT(last.ok, ElementsAre("All 3 files that the repair installs are there."));
    EXPECT_EQ(last.code, kExitWarnings) << "its network adapter is another matter";
    const auto written = generated();
    EXPECT_EQ(written.exit_code, kExitDone) << written.error_text;
    EXPECT_THAT(written.error_text, Not(HasSubstr("patch file")));
    EXPECT_TRUE(fs::exists(dir_ / "p2v/triton/triton_DeployVM.xml"));
    EXPECT_EQ(filled("source").exit_code, kExitDone) << "a second time";
    EXPECT_EQ(in_library(), 7u);
}

TEST_F(Patches, a_german_xp_takes_german_files_alone) {
    auto xp = nt("Windows XP", "5.1.2600", "Service Pack 3");
    const FileVersion version{5, 1, 2600, 65512};
    xp.system.processors.threads = 1;
    xp.os.system_files = {{"C:\\WINDOWS\\system32\\hal.dll", version.text(), "halmacpi.dll", "0407", 0},
                          {"C:\\WINDOWS\\system32\\ntoskrnl.exe", version.text(), "ntkrnlmp.exe", "0407", 0}};
    give(xp);
    const auto first = validated("acpi");
    EXPECT_EQ(first.code, kExitFailed);
    EXPECT_THAT(first.missing, ElementsAre("patch file halacpi.dll 5.1.2600.65512 (0407, German)",
                                           "patch file ntoskrnl.exe 5.1.2600.65512 (0407, German)"));
    for (const auto& [tree, language] : {std::pair<const char*, std::uint16_t>{"english", 0x0409}, {"german", 0x0407}})
        put(dir_ / tree / "i386/sp3.cab", make_cabinet({{"halacpi.dll", make_pe("halacpi.dll", version, language)},
                                                        {"ntoskrnl.exe", make_pe("ntoskrnl.exe", version, language)}}));
    EXPECT_EQ(filled("english").exit_code, kExitDone);
    EXPECT_EQ(validated("acpi").missing, first.missing);
    EXPECT_EQ(filled("german").exit_code, kExitDone);
    const auto last = validated("acpi");
    EXPECT_THAT(last.ok, ElementsAre("All 2 files that the repair installs are there."));
    EXPECT_EQ(last.code, kExitWarnings);
}

TEST_F(Patches, a_file_that_was_cut_in_the_library_is_missing_again) {
    give(server_2003());
    for (const auto& [name, version] : {std::pair{"hal.dll", kPack}, {"ntoskrnl.exe", kFix}, {"ntkrnlpa.exe", kFix}})
        put(dir_ / "i386" / name, make_pe(name, version));
    ASSERT_EQ(filled("i386").exit_code, kExitDone);
    ASSERT_THAT(validated("nacpi").missing, IsEmpty());
    const auto hal = patches::path_of(library_, {"hal.dll", kPack, 0x0409});
    fs::resize_file(hal, fs::file_size(hal) - 1);
    const auto after = validated("nacpi");
    EXPECT_EQ(after.code, kExitFailed);
    EXPECT_THAT(after.missing, ElementsAre(HasSubstr("hal.dll 5.2.3790.63959")));
}

TEST_F(Patches, a_hal_that_stays_wants_no_library) {
    give(server_2003());
    const auto out = validated("auto");
    EXPECT_THAT(out.missing, IsEmpty());
    EXPECT_THAT(out.ok, ElementsAre(HasSubstr("takes nothing from it: its HAL, ACPI Multiprocessor PC, runs")));
    EXPECT_EQ(out.code, kExitWarnings);
}

TEST_F(Patches, without_the_versions_of_its_files_nothing_is_said_to_be_there_and_what_to_add_is) {
    auto unknown = server_2003();
    unknown.os.system_files.clear();
    give(unknown);
    const auto out = validated("nacpi");
    EXPECT_THAT(out.missing, IsEmpty());
    EXPECT_THAT(out.ok, ElementsAre("Not known: the version of system32\\hal.dll; the version of "
                                    "system32\\ntoskrnl.exe."));
    EXPECT_THAT(out.to_do, ElementsAre(HasSubstr("Copy hal.dll, ntoskrnl.exe and ntkrnlpa.exe")));
}

}  // namespace
