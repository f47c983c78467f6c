// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
