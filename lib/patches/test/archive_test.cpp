// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/patches/archive.hpp"
#include "lib/patches/errors.hpp"
#include "media.hpp"

using namespace slipway;
using namespace slipway::patches;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

Result<Extraction> extract_all(std::string_view archive, const ExtractLimits& limits = {}) {
    return extract(
        *bytes_in_memory(as_bytes(archive)), [](std::string_view) { return true; }, limits);
}

TEST(Archive, a_cabinet_gives_the_wanted_file_alone) {
    const auto cabinet =
        test::make_cabinet({{"A.TXT", "a"}, {"i386\\HALACPI.DLL", "the hal"}, {"..\\..\\hal.dll", "x"}});
    const auto out = extract(*bytes_in_memory(as_bytes(cabinet)), [](auto name) { return name == "halacpi.dll"; });
    ASSERT_TRUE(out.ok()) << out.error().describe();
    ASSERT_THAT(out->files, SizeIs(1)) << testing::PrintToString(out->notes);
    EXPECT_EQ(out->files[0].name, "halacpi.dll");
    EXPECT_EQ(out->files[0].content, "the hal");
    EXPECT_THAT(out->notes, IsEmpty());
}

TEST(Archive, szdd_and_kwaj_give_their_one_file) {
    const std::string content = "HAL of Windows NT 4, HAL of Windows NT 4.";
    for (const auto& archive : {test::make_szdd(content), test::make_kwaj(content)}) {
        const auto out = extract_all(archive);
        ASSERT_TRUE(out.ok()) << out.error().describe();
        ASSERT_THAT(out->files, SizeIs(1)) << testing::PrintToString(out->notes);
        EXPECT_EQ(out->files[0].content, content);
    }
}

TEST(Archive, a_cabinet_compressed_by_another_tool_opens) {
    const auto dir = TempDir::create("cabinet").value();
    std::string content;
    for (int i = 0; i < 20000; ++i) content += "line " + std::to_string(i) + "\n";
    test::put(dir / "ntoskrnl.exe", content);
    const auto made =
        run_command({"gcab", "-c", "-z", "-n", (dir / "sp2.cab").string(), (dir / "ntoskrnl.exe").string()});
    if (!made) GTEST_SKIP() << "gcab is not installed";
    ASSERT_TRUE(made->ok()) << made->error_text;
    const auto file = bytes_in_file(dir / "sp2.cab");
    ASSERT_TRUE(file.ok());
    EXPECT_LT((*file)->size(), content.size() / 2);
    const auto out = extract(**file, [](auto name) { return name == "ntoskrnl.exe"; });
    ASSERT_TRUE(out.ok()) << out.error().describe();
    ASSERT_THAT(out->files, SizeIs(1)) << testing::PrintToString(out->notes);
    EXPECT_EQ(out->files[0].content, content);
}

TEST(Archive, a_file_that_goes_on_in_another_cabinet_comes_out_of_the_set_whole) {
    std::string content;
    for (int i = 0; i < 20000; ++i) content += "line " + std::to_string(i) + "\n";
    const auto [one, two] = test::make_cabinet_pair("SP1.CAB", "sub\\SP2.CAB", "ntoskrnl.exe", content);
    const auto first = bytes_in_memory(as_bytes(one)), second = bytes_in_memory(as_bytes(two));
    EXPECT_EQ(links_of(*first)->next, "sp2.cab");
    EXPECT_EQ(links_of(*first)->previous, "");
    EXPECT_EQ(links_of(*second)->previous, "sp1.cab");
    const auto all = [](std::string_view) { return true; };
    const auto out = extract_set({first.get(), second.get()}, all);
    ASSERT_TRUE(out.ok()) << out.error().describe();
    ASSERT_THAT(out->files, SizeIs(1)) << testing::PrintToString(out->notes);
    EXPECT_EQ(out->files[0].content, content);
    EXPECT_THAT(out->notes, IsEmpty());
    // Alone, or in the wrong order, it is named and does not come out.
    using Set = std::vector<const ArchiveBytes*>;
    for (const auto& set : {Set{first.get()}, Set{second.get(), first.get()}}) {
        const auto part = extract_set(set, all);
        ASSERT_TRUE(part.ok());
        EXPECT_THAT(part->files, IsEmpty());
        EXPECT_THAT(part->notes, testing::Contains(HasSubstr("ntoskrnl.exe")));
    }
    EXPECT_TRUE(extract_set({}, all).error().is(errors::kArchive));
}

TEST(Archive, the_cabinets_of_a_program_are_found_by_their_headers_and_opened) {
    const auto inner = test::make_cabinet({{"hal.dll", "the inner one"}});
    const auto a = test::make_cabinet({{"i386\\halacpi.dll", "the hal"}, {"sp4.cab", inner}});
    const auto b = test::make_cabinet({{"halmps.dll", "another"}});
    const auto program = test::make_program_with({a, b});
    const auto places = find_cabinets(*bytes_in_memory(as_bytes(program)));
    ASSERT_THAT(places, SizeIs(2)) << "what lies in a cabinet is not looked into";
    EXPECT_EQ(program.substr(places[0].offset, places[0].size), a);
    EXPECT_EQ(program.substr(places[1].offset, places[1].size), b);
    const auto out = extract_all(program);
    ASSERT_TRUE(out.ok()) << out.error().describe();
    std::vector<std::string> names;
    for (const auto& file : out->files) names.push_back(file.name);
    EXPECT_THAT(names, testing::ElementsAre("halacpi.dll", "sp4.cab", "halmps.dll"));
    EXPECT_EQ(out->files[1].content, inner);
    // A set in a program.
    const auto [one, two] = test::make_cabinet_pair("1.cab", "2.cab", "ntoskrnl.exe", std::string(90'000, 'k'));
    const auto set = extract_all(test::make_program_with({one, two}));
    ASSERT_TRUE(set.ok());
    ASSERT_THAT(set->files, SizeIs(1)) << testing::PrintToString(set->notes);
    EXPECT_EQ(set->files[0].content, std::string(90'000, 'k'));
}

TEST(Archive, a_header_across_two_blocks_is_found_and_what_is_none_is_not) {
    const auto cabinet = test::make_cabinet({{"hal.dll", "x"}});
    for (const std::size_t before : {(1u << 20) - 4, (1u << 20) - 35, (1u << 20) - 36, (1u << 20) + 1}) {
        auto program = std::string(before, 'p');
        program.replace(0, 2, "MZ");
        program += cabinet;
        const auto places = find_cabinets(*bytes_in_memory(as_bytes(program)));
        ASSERT_THAT(places, SizeIs(1)) << before;
        EXPECT_EQ(places[0].offset, before);
    }
    EXPECT_THAT(find_cabinets(*bytes_in_memory(as_bytes(cabinet.substr(0, cabinet.size() - 1)))), IsEmpty()) << "cut";
    auto old = cabinet;
    old[25] = 2;  // a version that there is none of
    EXPECT_THAT(find_cabinets(*bytes_in_memory(as_bytes(old))), IsEmpty());
    std::string many = "MZ";
    for (std::size_t i = 0; i < kMostCabinets + 9; ++i) many += cabinet;
    EXPECT_THAT(find_cabinets(*bytes_in_memory(as_bytes(many))), SizeIs(kMostCabinets));
    const auto none = extract_all(test::make_program_with({}));
    ASSERT_FALSE(none.ok());
    EXPECT_TRUE(none.error().is(errors::kArchive));
}

// SLIPWAY_REGENERATE=1 writes the fuzz target's seeds anew.
TEST(Archive, the_seeds_of_the_fuzz_target_are_these_files) {
    const std::filesystem::path seeds = SLIPWAY_SOURCE_DIR "/lib/patches/fuzz/seeds-cabinets";
    const auto [one, two] = test::make_cabinet_pair("1.cab", "2.cab", "hal.dll", std::string(100, 'k'));
    const std::pair<const char*, std::string> all[] = {
        {"program", test::make_program_with({test::make_cabinet({{"hal.dll", "x"}})})},
        {"set", test::make_program_with({one, two})}};
    for (const auto& [name, text] : all) {
        if (std::getenv("SLIPWAY_REGENERATE")) {
            std::filesystem::create_directories(seeds);
            test::put(seeds / name, text);
        }
        EXPECT_EQ(read_text_file(seeds / name).value_or(""), text) << name;
    }
}

TEST(Archive, what_is_larger_than_allowed_does_not_come_out) {
    const ExtractLimits small{.file = 100};
    const auto cabinet = extract_all(test::make_cabinet({{"big", std::string(101, 'x')}, {"small", "s"}}), small);
    ASSERT_TRUE(cabinet.ok());
    ASSERT_THAT(cabinet->files, SizeIs(1)) << testing::PrintToString(cabinet->notes);
    EXPECT_EQ(cabinet->files[0].name, "small");
    EXPECT_THAT(cabinet->notes, testing::ElementsAre(HasSubstr("big")));
    for (const auto& archive : {test::make_szdd(std::string(101, 'x')), test::make_kwaj(std::string(101, 'x'))}) {
        const auto out = extract_all(archive, small);
        ASSERT_FALSE(out.ok());
        EXPECT_TRUE(out.error().is(errors::kArchive));
    }
}

TEST(Archive, a_cut_cabinet_names_the_file_that_it_lost) {
    const auto cabinet = test::make_cabinet({{"halacpi.dll", std::string(5000, 'x')}});
    const auto out = extract_all(std::string_view(cabinet).substr(0, cabinet.size() - 1000));
    ASSERT_TRUE(out.ok());
    EXPECT_THAT(out->files, IsEmpty());
    EXPECT_THAT(out->notes, testing::ElementsAre(HasSubstr("halacpi.dll")));
    EXPECT_FALSE(extract_all(std::string_view(cabinet).substr(0, 30)).ok());
}

TEST(Archive, what_is_no_archive_is_an_error) {
    for (std::string_view text : {"", "MS", "MZ a program", "MSCF", "SZDD", "KWAJ"}) {
        const auto out = extract_all(text);
        ASSERT_FALSE(out.ok()) << text;
        EXPECT_TRUE(out.error().is(errors::kArchive));
    }
}

}  // namespace
