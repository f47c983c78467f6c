// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/test/phony_machine.hpp"

#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "lib/base/bytes.hpp"
#include "lib/base/process.hpp"

namespace slipway::gatherhw {

namespace {

namespace fs = std::filesystem;

class Maker {
public:
    explicit Maker(fs::path root) : root_(std::move(root)) {}

    void file(std::string_view path, std::string_view text) const {
        auto at = root_ / path.substr(1);
        fs::create_directories(at.parent_path());
        std::ofstream(at, std::ios::binary) << text;
    }
    void link(std::string_view path, std::string_view target) const {
        auto at = root_ / path.substr(1);
        fs::create_directories(at.parent_path());
        fs::create_symlink(target, at);
    }
    void pci(const std::string& slot, std::string_view vendor, std::string_view device, std::string_view device_class,
             const std::string& driver) const {
        auto at = "/sys/devices/pci0000:00/" + slot;
        file(at + "/vendor", std::string(vendor) + "\n");
        file(at + "/device", std::string(device) + "\n");
        file(at + "/subsystem_vendor", "0x1af4\n");
        file(at + "/subsystem_device", "0x1100\n");
        file(at + "/class", std::string(device_class) + "\n");
        file(at + "/modalias", "pci:of-" + slot + "\n");
        if (!driver.empty()) link(at + "/driver", "../../../bus/pci/drivers/" + driver);
        link("/sys/bus/pci/devices/" + slot, "../../../devices/pci0000:00/" + slot);
    }
    void block(const std::string& name, const std::string& device, const std::string& number,
               std::uint64_t sectors) const {
        auto at = device + "/block/" + name;
        file(at + "/size", std::to_string(sectors) + "\n");
        file(at + "/dev", number + "\n");
        file(at + "/removable", "0\n");
        file(at + "/ro", "0\n");
        file(at + "/queue/logical_block_size", "512\n");
        file(at + "/queue/physical_block_size", "4096\n");
        file(at + "/queue/rotational", "1\n");
        link(at + "/device", "../../../" + fs::path(device).filename().string());
        link("/sys/block/" + name, ".." + at.substr(4));
    }
    void partition(const std::string& disk_at, const std::string& name, int index, const std::string& number,
                   std::uint64_t start, std::uint64_t sectors) const {
        file(disk_at + "/" + name + "/partition", std::to_string(index) + "\n");
        file(disk_at + "/" + name + "/start", std::to_string(start) + "\n");
        file(disk_at + "/" + name + "/size", std::to_string(sectors) + "\n");
        file(disk_at + "/" + name + "/dev", number + "\n");
    }
    const fs::path& root() const { return root_; }

private:
    fs::path root_;
};

constexpr std::uint64_t kSectors = 65536, kRootStart = 2048, kRootSectors = 49152, kSwapStart = 51200,
                        kSwapSectors = 14336;

void make_disk_image(const Maker& m) {
    fs::create_directories(m.root() / "dev");
    auto image = m.root() / "dev/sda";
    std::ofstream(image).close();
    fs::resize_file(image, kSectors * 512);
    auto made =
        run_checked({"mke2fs", "-q", "-F", "-t", "ext4", "-L", "rootfs", "-U", "11111111-2222-3333-4444-555555555555",
                     "-M", "/srv/old", "-E", "offset=" + std::to_string(kRootStart * 512), image.string(),
                     std::to_string(kRootSectors / 2)});
    ASSERT_TRUE(made.ok()) << made.error().explain();
    ByteWriter mbr;
    mbr.zeros(0x1b8).le32(0x1a2b3c4d).le16(0);
    mbr.u8(0x80).zeros(3).u8(0x83).zeros(3).le32(kRootStart).le32(kRootSectors);
    mbr.u8(0).zeros(3).u8(0x82).zeros(3).le32(kSwapStart).le32(kSwapSectors);
    mbr.zeros(32).u8(0x55).u8(0xaa);
    ByteWriter swap;  // linux/swap.h: version, last page, bad pages, uuid, label
    swap.le32(1).le32(kSwapSectors / 8 - 1).le32(0).bytes(Bytes(16, std::byte{0x77})).text("swap");
    std::fstream out(image, std::ios::in | std::ios::out | std::ios::binary);
    auto put = [&](std::uint64_t at, std::string_view text) {
        out.seekp(static_cast<std::streamoff>(at));
        out.write(text.data(), static_cast<std::streamsize>(text.size()));
    };
    put(0, as_text(mbr.view()));
    put(kSwapStart * 512 + 1024, as_text(swap.view()));
    put(kSwapStart * 512 + 4086, "SWAPSPACE2");
}

void make_system(const Maker& m) {
    m.file("/proc/cpuinfo",
           "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 44\nstepping\t: 2\n"
           "cpu MHz\t\t: 1600.123\nmodel name\t: Xeon X5650\nphysical id\t: 0\ncore id\t\t: 0\n"
           "flags\t\t: fpu lm vmx\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon X5650\n"
           "physical id\t: 1\ncore id\t\t: 0\nflags\t\t: fpu lm vmx\n");
    m.file("/proc/meminfo", "MemTotal:        2035000 kB\nMemFree: 1 kB\n");
    m.file("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=UUID=11111111-2222-3333-4444-555555555555 ro quiet\n");
    m.file("/proc/sys/kernel/hostname", "triton.example.org\n");
    m.file("/proc/sys/kernel/osrelease", "6.1.0-28-amd64\n");
    m.file("/proc/modules", "megaraid_sas 180224 2 - Live 0x0\nlibahci 49152 1 ahci, Live 0x0\n");
    m.file("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n");
    m.file("/etc/debian_version", "12.8\n");
    m.link("/sbin/init", "/lib/systemd/systemd");
    m.file("/lib/systemd/systemd", "");
    for (auto [name, text] : {std::pair{"sys_vendor", "Acme\n"},
                              {"product_name", "Server 9\n"},
                              {"product_serial", "S1\n"},
                              {"product_uuid", "7B3BA6B6-3B1A-4D6F-9BD3-0123456789AB\n"},
                              {"bios_vendor", "SeaBIOS\n"},
                              {"bios_version", "1.16\n"},
                              {"bios_date", "04/01/2014\n"}})
        m.file(std::string("/sys/class/dmi/id/") + name, text);
    m.file("/sys/devices/system/cpu/possible", "0-7\n");
    m.file("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency", "2660000\n");
    m.file("/sys/firmware/acpi/tables/SLIC", "x");
    m.file("/sys/firmware/acpi/tables/APIC", "x");
    m.file("/sys/firmware/acpi/tables/dynamic/SSDT1", "x");
    m.link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin");
    m.file("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    m.file("/etc/default/locale", "LANG=\"de_DE.UTF-8\"\n");
    ByteWriter dmi;  // a rack chassis, and one memory device of 2048 MiB
    dmi.u8(3).u8(9).le16(0x0300).u8(0).u8(0x17).zeros(3).zeros(2);
    dmi.u8(17).u8(0x15).le16(0x1100).zeros(8).le16(2048).zeros(7).zeros(2);
    m.file("/sys/firmware/dmi/tables/DMI", as_text(dmi.view()));
}

void make_disks(const Maker& m) {
    m.pci("0000:00:05.0", "0x1000", "0x0060", "0x010400", "megaraid_sas");
    std::string lun = "/sys/devices/pci0000:00/0000:00:05.0/host0/target0:2:0/0:2:0:0";
    m.file(lun + "/vendor", "DELL    \n");
    m.file(lun + "/model", "PERC 6/i        \n");
    m.file(lun + "/rev", "1.22\n");
    m.file(lun + "/wwid", "naa.600188b0deadbeef\n");
    m.file(lun + "/ioerr_cnt", "0x2\n");
    m.file(lun + "/vpd_pg80", std::string_view("\x00\x80\x00\x04SN42", 8));
    m.block("sda", lun, "8:0", kSectors);
    m.partition(lun + "/block/sda", "sda1", 1, "8:1", kRootStart, kRootSectors);
    m.partition(lun + "/block/sda", "sda2", 2, "8:2", kSwapStart, kSwapSectors);
    make_disk_image(m);
    for (int i = 0; i < 2; ++i) {
        auto n = std::to_string(i);
        m.pci("0000:00:0" + std::to_string(6 + i) + ".0", "0x8086", "0x5845", "0x010802", "nvme");
        auto at = "/sys/devices/pci0000:00/0000:00:0" + std::to_string(6 + i) + ".0/nvme/nvme" + n;
        m.file(at + "/model", "Fast Disk\n");
        m.file(at + "/serial", "NV" + n + "\n");
        m.block("nvme" + n + "n1", at, "259:" + n, 1u << 20);
        m.file("/run/udev/data/b259:" + n, "E:ID_FS_TYPE=linux_raid_member\nE:ID_FS_UUID=aaaa-" + n + "\n");
    }
    std::string tape = "/sys/devices/pci0000:00/0000:00:05.0/host0/target0:3:0/0:3:0:0";
    m.file(tape + "/vendor", "HP      \n");
    m.file(tape + "/model", "Ultrium 3-SCSI  \n");
    for (std::string name : {"st0", "nst0", "st0a"}) m.link("/sys/class/scsi_tape/" + name + "/device", tape);
    std::string raid = "/sys/devices/virtual/block/md0", lvm = "/sys/devices/virtual/block/dm-0";
    m.file(raid + "/size", "1048448\n");
    m.file(raid + "/dev", "9:0\n");
    m.file(raid + "/md/level", "raid1\n");
    m.file(raid + "/slaves/nvme0n1/dev", "259:0\n");
    m.file(raid + "/slaves/nvme1n1/dev", "259:1\n");
    m.link("/sys/block/md0", "../devices/virtual/block/md0");
    m.file("/run/udev/data/b9:0", "E:ID_FS_TYPE=LVM2_member\n");
    m.file(lvm + "/size", "524288\n");
    m.file(lvm + "/dev", "253:0\n");
    m.file(lvm + "/dm/name", "data--vg-home--dirs\n");
    m.file(lvm + "/dm/uuid", "LVM-abcdef\n");
    m.file(lvm + "/slaves/md0/dev", "9:0\n");
    m.link("/sys/block/dm-0", "../devices/virtual/block/dm-0");
    m.file("/run/udev/data/b253:0", "E:ID_FS_TYPE=xfs\nE:ID_FS_UUID=bbbb\nE:ID_FS_LABEL=home\n");
    m.file("/sys/devices/virtual/block/loop0/size", "100\n");
    m.link("/sys/block/loop0", "../devices/virtual/block/loop0");
    m.file("/sys/devices/pci0000:00/0000:00:05.0/dvd/block/sr0/device/model", "DVD-ROM\n");
    m.link("/sys/block/sr0", "../devices/pci0000:00/0000:00:05.0/dvd/block/sr0");
    m.file("/etc/fstab",
           "# a comment\nUUID=11111111-2222-3333-4444-555555555555 / ext4 errors=remount-ro 0 1\n"
           "/dev/sda2 none swap sw 0 0\n/dev/data-vg/home-dirs /home\\040dirs xfs defaults 0 2\n");
    m.link("/proc/self", "4711");
    m.file("/proc/4711/mountinfo",
           "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n23 22 8:1 /srv /export rw - ext4 /dev/root rw\n");
    m.file("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 7164 0 -2\n");
}

void make_adapter(const Maker& m, const std::string& name, const std::string& slot, const std::string& mac, bool link) {
    m.pci(slot, "0x8086", "0x100e", "0x020000", "e1000");
    auto at = "/sys/devices/pci0000:00/" + slot + "/net/" + name;
    m.file(at + "/type", "1\n");
    m.file(at + "/address", mac + "\n");
    m.file(at + "/addr_assign_type", "0\n");
    m.file(at + "/carrier", link ? "1\n" : "0\n");
    m.file(at + "/speed", "1000\n");
    m.link(at + "/device", "../../../" + slot);
    m.link("/sys/class/net/" + name, "../.." + at.substr(4));
}

void make_network(const Maker& m) {
    make_adapter(m, "ens18", "0000:00:12.0", "52:54:00:51:00:01", true);
    make_adapter(m, "ens19", "0000:00:13.0", "52:54:00:51:00:02", true);
    make_adapter(m, "ens20", "0000:00:14.0", "52:54:00:51:00:03", false);
    m.file("/sys/devices/pci0000:00/0000:00:12.0/rom", "");
    m.file("/sys/class/net/lo/type", "772\n");
    m.file("/etc/network/interfaces", "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n");
    m.file("/etc/network/interfaces.d/ens18", "auto ens18\niface ens18 inet static\n  address 10.99.0.50/24\n");
    m.file("/etc/NetworkManager/system-connections/x.nmconnection",
           "[connection]\nid=x\ninterface-name=ens19\n[ipv4]\nmethod=auto\n");
    m.file("/etc/netplan/01.yaml",
           "network:\n  ethernets:\n    other:\n      dhcp4: true\n    ens20:\n      dhcp4: false\n      addresses: "
           "[10.1.2.3/8]\n");
    m.file("/proc/net/route",
           "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
           "ens18\t00000000\t0100630A\t0003\t0\t0\t0\t00000000\nens18\t0000630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
           "ens19\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n");
    m.file("/proc/net/fib_trie",
           "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.99.0.50\n        /32 host LOCAL\n     |-- 10.99.0.255\n"
           "        /32 link BROADCAST\n     |-- 192.168.1.9\n        /32 host LOCAL\n");
    m.file("/proc/net/if_inet6",
           "fe800000000000005054 bad line\nfe80000000000000505400fffe510001 02 40 20 80    ens18\n");
    // Absolute, as it is on real machines: it must not lead out of the tree.
    m.link("/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf");
    m.file("/run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n");
    m.file("/run/systemd/resolve/resolv.conf", "nameserver 10.99.0.1\nnameserver 9.9.9.9\n");
}

void make_devices(const Maker& m) {
    m.pci("0000:00:02.0", "0x1234", "0x1111", "0x030000", "bochs-drm");
    m.file("/sys/class/tty/ttyS0/type", "4\n");
    m.file("/sys/class/tty/ttyS0/port", "0x3F8\n");
    m.file("/sys/class/tty/ttyS0/irq", "4\n");
    m.file("/sys/class/tty/ttyS1/type", "0\n");
    m.file("/proc/sys/dev/parport/default/timeslice", "200\n");
    m.file("/proc/sys/dev/parport/parport0/base-addr", "888\t1912\n");
    m.file("/proc/asound/cards", " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA at 0xf\n");
    m.file("/sys/bus/usb/devices/1-1/idVendor", "0627\n");
    m.file("/sys/bus/usb/devices/1-1/idProduct", "0001\n");
    m.file("/sys/bus/usb/devices/1-1/product", "QEMU USB Tablet\n");
    m.file("/sys/bus/usb/devices/1-1/bDeviceClass", "00\n");
    m.file("/sys/bus/usb/devices/1-1/1-1:1.0/bInterfaceClass", "03\n");
    m.file("/run/udev/data/+pci:0000:00:02.0",
           "E:ID_VENDOR_FROM_DATABASE=Technical Corp.\nE:ID_MODEL_FROM_DATABASE=Bochs VGA\n");
    m.file("/sys/devices/system/edac/mc/mc0/ce_count", "4\n");
    m.file("/sys/devices/system/edac/mc/mc0/ue_count", "0\n");
    m.link("/sys/bus/usb/devices/1-1/1-1:1.0/driver", "../../../drivers/usbhid");
}

void make_software(const Maker& m) {
    m.file("/lib/systemd/system/ssh.service",
           "[Unit]\nDescription=OpenBSD Secure Shell server\n[Service]\nExecStart=/usr/sbin/sshd -D\n");
    m.link("/etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service");
    m.link("/etc/systemd/system/telnet.service", "/dev/null");
    m.file("/etc/init.d/oldthing", "#!/bin/sh\n");
    m.link("/etc/rc2.d/S01oldthing", "../init.d/oldthing");
    m.link("/etc/rc2.d/S02ssh", "../init.d/ssh");
    m.file("/etc/rc.local", "#!/bin/sh\n# nothing\n/opt/x --start\nexit 0\n");
    m.file("/etc/cron.d/job", "@reboot root /opt/y now\n5 4 * * * root /opt/z\n");
    m.file("/etc/xdg/autostart/a.desktop", "[Desktop Entry]\nName=Agent A\nExec=/usr/bin/a --x\n");
    m.file("/boot/grub/grub.cfg", "set default=0\nmenuentry 'Debian' {\n\tlinux /boot/vmlinuz root=UUID=1 ro\n}\n");
    m.file("/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n");
    m.file("/boot/vmlinuz-6.1.0-28-amd64", "");
    m.file("/boot/vmlinuz-6.1.0-9-amd64", "");
    m.file("/var/log/kern.log",
           "Nov 1 kernel: [ 1.0] blk_update_request: I/O error, dev sda, sector 7\n"
           "Nov 1 kernel: [ 2.0] EXT4-fs error (device sda1): ext4_lookup:1: bad\n");
    m.file("/etc/initramfs-tools/initramfs.conf", "MODULES=dep\n");
}

}  // namespace

void make_phony_machine(const fs::path& root) {
    Maker m(root);
    make_system(m);
    make_disks(m);
    make_network(m);
    make_devices(m);
    make_software(m);
}

}  // namespace slipway::gatherhw
