// SPDX-License-Identifier: GPL-3.0-or-later
// The twelve files, as the program writes them from its command line, one golden set for each switch. A source has its
// base set in a folder; what a switch changes is whole in switches/SWITCH/ below it, beside changes.diff, which is for
// readers. Each file is compared whole: with the switch's where it has one, else with the base.
// SLIPWAY_REGENERATE=1 build/bin/vmscript_scripts_test --gtest_filter='*SwitchSets*' writes all of them anew.
#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "gatherhw/writer.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
namespace fs = std::filesystem;

namespace {

const fs::path kGolden = SLIPWAY_SOURCE_DIR "/vmscript/test/golden";
constexpr const char* kDriversFile = "<Configuration>\n  <Service Name=\"ss*\" Start=\"Disable\"/>\n</Configuration>\n";

using Set = std::map<std::string, std::string>;  // name of a file -> its text

struct SwitchRow {
    const char* name;  // of its folder
    std::vector<std::string> give;
    bool leave_out_always = false;  // the source's own switches
};
struct Source {
    const char* name;
    fs::path folder;
    gatherhw::Inventory inventory;
    std::vector<std::string> always;
    std::vector<SwitchRow> switches;
};

gatherhw::Inventory server_2003() {
    auto i = vmscript::good_windows();
    i.os.name = "Windows Server 2003";
    i.os.version = "5.2.3790";
    i.os.service_level = "Service Pack 2";
    i.os.architecture = "x86";
    i.os.hal = "acpiapic_mp";
    i.os.system_files = {{"C:\\WINDOWS\\system32\\hal.dll", "5.2.3790.3959", "halmacpi.dll", "0409", 0},
                         {"C:\\WINDOWS\\system32\\ntoskrnl.exe", "5.2.3790.3959", "ntkrnlmp.exe", "0409", 0}};
    i.boot = {"ntldr", "", "", {{"C:\\boot.ini", "[boot loader]\r\ntimeout=30\r\n"}}};
    return i;
}

Source linux_source() {
    return {"triton",
            kGolden,
            vmscript::good_source(),
            {"--excludedrives", "/srv"},
            {{"servicedriverstate", {"--servicedriverstate", "drivers.xml"}},
             {"suppressvsconsole", {"--suppressvsconsole"}},
             {"virtualdiskdynamic", {"--virtualdiskdynamic"}},
             {"virtualmacdynamic", {"--virtualmacdynamic"}},
             {"targetcontroller-sata", {"--targetcontroller", "sata"}},
             {"vmmemory-512", {"--vmmemory", "512"}},
             {"postdeployaction-2", {"--postdeployaction", "2"}},
             {"without-excludedrives", {}, true},
             {"vshostnet-VM7", {"--vshostnet", "VM7"}}}};
}
Source windows_source() {
    return {"nereus",
            kGolden / "windows",
            server_2003(),
            {},
            {{"fixhal", {"--fixhal"}},
             {"fixhal-none", {"--fixhal", "none"}},
             {"fixhal-acpi", {"--fixhal", "acpi"}},
             // Its files are in no library here.
             {"fixhal-nacpi", {"--fixhal", "nacpi", "--forcegenerate"}},
             {"hwpatchdir", {"--hwpatchdir", "/srv/Patches"}},
             // Nor are its drivers there.
             {"hwdriverdir", {"--hwdriverdir", "/srv/viostor;/srv/NetKVM", "--forcegenerate"}},
             {"servicedriverstate", {"--servicedriverstate", "drivers.xml"}},
             {"suppressvsconsole", {"--suppressvsconsole"}}}};
}

void PrintTo(const Source& source, std::ostream* out) { *out << source.name; }

bool regenerate() { return std::getenv("SLIPWAY_REGENERATE") != nullptr; }

Set generated(const Source& source, const std::vector<std::string>& switches) {
    const auto temp = TempDir::create("sets").value();
    const std::string name = source.name;
    EXPECT_TRUE(write_file_atomic(temp / (name + ".xml"), as_bytes(gatherhw::to_xml(source.inventory))).ok());
    EXPECT_TRUE(write_file_atomic(temp / "drivers.xml", as_bytes(std::string_view(kDriversFile))).ok());
    const char* bin = std::getenv("SLIPWAY_BIN");
    std::vector<std::string> arguments{(fs::path(bin ? bin : "bin") / "vmscript").string(),
                                       "--hwgeneratep2v",
                                       "--hwinfofile",
                                       name + ".xml",
                                       "--name",
                                       name,
                                       "--vmconfigpath",
                                       "/srv/vm",
                                       "--virtualdiskpath",
                                       "/srv/disks",
                                       "--hwdestvs",
                                       "hercules"};
    arguments.insert(arguments.end(), switches.begin(), switches.end());
    CommandOptions options;
    options.working_directory = temp.path();
    const auto ran = run_command(arguments, options).value();
    EXPECT_EQ(ran.exit_code, kExitDone) << ran.error_text;
    Set out;
    for (const auto& entry : fs::directory_iterator(temp / "p2v" / name))
        out[entry.path().filename()] = read_text_file(entry.path()).value();
    return out;
}

// The files of a folder; not those in folders below it.
Set in_folder(const fs::path& folder) {
    Set out;
    if (!fs::is_directory(folder)) return out;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.is_regular_file()) out[entry.path().filename()] = read_text_file(entry.path()).value();
    return out;
}

// As diff -u of base and set has it, without the time of day.
std::string difference(const Set& base, const Set& set) {
    const auto temp = TempDir::create("diff").value();
    std::string out;
    for (const auto& [name, text] : set) {
        const auto before = temp / "before", after = temp / "after";
        EXPECT_TRUE(write_file_atomic(before, as_bytes(base.at(name))).ok());
        EXPECT_TRUE(write_file_atomic(after, as_bytes(text)).ok());
        out += run_command({"diff", "-u", "--label", name, "--label", name, before.string(), after.string()})->output;
    }
    return out;
}

void write_set(const fs::path& folder, const Set& files) {
    fs::create_directories(folder);
    for (const auto& [name, text] : files) ASSERT_TRUE(write_file_atomic(folder / name, as_bytes(text)).ok());
}

class SwitchSets : public testing::TestWithParam<Source> {};

TEST_P(SwitchSets, are_the_golden_ones) {
    const auto& source = GetParam();
    const auto base = generated(source, source.always);
    ASSERT_EQ(base.size(), 12u);
    if (regenerate()) {
        write_set(source.folder, base);
        fs::remove_all(source.folder / "switches");
    }
    const auto golden_base = in_folder(source.folder);
    for (const auto& [name, text] : base) {
        ASSERT_TRUE(golden_base.contains(name)) << name;
        EXPECT_EQ(golden_base.at(name), text) << name;
    }
    std::set<std::string> folders;
    for (const auto& row : source.switches) {
        SCOPED_TRACE(row.name);
        const auto folder = source.folder / "switches" / row.name;
        folders.insert(row.name);
        auto give = row.leave_out_always ? std::vector<std::string>() : source.always;
        give.insert(give.end(), row.give.begin(), row.give.end());
        const auto all = generated(source, give);
        Set changed;
        for (const auto& [name, text] : all) {
            ASSERT_TRUE(base.contains(name)) << name << " is none of the twelve";
            if (text != base.at(name)) changed[name] = text;
        }
        EXPECT_EQ(all.size(), base.size());
        EXPECT_FALSE(changed.empty()) << "the switch changes nothing";
        auto golden = changed;
        golden["changes.diff"] = difference(base, changed);
        if (regenerate()) write_set(folder, golden);
        EXPECT_EQ(in_folder(folder), golden);
    }
    for (const auto& entry : fs::directory_iterator(source.folder / "switches"))
        EXPECT_TRUE(folders.contains(entry.path().filename())) << entry.path() << " is of no switch";
}

INSTANTIATE_TEST_SUITE_P(Of, SwitchSets, testing::Values(linux_source(), windows_source()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
