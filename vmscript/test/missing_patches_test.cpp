// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/temp_dir.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/test/media.hpp"
#include "vmscript/missing_patches.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using patches::FixHal;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

HalFacts server_2003() {
    return {.os_version = "5.2.3790",
            .architecture = "x86",
            .hal = "acpiapic_mp",
            .files = {{"C:\\WINDOWS\\system32\\hal.dll", "5.2.3790.3959", "halmacpi.dll", "0409"},
                      {"C:\\WINDOWS\\system32\\NTOSKRNL.EXE", "5.2.3790.4478", "NTKRNLMP.EXE", "0409"},
                      {"C:\\WINDOWS\\system32\\drivers\\atapi.sys", "5.2.3790.3959", "atapi.sys", "0409"}}};
}

TEST(MissingPatches, are_named_by_version_and_the_library_makes_them_good) {
    const auto dir = TempDir::create("missing").value();
    const auto before = missing_patches(server_2003(), {}, FixHal::Acpi, patches::Library::open({dir.path()})).value();
    EXPECT_TRUE(before.known);
    ASSERT_THAT(before.missing, SizeIs(2));
    EXPECT_EQ(before.missing[0].key.text(), "halacpi.dll 5.2.3790.3959 (0409, English)");
    EXPECT_EQ(before.missing[1].key.text(), "ntoskrnl.exe 5.2.3790.4478 (0409, English)");
    for (const auto& file : before.missing) {
        const auto made = patches::test::make_pe(file.key.name, file.key.version, file.key.language);
        ASSERT_TRUE(patches::add_to_library(dir.path(), as_bytes(made)).ok());
    }
    const auto after = missing_patches(server_2003(), {}, FixHal::Acpi, patches::Library::open({dir.path()})).value();
    EXPECT_THAT(after.missing, IsEmpty());
    EXPECT_EQ(after.wanted, before.wanted);
}

TEST(MissingPatches, a_hal_that_runs_wants_none) {
    const auto out = missing_patches(server_2003(), {}, FixHal::Auto, {}).value();
    EXPECT_THAT(out.wanted, IsEmpty());
    EXPECT_THAT(out.why, HasSubstr("ACPI Multiprocessor PC"));
}

TEST(MissingPatches, an_inventory_without_files_says_that_it_does_not_know) {
    auto facts = server_2003();
    facts.files.clear();
    EXPECT_FALSE(missing_patches(facts, {}, FixHal::Acpi, {})->known);
    EXPECT_FALSE(missing_patches({}, {}, FixHal::Auto, {})->known);
    facts.architecture.clear();  // which need not mean 64 bits
    EXPECT_FALSE(missing_patches(facts, {}, FixHal::Auto, {})->known);
    facts = server_2003();
    facts.files[1].version = "unknown";
    EXPECT_TRUE(missing_patches(facts, {}, FixHal::Acpi, {}).error().is(patches::errors::kHal));
}

TEST(MissingPatches, newer_and_64_bit_windows_want_none) {
    HalFacts facts{.os_version = "6.1.7601", .architecture = "amd64", .hal = "acpiapic", .files = {}};
    EXPECT_TRUE(missing_patches(facts, {}, FixHal::Acpi, {})->known);
    facts = {.os_version = "5.2.3790", .architecture = "amd64", .hal = "", .files = {}};
    const auto out = missing_patches(facts, {}, FixHal::Acpi, {}).value();
    EXPECT_TRUE(out.known);
    EXPECT_THAT(out.wanted, IsEmpty());
}

TEST(MissingPatches, of_an_inventory_are_named_from_the_library_that_was_given) {
    const auto dir = TempDir::create("missing").value();
    gatherhw::Inventory inventory;
    inventory.os.family = "windows";
    inventory.os.version = "5.2.3790";
    inventory.os.architecture = "x86";
    inventory.os.hal = "acpiapic_mp";
    for (const auto& file : server_2003().files)
        inventory.os.system_files.push_back({file.path, file.version, file.original_name, file.language, 0});
    Switches switches;
    switches.fix_hal = FixHal::Acpi;
    switches.patch_directory = dir.path().string();
    const auto before = missing_patch_files(inventory, switches).value();
    ASSERT_TRUE(before);
    EXPECT_EQ(before->wanted, 2u);
    EXPECT_THAT(before->missing, testing::ElementsAre("halacpi.dll 5.2.3790.3959 (0409, English)",
                                                      "ntoskrnl.exe 5.2.3790.4478 (0409, English)"));
    for (const auto& [name, version] : {std::pair{"halacpi.dll", "5.2.3790.3959"}, {"ntoskrnl.exe", "5.2.3790.4478"}}) {
        const auto made = patches::test::make_pe(name, *patches::FileVersion::parse(version), 0x0409);
        ASSERT_TRUE(patches::add_to_library(dir.path(), as_bytes(made)).ok());
    }
    const auto after = missing_patch_files(inventory, switches).value();
    ASSERT_TRUE(after);
    EXPECT_EQ(after->wanted, 2u);
    EXPECT_THAT(after->missing, IsEmpty());
    switches.patch_directory = (dir / "not-made-yet").string();
    EXPECT_EQ(missing_patch_files(inventory, switches).value()->missing, before->missing) << "no library has nothing";
    // A HAL that is not there is an error only where an exchange was asked for.
    inventory.os.system_files.erase(inventory.os.system_files.begin());
    EXPECT_TRUE(missing_patch_files(inventory, switches).error().is(patches::errors::kHal));
    switches.fix_hal.reset();
    EXPECT_FALSE(missing_patch_files(inventory, switches).value());
    inventory.os.version = "6.1.7601";
    EXPECT_FALSE(missing_patch_files(inventory, switches).value());
}

}  // namespace
