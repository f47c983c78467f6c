// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/test/wmi_source.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::vmscript {

namespace fs = std::filesystem;
namespace json = boost::json;

WmiDumps server_2003_dumps() {
    return {
        {"Win32_ComputerSystem.wmi",
         "CreationClassName=Win32_ComputerSystem\nManufacturer=HP\nModel=ProLiant DL380 G5\nName=HERA\n"
         "SystemType=X86-based PC\nTotalPhysicalMemory=4294000640\n"},
        {"Win32_OperatingSystem.wmi",
         "BuildNumber=3790\nBuildType=Multiprocessor Free\nCSName=HERA\nCaption=Microsoft(R) Windows(R) Server 2003, "
         "Standard Edition\nLocale=0409\nOSLanguage=1033\nPAEEnabled=TRUE\nProductType=3\nServicePackMajorVersion=2\n"
         "TotalVisibleMemorySize=4193348\nVersion=5.2.3790\nWindowsDirectory=C:\\WINDOWS\n"},
        {"Win32_Processor.wmi",
         "AddressWidth=32\nDataWidth=64\nDeviceID=CPU0\nManufacturer=GenuineIntel\nMaxClockSpeed=2833\nName=Intel(R) "
         "Xeon(R) CPU E5440\nNumberOfCores=4\nNumberOfLogicalProcessors=4\n"},
        {"Win32_DiskDrive.wmi",
         "BytesPerSector=512\nDeviceID=\\\\.\\PHYSICALDRIVE0\nIndex=0\nInterfaceType=SCSI\nModel=HP LOGICAL VOLUME "
         "SCSI "
         "Disk Device\nSectorsPerTrack=63\nSerialNumber=600508b1\nSignature=1905377164\nSize=73372631040\nStatus=OK\n"
         "TotalCylinders=8920\nTotalHeads=255\n"},
        {"Win32_DiskPartition.wmi",
         "BootPartition=TRUE\nDeviceID=Disk #0, Partition #0\nDiskIndex=0\nIndex=0\nSize=73372598784\n"
         "StartingOffset=32256\nType=Installable File System\n"},
        {"Win32_LogicalDiskToPartition.wmi",
         "Antecedent=\\\\HERA\\root\\cimv2:Win32_DiskPartition.DeviceID=\"Disk #0, Partition #0\"\n"
         "Dependent=\\\\HERA\\root\\cimv2:Win32_LogicalDisk.DeviceID=\"C:\"\n"},
        {"Win32_Volume.wmi",
         "BootVolume=TRUE\nCapacity=73372598784\nDeviceID=\\\\?\\Volume{0a3e595a-00d7-11e3-86ca-806e6f6e6963}\\\n"
         "DirtyBitSet=FALSE\nDriveLetter=C:\nDriveType=3\nFileSystem=NTFS\nFreeSpace=50000000000\nName=C:\\\n"
         "SystemVolume=TRUE\n"},
        {"Win32_NetworkAdapter.wmi",
         "AdapterType=Ethernet 802.3\nIndex=1\nMACAddress=52:54:00:51:00:01\nName=HP NC373i\nNetConnectionID=Local "
         "Area "
         "Connection\nNetConnectionStatus=2\nPNPDeviceID=PCI\\VEN_14E4&amp;DEV_164C\\1\nServiceName=l2nd\n"},
        {"Win32_Service.wmi",
         "Name=Dnscache\nPathName=C:\\WINDOWS\\system32\\svchost.exe\nStartMode=Auto\nState=Running\n"},
        {"Win32_SystemDriver.wmi", "Name=Disk\nStartMode=Boot\nState=Running\n"},
    };
}

WmiDumps server_2016_dumps() {
    auto dumps = server_2003_dumps();
    change(dumps, "Win32_ComputerSystem.wmi", "HERA", "ATLAS");
    change(dumps, "Win32_ComputerSystem.wmi", "X86-based", "x64-based");
    dumps["Win32_OperatingSystem.wmi"] =
        "BuildNumber=14393\nBuildType=Multiprocessor Free\nCSName=ATLAS\nCaption=Microsoft Windows Server 2016 "
        "Standard\nOSArchitecture=64-bit\nProductType=3\nTotalVisibleMemorySize=4193348\nVersion=10.0.14393\n"
        "WindowsDirectory=C:\\Windows\n";
    change(dumps, "Win32_DiskDrive.wmi", "Signature=1905377164\n", "");
    dumps["Win32_DiskPartition.wmi"] =
        "BootPartition=TRUE\nDeviceID=Disk #0, Partition #0\nDiskIndex=0\nIndex=0\nSize=104857600\n"
        "StartingOffset=1048576\nType=GPT: System\n\n"
        "BootPartition=FALSE\nDeviceID=Disk #0, Partition #1\nDiskIndex=0\nIndex=1\nSize=73200000000\n"
        "StartingOffset=122683392\nType=GPT: Basic Data\n";
    change(dumps, "Win32_LogicalDiskToPartition.wmi", "Partition #0", "Partition #1");
    change(dumps, "Win32_Volume.wmi", "SystemVolume=TRUE", "SystemVolume=FALSE");
    return dumps;
}

void change(WmiDumps& dumps, const std::string& file, const std::string& from, const std::string& to) {
    auto& text = dumps.at(file);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << file << " has no " << from;
    text.replace(at, from.size(), to);
}

std::string format_list(const std::string& wmic) {
    std::string out = "\r\n";
    std::vector<std::pair<std::string, std::string>> instance;
    auto put = [&] {
        std::size_t width = 0;
        for (const auto& [name, value] : instance) width = std::max(width, name.size());
        for (const auto& [name, value] : instance) out += fmt::format("{:<{}} : {}\r\n", name, width, value);
        out += "\r\n\r\n";
        instance.clear();
    };
    for (const auto& line : split(wmic, '\n')) {
        const auto equals = line.find('=');
        if (equals == std::string::npos) {
            if (!instance.empty()) put();
            continue;
        }
        auto value = line.substr(equals + 1);
        if (value == "TRUE" || value == "FALSE") value = value == "TRUE" ? "True" : "False";
        // '\\HERA\root\cimv2:Win32_LogicalDisk.DeviceID="C:"' is one of Get-WmiObject.
        if (const auto dot = value.find(".DeviceID="); dot != std::string::npos)
            value = fmt::format("{} (DeviceID = {})", value.substr(value.find(':') + 1, dot - value.find(':') - 1),
                                value.substr(dot + 10));
        instance.emplace_back(line.substr(0, equals), value);
    }
    if (!instance.empty()) put();
    return out;
}

CommandResult WmiMigration::run(const std::string& program, std::vector<std::string> arguments) const {
    const char* bin = std::getenv("SLIPWAY_BIN");
    arguments.insert(arguments.begin(), (fs::path(bin ? bin : "bin") / program).string());
    CommandOptions options;
    options.working_directory = dir_.path();
    return run_command(arguments, options).value();
}

std::string WmiMigration::import(const WmiDumps& dumps) const {
    std::vector<std::string> arguments{"wmi"};
    fs::create_directories(dir_ / "dumps");
    for (const auto& [name, bytes] : dumps) {
        EXPECT_TRUE(write_file_atomic(dir_ / "dumps" / name, as_bytes(bytes)).ok());
        arguments.push_back("dumps/" + name);
    }
    arguments.insert(arguments.end(), {"-o", "x.xml"});
    const auto ran = run("gatherhw-import", arguments);
    EXPECT_TRUE(ran.exit_code == kExitDone || ran.exit_code == kExitWarnings) << ran.error_text;
    return ran.error_text;
}

std::vector<Said> WmiMigration::said(const std::string& rule, std::vector<std::string> switches) const {
    switches.insert(switches.begin(), {"--hwvalidate", "--hwinfofile", "x.xml", "--json"});
    const auto ran = run("vmscript", switches);
    EXPECT_TRUE(ran.output.starts_with("{")) << "no report: " << ran.error_text;
    std::vector<Said> out;
    if (!ran.output.starts_with("{")) return out;
    bool errors = false;
    const auto report = json::parse(ran.output);
    for (const auto& check : report.at("checks").as_array()) {
        const auto text = [&](const char* name) { return std::string(check.at(name).as_string()); };
        errors = errors || text("verdict") == "error";
        if (rule.empty() || text("id") == rule)
            out.push_back({text("id"), text("verdict"), text("what"), text("found"), text("to_do")});
    }
    EXPECT_EQ(ran.exit_code == kExitFailed, errors);
    return out;
}

std::string WmiMigration::inventory() const { return read_text_file(dir_ / "x.xml").value_or(""); }

}  // namespace slipway::vmscript
