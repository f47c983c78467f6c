// SPDX-License-Identifier: GPL-3.0-or-later
// Dumps the tests made (the fuzzers' seeds), real ones where they are at hand, and the program.
#include <algorithm>
#include <chrono>
#include <filesystem>

#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_text.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/test/import_summary.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/xml.hpp"

using namespace slipway;
using namespace slipway::gatherhw;
namespace fs = std::filesystem;

namespace {

const fs::path kSeeds = SLIPWAY_SOURCE_DIR "/gatherhw/fuzz";
const fs::path kReal = SLIPWAY_SOURCE_DIR "/../shared/data";

Bytes seed(const char* path) { return read_file(kSeeds / path).value(); }

std::vector<Dump> wmi_seeds() {
    std::vector<Dump> out;
    for (const auto& entry : fs::directory_iterator(kSeeds / "seeds-import-wmi"))
        out.push_back({entry.path().filename().string(), read_file(entry.path()).value()});
    return out;
}

Inventory imported(DumpKind kind, const std::vector<Dump>& dumps) {
    auto out = import_dumps(kind, dumps);
    EXPECT_TRUE(out.ok()) << out.error().explain();
    return out ? std::move(*out) : Inventory{};
}

// What every importer promises.
void expect_sound(const Inventory& inventory) {
    auto xml = to_xml(inventory);
    auto valid = check_against_xsd(xml, read_text_file(SLIPWAY_SOURCE_DIR "/gatherhw/inventory.xsd").value());
    EXPECT_TRUE(valid.ok()) << valid.error().explain();
    auto read = read_inventory(xml);
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_TRUE(read->warnings.empty());
    EXPECT_EQ(to_xml(read->inventory), xml);
}

bool is_unread(const Inventory& inventory, std::string_view what) {
    return std::any_of(inventory.unread.begin(), inventory.unread.end(),
                       [&](const Unread& u) { return u.what == what; });
}

}  // namespace

TEST(ImportLshw, a_server_with_a_raid_card_a_bond_and_a_tape) {
    auto i = imported(DumpKind::Lshw, {{"x", seed("seeds-import-lshw/server.xml")}});
    expect_sound(i);
    EXPECT_EQ(i.system.host_name, "poseidon");
    EXPECT_EQ(i.system.model, "Server 9") << "the SKU is no part of it";
    EXPECT_EQ(i.system.uuid, "7b3ba6b6-3b1a-4d6f-9bd3-0123456789ab");
    EXPECT_EQ(i.system.memory_bytes, 4ull << 30);
    ASSERT_EQ(i.system.memory_modules.size(), 1u) << "an empty slot is none";
    EXPECT_EQ(i.system.memory_modules[0].mhz, 1333u);
    EXPECT_EQ(i.system.processors.sockets, 1u) << "the other is disabled";
    EXPECT_EQ(i.system.processors.threads, 12u);
    EXPECT_TRUE(i.system.processors.is_64bit);
    EXPECT_EQ(i.os.kernel, "5.10.0-8-amd64");
    EXPECT_EQ(i.os.architecture, "x86_64");
    ASSERT_EQ(i.disks.size(), 2u) << "a member behind the RAID card is no disk";
    const auto* sda = find_disk(i, "sda");
    ASSERT_NE(sda, nullptr);
    EXPECT_EQ(find_controller(i, sda->controller)->kind, ControllerKind::Raid);
    EXPECT_EQ(find_controller(i, sda->controller)->pci->device, 0x0060);
    EXPECT_EQ(sda->disk_id, "0x1a2b3c4d");
    EXPECT_EQ(sda->physical_sector, 4096u);
    EXPECT_TRUE(sda->rotational);
    ASSERT_EQ(sda->partitions.size(), 2u);
    EXPECT_TRUE(sda->partitions[0].active);
    EXPECT_EQ(sda->partitions[1].index, 5u);
    EXPECT_EQ(find_disk(i, "sdb")->bus, BusKind::Usb);
    ASSERT_EQ(volumes_named(i, "/srv/with blank").size(), 1u);
    EXPECT_EQ(volumes_named(i, "/")[0]->filesystem, "ext4");
    EXPECT_EQ(find_volume(i, "sda5")->filesystem, "swap");
    ASSERT_EQ(i.network.size(), 2u);
    EXPECT_EQ(i.network[0].master, "bond0");
    EXPECT_EQ(i.network[0].permanent_mac, "") << "a member's own address is not said";
    EXPECT_EQ(i.network[1].kind, AdapterKind::Bond);
    EXPECT_EQ(i.network[1].members, std::vector<std::string>{"eth0"});
    ASSERT_EQ(i.tapes.size(), 1u);
    EXPECT_EQ(i.tapes[0].name, "st0");
    ASSERT_EQ(i.usb.size(), 1u);
    EXPECT_EQ(i.usb[0].address, "2-3.1");
    EXPECT_TRUE(is_unread(i, "partitions") && is_unread(i, "firmware"));
    EXPECT_TRUE(i.program.ends_with("--import lshw"));
}

TEST(ImportUdev, a_server_on_a_fibre_channel_san) {
    auto i = imported(DumpKind::Udev, {{"x", seed("seeds-import-udev/server.txt")}});
    expect_sound(i);
    EXPECT_EQ(i.system.manufacturer, "Acme");
    EXPECT_EQ(i.system.processors.threads, 1u);
    EXPECT_EQ(i.system.processors.vendor, "GenuineIntel");
    EXPECT_TRUE(i.system.processors.is_64bit);
    ASSERT_EQ(i.disks.size(), 1u);
    const auto& d = i.disks[0];
    EXPECT_EQ(d.bus, BusKind::FibreChannel);
    EXPECT_EQ(d.san, true);
    EXPECT_EQ(d.member_of, (std::vector<std::string>{"lvm", "multipath"}));
    EXPECT_EQ(d.address, "0:0:0:1");
    ASSERT_EQ(d.partitions.size(), 1u);
    EXPECT_EQ(d.partitions[0].offset, 1u << 20);
    EXPECT_TRUE(d.partitions[0].active);
    const auto* root = find_volume(i, "vg-root");
    ASSERT_NE(root, nullptr);
    EXPECT_EQ(root->encryption, "luks");
    EXPECT_EQ(root->label, "root fs");
    ASSERT_EQ(i.network.size(), 1u);
    EXPECT_EQ(i.network[0].mac, "52:54:00:51:00:01");
    EXPECT_EQ(i.network[0].driver, "e1000");
    EXPECT_EQ(i.tapes.size(), 1u);
    ASSERT_EQ(i.usb.size(), 1u);
    EXPECT_EQ(i.usb[0].vendor, 0x0529);
    EXPECT_EQ(i.usb[0].classes, (std::vector<std::string>{"00", "ff"}));
    EXPECT_EQ(i.pci.size(), 2u);
    EXPECT_TRUE(is_unread(i, "size of disk sda") && is_unread(i, "memory"));
}

TEST(ImportSmbios, the_table_alone_and_behind_an_entry_point_are_the_same) {
    auto bare = imported(DumpKind::Smbios, {{"x", seed("seeds-import-smbios/table.bin")}});
    auto dumped = imported(DumpKind::Smbios, {{"x", seed("seeds-import-smbios/dumped.bin")}});
    EXPECT_TRUE(bare == dumped);
    expect_sound(bare);
    const auto& s = bare.system;
    EXPECT_EQ(s.chassis, "rack-mount");
    EXPECT_EQ(s.board, "Acme X1");
    EXPECT_EQ(s.processors.sockets, 1u) << "the other is empty";
    EXPECT_EQ(s.processors.cores, 6u);
    EXPECT_EQ(s.processors.threads, 12u);
    EXPECT_TRUE(s.processors.is_64bit);
    EXPECT_EQ(s.memory_bytes, 4ull << 30);
    EXPECT_EQ(s.memory_limit_bytes, 32ull << 30);
    ASSERT_EQ(s.memory_modules.size(), 1u);
    EXPECT_EQ(s.memory_modules[0], (MemoryModule{"DIMM_A1", 4ull << 30, "DDR3", 1333, "Acme", "M1"}));
    EXPECT_TRUE(is_unread(bare, "disks"));
}

TEST(ImportWmi, a_windows_2003_domain_controller_with_a_team) {
    auto i = imported(DumpKind::Wmi, wmi_seeds());
    expect_sound(i);
    EXPECT_EQ(i.system.host_name, "HERA");
    EXPECT_EQ(i.os.version, "5.2");
    EXPECT_EQ(i.os.service_level, "SP2");
    EXPECT_EQ(i.os.role, "domain-controller");
    EXPECT_EQ(i.os.licence, LicenceChannel::Oem);
    EXPECT_EQ(i.os.architecture, "i386");
    EXPECT_EQ(i.os.language, "0409");
    EXPECT_EQ(i.os.multiprocessor, true);
    EXPECT_EQ(i.boot.loader, "ntldr");
    EXPECT_EQ(i.os.hal, "acpiapic_mp");
    EXPECT_EQ(i.system.time_zone, "-300");
    EXPECT_EQ(i.system.firmware, Firmware::Bios) << "there is no other for Windows 2003 on a PC";
    EXPECT_EQ(i.system.processors.sockets, 2u);
    EXPECT_EQ(i.system.processors.threads, 4u);
    EXPECT_TRUE(i.system.processors.is_64bit) << "though the system has 32 bits";
    ASSERT_EQ(i.disks.size(), 2u);
    const auto& system = i.disks[0];
    EXPECT_EQ(system.health, Health::Failing);
    EXPECT_EQ(system.disk_id, "0x8e6e4074") << "a signed number";
    EXPECT_EQ(system.geometry->heads, 255u);
    EXPECT_EQ(system.controller, "controller0");
    EXPECT_EQ(find_controller(i, "controller0")->pci->subsystem_device, 0x3234);
    ASSERT_EQ(system.partitions.size(), 1u);
    EXPECT_TRUE(system.partitions[0].active);
    EXPECT_EQ(i.disks[1].member_of, (std::vector<std::string>{"ldm", "multipath"}));
    EXPECT_EQ(i.disks[1].san, true);
    auto c = volumes_named(i, "C:");
    ASSERT_EQ(c.size(), 1u);
    EXPECT_EQ(c[0]->state, VolumeState::Clean);
    EXPECT_EQ(c[0]->free, 1'000'000'000u);
    EXPECT_EQ(c[0]->quotas, false);
    EXPECT_EQ(disks_of(i, *c[0]), std::vector<std::string>{"disk0"});
    ASSERT_EQ(i.network.size(), 2u);
    EXPECT_EQ(i.network[0].kind, AdapterKind::Physical);
    EXPECT_EQ(i.network[0].pci->vendor, 0x14e4);
    EXPECT_EQ(i.network[1].kind, AdapterKind::Team);
    EXPECT_EQ(i.network[1].configuration, AddressOrigin::Static);
    EXPECT_EQ(i.network[1].addresses, (std::vector<IpAddress>{{"10.0.0.5", 24, AddressOrigin::Static}}));
    EXPECT_EQ(i.network[1].dns, (std::vector<std::string>{"10.0.0.2", "10.0.0.3"}));
    EXPECT_TRUE(shared_macs(i).empty()) << "a team has the address of a card";
    ASSERT_EQ(i.services.size(), 1u);
    EXPECT_EQ(i.services[0].start, "auto");
    ASSERT_EQ(i.drivers.size(), 1u);
    EXPECT_EQ(i.drivers[0].start, "system");
    EXPECT_EQ(i.os.hotfixes, (std::vector<Hotfix>{{"KB958644", "Security Update"}}));
    ASSERT_EQ(i.os.system_files.size(), 1u);
    EXPECT_EQ(i.os.system_files[0].version, "5.2.3790.3959");
    ASSERT_EQ(i.log.size(), 1u);
    EXPECT_EQ(i.log[0].topic, LogTopic::DiskError);
    EXPECT_EQ(i.log[0].count, 2u);
    ASSERT_EQ(i.usb.size(), 1u);
    EXPECT_EQ(i.usb[0].vendor, 0x0529);
}

TEST(ImportWmi, copies_of_system_files_and_of_boot_ini_tell_what_wmi_does_not) {
    auto dumps = wmi_seeds();
    dumps.push_back({"/srv/hera/HAL.DLL", seed("seeds-import-copies/hal.dll")});
    dumps.push_back({"/srv/hera/boot.ini", seed("seeds-import-copies/boot.ini")});
    auto i = imported(DumpKind::Wmi, dumps);
    expect_sound(i);
    ASSERT_EQ(i.os.system_files.size(), 1u) << "it takes the place of what WMI says of the file";
    EXPECT_EQ(i.os.system_files[0],
              (SystemFile{"C:\\WINDOWS\\system32\\hal.dll", "5.2.3790.3959", "halacpi.dll", "0409", 888}));
    EXPECT_EQ(i.os.hal, "acpiapic_mp") << "as WMI has it";
    ASSERT_EQ(i.boot.files.size(), 1u);
    EXPECT_EQ(i.boot.files[0].path, "C:\\boot.ini");
    EXPECT_EQ(i.boot.files[0].text, std::string(as_text(seed("seeds-import-copies/boot.ini"))));
    auto alone = imported(DumpKind::Wmi, {{"hal.dll", seed("seeds-import-copies/hal.dll")}});
    expect_sound(alone);
    EXPECT_EQ(alone.os.hal, "acpipic_up");
    EXPECT_EQ(alone.os.system_files[0].path, "%SystemRoot%\\system32\\hal.dll");
}

TEST(ImportWmi, what_reg_query_wrote_tells_the_hal_secure_boot_and_fast_startup) {
    auto dump = seed("seeds-import-copies/registry.txt");
    auto i = imported(DumpKind::Wmi, {{"registry.txt", dump}});
    expect_sound(i);
    EXPECT_EQ(i.os.hal, "acpiapic_mp");
    EXPECT_EQ(i.system.secure_boot, true);
    EXPECT_EQ(i.os.fast_startup, true);
    auto power = [](const char* hiberboot, const char* hibernate) {
        const std::string key = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\";
        auto first = key + "Session Manager\\Power\n    HiberbootEnabled    REG_DWORD    " + hiberboot + "\n";
        auto second = key + "Power\n    HibernateEnabled    REG_DWORD    " + hibernate + "\n";
        return imported(DumpKind::Wmi, {{"a", to_bytes(first)}, {"b", to_bytes(second)}}).os.fast_startup;
    };
    EXPECT_EQ(power("0x1", "0x1"), true) << "of two files";
    EXPECT_EQ(power("0x1", "0x0"), false) << "as powercfg /h off leaves it";
    EXPECT_EQ(power("0x0", "0x1"), false);
    EXPECT_EQ(power("0x1", "?"), std::nullopt);
}

TEST(ImportWmi, a_key_in_the_firmware_is_a_licence_table_and_is_not_kept) {
    auto with = [](const char* text) {
        return imported(DumpKind::Wmi, {{"SoftwareLicensingService.wmi", to_bytes(text)}}).system.acpi_tables;
    };
    EXPECT_EQ(with("OA3xOriginalProductKey=AAAAA-BBBBB\nOA3xOriginalProductKeyDescription=[4.0] Professional OEM:DM\n"),
              std::vector<std::string>{"MSDM"});
    EXPECT_TRUE(with("OA3xOriginalProductKeyDescription=\nVersion=10.0\n").empty());
    auto xml = to_xml(imported(DumpKind::Wmi, {{"x", to_bytes("OA3xOriginalProductKey=AAAAA-BBBBB\n"
                                                              "OA3xOriginalProductKeyDescription=OEM:DM\n")}}));
    EXPECT_EQ(xml.find("AAAAA"), std::string::npos);
}

TEST(ImportWmi, a_class_without_instances_is_an_empty_file_and_no_error) {
    auto dumps = wmi_seeds();
    auto whole = imported(DumpKind::Wmi, dumps);
    dumps.push_back({"Win32_TapeDrive.wmi", {}});
    dumps.push_back({"Win32_SerialPort.wmi", to_bytes(std::string("\xff\xfe\r\0\n\0", 6))});
    EXPECT_TRUE(imported(DumpKind::Wmi, dumps) == whole);
    auto none = import_dumps(DumpKind::Wmi, {{"Win32_TapeDrive.wmi", {}}});
    ASSERT_FALSE(none.ok());
    EXPECT_TRUE(none.error().is(errors::kBadDump));
}

TEST(ImportWmi, a_class_is_known_by_its_instances_its_file_or_its_properties) {
    EXPECT_EQ(read_wmi("CreationClassName=Win32_Service\nName=x\n", "x").at(0).kind, "win32_service");
    EXPECT_EQ(read_wmi("Name=x\n", "2003-Win32_Volume.wmi").at(0).kind, "win32_volume");
    EXPECT_EQ(read_wmi("CreationClassName=CIM_LogicalFile\nVersion=1\n", "x").at(0).kind, "cim_datafile");
    EXPECT_EQ(read_wmi("HotFixID=KB1\n", "x").at(0).kind, "win32_quickfixengineering");
    EXPECT_EQ(read_wmi("Name=x\n", "x").at(0).kind, "");
}

TEST(ImportWmi, instances_end_at_a_blank_line_or_where_a_property_comes_again) {
    auto found = read_wmi("A=1\r\r\nB=x &amp; y\r\n  more\r\n\r\n\r\nA=2\nA=3\n", "");
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0].get("b"), "x & y\nmore");
    EXPECT_EQ(found[2].get("a"), "3");
    EXPECT_EQ(read_wmi("A={\"x\",\"y\"}\n", "").at(0).items("a"), (std::vector<std::string>{"x", "y"}));
    EXPECT_TRUE(read_wmi("no property\n=\n", "").empty());
}

TEST(ImportWmi, what_powershell_lists_is_read_by_its_column) {
    // As Windows PowerShell 5.1 writes it: what goes on is indented, also when it is empty or looks like a property.
    auto found = read_wmi(
        "\r\n\r\nName        : a = b : c\r\nDescription : first\r\n              \r\n              Note : x=y\r\n"
        "Empty       : \r\nNone        :\r\nItems       : {acpiapic_mp, *PNP0C08...}\r\n"
        "Dependent   : Win32_LogicalDisk (DeviceID = \"C:\")\r\n"
        "CimClass    : root/cimv2:Win32_LogicalDiskToPartition\r\n\r\nName  : second\r\nOther : TRUE\r\n\r\n",
        "x");
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].kind, "win32_logicaldisktopartition");
    EXPECT_EQ(found[0].get("name"), "a = b : c");
    EXPECT_EQ(found[0].get("description"), "first\nNote : x=y");
    EXPECT_EQ(found[0].get("empty") + found[0].get("none"), "");
    EXPECT_EQ(found[0].items("items"), (std::vector<std::string>{"acpiapic_mp", "*PNP0C08"}));
    EXPECT_EQ(found[0].properties.size(), 7u);
    EXPECT_TRUE(found[1].is_true("other")) << "each instance has a column of its own";
    EXPECT_EQ(read_wmi("__CLASS : Win32_Volume\nName    : C:\\\n", "x").at(0).kind, "win32_volume");
    // In wmic's form a value of several lines may look like the other one, and the other way round.
    EXPECT_EQ(read_wmi("A=1\nNote : x\n", "").at(0).get("a"), "1\nNote : x");
    EXPECT_EQ(read_wmi("A : 1\nB=2\n", "").at(0).get("a"), "1\nB=2");
}

TEST(ImportText, every_encoding_of_windows_is_understood) {
    const std::string utf16(
        "\xff\xfe"
        "A\0\xe9\0\x3d\xd8\x00\xde\x00\xd8",
        12);
    EXPECT_EQ(decode_text(as_bytes(utf16)), "A\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd");
    EXPECT_EQ(decode_text(as_bytes(std::string("\xff\xfe\xff\xfe"
                                               "A\0",
                                               6))),
              "A");
    EXPECT_EQ(decode_text(as_bytes(std::string("\xfe\xff\0A", 4))), "A");
    EXPECT_EQ(decode_text(as_bytes(std::string("A\0B\0", 4))), "AB");
    EXPECT_EQ(decode_text(as_bytes("\xef\xbb\xbf"
                                   "A=1")),
              "A=1");
    EXPECT_EQ(decode_text(as_bytes(std::string("\xff\xfe"
                                               "A\0B",
                                               5))),
              "A");
}

TEST(Import, a_file_of_another_kind_is_a_named_error) {
    const std::pair<DumpKind, const char*> rows[] = {
        {DumpKind::Lshw, "H/W path   Device\n"}, {DumpKind::Lshw, "<inventory/>"},
        {DumpKind::Lshw, "<list></list>"},       {DumpKind::Udev, "<list/>"},
        {DumpKind::Smbios, "# dmidecode 3.4\n"}, {DumpKind::Smbios, ""},
        {DumpKind::Wmi, "Caption  DeviceID\n"}};
    for (const auto& [kind, text] : rows) {
        auto out = import_dumps(kind, {{"x", to_bytes(text)}});
        ASSERT_FALSE(out.ok()) << text;
        EXPECT_TRUE(out.error().is(errors::kBadDump)) << out.error().describe();
    }
    auto two = import_dumps(DumpKind::Lshw, {{"a", {}}, {"b", {}}});
    ASSERT_FALSE(two.ok());
    EXPECT_TRUE(two.error().is(errors::kTooManyDumps));
}

TEST(Import, every_truncation_of_every_dump_ends_well) {
    const std::pair<DumpKind, const char*> rows[] = {{DumpKind::Lshw, "seeds-import-lshw/server.xml"},
                                                     {DumpKind::Udev, "seeds-import-udev/server.txt"},
                                                     {DumpKind::Smbios, "seeds-import-smbios/dumped.bin"},
                                                     {DumpKind::Wmi, "seeds-import-wmi/Win32_DiskDrive.wmi"}};
    for (const auto& [kind, path] : rows) {
        auto whole = seed(path);
        for (std::size_t cut = 0; cut < whole.size(); cut += 7) {
            auto out = import_dumps(kind, {{path, Bytes(whole.begin(), whole.begin() + static_cast<long>(cut))}});
            if (out) {
                EXPECT_TRUE(read_inventory(to_xml(*out)).ok()) << path << " " << cut;
            }
        }
    }
}

TEST(Import, what_a_hostile_dump_says_twice_or_wrongly_is_left_out) {
    auto i = imported(DumpKind::Udev,
                      {{"x", to_bytes("P: /devices/a/host0/block/sda\nE: SUBSYSTEM=block\nE: DEVTYPE=disk\n\n"
                                      "P: /devices/b/host1/block/sda\nE: SUBSYSTEM=block\nE: DEVTYPE=disk\n\n"
                                      "P: /devices/a/host0/block/sda/sda1\nE: SUBSYSTEM=block\nE: DEVTYPE=partition\n"
                                      "E: ID_PART_ENTRY_OFFSET=18446744073709551615\nE: ID_PART_ENTRY_SIZE=99\n")}});
    EXPECT_EQ(i.disks.size(), 1u);
    expect_sound(i);
    auto wmi =
        imported(DumpKind::Wmi,
                 {{"Win32_DiskDrive", to_bytes("Index=0\nSize=1000000\n\nIndex=0\nSize=5\n")},
                  {"Win32_DiskPartition", to_bytes("DiskIndex=0\nIndex=0\nStartingOffset=90000000000\nSize=5\n")}});
    ASSERT_EQ(wmi.disks.size(), 1u);
    EXPECT_TRUE(wmi.disks[0].partitions.empty());
    EXPECT_TRUE(is_unread(wmi, "partition disk0p1"));
    expect_sound(wmi);
}

TEST(Import, fifty_thousand_disks_with_a_partition_and_a_letter_each_take_seconds) {
    // Each partition was looked for among all disks, each letter among all volumes: minutes.
    constexpr int kCount = 50'000;
    std::string disks, partitions, letters, logical, volumes, locked, page_files;
    for (int i = 0; i < kCount; ++i) {
        disks += fmt::format("Index={}\nSize=1000000\n\n", i);
        partitions += fmt::format("DiskIndex={}\nIndex=0\nStartingOffset=512\nSize=512\n\n", i);
        letters += fmt::format("Antecedent=\"Disk #{}, Partition #0\"\nDependent=\"X{}:\"\n\n", i % 1000, i);
        logical += fmt::format("DeviceID=X{}:\nDriveType=3\nFileSystem=NTFS\n\n", i);
        volumes +=
            fmt::format("DriveLetter=X{0}:\nDeviceID=\\\\?\\Volume{{{0}}}\\\nDriveType=3\nBootVolume=TRUE\n\n", i);
        locked += fmt::format("DeviceID=\\\\?\\Volume{{{}}}\\\nProtectionStatus=1\n\n", i);
        page_files += fmt::format("Name=X{}:\\pagefile.sys\n\n", i);
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto out = imported(DumpKind::Wmi, {{"Win32_DiskDrive", to_bytes(disks)},
                                              {"Win32_DiskPartition", to_bytes(partitions)},
                                              {"Win32_LogicalDiskToPartition", to_bytes(letters)},
                                              {"Win32_LogicalDisk", to_bytes(logical)},
                                              {"Win32_Volume", to_bytes(volumes)},
                                              {"Win32_EncryptableVolume", to_bytes(locked)},
                                              {"Win32_PageFileUsage", to_bytes(page_files)}});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
    ASSERT_EQ(out.disks.size(), 10'000u);
    ASSERT_EQ(out.volumes.size(), 10'000u);
    EXPECT_TRUE(is_unread(out, "disks"));
    for (const auto& disk : out.disks) ASSERT_EQ(disk.partitions.size(), 1u) << disk.name;
    EXPECT_EQ(out.disks[4321].partitions[0].name, "disk4321p1");
    EXPECT_EQ(out.volumes[999].backing, std::vector<std::string>{"disk999p1"});
    for (const auto& volume : out.volumes) {
        ASSERT_EQ(volume.encryption, "bitlocker") << volume.name;
        ASSERT_EQ(volume.page_file, true) << volume.name;
    }
}

TEST(Import, of_several_volumes_the_locked_one_and_the_one_with_the_page_file_alone_are_marked) {
    const auto out = imported(
        DumpKind::Wmi,
        {{"Win32_Volume", to_bytes("DriveLetter=C:\nDeviceID=\\\\?\\Volume{1}\\\nDriveType=3\n\n"
                                   "Name=C:\\mnt\\\nDeviceID=\\\\?\\Volume{2}\\\nDriveType=3\n\n"
                                   "DriveLetter=D:\nDeviceID=\\\\?\\Volume{3}\\\nDriveType=3\n")},
         {"Win32_EncryptableVolume", to_bytes("DeviceID=\\\\?\\Volume{2}\\\nConversionStatus=1\n\n"
                                              "DriveLetter=C:\nDeviceID=\\\\?\\Volume{1}\\\nProtectionStatus=0\n"
                                              "ConversionStatus=0\n\nDriveLetter=D:\nProtectionStatus=1\n")},
         {"Win32_PageFileUsage", to_bytes("Name=D:\\pagefile.sys\n")}});
    ASSERT_EQ(out.volumes.size(), 3u);
    EXPECT_EQ(out.volumes[0].encryption, "");
    EXPECT_EQ(out.volumes[1].encryption, "bitlocker");
    EXPECT_EQ(out.volumes[2].encryption, "bitlocker");
    EXPECT_NE(out.volumes[0].page_file, true);
    EXPECT_EQ(out.volumes[2].page_file, true);
}

// Files of real machines; what is committed of them is a summary without anything that names machine or owner.
// SLIPWAY_REGENERATE=1 writes the goldens anew.
TEST(ImportReal, dumps_of_real_machines_give_their_golden_summaries) {
    if (!fs::exists(kReal / "hw")) GTEST_SKIP() << (kReal / "hw") << " is absent";
    if (!run_command({"xz", "--version"}).ok()) GTEST_SKIP() << "xz is not installed";
    const std::pair<DumpKind, const char*> folders[] = {{DumpKind::Lshw, "hw/lshw"},
                                                        {DumpKind::Udev, "hw/udevadm"},
                                                        {DumpKind::Smbios, "hw/dmidump"},
                                                        {DumpKind::Wmi, "wmi"}};
    int seen = 0;
    for (const auto& [kind, folder] : folders)
        for (const auto& entry : fs::directory_iterator(kReal / folder)) {
            auto name = entry.path().filename().string();
            auto packed = name.ends_with(".xz");
            if (packed) name.resize(name.size() - 3);
            auto bytes = packed ? to_bytes(run_checked({"xz", "-dc", entry.path().string()}).value())
                                : read_file(entry.path()).value();
            auto inventory = imported(kind, {{name, bytes}});
            expect_sound(inventory);
            auto golden = fs::path(SLIPWAY_SOURCE_DIR "/gatherhw/test/golden/imports") / (name + ".txt");
            auto summary = summary_of(inventory);
            if (std::getenv("SLIPWAY_REGENERATE")) {
                fs::create_directories(golden.parent_path());
                ASSERT_TRUE(write_file_atomic(golden, as_bytes(summary)).ok());
            }
            EXPECT_EQ(read_text_file(golden).value_or(""), summary) << name;
            ++seen;
        }
    EXPECT_GE(seen, 20);
}

namespace {

fs::path program(const char* name) {
    return fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / name;
}
std::string seed_path(const char* path) { return (kSeeds / path).string(); }

}  // namespace

TEST(ImportProgram, writes_the_inventory_and_warns_of_what_the_dump_does_not_tell) {
    auto temp = TempDir::create("import").value();
    auto out = (temp / "x.xml").string();
    auto run = run_command(
        {program("gatherhw-import").string(), "lshw", seed_path("seeds-import-lshw/server.xml"), "-o", out});
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitWarnings) << run->error_text;
    EXPECT_NE(run->error_text.find("warning: not known: firmware"), std::string::npos) << run->error_text;
    auto read = read_inventory(read_text_file(out).value_or(""));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_EQ(read->inventory.system.host_name, "poseidon");
    // Once more: the same file.
    auto before = read_text_file(out).value();
    EXPECT_EQ(
        run_command({program("gatherhw-import").string(), "lshw", seed_path("seeds-import-lshw/server.xml"), "-o", out})
            ->exit_code,
        kExitWarnings);
    EXPECT_EQ(read_text_file(out).value(), before);
}

TEST(ImportProgram, gatherhw_hands_over_and_json_and_a_name_are_taken) {
    auto run = run_command(
        {program("gatherhw").string(), "--import", "smbios", seed_path("seeds-import-smbios/table.bin"), "--json"});
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitWarnings) << run->error_text;
    EXPECT_TRUE(run->output.starts_with("{\"program\":\"gatherhw ")) << run->output.substr(0, 100);
    EXPECT_NE(run->output.find("\"chassis\":\"rack-mount\""), std::string::npos);
    auto named = run_command({program("gatherhw-import").string(), "udev", seed_path("seeds-import-udev/server.txt"),
                              "--host-name", "hera"});
    EXPECT_NE(named->output.find("host-name=\"hera\""), std::string::npos) << named->output.substr(0, 500);
}

TEST(ImportProgram, a_bad_dump_fails_with_a_next_step_and_writes_nothing) {
    auto temp = TempDir::create("import").value();
    auto out = (temp / "x.xml").string();
    auto run = run_command(
        {program("gatherhw-import").string(), "wmi", seed_path("seeds-import-smbios/table.bin"), "-o", out});
    EXPECT_EQ(run->exit_code, kExitFailed);
    EXPECT_NE(run->error_text.find("gatherhw.bad-dump"), std::string::npos) << run->error_text;
    EXPECT_FALSE(fs::exists(out));
    EXPECT_EQ(run_command({program("gatherhw-import").string(), "dmi", "/dev/null"})->exit_code, kExitUsage);
    EXPECT_EQ(run_command({program("gatherhw-import").string(), "lshw", "/nonexistent"})->exit_code, kExitUsage);
    EXPECT_EQ(run_command({program("gatherhw").string(), "--import", "lshw"})->exit_code, kExitUsage);
}

TEST(ImportProgram, adds_what_an_operator_knows_names_each_addition_and_refuses_a_slip) {
    auto temp = TempDir::create("import").value();
    auto facts = (temp / "facts.xml").string(), out = (temp / "x.xml").string();
    auto say = [&](std::string_view text) { ASSERT_TRUE(write_file_atomic(facts, as_bytes(text)).ok()); };
    std::vector<std::string> words{program("gatherhw").string(),
                                   "--add",
                                   facts,
                                   "--import",
                                   "lshw",
                                   seed_path("seeds-import-lshw/server.xml"),
                                   "-o",
                                   out};
    say("<inventory xmlns='urn:slipway:inventory:1'><system firmware='bios'/>"
        "<unread><item what='firmware' why=''/></unread></inventory>");
    auto run = run_command(words);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitWarnings) << "other things are still not known: " << run->error_text;
    EXPECT_NE(run->error_text.find("added: facts.xml: system\n"), std::string::npos) << run->error_text;
    EXPECT_EQ(run->error_text.find("not known: firmware"), std::string::npos) << run->error_text;
    auto read = read_inventory(read_text_file(out).value_or(""));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_EQ(read->inventory.system.firmware, Firmware::Bios);
    EXPECT_EQ(read->inventory.system.host_name, "poseidon") << "the rest is the dump's";

    fs::remove(out);
    say("<inventory xmlns='urn:slipway:inventory:1'><system firmwear='bios'/></inventory>");
    run = run_command(words);
    EXPECT_EQ(run->exit_code, kExitFailed);
    EXPECT_NE(run->error_text.find("firmwear"), std::string::npos) << run->error_text;
    EXPECT_FALSE(fs::exists(out));
    EXPECT_EQ(run_command({program("gatherhw").string(), "--add", facts})->exit_code, kExitUsage);
}

TEST(ImportProgram, takes_files_of_the_machine_itself) {
    auto run =
        run_command({program("gatherhw").string(), "--import", "lshw", seed_path("seeds-import-lshw/server.xml"),
                     "--mdstat", seed_path("seeds-import-stacks/mdstat"), "--lvm",
                     seed_path("seeds-import-stacks/backup"), "--fstab", seed_path("seeds-import-stacks/fstab")});
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitWarnings) << run->error_text;
    auto read = read_inventory(run->output);
    ASSERT_TRUE(read.ok()) << read.error().explain();
    const auto* root = find_volume(read->inventory, "vg--0-root");
    ASSERT_NE(root, nullptr);
    EXPECT_EQ(root->mount_points, std::vector<std::string>{"/"}) << "fstab comes after LVM, wherever it is given";
    EXPECT_NE(find_volume(read->inventory, "md0"), nullptr);
    EXPECT_NE(run->error_text.find("not known: array md9"), std::string::npos) << run->error_text;
    auto bad = run_command({program("gatherhw-import").string(), "lshw", seed_path("seeds-import-lshw/server.xml"),
                            "--lvm", seed_path("seeds-import-stacks/fstab")});
    EXPECT_EQ(bad->exit_code, kExitFailed);
    EXPECT_NE(bad->error_text.find("gatherhw.bad-dump"), std::string::npos) << bad->error_text;
}

TEST(ImportProgram, the_sticks_copy_alone_says_where_to_import) {
    auto temp = TempDir::create("alone").value();
    fs::copy_file(program("gatherhw"), temp / "gatherhw");
    CommandOptions options;
    options.environment = {"PATH=" + temp.path().string()};
    auto run = run_command({(temp / "gatherhw").string(), "--import", "lshw", "/dev/null"}, options);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->exit_code, kExitFailed);
    EXPECT_NE(run->error_text.find("gatherhw.no-importer"), std::string::npos) << run->error_text;
}
