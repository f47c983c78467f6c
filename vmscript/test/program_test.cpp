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
    EXPECT_NE(good.output.find("It can be migrated."), std::string::npos);
    auto warned = vmscript::good_source();
    warned.boot.loader = "refind";
    give(warned);
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "x.xml"}).exit_code, kExitWarnings);
    auto bad = vmscript::good_source();
    bad.boot.loader = "lilo";
    give(bad);
    auto json = run({"--hwvalidate", "--hwinfofile", "x.xml", "--json"});
    EXPECT_EQ(json.exit_code, kExitFailed);
    EXPECT_TRUE(json.output.starts_with("{\"schema\":\"urn:slipway:validation:1\",\"machine\":\"triton\""))
        << json.output;
    EXPECT_NE(json.output.find("\"verdict\":\"error\",\"sentence\":\"It cannot be migrated like this: 1 error.\""),
              std::string::npos)
        << json.output;
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
    bad.system.firmware = gatherhw::Firmware::Uefi;  // and no EFI system partition
    give(bad);
    auto run_bad = run(generate());
    EXPECT_EQ(run_bad.exit_code, kExitFailed);
    EXPECT_NE(run_bad.error_text.find("vmscript.not-fit"), std::string::npos) << run_bad.error_text;
    EXPECT_FALSE(fs::exists(temp_ / "p2v"));
}

TEST_F(Vmscript, a_windows_source_has_a_boot_ini_and_only_what_may_still_come_is_forced) {
    auto nt = vmscript::good_windows();
    nt.os.name = "Windows Server 2003";
    nt.os.version = "5.2.3790";
    nt.os.service_level = "Service Pack 2";
    nt.os.architecture = "i386";
    nt.boot = {"ntldr", "", "", {{"C:\\boot.ini", "[boot loader]\ntimeout=30\n"}}};
    give(nt);
    EXPECT_EQ(run(generate()).exit_code, kExitDone);
    EXPECT_NE(read_text_file(temp_ / "p2v/triton/triton_boot.ini").value_or("").find("\n[boot loader]"),
              std::string::npos);
    EXPECT_FALSE(fs::exists(temp_ / "p2v/triton/triton_boot.cfg"));
    EXPECT_EQ(run(generate({"--targetcontroller", "virtio"})).exit_code, kExitFailed);
    auto forced = run(generate({"--targetcontroller", "virtio", "--forcegenerate"}));
    ASSERT_EQ(forced.exit_code, kExitDone) << forced.error_text;
    EXPECT_NE(forced.error_text.find("warning: controller virtio-blk"), std::string::npos) << forced.error_text;
    // With the driver in a folder nothing has to be forced.
    const auto folder = (temp_ / "viostor/2k3/x86").string();
    fs::create_directories(folder);
    ASSERT_TRUE(write_file_atomic(
        folder + "/viostor.inf",
        as_bytes("[Version]\nSignature=\"$Windows NT$\"\nClass=SCSIAdapter\n"
                 "ClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\nDriverVer=1/1/2020,1.0.0.0\n"
                 "[SourceDisksNames]\n1=d\n[SourceDisksFiles]\nviostor.sys=1\n[DestinationDirs]\nDefaultDestDir=12\n"
                 "[Manufacturer]\nV=M,NTx86.5.2\n[M.NTx86.5.2]\nd=i,PCI\\VEN_1AF4&DEV_1001\n[i]\n"
                 "CopyFiles=@viostor.sys\n[i.Services]\nAddService=viostor,2,s\n[s]\nServiceType=1\nStartType=0\n"
                 "ServiceBinary=%12%\\viostor.sys\n")));
    ASSERT_TRUE(write_file_atomic(folder + "/viostor.sys", as_bytes("sys")));
    auto with = run(generate({"--targetcontroller", "virtio", "--hwdriverdir", folder, "--hwtaskseqpath", "with"}));
    ASSERT_EQ(with.exit_code, kExitDone) << with.error_text;
    EXPECT_NE(read_text_file(temp_ / "with/p2v/triton/triton_DeployVM.xml").value_or("").find(folder),
              std::string::npos);
    nt.system.firmware = gatherhw::Firmware::Uefi;
    give(nt);
    EXPECT_EQ(run(generate({"--forcegenerate"})).exit_code, kExitFailed) << "nothing else is forced";
}

TEST_F(Vmscript, a_uefi_source_gets_a_uefi_machine_and_is_repaired_for_it) {
    auto uefi = vmscript::good_source();
    uefi.system.firmware = gatherhw::Firmware::Uefi;
    uefi.disks[0].partitions[1].type = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    uefi.disks[1].size = 500ull << 30;
    give(uefi);
    auto done = run(generate());
    ASSERT_EQ(done.exit_code, kExitDone) << done.error_text;
    const auto vm = read_text_file(temp_ / "p2v/triton/triton_internalState.xml").value_or("");
    EXPECT_NE(vm.find("firmware=\"uefi\""), std::string::npos) << vm;
    EXPECT_NE(vm.find("controller=\"sata\""), std::string::npos) << vm;
    for (const char* name : {"DeployVM", "ServiceDriver"}) {
        const auto xml = read_text_file(temp_ / fmt::format("p2v/triton/triton_{}.xml", name)).value_or("");
        EXPECT_NE(xml.find("<parameter name=\"firmware\">uefi</parameter>"), std::string::npos) << xml;
    }
}

TEST_F(Vmscript, writes_a_page_and_shows_groups_and_problems_alone) {
    auto warned = vmscript::good_source();
    warned.boot.loader = "refind";
    give(warned);
    auto shown =
        run({"--hwvalidate", "--hwinfofile", "x.xml", "--only-problems", "--group", "boot,disks", "--html", "x.html"});
    EXPECT_EQ(shown.exit_code, kExitWarnings) << shown.error_text;
    EXPECT_NE(shown.output.find("boot-loader"), std::string::npos) << shown.output;
    EXPECT_EQ(shown.output.find("disk-count"), std::string::npos);
    EXPECT_EQ(shown.output.find('\x1b'), std::string::npos) << "no terminal, no colours";
    EXPECT_TRUE(read_text_file(temp_ / "x.html").value_or("").starts_with("<!DOCTYPE html>"));
    auto first = read_text_file(temp_ / "x.html").value_or("");
    EXPECT_EQ(
        run({"--hwvalidate", "--hwinfofile", "x.xml", "--only-problems", "--group", "boot,disks", "--html", "x.html"})
            .exit_code,
        kExitWarnings);
    EXPECT_EQ(read_text_file(temp_ / "x.html").value_or(""), first) << "the same again is the same page";
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "x.xml", "--html", "no/such/x.html"}).exit_code, kExitFailed);
    auto wrong = run({"--hwvalidate", "--hwinfofile", "x.xml", "--group", "boots"});
    EXPECT_EQ(wrong.exit_code, kExitUsage);
    EXPECT_NE(wrong.error_text.find("file-systems"), std::string::npos) << wrong.error_text;
}

TEST_F(Vmscript, lists_its_rules_without_an_inventory) {
    auto text = run({"--list-rules"});
    EXPECT_EQ(text.exit_code, kExitDone);
    EXPECT_NE(text.output.find("disk-size"), std::string::npos);
    EXPECT_TRUE(run({"--list-rules", "--json"}).output.starts_with("{\"schema\":\"urn:slipway:validation-rules:1\""));
    EXPECT_EQ(run({"--list-rules", "--hwvalidate"}).exit_code, kExitUsage);
}

TEST_F(Vmscript, conflicts_with_other_machines_come_from_a_file) {
    give(vmscript::good_source());
    const std::string devices =
        R"({"items":[{"name":"hercules","kind":"vmhost","state":"controlled","agent":{"state":"ready"},"macs":[]},
        {"name":"web","kind":"device","state":"released","power_driver":"vm","macs":["52:54:00:51:00:01"]}]})";
    ASSERT_TRUE(write_file_atomic(temp_ / "d.json", as_bytes(devices)).ok());
    auto conflict = run({"--hwvalidate", "--hwinfofile", "x.xml", "--devicelist", "d.json", "--only-problems"});
    EXPECT_EQ(conflict.exit_code, kExitFailed);
    EXPECT_NE(conflict.output.find("mac-conflict: device web"), std::string::npos) << conflict.output;
    EXPECT_EQ(run(generate({"--devicelist", "d.json"})).exit_code, kExitFailed);
    ASSERT_TRUE(write_file_atomic(temp_ / "d.json", as_bytes(std::string("[{"))).ok());
    EXPECT_EQ(run({"--hwvalidate", "--hwinfofile", "x.xml", "--devicelist", "d.json"}).exit_code, kExitFailed);
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
