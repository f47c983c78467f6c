// SPDX-License-Identifier: GPL-3.0-or-later
// Devices without a virtual counterpart.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

std::string name_of_card(const PciFunction& p) {
    auto id = fmt::format("{:04x}:{:04x}", p.id.vendor, p.id.device);
    return p.name.empty() ? fmt::format("card {} ({})", id, p.id.slot) : fmt::format("{} ({})", p.name, id);
}

bool in(std::string_view text, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

void usb_device(const Facts& f, Findings& out) {
    for (const auto& d : f.machine.usb) {
        if (in(d.driver, {"usbhid", "hub", "usb-storage", "uas", "HidUsb", "usbhub", "USBSTOR", "usbccgp"})) continue;
        const bool harmless = !d.classes.empty() && std::all_of(d.classes.begin(), d.classes.end(), [](const auto& c) {
            return in(c, {"00", "03", "08", "09", "e0"});  // per interface, HID, storage, hub, Bluetooth
        });
        if (harmless) continue;
        const bool card = std::find(d.classes.begin(), d.classes.end(), "0b") != d.classes.end();
        // Makers of dongles: Aladdin/SafeNet, WIBU, Rainbow, Feitian, Senselock.
        const bool dongle =
            d.vendor == 0x0529 || d.vendor == 0x064f || d.vendor == 0x04b9 || d.vendor == 0x096e || d.vendor == 0x1bc0;
        out.warn(fmt::format("{} {:04x}:{:04x} {}", d.address, d.vendor, d.product, d.name),
                 fmt::format("The VM has no USB devices of the host: {} stays behind.", dongle ? "this dongle"
                                                                                        : card ? "this card reader"
                                                                                               : "a dongle or UPS"),
                 "Ask its maker for a licence or a connection by network.");
    }
}

void parallel(const Facts& f, Findings& out) {
    for (const auto& p : f.machine.ports)
        if (p.kind == PortKind::Parallel)
            out.warn(p.name, "The VM has no parallel port.", "Move what hangs on it (printer, dongle) to the network.");
}

void serial(const Facts& f, Findings& out) {
    const auto n = std::count_if(f.machine.ports.begin(), f.machine.ports.end(),
                                 [](const auto& p) { return p.kind == PortKind::Serial; });
    if (n > 0)
        out.ok(fmt::format("serial ports: {}", n),
               "The VM has serial ports too, but nothing hangs on them: a UPS or modem stays behind.");
}

void serial_service(const Facts& f, Findings& out) {
    for (const auto& s : f.machine.services)
        for (std::string_view name : {"mgetty*", "hylafax*", "faxq*", "gpsd*", "smstools*", "lcdproc*", "conserver*"})
            if (name_matches(name, s.name) && s.start != "masked" && s.start != "disabled")
                return out.warn(
                    "service " + s.name, "It needs what hangs on a serial port: a modem, receiver or display.",
                    "Move the device to a serial port server on the network, or leave this service on a real machine.");
}

void tape(const Facts& f, Findings& out) {
    for (const auto& t : f.machine.tapes)
        out.warn(fmt::format("tape drive {} {} {}", t.name, t.vendor, t.model), "The VM has no tape drive.",
                 "Move it to a machine that makes the backups, and reach it over the network.");
    if (!f.machine.tapes.empty()) return;
    for (const auto& alias : f.machine.modaliases)
        if (alias.starts_with("scsi:t-0x01") || alias.starts_with("scsi:t-0x08"))
            return out.warn(alias, "A tape drive or changer: the VM has none.",
                            "Move it to a machine that makes the backups.");
}

void hba(const Facts& f, Findings& out) {
    for (const auto& p : f.machine.pci)
        if (p.id.class_code >> 8 == 0x0c04)
            out.warn(name_of_card(p), "A Fibre Channel adapter: the VM has none.",
                     "Disks of the SAN are copied like others, or attached to the VM as linked disks of its host; "
                     "tapes stay behind.");
}

void graphics(const Facts& f, Findings& out) {
    for (const auto& v : f.machine.video)
        if (in(v.driver, {"nvidia", "amdgpu", "nvlddmkm"}) || (v.pci && v.pci->class_code >> 8 == 0x0302))
            out.note(v.name.empty() ? "display adapter" : v.name, "The VM has a plain display adapter (VGA).",
                     "If programs compute on the card (CUDA, ROCm), leave them on a real machine.");
}

void accelerators(const Facts& f, Findings& out) {
    struct Row {
        std::uint32_t base_class;
        std::string_view what;
    };
    static constexpr Row kRows[] = {{0x0b40, "a coprocessor"},          {0x1000, "an encryption card"},
                                    {0x1080, "an encryption card"},     {0x1200, "an accelerator"},
                                    {0x0400, "a video card"},           {0x0480, "a multimedia card"},
                                    {0x0702, "a card of serial ports"}, {0x0703, "a modem"},
                                    {0x0780, "a communication card"},   {0x0204, "an ISDN card"}};
    for (const auto& p : f.machine.pci)
        for (const auto& row : kRows)
            if (p.id.class_code >> 8 == row.base_class &&
                !(row.base_class == 0x0780 && p.id.vendor == 0x8086))  // Intel's management engine
                out.warn(name_of_card(p), fmt::format("It is {}: the VM has none.", row.what),
                         "Leave what uses it on a real machine.");
}

void tpm(const Facts& f, Findings& out) {
    static constexpr std::string_view kAliases[] = {"acpi:MSFT0101", "acpi:PNP0C31", "acpi:IFX0102", "acpi:BCM0101"};
    const auto& tables = f.machine.system.acpi_tables;
    bool found = std::find(tables.begin(), tables.end(), "TPM2") != tables.end() ||
                 std::find(tables.begin(), tables.end(), "TCPA") != tables.end();
    for (const auto& a : f.machine.modaliases)
        for (auto alias : kAliases) found = found || a.starts_with(alias);
    if (found)
        out.note("TPM", "The source has a TPM, the VM has none: what is sealed in it stays behind.",
                 "Have recovery keys at hand (BitLocker, systemd-cryptenroll, clevis), and enrol anew after the move.");
}

void persistent_memory(const Facts& f, Findings& out) {
    bool said = false;
    for (const auto& d : f.machine.disks)
        if (d.name.starts_with("pmem")) {
            out.warn("disk " + d.name,
                     "Persistent memory: in the VM it is a disk, and programs that map it do not start.",
                     "Leave it out with --excludedrives, or move its data to a disk first.");
            said = true;
        }
    if (said) return;
    for (const auto& a : f.machine.modaliases)
        if (a.starts_with("nd:") || a.starts_with("acpi:ACPI0012"))
            return out.note("NVDIMM", "The source has persistent memory; the VM has none.",
                            "Make sure that nothing of value is on it.");
}

void optical(const Facts& f, Findings& out) {
    for (const auto& d : f.machine.optical)
        out.ok(fmt::format("{} {}", d.name, d.model),
               "The VM has no CD drive; an entry for it in /etc/fstab does no harm.");
}

void floppy(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.modaliases)
        if (a.starts_with("acpi:PNP0700") || a.starts_with("platform:floppy"))
            return out.ok("floppy drive", "The VM has none.");
}

void sound(const Facts& f, Findings& out) {
    for (const auto& p : f.machine.ports)
        if (p.kind == PortKind::Sound) return out.ok(p.detail.empty() ? p.name : p.detail, "The VM has no sound card.");
}

void bmc(const Facts& f, Findings& out) {
    for (std::string_view name : {"ipmi_si", "ipmi_ssif", "ipmidrv", "hpilo", "hpqilo3"})
        if (const auto* d = f.driver(name))
            return out.ok("driver " + d->name,
                          "The board's management processor stays behind; the VM is watched by its host.");
}

void bluetooth(const Facts& f, Findings& out) {
    for (const auto& d : f.machine.usb)
        if (std::find(d.classes.begin(), d.classes.end(), "e0") != d.classes.end())
            out.note(d.name, "A wireless adapter (Bluetooth): the VM has none.",
                     "Nothing, unless a keyboard or a device is paired with it.");
}

void odd_disks(const Facts& f, Findings& out) {
    for (const auto& d : f.choice.kept)
        if (d->bus == BusKind::Firewire)
            out.warn("disk " + d->name, "It is on FireWire and may be a backup disk.",
                     "Leave it out with --excludedrives if it is no part of the machine.");
        else if (d->bus == BusKind::Mmc)
            out.note("disk " + d->name, "A memory card.",
                     "Leave it out with --excludedrives if it is no part of the machine.");
}

const Rule kRules[] = {
    {"usb-device", Group::Devices, Verdict::Warning, "USB devices", "A program whose dongle is gone does not start.",
     usb_device},
    {"parallel-port", Group::Devices, Verdict::Warning, "Parallel ports", "Printers and dongles on it are gone.",
     parallel},
    {"serial-port", Group::Devices, Verdict::Ok, "Serial ports", "Nothing hangs on a VM's ports.", serial},
    {"serial-service", Group::Devices, Verdict::Warning, "Services on serial ports",
     "They wait for a device that is not there.", serial_service},
    {"tape", Group::Devices, Verdict::Warning, "Tape drives", "Backups to it stop with the move.", tape},
    {"fibre-channel", Group::Devices, Verdict::Warning, "Fibre Channel adapters",
     "What is reached through it is out of reach.", hba},
    {"graphics", Group::Devices, Verdict::Note, "Graphics cards",
     "Programs that compute on it have nothing to compute on.", graphics},
    {"special-cards", Group::Devices, Verdict::Warning, "Cards for special purposes",
     "There is nothing like it in a VM.", accelerators},
    {"tpm", Group::Devices, Verdict::Note, "TPM", "A volume whose key is sealed in it asks for a recovery key.", tpm},
    {"persistent-memory", Group::Devices, Verdict::Warning, "Persistent memory",
     "A database on it does not start from a disk.", persistent_memory},
    {"optical", Group::Devices, Verdict::Ok, "CD and DVD drives", "Programs that want their disc do not find it.",
     optical},
    {"floppy", Group::Devices, Verdict::Ok, "Floppy drives", "It stays behind.", floppy},
    {"sound", Group::Devices, Verdict::Ok, "Sound", "It stays behind.", sound},
    {"management-processor", Group::Devices, Verdict::Ok, "Management processors",
     "Alarms that came by it do not come any more.", bmc},
    {"bluetooth", Group::Devices, Verdict::Note, "Bluetooth", "What is paired with it is out of reach.", bluetooth},
    {"odd-disks", Group::Devices, Verdict::Warning, "Disks that may be no part of the machine",
     "A backup disk in the image makes it larger, and is missing at the next backup.", odd_disks},
};

}  // namespace

std::span<const Rule> device_rules() { return kRules; }

}  // namespace slipway::vmscript
