// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/test/rule_rows.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

void become(Inventory& i, const char* version, const char* name, const char* level) {
    i.os.version = version;
    i.os.name = name;
    i.os.service_level = level;
    i.os.architecture = "i386";
    i.os.hal = "acpiapic_up";
    i.boot.loader = "ntldr";
    i.boot.files = {{"C:\\boot.ini",
                     "[boot loader]\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
                     "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows\" /fastdetect\r\n"}};
}
void become_xp(Inventory& i) { become(i, "5.1.2600", "Windows XP", "Service Pack 3"); }

void driver(Inventory& i, const char* name, const char* start) {
    Driver d;
    d.name = name;
    d.start = start;
    i.drivers.push_back(d);
}

void boot_ini(Inventory& i, const std::string& entry) {
    become_xp(i);
    i.boot.files[0].text += entry + "\r\n";
}

// Both with a static address.
void two_cards(Inventory& i, const char* first, const char* second) {
    i.network.resize(1);
    auto& a = i.network[0];
    a.configuration = AddressOrigin::Static;
    a.connection = first;
    auto b = a;
    b.name += "b";
    b.mac = b.permanent_mac = "52:54:00:51:00:99";
    b.connection = second;
    i.network.push_back(b);
}

}  // namespace

std::vector<RuleRow> windows_rows() {
    return {
        {"os", Verdict::Error, "before NT 4.0", [](auto& i, auto&, auto&) { i.os.version = "3.51"; }},
        {"os", Verdict::NotChecked, "Which version", [](auto& i, auto&, auto&) { i.os.version = ""; }},
        {"service-level", Verdict::Error, "Service Pack 6a",
         [](auto& i, auto&, auto&) { become(i, "4.0", "Windows NT 4.0", "Service Pack 3"); }},
        {"service-level", Verdict::Ok, "recent enough",
         [](auto& i, auto&, auto&) { become(i, "4.0", "Windows NT 4.0", "Service Pack 6"); }},
        {"service-level", Verdict::Warning, "128 GiB",
         [](auto& i, auto&, auto&) { become(i, "5.0.2195", "Windows 2000", "SP2"); }},
        {"service-level", Verdict::NotChecked, "not known",
         [](auto& i, auto&, auto&) { become(i, "5.1.2600", "Windows XP", ""); }},
        {"windows-hal", Verdict::Note, "It stays: its HAL, Standard PC, runs on the new machine",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.os.hal = "e_isa_up";
             i.system.processors.threads = 1;
         }},
        {"windows-hal", Verdict::Note, "uses one of 2 processors",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.os.hal = "mps_up";
             i.system.processors.threads = 2;
         }},
        {"windows-hal", Verdict::Warning, "numbers all devices anew",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             i.os.hal = "e_isa_up";
             s.fix_hal = patches::FixHal::Acpi;
         }},
        {"windows-hal", Verdict::Warning, "Standard PC takes the place of ACPI Uniprocessor PC",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             s.fix_hal = patches::FixHal::Nacpi;
         }},
        {"windows-hal", Verdict::Note, "It is exchanged: Standard PC takes the place of another vendor's HAL",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.os.hal = "cbus_mp";
             i.os.multiprocessor = false;
             i.system.processors.threads = 1;
         }},
        {"windows-hal", Verdict::Warning, "does not run on the new machine",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             i.os.hal = "syspro_mp";
             s.fix_hal = patches::FixHal::None;
         }},
        {"windows-hal", Verdict::Ok, "The VM has ACPI; it stays",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.system.processors.threads = 1;
         }},
        {"windows-hal", Verdict::NotChecked, "not known",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.os.hal = "";
         }},
        {"windows-processors", Verdict::Note, "for one processor",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.os.multiprocessor = false;
         }},
        {"windows-2000-processors", Verdict::Note, "two of them",
         [](auto& i, auto&, auto&) {
             become(i, "5.0.2195", "Windows 2000", "SP4");
             i.system.processors.threads = 8;
         }},
        {"patch-files", Verdict::Error, "this very version",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.patch_files = PatchFiles{"", 1, {"halacpi.dll 5.1.2600.5512"}};
         }},
        {"patch-files", Verdict::Ok, "All 2 files",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.patch_files = PatchFiles{"", 2, {}};
         }},
        {"patch-files", Verdict::Ok, "takes nothing from it: its HAL runs",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.patch_files = PatchFiles{"its HAL runs", 0, {}};
         }},
        {"patch-files", Verdict::NotChecked, "is not known", [](auto& i, auto&, auto&) { become_xp(i); }},
        {"patch-files", Verdict::NotChecked, "Not known: the version of system32\\hal.dll.",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.patch_files = PatchFiles{"", 0, {}, "", {"the version of system32\\hal.dll"}};
         }},
        {"fixhal", Verdict::Error, "knows no ACPI",
         [](auto& i, auto& s, auto& a) {
             become(i, "4.0", "Windows NT 4.0", "Service Pack 6");
             s.fix_hal = patches::FixHal::Acpi;
             a.patch_files = PatchFiles{"", 0, {}, "Windows NT 4 knows no ACPI", {}};
         }},
        {"patch-library", Verdict::Warning, "nothing brings them there. patch library /srv/Patches",
         [](auto& i, auto& s, auto& a) {
             become_xp(i);
             s.patch_directory = "/srv/Patches";
             a.patch_files = PatchFiles{"", 2, {}};
         }},
        {"patch-library", Verdict::Note, "patch library /var/lib/slipway/Patches",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.patch_files = PatchFiles{"", 2, {}};
         }},
        {"windows-controller", Verdict::Error, "No Windows has virtio",
         [](auto&, auto& s, auto&) { s.controller = ControllerChoice::Virtio; }},
        {"windows-controller", Verdict::Ok, "adds the one of /v/viostor.inf",
         [](auto&, auto& s, auto& a) {
             s.controller = ControllerChoice::Virtio;
             a.drop_ins = {"/v/viostor.inf", "", {}};
         }},
        {"windows-controller", Verdict::Error, "for another Windows",
         [](auto&, auto& s, auto& a) {
             s.controller = ControllerChoice::Virtio;
             a.drop_ins = {"", "", {"/v/viostor.inf: its folder is for another Windows or machine"}};
         }},
        {"windows-adapter", Verdict::Ok, "/v/e1000.inf",
         [](auto& i, auto&, auto& a) {
             become_xp(i);
             a.drop_ins = {"", "/v/e1000.inf", {}};
         }},
        {"windows-controller", Verdict::Error, "LSI 53C895A",
         [](auto&, auto& s, auto&) { s.controller = ControllerChoice::Scsi; }},
        {"windows-controller", Verdict::Error, "no AHCI driver",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             s.controller = ControllerChoice::Sata;
         }},
        {"windows-controller", Verdict::Error, "IDE alone",
         [](auto& i, auto& s, auto&) {
             become(i, "4.0", "Windows NT 4.0", "Service Pack 6");
             s.controller = ControllerChoice::Scsi;
         }},
        {"windows-controller", Verdict::Warning, "refuses without",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             s.controller = ControllerChoice::Scsi;
             driver(i, "sym_hi", "disabled");
         }},
        {"windows-controller", Verdict::Warning, "--hwdriverdir has none",
         [](auto& i, auto& s, auto& a) {
             become_xp(i);
             s.controller = ControllerChoice::Scsi;
             a.drop_ins = DropInDrivers{};
         }},
        {"windows-controller", Verdict::Ok, "adds the driver of /v/symmpi.inf",
         [](auto& i, auto& s, auto& a) {
             become_xp(i);
             s.controller = ControllerChoice::Scsi;
             a.drop_ins = {"/v/symmpi.inf", "", {}};
         }},
        {"windows-controller", Verdict::Ok, "The source has system32\\drivers\\sym_hi.sys",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             s.controller = ControllerChoice::Scsi;
             i.os.system_files = {{"C:\\WINDOWS\\System32\\Drivers\\SYM_HI.SYS", "5.1.2600.0", "", "", 28384}};
         }},
        {"windows-controller", Verdict::Ok, "in use on the source",
         [](auto& i, auto& s, auto&) {
             become_xp(i);
             s.controller = ControllerChoice::Scsi;
             driver(i, "sym_hi", "boot");
             i.drivers.back().state = "running";
         }},
        {"windows-adapter", Verdict::Warning, "82540EM", [](auto& i, auto&, auto&) { become_xp(i); }},
        {"windows-licence", Verdict::Warning, "OEM licence",
         [](auto& i, auto&, auto&) {
             i.os.licence = LicenceChannel::Oem, i.os.licence_evidence = "product ID of an OEM channel";
         }},
        {"windows-licence", Verdict::Warning, "SLIC",
         [](auto& i, auto&, auto&) {
             i.os.licence = LicenceChannel::Unknown, i.system.acpi_tables = {"APIC", "SLIC"};
         }},
        {"windows-licence", Verdict::NotChecked, "not known",
         [](auto& i, auto&, auto&) { i.os.licence = LicenceChannel::Unknown; }},
        {"windows-licence", Verdict::Note, "retail",
         [](auto& i, auto&, auto&) { i.os.licence = LicenceChannel::Retail; }},
        {"domain-controller", Verdict::Warning, "USN rollback",
         [](auto& i, auto&, auto&) {
             i.services.push_back({"NTDS", "", "auto", "", ""});
         }},
        {"processor-driver", Verdict::Ok, "switches it off",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             driver(i, "intelppm", "system");
         }},
        {"encryption-software", Verdict::Error, "encrypts whole disks",
         [](auto& i, auto&, auto&) { driver(i, "PGPwded", "boot"); }},
        {"filter-drivers", Verdict::Note, "filter", [](auto& i, auto&, auto&) { driver(i, "snapman", "boot"); }},
        {"vendor-agents", Verdict::Ok, "the repair switches it off",
         [](auto& i, auto&, auto&) {
             i.services.push_back({"CpqNicMgmt", "", "auto", "", ""});
         }},
        {"vendor-agents", Verdict::Note, "the drivers file does not name it",
         [](auto& i, auto& s, auto& a) {
             i.services.push_back({"CpqNicMgmt", "", "auto", "", ""});
             s.service_driver_state = "<Configuration><Service Name=\"Other\" Start=\"Disable\"/></Configuration>";
             a.drivers_file = {{DriversFileEntry::Kind::Service, "Other"}};
         }},
        {"windows-team", Verdict::Warning, "teamed", [](auto& i, auto&, auto&) { driver(i, "cpqteammp", "demand"); }},
        {"processor-level", Verdict::Warning, "x86-64-v2", [](auto& i, auto&, auto&) { i.os.version = "10.0.26100"; }},
        {"memory-system", Verdict::Warning, "asks for 512 MiB", [](auto&, auto& s, auto&) { s.memory_mib = 256; }},
        {"geometry", Verdict::Warning, "geometry into the table",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.disks[0].geometry = Geometry{20480, 64, 32};
         }},
        {"geometry", Verdict::NotChecked, "Whether this Windows",
         [](auto& i, auto&, auto&) {
             i.os.version = "";
             i.disks[0].geometry = Geometry{20480, 64, 32};
         }},
        {"root", Verdict::Error, "Where the system lies",
         [](auto& i, auto&, auto&) {
             i.volumes[0].boot_volume.reset();
             i.volumes[0].mount_points = {"X:"};
         }},
        {"hibernated", Verdict::Error, "fast startup",
         [](auto& i, auto&, auto&) { i.volumes[0].state = VolumeState::Hibernated; }},
        {"firmware", Verdict::Error, "a GPT and so starts by UEFI alone",
         [](auto& i, auto&, auto&) { i.disks[0].table = TableKind::Gpt; }},
        {"firmware", Verdict::Error, "a GPT and so starts by UEFI alone",
         [](auto& i, auto&, auto&) {
             i.disks[0].table = TableKind::Gpt;
             i.system.firmware = Firmware::Unknown;
         }},
        {"firmware", Verdict::Error, "an MBR and so starts by a BIOS alone",
         [](auto& i, auto&, auto&) { i.system.firmware = Firmware::Uefi; }},
        {"firmware", Verdict::Warning, "a Windows installed for UEFI",
         [](auto& i, auto&, auto&) {
             i.disks[0].table = TableKind::Unknown;
             i.system.firmware = Firmware::Unknown;
         }},
        {"volume-dirty", Verdict::Error, "the repair refuses it",
         [](auto& i, auto&, auto&) { i.volumes[0].state = VolumeState::NeedsRecovery; }},
        {"volume-dirty", Verdict::Error, "leaves it alone",
         [](auto& i, auto&, auto&) {
             i.volumes[0].system_volume = false;
             i.volumes[1].system_volume = true;
             i.volumes[1].state = VolumeState::NeedsRecovery;
         }},
        {"volume-dirty", Verdict::Warning, "sector by sector",
         [](auto& i, auto&, auto&) { i.volumes[1].state = VolumeState::NeedsRecovery; }},
        {"secure-boot", Verdict::Ok, "does not know it",
         [](auto& i, auto&, auto&) { i.system.firmware = Firmware::Uefi, i.disks[0].table = TableKind::Gpt; }},
        {"hibernated", Verdict::Warning, "It is on: a plain shutdown",
         [](auto& i, auto&, auto&) { i.os.version = "10.0.14393", i.os.fast_startup = true; }},
        {"hibernated", Verdict::Ok, "It is off",
         [](auto& i, auto&, auto&) { i.os.version = "10.0.14393", i.os.fast_startup = false; }},
        {"hibernated", Verdict::NotChecked, "is not known", [](auto& i, auto&, auto&) { i.os.version = "10.0.14393"; }},
        {"bitlocker", Verdict::Error, "cannot look into it",
         [](auto& i, auto&, auto&) { i.volumes[0].encryption = "bitlocker"; }},
        {"active-partition", Verdict::NotChecked, "Its partitions are not known",
         [](auto& i, auto&, auto&) { i.disks[0].partitions.clear(); }},
        {"efi-partition", Verdict::NotChecked, "is known",
         [](auto& i, auto&, auto&) {
             i.system.firmware = Firmware::Uefi;
             for (auto& d : i.disks) d.table = TableKind::Gpt, d.partitions.clear();
         }},
        {"root", Verdict::NotChecked, "On which disk it lies",
         [](auto& i, auto&, auto&) {
             i.volumes[0].name = "C:";
             i.volumes[0].backing.clear();
         }},
        {"bitlocker", Verdict::Error, "cannot look into it",
         [](auto& i, auto&, auto&) {
             i.volumes[0].name = "C:";
             i.volumes[0].backing.clear();
             i.volumes[0].encryption = "bitlocker";
         }},
        {"adapter-count", Verdict::Error, "None is known",
         [](auto& i, auto&, auto&) {
             i.network.clear();
             i.unread = {{"network adapters", "no file of class win32_networkadapter was given"}};
         }},
        {"adapter-count", Verdict::Error, "cannot boot from the network",
         [](auto& i, auto&, auto&) { i.network.clear(); }},
        {"address", Verdict::Warning, "which is not known: it may not move along",
         [](auto& i, auto&, auto&) { two_cards(i, "", ""); }},
        {"address", Verdict::Warning, "LAN & DMZ, which the repair does not take",
         [](auto& i, auto&, auto&) { two_cards(i, "LAN & DMZ", "A=B"); }},
        {"address", Verdict::Ok, "it moves along", [](auto& i, auto&, auto&) { two_cards(i, "Production", ""); }},
        {"address", Verdict::Ok, "it moves along",
         [](auto& i, auto&, auto&) {
             two_cards(i, "", "");
             i.os.version = "10.0.17763";
         }},
        {"active-partition", Verdict::Error, "None of its partitions",
         [](auto& i, auto&, auto&) { i.disks[0].partitions[0].active = false; }},
        {"boot-ini", Verdict::Warning, "HAL or kernel of its own",
         [](auto& i, auto&, auto&) {
             boot_ini(i, "multi(0)disk(0)rdisk(0)partition(1)\\W=\"x\" /fastdetect /HAL=halmps.dll");
         }},
        {"boot-ini", Verdict::Note, "controller's driver",
         [](auto& i, auto&, auto&) { boot_ini(i, "scsi(0)disk(1)rdisk(0)partition(1)\\W=\"x\""); }},
        {"boot-ini", Verdict::NotChecked, "not in the inventory",
         [](auto& i, auto&, auto&) {
             become_xp(i);
             i.boot.files.clear();
         }},
    };
}

}  // namespace slipway::vmscript
