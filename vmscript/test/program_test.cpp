// SPDX-License-Identifier: GPL-3.0-or-later
// The program from its command line.
#include <gtest/gtest.h>

#include "gatherhw/writer.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "sequences/model.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
namespace fs = std::filesystem;

namespace {

class Vmscript : public testing::Test {
protected:
    CommandResult run(std::vector<std::string> arguments) const {
        arguments.insert(
            arguments.begin(),
            (fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / "vmscript").string());
        CommandOptions options;
        options.working_directory = temp_.path();
        return run_command(arguments, options).value();
    }
    void give(const gatherhw::Inventory& inventory) const {
        ASSERT_TRUE(write_file_atomic(temp_ / "x.xml", as_bytes(gatherhw::to_xml(inventory))).ok());
    }
    std::vector<std::string> generate(std::vector<std::string> more = {}) const {
        std::vector<std::string> out{"--hwgeneratep2v", "--hwinfofile",   "x.xml",   "--name",
                                     "triton",          "--vmconfigpath", "/srv/vm", "--virtualdiskpath",
                                     "/srv/vm",         "--hwdestvs",     "hercules"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    TempDir temp_ = std::move(TempDir::create("vmscript").value());
};

}  // namespace

TEST_F(Vmscript, validates_with_an_exit_code_by_verdict) {
    give(vmscript::good_source());
    auto good = run({"/HWValidate", "/HWInfoFile:x.xml"});
    EXPECT_EQ(good.exit_code, kExitDone) << good.output;
    EXPECT_NE(good.output.find("it can be migrated."), std::string::npos);
    auto warned = vmscript::good_source();
    warned.boot.loader = "lilo";
    give(warned);
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "x.xml"}).exit_code, kExitWarnings);
    auto bad = vmscript::good_source();
    bad.os.family = "windows";
    give(bad);
    auto json = run({"--hwvalidate", "--hwinfofile", "x.xml", "--json"});
    EXPECT_EQ(json.exit_code, kExitFailed);
    EXPECT_TRUE(json.output.starts_with("{\"machine\":\"triton\",\"verdict\":\"error\"")) << json.output;
}

TEST_F(Vmscript, generates_below_the_current_directory_or_where_told) {
    give(vmscript::good_source());
    auto here = run(generate());
    EXPECT_EQ(here.exit_code, kExitDone) << here.error_text;
    EXPECT_TRUE(fs::exists(temp_ / "p2v/triton/triton_capture.sh"));
    EXPECT_EQ(run(generate({"--hwtaskseqpath", "there"})).exit_code, kExitDone);
    EXPECT_TRUE(fs::exists(temp_ / "there/p2v/triton/triton_captureDisk.xml"));
    auto other = run(generate({"--vmmemory", "256"}));
    EXPECT_EQ(other.exit_code, kExitFailed);
    EXPECT_NE(other.error_text.find("--forcegenerate"), std::string::npos) << other.error_text;
    EXPECT_EQ(run(generate({"--vmmemory", "256", "--forcegenerate"})).exit_code, kExitDone);
}

TEST_F(Vmscript, writes_nothing_for_a_machine_that_does_not_fit) {
    auto bad = vmscript::good_source();
    bad.system.firmware = gatherhw::Firmware::Uefi;
    give(bad);
    auto run_bad = run(generate());
    EXPECT_EQ(run_bad.exit_code, kExitFailed);
    EXPECT_NE(run_bad.error_text.find("vmscript.not-fit"), std::string::npos) << run_bad.error_text;
    EXPECT_FALSE(fs::exists(temp_ / "p2v"));
}

TEST_F(Vmscript, an_nt_source_has_a_boot_ini_and_is_written_for_when_forced) {
    auto nt = vmscript::good_source();
    nt.os = {"windows", "windows", "Windows Server 2003", "5.2", "", "", "i386", ""};
    nt.boot = {"ntldr", "", "", {{"C:\\boot.ini", "[boot loader]\ntimeout=30\n"}}};
    for (auto& v : nt.volumes) v.mount_points = {"C:"};
    give(nt);
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "x.xml"}).exit_code, kExitFailed);
    EXPECT_EQ(run(generate()).exit_code, kExitFailed);
    EXPECT_FALSE(fs::exists(temp_ / "p2v"));
    auto forced = run(generate({"--forcegenerate"}));
    ASSERT_EQ(forced.exit_code, kExitDone) << forced.error_text;
    EXPECT_NE(forced.error_text.find("warning: Windows Server 2003"), std::string::npos) << forced.error_text;
    EXPECT_NE(read_text_file(temp_ / "p2v/triton/triton_boot.ini").value_or("").find("\n[boot loader]"),
              std::string::npos);
    EXPECT_FALSE(fs::exists(temp_ / "p2v/triton/triton_boot.cfg"));
    EXPECT_NE(read_text_file(temp_ / "p2v/triton/triton_P2V_readme.txt").value().find("does not repair NT"),
              std::string::npos);
    nt.system.firmware = gatherhw::Firmware::Uefi;
    give(nt);
    EXPECT_EQ(run(generate({"--forcegenerate"})).exit_code, kExitFailed) << "nothing else is forced";
}

TEST_F(Vmscript, names_a_damaged_or_missing_inventory) {
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "none.xml"}).exit_code, kExitFailed);
    auto xml = gatherhw::to_xml(vmscript::good_source());
    ASSERT_TRUE(write_file_atomic(temp_ / "x.xml", as_bytes(xml.substr(0, xml.size() / 2))).ok());
    auto torn = run(generate());
    EXPECT_EQ(torn.exit_code, kExitFailed);
    EXPECT_NE(torn.error_text.find("gatherhw.not-an-inventory"), std::string::npos) << torn.error_text;
    EXPECT_FALSE(fs::exists(temp_ / "p2v"));
}

TEST_F(Vmscript, the_drivers_file_travels_in_the_sequences) {
    give(vmscript::good_source());
    ASSERT_TRUE(
        write_file_atomic(temp_ / "d.xml", as_bytes("<Configuration>\n<Service Name=\"hp-health\" Start=\"Disable\"/>"
                                                    "<!-- ${x} --></Configuration>"))
            .ok());
    auto done = run(generate({"--servicedriverstate", "d.xml"}));
    ASSERT_EQ(done.exit_code, kExitDone) << done.error_text;
    for (const char* name : {"DeployVM", "ServiceDriver"}) {
        const auto xml = read_text_file(temp_ / fmt::format("p2v/triton/triton_{}.xml", name)).value();
        const auto sequence = sequences::parse_sequence(xml);
        ASSERT_TRUE(sequence.ok()) << sequence.error().describe();
        const auto values = sequences::effective_variables(sequence->sequence, {});
        const auto text = sequences::expand("${service-driver-file}", values);
        EXPECT_NE(text->find("hp-health"), std::string::npos) << name;
    }
    ASSERT_TRUE(write_file_atomic(temp_ / "d.xml", as_bytes("<Other/>")).ok());
    auto wrong = run(generate({"--servicedriverstate", "d.xml"}));
    EXPECT_EQ(wrong.exit_code, kExitUsage);
    EXPECT_NE(wrong.error_text.find("<Configuration>"), std::string::npos) << wrong.error_text;
    EXPECT_EQ(run(generate({"--servicedriverstate", "none.xml"})).exit_code, kExitUsage);
}

TEST_F(Vmscript, a_usage_error_is_2) {
    EXPECT_EQ(run({}).exit_code, kExitUsage);
    EXPECT_EQ(run({"--hwgeneratep2v"}).exit_code, kExitUsage);
    EXPECT_EQ(run(generate({"--postdeployaction", "9"})).exit_code, kExitUsage);
    EXPECT_EQ(run({"/?"}).exit_code, kExitDone);
    EXPECT_EQ(run({"--version"}).exit_code, kExitDone);
}
