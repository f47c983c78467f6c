// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
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
