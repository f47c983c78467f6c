// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/temp_dir.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/hal_policy.hpp"
#include "media.hpp"

using namespace slipway;
using namespace slipway::patches;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

const FileVersion kHalVersion{5, 2, 3790, 3959}, kKernelVersion{5, 2, 3790, 4478};

InstalledFile installed(std::string name, std::string original, FileVersion version, std::uint16_t language = 0x0409) {
    return {std::move(name),
            PeVersion{.machine = Machine::X86, .version = version, .language = language, .original_name = original}};
}

// Server 2003 SP2 with that HAL, and kernels that go with it.
InstalledSystem server(HalKind kind, std::uint16_t language = 0x0409) {
    const auto& hal = row_of(kind);
    InstalledSystem out{.major = 5, .minor = 2, .hardware_id = std::string(hal.hardware_id)};
    out.files.push_back(installed("hal.dll", kind == HalKind::Other ? "halvendor.dll" : std::string(hal.file),
                                  kind == HalKind::Other ? FileVersion{1, 0, 0, 7} : kHalVersion, language));
    for (auto name : {kKernelFile, kPaeKernelFile})
        out.files.push_back(
            installed(std::string(name), std::string(kernel_for(name, hal.mp).file), kKernelVersion, language));
    return out;
}

std::vector<std::string> shown(const HalDecision& decision) {
    std::vector<std::string> out;
    for (const auto& file : decision.files) out.push_back(file.key.text() + " -> " + file.install_as);
    return out;
}

// What the machine would start with, after the exchange.
bool hal_and_kernels_match(const InstalledSystem& system, const HalDecision& decision) {
    std::optional<bool> mp;
    bool matched = true;
    for (const auto& file : system.files) {
        auto original = file.version->original_name;
        for (const auto& wanted : decision.files)
            if (wanted.install_as == file.name) original = wanted.key.name;
        const auto* hal = hal_of_file(original);
        const auto* kernel = kernel_of_file(original);
        if (!hal && !kernel) continue;
        const bool is = hal ? hal->mp : kernel->mp;
        matched &= mp.value_or(is) == is;
        mp = is;
    }
    return matched;
}

TEST(HalPolicy, hal_and_kernels_always_match_whatever_is_asked_for) {
    for (const auto& from : hal_rows())
        for (auto fix : {FixHal::Auto, FixHal::Acpi, FixHal::Nacpi})
            for (unsigned processors : {1u, 4u})
                for (bool apic : {false, true})
                    for (bool mp_table : {false, true}) {
                        const auto system = server(from.kind);
                        const auto out = decide_hal(system, {processors, true, apic, mp_table}, fix);
                        ASSERT_TRUE(out.ok()) << out.error().describe();
                        EXPECT_TRUE(hal_and_kernels_match(system, *out)) << from.title << " " << name_of(fix);
                        EXPECT_EQ(out->files.empty(), out->from == out->to) << from.title << " " << name_of(fix);
                    }
}

TEST(HalPolicy, auto_leaves_what_runs) {
    for (auto kind : {HalKind::StandardPc, HalKind::MpsUniprocessor, HalKind::MpsMultiprocessor, HalKind::AcpiPc,
                      HalKind::AcpiUniprocessor, HalKind::AcpiMultiprocessor}) {
        const auto out = decide_hal(server(kind), {}, FixHal::Auto).value();
        EXPECT_THAT(out.files, IsEmpty());
        EXPECT_EQ(out.hardware_id, "");
        EXPECT_THAT(out.warnings, IsEmpty());
        EXPECT_THAT(out.why, HasSubstr(std::string(row_of(kind).title)));
    }
}

TEST(HalPolicy, auto_exchanges_what_does_not_run_for_the_nearest_in_exactly_that_version) {
    const auto no_apic = decide_hal(server(HalKind::AcpiMultiprocessor, 0x0407), {.apic = false}, FixHal::Auto).value();
    EXPECT_THAT(shown(no_apic), ElementsAre("halacpi.dll 5.2.3790.3959 (0407, German) -> hal.dll",
                                            "ntoskrnl.exe 5.2.3790.4478 (0407, German) -> ntoskrnl.exe",
                                            "ntkrnlpa.exe 5.2.3790.4478 (0407, German) -> ntkrnlpa.exe"));
    EXPECT_EQ(no_apic.hardware_id, "acpipic_up");
    const auto compaq = decide_hal(server(HalKind::SystemPro), {.mp_table = false}, FixHal::Auto).value();
    EXPECT_EQ(compaq.to, HalKind::StandardPc);
    EXPECT_THAT(compaq.warnings, IsEmpty());
}

TEST(HalPolicy, a_vendors_hal_is_exchanged_in_the_kernels_version) {
    const auto out = decide_hal(server(HalKind::Other), {}, FixHal::Auto).value();
    EXPECT_THAT(shown(out), ElementsAre("hal.dll 5.2.3790.4478 (0409, English) -> hal.dll"));
}

TEST(HalPolicy, acpi_is_the_hal_for_one_processor_or_for_many) {
    const auto one = decide_hal(server(HalKind::AcpiMultiprocessor), {.processors = 1}, FixHal::Acpi).value();
    EXPECT_EQ(one.to, HalKind::AcpiPc);
    EXPECT_EQ(one.files.size(), 3u);
    const auto four = decide_hal(server(HalKind::AcpiPc), {.processors = 4}, FixHal::Acpi).value();
    EXPECT_EQ(four.to, HalKind::AcpiMultiprocessor);
    EXPECT_EQ(four.files[1].key.name, "ntkrnlmp.exe");
    EXPECT_EQ(four.files[2].key.name, "ntkrpamp.exe");
    EXPECT_EQ(four.hardware_id, "acpiapic_mp");
    const auto again = decide_hal(server(HalKind::AcpiMultiprocessor), {.processors = 4}, FixHal::Acpi).value();
    EXPECT_THAT(again.files, IsEmpty());
    EXPECT_THAT(again.why, HasSubstr("already"));
}

TEST(HalPolicy, a_kernel_that_is_right_already_stays) {
    const auto out = decide_hal(server(HalKind::AcpiUniprocessor), {}, FixHal::Acpi).value();
    EXPECT_THAT(shown(out), ElementsAre("halacpi.dll 5.2.3790.3959 (0409, English) -> hal.dll"));
}

TEST(HalPolicy, between_acpi_and_none_it_warns_and_the_id_is_the_one_it_will_be_the_second_time) {
    const auto out = decide_hal(server(HalKind::AcpiPc), {}, FixHal::Nacpi).value();
    EXPECT_EQ(out.to, HalKind::StandardPc);
    EXPECT_EQ(out.hardware_id, "e_isa_up");
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("0x7B")));
    // The old device is still there when it is asked again.
    auto exchanged = server(HalKind::StandardPc);
    exchanged.hardware_id = "acpipic_up";
    EXPECT_EQ(decide_hal(exchanged, {}, FixHal::Nacpi).value().hardware_id, out.hardware_id);
}

TEST(HalPolicy, none_says_when_it_will_not_start) {
    const auto out = decide_hal(server(HalKind::SystemPro), {}, FixHal::None).value();
    EXPECT_THAT(out.files, IsEmpty());
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("--fixhal auto")));
    EXPECT_THAT(decide_hal(server(HalKind::AcpiPc), {}, FixHal::None).value().warnings, IsEmpty());
}

TEST(HalPolicy, one_of_many_processors_is_said) {
    const auto out = decide_hal(server(HalKind::AcpiPc), {.processors = 2}, FixHal::Auto).value();
    EXPECT_THAT(out.files, IsEmpty());
    EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("--fixhal acpi")));
}

TEST(HalPolicy, what_boot_ini_names_is_what_is_in_use) {
    auto system = server(HalKind::AcpiPc);
    system.switched_hal = installed("halsp.dll", "halsp.dll", kHalVersion);
    system.switched_kernel = installed("ntkrnlmp.exe", "ntkrnlmp.exe", kKernelVersion);
    const auto out = decide_hal(system, {}, FixHal::Auto).value();
    EXPECT_EQ(out.from, HalKind::SystemPro);
    EXPECT_TRUE(out.remove_switches);
    EXPECT_TRUE(hal_and_kernels_match(system, out));
}

TEST(HalPolicy, a_hal_with_the_wrong_kernel_is_put_right) {
    auto system = server(HalKind::AcpiMultiprocessor);
    system.files[1] = installed("ntoskrnl.exe", "ntoskrnl.exe", kKernelVersion);
    const auto out = decide_hal(system, {}, FixHal::Auto).value();
    EXPECT_THAT(shown(out), ElementsAre("ntkrnlmp.exe 5.2.3790.4478 (0409, English) -> ntoskrnl.exe"));
}

TEST(HalPolicy, nt4_has_no_pae_kernel_and_knows_no_acpi) {
    InstalledSystem nt4{.major = 4, .minor = 0};
    nt4.files = {installed("hal.dll", "halmps.dll", {4, 0, 1381, 7}),
                 installed("ntoskrnl.exe", "ntkrnlmp.exe", {4, 0, 1381, 7})};
    const auto out = decide_hal(nt4, {}, FixHal::Nacpi).value();
    EXPECT_THAT(shown(out), ElementsAre("hal.dll 4.0.1381.7 (0409, English) -> hal.dll",
                                        "ntoskrnl.exe 4.0.1381.7 (0409, English) -> ntoskrnl.exe"));
    EXPECT_THAT(out.warnings, IsEmpty());
    EXPECT_TRUE(decide_hal(nt4, {}, FixHal::Acpi).error().is(errors::kHal));
}

TEST(HalPolicy, a_file_without_version_stops_an_exchange_and_is_named) {
    auto system = server(HalKind::AcpiMultiprocessor);
    system.files[2].version.reset();
    const auto out = decide_hal(system, {}, FixHal::Acpi);
    ASSERT_FALSE(out.ok());
    EXPECT_THAT(out.error().describe(), HasSubstr("ntkrnlpa.exe"));
}

TEST(HalPolicy, vista_and_64_bit_need_no_files) {
    const InstalledSystem vista{.major = 6, .minor = 0}, ten{.major = 10, .minor = 0};
    const InstalledSystem x64{.major = 5, .minor = 2, .x86 = false};
    for (const auto& system : {vista, ten, x64}) {
        for (auto fix : {FixHal::Auto, FixHal::None, FixHal::Acpi}) {
            const auto out = decide_hal(system, {.processors = 2}, fix).value();
            EXPECT_THAT(out.files, IsEmpty());
            EXPECT_EQ(out.detect_hal, system.major == 6 && fix == FixHal::Acpi);
        }
        EXPECT_TRUE(decide_hal(system, {}, FixHal::Nacpi).error().is(errors::kHal));
    }
}

TEST(HalPolicy, missing_files_are_named_with_the_folder_to_make) {
    const auto dir = TempDir::create("missing").value();
    const auto wanted = decide_hal(server(HalKind::AcpiMultiprocessor), {}, FixHal::Acpi).value().files;
    ASSERT_TRUE(add_to_library(dir.path(), as_bytes(test::make_pe("halacpi.dll", kHalVersion))).ok());
    ASSERT_TRUE(add_to_library(dir.path(), as_bytes(test::make_pe("ntoskrnl.exe", kHalVersion))).ok());  // older
    const auto missing = missing_in(Library::open({dir.path()}), wanted);
    ASSERT_EQ(missing.size(), 2u);
    EXPECT_EQ(describe_missing(missing[0], "/p"),
              "ntoskrnl.exe 5.2.3790.4478 (0409, English) in /p/Source/5.2.3790.4478/0409");
    EXPECT_EQ(missing[1].key.name, "ntkrnlpa.exe");
}

TEST(HalPolicy, names_are_read_in_any_case) {
    EXPECT_EQ(parse_fix_hal("NACPI"), FixHal::Nacpi);
    EXPECT_EQ(parse_fix_hal("yes"), std::nullopt);
    for (auto fix : {FixHal::Auto, FixHal::None, FixHal::Acpi, FixHal::Nacpi})
        EXPECT_EQ(parse_fix_hal(name_of(fix)), fix);
}

}  // namespace
