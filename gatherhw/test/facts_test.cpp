// SPDX-License-Identifier: GPL-3.0-or-later
// What an operator says of a machine, over what a dump told of it.
#include <algorithm>

#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/test/sample.hpp"
#include "gatherhw/writer.hpp"

using namespace slipway;
using namespace slipway::gatherhw;

namespace {

std::string facts(const std::string& body) {
    return "<inventory xmlns='urn:slipway:inventory:1'>" + body + "</inventory>";
}

std::vector<std::string> said(const Inventory& inventory) {
    std::vector<std::string> out;
    for (const auto& a : inventory.added) out.push_back(a.source + ": " + a.what);
    return out;
}

}  // namespace

TEST(AddFacts, change_what_they_name_and_leave_the_rest) {
    auto before = full_inventory();
    before.added.clear();
    auto after = before;
    auto added = add_facts(after,
                           facts("<system firmware='bios'><processors threads='3'/></system>"
                                 "<disks><disk name='sda' rotational='true'/></disks>"
                                 "<network><adapter name='enp3s0' dns='10.0.0.9'>"
                                 "<pci vendor='0x8086'/></adapter></network>"),
                           "x.xml");
    ASSERT_TRUE(added.ok()) << added.error().explain();
    EXPECT_TRUE(added->empty());
    EXPECT_EQ(said(after), (std::vector<std::string>{"x.xml: system", "x.xml: disk 'sda'", "x.xml: adapter 'enp3s0'"}));
    auto expected = before;
    expected.system.firmware = Firmware::Bios;
    expected.system.processors.threads = 3;
    expected.disks.at(0).rotational = true;
    expected.network.at(0).dns = {"10.0.0.9"};
    expected.network.at(0).pci->vendor = 0x8086;
    expected.added = after.added;
    EXPECT_TRUE(after == expected) << to_xml(after);
    auto again = read_inventory(to_xml(after));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->inventory == after);
}

TEST(AddFacts, bring_what_is_not_there_and_take_the_place_of_texts) {
    auto i = full_inventory();
    const auto disks = i.disks.size(), volumes = i.volumes.size();
    auto added = add_facts(i,
                           facts("<disks><disk name='sdz' size='1048576'><partitions>"
                                 "<partition name='sdz2' index='2' offset='4096' length='512'/>"
                                 "<partition name='sdz1' index='1' offset='512' length='512'/>"
                                 "</partitions></disk></disks><volumes><volume name='sda1'>"
                                 "<mount-point>/srv</mount-point></volume></volumes>"),
                           "x");
    ASSERT_TRUE(added.ok()) << added.error().explain();
    ASSERT_EQ(i.disks.size(), disks + 1);
    ASSERT_EQ(i.disks.back().partitions.size(), 2u);
    EXPECT_EQ(i.disks.back().partitions[0].name, "sdz1") << "ascending by offset";
    EXPECT_EQ(i.volumes.size(), volumes);
    EXPECT_EQ(find_volume(i, "sda1")->mount_points, std::vector<std::string>{"/srv"});
    EXPECT_NE(std::find(i.added.begin(), i.added.end(), AddedFact{"new partition 'sdz2'", "x"}), i.added.end());
}

TEST(AddFacts, of_two_files_the_later_one_counts_and_the_program_stays) {
    auto i = full_inventory();
    const auto program = i.program;
    ASSERT_TRUE(add_facts(i, facts("<system firmware='bios'/>"), "one").ok());
    ASSERT_TRUE(
        add_facts(i, "<inventory xmlns='urn:slipway:inventory:1' program='me'><system firmware='uefi'/></inventory>",
                  "two")
            .ok());
    EXPECT_EQ(i.system.firmware, Firmware::Uefi);
    EXPECT_EQ(i.program, program);
    EXPECT_EQ(i.added.back(), (AddedFact{"system", "two"}));
}

TEST(AddFacts, strike_out_a_note_of_what_was_not_known) {
    auto i = full_inventory();
    i.unread = {{"firmware", "lshw does not say"}, {"partitions", "nor where they begin"}};
    ASSERT_TRUE(add_facts(i, facts("<unread><item what='firmware' why=''/></unread>"), "x").ok());
    EXPECT_EQ(i.unread, (std::vector<Unread>{{"partitions", "nor where they begin"}}));
}

TEST(AddFacts, that_cannot_be_are_refused_and_change_nothing) {
    const auto before = full_inventory();
    struct Row {
        std::string body;
        const char* says;
    };
    for (const auto& row : {Row{"<disks><disk size='1'/></disks>", "no 'name' says which one"},
                            Row{"<disks><disk name='sda' sise='1'/></disks>", "unknown attribute 'sise'"},
                            Row{"<system firmware='efi'/>", "bad value 'efi'"},
                            Row{"<system firmware='bios'/><disks><disk name='sda' controller='x'/></disks>", "'x'"},
                            Row{"<disks><disk name='sda' size='1'/></disks>", "ends past the end of disk"},
                            Row{"<unread><item what='firmwear' why=''/></unread>", "no such item"},
                            Row{"", "says nothing of the machine"}, Row{"<system>", "XML"}}) {
        auto i = before;
        auto added = add_facts(i, facts(row.body), "x");
        ASSERT_FALSE(added.ok()) << row.body;
        EXPECT_NE(added.error().explain().find(row.says), std::string::npos) << added.error().explain();
        EXPECT_TRUE(i == before) << row.body;
    }
    auto i = before;
    EXPECT_FALSE(add_facts(i, std::string(kMaxFacts + 1, ' '), "x").ok());
}

TEST(AddFacts, of_an_unknown_element_are_a_warning) {
    auto i = full_inventory();
    auto added = add_facts(i, facts("<system firmware='bios'/><firmwear/>"), "x");
    ASSERT_TRUE(added.ok());
    EXPECT_EQ(added->size(), 1u);
}
