// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/temp_dir.hpp"
#include "lib/patches/test/media.hpp"
#include "vmscript/missing_patches.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using patches::FixHal;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
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
    const auto before = missing_patches(server_2003(), {}, FixHal::Acpi, patches::Library::open({dir.path()}));
    EXPECT_THAT(before.unknown, IsEmpty());
    ASSERT_THAT(before.missing, SizeIs(2));
    EXPECT_EQ(before.missing[0].key.text(), "halacpi.dll 5.2.3790.3959 (0409, English)");
    EXPECT_EQ(before.missing[1].key.text(), "ntoskrnl.exe 5.2.3790.4478 (0409, English)");
    for (const auto& file : before.missing) {
        const auto made = patches::test::make_pe(file.key.name, file.key.version, file.key.language);
        ASSERT_TRUE(patches::add_to_library(dir.path(), as_bytes(made)).ok());
    }
    const auto after = missing_patches(server_2003(), {}, FixHal::Acpi, patches::Library::open({dir.path()}));
    EXPECT_THAT(after.missing, IsEmpty());
    EXPECT_EQ(after.wanted, before.wanted);
}

TEST(MissingPatches, a_hal_that_runs_wants_none) {
    const auto out = missing_patches(server_2003(), {}, FixHal::Auto, {});
    EXPECT_THAT(out.wanted, IsEmpty());
    EXPECT_THAT(out.why, HasSubstr("ACPI Multiprocessor PC"));
}

TEST(MissingPatches, what_an_answer_hangs_on_is_named_and_nothing_else) {
    const auto unknown = [](const HalFacts& facts, FixHal fix) { return missing_patches(facts, {}, fix, {}).unknown; };
    auto facts = server_2003();
    facts.files.clear();
    EXPECT_THAT(unknown(facts, FixHal::Auto), IsEmpty()) << "its HAL is known by its ID, and stays";
    EXPECT_THAT(unknown(facts, FixHal::Nacpi),
                ElementsAre("the version of system32\\hal.dll", "which kernel system32\\ntoskrnl.exe is"));
    facts.multiprocessor = true;
    facts.pae = true;
    EXPECT_THAT(unknown(facts, FixHal::Nacpi),
                ElementsAre("the version of system32\\hal.dll", "the version of system32\\ntoskrnl.exe",
                            "the version of system32\\ntkrnlpa.exe"));
    facts.hal.clear();
    EXPECT_THAT(unknown(facts, FixHal::Auto), ElementsAre("which HAL system32\\hal.dll is"));
    EXPECT_THAT(unknown(facts, FixHal::None), IsEmpty()) << "nothing is exchanged whatever it is";
    facts.architecture.clear();  // which need not mean 64 bits
    EXPECT_THAT(unknown(facts, FixHal::Auto), ElementsAre("for which processor Windows is"));
    EXPECT_THAT(unknown({}, FixHal::Auto), ElementsAre("which Windows it is"));
    facts = server_2003();
    facts.files[1].version = "unknown";
    const auto out = missing_patches(facts, {}, FixHal::Acpi, {});
    EXPECT_THAT(out.unknown, ElementsAre("the version of system32\\ntoskrnl.exe"));
    EXPECT_THAT(out.missing, SizeIs(1)) << "the HAL is missing all the same";
}

// What WMI tells: versions, the HAL's hardware ID and the kernel's BuildType.
TEST(MissingPatches, of_versions_alone_a_file_that_is_in_no_language_is_missing_and_others_are_open) {
    const auto dir = TempDir::create("missing").value();
    auto facts = server_2003();
    facts.multiprocessor = true;
    for (auto& file : facts.files) file.original_name = file.language = "";
    const auto look = [&] { return missing_patches(facts, {}, FixHal::Acpi, patches::Library::open({dir.path()})); };
    const auto before = look();
    EXPECT_THAT(before.any_language, ElementsAre("halacpi.dll 5.2.3790.3959, in whichever language",
                                                 "ntoskrnl.exe 5.2.3790.4478, in whichever language"));
    EXPECT_THAT(before.missing, IsEmpty());
    EXPECT_THAT(before.unknown, IsEmpty());
    for (const std::uint16_t language : {0x0407, 0x0409}) {
        const auto made =
            patches::test::make_pe("halacpi.dll", *patches::FileVersion::parse("5.2.3790.3959"), language);
        ASSERT_TRUE(patches::add_to_library(dir.path(), as_bytes(made)).ok());
    }
    const auto after = look();
    EXPECT_THAT(after.any_language, SizeIs(1));
    EXPECT_THAT(after.unknown, ElementsAre("the language of system32\\hal.dll (the library has halacpi.dll "
                                           "5.2.3790.3959 as 0407, 0409)"));
}

TEST(MissingPatches, copies_elsewhere_on_the_disk_are_not_what_starts) {
    auto facts = server_2003();
    facts.files.insert(facts.files.begin(),
                       {"C:\\WINDOWS\\system32\\dllcache\\hal.dll", "5.2.3790.0", "hal.dll", "0409"});
    facts.files.insert(facts.files.begin(),
                       {"C:\\WINDOWS\\ServicePackFiles\\i386\\hal.dll", "5.2.3790.1", "hal.dll", "0409"});
    const auto out = missing_patches(facts, {}, FixHal::Acpi, {});
    ASSERT_THAT(out.missing, SizeIs(2));
    EXPECT_EQ(out.missing[0].key.text(), "halacpi.dll 5.2.3790.3959 (0409, English)");
}

TEST(MissingPatches, newer_and_64_bit_windows_want_none) {
    HalFacts facts{.os_version = "6.1.7601", .architecture = "amd64", .hal = "acpiapic", .files = {}};
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Acpi, {}).unknown, IsEmpty());
    facts = {.os_version = "5.2.3790", .architecture = "amd64", .hal = "", .files = {}};
    const auto out = missing_patches(facts, {}, FixHal::Acpi, {});
    EXPECT_THAT(out.unknown, IsEmpty());
    EXPECT_THAT(out.wanted, IsEmpty());
}

TEST(MissingPatches, what_does_not_exist_for_a_windows_is_refused_in_a_sentence) {
    HalFacts facts{.os_version = "5.2.3790", .architecture = "amd64", .hal = "", .files = {}};
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Nacpi, {}).refused, HasSubstr("64-bit Windows runs on ACPI alone"));
    facts = {.os_version = "6.1.7601", .architecture = "x86", .hal = "", .files = {}};
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Nacpi, {}).refused, HasSubstr("no Standard PC"));
    facts = {.os_version = "4.0", .architecture = "x86", .hal = "", .files = {}};
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Acpi, {}).refused, HasSubstr("NT 4 knows no ACPI"));
    EXPECT_EQ(missing_patches(server_2003(), {}, FixHal::Nacpi, {}).refused, "");
}

TEST(MissingPatches, boot_ini_says_which_hal_and_kernel_are_in_use) {
    auto facts = server_2003();
    const std::string entry = "[operating systems]\r\nmulti(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"x\" /fastdetect";
    facts.boot_ini = entry + " /HAL=HalVend.dll\r\n";
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Auto, {}).unknown,
                ElementsAre("what system32\\halvend.dll is, which boot.ini names"));
    facts.files.push_back({"C:\\WINDOWS\\system32\\halvend.dll", "1.0.0.7", "halvend.dll", "0409"});
    // A vendor's HAL: the nearest that runs, in the kernel's version. What is in hal.dll is right for it already.
    const auto vendor = missing_patches(facts, {}, FixHal::Auto, {});
    EXPECT_THAT(vendor.unknown, IsEmpty());
    EXPECT_THAT(vendor.why, HasSubstr("ACPI Multiprocessor PC"));
    facts.boot_ini = entry + " /KERNEL=kernel1.exe\r\n";
    facts.files.push_back({"C:\\WINDOWS\\system32\\kernel1.exe", "5.2.3790.1", "ntoskrnl.exe", "0409"});
    const auto mixed = missing_patches(facts, {}, FixHal::Auto, {});
    EXPECT_THAT(mixed.unknown, IsEmpty());
    EXPECT_THAT(mixed.why, Not(HasSubstr("runs on the new machine")))
        << "a HAL for several processors, a kernel for one";
    // BuildType is of the kernel that runs, which is not the one in ntoskrnl.exe here.
    facts.multiprocessor = false;
    facts.files[1].original_name = "";
    EXPECT_THAT(missing_patches(facts, {}, FixHal::Nacpi, {}).unknown,
                ElementsAre("which kernel system32\\ntoskrnl.exe is"));
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
    const auto before = missing_patch_files(inventory, switches);
    ASSERT_TRUE(before);
    EXPECT_EQ(before->wanted, 2u);
    EXPECT_THAT(before->missing,
                ElementsAre("halacpi.dll 5.2.3790.3959 (0409, English)", "ntoskrnl.exe 5.2.3790.4478 (0409, English)"));
    for (const auto& [name, version] : {std::pair{"halacpi.dll", "5.2.3790.3959"}, {"ntoskrnl.exe", "5.2.3790.4478"}}) {
        const auto made = patches::test::make_pe(name, *patches::FileVersion::parse(version), 0x0409);
        ASSERT_TRUE(patches::add_to_library(dir.path(), as_bytes(made)).ok());
    }
    const auto after = missing_patch_files(inventory, switches);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->wanted, 2u);
    EXPECT_THAT(after->missing, IsEmpty());
    switches.patch_directory = (dir / "not-made-yet").string();
    EXPECT_EQ(missing_patch_files(inventory, switches)->missing, before->missing) << "no library has nothing";
    // A HAL that the inventory does not have is named; nobody is left with an error instead of a report.
    inventory.os.system_files.erase(inventory.os.system_files.begin());
    EXPECT_THAT(missing_patch_files(inventory, switches)->unknown, ElementsAre("the version of system32\\hal.dll"));
    switches.fix_hal.reset();
    EXPECT_THAT(missing_patch_files(inventory, switches)->why, HasSubstr("runs on the new machine"));
    inventory.os.version = "6.1.7601";
    EXPECT_FALSE(missing_patch_files(inventory, switches)) << "nothing to say";
    switches.fix_hal = FixHal::Nacpi;
    EXPECT_THAT(missing_patch_files(inventory, switches)->refused, HasSubstr("ACPI alone"));
}

}  // namespace
