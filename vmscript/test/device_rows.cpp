// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/test/rule_rows.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

NetworkAdapter another(const Inventory& i, const char* name) {
    auto a = i.network[0];
    a.name = name;
    a.mac = std::string("52:54:00:51:01:0") + name[3];
    return a;
}

PciFunction card(std::uint32_t class_code, std::uint16_t vendor = 0x1000) {
    PciFunction p;
    p.id = {"0000:05:00.0", vendor, 0x1234, 0, 0, class_code << 8, ""};
    p.name = "A card";
    return p;
}

void service(Inventory& i, const char* name) { i.services.push_back({name, "", "enabled", "multi-user.target", ""}); }
void driver(Inventory& i, const char* name, std::uint32_t references = 1) {
    i.drivers.push_back({name, 4096, references, {}, ""});
}

KnownDevice device(const char* name, const char* mac) { return {name, "device", "released", "prompt", "none", {mac}}; }
constexpr const char* kOurs = "52:54:00:51:00:01";
KnownDevice host() { return {"hercules", "vmhost", "controlled", "prompt", "ready", {}}; }

}  // namespace

std::vector<RuleRow> device_rows() {
    return {
        // ---- network
        {"adapter-count", Verdict::Error, "cannot boot from the network",
         [](auto& i, auto&, auto&) { i.network.clear(); }},
        {"adapter-count", Verdict::Error, "The address of none of them is known",
         [](auto& i, auto&, auto&) {
             for (auto& a : i.network) a.mac = a.permanent_mac = "";
         }},
        {"adapter-count", Verdict::Warning, "the VM gets no adapter for it. adapter eth9",
         [](auto& i, auto&, auto&) {
             i.network.push_back(another(i, "eth9"));
             i.network.back().mac = i.network.back().permanent_mac = "";
         }},
        {"adapter-count", Verdict::Warning, "at most 4",
         [](auto& i, auto&, auto&) {
             for (auto name : {"eth1", "eth2", "eth3", "eth4"}) i.network.push_back(another(i, name));
         }},
        {"admin-mac", Verdict::Warning, "no adapter of the inventory",
         [](auto&, auto& s, auto&) { s.admin_mac = MacAddress::parse("02:00:00:00:00:09"); }},
        {"network-boot", Verdict::Warning, "may not boot from the network",
         [](auto& i, auto&, auto&) { i.network[0].pxe_capable = false; }},
        {"network-boot", Verdict::NotChecked, "not known",
         [](auto& i, auto&, auto&) { i.network[0].pxe_capable.reset(); }},
        {"boot-link", Verdict::Note, "no link", [](auto& i, auto&, auto&) { i.network[0].link = false; }},
        {"wireless", Verdict::Warning, "Wireless",
         [](auto& i, auto&, auto&) { i.network.push_back({.name = "wlan0", .kind = AdapterKind::Wireless}); }},
        {"usb-adapter", Verdict::Note, "On USB", [](auto& i, auto&, auto&) { i.network[0].bus = BusKind::Usb; }},
        {"bond", Verdict::Warning, "LACP",
         [](auto& i, auto&, auto&) {
             i.network.push_back({.name = "bond0", .kind = AdapterKind::Bond, .mode = "802.3ad"});
         }},
        {"bond", Verdict::Ok, "works in the VM",
         [](auto& i, auto&, auto&) {
             i.network.push_back({.name = "bond0", .kind = AdapterKind::Bond, .mode = "active-backup"});
         }},
        {"bond", Verdict::Warning, "stays configured",
         [](auto& i, auto&, auto&) { i.network.push_back({.name = "team0", .kind = AdapterKind::Team}); }},
        {"bridge", Verdict::Note, "It joins ens18",
         [](auto& i, auto&, auto&) {
             i.network.push_back({.name = "br0", .kind = AdapterKind::Bridge, .members = {"ens18"}});
         }},
        {"vlan", Verdict::Warning, "tags",
         [](auto& i, auto&, auto&) { i.network.push_back({.name = "ens18.7", .kind = AdapterKind::Vlan, .vlan = 7}); }},
        {"address", Verdict::Warning, "another address",
         [](auto& i, auto& s, auto&) {
             i.network[0].configuration = AddressOrigin::Dhcp;
             s.dynamic_macs = true;
         }},
        {"address", Verdict::Warning, "nothing says from where",
         [](auto& i, auto&, auto&) {
             i.network[0].configuration = AddressOrigin::Unknown;
             i.network[0].addresses = {{"10.0.0.1", 8, AddressOrigin::Unknown}};
         }},
        {"address-left-out", Verdict::Warning, "it has an address",
         [](auto& i, auto&, auto&) {
             for (auto name : {"eth1", "eth2", "eth3", "eth4"}) i.network.push_back(another(i, name));
             i.network.back().addresses = {{"10.0.0.9", 8, AddressOrigin::Static}};
         }},
        {"iscsi-boot", Verdict::Error, "iSCSI", [](auto& i, auto&, auto&) { i.network[0].iscsi_boot = true; }},
        {"shared-mac", Verdict::Error, "Two adapters",
         [](auto& i, auto&, auto&) { i.network.push_back(i.network[0]); }},
        {"changed-mac", Verdict::Note, "burnt-in 52:54:00:99:00:01",
         [](auto& i, auto&, auto&) { i.network[0].permanent_mac = "52:54:00:99:00:01"; }},
        {"sr-iov", Verdict::Note, "SR-IOV", [](auto& i, auto&, auto&) { i.network[0].virtual_function = true; }},
        {"rdma", Verdict::Warning, "no InfiniBand", [](auto& i, auto&, auto&) { i.pci = {card(0x0207)}; }},
        {"rdma", Verdict::Note, "uses RDMA", [](auto& i, auto&, auto&) { driver(i, "ib_core", 3); }},
        {"mtu", Verdict::Note, "9000 bytes", [](auto& i, auto&, auto&) { i.network[0].mtu = 9000; }},
        {"adapter-speed", Verdict::Note, "25 Gbit/s", [](auto& i, auto&, auto&) { i.network[0].speed_mbit = 25000; }},
        // ---- services and drivers
        {"drivers-file", Verdict::NotChecked, "None was given", [](auto&, auto&, auto&) {}},
        {"drivers-file", Verdict::Ok, "switches off: service smartd.service, driver hpilo, program hpsmhd",
         [](auto& i, auto&, auto& a) {
             using Kind = DriversFileEntry::Kind;
             a.drivers_file = {{Kind::Service, "SMART*"},
                               {Kind::Driver, "hpilo"},
                               {Kind::Program, "hpsmhd"},
                               {Kind::Service, "absent"}};
             driver(i, "hpilo");
             i.autorun = {{"hpsmhd", "/opt/hp/hpsmhd", "/etc/rc.local"}};
         }},
        {"vendor-agents", Verdict::Ok, "Dell OpenManage",
         [](auto& i, auto&, auto&) { service(i, "dsm_sa_datamgrd.service"); }},
        {"vendor-agents", Verdict::Ok, "by the drivers file",
         [](auto& i, auto&, auto& a) {
             a.drivers_file = {{DriversFileEntry::Kind::Service, "dsm_*"}};
             service(i, "dsm_sa_datamgrd.service");
         }},
        {"watchdog", Verdict::Warning, "watchdog", [](auto& i, auto&, auto&) { driver(i, "iTCO-wdt"); }},
        {"guest-tools", Verdict::Ok, "another hypervisor",
         [](auto& i, auto&, auto&) { service(i, "open-vm-tools.service"); }},
        {"ups", Verdict::Note, "power supply", [](auto& i, auto&, auto&) { service(i, "apcupsd.service"); }},
        {"backup-agent", Verdict::Note, "backup agent", [](auto& i, auto&, auto&) { service(i, "bacula-fd.service"); }},
        {"licence-server", Verdict::Warning, "dongle", [](auto& i, auto&, auto&) { service(i, "aksusbd.service"); }},
        {"cluster-node", Verdict::Warning, "node of a cluster",
         [](auto& i, auto&, auto&) { service(i, "corosync.service"); }},
        // ---- devices
        {"usb-device", Verdict::Warning, "this dongle",
         [](auto& i, auto&, auto&) {
             i.usb = {{"1-1", 0x0529, 0x0001, "Aladdin", "HASP", "", {}}};
         }},
        {"usb-device", Verdict::Warning, "card reader",
         [](auto& i, auto&, auto&) {
             i.usb = {{"1-1", 0x08e6, 0x3437, "Gemalto", "Reader", "", {"00", "0b"}}};
         }},
        {"parallel-port", Verdict::Warning, "no parallel port",
         [](auto& i, auto&, auto&) {
             i.ports.push_back({PortKind::Parallel, "parport0", ""});
         }},
        {"serial-port", Verdict::Ok, "nothing hangs on them",
         [](auto& i, auto&, auto&) {
             i.ports.push_back({PortKind::Serial, "ttyS1", ""});
         }},
        {"serial-service", Verdict::Warning, "serial port",
         [](auto& i, auto&, auto&) { service(i, "hylafax.service"); }},
        {"tape", Verdict::Warning, "no tape drive",
         [](auto& i, auto&, auto&) {
             i.tapes = {{"st0", "HP", "Ultrium 3", "controller0", "1:0:4:0"}};
         }},
        {"tape", Verdict::Warning, "changer", [](auto& i, auto&, auto&) { i.modaliases = {"scsi:t-0x08"}; }},
        {"fibre-channel", Verdict::Warning, "Fibre Channel", [](auto& i, auto&, auto&) { i.pci = {card(0x0c04)}; }},
        {"graphics", Verdict::Note, "plain display adapter",
         [](auto& i, auto&, auto&) {
             i.video = {{"Tesla", "nvidia", {}}};
         }},
        {"special-cards", Verdict::Warning, "encryption card", [](auto& i, auto&, auto&) { i.pci = {card(0x1000)}; }},
        {"tpm", Verdict::Note, "sealed", [](auto& i, auto&, auto&) { i.modaliases = {"acpi:MSFT0101:"}; }},
        {"persistent-memory", Verdict::Warning, "map it", [](auto& i, auto&, auto&) { i.disks[1].name = "pmem0"; }},
        {"optical", Verdict::Ok, "no CD drive",
         [](auto& i, auto&, auto&) {
             i.optical = {{"sr0", "/dev/sr0", "DVD"}};
         }},
        {"floppy", Verdict::Ok, "has none", [](auto& i, auto&, auto&) { i.modaliases = {"acpi:PNP0700:"}; }},
        {"sound", Verdict::Ok, "no sound card",
         [](auto& i, auto&, auto&) {
             i.ports.push_back({PortKind::Sound, "card0", "HDA Intel"});
         }},
        {"management-processor", Verdict::Ok, "stays behind", [](auto& i, auto&, auto&) { driver(i, "ipmi_si"); }},
        {"bluetooth", Verdict::Note, "Bluetooth",
         [](auto& i, auto&, auto&) {
             i.usb = {{"1-2", 0x8087, 0x0a2b, "Intel", "BT", "btusb", {"e0"}}};
         }},
        {"odd-disks", Verdict::Warning, "FireWire", [](auto& i, auto&, auto&) { i.disks[1].bus = BusKind::Firewire; }},
        // ---- the agent
        {"agent-network-driver", Verdict::Error, "no driver for it: the device boots from this card",
         [](auto&, auto&, auto& a) {
             a.agent_drivers =
                 AgentDrivers{"6.1.0", {{"network", "8086:1533", "eth0", "the device boots from this card", true}}};
         }},
        {"agent-network-driver", Verdict::Ok, "has their drivers",
         [](auto&, auto&, auto& a) {
             a.agent_drivers = AgentDrivers{"6.1.0", {}};
         }},
        {"agent-storage-driver", Verdict::Error, "left out without a word",
         [](auto&, auto&, auto& a) {
             a.agent_drivers = AgentDrivers{
                 "6.1.0", {{"storage", "1000:0014", "", "its disks would be left out without a word", true}}};
         }},
        {"agent-storage-driver", Verdict::Note, "no such device",
         [](auto&, auto&, auto& a) {
             a.agent_drivers = AgentDrivers{"6.1.0", {{"storage", "1000:0014", "", "it may be no such device", false}}};
         }},
        {"agent-memory", Verdict::Error, "on the source too",
         [](auto& i, auto& s, auto&) {
             i.system.memory_bytes = 128ull << 20;
             s.memory_mib = 512;
         }},
        // ---- space
        {"store-space", Verdict::Warning, "are to be captured",
         [](auto& i, auto& s, auto&) {
             for (auto& v : i.volumes) v.size = 4ull << 30, v.used = 2ull << 30;
             s.store_free = 1ull << 30;
         }},
        {"store-space", Verdict::Ok, "all that is used (6.0 GiB)",
         [](auto& i, auto& s, auto&) {
             for (auto& v : i.volumes) v.size = 4ull << 30, v.used = 2ull << 30;
             s.store_free = 7ull << 30;
         }},
        {"target-space", Verdict::Error, "Fixed-size disks take 28.0 GiB",
         [](auto&, auto& s, auto&) { s.target_free = 20ull << 30; }},
        {"target-space", Verdict::Warning, "may grow to 28.0 GiB",
         [](auto&, auto& s, auto&) {
             s.target_free = 20ull << 30;
             s.dynamic_disks = true;
         }},
        {"spindle", Verdict::Warning, "on one disk",
         [](auto&, auto& s, auto&) { s.store_disk = s.target_disk = "hercules:sda"; }},
        {"spindle", Verdict::Ok, "on two disks",
         [](auto&, auto& s, auto&) { s.store_disk = "hercules:sda", s.target_disk = "hercules:sdb"; }},
        {"transfer-time", Verdict::Ok, "at least 51s",
         [](auto& i, auto&, auto&) {
             for (auto& v : i.volumes) v.size = 4ull << 30, v.used = 2ull << 30;
             i.network[0].speed_mbit = 1000;
         }},
        // ---- other machines
        {"mac-conflict", Verdict::Error, "A virtual machine has an address of the source",
         [](auto&, auto&, auto& a) {
             a.devices = {host(), device("other", kOurs)};
             a.devices->back().power_driver = "vm";
         }},
        {"mac-conflict", Verdict::Error, "A virtual machine has an address that --virtualmacdynamic makes",
         [](auto& i, auto& s, auto& a) {
             s.dynamic_macs = true;
             a.devices = {host(), device("other", planned_nics(i, s).at(0).new_mac.c_str())};
             a.devices->back().power_driver = "vm";
         }},
        {"mac-conflict", Verdict::Ok, "No other of 1 devices", [](auto&, auto&, auto& a) { a.devices = {host()}; }},
        {"known-device", Verdict::Warning, "'triton' already, controlled",
         [](auto&, auto&, auto& a) {
             a.devices = {host(), device("triton", kOurs)};
             a.devices->back().state = "controlled";
         }},
        {"known-device", Verdict::Warning, "'old-name' already",
         [](auto&, auto&, auto& a) {
             a.devices = {host(), device("old-name", kOurs)};
         }},
        {"known-device", Verdict::Note, "released",
         [](auto&, auto&, auto& a) {
             a.devices = {host(), device("triton", kOurs)};
         }},
        {"name-taken", Verdict::Error, "Another machine",
         [](auto&, auto&, auto& a) {
             a.devices = {host(), device("triton", "02:00:00:00:00:01")};
         }},
        {"vm-host", Verdict::Error, "no such device", [](auto&, auto&, auto& a) { a.devices.emplace(); }},
        {"vm-host", Verdict::Error, "no VM host",
         [](auto&, auto&, auto& a) { a.devices = {device("hercules", "02:00:00:00:00:01")}; }},
        {"vm-host", Verdict::Warning, "its agent is lost",
         [](auto&, auto&, auto& a) {
             a.devices = {host()};
             a.devices->back().agent_state = "lost";
         }},
    };
}

}  // namespace slipway::vmscript
