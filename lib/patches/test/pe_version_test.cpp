// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/patches/errors.hpp"
#include "lib/patches/library.hpp"
#include "media.hpp"

using namespace slipway;
using namespace slipway::patches;
using test::PeRecipe;
using testing::HasSubstr;

namespace {

TEST(PeVersion, says_what_a_hal_is_however_it_is_called) {
    const auto file =
        test::make_pe({.original_name = "HALMACPI.DLL", .version = {5, 1, 2600, 5512}, .language = 0x0407});
    const auto version = read_pe_version(as_bytes(file));
    ASSERT_TRUE(version.ok()) << version.error().describe();
    EXPECT_EQ(version->original_name, "halmacpi.dll");
    EXPECT_EQ(version->version.text(), "5.1.2600.5512");
    EXPECT_EQ(version->language, 0x0407);
    EXPECT_EQ(version->machine, Machine::X86);
    EXPECT_FALSE(version->debug);
    EXPECT_EQ(pe_checksum(as_bytes(file)).value(), version->checksum);
}

TEST(PeVersion, every_cut_of_a_file_is_an_error_or_has_a_wrong_checksum) {
    const auto file = test::make_pe(PeRecipe{});
    for (std::size_t size = 0; size < file.size(); ++size)
        EXPECT_FALSE(key_of(as_bytes(std::string_view(file).substr(0, size))).ok()) << size;
    EXPECT_TRUE(key_of(as_bytes(file)).ok());
}

TEST(PeVersion, one_changed_byte_is_found_by_the_checksum) {
    auto file = test::make_pe(PeRecipe{});
    file.back() ^= 1;
    const auto key = key_of(as_bytes(file));
    ASSERT_FALSE(key.ok());
    EXPECT_TRUE(key.error().is(errors::kPe));
    EXPECT_THAT(key.error().describe(), HasSubstr("wrong checksum"));
}

TEST(PeVersion, a_checked_build_another_machine_and_another_program_are_no_library_files) {
    for (const auto& recipe : {PeRecipe{.debug = true}, PeRecipe{.machine = Machine::Amd64},
                               PeRecipe{.original_name = "notepad.exe"}, PeRecipe{.original_name = "../halacpi.dll"}}) {
        const auto key = key_of(as_bytes(test::make_pe(recipe)));
        ASSERT_FALSE(key.ok()) << recipe.original_name;
        EXPECT_TRUE(key.error().is(errors::kNotSystemFile)) << key.error().describe();
    }
}

TEST(PeVersion, text_and_dos_programs_are_no_pe_files) {
    for (std::string_view text : {"", "MZ", "[boot loader]\r\n", "MZ\x90 an old program that does not go on"}) {
        const auto version = read_pe_version(as_bytes(text));
        ASSERT_FALSE(version.ok());
        EXPECT_TRUE(version.error().is(errors::kPe));
    }
}

TEST(PeVersion, versions_are_four_numbers) {
    EXPECT_EQ(FileVersion::parse("5.2.3790.3959"), (FileVersion{5, 2, 3790, 3959}));
    for (auto text : {"", "5.2.3790", "5.2.3790.3959.1", "5.2.3790.x", "5.2.3790.70000"})
        EXPECT_FALSE(FileVersion::parse(text)) << text;
}

}  // namespace
