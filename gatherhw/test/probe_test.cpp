// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/linux/health.hpp"
#include "gatherhw/linux/log.hpp"
#include "gatherhw/linux/smbios.hpp"
#include "gatherhw/linux/tree.hpp"
#include "gatherhw/probe.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/test/phony_machine.hpp"
#include "gatherhw/test/sample.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/xml.hpp"

using namespace slipway;
using namespace slipway::gatherhw;
namespace fs = std::filesystem;

namespace {

Inventory collect(const fs::path& root) {
    ManualClock clock;
    auto inventory = linux_probe({.root = root, .live = false}, clock)->collect();
    EXPECT_TRUE(inventory.ok()) << inventory.error().explain();
    return inventory ? std::move(*inventory) : Inventory{};
}

class PhonyMachine : public testing::Test {
protected:
    void SetUp() override {
        if (!fs::exists("/usr/sbin/mke2fs") && !fs::exists("/sbin/mke2fs")) GTEST_SKIP() << "mke2fs is not installed";
        make_phony_machine(temp_.path());
    }
    TempDir temp_ = std::move(TempDir::create("phony").value());
};

void write(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

// SLIPWAY_REGENERATE=1 writes the golden anew.
TEST_F(PhonyMachine, gives_the_golden_inventory) {
    auto inventory = collect(temp_.path());
    auto root = volumes_named(inventory, "/");
    ASSERT_EQ(root.size(), 1u);
    ASSERT_TRUE(root[0]->used.has_value());
    EXPECT_GT(*root[0]->used, 1u << 20);
    EXPECT_LT(*root[0]->used, root[0]->size);
    const_cast<Volume*>(root[0])->used = 4096;  // differs from one mke2fs to another
    auto xml = to_xml(inventory);
    auto program = xml.find(" program=");
    xml.erase(program, xml.find(" collected=") - program);
    const std::string golden = SLIPWAY_SOURCE_DIR "/gatherhw/test/golden/phony.xml";
    if (std::getenv("SLIPWAY_REGENERATE")) {
        ASSERT_TRUE(write_file_atomic(golden, as_bytes(xml)).ok());
    }
    EXPECT_EQ(read_text_file(golden).value_or(""), xml);
}

TEST_F(PhonyMachine, writes_what_the_schema_and_the_reader_accept) {
    auto xml = to_xml(collect(temp_.path()));
    auto valid = check_against_xsd(xml, read_text_file(SLIPWAY_SOURCE_DIR "/gatherhw/inventory.xsd").value());
    EXPECT_TRUE(valid.ok()) << valid.error().explain();
    auto read = read_inventory(xml);
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_EQ(disks_of(read->inventory, *volumes_named(read->inventory, "/home dirs").at(0)),
              (std::vector<std::string>{"nvme0n1", "nvme1n1"}));
}

TEST_F(PhonyMachine, without_reading_disks_udev_and_sysfs_are_believed) {
    ManualClock clock;
    auto inventory = linux_probe({.root = temp_.path(), .live = false, .read_disks = false}, clock)->collect();
    ASSERT_TRUE(inventory.ok());
    const auto* disk = find_disk(*inventory, "sda");
    ASSERT_NE(disk, nullptr);
    EXPECT_EQ(disk->table, TableKind::Unknown);
    ASSERT_EQ(disk->partitions.size(), 2u);
    EXPECT_EQ(disk->partitions[1].offset, 51200u * 512);
    EXPECT_EQ(inventory->volumes.at(0).filesystem, "linux-raid-member");
}

TEST_F(PhonyMachine, uefi_with_secure_boot_is_seen) {
    write(temp_ / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
          std::string_view("\x06\x00\x00\x00\x01", 5));
    auto inventory = collect(temp_.path());
    EXPECT_EQ(inventory.system.firmware, Firmware::Uefi);
    EXPECT_EQ(inventory.system.secure_boot, true);
}

TEST_F(PhonyMachine, a_disk_that_is_cut_short_or_no_disk_at_all_does_not_stop_it) {
    fs::resize_file(temp_ / "dev/sda", 100);
    auto inventory = collect(temp_.path());
    EXPECT_EQ(inventory.disks.size(), 3u);
    fs::remove(temp_ / "dev/sda");
    fs::create_directory(temp_ / "dev/sda");
    EXPECT_FALSE(collect(temp_.path()).unread.empty());
}

TEST(LinuxProbe, every_way_of_saying_dhcp_is_understood) {
    struct Row {
        const char *file, *text;
        AddressOrigin expected;
    };
    const Row rows[] = {
        {"etc/network/interfaces", "iface eth0 inet dhcp\n", AddressOrigin::Dhcp},
        {"etc/network/interfaces", "iface eth0 inet manual\n", AddressOrigin::Unknown},
        {"etc/network/interfaces", "iface eth01 inet dhcp\n", AddressOrigin::Unknown},
        {"etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0:\n      dhcp4: yes\n", AddressOrigin::Dhcp},
        {"etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0: {}\n    eth1:\n      dhcp4: yes\n",
         AddressOrigin::Unknown},
        {"etc/systemd/network/a.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\n", AddressOrigin::Dhcp},
        {"etc/systemd/network/a.network", "[Match]\nMACAddress=02:00:00:00:00:01\n[Network]\nAddress=1.2.3.4/8\n",
         AddressOrigin::Static},
        {"etc/NetworkManager/system-connections/a",
         "[ethernet]\nmac-address=02:00:00:00:00:01\n[ipv4]\nmethod=manual\n", AddressOrigin::Static},
        {"etc/sysconfig/network-scripts/ifcfg-eth0", "BOOTPROTO=\"dhcp\"\n", AddressOrigin::Dhcp},
        {"etc/sysconfig/network-scripts/ifcfg-eth0", "BOOTPROTO=none\n", AddressOrigin::Static},
        {"var/lib/dhcp/dhclient.leases", "lease {\n  interface \"eth0\";\n}\n", AddressOrigin::Dhcp},
        {"var/lib/NetworkManager/internal-1f-eth0.lease", "ADDRESS=1.2.3.4\n", AddressOrigin::Dhcp},
        {"run/systemd/netif/leases/7", "ADDRESS=1.2.3.4\n", AddressOrigin::Dhcp},
    };
    for (const auto& row : rows) {
        auto temp = TempDir::create("dhcp").value();
        write(temp / "sys/class/net/eth0/type", "1\n");
        write(temp / "sys/class/net/eth0/ifindex", "7\n");
        write(temp / "sys/class/net/eth0/address", "02:00:00:00:00:01\n");
        write(temp / "sys/block/.keep", "");
        write(temp / row.file, row.text);
        auto inventory = collect(temp.path());
        ASSERT_EQ(inventory.network.size(), 1u) << row.file;
        EXPECT_EQ(inventory.network[0].configuration, row.expected) << row.file << "\n" << row.text;
        if (row.expected != AddressOrigin::Unknown) {
            EXPECT_TRUE(inventory.network[0].evidence.starts_with("/" + std::string(row.file)));
        }
    }
}

TEST(LinuxProbe, no_machine_is_a_named_error) {
    auto temp = TempDir::create("empty").value();
    ManualClock clock;
    auto nothing = linux_probe({.root = temp.path(), .live = false}, clock)->collect();
    ASSERT_FALSE(nothing.ok());
    EXPECT_TRUE(nothing.error().is(errors::kNoRoot));
}

TEST(LinuxProbe, the_fake_answers_what_it_was_given) {
    auto answer = fake_probe(full_inventory())->collect();
    ASSERT_TRUE(answer.ok());
    EXPECT_TRUE(*answer == full_inventory());
}

TEST_F(PhonyMachine, an_ext_file_system_tells_of_its_errors_and_where_it_was_mounted) {
    auto before = collect(temp_.path());
    auto root = volumes_named(before, "/");
    ASSERT_EQ(root.size(), 1u);
    EXPECT_EQ(root[0]->last_mount_point, "/srv/old");
    EXPECT_EQ(root[0]->has_errors, false);
    auto image = (temp_ / "dev/sda").string() + "?offset=1048576";
    if (!run_command({"debugfs", "-V"}).ok()) GTEST_SKIP() << "debugfs is not installed";
    ASSERT_TRUE(run_checked({"debugfs", "-w", "-R", "set_super_value state 2", image}).ok());
    EXPECT_EQ(volumes_named(collect(temp_.path()), "/").at(0)->has_errors, true);
}

TEST_F(PhonyMachine, bitlocker_and_luks_are_seen_and_an_image_of_a_suspended_system_too) {
    std::fstream disk(temp_ / "dev/sda", std::ios::in | std::ios::out | std::ios::binary);
    disk.seekp(2048 * 512 + 3);
    disk << "-FVE-FS-";
    disk.seekp(51200 * 512 + 4086);
    disk << "S1SUSPEND\0";
    disk.close();
    fs::remove(temp_ / "proc/swaps");
    write(temp_ / "run/udev/data/b253:0", "E:ID_FS_TYPE=crypto_LUKS\n");
    auto inventory = collect(temp_.path());
    EXPECT_EQ(find_volume(inventory, "sda1")->encryption, "bitlocker");
    EXPECT_EQ(find_volume(inventory, "data--vg-home--dirs")->encryption, "luks");
    EXPECT_EQ(inventory.os.hibernated, true);
    EXPECT_NE(inventory.os.hibernation_evidence.find("/dev/sda2"), std::string::npos);
}

TEST(LinuxProbe, a_disk_behind_fibre_channel_is_of_a_san_and_a_path_of_its_multipath_device) {
    auto temp = TempDir::create("san").value();
    auto at = temp / "sys/devices/pci0000:00/0000:00:05.0/host3/rport-3:0-1/target3:0:1/3:0:1:0/block/sda";
    write(at / "size", "2097152\n");
    write(at / "dev", "8:0\n");
    write(at / "device/model", "HSV210\n");
    fs::create_directories(temp / "sys/block");
    fs::create_directory_symlink(fs::relative(at, temp / "sys/block"), temp / "sys/block/sda");
    write(temp / "sys/block/dm-0/dm/uuid", "mpath-360050\n");
    write(temp / "sys/block/dm-0/dm/name", "mpatha\n");
    fs::create_directories(at / "holders/dm-0");
    auto inventory = collect(temp.path());
    ASSERT_EQ(inventory.disks.size(), 1u);
    const auto& d = inventory.disks[0];
    EXPECT_EQ(d.bus, BusKind::FibreChannel);
    EXPECT_EQ(d.san, true);
    EXPECT_EQ(d.multipath, "mpatha");
    EXPECT_EQ(d.member_of, std::vector<std::string>{"multipath"});
}

TEST(LinuxProbe, bonds_bridges_teams_and_vlans_name_what_they_join) {
    auto temp = TempDir::create("joined").value();
    auto net = temp / "sys/class/net";
    write(temp / "sys/block/.keep", "");
    for (auto name : {"eth0", "eth1", "bond0", "br0", "team0", "bond0.7"}) {
        write(net / name / "type", "1\n");
        write(net / name / "mtu", "9000\n");
    }
    for (auto name : {"eth0", "eth1"}) {
        fs::create_directories(net / name / "device/physfn");
        write(net / name / "address", std::string("02:00:00:00:00:0") + name[3] + "\n");
        fs::create_directory_symlink("../bond0", net / name / "master");
    }
    write(net / "bond0/uevent", "DEVTYPE=bond\n");
    write(net / "bond0/bonding/slaves", "eth0 eth1\n");
    write(net / "bond0/bonding/mode", "802.3ad 4\n");
    write(net / "br0/uevent", "DEVTYPE=bridge\n");
    fs::create_directories(net / "br0/brif/bond0.7");
    write(temp / "run/teamd/team0.pid", "1\n");
    fs::create_directories(net / "team0/lower_eth8");
    write(net / "bond0.7/uevent", "DEVTYPE=vlan\n");
    write(temp / "proc/net/vlan/config", "VLAN Dev name | VLAN ID\nName-Type: X\nbond0.7 | 7 | bond0\n");
    write(temp / "sys/firmware/ibft/ethernet0/mac", "02:00:00:00:00:00\n");
    auto i = collect(temp.path());
    ASSERT_EQ(i.network.size(), 6u);
    auto named = [&](std::string_view name) {
        return *std::find_if(i.network.begin(), i.network.end(), [&](auto& a) { return a.name == name; });
    };
    EXPECT_EQ(named("bond0").members, (std::vector<std::string>{"eth0", "eth1"}));
    EXPECT_EQ(named("bond0").mode, "802.3ad");
    EXPECT_EQ(named("eth1").master, "bond0");
    EXPECT_EQ(named("eth1").virtual_function, true);
    EXPECT_EQ(named("eth0").iscsi_boot, true);
    EXPECT_EQ(named("eth1").iscsi_boot, std::nullopt);
    EXPECT_EQ(named("br0").members, std::vector<std::string>{"bond0.7"});
    EXPECT_EQ(named("team0").kind, AdapterKind::Team);
    EXPECT_EQ(named("team0").members, std::vector<std::string>{"eth8"});
    EXPECT_EQ(named("bond0.7").vlan, 7u);
    EXPECT_EQ(named("bond0.7").parent, "bond0");
    EXPECT_EQ(named("eth0").mtu, 9000u);
}

TEST(LinuxProbe, the_default_kernel_is_told_only_where_it_is_sure) {
    auto temp = TempDir::create("boot").value();
    write(temp / "etc/hostname", "x\n");
    write(temp / "boot/grub2/grub.cfg", "set default=0\n\tlinux16 /vmlinuz-3.10 ro\n\tlinux16 /vmlinuz-2.6 ro\n");
    EXPECT_EQ(collect(temp.path()).boot.default_kernel, "/vmlinuz-3.10");
    write(temp / "boot/grub2/grubenv", "# GRUB Environment Block\nsaved_entry=CentOS Linux (2.6)\n####");
    auto boot = collect(temp.path()).boot;
    EXPECT_EQ(boot.default_entry, "CentOS Linux (2.6)");
    EXPECT_EQ(boot.default_kernel, "");
    const std::string efi = "sys/firmware/efi/efivars/", guid = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    write(temp / (efi + "BootCurrent" + guid), std::string_view("\x06\0\0\0\x02\0", 6));
    write(temp / (efi + "Boot0002" + guid), std::string_view("\x07\0\0\0\x01\0\0\0\x04\0d\0e\0b\0\0\0\x04", 19));
    EXPECT_EQ(collect(temp.path()).boot.firmware_entry, "deb");
    write(temp / (efi + "Boot0002" + guid), "\x07");
    EXPECT_EQ(collect(temp.path()).boot.firmware_entry, "");
}

TEST(DiskHealth, ata_answers_by_two_registers_and_all_else_is_unknown) {
    Bytes sense(64);
    sense[0] = std::byte{0x72};
    sense[8] = std::byte{0x09};
    sense[17] = std::byte{0x4f};
    sense[19] = std::byte{0xc2};
    EXPECT_EQ(read_ata_sense(sense).health, Health::Good);
    sense[17] = std::byte{0xf4};
    EXPECT_EQ(read_ata_sense(sense), HealthAnswer{});
    sense[19] = std::byte{0x2c};
    EXPECT_EQ(read_ata_sense(sense).health, Health::Failing);
    EXPECT_EQ(read_ata_sense(ByteView(sense).first(19)), HealthAnswer{});
    sense[0] = std::byte{0x70};
    EXPECT_EQ(read_ata_sense(sense), HealthAnswer{});
}

TEST(DiskHealth, nvme_warns_by_bits_and_heat_is_no_failure) {
    Bytes log(512);
    EXPECT_EQ(read_nvme_log(log), HealthAnswer{}) << "not filled";
    log[1] = std::byte{0x36};
    log[2] = std::byte{0x01};
    log[0] = std::byte{0x02};
    EXPECT_EQ(read_nvme_log(log).health, Health::Good);
    log[0] = std::byte{0x0d};
    auto bad = read_nvme_log(log);
    EXPECT_EQ(bad.health, Health::Failing);
    EXPECT_EQ(bad.evidence, "NVMe: spare blocks run out, degraded by errors, read-only");
    EXPECT_EQ(read_nvme_log(ByteView(log).first(100)), HealthAnswer{});
}

TEST(KernelLog, counts_errors_by_device_and_keeps_the_last_lines) {
    std::string text;
    for (int n = 0; n < 9; ++n) text += fmt::format("[ 1.{}] print_req_error: I/O error, dev sdb, sector {}\n", n, n);
    text +=
        "[ 2.0] Buffer I/O error on device dm-3, logical block 1\n[ 2.1] Buffer I/O error on dev sdc1, logical block "
        "0\n"
        "[ 3.0] sd 0:0:0:0: [sdd] Add. Sense: Unrecovered read error - auto reallocate failed\n"
        "[ 4.0] ata2.00: failed command: READ FPDMA QUEUED\n[ 5.0] XFS (sde1): Corruption detected. Unmount\n"
        "[ 6.0] BTRFS error (device sdf): parent transid verify failed\n[ 7.0] EDAC MC1: 1 UE error\n"
        "[ 8.0] mce: [Hardware Error]: CPU 1\n[ 9.0] usb 1-1: new device\n"
        "[ 9.1] EDAC MC0: Giving out device to module i7core_edac\n"
        "[10.0] I/O error, dev \x1b[31m, sector 1";
    auto found = read_kernel_log(text, "x");
    ASSERT_EQ(found.size(), 10u);
    EXPECT_EQ(found[0].device, "sdb");
    EXPECT_EQ(found[0].count, 9u);
    ASSERT_EQ(found[0].lines.size(), kLogLines);
    EXPECT_NE(found[0].lines.back().find("sector 8"), std::string::npos);
    const std::pair<LogTopic, const char*> rest[] = {
        {LogTopic::DiskError, "dm-3"},    {LogTopic::DiskError, "sdc1"},       {LogTopic::DiskError, "sdd"},
        {LogTopic::DiskError, "ata2.00"}, {LogTopic::FilesystemError, "sde1"}, {LogTopic::FilesystemError, "sdf"},
        {LogTopic::Memory, "MC1"},        {LogTopic::MachineCheck, ""},        {LogTopic::DiskError, ""}};
    for (std::size_t n = 0; n < std::size(rest); ++n) {
        EXPECT_EQ(found[n + 1].topic, rest[n].first) << n;
        EXPECT_EQ(found[n + 1].device, rest[n].second) << n;
    }
    EXPECT_EQ(found[9].lines[0].find('\x1b'), std::string::npos) << "a log cannot drive the terminal";
}

TEST(KernelLog, a_log_of_nothing_but_errors_stays_small) {
    std::string text;
    for (int n = 0; n < 5000; ++n) text += fmt::format("I/O error, dev sd{}, {}\n", n, std::string(5000, 'x'));
    auto found = read_kernel_log(text, "x");
    EXPECT_EQ(found.size(), kMaxLogFindings);
    for (const auto& f : found) EXPECT_LE(f.lines.at(0).size(), kLogLineBytes);
}

TEST(Tree, the_tail_of_a_long_text_begins_with_a_whole_line) {
    auto temp = TempDir::create("tail").value();
    write(temp / "log", "first line\nsecond\nthird\n");
    Tree tree(temp.path());
    EXPECT_EQ(tree.tail("/log", 10), "third\n");
    EXPECT_EQ(tree.tail("/log", 100), "first line\nsecond\nthird\n");
    EXPECT_EQ(tree.tail("/none", 10), std::nullopt);
    fs::create_directory(temp / "directory");
    EXPECT_EQ(tree.tail("/directory", 10), std::nullopt);
}

TEST(Tree, links_never_lead_out_of_the_tree) {
    auto temp = TempDir::create("tree").value();
    write(temp / "in/inner/etc/secret", "inside\n");
    write(temp / "secret", "outside\n");
    for (auto target : {"/etc/secret", "../../../../../../etc/secret", "../etc/secret"}) {
        fs::remove(temp / "in/inner/d/link");
        fs::create_directories(temp / "in/inner/d");
        fs::create_symlink(target, temp / "in/inner/d/link");
        Tree tree(temp / "in/inner");
        EXPECT_EQ(tree.line("/d/link"), "inside") << target;
    }
    Tree tree(temp / "in/inner");
    EXPECT_FALSE(tree.exists("/../../secret"));
    fs::create_symlink("loop", temp / "in/inner/loop");
    EXPECT_FALSE(tree.exists("/loop"));
}

TEST(Tree, sorts_numbers_as_people_do) {
    std::vector<std::string> names{"sda10", "sdb", "sda2", "sda"};
    std::sort(names.begin(), names.end(), natural_less);
    EXPECT_EQ(names, (std::vector<std::string>{"sda", "sda2", "sda10", "sdb"}));
}

TEST(Smbios, every_truncation_and_every_changed_byte_ends) {
    ByteWriter table;
    table.u8(1).u8(0x1b).le16(0).u8(1).u8(2).zeros(21).text("Acme").u8(0).text("Server").zeros(2);
    table.u8(17).u8(0x15).le16(1).zeros(8).le16(0x8000 | 512).zeros(7).zeros(2).u8(127).u8(4).zeros(4);
    auto whole = parse_smbios(table.view());
    EXPECT_EQ(whole.manufacturer, "Acme");
    EXPECT_EQ(whole.model, "Server");
    EXPECT_EQ(whole.memory_bytes, 512u << 10);
    for (std::size_t cut = 0; cut < table.size(); ++cut) parse_smbios(table.view().first(cut));
    for (std::size_t at = 0; at < table.size(); ++at)
        for (int value : {0, 1, 3, 4, 127, 255}) {
            Bytes changed(table.view().begin(), table.view().end());
            changed[at] = static_cast<std::byte>(value);
            parse_smbios(changed);
        }
}

// The dumps begin with a 32-byte entry point; dmidecode is the oracle.
TEST(Smbios, agrees_with_dmidecode_on_dumps_of_real_servers) {
    fs::path dumps = SLIPWAY_SOURCE_DIR "/../shared/data/hw/dmidump";
    if (!fs::exists(dumps)) GTEST_SKIP() << dumps << " is absent";
    if (!run_command({"dmidecode", "--version"}).ok()) GTEST_SKIP() << "dmidecode is not installed";
    int seen = 0;
    for (const auto& entry : fs::directory_iterator(dumps)) {
        auto bytes = read_file(entry.path()).value();
        auto ours = parse_smbios(ByteView(bytes).subspan(32), false);
        auto text = run_checked({"dmidecode", "--from-dump", entry.path().string(), "-t", "1,17"}).value();
        if (!ours.model.empty()) {
            EXPECT_NE(text.find("Product Name: " + ours.model + "\n"), std::string::npos) << entry;
        }
        if (text.find("UUID: Not") == std::string::npos) {
            EXPECT_NE(text.find("UUID: " + ours.uuid), std::string::npos) << entry << ours.uuid;
        }
        std::uint64_t theirs = 0;
        for (std::size_t at = 0; (at = text.find("\tSize: ", at)) != std::string::npos; ++at) {
            std::uint64_t number = std::strtoull(text.c_str() + at + 7, nullptr, 10);
            auto unit = text.substr(text.find(' ', at + 7) + 1, 2);
            theirs += number << (unit == "GB" ? 30 : 20);
        }
        EXPECT_EQ(ours.memory_bytes, theirs) << entry;
        ++seen;
    }
    EXPECT_GT(seen, 0);
}
