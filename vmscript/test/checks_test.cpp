// SPDX-License-Identifier: GPL-3.0-or-later
#include <functional>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "vmscript/checks.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/test/phony_source.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using namespace slipway::gatherhw;

namespace {

struct Row {
    const char* id;
    Verdict verdict;
    const char* says;
    std::function<void(Inventory&, Switches&)> spoil;
};

Volume& root(Inventory& i) { return i.volumes[0]; }

const Row kRows[] = {
    {"inventory", Verdict::Warning, "run as root",
     [](auto& i, auto&) {
         i.unread = {{"/dev/sda", "run as root"}};
     }},
    {"os", Verdict::Error, "Only Linux", [](auto& i, auto&) { i.os.family = "windows"; }},
    {"os", Verdict::Warning, "dracut", [](auto& i, auto&) { i.os.id = "rocky"; }},
    {"os", Verdict::Warning, "not among", [](auto& i, auto&) { i.os.id = "slackware"; }},
    {"architecture", Verdict::Error, "x86", [](auto& i, auto&) { i.os.architecture = "aarch64"; }},
    {"architecture", Verdict::Warning, "x86", [](auto& i, auto&) { i.os.architecture = ""; }},
    {"firmware", Verdict::Error, "BIOS", [](auto& i, auto&) { i.system.firmware = Firmware::Uefi; }},
    {"firmware", Verdict::Warning, "BIOS", [](auto& i, auto&) { i.system.firmware = Firmware::Unknown; }},
    {"secure-boot", Verdict::Warning, "signatures", [](auto& i, auto&) { i.system.secure_boot = true; }},
    {"boot-loader", Verdict::Warning, "GRUB 2", [](auto& i, auto&) { i.boot.loader = "lilo"; }},
    {"initramfs", Verdict::Warning, "storage driver", [](auto& i, auto&) { i.boot.files.clear(); }},
    {"memory", Verdict::Error, "192 MiB", [](auto& i, auto&) { i.system.memory_bytes = 96ull << 20; }},
    {"memory", Verdict::Error, "not known", [](auto& i, auto&) { i.system.memory_bytes = 0; }},
    {"excluded-drives", Verdict::Error, "names no volume", [](auto&, auto& s) { s.excluded_drives = {"G:"}; }},
    {"excluded-drives", Verdict::Error, "holds the system", [](auto&, auto& s) { s.excluded_drives = {"/"}; }},
    {"excluded-drives", Verdict::Error, "only whole partitions",
     [](auto& i, auto& s) {
         i.volumes.push_back({.name = "vg-data", .kind = VolumeKind::Lvm, .backing = {"sdb1"}});
         s.excluded_drives = {"vg-data"};
     }},
    {"usb-disk", Verdict::Warning, "/etc/fstab",
     [](auto& i, auto&) {
         i.disks[1].controller = "controller1";
         i.volumes[2].fstab_spec = "/dev/sdb1";
     }},
    {"disk-size", Verdict::Error, "2040 GB", [](auto& i, auto&) { i.disks[1].size = 2041 * kGb; }},
    {"disk-size", Verdict::Error, "127 GB",
     [](auto& i, auto& s) {
         i.disks[1].size = 128 * kGb;
         s.controller = ControllerChoice::Ide;
     }},
    {"disk-size", Verdict::Error, "not known", [](auto& i, auto&) { i.disks[1].size = 0; }},
    {"sector-size", Verdict::Error, "512", [](auto& i, auto&) { i.disks[1].logical_sector = 4096; }},
    {"partition-table", Verdict::Warning, "could not be read",
     [](auto& i, auto&) { i.disks[1].table = TableKind::Unknown; }},
    {"dynamic-disk", Verdict::Warning, "dynamic disk", [](auto& i, auto&) { i.disks[1].partitions[0].type = "0x42"; }},
    {"disk-count", Verdict::Error, "nothing to migrate",
     [](auto& i, auto&) {
         i.disks.clear();
         i.volumes.clear();
     }},
    {"disk-count", Verdict::Error, "takes 7",
     [](auto& i, auto&) {
         while (i.disks.size() < 8) i.disks.push_back(i.disks[1]);
     }},
    {"root", Verdict::Error, "not known", [](auto& i, auto&) { root(i).mount_points = {"/mnt"}; }},
    {"root", Verdict::Error, "not among",
     [](auto& i, auto&) { root(i).name = "dm-7", root(i).backing = {"network-disk"}; }},
    {"root", Verdict::Warning, "encrypted", [](auto& i, auto&) { root(i).kind = VolumeKind::Crypt; }},
    {"root", Verdict::Warning, "RAID or LVM", [](auto& i, auto&) { root(i).kind = VolumeKind::Md; }},
    {"root", Verdict::Warning, "RAID or LVM", [](auto& i, auto&) { root(i).kind = VolumeKind::Lvm; }},
    {"root", Verdict::Warning, "not tried", [](auto& i, auto&) { root(i).filesystem = "btrfs"; }},
    {"volume-state", Verdict::Warning, "hibernated",
     [](auto& i, auto&) { i.volumes[1].state = VolumeState::Hibernated; }},
    {"volume-state", Verdict::Warning, "sector by sector",
     [](auto& i, auto&) { i.volumes[2].state = VolumeState::NeedsRecovery; }},
    {"encryption", Verdict::Warning, "Encrypted", [](auto& i, auto&) { i.volumes[2].filesystem = "luks"; }},
    {"raid", Verdict::Warning, "Software RAID", [](auto& i, auto&) { i.volumes[2].filesystem = "linux-raid-member"; }},
    {"lvm", Verdict::Warning, "LVM", [](auto& i, auto&) { i.volumes[2].filesystem = "lvm2-member"; }},
    {"multipath", Verdict::Warning, "one path", [](auto& i, auto&) { i.volumes[2].kind = VolumeKind::Multipath; }},
    {"network", Verdict::Error, "cannot boot from the network", [](auto& i, auto&) { i.network.clear(); }},
    {"network", Verdict::Warning, "at most 4",
     [](auto& i, auto&) {
         while (i.network.size() < 5) i.network.push_back(i.network[0]);
     }},
    {"network", Verdict::Warning, "Wireless",
     [](auto& i, auto&) { i.network.push_back({.name = "wlan0", .kind = AdapterKind::Wireless}); }},
    {"network", Verdict::Warning, "bond",
     [](auto& i, auto&) { i.network.push_back({.name = "bond0", .kind = AdapterKind::Bond}); }},
    {"network", Verdict::Warning, "no adapter of the inventory",
     [](auto&, auto& s) { s.admin_mac = MacAddress::parse("02:00:00:00:00:09"); }},
    {"network", Verdict::Warning, "may not boot from the network",
     [](auto& i, auto&) { i.network[0].pxe_capable = false; }},
    {"address", Verdict::Warning, "another address",
     [](auto& i, auto& s) {
         i.network[0].configuration = AddressOrigin::Dhcp;
         s.dynamic_macs = true;
     }},
    {"address", Verdict::Warning, "nothing says from where",
     [](auto& i, auto&) {
         i.network[0].configuration = AddressOrigin::Unknown;
         i.network[0].addresses = {{"10.0.0.1", 8, AddressOrigin::Unknown}};
     }},
    {"parallel-port", Verdict::Warning, "no parallel port",
     [](auto& i, auto&) {
         i.ports.push_back({PortKind::Parallel, "parport0", ""});
     }},
    {"usb-device", Verdict::Warning, "dongle",
     [](auto& i, auto&) {
         i.usb = {{"1-1", 0x0529, 0x0001, "Aladdin", "HASP", ""}};
     }},
};

}  // namespace

TEST(Checks, a_good_machine_passes_in_silence) {
    auto findings = check(good_source(), good_switches());
    for (const auto& f : findings) EXPECT_EQ(f.verdict, Verdict::Ok) << f.id << ": " << f.meaning;
    EXPECT_EQ(exit_code_of(worst(findings)), 0);
}

TEST(Checks, each_finds_what_it_is_there_for) {
    for (const auto& row : kRows) {
        auto inventory = good_source();
        auto switches = good_switches();
        row.spoil(inventory, switches);
        auto findings = check(inventory, switches);
        auto hit = std::find_if(findings.begin(), findings.end(), [&](const Finding& f) {
            return f.id == row.id && f.verdict == row.verdict && f.meaning.find(row.says) != std::string::npos;
        });
        EXPECT_NE(hit, findings.end()) << row.id << ": " << row.says << "\n" << findings_text(inventory, findings);
        if (hit != findings.end()) {
            EXPECT_FALSE(hit->to_do.empty()) << row.id << " says nothing to do";
        }
        EXPECT_EQ(exit_code_of(worst(findings)), row.verdict == Verdict::Error ? 1 : 3) << row.id << ": " << row.says;
    }
}

TEST(Checks, what_stays_behind_harmlessly_is_said_without_a_warning) {
    auto inventory = good_source();
    inventory.disks[1].controller = "controller1";  // a stick
    auto findings = check(inventory, good_switches());
    EXPECT_EQ(worst(findings), Verdict::Ok);
    EXPECT_NE(findings_text(inventory, findings).find("Left out: a USB disk."), std::string::npos);
}

TEST(Checks, warnings_of_the_reader_are_findings) {
    auto findings = check(good_source(), good_switches(), {"line 3: unknown element 'fans'"});
    EXPECT_EQ(worst(findings), Verdict::Warning);
}

TEST(Checks, json_says_what_the_table_says) {
    auto inventory = good_source();
    inventory.system.host_name = "a\"b\x1b";
    inventory.boot.loader = "lilo";
    auto findings = check(inventory, good_switches());
    auto json = boost::json::parse(findings_json(inventory, findings)).as_object();
    EXPECT_EQ(json.at("verdict").as_string(), "warning");
    EXPECT_EQ(json.at("checks").as_array().size(), findings.size());
    EXPECT_EQ(findings_text(inventory, findings).find('\x1b'), std::string::npos);
}

TEST(Checks, a_hostile_inventory_cannot_drive_the_terminal) {
    auto inventory = good_source();
    inventory.os.name = inventory.disks[0].name = inventory.network[0].name = "\x1b[2J";
    EXPECT_EQ(findings_text(inventory, check(inventory, good_switches())).find('\x1b'), std::string::npos);
}
