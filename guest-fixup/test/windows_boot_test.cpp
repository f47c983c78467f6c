// SPDX-License-Identifier: GPL-3.0-or-later
// What a Windows is found by: partition table, boot sectors, drive letters, boot store, boot.ini.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/test/windows_guest.hpp"
#include "guest-fixup/windows/boot_moves.hpp"
#include "guest-fixup/windows/find_windows.hpp"
#include "guest-fixup/windows/mounted_devices.hpp"
#include "guest-fixup/windows/ntfs_boot_sector.hpp"
#include "guest-fixup/windows/sectors.hpp"
#include "guest-fixup/windows/steps.hpp"
#include "lib/disks/block.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

void put(Bytes& bytes, std::size_t at, std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) bytes[at + i] = static_cast<std::byte>(text[i]);
}
void put_le(Bytes& bytes, std::size_t at, std::size_t count, std::uint64_t value) {
    for (std::size_t i = 0; i < count; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
}

Bytes boot_sector(std::uint16_t heads, std::uint16_t sectors, std::uint32_t hidden) {
    Bytes out(512);
    put(out, 3, "NTFS    ");
    put_le(out, 0x0b, 2, 512);
    put_le(out, 0x18, 2, sectors);
    put_le(out, 0x1a, 2, heads);
    put_le(out, 0x1c, 4, hidden);
    put_le(out, 510, 2, 0xaa55);
    return out;
}

// One active NTFS partition; its CHS fields as `heads` by 32 count them, as a SCSI adapter of its day had it.
Bytes table(std::uint32_t signature, std::uint32_t first, std::uint32_t count, unsigned heads = 64) {
    Bytes out(512);
    put_le(out, 0x1b8, 4, signature);
    const auto chs = [&](std::size_t at, std::uint32_t lba) {
        const auto cylinder = lba / (heads * 32);
        put_le(out, at, 1, lba / 32 % heads);
        put_le(out, at + 1, 1, lba % 32 + 1 + (cylinder >> 8 << 6));
        put_le(out, at + 2, 1, cylinder & 0xff);
    };
    put_le(out, 0x1be, 1, 0x80);
    chs(0x1bf, first);
    put_le(out, 0x1c2, 1, 7);
    chs(0x1c3, first + count - 1);
    put_le(out, 0x1c6, 4, first);
    put_le(out, 0x1ca, 4, count);
    put_le(out, 510, 2, 0xaa55);
    return out;
}

struct Disk {
    disks::MemoryDisk device{64 * kMiB};
    DiskPlace place;
    explicit Disk(const Bytes& mbr, std::uint64_t start, const Bytes& boot) {
        EXPECT_TRUE(device.write(0, mbr).ok());
        EXPECT_TRUE(device.write(start, boot).ok());
        place.layout = disks::read_layout(device).value();
        place.disk_size = device.size();
        place.windows_partition = place.boot_partition = 1;
    }
    Bytes at(std::uint64_t offset) {
        Bytes out(512);
        EXPECT_TRUE(device.read(offset, out).ok());
        return out;
    }
};

std::string mbr_value(std::uint32_t signature, std::uint64_t offset) {
    ByteWriter writer;
    return std::string(as_text(writer.le32(signature).le64(offset).view()));
}

DiskPlace two_partitions(std::uint32_t signature) {
    DiskPlace place;
    place.layout.table = disks::TableKind::Mbr;
    place.layout.mbr_signature = signature;
    place.layout.partitions = {{.index = 1, .offset = kMiB, .length = 100 * kMiB, .active = true},
                               {.index = 2, .offset = 101 * kMiB, .length = 900 * kMiB}};
    place.boot_partition = 1;
    place.windows_partition = 2;
    return place;
}

}  // namespace

TEST(WindowsBoot, heads_of_a_disk_are_those_that_seabios_counts_and_virt_v2v_writes) {
    EXPECT_EQ(bios_geometry(2114445312 - 512).heads, 64);
    EXPECT_EQ(bios_geometry(4228374780 - 512).heads, 128);
    EXPECT_EQ(bios_geometry(80ull << 30).heads, 255);
    EXPECT_EQ(bios_geometry(200 * kMiB).heads, 16);
}

TEST(WindowsBoot, sector_of_another_file_system_has_no_geometry) {
    EXPECT_EQ(read_boot_geometry(boot_sector(255, 63, 63)), (BootGeometry{255, 63, 63}));
    auto other = boot_sector(255, 63, 63);
    put(other, 3, "EXFAT   ");
    EXPECT_FALSE(read_boot_geometry(other));
    auto unsigned_sector = boot_sector(255, 63, 63);
    put_le(unsigned_sector, 510, 2, 0);
    EXPECT_FALSE(read_boot_geometry(unsigned_sector));
    auto large = boot_sector(255, 63, 63);
    put_le(large, 0x0b, 2, 4096);
    EXPECT_FALSE(read_boot_geometry(large));
    EXPECT_FALSE(read_boot_geometry(Bytes(100)));
    EXPECT_FALSE(fit_partition_table(Bytes(100), {}));
}

TEST(WindowsBoot, table_of_a_scsi_geometry_is_counted_as_the_bios_counts_and_only_its_chs_fields_change) {
    const auto old = table(0x11223344, 63, 100'000);
    const auto fitted = fit_partition_table(old, {16, 63});
    ASSERT_TRUE(fitted);
    EXPECT_EQ(ByteReader(ByteView(*fitted).subspan(0x1bf, 3)).le16(), 0x0101);  // LBA 63: head 1, sector 1
    const auto last = 63 + 100'000 - 1;
    EXPECT_EQ((*fitted)[0x1c3], static_cast<std::byte>(last / 63 % 16));
    EXPECT_EQ((*fitted)[0x1c5], static_cast<std::byte>(last / 63 / 16));
    for (std::size_t i = 0; i < 512; ++i) {
        if (i < 0x1bf || i > 0x1c5 || i == 0x1c2) {
            EXPECT_EQ((*fitted)[i], old[i]) << i;
        }
    }
    EXPECT_FALSE(fit_partition_table(*fitted, {16, 63}));
}

TEST(WindowsBoot, customs_of_partitions_beyond_the_last_cylinder_are_left_alone) {
    auto mbr = table(1, 63, 200'000'000, 255);
    put_le(mbr, 0x1c3, 3, 0xffffef);  // 0xef ff ff: GNU's
    const auto once = fit_partition_table(mbr, {255, 63});
    EXPECT_EQ(ByteView(once.value_or(mbr))[0x1c3], std::byte{0xef});
    auto protective = table(1, 1, 1000);
    put_le(protective, 0x1c2, 1, 0xee);
    EXPECT_FALSE(fit_partition_table(protective, {255, 63}));
}

TEST(WindowsBoot, moved_volume_knows_where_it_begins_and_what_was_there_comes_back) {
    Disk disk(table(0xd350d350, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const auto mbr = disk.at(0), boot = disk.at(kMiB);
    const auto edits = plan_sectors(disk.device, disk.place, {.geometry = true});
    ASSERT_TRUE(edits.ok()) << edits.error().explain();
    ASSERT_THAT(*edits, SizeIs(2));
    EXPECT_THAT((*edits)[1].what, HasSubstr("2048 hidden; was 64 heads, 32 sectors, 63 hidden"));
    ASSERT_TRUE(write_sectors(disk.device, disk.place, *edits).ok());
    EXPECT_EQ(read_boot_geometry(disk.at(kMiB)), (BootGeometry{16, 63, 2048}));
    EXPECT_THAT(*plan_sectors(disk.device, disk.place, {.geometry = true}), IsEmpty());
    const auto recorded = parse_sectors(to_json(*edits));
    ASSERT_TRUE(recorded.ok()) << recorded.error().explain();
    EXPECT_EQ(*recorded, *edits);
    EXPECT_THAT(*take_back_sectors(disk.device, disk.place, *recorded, false), SizeIs(2));
    EXPECT_EQ(disk.at(0), mbr);
    EXPECT_EQ(disk.at(kMiB), boot);
    EXPECT_THAT(*take_back_sectors(disk.device, disk.place, *recorded, false), IsEmpty());
}

TEST(WindowsBoot, of_two_repairs_the_second_alone_is_taken_back_or_both) {
    Disk disk(table(0xd350d350, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const auto original = disk.device.content();
    auto first = plan_sectors(disk.device, disk.place, {.geometry = true}).value();
    for (auto& edit : first) edit.run = 1;
    ASSERT_TRUE(write_sectors(disk.device, disk.place, first).ok());
    const auto after_first = disk.device.content();
    disk.place.disk_size = 2'000'000'000;  // 64 heads
    auto second = plan_sectors(disk.device, disk.place, {.geometry = true}).value();
    ASSERT_THAT(second, SizeIs(2));
    for (auto& edit : second) edit.run = 2;
    const auto record = parse_sectors(to_json(joined(first, second)));
    ASSERT_TRUE(record.ok()) << record.error().explain();
    // Killed after none, one and both of its sectors.
    for (std::size_t written = 0; written <= second.size(); ++written) {
        const std::vector<SectorEdit> done(second.begin(), second.begin() + static_cast<std::ptrdiff_t>(written));
        ASSERT_TRUE(write_sectors(disk.device, disk.place, done).ok());
        EXPECT_THAT(*take_back_sectors(disk.device, disk.place, edits_since(*record, 2), false), SizeIs(written));
        EXPECT_EQ(disk.device.content(), after_first);
    }
    ASSERT_TRUE(write_sectors(disk.device, disk.place, second).ok());
    EXPECT_THAT(*take_back_sectors(disk.device, disk.place, edits_since(*record, 0), false), SizeIs(2));
    EXPECT_EQ(disk.device.content(), original);
    // The record does not grow with the number of repairs.
    EXPECT_THAT(joined(joined(*record, second), second), SizeIs(4));
}

TEST(WindowsBoot, partition_that_somebody_added_between_two_repairs_is_not_undone) {
    Disk disk(table(0xd350d350, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const auto boot = disk.at(kMiB);
    auto first = plan_sectors(disk.device, disk.place, {.geometry = true}).value();
    for (auto& edit : first) edit.run = 1;
    ASSERT_TRUE(write_sectors(disk.device, disk.place, first).ok());
    auto mbr = disk.at(0);
    mbr[0x1ce + 4] = std::byte{0x83};
    put_le(mbr, 0x1ce + 8, 4, 110'000);
    put_le(mbr, 0x1ce + 12, 4, 2000);
    ASSERT_TRUE(disk.device.write(0, mbr).ok());
    disk.place.disk_size = 2'000'000'000;  // 64 heads
    auto second = plan_sectors(disk.device, disk.place, {.geometry = true}).value();
    ASSERT_THAT(second, SizeIs(2));
    for (auto& edit : second) edit.run = 2;
    ASSERT_TRUE(write_sectors(disk.device, disk.place, second).ok());
    const auto two = parse_sectors(to_json(joined(first, second))).value();
    const auto repaired = disk.device.content();
    for (const bool carried_on_by_a_third : {false, true}) {
        const auto record = carried_on_by_a_third ? joined(two, {}) : two;
        ASSERT_TRUE(disk.device.write(0, repaired).ok());
        const auto undone = take_back_sectors(disk.device, disk.place, record, false);
        ASSERT_TRUE(undone.ok()) << undone.error().explain();
        EXPECT_EQ(disk.at(0), mbr);
        EXPECT_EQ(disk.at(kMiB), boot);  // which nobody else had changed
        ASSERT_THAT(*undone, SizeIs(2));
        if (carried_on_by_a_third) continue;
        EXPECT_THAT((*undone)[0].what, AllOf(HasSubstr("partition table"), HasSubstr("no further back")));
        EXPECT_THAT((*undone)[1].what, testing::Not(HasSubstr("no further back")));
    }
}

TEST(WindowsBoot, windows_behind_thousands_of_directories_is_found_by_whatever_name) {
    test::FakeRoot guest;
    for (int i = 0; i < 4200; ++i) std::filesystem::create_directory(guest.path() / fmt::format("data{}", i));
    guest.put("/data7/SYSTEM32/config/SYSTEM", "alone it is none");
    guest.put("/pagefile.sys", "");
    const auto roots_of = [&] { return system_roots(Guest::open(guest.path(), true).value()); };
    EXPECT_THAT(roots_of(), IsEmpty());
    for (const char* root : {"/winnt", "/zzz"}) {
        guest.put(std::string(root) + "/System32/Config/system", "hive");
        guest.put(std::string(root) + "/System32/Config/SOFTWARE", "hive");
    }
    EXPECT_THAT(roots_of(), ElementsAre("/winnt", "/zzz"));
}

TEST(WindowsBoot, since_vista_only_a_wrong_start_is_corrected) {
    Disk disk(table(1, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const auto edits = plan_sectors(disk.device, disk.place, {});
    ASSERT_THAT(*edits, SizeIs(1));
    EXPECT_EQ(read_boot_geometry((*edits)[0].after), (BootGeometry{64, 32, 2048}));
}

TEST(WindowsBoot, signature_that_the_disk_lost_is_put_back_and_one_that_it_has_is_kept) {
    Disk lost(table(0, 2048, 100'000), kMiB, boot_sector(255, 63, 2048));
    const auto edits = plan_sectors(lost.device, lost.place, {.lost_signature = 0xaabbccdd});
    ASSERT_THAT(*edits, SizeIs(1));
    EXPECT_EQ(disk_signature((*edits)[0].after), 0xaabbccdd);
    Disk has(table(5, 2048, 100'000), kMiB, boot_sector(255, 63, 2048));
    EXPECT_THAT(*plan_sectors(has.device, has.place, {.lost_signature = 0xaabbccdd}), IsEmpty());
}

TEST(WindowsBoot, sector_that_somebody_changed_since_is_not_taken_back_nor_its_neighbour) {
    Disk disk(table(1, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const auto edits = *plan_sectors(disk.device, disk.place, {.geometry = true});
    ASSERT_TRUE(write_sectors(disk.device, disk.place, edits).ok());
    ASSERT_TRUE(disk.device.write(kMiB + 100, Bytes(4, std::byte{7})).ok());
    const auto now = disk.device.content();
    const auto refused = take_back_sectors(disk.device, disk.place, edits, false);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kChangedSince));
    EXPECT_EQ(disk.device.content(), now);
}

TEST(WindowsBoot, record_of_sectors_that_a_guest_made_up_reaches_no_other_sector) {
    Disk disk(table(1, 2048, 100'000), kMiB, boot_sector(64, 32, 63));
    const std::vector<SectorEdit> forged{{512 * 9, "mine", Bytes(512, std::byte{1}), Bytes(512)}};
    EXPECT_FALSE(take_back_sectors(disk.device, disk.place, forged, false).ok());
    for (const char* text : {"", "{}", "[]", R"({"sectors":[{}]})", R"({"sectors":[{"offset":0,"what":"x","before":"00",
        "after":"00"}]})",
                             R"({"sectors":{"offset":0}})"})
        EXPECT_FALSE(parse_sectors(text).ok()) << text;
}

// ---- drive letters

TEST(WindowsBoot, letters_of_real_systems_are_read) {
    const auto xp = parse_mbr_volume(std::string("\x50\xd3\x50\xd3\x00\x7e\x00\x00\x00\x00\x00\x00", 12));
    EXPECT_EQ(xp, (MbrVolume{0xd350d350, 63 * 512}));
    EXPECT_FALSE(parse_mbr_volume("\\??\\FDC#GEN"));
    const auto gpt = parse_gpt_volume("DMIO:ID:" + std::string(16, '\x11'));
    ASSERT_TRUE(gpt);
    EXPECT_EQ(gpt->text(), "11111111-1111-1111-1111-111111111111");
}

TEST(WindowsBoot, letters_follow_a_volume_that_moved_and_a_disk_with_another_signature) {
    const auto place = two_partitions(0xbbbbbbbb);
    const auto system = mbr_value(0xaaaaaaaa, 63 * 512);
    EXPECT_EQ(new_value(place, system, system), mbr_value(0xbbbbbbbb, 101 * kMiB));
    EXPECT_EQ(new_value(place, system, mbr_value(0xaaaaaaaa, kMiB)), mbr_value(0xbbbbbbbb, kMiB));
    EXPECT_FALSE(new_value(place, system, mbr_value(0xcccccccc, kMiB)));
    EXPECT_FALSE(new_value(place, system, "\\??\\FDC"));
    const auto same = mbr_value(0xbbbbbbbb, 101 * kMiB);
    EXPECT_FALSE(new_value(place, same, same));
    EXPECT_FALSE(new_value(two_partitions(0), system, system));
}

// ---- boot store

TEST(WindowsBoot, store_of_a_real_machine_names_the_partitions_of_the_disk_it_is_on_now) {
    const auto bytes = test::shared_hive("bcd/asus-tp300-BCD");
    if (!bytes) GTEST_SKIP() << "bcd/asus-tp300-BCD is not in ../shared/data";
    auto hive = Hive::open(*bytes, "BCD").value();
    auto store = BcdStore::of(hive).value();
    DiskPlace place;
    place.layout.table = disks::TableKind::Gpt;
    place.layout.gpt_id = *Uuid::parse("11111111-2222-3333-4444-555555555555");
    place.layout.partitions = {{.index = 1, .id = *Uuid::parse("aaaaaaaa-0000-0000-0000-000000000001")},
                               {.index = 3, .id = *Uuid::parse("aaaaaaaa-0000-0000-0000-000000000003")}};
    place.boot_partition = 1;
    place.windows_partition = 3;
    const auto moves = boot_moves(store, place);
    ASSERT_FALSE(moves.empty());
    ASSERT_TRUE(store.relocate(moves).ok());
    const auto loader = store.object(*store.default_object());
    ASSERT_TRUE(loader && loader->os_device);
    EXPECT_EQ(loader->os_device->partitions.front(), *identity_of(place, place.layout.partitions[1]));
    const auto changes = hive.journal().size();
    ASSERT_TRUE(store.relocate(boot_moves(store, place)).ok());
    EXPECT_EQ(hive.journal().size(), changes);
}

TEST(WindowsBoot, entries_for_the_other_firmware_are_named_once_each_and_the_rest_is_not) {
    const std::string ids[] = {"{11111111-0000-0000-0000-000000000001}", "{11111111-0000-0000-0000-000000000002}"};
    test::TestKey tree;
    tree.key("Objects\\" + std::string(kBootManager) + "\\Description").set("Type", reg_dword(0x10100002));
    for (const auto& [id, title, path] : {std::tuple{ids[0], "Windows 7", "\\Windows\\system32\\winload.exe"},
                                          std::tuple{ids[1], "Recovery", "\\Windows\\system32\\winload.EFI"}}) {
        auto& object = tree.key("Objects\\" + id);
        object.key("Description").set("Type", reg_dword(0x10200003));
        object.key("Elements\\12000004").set("Element", reg_sz(title));
        object.key("Elements\\12000002").set("Element", reg_sz(path));
    }
    const auto warnings = [&](Firmware firmware) {
        test::WindowsGuest guest;
        guest.request.firmware = firmware;
        const bool uefi = firmware == Firmware::Uefi;
        guest.root.put(uefi ? "/EFI/Microsoft/Boot/BCD" : "/Boot/BCD", test::make_hive(tree));
        DiskPlace place;
        place.layout.table = uefi ? disks::TableKind::Gpt : disks::TableKind::Mbr;
        const auto out = guest.run([&](WindowsRepair& repair) {
            repair.disk = &place;
            return repair_boot_store(repair);
        });
        EXPECT_TRUE(out.status.ok());
        return out.warnings;
    };
    EXPECT_THAT(warnings(Firmware::Bios),
                ElementsAre(AllOf(HasSubstr("Recovery"), HasSubstr("winload.EFI"), HasSubstr("a BIOS"))));
    EXPECT_THAT(warnings(Firmware::Uefi),
                ElementsAre(AllOf(HasSubstr("Windows 7"), HasSubstr("winload.exe"), HasSubstr("UEFI"))));
}

// ---- boot.ini

TEST(WindowsBoot, boot_ini_tells_which_of_two_systems_on_a_volume_starts) {
    const std::vector<std::string> roots{"/WINDOWS", "/WINNT"};
    EXPECT_EQ(named_by_boot_ini(
                  "[boot loader]\r\ntimeout=30\r\ndefault = multi(0)disk(0)rdisk(0)partition(1)\\winnt\r\n", roots),
              "/WINNT");
    EXPECT_FALSE(named_by_boot_ini("default=C:\\", roots));
    EXPECT_FALSE(named_by_boot_ini("[operating systems]\r\n", roots));
}
