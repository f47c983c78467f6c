// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/test/sample.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/xml.hpp"

using namespace slipway;
using namespace slipway::gatherhw;

namespace {

std::string schema() { return read_text_file(SLIPWAY_SOURCE_DIR "/gatherhw/inventory.xsd").value(); }

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

std::string refusal(std::string_view xml) {
    auto read = read_inventory(xml);
    return read ? "accepted" : read.error().describe();
}

}  // namespace

TEST(InventoryXml, every_field_survives_the_round_trip) {
    auto written = full_inventory();
    auto read = read_inventory(to_xml(written));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_EQ(to_xml(read->inventory), to_xml(written));
    EXPECT_TRUE(read->inventory == written);
    EXPECT_TRUE(read->warnings.empty());
}

TEST(InventoryXml, an_empty_inventory_survives_too) {
    auto read = read_inventory(to_xml({}));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_TRUE(read->inventory == Inventory{});
}

TEST(InventoryXml, what_is_written_is_valid_by_the_schema) {
    auto full = check_against_xsd(to_xml(full_inventory()), schema());
    EXPECT_TRUE(full.ok()) << full.error().explain();
    EXPECT_TRUE(check_against_xsd(to_xml({}), schema()).ok());
}

// The seed of the fuzz target and the golden of the format. SLIPWAY_REGENERATE=1 writes it anew.
TEST(InventoryXml, the_committed_document_is_what_is_written_today) {
    const std::string path = SLIPWAY_SOURCE_DIR "/gatherhw/fuzz/seeds/full.xml";
    auto xml = to_xml(full_inventory());
    if (std::getenv("SLIPWAY_REGENERATE")) {
        ASSERT_TRUE(write_file_atomic(path, as_bytes(xml)).ok());
    }
    EXPECT_EQ(read_text_file(path).value(), xml);
}

// What version 0.1 wrote before the validation rules asked for more.
TEST(InventoryXml, a_document_of_before_is_read_still_and_the_new_facts_are_unknown) {
    auto old = read_inventory(read_text_file(SLIPWAY_SOURCE_DIR "/gatherhw/test/golden/before-rules.xml").value());
    ASSERT_TRUE(old.ok()) << old.error().explain();
    EXPECT_TRUE(old->warnings.empty());
    const auto& i = old->inventory;
    ASSERT_EQ(i.disks.size(), 1u);
    EXPECT_EQ(i.disks[0].bus, BusKind::Unknown);
    EXPECT_EQ(i.disks[0].san, std::nullopt);
    EXPECT_EQ(i.network.at(0).vlan, std::nullopt);
    EXPECT_EQ(i.os.licence, LicenceChannel::Unknown);
    EXPECT_EQ(i.system.clock_is_utc, std::nullopt);
    EXPECT_TRUE(i.pci.empty() && i.tapes.empty() && i.log.empty());
    EXPECT_TRUE(check_against_xsd(to_xml(i), schema()).ok());
}

TEST(InventoryJson, has_every_fact_under_the_name_it_has_in_xml) {
    auto json = to_json(full_inventory());
    for (auto part : {R"("signature":"6-45-7")", R"("memory-modules":[{"locator":"DIMM A1")", R"("clock-is-utc":false)",
                      R"("licence":"oem")", R"("system-root":"C:\\WINDOWS")", R"("hotfixes":[{"id":"KB958644")",
                      R"("original-name":"halaacpi.dll")", R"("bus":"iscsi")", R"("member-of":["ldm","multipath"])",
                      R"("health":"failing")", R"("encryption":"bitlocker")", R"("members":["eth0","eth1"])",
                      R"("vlan":0)", R"("kernels":["6.1.0-27-amd64","6.1.0-28-amd64"])", R"("classes":["00","03"])",
                      R"("pci":[{"driver":"e1000","vendor":"Intel","name":"82540EM","pci":{"slot":"0000:00:03.0")",
                      R"("tapes":[{"name":"st0")", R"("log":[{"topic":"disk-error","device":"sda","count":7)"})
        EXPECT_NE(json.find(part), std::string::npos) << part;
    auto empty = to_json({});
    for (auto part : {"\"bus\"", "\"licence\"", "\"mhz\"", "\"san\""})
        EXPECT_EQ(empty.find(part), std::string::npos) << part;
}

TEST(InventoryXml, schema_refuses_an_unknown_attribute) {
    auto xml = replaced(to_xml(full_inventory()), "<disk name=", "<disk colour=\"red\" name=");
    EXPECT_FALSE(check_against_xsd(xml, schema()).ok());
}

TEST(InventoryXml, unknown_attribute_is_an_error_that_names_its_line) {
    auto text = refusal(replaced(to_xml(full_inventory()), "<disk name=", "<disk colour=\"red\" name="));
    EXPECT_NE(text.find("unknown attribute 'colour'"), std::string::npos) << text;
    EXPECT_NE(text.find("line "), std::string::npos) << text;
    EXPECT_NE(text.find("gatherhw.bad-inventory"), std::string::npos) << text;
}

TEST(InventoryXml, unknown_element_is_a_warning) {
    auto read = read_inventory(replaced(to_xml(full_inventory()), "<disks>", "<fans/><disks>"));
    ASSERT_TRUE(read.ok());
    ASSERT_EQ(read->warnings.size(), 1u);
    EXPECT_NE(read->warnings[0].find("'fans'"), std::string::npos);
    EXPECT_EQ(read->inventory.disks.size(), 1u);
}

TEST(InventoryXml, numbers_out_of_range_and_bad_words_are_refused) {
    auto xml = to_xml(full_inventory());
    EXPECT_NE(refusal(replaced(xml, "logical-sector=\"512\"", "logical-sector=\"4294967296\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "logical-sector=\"512\"", "logical-sector=\"-1\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "firmware=\"uefi\"", "firmware=\"coreboot\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "class=\"0x010601\"", "class=\"0x1000000\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "removable=\"true\"", "removable=\"maybe\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "bus=\"iscsi\"", "bus=\"carrier-pigeon\"")), "accepted");
    EXPECT_NE(refusal(replaced(xml, "io-errors=\"3\"", "io-errors=\"few\"")), "accepted");
}

TEST(InventoryXml, references_to_nothing_and_partitions_past_the_end_are_refused) {
    auto xml = to_xml(full_inventory());
    EXPECT_NE(refusal(replaced(xml, "controller=\"controller0\"", "controller=\"controller7\"")).find("controller7"),
              std::string::npos);
    EXPECT_NE(refusal(replaced(xml, "offset=\"1048576\"", "offset=\"18446744073709551615\"")).find("past the end"),
              std::string::npos);
}

TEST(InventoryXml, every_truncation_is_refused) {
    auto xml = to_xml(full_inventory());
    for (std::size_t cut = 0; cut + 2 < xml.size(); ++cut) EXPECT_NE(refusal(xml.substr(0, cut)), "accepted") << cut;
}

TEST(InventoryXml, another_document_is_not_an_inventory) {
    for (auto xml : {"", "poseidon", "<sequence/>", "<inventory/>", "<inventory xmlns='urn:slipway:inventory:2'/>",
                     "<!DOCTYPE inventory [<!ENTITY a 'b'>]><inventory xmlns='urn:slipway:inventory:1'/>"})
        EXPECT_NE(refusal(xml).find("gatherhw.not-an-inventory"), std::string::npos) << xml;
}

TEST(InventoryXml, hostile_names_cannot_break_the_document) {
    Inventory inventory;
    inventory.system.host_name = "\x1b[2J\"/><evil/>\xff\xef\xbf\xbf";
    auto read = read_inventory(to_xml(inventory));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_TRUE(check_against_xsd(to_xml(inventory), schema()).ok());
    EXPECT_TRUE(read->warnings.empty());
}

TEST(InventoryModel, a_volume_on_lvm_on_raid_lies_on_both_disks) {
    Inventory i;
    i.disks = {{.name = "sda"}, {.name = "sdb"}, {.name = "sdc"}};
    i.disks[0].partitions = {{.index = 1, .name = "sda1"}};
    i.disks[1].partitions = {{.index = 1, .name = "sdb1"}};
    i.volumes = {{.name = "md0", .backing = {"sda1", "sdb1"}},
                 {.name = "vg-root", .backing = {"md0"}, .mount_points = {"/"}}};
    EXPECT_EQ(disks_of(i, *volumes_named(i, "/").at(0)), (std::vector<std::string>{"sda", "sdb"}));
}

TEST(InventoryModel, volumes_that_name_each_other_end) {
    Inventory i;
    i.volumes = {{.name = "a", .backing = {"b"}}, {.name = "b", .backing = {"a"}}};
    EXPECT_TRUE(disks_of(i, i.volumes[0]).empty());
}

TEST(InventoryModel, partitions_that_boot_are_known_by_their_type) {
    EXPECT_TRUE(is_efi_system_partition({.type = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"}));
    EXPECT_TRUE(is_efi_system_partition({.type = "0xef"}));
    EXPECT_TRUE(is_bios_boot_partition({.type = "21686148-6449-6e6f-744e-656564454649"}));
    EXPECT_FALSE(is_efi_system_partition({.type = "0x83"}) || is_bios_boot_partition({}));
}

TEST(InventoryModel, two_cards_with_one_address_are_told_and_a_bond_over_them_is_not) {
    Inventory i;
    i.network = {{.name = "eth0", .kind = AdapterKind::Physical, .mac = "02:00:00:00:00:01"},
                 {.name = "eth1",
                  .kind = AdapterKind::Physical,
                  .mac = "02:00:00:00:00:01",
                  .permanent_mac = "02:00:00:00:00:02"},
                 {.name = "bond0", .kind = AdapterKind::Bond, .mac = "02:00:00:00:00:01"}};
    EXPECT_TRUE(shared_macs(i).empty());
    i.network[1].permanent_mac.clear();
    EXPECT_EQ(shared_macs(i), std::vector<std::string>{"02:00:00:00:00:01"});
    i.network[1].master = "bond0";
    EXPECT_EQ(shared_macs(i).size(), 1u) << "its own address is not known: a VM would have this one twice";
}

TEST(InventoryModel, operators_name_volumes_in_many_ways) {
    auto i = full_inventory();
    for (auto name : {"sda1", "/dev/sda1", "/", "root", "LABEL=root", "UUID=6f1c-uuid"})
        EXPECT_EQ(volumes_named(i, name).size(), 1u) << name;
    EXPECT_TRUE(volumes_named(i, "").empty());
}
