// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/checks.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "vmscript/plan.hpp"

namespace slipway::vmscript {

namespace {

using namespace gatherhw;

class Checker {
public:
    Checker(const Inventory& inventory, const Switches& switches, const std::vector<std::string>& reader_warnings)
        : inventory_(inventory),
          switches_(switches),
          reader_warnings_(reader_warnings),
          choice_(choose_disks(inventory, switches.excluded_drives)),
          controller_(choose_controller(switches.controller, choice_.kept)) {}

    std::vector<Finding> run() {
        check_inventory();
        check_os();
        check_architecture();
        check_firmware();
        check_boot_loader();
        check_initramfs();
        check_memory();
        check_exclusions();
        check_disks();
        check_disk_count();
        check_root();
        check_volumes();
        check_network();
        check_addresses();
        check_ports();
        check_usb();
        return std::move(out_);
    }

private:
    void add(std::string id, const std::string& what, Verdict verdict, const std::string& meaning,
             std::string to_do = {}) {
        out_.push_back({std::move(id), printable(what), verdict, printable(meaning), std::move(to_do)});
    }

    void check_inventory() {
        for (const auto& w : reader_warnings_)
            add("inventory", "the inventory file", Verdict::Warning, w, "Run gatherhw of this version on the source.");
        if (inventory_.unread.empty() && reader_warnings_.empty())
            add("inventory", "the inventory file", Verdict::Ok, "Everything could be read.");
        for (const auto& u : inventory_.unread)
            add("inventory", u.what, Verdict::Warning, "Could not be read: " + u.why,
                "Run gatherhw again as root, so that nothing is missed here.");
    }

    void check_os() {
        const auto& os = inventory_.os;
        auto what = os.name.empty() ? os.family + " " + os.id : os.name;
        static constexpr std::string_view kRepaired[] = {"debian", "ubuntu", "linuxmint", "raspbian", "devuan"};
        static constexpr std::string_view kLikely[] = {"rhel", "centos", "rocky", "almalinux",     "fedora",
                                                       "ol",   "sles",   "sled",  "opensuse-leap", "opensuse"};
        auto in = [&](const auto& list) {
            return std::find(std::begin(list), std::end(list), os.id) != std::end(list);
        };
        if (os.family != "linux")
            return add("os", what, Verdict::Error, "Only Linux is repaired for its new hardware in this version.",
                       "Migrate it with another tool, or wait for the version that repairs it.");
        if (in(kRepaired))
            return add("os", what, Verdict::Ok, "It is captured, deployed and repaired for the VM's hardware.");
        add("os", what, Verdict::Warning,
            in(kLikely) ? "It is repaired with its own dracut and GRUB tools; this path is tried less often."
                        : "It is not among the systems that the repair was tried on.",
            "Keep the source untouched until the first boot has been proved.");
    }

    void check_architecture() {
        const auto& a = inventory_.os.architecture;
        bool known = a == "x86_64" || a == "i686" || a == "i586" || a == "i386" || a == "amd64";
        if (known) return add("architecture", a, Verdict::Ok, "The VM's processor runs it.");
        add("architecture", a.empty() ? "unknown" : a, a.empty() ? Verdict::Warning : Verdict::Error,
            "The VM has an x86 processor (64 bits).", "Migrate only x86 machines.");
    }

    void check_firmware() {
        if (inventory_.system.secure_boot == true)
            add("secure-boot", "Secure Boot is on", Verdict::Warning,
                "The VM's firmware does not check signatures; keys in the old firmware stay behind.",
                "Have recovery keys of encrypted volumes at hand.");
        switch (inventory_.system.firmware) {
            case Firmware::Bios: return add("firmware", "BIOS", Verdict::Ok, "The VM has a BIOS too.");
            case Firmware::Uefi:
                return add("firmware", "UEFI", Verdict::Error,
                           "The VM has a BIOS: a system installed for UEFI does not boot from it.",
                           "Install a BIOS boot loader first, or wait for the version with UEFI virtual machines.");
            case Firmware::Unknown:
                return add("firmware", "unknown", Verdict::Warning,
                           "The VM has a BIOS; a system installed for UEFI would not boot.",
                           "Make sure that the source starts by BIOS.");
        }
    }

    void check_boot_loader() {
        const auto& loader = inventory_.boot.loader;
        if (loader == "grub2")
            return add("boot-loader", "GRUB 2", Verdict::Ok, "The repair makes its configuration anew.");
        add("boot-loader", loader.empty() ? "unknown" : loader, Verdict::Warning,
            "The repair knows GRUB 2; this one must find its disk by itself.",
            "Make sure that its configuration names the root by UUID.");
    }

    bool has_file(std::string_view prefix) const {
        return std::any_of(inventory_.boot.files.begin(), inventory_.boot.files.end(),
                           [&](const auto& f) { return f.path.starts_with(prefix); });
    }

    void check_initramfs() {
        if (inventory_.os.family != "linux") return;
        if (has_file("/etc/initramfs-tools/"))
            return add("initramfs", "initramfs-tools", Verdict::Ok,
                       "It is made anew with the drivers of the VM's controller.");
        if (has_file("/etc/dracut.conf"))
            return add("initramfs", "dracut", Verdict::Ok, "It is made anew with the drivers of the VM's controller.");
        add("initramfs", has_file("/etc/mkinitcpio.conf") ? "mkinitcpio" : "unknown tool", Verdict::Warning,
            "The repair may not be able to give the initramfs the VM's storage driver.",
            fmt::format("Put the driver of '{}' into the initramfs on the source before the capture.",
                        name_of(controller_)));
    }

    void check_memory() {
        auto source = inventory_.system.memory_bytes >> 20;
        auto wanted = switches_.memory_mib.value_or(source);
        auto what = fmt::format("{} MiB", wanted);
        if (wanted == 0)
            return add("memory", "unknown", Verdict::Error, "The VM's memory is not known.", "Give --vmmemory.");
        if (wanted < kAgentMemoryFloorMib)
            return add("memory", what, Verdict::Error,
                       fmt::format("The agent needs {} MiB to deploy and repair.", kAgentMemoryFloorMib),
                       "Give --vmmemory with more.");
        if (wanted > kMaxMemoryMib)
            return add("memory", what, Verdict::Error, "No VM has that much memory.", "Give --vmmemory with less.");
        add("memory", what, Verdict::Ok,
            switches_.memory_mib ? fmt::format("As given; the source has {} MiB.", source)
                                 : "As much as the source has.");
    }

    void check_exclusions() {
        for (const auto& p : choice_.problems)
            add("excluded-drives", "--excludedrives", Verdict::Error, p, "Correct the list of --excludedrives.");
        for (const auto& d : choice_.left_out) {
            bool asked = d.why != kUsbDisk;
            bool needed = !asked && in_fstab(d.name);
            add(asked ? "excluded-drives" : "usb-disk", "disk " + d.name, needed ? Verdict::Warning : Verdict::Ok,
                needed ? "Left out: a USB disk, but /etc/fstab mounts it." : "Left out: " + d.why + ".",
                needed ? "Copy what is needed to another disk, and take it out of /etc/fstab." : "");
        }
        for (const auto& v : choice_.excluded_volumes)
            add("excluded-drives", "volume " + v, Verdict::Ok, "Left out as asked; its space reads as zeros.");
    }

    bool in_fstab(const std::string& disk) const {
        return std::any_of(inventory_.volumes.begin(), inventory_.volumes.end(), [&](const auto& v) {
            auto on = disks_of(inventory_, v);
            return !v.fstab_spec.empty() && (v.name == disk || std::find(on.begin(), on.end(), disk) != on.end());
        });
    }

    void check_disks() {
        for (const auto* d : choice_.kept) {
            auto what = fmt::format("disk {}, {}", d->name, human_bytes(d->size));
            if (d->size > kMaxDisk)
                add("disk-size", what, Verdict::Error, "A virtual disk holds at most 2040 GB.",
                    "Leave it out with --excludedrives, or make its table and volumes smaller.");
            else if (controller_ == Controller::Ide && d->size > kMaxIdeDisk)
                add("disk-size", what, Verdict::Error, "A virtual IDE disk holds at most 127 GB.",
                    "Give --targetcontroller auto, scsi or virtio.");
            else if (d->size == 0)
                add("disk-size", what, Verdict::Error, "Its size is not known.", "Run gatherhw again as root.");
            else
                add("disk-size", what, Verdict::Ok,
                    fmt::format("Fits on the VM's {} controller.", name_of(controller_)));
            if (d->logical_sector != 512)
                add("sector-size", what, Verdict::Error,
                    fmt::format(
                        "Its sectors have {} bytes, a virtual disk's 512: tables and file systems would not fit.",
                        d->logical_sector),
                    "Leave it out with --excludedrives and copy its files.");
            if (d->table == TableKind::Unknown)
                add("partition-table", what, Verdict::Warning,
                    "Its partition table could not be read: it is captured sector by sector.",
                    "Run gatherhw again as root to know more.");
            check_dynamic(*d);
        }
    }

    void check_dynamic(const Disk& disk) {
        static constexpr std::string_view kTypes[] = {"0x42", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3",
                                                      "af9b60a0-1431-4f62-bc68-3311714a69ad"};
        for (const auto& p : disk.partitions)
            if (std::find(std::begin(kTypes), std::end(kTypes), p.type) != std::end(kTypes))
                return add("dynamic-disk", "disk " + disk.name, Verdict::Warning,
                           "A Windows dynamic disk: its volumes are captured sector by sector and cannot be left out.",
                           "Keep all disks of the group together.");
    }

    void check_disk_count() {
        auto count = choice_.kept.size(), most = most_disks(controller_);
        auto what = fmt::format("disks: {}", count);
        if (count == 0)
            return add("disk-count", what, Verdict::Error, "There is nothing to migrate.",
                       "Run gatherhw as root, or leave out fewer disks.");
        if (count > most)
            return add("disk-count", what, Verdict::Error,
                       fmt::format("The VM's {} controller takes {} disks.", name_of(controller_), most),
                       "Leave some out with --excludedrives, or give another --targetcontroller.");
        add("disk-count", what, Verdict::Ok,
            fmt::format("The VM's {} controller takes {}.", name_of(controller_), most));
    }

    void check_root() {
        auto roots = volumes_named(inventory_, "/");
        if (roots.empty())
            return add("root", "no volume is mounted at /", Verdict::Error,
                       "Where the system lies is not known, so it cannot be repaired.",
                       "Run gatherhw on the running source; a system on a network file system cannot be migrated.");
        const auto& root = *roots.front();
        auto what = fmt::format("root on {} ({})", root.name, root.filesystem.empty() ? "?" : root.filesystem);
        bool kept = false;
        for (const auto& name : disks_of(inventory_, root))
            for (const auto* d : choice_.kept) kept = kept || d->name == name;
        if (root.kind == VolumeKind::Disk)
            for (const auto* d : choice_.kept) kept = kept || d->name == root.name;
        if (!kept)
            return add("root", what, Verdict::Error, "The disk that holds the system is not among those that migrate.",
                       "Do not leave it out; a disk behind a SAN or multipath cannot be migrated.");
        if (root.kind == VolumeKind::Crypt)
            return add("root", what, Verdict::Warning, "The repair cannot look into an encrypted root.",
                       "Put the VM's storage driver into the initramfs on the source before the capture.");
        if (root.kind == VolumeKind::Md || root.kind == VolumeKind::Lvm)
            return add("root", what, Verdict::Warning, "The repair must put RAID or LVM together first.",
                       "Keep the source untouched until the first boot has been proved.");
        if (root.filesystem == "btrfs" || root.filesystem == "zfs")
            return add("root", what, Verdict::Warning, "The repair was not tried on this file system.",
                       "Keep the source untouched until the first boot has been proved.");
        add("root", what, Verdict::Ok, "The repair finds the system there.");
    }

    void check_volumes() {
        for (const auto& v : inventory_.volumes) {
            auto on = disks_of(inventory_, v);
            bool migrates = std::any_of(choice_.kept.begin(), choice_.kept.end(), [&](auto* d) {
                return d->name == v.name || std::find(on.begin(), on.end(), d->name) != on.end();
            });
            if (migrates) check_volume(v);
        }
    }

    void check_volume(const Volume& v) {
        auto what = fmt::format("volume {} ({})", v.name, v.filesystem.empty() ? "no file system known" : v.filesystem);
        if (v.state == VolumeState::Hibernated)
            add("volume-state", what, Verdict::Warning, "It holds a hibernated system; all of it is captured and kept.",
                "Start the source and shut it down instead of hibernating it.");
        if (v.state == VolumeState::NeedsRecovery)
            add("volume-state", what, Verdict::Warning,
                "Its journal needs recovery, or it is marked dirty: it is captured sector by sector.",
                "Shut the source down cleanly before the capture.");
        if (v.kind == VolumeKind::Crypt || v.filesystem == "luks")
            add("encryption", what, Verdict::Warning, "Encrypted: captured sector by sector, and nothing compresses.",
                "Have the passphrase at hand for the first boot.");
        if (v.kind == VolumeKind::Md || v.filesystem == "linux-raid-member")
            add("raid", what, Verdict::Warning,
                "Software RAID: its members are captured sector by sector, each by itself.",
                "Migrate all members together, or break the mirror before.");
        if (v.kind == VolumeKind::Multipath)
            add("multipath", what, Verdict::Warning, "The VM has one path to its disks.",
                "Remove multipath on the source, or after the first boot.");
        if (v.filesystem == "lvm2-member")
            add("lvm", what, Verdict::Warning, "An LVM volume group: captured sector by sector.",
                "Migrate all disks of the group together.");
    }

    void check_network() {
        std::size_t wired = 0;
        for (const auto& a : inventory_.network) {
            wired += a.kind == AdapterKind::Physical;
            if (a.kind == AdapterKind::Wireless)
                add("network", "adapter " + a.name, Verdict::Warning, "Wireless: the VM has no such adapter.",
                    "Move its configuration to a wired one.");
            if (a.kind == AdapterKind::Bond)
                add("network", "bond " + a.name, Verdict::Warning,
                    "The VM's adapters are on one virtual network; the bond stays configured.",
                    "Make sure that its mode needs nothing of a switch (LACP does).");
        }
        auto nics = choose_nics(inventory_, switches_.admin_mac);
        auto what = fmt::format("wired adapters: {}", wired);
        if (nics.empty())
            return add("network", what, Verdict::Error, "The source cannot boot from the network.",
                       "Put in an adapter that boots by PXE, and run gatherhw again.");
        if (wired > kMaxNics)
            add("network", what, Verdict::Warning,
                fmt::format("The VM has at most {} adapters: the others are left out.", kMaxNics),
                "Name the one that matters by --adminmac; move addresses of the others.");
        else add("network", what, Verdict::Ok, fmt::format("The VM has at most {}.", kMaxNics));
        auto first = hardware_mac(*nics.front());
        if (switches_.admin_mac && MacAddress::parse(first) != switches_.admin_mac)
            add("network", switches_.admin_mac->text(), Verdict::Warning, "--adminmac is no adapter of the inventory.",
                "Correct it unless the adapter is new.");
        else if (nics.front()->pxe_capable == false)
            add("network", "adapter " + nics.front()->name, Verdict::Warning,
                "It may not boot from the network: " + nics.front()->pxe_evidence + ".",
                "Try a network boot of the source before the migration.");
    }

    void check_addresses() {
        for (const auto* a : choose_nics(inventory_, switches_.admin_mac)) {
            auto what = fmt::format("adapter {} ({})", a->name, hardware_mac(*a));
            if (a->configuration == AddressOrigin::Dhcp && switches_.dynamic_macs)
                add("address", what, Verdict::Warning, "DHCP, and the VM has another MAC: it gets another address.",
                    "Change the reservation at the DHCP server, or drop --virtualmacdynamic.");
            else if (a->configuration == AddressOrigin::Dhcp)
                add("address", what, Verdict::Ok, "DHCP: the VM asks with the same MAC.");
            else if (a->configuration == AddressOrigin::Static)
                add("address", what, Verdict::Ok,
                    "A static address: it moves along, so source and VM must not run at once on one network.");
            else if (a->link && !a->addresses.empty())
                add("address", what, Verdict::Warning, "It has an address, but nothing says from where.",
                    "Note how it is configured, to compare after the first boot.");
            else add("address", what, Verdict::Ok, "Not configured.");
        }
    }

    void check_ports() {
        std::size_t serial = 0;
        for (const auto& p : inventory_.ports) {
            serial += p.kind == PortKind::Serial;
            if (p.kind == PortKind::Parallel)
                add("parallel-port", p.name, Verdict::Warning, "The VM has no parallel port.",
                    "Move what hangs on it (printer, dongle) to the network.");
        }
        if (serial > 0)
            add("serial-port", fmt::format("serial ports: {}", serial), Verdict::Ok,
                "The VM has serial ports too, but nothing hangs on them: a UPS or modem stays behind.");
    }

    void check_usb() {
        static constexpr std::string_view kHarmless[] = {"usbhid", "hub", "usb-storage", "uas"};
        for (const auto& d : inventory_.usb) {
            if (std::find(std::begin(kHarmless), std::end(kHarmless), d.driver) != std::end(kHarmless)) continue;
            add("usb-device", fmt::format("{} {:04x}:{:04x} {}", d.address, d.vendor, d.product, d.name),
                Verdict::Warning, "The VM has no USB devices of the host: a dongle or UPS stays behind.",
                "Ask its maker for a licence or a connection by network.");
        }
    }

    const Inventory& inventory_;
    const Switches& switches_;
    const std::vector<std::string>& reader_warnings_;
    DiskChoice choice_;
    Controller controller_;
    std::vector<Finding> out_;
};

}  // namespace

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Ok: return "OK";
        case Verdict::Warning: return "warning";
        case Verdict::Error: return "error";
    }
    return "?";
}

std::vector<Finding> check(const Inventory& inventory, const Switches& switches,
                           const std::vector<std::string>& reader_warnings) {
    return Checker(inventory, switches, reader_warnings).run();
}

Verdict worst(const std::vector<Finding>& findings) {
    auto verdict = Verdict::Ok;
    for (const auto& f : findings) verdict = std::max(verdict, f.verdict);
    return verdict;
}

ExitCode exit_code_of(Verdict verdict) {
    return verdict == Verdict::Ok ? kExitDone : verdict == Verdict::Warning ? kExitWarnings : kExitFailed;
}

std::string findings_text(const Inventory& inventory, const std::vector<Finding>& findings) {
    std::string out = fmt::format("{}: {}\n\n", printable(inventory.system.host_name), printable(inventory.os.name));
    std::size_t width = 0, count[3] = {};
    for (const auto& f : findings) width = std::max(width, std::min<std::size_t>(f.what.size(), 44));
    for (const auto& f : findings) {
        ++count[static_cast<int>(f.verdict)];
        out += fmt::format("{:<8} {:<16} {:<{}}  {}\n", name_of(f.verdict), f.id, f.what, width, f.meaning);
        if (!f.to_do.empty()) out += fmt::format("{:<8} {:<16} -> {}\n", "", "", f.to_do);
    }
    auto result = worst(findings);
    out += fmt::format("\n{} OK, {} warnings, {} errors: {}\n", count[0], count[1], count[2],
                       result == Verdict::Error     ? "it cannot be migrated like this."
                       : result == Verdict::Warning ? "it can be migrated; read the warnings first."
                                                    : "it can be migrated.");
    return out;
}

std::string findings_json(const Inventory& inventory, const std::vector<Finding>& findings) {
    boost::json::array rows;
    for (const auto& f : findings)
        rows.push_back({{"id", f.id},
                        {"what", f.what},
                        {"verdict", name_of(f.verdict)},
                        {"meaning", f.meaning},
                        {"to_do", f.to_do}});
    return boost::json::serialize(boost::json::object{{"machine", printable(inventory.system.host_name)},
                                                      {"verdict", name_of(worst(findings))},
                                                      {"checks", std::move(rows)}}) +
           "\n";
}

}  // namespace slipway::vmscript
