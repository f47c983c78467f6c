// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/firmware.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

std::string shown(const FallbackPlan& plan) {
    std::string out;
    for (const auto& copy : plan.copies) out += copy.from + ">" + copy.to + " ";
    return out;
}

}  // namespace

TEST(Fallback, shim_comes_with_what_it_starts_and_last) {
    const auto plan = plan_fallback(
        {{"debian", {"BOOTX64.CSV", "fbx64.efi", "grub.cfg", "grubx64.efi", "mmx64.efi", "shimx64.efi"}}}, "debian");
    EXPECT_EQ(shown(plan),
              "debian/grubx64.efi>BOOT/grubx64.efi debian/mmx64.efi>BOOT/mmx64.efi "
              "debian/shimx64.efi>BOOT/BOOTX64.EFI ");
    EXPECT_THAT(plan.grub_config, HasSubstr("configfile ($root)/EFI/debian/grub.cfg"));
    EXPECT_EQ(plan.source, "EFI/debian");
}

TEST(Fallback, this_systems_directory_comes_before_others_and_windows_never) {
    const std::vector<EspDirectory> directories{{"Microsoft", {"grubx64.efi"}},
                                                {"centos", {"grubx64.efi"}},
                                                {"redhat", {"grubx64.efi"}},
                                                {"systemd", {"systemd-bootx64.efi"}}};
    EXPECT_EQ(shown(plan_fallback(directories, "rhel")), "redhat/grubx64.efi>BOOT/BOOTX64.EFI ");
    EXPECT_EQ(shown(plan_fallback(directories, "arch")), "systemd/systemd-bootx64.efi>BOOT/BOOTX64.EFI ");
    EXPECT_EQ(plan_fallback({{"Microsoft", {"bootmgfw.efi"}}}, "arch").source, "");
}

TEST(Fallback, each_architecture_has_its_own_and_what_is_there_stays) {
    EXPECT_EQ(shown(plan_fallback(
                  {{"Boot", {"BOOTX64.EFI"}}, {"debian", {"grubia32.efi", "grubx64.efi", "grubaa64.efi"}}}, "debian")),
              "debian/grubia32.efi>Boot/BOOTIA32.EFI debian/grubaa64.efi>Boot/BOOTAA64.EFI ");
    const auto there = plan_fallback({{"BOOT", {"bootx64.efi"}}, {"debian", {"grubx64.efi"}}}, "debian");
    EXPECT_THAT(there.copies, IsEmpty());
    EXPECT_EQ(there.source, "EFI/BOOT");
}

TEST(Fallback, grub_legacy_takes_its_configuration_along) {
    EXPECT_EQ(shown(plan_fallback({{"redhat", {"grub.efi", "grub.conf"}}}, "rhel")),
              "redhat/grub.conf>BOOT/BOOTX64.conf redhat/grub.efi>BOOT/BOOTX64.EFI ");
}

TEST(FirmwareChange, bios_system_on_uefi_is_refused_with_what_it_has) {
    FirmwareFacts facts{.grub_bios = true, .disk = FirmwareFacts::Disk{.code = BootCode::Grub}};
    EXPECT_THAT(judge_firmware(Firmware::Uefi, facts).obstacle,
                AllOf(HasSubstr("an MBR partition table"), HasSubstr("GRUB's boot code"),
                      HasSubstr("no EFI system partition"), HasSubstr("and GRUB for EFI")));
    facts.disk->gpt = facts.disk->esp = true;
    EXPECT_THAT(judge_firmware(Firmware::Uefi, facts).obstacle, HasSubstr("that fstab does not mount"));
    EXPECT_THAT(judge_firmware(Firmware::Bios, facts).warnings,
                ElementsAre(HasSubstr("without a BIOS boot partition")));
}

TEST(FirmwareChange, uefi_system_on_bios_is_warned_of) {
    FirmwareFacts facts{.esp = true, .efi_loader = "EFI/debian", .disk = FirmwareFacts::Disk{.gpt = true, .esp = true}};
    EXPECT_THAT(
        judge_firmware(Firmware::Bios, facts).warnings,
        ElementsAre(AllOf(HasSubstr("a loader in EFI/debian"), HasSubstr("no boot code"), HasSubstr("grub-pc"))));
    EXPECT_EQ(judge_firmware(Firmware::Uefi, facts).obstacle, "");
    EXPECT_THAT(judge_firmware(Firmware::Uefi, facts).warnings, IsEmpty());
}

TEST(FirmwareChange, what_fits_is_not_spoken_of) {
    EXPECT_THAT(judge_firmware(Firmware::Bios, {.grub_bios = true, .disk = FirmwareFacts::Disk{.code = BootCode::Grub}})
                    .warnings,
                IsEmpty());
    EXPECT_THAT(judge_firmware(Firmware::Bios, {}).warnings, IsEmpty());
}

TEST(BootCodeTest, is_known_by_its_words) {
    Bytes sector(512);
    EXPECT_EQ(boot_code_in(sector), BootCode::None);
    sector[510] = std::byte{0x55};  // the signature is no code
    EXPECT_EQ(boot_code_in(sector), BootCode::None);
    std::copy_n(as_bytes("GRUB ").begin(), 5, sector.begin() + 0x180);
    EXPECT_EQ(boot_code_in(sector), BootCode::Grub);
    Bytes lilo(512);
    std::copy_n(as_bytes("LILO").begin(), 4, lilo.begin() + 6);
    EXPECT_EQ(boot_code_in(lilo), BootCode::Lilo);
    lilo[0] = std::byte{0xfa};
    lilo[6] = std::byte{0};
    EXPECT_EQ(boot_code_in(lilo), BootCode::Other);
    EXPECT_EQ(boot_code_in({}), BootCode::None);
}
