// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/bcd.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/windows/regf.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup::windows {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kLoader = "{e018a2d0-b134-11ea-95b2-81f0ac71b75b}";
constexpr const char* kRecovery = "{e018a2d1-b134-11ea-95b2-81f0ac71b75b}";

Guid guid(std::string_view text) { return parse_guid(text).value(); }

const GptPartition kSystem{guid("5541e87d-91a5-4f2b-ad43-a0345c199e9b"), guid("9d4a7cb0-ab9d-4d71-961f-50f1d9c9252f")};
const MbrPartition kOld{0x3e274cfe, 0x7e00}, kNew{0x12345678, 0x100000};

test::TestKey& object(test::TestKey& root, const std::string& id, std::uint32_t type) {
    auto& key = root.key("Objects\\" + id);
    key.key("Description").set("Type", reg_dword(type));
    return key.key("Elements");
}

// A file in a partition as a disk: options, descriptor of type 0, the partition's own, a path.
std::string ram_disk(const PartitionIdentity& partition) {
    std::string element(16, 'o');
    std::string head(40, '\0');
    regf::put_le32(head, 4, 1);
    regf::put_le32(head, 8, 0xb8);
    regf::put_le32(head, 16, 3);
    element += head + std::string("\1\0\0\0\x90\0\0\0\5\0\0\0", 12);
    return element + partition_device(partition).substr(16) + regf::to_utf16("\\Recovery\\Winre.wim") +
           std::string(2, '\0');
}

std::string store(const PartitionIdentity& system) {
    test::TestKey root;
    root.key("Description").set("KeyName", reg_sz("BCD00000000"));
    auto& manager = object(root, std::string(kBootManager), 0x10100002);
    manager.key("23000003").set("Element", reg_sz(kLoader));
    manager.key("24000001").set("Element", reg_multi_sz({kLoader}));
    manager.key("25000004").set("Element", reg_binary(std::string("\x1e\0\0\0\0\0\0\0", 8)));
    manager.key("11000001").set("Element", reg_binary(partition_device(system)));
    auto& loader = object(root, kLoader, 0x10200003);
    loader.key("11000001").set("Element", reg_binary(partition_device(system)));
    loader.key("21000001").set("Element", reg_binary(partition_device(system)));
    loader.key("12000002").set("Element", reg_sz("\\Windows\\system32\\winload.exe"));
    loader.key("12000004").set("Element", reg_sz("Windows 7"));
    loader.key("26000010").set("Element", reg_binary(std::string(1, '\1')));
    auto& recovery = object(root, kRecovery, 0x10200003);
    recovery.key("21000001").set("Element", reg_binary(ram_disk(system)));
    recovery.key("12000002").set("Element", reg_sz("\\windows\\system32\\WINLOAD.EFI"));
    test::TestHive how;
    how.minor = 3;
    how.list = "lf";
    return test::make_hive(root, how);
}

TEST(BcdDevice, guids_are_written_as_windows_writes_them) {
    const auto id = guid("{9DEA862C-5cdd-4e70-acc1-f32b344d4795}");
    EXPECT_EQ(to_hex(id), "2c86ea9ddd5c704eacc1f32b344d4795");
    EXPECT_EQ(to_text(id), kBootManager);
    for (const auto* text : {"", "{}", "9dea862c-5cdd-4e70-acc1-f32b344d479", "9dea862c+5cdd-4e70-acc1-f32b344d4795",
                             "9dea862c-5cdd-4e70-acc1-f32b344d479g"})
        EXPECT_FALSE(parse_guid(text)) << text;
}

TEST(BcdDevice, partitions_of_either_style_are_written_and_read_back) {
    EXPECT_EQ(to_hex(as_bytes(partition_device(kNew))),
              "00000000000000000000000000000000"
              "06000000000000004800000000000000"
              "00001000000000000000000000000000"
              "00000000010000007856341200000000"
              "000000000000000000000000000000000000000000000000");
    for (const PartitionIdentity& one : {PartitionIdentity(kSystem), PartitionIdentity(kOld)}) {
        const auto device = read_bcd_device(partition_device(one));
        EXPECT_EQ(device.kind, BcdDeviceKind::Partition);
        EXPECT_THAT(device.partitions, ElementsAre(one));
    }
    EXPECT_EQ(to_text(PartitionIdentity(kOld)), "partition at byte 32256 of disk 3e274cfe");
}

TEST(BcdDevice, a_file_names_the_partition_it_lies_in_and_what_is_unknown_is_kept) {
    const auto device = read_bcd_device(ram_disk(kOld));
    EXPECT_EQ(device.kind, BcdDeviceKind::File);
    EXPECT_THAT(device.partitions, ElementsAre(PartitionIdentity(kOld)));
    EXPECT_EQ(relocated(ram_disk(kOld), {{kOld, kNew}}), ram_disk(kNew));
    EXPECT_EQ(relocated(ram_disk(kOld), {{kNew, kOld}}), ram_disk(kOld));
    EXPECT_EQ(relocated(ram_disk(kOld), {{kOld, kNew}, {kNew, kOld}}), ram_disk(kNew));  // each once
    // From GPT to MBR.
    EXPECT_EQ(relocated(partition_device(kSystem), {{kSystem, kNew}}), partition_device(kNew));
    auto odd = partition_device(kOld);
    odd[16] = 7;  // a type nobody has described
    EXPECT_EQ(read_bcd_device(odd).kind, BcdDeviceKind::Other);
    EXPECT_EQ(relocated(odd, {{kOld, kNew}}), odd);
    odd[16] = 5;
    EXPECT_EQ(read_bcd_device(odd).kind, BcdDeviceKind::Boot);
    EXPECT_THAT(read_bcd_device(odd).partitions, IsEmpty());
    for (std::size_t cut = 0; cut < 88; ++cut)
        EXPECT_THAT(read_bcd_device(std::string_view(partition_device(kOld)).substr(0, cut)).partitions, IsEmpty());
}

// SLIPWAY_REGENERATE=1 writes them.
void expect_seed(const std::string& name, std::string_view bytes) {
    const auto file = std::filesystem::path(SLIPWAY_SOURCE_DIR) / "guest-fixup/fuzz" / name;
    if (std::getenv("SLIPWAY_REGENERATE")) {
        std::filesystem::create_directories(file.parent_path());
        ASSERT_TRUE(write_file_atomic(file, as_bytes(bytes)).ok());
    }
    const auto found = read_text_file(file);
    EXPECT_TRUE(found.ok() && *found == bytes) << name;
}

TEST(BcdSeeds, are_devices_of_every_kind_and_a_store) {
    expect_seed("seeds-bcd-device/gpt", partition_device(kSystem));
    expect_seed("seeds-bcd-device/mbr", partition_device(kOld));
    expect_seed("seeds-bcd-device/ram-disk", ram_disk(kOld));
    expect_seed("seeds-hive/bcd", store(kOld));
}

TEST(Bcd, says_what_is_booted_and_from_where) {
    auto hive = Hive::open(store(kOld), "BCD").value();
    const auto bcd = BcdStore::of(hive).value();
    EXPECT_THAT(bcd.objects(), SizeIs(3));
    EXPECT_EQ(bcd.default_object(), kLoader);
    EXPECT_EQ(bcd.strings(kBootManager, BcdElement::ManagerDisplayOrder), std::vector<std::string>{kLoader});
    EXPECT_EQ(bcd.integer(kBootManager, static_cast<BcdElement>(0x25000004)), 30u);
    EXPECT_EQ(bcd.boolean(kLoader, BcdElement::LoaderDetectHal), true);
    EXPECT_EQ(bcd.boolean(kLoader, BcdElement::LoaderWinPe), std::nullopt);
    const auto loaders = bcd.loaders();
    ASSERT_THAT(loaders, SizeIs(2));
    EXPECT_EQ(loaders[0].description, "Windows 7");
    EXPECT_EQ(loaders[0].path, "\\Windows\\system32\\winload.exe");
    EXPECT_THAT(loaders[0].os_device->partitions, ElementsAre(PartitionIdentity(kOld)));
    EXPECT_EQ(loaders[1].os_device->kind, BcdDeviceKind::File);
    EXPECT_EQ(loaders_of_other_firmware(bcd, false).front().id, kRecovery);
    EXPECT_EQ(loaders_of_other_firmware(bcd, true).front().id, kLoader);
}

TEST(Bcd, a_move_of_the_partition_is_written_to_every_element_that_names_it_and_once) {
    auto hive = Hive::open(store(kOld), "BCD").value();
    auto bcd = BcdStore::of(hive).value();
    ASSERT_TRUE(bcd.relocate({{kSystem, kNew}}).ok());
    EXPECT_FALSE(hive.changed());
    ASSERT_TRUE(bcd.relocate({{kOld, kNew}}).ok());
    EXPECT_EQ(hive.journal().size(), 4u);
    const auto after = hive.bytes().value();
    EXPECT_EQ(test::dump_hive(after), test::dump_hive(store(kNew)));
    auto again = Hive::open(after, "BCD").value();
    ASSERT_TRUE(BcdStore::of(again)->relocate({{kOld, kNew}}).ok());
    EXPECT_FALSE(again.changed());
}

TEST(Bcd, elements_are_set_and_removed_and_nothing_else) {
    const auto before = store(kOld);
    auto hive = Hive::open(before, "BCD").value();
    auto bcd = BcdStore::of(hive).value();
    ASSERT_TRUE(bcd.set_boolean("x", kLoader, BcdElement::LoaderDetectHal, true).ok());
    ASSERT_TRUE(bcd.set_string("x", kLoader, BcdElement::LibraryDescription, "Windows 7").ok());
    EXPECT_FALSE(hive.changed());
    ASSERT_TRUE(bcd.set_boolean("x", kLoader, BcdElement::LoaderWinPe, true).ok());
    ASSERT_TRUE(bcd.set_string("x", kLoader, BcdElement::LoaderHal, "halacpi.dll").ok());
    ASSERT_TRUE(bcd.set_device("x", kLoader, BcdElement::LoaderOsDevice, kNew).ok());
    ASSERT_TRUE(bcd.remove("x", kLoader, BcdElement::LoaderDetectHal).ok());
    const auto after = hive.bytes().value();
    EXPECT_EQ(test::diff_hives(before, after).added.size(), 5u);
    EXPECT_EQ(test::diff_hives(before, after).removed.size(), 3u);
    auto read = Hive::open(after, "BCD").value();
    EXPECT_EQ(BcdStore::of(read)->string(kLoader, BcdElement::LoaderHal), "halacpi.dll");
    EXPECT_EQ(BcdStore::of(read)->boolean(kLoader, BcdElement::LoaderDetectHal), std::nullopt);
}

TEST(Bcd, another_registry_file_is_none) {
    auto hive = Hive::open(test::empty_hive(), "SYSTEM").value();
    EXPECT_TRUE(BcdStore::of(hive).error().is(errors::kHive));
}

TEST(BcdReal, every_partition_of_a_real_store_is_found_and_moved_and_all_else_equal) {
    const auto before = test::shared_file("bcd/asus-tp300-BCD");
    if (!before) GTEST_SKIP() << "bcd/asus-tp300-BCD is not there";
    auto hive = Hive::open(*before, "BCD").value();
    auto bcd = BcdStore::of(hive).value();
    EXPECT_EQ(bcd.default_object(), kLoader);
    const auto loader = bcd.object(kLoader).value();
    EXPECT_EQ(loader.description, "Windows 10");
    EXPECT_EQ(loader.path, "\\WINDOWS\\system32\\winload.efi");
    EXPECT_THAT(loader.os_device->partitions, ElementsAre(PartitionIdentity(kSystem)));
    EXPECT_THAT(loaders_of_other_firmware(bcd, true), IsEmpty());
    EXPECT_THAT(loaders_of_other_firmware(bcd, false), SizeIs(2));
    // The partition of the recovery image, named inside a RAM disk's element and by itself.
    const GptPartition recovery{kSystem.disk, guid("8c10b83e-8c9e-461e-aaf0-40974b9adf12")};
    const auto element = bcd.device(kRecovery, BcdElement::LoaderOsDevice).value();
    EXPECT_EQ(element.kind, BcdDeviceKind::File);
    EXPECT_THAT(element.partitions, ElementsAre(PartitionIdentity(recovery)));
    GptPartition moved_system = kSystem, moved_recovery = recovery;
    moved_system.disk = moved_recovery.disk = guid("00112233-4455-6677-8899-aabbccddeeff");
    ASSERT_TRUE(bcd.relocate({{kSystem, moved_system}, {recovery, moved_recovery}}).ok());
    const auto diff = test::diff_hives(*before, hive.bytes().value());
    // winload and winresume have two each, the recovery environment two, and boot.sdi's partition one.
    EXPECT_EQ(hive.journal().size(), 7u) << test::to_text(diff);
    std::vector<std::string> said;  // as bcdedit calls them
    for (const auto& change : hive.journal()) said.push_back(change.what);
    for (const char* text : {"BCD: device of {default}: ", "BCD: osdevice of {default}: ", "BCD: filedevice of {",
                             "BCD: ramdisksdidevice of {"})
        EXPECT_THAT(said, testing::Contains(testing::StartsWith(text)));
    EXPECT_EQ(diff.removed.size(), 7u);
    EXPECT_EQ(diff.added.size(), 7u);
    for (const auto& line : diff.added) EXPECT_NE(line.find("33221100554477668899aabbccddeeff"), std::string::npos);
}

TEST(BcdReal, an_installation_mediums_store_boots_from_where_it_was_booted) {
    const auto bytes = test::shared_file("bcd/ez-Registry-BCD");
    if (!bytes) GTEST_SKIP() << "bcd/ez-Registry-BCD is not there";
    auto hive = Hive::open(*bytes, "BCD").value();
    const auto bcd = BcdStore::of(hive).value();
    const auto loader = bcd.object(bcd.default_object().value()).value();
    EXPECT_EQ(loader.kind, BcdObjectKind::Loader);
    EXPECT_EQ(loader.os_device->kind, BcdDeviceKind::File);
    EXPECT_THAT(loader.os_device->partitions, IsEmpty());
    EXPECT_EQ(bcd.boolean(loader.id, BcdElement::LoaderDetectHal), true);
    EXPECT_EQ(bcd.boolean(loader.id, BcdElement::LoaderWinPe), true);
}

}  // namespace
}  // namespace slipway::fixup::windows
