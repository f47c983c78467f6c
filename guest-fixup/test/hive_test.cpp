// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/windows/hive_check.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {
namespace {

using test::diff_hives;
using test::make_hive;
using test::TestHive;
using test::TestKey;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kRealHives{"hives/bitcurator-SYSTEM", "hives/regipy-SYSTEM",
                                          "hives/regipy-SYSTEM_WIN_10_1709", "bcd/ez-Registry-BCD",
                                          "bcd/asus-tp300-BCD"};

Hive opened(std::string bytes) {
    auto hive = Hive::open(std::move(bytes), "SYSTEM");
    EXPECT_TRUE(hive.ok()) << (hive.ok() ? "" : hive.error().describe());
    return std::move(*hive);
}

std::string long_text(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 23);
    return text;
}

TestKey small_tree() {
    TestKey root;
    root.key("ControlSet001\\Services\\atapi").set("Start", reg_dword(3)).set("ImagePath", reg_expand_sz("a\\atapi.sys"));
    root.key("ControlSet001\\Services\\disk").set("", reg_sz("default")).set("Group", reg_sz("SCSI Class"));
    root.key("ControlSet001\\Enum").class_name = "A class";
    root.key("Select").set("Current", reg_dword(1)).set("List", reg_multi_sz({"one", "two"}));
    return root;
}

TEST(Hive, keys_and_values_are_found_in_any_case_and_named_as_written) {
    auto hive = opened(make_hive(small_tree()));
    EXPECT_TRUE(hive.has(""));
    EXPECT_TRUE(hive.has("CONTROLSET001\\services\\ATAPI"));
    EXPECT_FALSE(hive.has("ControlSet001\\Services\\atap"));
    EXPECT_THAT(hive.keys("controlset001\\services"), ElementsAre("atapi", "disk"));
    EXPECT_THAT(hive.values("ControlSet001\\Services\\disk"), ElementsAre("", "Group"));
    EXPECT_EQ(hive.number("Select", "CURRENT"), 1u);
    EXPECT_EQ(hive.string("ControlSet001\\Services\\atapi", "imagepath"), "a\\atapi.sys");
    EXPECT_EQ(hive.string("ControlSet001\\Services\\disk", ""), "default");
    EXPECT_EQ(hive.strings("Select", "List"), (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(hive.string("Select", "Current"), std::nullopt);
    EXPECT_THAT(hive.keys("nowhere"), IsEmpty());
    EXPECT_FALSE(hive.changed());
}

TEST(Hive, a_value_that_is_so_already_changes_no_byte) {
    const auto bytes = make_hive(small_tree());
    auto hive = opened(bytes);
    ASSERT_TRUE(hive.set("start", "ControlSet001\\Services\\atapi", "Start", reg_dword(3)).ok());
    ASSERT_TRUE(hive.set_string("path", "ControlSet001\\Services\\atapi", "ImagePath", "a\\atapi.sys").ok());
    ASSERT_TRUE(hive.remove_value("none", "Select", "Nothing").ok());
    ASSERT_TRUE(hive.remove_key("none", "Nothing\\Below").ok());
    EXPECT_FALSE(hive.changed());
    EXPECT_EQ(hive.bytes().value(), bytes);
}

TEST(Hive, changes_are_exactly_what_was_asked_and_are_in_the_journal) {
    for (const unsigned minor : {3u, 4u, 5u, 6u}) {
        TestHive how;
        how.minor = minor;
        how.list = minor < 5 ? "lf" : "lh";
        const auto before = make_hive(small_tree(), how);
        auto hive = opened(before);
        ASSERT_TRUE(hive.set("boot start", "ControlSet001\\Services\\atapi", "Start", reg_dword(0)).ok());
        ASSERT_TRUE(hive.set_string("path", "ControlSet001\\Services\\atapi", "ImagePath", "b").ok());
        ASSERT_TRUE(hive.set("new", "ControlSet001\\Services\\viostor\\Parameters", "Bus", reg_qword(5)).ok());
        ASSERT_TRUE(hive.remove_value("gone", "ControlSet001\\Services\\disk", "").ok());
        ASSERT_TRUE(hive.remove_key("gone", "Select").ok());
        const auto after = hive.bytes().value();
        EXPECT_EQ(test::to_text(diff_hives(before, after)),
                  "- ControlSet001\\Services\\atapi: ImagePath = 2:61005c00610074006100700069002e007300790073000000\n"
                  "- ControlSet001\\Services\\atapi: Start = 4:03000000\n"
                  "- ControlSet001\\Services\\disk:  = 1:640065006600610075006c0074000000\n"
                  "- Select [] [de47c9b2]\n"
                  "- Select: Current = 4:01000000\n"
                  "- Select: List = 7:6f006e0065000000740077006f0000000000\n"
                  "+ ControlSet001\\Services\\atapi: ImagePath = 2:62000000\n"
                  "+ ControlSet001\\Services\\atapi: Start = 4:00000000\n"
                  "+ ControlSet001\\Services\\viostor [] [de47c9b2]\n"
                  "+ ControlSet001\\Services\\viostor\\Parameters [] [de47c9b2]\n"
                  "+ ControlSet001\\Services\\viostor\\Parameters: Bus = 11:0500000000000000\n");
        ASSERT_EQ(hive.journal().size(), 5u);
        EXPECT_EQ(hive.journal()[0].where, "SYSTEM\\ControlSet001\\Services\\atapi: Start");
        EXPECT_EQ(hive.journal()[0].before, "0x3");
        EXPECT_EQ(hive.journal()[0].after, "0x0");
        EXPECT_EQ(hive.journal()[2].before, "");
        EXPECT_EQ(hive.journal()[3].where, "SYSTEM\\ControlSet001\\Services\\disk: (default)");
        EXPECT_EQ(hive.journal()[3].before, "\"default\"");
        EXPECT_EQ(hive.journal()[4].before, "a key with 2 values and 0 keys");
        EXPECT_FALSE(is_dirty(after));
        // What is written is read again, and asks for nothing more.
        auto again = opened(after);
        EXPECT_EQ(again.number("controlset001\\services\\viostor\\parameters", "bus"), 5u);
        EXPECT_EQ(test::hivex_dump(after).size(), 5u);
    }
}

// The lists of keys that libhivex makes are of a kind that 1.3 files do not have.
TEST(Hive, the_first_key_below_another_in_an_old_file_is_in_a_list_with_hints) {
    for (const unsigned minor : {3u, 5u}) {
        auto hive = opened(test::empty_hive(minor));
        ASSERT_TRUE(hive.set("x", "Alpha\\Beta", "v", reg_dword(1)).ok());
        ASSERT_TRUE(hive.set("x", "Alpha\\gamma", "v", reg_dword(1)).ok());
        const auto bytes = hive.bytes().value();
        const auto lf = bytes.find(std::string("lf\2\0", 4)), lh = bytes.find(std::string("lh\2\0", 4));
        EXPECT_EQ(lf != std::string::npos, minor == 3);
        EXPECT_EQ(lh != std::string::npos, minor == 5);
        if (minor == 3) {
            EXPECT_EQ(bytes.substr(lf + 8, 4), "Beta");
            EXPECT_EQ(bytes.substr(lf + 16, 4), "gamm");
        }
        EXPECT_THAT(opened(bytes).keys("Alpha"), ElementsAre("Beta", "gamma"));
    }
}

TEST(Hive, a_key_without_keys_has_no_list_and_split_lists_lose_their_empty_parts) {
    TestKey root;
    for (int i = 0; i < 6; ++i) root.key(fmt::format("Many\\k{}", i)).set("n", reg_dword(i));
    TestHive how;
    how.split = 2;
    auto hive = opened(make_hive(root, how));
    for (int i = 2; i < 4; ++i) ASSERT_TRUE(hive.remove_key("x", fmt::format("Many\\k{}", i)).ok());
    const auto some = hive.bytes().value();
    EXPECT_THAT(opened(some).keys("many"), ElementsAre("k0", "k1", "k4", "k5"));
    const auto ri = some.find("ri");
    EXPECT_EQ(regf::le16(some, ri + 2), 2u);
    for (const int i : {0, 1, 4, 5}) ASSERT_TRUE(hive.remove_key("x", fmt::format("Many\\k{}", i)).ok());
    const auto none = hive.bytes().value();
    const auto many = regf::read_key_node(std::string_view(none).substr(none.find("nk", none.find("nk") + 2)));
    ASSERT_TRUE(many && many->name == "Many");
    EXPECT_EQ(many->subkeys, 0u);
    EXPECT_EQ(many->subkey_list, regf::kNone);
    // And one more goes in again.
    auto again = opened(none);
    ASSERT_TRUE(again.set("x", "Many\\new", "v", reg_sz("")).ok());
    EXPECT_THAT(opened(again.bytes().value()).keys("Many"), ElementsAre("new"));
}

TEST(Hive, keys_go_in_where_windows_looks_for_them) {
    TestKey root;
    for (const auto* name : {"Beta", "delta", "_under", "Zeta", "\xc3\x89t\xc3\xa9", "\xce\xa9mega"})
        root.key(std::string("K\\") + name);
    auto hive = opened(make_hive(root));
    for (const auto* name : {"alpha", "Charlie", "echo", "[bracket", "zz"})
        ASSERT_TRUE(hive.set("x", std::string("K\\") + name, "v", reg_dword(1)).ok());
    EXPECT_THAT(opened(hive.bytes().value()).keys("K"),
                ElementsAre("alpha", "Beta", "Charlie", "delta", "echo", "Zeta", "zz", "[bracket", "_under",
                            "\xc3\x89t\xc3\xa9", "\xce\xa9mega"));
    EXPECT_TRUE(hive.has("k\\\xc3\xa9T\xc3\x89"));
    EXPECT_TRUE(hive.has("k\\\xcf\x89MEGA"));
}

TEST(Hive, big_data_is_read_whole_and_survives_a_change_beside_it) {
    for (const std::size_t size : {16345u, 32688u, 40001u, 53392u, 1300000u})
        for (const bool tight : {false, true}) {
            TestKey root;
            root.key("Cache").set("Before", reg_dword(1)).set("Big", reg_binary(long_text(size))).set("After", reg_sz("x"));
            TestHive how;
            how.tight_segments = tight;
            const auto before = make_hive(root, how);
            auto hive = opened(before);
            EXPECT_EQ(hive.get("Cache", "Big"), reg_binary(long_text(size)));
            ASSERT_TRUE(hive.set("x", "Cache", "Before", reg_dword(2)).ok());
            ASSERT_TRUE(hive.set("x", "Cache", "Third", reg_dword(3)).ok());
            EXPECT_EQ(hive.get("Cache", "Big"), reg_binary(long_text(size)));
            const auto after = hive.bytes().value();
            EXPECT_EQ(test::to_text(diff_hives(before, after)),
                      "- Cache: Before = 4:01000000\n+ Cache: Before = 4:02000000\n+ Cache: Third = 4:03000000\n");
            // It is where it was: nobody has to write it anew.
            EXPECT_LT(after.size(), before.size() + 8192);
            auto again = opened(after);
            ASSERT_TRUE(again.remove_value("x", "Cache", "Third").ok());
            ASSERT_TRUE(again.remove_value("x", "Cache", "Big").ok());
            EXPECT_THAT(opened(again.bytes().value()).values("Cache"), ElementsAre("Before", "After"));
        }
}

// As 1.3 files have it.
TEST(Hive, long_data_in_one_cell_survives_too) {
    TestKey root;
    root.key("Cache").set("Big", reg_binary(long_text(2000000))).set("Small", reg_dword(1));
    TestHive how;
    how.minor = 3;
    how.list = "lf";
    auto hive = opened(make_hive(root, how));
    ASSERT_TRUE(hive.set("x", "Cache", "Small", reg_dword(2)).ok());
    EXPECT_EQ(opened(hive.bytes().value()).get("Cache", "Big"), reg_binary(long_text(2000000)));
}

TEST(Hive, freed_big_data_leaves_no_used_cells_behind) {
    TestKey root;
    root.key("A").set("Big", reg_binary(long_text(50000)));
    const auto before = make_hive(root);
    for (const auto* how : {"value", "key", "other"}) {
        auto hive = opened(before);
        const auto done = std::string(how) == "value" ? hive.remove_value("x", "A", "Big")
                          : std::string(how) == "key" ? hive.remove_key("x", "A")
                                                      : hive.set("x", "A", "Big", reg_dword(1));
        ASSERT_TRUE(done.ok()) << done.error().describe();
        const auto after = hive.bytes().value();
        std::size_t used = 0;
        for (std::size_t at = regf::kBaseBlock + regf::kBinHeader; at < regf::kBaseBlock + regf::le32(before, 40);) {
            const auto size = static_cast<std::int32_t>(regf::le32(after, at));
            if (size < 0) used += static_cast<std::size_t>(-size);
            at += static_cast<std::size_t>(size < 0 ? -size : size);
        }
        EXPECT_LT(used, 1000u) << how;
    }
}

TEST(Hive, empty_values_odd_types_and_foreign_names_are_kept) {
    TestKey root;
    root.key("K")
        .set("Empty", {RegType::Binary, ""})
        .set("None", {RegType::None, ""})
        .set("Odd", {static_cast<RegType>(0xffff0009), "abcdefgh"})
        .set("T\xc3\xa4st", reg_sz("\xc3\xa4"))
        .set("\xe4\xb8\xad\xe6\x96\x87", reg_sz("\xe4\xb8\xad"))
        .set("\xd0\x9f\xd1\x83\xd1\x82\xd1\x8c", reg_dword(9));
    const auto before = make_hive(root);
    auto hive = opened(before);
    EXPECT_EQ(hive.number("K", "\xd0\xbf\xd0\xa3\xd1\x82\xd0\xac"), 9u);
    ASSERT_TRUE(hive.set("x", "K", "t\xc3\x84st", reg_sz("b")).ok());
    const auto diff = diff_hives(before, hive.bytes().value());
    EXPECT_THAT(diff.removed, ElementsAre("K: T\xc3\xa4st = 1:e4000000"));
    EXPECT_THAT(diff.added, ElementsAre("K: T\xc3\xa4st = 1:62000000"));
}

// Written by others: no length, and an offset that is none. libhivex would free that cell.
TEST(Hive, values_of_no_length_without_a_cell_are_taken_as_windows_takes_them) {
    TestKey root;
    root.key("K").set("Nothing", {RegType::Sz, ""}).set("Start", reg_dword(1));
    auto bytes = make_hive(root);
    const auto vk = bytes.find("Nothing") - 20;
    ASSERT_EQ(bytes.substr(vk, 2), "vk");
    regf::put_le32(bytes, vk + 4, 0);
    regf::put_le32(bytes, vk + 8, 0xffffffff);
    auto hive = opened(bytes);
    EXPECT_EQ(hive.bytes().value(), bytes);
    ASSERT_TRUE(hive.set("x", "K", "Start", reg_dword(0)).ok());
    EXPECT_EQ(opened(hive.bytes().value()).get("K", "Nothing"), (RegValue{RegType::Sz, ""}));
    ASSERT_TRUE(opened(bytes).remove_key("x", "K").ok());
}

TEST(Hive, what_libhivex_cannot_write_is_refused_and_nothing_is_lost) {
    TestKey root;
    root.key("Li\\One");
    root.key("Li\\Two");
    root.key("Nul").set(std::string("a\0b", 3), reg_dword(1)).set("c", reg_dword(2));
    TestHive how;
    how.list = "li";
    how.minor = 3;
    const auto before = make_hive(root, how);
    auto hive = opened(before);
    EXPECT_EQ(hive.number("Nul", std::string_view("a\0b", 3)), 1u);
    EXPECT_TRUE(hive.set("x", "Nul", "c", reg_dword(3)).error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.remove_key("x", "Li\\One").error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.remove_key("x", "").error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.set("x", "New\\\xc3\xa4", "v", reg_dword(1)).error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.set("x", "A\\\\B", "v", reg_dword(1)).error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.set("x", "A", "\xff", reg_dword(1)).error().is(errors::kHiveEdit));
    EXPECT_TRUE(hive.set("x", "A", "v", reg_binary(long_text(16345))).error().is(errors::kHiveEdit));
    EXPECT_EQ(hive.bytes().value(), before);
    // A key beside it goes in all the same.
    ASSERT_TRUE(hive.set("x", "Li\\Three", "v", reg_dword(1)).ok());
    EXPECT_THAT(opened(hive.bytes().value()).keys("Li"), ElementsAre("One", "Three", "Two"));
}

TEST(Hive, a_dirty_one_is_not_opened) {
    const auto bytes = make_hive(small_tree());
    EXPECT_TRUE(Hive::open(test::with_sequences(bytes, 8, 7), "SYSTEM").error().is(errors::kHiveDirty));
    auto damaged = bytes;
    damaged[12] = static_cast<char>(damaged[12] ^ 1);
    EXPECT_TRUE(Hive::open(damaged, "SYSTEM").error().is(errors::kHiveDirty));
    EXPECT_TRUE(Hive::open("regf", "SYSTEM").error().is(errors::kHive));
    EXPECT_TRUE(Hive::open("", "SYSTEM").error().is(errors::kHive));
}

TEST(HiveCheck, no_cell_is_reached_twice_and_nothing_leaves_the_file) {
    const auto good = make_hive(small_tree());
    ASSERT_TRUE(check_hive(good).ok());
    for (std::size_t cut = 0; cut < good.size(); cut += 37)
        EXPECT_TRUE(check_hive(good.substr(0, cut)).error().is(errors::kHive)) << cut;
    const auto at = [&](std::string_view what) { return good.find(what); };
    const auto broken = [&](std::size_t place, std::uint32_t value) {
        auto bytes = good;
        regf::put_le32(bytes, place, value);
        const auto status = check_hive(bytes);
        return status.ok() ? "taken" : status.error().message();
    };
    const auto root = at("nk");
    EXPECT_THAT(broken(regf::kRootCell, 24), HasSubstr("no cell at 0x18"));
    EXPECT_THAT(broken(root + 28, regf::le32(good, regf::kRootCell)), HasSubstr("used twice"));
    EXPECT_THAT(broken(root + 20, 3), HasSubstr("should have 3 keys"));
    EXPECT_THAT(broken(root - 4, 0), HasSubstr("0 bytes"));
    EXPECT_THAT(broken(root - 4, 0x80000000), HasSubstr("bytes"));
    EXPECT_THAT(broken(at("lh") + 4, regf::le32(good, at("lh") + 12)), HasSubstr("used twice"));
    EXPECT_THAT(broken(at("vk") + 8, 0x100000), HasSubstr("no cell"));
    EXPECT_THAT(broken(at("vk") + 4, 0x7fffffff), HasSubstr("cut"));
    EXPECT_THAT(broken(at("sk") + 4, 0x20), HasSubstr("another thing"));
    EXPECT_THAT(broken(0x1000 + 8, 0x2000), HasSubstr("0x0 is said to have"));
}

TEST(HiveCheck, a_descriptor_with_too_few_users_is_counted_again) {
    auto bytes = make_hive(small_tree());
    regf::put_le32(bytes, bytes.find("sk") + 12, 1);
    EXPECT_EQ(inspect_hive(bytes).value().size(), 1u);
    auto hive = opened(bytes);
    ASSERT_TRUE(hive.remove_key("x", "Select").ok());
    ASSERT_TRUE(hive.set("x", "Select", "v", reg_dword(1)).ok());
    EXPECT_TRUE(hive.bytes().ok());
}

TEST(HiveReal, every_value_is_read_as_by_libhivex_itself) {
    for (const auto& name : kRealHives) {
        const auto bytes = test::shared_hive(name);
        if (!bytes) GTEST_SKIP() << name << " is not there";
        const auto lines = test::dump_hive(*bytes);
        std::map<std::string, std::string> ours;
        for (const auto& line : lines)
            if (const auto sign = line.find(" = "); sign != std::string::npos) ours[line.substr(0, sign)] = line.substr(sign + 3);
        const auto theirs = test::hivex_dump(*bytes);
        EXPECT_GT(ours.size(), 50u) << name;
        EXPECT_TRUE(ours == theirs) << name << ": " << ours.size() << " and " << theirs.size();
    }
}

// Libhivex and reged, and our own walk, agree on what is changed in every real hive, and that nothing else is.
TEST(HiveReal, edits_change_what_was_asked_and_nothing_else) {
    for (const auto& name : kRealHives) {
        const auto before = test::shared_hive(name);
        if (!before) GTEST_SKIP() << name << " is not there";
        auto hive = opened(*before);
        const auto key = hive.keys("").front();
        ASSERT_TRUE(hive.set("x", key + "\\Slipway\\Deep", "Number", reg_dword(7)).ok()) << name;
        ASSERT_TRUE(hive.set("x", key + "\\Slipway\\Deep", "Text", reg_sz("t")).ok()) << name;
        ASSERT_TRUE(hive.set("x", key + "\\Slipway", "Gone", reg_sz("t")).ok()) << name;
        ASSERT_TRUE(hive.remove_value("x", key + "\\Slipway", "Gone").ok()) << name;
        const auto after = hive.bytes().value();
        const auto diff = diff_hives(*before, after);
        EXPECT_THAT(diff.removed, IsEmpty()) << name;
        EXPECT_EQ(diff.added.size(), 4u) << name << test::to_text(diff);
        const auto mine = test::reged_export(after, key + "\\Slipway");
        if (!mine) GTEST_SKIP() << "reged of chntpw is not installed";
        EXPECT_THAT(*mine, HasSubstr("\"Number\"=dword:00000007")) << name;
        EXPECT_THAT(*mine, HasSubstr("\"Text\"=\"t\"")) << name;
        EXPECT_THAT(*mine, testing::Not(HasSubstr("Gone"))) << name;
        // And away again: as before.
        auto again = opened(after);
        ASSERT_TRUE(again.remove_key("x", key + "\\Slipway").ok()) << name;
        EXPECT_EQ(test::to_text(diff_hives(*before, again.bytes().value())), "") << name;
    }
}

TEST(HiveReal, a_change_beside_big_data_of_windows_keeps_it) {
    const auto before = test::shared_hive("hives/regipy-SYSTEM");
    if (!before) GTEST_SKIP() << "hives/regipy-SYSTEM is not there";
    auto hive = opened(*before);
    const std::string key = "ControlSet001\\Control\\Session Manager\\AppCompatCache";
    ASSERT_EQ(hive.get(key, "AppCompatCache")->data.size(), 56256u);
    ASSERT_TRUE(hive.set("x", key, "Slipway", reg_dword(1)).ok());
    const auto after = hive.bytes().value();
    EXPECT_EQ(test::to_text(diff_hives(*before, after)), "+ " + key + ": Slipway = 4:01000000\n");
    const auto theirs = test::hivex_dump(after);
    EXPECT_EQ(theirs.at(key + ": AppCompatCache"), test::hivex_dump(*before).at(key + ": AppCompatCache"));
}

TEST(RegValue, is_read_as_what_it_is_and_as_nothing_else) {
    EXPECT_EQ(as_string(reg_sz("\xc3\xa4\xf0\x9f\x98\x80")), "\xc3\xa4\xf0\x9f\x98\x80");
    EXPECT_EQ(as_string({RegType::Sz, std::string("a\0b\0\0\0junk", 10)}), "ab");
    EXPECT_EQ(as_string({RegType::Sz, std::string("\0\xd8x\0", 4)}), "\xef\xbf\xbdx");
    EXPECT_EQ(as_string({RegType::Sz, "a"}), "");
    EXPECT_EQ(as_strings(reg_multi_sz({})), std::vector<std::string>{});
    EXPECT_EQ(as_strings(reg_sz("a")), std::nullopt);
    EXPECT_EQ(as_number({RegType::DwordBigEndian, std::string("\0\0\1\2", 4)}), 258u);
    EXPECT_EQ(as_number({RegType::Dword, "abc"}), std::nullopt);
    EXPECT_EQ(as_number(reg_qword(1ull << 40)), 1ull << 40);
    EXPECT_EQ(shown(reg_multi_sz({"a", "b"})), "[\"a\", \"b\"]");
    EXPECT_EQ(shown(reg_binary(std::string("\1\xff", 2))), "hex:01 ff");
    EXPECT_EQ(shown({static_cast<RegType>(0x20), "a"}), "hex(20):61");
    EXPECT_THAT(shown(reg_binary(long_text(100))), HasSubstr("hex:sha256:"));
    EXPECT_EQ(shown(reg_sz("a\x1b[31m")), "\"a?[31m\"");
}

}  // namespace
}  // namespace slipway::fixup::windows
