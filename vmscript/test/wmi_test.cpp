// SPDX-License-Identifier: GPL-3.0-or-later
// What Windows administrators can know before hours of capture: WMI dumps and copies of a few files, imported and
// validated by the programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/test/media.hpp"
#include "vmscript/test/wmi_source.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using patches::FileVersion;
using patches::test::make_pe;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

// Revisions that no Windows has, so that the library of the machine that runs this has none of them.
const FileVersion kPack{5, 2, 3790, 63959}, kFix{5, 2, 3790, 64478};

auto says(const std::string& verdict, const std::string& found) {
    return testing::AllOf(Field(&Said::verdict, verdict), Field(&Said::found, HasSubstr(found)));
}
auto missing(const std::string& file) {
    return testing::AllOf(Field(&Said::verdict, "error"), Field(&Said::what, "patch file " + file));
}

const std::string kHalDevice =
    "HardwareID={\"acpiapic_mp\"}\nName=ACPI Multiprocessor PC\nPNPDeviceID=ROOT\\ACPI_HAL\\0000\n";

// As `wmic datafile … get /format:list` writes it, which calls itself by its parent's name.
std::string data_file(const std::string& name, const FileVersion& version) {
    return "CreationClassName=CIM_LogicalFile\nFileSize=106496\nName=c:\\windows\\system32\\" + name +
           "\nVersion=" + version.text() + "\n\n";
}

void add_versions(WmiDumps& dumps) {
    dumps["Win32_PnPEntity.wmi"] = kHalDevice;
    dumps["datafile.txt"] =
        data_file("hal.dll", kPack) + data_file("ntoskrnl.exe", kFix) + data_file("ntkrnlpa.exe", kFix);
}

// The copies that docs/windows.md asks for.
void add_copies(WmiDumps& dumps) {
    dumps["HAL.DLL"] = make_pe("halmacpi.dll", kPack);
    dumps["ntoskrnl.exe"] = make_pe("ntkrnlmp.exe", kFix);
    dumps["ntkrnlpa.exe"] = make_pe("ntkrpamp.exe", kFix);
}

TEST(WmiPatches, of_a_windows_that_nobody_copied_a_file_of_the_report_says_what_to_copy) {
    const WmiMigration machine;
    machine.import(server_2003_dumps());
    for (const char* fix : {"auto", "acpi", "nacpi"}) {
        const auto said = machine.said("patch-files", {"--fixhal", fix});
        ASSERT_THAT(said, ElementsAre(says("not checked", "which HAL system32\\hal.dll is"))) << fix;
        EXPECT_THAT(said[0].to_do, HasSubstr("Copy hal.dll, ntoskrnl.exe and ntkrnlpa.exe"));
    }
    EXPECT_THAT(machine.said("patch-files", {"--fixhal", "none"}), ElementsAre(says("OK", "takes nothing from it")));
}

TEST(WmiPatches, by_the_hals_id_and_versions_alone_files_in_no_language_are_missing) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    add_versions(dumps);
    machine.import(dumps);
    EXPECT_THAT(machine.said("patch-files"), ElementsAre(says("OK", "its HAL, ACPI Multiprocessor PC, runs")));
    const auto library = (machine.directory() / "Patches").string();
    const std::vector<std::string> switches{"--fixhal", "nacpi", "--hwpatchdir", library};
    EXPECT_THAT(machine.said("patch-files", switches),
                ElementsAre(missing("hal.dll 5.2.3790.63959, in whichever language"),
                            missing("ntoskrnl.exe 5.2.3790.64478, in whichever language"),
                            missing("ntkrnlpa.exe 5.2.3790.64478, in whichever language")));
    for (const auto& [name, version] : {std::pair{"hal.dll", kPack}, {"ntoskrnl.exe", kFix}, {"ntkrnlpa.exe", kFix}})
        ASSERT_TRUE(patches::add_to_library(library, as_bytes(make_pe(name, version))).ok());
    const auto after = machine.said("patch-files", switches);
    ASSERT_THAT(after, ElementsAre(says("not checked",
                                        "the language of system32\\hal.dll (the library has hal.dll "
                                        "5.2.3790.63959 as 0409)")));
    EXPECT_THAT(after[0].to_do, HasSubstr("Copy hal.dll"));
}

TEST(WmiPatches, copies_of_three_files_tell_all_and_vmpatch_makes_the_report_clean) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    add_copies(dumps);
    EXPECT_THAT(machine.import(dumps), Not(HasSubstr("its copy")));
    EXPECT_THAT(machine.said("patch-files"), ElementsAre(says("OK", "its HAL, ACPI Multiprocessor PC, runs")));
    const auto library = (machine.directory() / "Patches").string();
    const std::vector<std::string> switches{"--fixhal", "nacpi", "--hwpatchdir", library};
    EXPECT_THAT(machine.said("patch-files", switches),
                ElementsAre(missing("hal.dll 5.2.3790.63959 (0409, English)"),
                            missing("ntoskrnl.exe 5.2.3790.64478 (0409, English)"),
                            missing("ntkrnlpa.exe 5.2.3790.64478 (0409, English)")));
    for (const auto& [name, version] : {std::pair{"hal.dll", kPack}, {"ntoskrnl.exe", kFix}, {"ntkrnlpa.exe", kFix}})
        patches::test::put(machine.directory() / "cache" / name, make_pe(name, version));
    EXPECT_EQ(
        machine.run("vmpatch", {"--s", (machine.directory() / "cache").string(), "--hwpatchdir", library}).exit_code,
        kExitDone);
    EXPECT_THAT(machine.said("patch-files", switches), ElementsAre(says("OK", "All 3 files")));
}

TEST(WmiPatches, a_copy_of_another_version_than_wmi_tells_is_said) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    add_versions(dumps);
    dumps["hal.dll"] = make_pe("halmacpi.dll", kFix);
    EXPECT_THAT(machine.import(dumps), HasSubstr("WMI says 5.2.3790.63959, its copy 5.2.3790.64478"));
}

TEST(WmiPatches, a_copy_that_was_cut_is_an_error_that_names_it) {
    const WmiMigration machine;
    ASSERT_TRUE(
        write_file_atomic(machine.directory() / "hal.dll", as_bytes(make_pe("hal.dll", kFix).substr(0, 200))).ok());
    const auto ran = machine.run("gatherhw-import", {"wmi", "hal.dll", "-o", "x.xml"});
    EXPECT_EQ(ran.exit_code, kExitFailed);
    EXPECT_THAT(ran.error_text, HasSubstr("hal.dll"));
    EXPECT_EQ(machine.inventory(), "");
}

TEST(WmiPatches, what_does_not_exist_for_this_windows_is_a_finding_of_a_whole_report) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    change(dumps, "Win32_ComputerSystem.wmi", "X86-based", "x64-based");
    machine.import(dumps);
    const auto x64 = machine.said("fixhal", {"--fixhal", "nacpi"});
    ASSERT_THAT(x64, ElementsAre(says("error", "64-bit Windows runs on ACPI alone")));
    EXPECT_THAT(x64[0].to_do, HasSubstr("Leave --fixhal out"));
    EXPECT_THAT(machine.said("fixhal"), IsEmpty());
    dumps = server_2003_dumps();
    change(dumps, "Win32_OperatingSystem.wmi", "Version=5.2.3790", "Version=4.0.1381");
    machine.import(dumps);
    EXPECT_THAT(machine.said("fixhal", {"--fixhal", "acpi"}), ElementsAre(says("error", "NT 4 knows no ACPI")));
    machine.import(server_2016_dumps());
    EXPECT_THAT(machine.said("fixhal", {"--fixhal", "nacpi"}), ElementsAre(says("error", "no Standard PC")));
    const auto forced = machine.run(
        "vmscript", {"--hwgeneratep2v", "--hwinfofile", "x.xml", "--name", "atlas", "--vmconfigpath", "/srv/vm",
                     "--virtualdiskpath", "/srv/vm", "--hwdestvs", "hercules", "--fixhal", "nacpi", "--forcegenerate"});
    EXPECT_EQ(forced.exit_code, kExitFailed) << "nothing that may come later makes it good";
    EXPECT_THAT(forced.error_text, HasSubstr("no Standard PC"));
}

TEST(WmiPatches, without_the_processor_of_the_system_nothing_is_taken_for_64_bits) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    dumps.erase("Win32_ComputerSystem.wmi");
    dumps.erase("Win32_Processor.wmi");
    machine.import(dumps);
    const auto said = machine.said("patch-files", {"--fixhal", "nacpi"});
    ASSERT_THAT(said, ElementsAre(says("not checked", "for which processor Windows is")));
    EXPECT_THAT(said[0].to_do, HasSubstr("Win32_ComputerSystem"));
}

const std::string kBootIni =
    "[boot loader]\r\ntimeout=30\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
    "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows Server 2003\" /fastdetect";

TEST(WmiPatches, the_hal_and_kernel_that_boot_ini_starts_are_judged_not_those_of_the_usual_names) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    add_copies(dumps);
    dumps["boot.ini"] = kBootIni + " /HAL=halsp2.dll /KERNEL=kernel1.exe\r\n";
    machine.import(dumps);
    const auto unknown = machine.said("patch-files");
    ASSERT_THAT(unknown, ElementsAre(says("not checked", "what system32\\halsp2.dll is, which boot.ini names")));
    EXPECT_THAT(unknown[0].found, HasSubstr("kernel1.exe"));
    // A Compaq's, which no other machine runs: hal.dll and the kernels have to be others, though they look right.
    dumps["halsp2.dll"] = make_pe("halsp.dll", kPack);
    dumps["kernel1.exe"] = make_pe("ntoskrnl.exe", kFix);
    dumps["HAL.DLL"] = make_pe("halmacpi.dll", kPack);
    machine.import(dumps);
    EXPECT_THAT(machine.said("patch-files"), ElementsAre(missing("halmps.dll 5.2.3790.63959 (0409, English)")));
    dumps["boot.ini"] = kBootIni + "\r\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("patch-files"), ElementsAre(says("OK", "its HAL, ACPI Multiprocessor PC, runs")));
}

TEST(WmiVolumes, a_dirty_windows_volume_is_an_error_before_hours_of_capture_and_not_after_them) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    machine.import(dumps);
    EXPECT_THAT(machine.said("volume-dirty"), IsEmpty());
    change(dumps, "Win32_Volume.wmi", "DirtyBitSet=FALSE", "DirtyBitSet=TRUE");
    machine.import(dumps);
    const auto dirty = machine.said("volume-dirty");
    ASSERT_THAT(dirty, ElementsAre(says("error", "the repair refuses it")));
    EXPECT_THAT(dirty[0].to_do, HasSubstr("chkdsk C: /f"));
    // XP has no Win32_Volume.
    dumps.erase("Win32_Volume.wmi");
    dumps["Win32_LogicalDisk.wmi"] =
        "DeviceID=C:\nDriveType=3\nFileSystem=NTFS\nFreeSpace=50000000000\nName=C:\nSize=73372598784\nVolumeDirty="
        "TRUE\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("volume-dirty"), ElementsAre(says("error", "the repair refuses it")));
}

TEST(WmiVolumes, a_dirty_volume_that_windows_starts_from_is_an_error_and_any_other_a_warning) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    change(dumps, "Win32_Volume.wmi", "SystemVolume=TRUE", "SystemVolume=FALSE");
    dumps["Win32_Volume.wmi"] +=
        "\nBootVolume=FALSE\nCapacity=1000000000\nDeviceID=\\\\?\\Volume{0a3e595b-00d7-11e3-86ca-806e6f6e6963}\\\n"
        "DirtyBitSet=TRUE\nDriveLetter=S:\nDriveType=3\nFileSystem=NTFS\nName=S:\\\nSystemVolume=TRUE\n";
    change(dumps, "Win32_DiskPartition.wmi", "BootPartition=TRUE", "BootPartition=FALSE");
    change(dumps, "Win32_DiskPartition.wmi", "Size=73372598784", "Size=72000000000");
    dumps["Win32_DiskPartition.wmi"] +=
        "\nBootPartition=TRUE\nDeviceID=Disk #0, Partition #1\nDiskIndex=0\nIndex=1\nSize=1000000000\n"
        "StartingOffset=72200000000\nType=Installable File System\n";
    dumps["Win32_LogicalDiskToPartition.wmi"] +=
        "\nAntecedent=\\\\HERA\\root\\cimv2:Win32_DiskPartition.DeviceID=\"Disk #0, Partition #1\"\n"
        "Dependent=\\\\HERA\\root\\cimv2:Win32_LogicalDisk.DeviceID=\"S:\"\n";
    machine.import(dumps);
    const auto dirty = machine.said("volume-dirty");
    ASSERT_THAT(dirty, ElementsAre(says("error", "Windows starts from it")));
    EXPECT_THAT(dirty[0].to_do, HasSubstr("chkdsk S: /f"));
    change(dumps, "Win32_Volume.wmi", "SystemVolume=TRUE", "SystemVolume=FALSE");
    machine.import(dumps);
    EXPECT_THAT(machine.said("volume-dirty"), ElementsAre(says("warning", "sector by sector")));
}

TEST(WmiFirmware, a_windows_on_a_gpt_disk_with_an_efi_system_partition_gets_a_uefi_vm) {
    const WmiMigration machine;
    machine.import(server_2016_dumps());
    EXPECT_THAT(machine.said("firmware"), ElementsAre(says("OK", "UEFI firmware too")));
    EXPECT_THAT(machine.said("efi-partition"), ElementsAre(says("OK", "It comes along")));
    const auto made =
        machine.run("vmscript", {"--hwgeneratep2v", "--hwinfofile", "x.xml", "--name", "atlas", "--vmconfigpath",
                                 "/srv/vm", "--virtualdiskpath", "/srv/vm", "--hwdestvs", "hercules"});
    EXPECT_EQ(made.exit_code, kExitDone) << made.error_text;
    const auto state = read_text_file(machine.directory() / "p2v/atlas/atlas_internalState.xml").value_or("");
    EXPECT_THAT(state, HasSubstr("firmware=\"uefi\""));
    const auto deploy = read_text_file(machine.directory() / "p2v/atlas/atlas_DeployVM.xml").value_or("");
    EXPECT_THAT(deploy, HasSubstr("uefi")) << "the repair is told so";
}

TEST(WmiFirmware, on_mbr_disks_and_before_vista_it_is_a_bios) {
    const WmiMigration machine;
    machine.import(server_2003_dumps());
    EXPECT_THAT(machine.said("firmware"), ElementsAre(says("OK", "BIOS")));
    auto dumps = server_2016_dumps();
    for (const char* file : {"Win32_DiskDrive.wmi", "Win32_DiskPartition.wmi", "Win32_LogicalDiskToPartition.wmi"})
        dumps[file] = server_2003_dumps().at(file);
    machine.import(dumps);
    EXPECT_THAT(machine.said("firmware"), ElementsAre(says("OK", "BIOS")));
}

TEST(WmiFirmware, a_gpt_windows_whose_efi_system_partition_is_not_known_is_an_error_and_no_bios_vm) {
    const WmiMigration machine;
    auto dumps = server_2016_dumps();
    change(dumps, "Win32_DiskPartition.wmi", "Type=GPT: System", "Type=GPT: Unknown");
    machine.import(dumps);
    const auto said = machine.said("firmware");
    ASSERT_THAT(said, ElementsAre(says("error", "which has a GPT and so starts by UEFI alone; the VM gets a BIOS")));
    EXPECT_THAT(said[0].to_do, HasSubstr("Win32_DiskPartition"));
}

TEST(WmiFirmware, an_old_esp_on_a_data_disk_does_not_make_a_bios_windows_start_by_uefi) {
    const WmiMigration machine;
    auto dumps = server_2016_dumps();
    // Windows on an MBR disk that starts it, and a disk of another machine beside it.
    const auto old = server_2003_dumps();
    dumps["Win32_DiskDrive.wmi"] = old.at("Win32_DiskDrive.wmi") +
                                   "\nBytesPerSector=512\nDeviceID=\\\\.\\PHYSICALDRIVE1\nIndex=1\nInterfaceType=SCSI\n"
                                   "Model=Disk\nSerialNumber=2\nSize=73372631040\n";
    auto partitions = dumps["Win32_DiskPartition.wmi"];
    for (auto at = partitions.find("DiskIndex=0"); at != std::string::npos; at = partitions.find("DiskIndex=0"))
        partitions[at + 10] = '1';
    dumps["Win32_DiskPartition.wmi"] = old.at("Win32_DiskPartition.wmi") + "\n" + partitions;
    dumps["Win32_LogicalDiskToPartition.wmi"] = old.at("Win32_LogicalDiskToPartition.wmi");
    machine.import(dumps);
    EXPECT_THAT(machine.said("firmware"), Not(testing::Contains(says("OK", "UEFI"))));
}

// "Import Win32_DiskDrive with the rest": whatever a Windows lacks, nobody is sent to a gatherhw that there is not.
TEST(WmiFacts, of_every_class_that_is_missing_the_report_names_what_to_import) {
    const std::pair<const char*, const char*> rows[] = {{"Win32_DiskDrive.wmi", "disk-count"},
                                                        {"Win32_Volume.wmi", "root"},
                                                        {"Win32_Processor.wmi", "processor-count"},
                                                        {"Win32_OperatingSystem.wmi", "boot-loader"}};
    for (const auto& base : {server_2003_dumps(), server_2016_dumps()})
        for (const auto& [file, rule] : rows) {
            const WmiMigration machine;
            auto dumps = base;
            dumps.erase(file);
            machine.import(dumps);
            const auto said = machine.said(rule);
            ASSERT_THAT(said, Not(IsEmpty())) << rule;
            EXPECT_THAT(said[0].to_do, HasSubstr("Import Win32_")) << rule << ": " << said[0].found;
            for (const auto& one : machine.said("")) {
                if (one.id == "inventory") continue;
                for (const char* way : {"gatherhw on", "gatherhw again", "gatherhw as", "gatherhw of"})
                    EXPECT_THAT(one.to_do, Not(HasSubstr(way))) << one.id;
            }
        }
}

TEST(WmiFacts, boot_ini_is_read_from_a_copy) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    machine.import(dumps);
    const auto none = machine.said("boot-ini");
    ASSERT_THAT(none, ElementsAre(says("not checked", "not in the inventory")));
    EXPECT_THAT(none[0].to_do, HasSubstr("a copy of boot.ini"));
    dumps["boot.ini"] = kBootIni + "\r\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("boot-ini"), ElementsAre(says("OK", "One entry")));
    dumps["boot.ini"] = kBootIni + " /HAL=halx.dll\r\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("boot-ini"), testing::Contains(says("warning", "/HAL=halx.dll")));
}

TEST(WmiFacts, secure_boot_and_fast_startup_are_read_from_reg_query) {
    const WmiMigration machine;
    auto dumps = server_2016_dumps();
    machine.import(dumps);
    EXPECT_THAT(machine.said("secure-boot"), ElementsAre(says("not checked", "not known")));
    EXPECT_THAT(machine.said("secure-boot")[0].to_do, HasSubstr("Control\\SecureBoot\\State"));
    EXPECT_THAT(machine.said("hibernated"), ElementsAre(says("not checked", "not known")));
    EXPECT_THAT(machine.said("hibernated")[0].to_do, HasSubstr("powercfg /h off"));
    const std::string key = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\";
    dumps["registry.txt"] = "\r\n" + key +
                            "SecureBoot\\State\r\n    UEFISecureBootEnabled    REG_DWORD    0x1\r\n\r\n" + key +
                            "Session Manager\\Power\r\n    HiberbootEnabled    REG_DWORD    0x1\r\n\r\n" + key +
                            "Power\r\n    HibernateEnabled    REG_DWORD    0x1\r\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("secure-boot"), ElementsAre(says("warning", "")));
    EXPECT_THAT(machine.said("hibernated"), ElementsAre(says("warning", "leaves Windows suspended")));
    change(dumps, "registry.txt", "HibernateEnabled    REG_DWORD    0x1", "HibernateEnabled    REG_DWORD    0x0");
    machine.import(dumps);
    EXPECT_THAT(machine.said("hibernated"), ElementsAre(says("OK", "It is off")));
}

TEST(WmiFacts, a_licence_in_the_firmware_is_told_by_the_licensing_service) {
    const WmiMigration machine;
    auto dumps = server_2016_dumps();
    machine.import(dumps);
    EXPECT_THAT(machine.said("windows-licence"), ElementsAre(says("not checked", "not known")));
    EXPECT_THAT(machine.said("windows-licence")[0].to_do, HasSubstr("SoftwareLicensingService"));
    dumps["SoftwareLicensingService.wmi"] = "OA3xOriginalProductKeyDescription=[4.0] Professional OEM:DM\r\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("windows-licence"), ElementsAre(says("warning", "table MSDM")));
}

TEST(WmiFacts, that_there_is_no_service_pack_is_known_too) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    change(dumps, "Win32_OperatingSystem.wmi", "ServicePackMajorVersion=2", "ServicePackMajorVersion=0");
    machine.import(dumps);
    EXPECT_THAT(machine.said("service-level"), ElementsAre(says("warning", "Service Pack 1")));
    change(dumps, "Win32_OperatingSystem.wmi", "ServicePackMajorVersion=0\n", "");
    machine.import(dumps);
    EXPECT_THAT(machine.said("service-level"), ElementsAre(says("not checked", "not known")));
}

TEST(WmiFacts, what_powershell_lists_makes_the_same_inventory) {
    // Windows Server 2025 and Windows 11 24H2 have no wmic.
    for (const auto& dumps : {server_2003_dumps(), server_2016_dumps()}) {
        const WmiMigration by_wmic, by_powershell;
        by_wmic.import(dumps);
        WmiDumps listed;
        for (const auto& [name, text] : dumps) listed[name] = format_list(text);
        by_powershell.import(listed);
        EXPECT_EQ(by_powershell.inventory(), by_wmic.inventory());
        EXPECT_THAT(by_powershell.inventory(), HasSubstr("Local Area Connection"));
    }
}

WmiDumps two_cards() {
    auto dumps = server_2003_dumps();
    dumps["Win32_NetworkAdapter.wmi"] =
        "Index=1\nMACAddress=52:54:00:51:00:01\nNetConnectionID=Production\nNetConnectionStatus=2\n"
        "PNPDeviceID=PCI\\VEN_14E4&amp;DEV_164C\\1\n\n"
        "Index=2\nMACAddress=52:54:00:51:00:02\nNetConnectionID=Local Area Connection 2\nNetConnectionStatus=2\n"
        "PNPDeviceID=PCI\\VEN_14E4&amp;DEV_164C\\2\n";
    dumps["Win32_NetworkAdapterConfiguration.wmi"] =
        "DHCPEnabled=FALSE\nIndex=1\nIPAddress={\"10.0.0.5\"}\nIPEnabled=TRUE\nIPSubnet={\"255.255.255.0\"}\n"
        "MACAddress=52:54:00:51:00:01\n\n"
        "DHCPEnabled=FALSE\nIndex=2\nIPAddress={\"10.0.1.5\"}\nIPEnabled=TRUE\nIPSubnet={\"255.255.255.0\"}\n"
        "MACAddress=52:54:00:51:00:02\n";
    return dumps;
}

TEST(WmiNetwork, the_repair_is_told_each_card_by_its_connection) {
    const WmiMigration machine;
    machine.import(two_cards());
    EXPECT_THAT(machine.said("address"), ElementsAre(says("OK", "it moves along"), says("OK", "it moves along")));
    const auto made =
        machine.run("vmscript", {"--hwgeneratep2v", "--hwinfofile", "x.xml", "--name", "hera", "--vmconfigpath",
                                 "/srv/vm", "--virtualdiskpath", "/srv/vm", "--hwdestvs", "hercules"});
    ASSERT_EQ(made.exit_code, kExitDone) << made.error_text;
    for (const char* file : {"p2v/hera/hera_DeployVM.xml", "p2v/hera/hera_ServiceDriver.xml"})
        EXPECT_THAT(read_text_file(machine.directory() / file).value_or(""),
                    HasSubstr("\"Production=52:54:00:51:00:01=52:54:00:51:00:01;"
                              "Local Area Connection 2=52:54:00:51:00:02=52:54:00:51:00:02\""))
            << file;
    EXPECT_THAT(read_text_file(machine.directory() / "p2v/hera/hera_commonInit.sh").value_or(""),
                HasSubstr("'Local Area Connection 2=52:54:00:51:00:02'"));
}

TEST(WmiNetwork, cards_without_a_name_are_no_promise) {
    const WmiMigration machine;
    auto dumps = two_cards();
    dumps.erase("Win32_NetworkAdapter.wmi");
    machine.import(dumps);
    const auto said = machine.said("address");
    ASSERT_THAT(said, ElementsAre(says("warning", "may not move along"), says("warning", "may not move along")));
    EXPECT_THAT(said[0].to_do, HasSubstr("Import Win32_NetworkAdapter (NetConnectionID)"));
}

TEST(WmiFacts, what_is_not_known_is_no_fault_of_the_machine) {
    const WmiMigration machine;
    for (auto dumps : {server_2003_dumps(), server_2016_dumps()}) {
        for (const char* file :
             {"Win32_DiskPartition.wmi", "Win32_LogicalDiskToPartition.wmi", "Win32_NetworkAdapter.wmi"})
            dumps.erase(file);
        machine.import(dumps);
        EXPECT_THAT(machine.said("root"), ElementsAre(says("not checked", "On which disk it lies is not known")));
        EXPECT_THAT(machine.said("adapter-count"), ElementsAre(says("error", "None is known")));
        for (const auto& one : machine.said("")) {
            if (one.id == "adapter-count") continue;
            EXPECT_NE(one.verdict, "error") << one.id << ": " << one.found;
        }
    }
    auto dumps = server_2003_dumps();
    dumps.erase("Win32_DiskPartition.wmi");
    machine.import(dumps);
    EXPECT_THAT(machine.said("active-partition"), ElementsAre(says("not checked", "partitions are not known")));
}

TEST(WmiPatches, no_windows_since_vista_gets_a_standard_pc) {
    const WmiMigration machine;
    machine.import(server_2016_dumps());
    EXPECT_THAT(machine.said("fixhal", {"--fixhal", "nacpi"}), ElementsAre(says("error", "runs on ACPI alone")));
    EXPECT_THAT(machine.said("fixhal", {"--fixhal", "acpi"}), IsEmpty());
}

TEST(WmiServices, the_readme_and_the_report_name_the_same_services_that_the_repair_switches_off) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    dumps["Win32_Service.wmi"] +=
        "\nName=CpqNicMgmt\nStartMode=Auto\nState=Running\n\nName=sysdown\nStartMode=Disabled\nState=Stopped\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("vendor-agents"), ElementsAre(says("OK", "the repair switches it off")));
    const auto readme = [&](std::vector<std::string> more) {
        std::vector<std::string> switches{
            "--hwgeneratep2v", "--hwinfofile",      "x.xml",   "--name",     "hera",     "--vmconfigpath",
            "/srv/vm",         "--virtualdiskpath", "/srv/vm", "--hwdestvs", "hercules", "--forcegenerate"};
        switches.insert(switches.end(), more.begin(), more.end());
        EXPECT_EQ(machine.run("vmscript", switches).exit_code, kExitDone);
        return read_text_file(machine.directory() / "p2v/hera/hera_P2V_readme.txt").value_or("");
    };
    EXPECT_THAT(readme({}), HasSubstr("are switched off: CpqNicMgmt\n"));
    const std::string own = "<Configuration><Service Name=\"Other\" Start=\"Disable\"/></Configuration>";
    ASSERT_TRUE(write_file_atomic(machine.directory() / "own.xml", as_bytes(own)).ok());
    EXPECT_THAT(readme({"--servicedriverstate", "own.xml"}), HasSubstr("are switched off: none found\n"));
    EXPECT_THAT(machine.said("vendor-agents", {"--servicedriverstate", "own.xml"}),
                ElementsAre(says("note", "the drivers file does not name it")));
    dumps.erase("Win32_Service.wmi");
    machine.import(dumps);
    EXPECT_THAT(readme({}), HasSubstr("are switched off: not known"));
}

TEST(WmiControllers, a_server_2003_above_127_gb_is_told_of_the_driver_before_the_deployment) {
    const WmiMigration machine;
    auto dumps = server_2003_dumps();
    change(dumps, "Win32_DiskDrive.wmi", "Size=73372631040", "Size=273372631040");
    dumps["Win32_SystemDriver.wmi"] += "\nName=sym_hi\nStartMode=Disabled\nState=Stopped\n";
    machine.import(dumps);
    const auto said = machine.said("windows-controller");
    ASSERT_THAT(said, ElementsAre(says("warning", "system32\\drivers\\sym_hi.sys")));
    EXPECT_THAT(said[0].to_do, HasSubstr("driver.cab"));
    EXPECT_THAT(said[0].to_do, HasSubstr("--hwdriverdir"));
    dumps["datafile.txt"] =
        "CreationClassName=CIM_LogicalFile\nFileSize=28384\nName=c:\\windows\\system32\\drivers\\sym_hi.sys\n"
        "Version=5.2.3790.0\n";
    machine.import(dumps);
    EXPECT_THAT(machine.said("windows-controller"), ElementsAre(says("OK", "The source has")));
}

}  // namespace
