// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/windows/hal/boot_ini.hpp"
#include "guest-fixup/windows/hal/setup_log.hpp"

using namespace slipway::fixup::windows;
using testing::ElementsAre;
using testing::SizeIs;

namespace {

const std::string kBootIni =
    "[boot loader]\r\ntimeout=30\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n"
    "[operating systems]\r\n"
    "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Server 2003 /HAL=title.dll\" /fastdetect /HAL=halx.dll  "
    "/Kernel=kern.exe /3GB\r\n"
    "multi(0)disk(0)rdisk(0)partition(2)\\WINNT=\"NT 4\" /hal=old.dll\r\n"
    "C:\\CMDCONS\\BOOTSECT.DAT=\"Recovery Console\" /cmdcons\r\n";

TEST(BootIni, entries_with_their_switches_and_the_default) {
    const auto entries = read_boot_ini(kBootIni);
    ASSERT_THAT(entries, SizeIs(3));
    const auto* entry = default_entry(entries);
    ASSERT_EQ(entry, &entries[0]);
    EXPECT_EQ(entry->path, "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS");
    EXPECT_THAT(entry->switches, ElementsAre("/fastdetect", "/HAL=halx.dll", "/Kernel=kern.exe", "/3GB"));
    EXPECT_EQ(switch_value(*entry, "/hal"), "halx.dll");
    EXPECT_EQ(switch_value(*entry, "/KERNEL"), "kern.exe");
    EXPECT_EQ(switch_value(entries[2], "/HAL"), "");
    EXPECT_EQ(default_entry(read_boot_ini("")), nullptr);
}

TEST(BootIni, hal_and_kernel_go_from_the_default_and_every_other_byte_stays) {
    auto expected = kBootIni;
    const std::string gone = " /HAL=halx.dll  /Kernel=kern.exe";
    expected.erase(expected.find(gone), gone.size());
    EXPECT_EQ(without_hal_switches(kBootIni), expected);
    EXPECT_EQ(without_hal_switches(expected), expected);
}

TEST(BootIni, without_a_default_line_the_first_entry_starts) {
    const std::string text = "[operating systems]\nmulti(0)disk(0)rdisk(0)partition(1)\\W=\"a\" /HAL=x.dll";
    EXPECT_EQ(without_hal_switches(text), "[operating systems]\nmulti(0)disk(0)rdisk(0)partition(1)\\W=\"a\"");
}

TEST(BootIni, switches_stand_behind_a_whole_title_or_none) {
    const std::string head = "[operating systems]\r\n";
    EXPECT_EQ(without_hal_switches(head + "m=Server /HAL=a.dll /3GB\r\n"), head + "m=Server /3GB\r\n");
    const auto endless = head + "m=\"Server /HAL=a.dll \b/KERNEL=k.exe\r\n";
    EXPECT_EQ(without_hal_switches(endless), endless);
    EXPECT_THAT(read_boot_ini(endless).front().switches, ElementsAre());
}

TEST(BootIni, paths_through_the_old_controllers_driver_are_read_by_the_firmware) {
    const std::string before =
        "[boot loader]\r\ndefault=scsi(1)disk(2)rdisk(0)partition(2)\\WINNT\r\n[operating systems]\r\n"
        "scsi(1)disk(2)rdisk(0)partition(2)\\WINNT=\"Windows NT 4\" /basevideo\r\n"
        "signature(8b467c12)disk(1)rdisk(0)partition(1)\\WINNT=\"scsi(0)\"\r\n"
        "multi(0)disk(0)rdisk(1)partition(1)\\W2K=\"other\"\r\n";
    const std::string after =
        "[boot loader]\r\ndefault=multi(0)disk(0)rdisk(0)partition(2)\\WINNT\r\n[operating systems]\r\n"
        "multi(0)disk(0)rdisk(0)partition(2)\\WINNT=\"Windows NT 4\" /basevideo\r\n"
        "multi(0)disk(0)rdisk(0)partition(1)\\WINNT=\"scsi(0)\"\r\n"
        "multi(0)disk(0)rdisk(1)partition(1)\\W2K=\"other\"\r\n";
    EXPECT_EQ(with_firmware_paths(before), after);
    EXPECT_EQ(with_firmware_paths(after), after);
}

TEST(BootIni, other_sections_comments_and_odd_lines_are_left_alone) {
    const std::string text =
        ";scsi(0)=x\n[operating systems\nx=\"y\" /HAL=a\n[other]\nscsi(0)partition(1)=\"\" /HAL=b\n"
        "[boot loader]\ntimeout=scsi(0)partition(1)\n";
    EXPECT_EQ(with_firmware_paths(text), text);
    EXPECT_EQ(without_hal_switches(text), text);
}

TEST(SetupLog, source_and_checksum_of_hal_and_kernel_change_and_nothing_else) {
    const std::string before =
        "[Paths]\r\nTargetDirectory = \"\\WINNT\"\r\n[Files.WinNt]\r\n"
        "\\WINNT\\system32\\hal.dll = \"halmps.dll\",\"1a01c\"\r\n"
        "\\WINNT\\system32\\ntoskrnl.exe = \"ntkrnlmp.exe\",\"d7a5f\",\"disk1\"\r\n"
        "\\WINNT\\system32\\halother.dll = \"hal.dll\",\"1\"\r\n"
        "\\WINNT\\inf\\hal.dll = \"halmps.dll\",\"2\"\r\n";
    const std::string after =
        "[Paths]\r\nTargetDirectory = \"\\WINNT\"\r\n[Files.WinNt]\r\n"
        "\\WINNT\\system32\\hal.dll = \"hal.dll\",\"beef\"\r\n"
        "\\WINNT\\system32\\ntoskrnl.exe = \"ntoskrnl.exe\",\"f00d\",\"disk1\"\r\n"
        "\\WINNT\\system32\\halother.dll = \"hal.dll\",\"1\"\r\n"
        "\\WINNT\\inf\\hal.dll = \"halmps.dll\",\"2\"\r\n";
    const std::vector<SetupFile> files{{"hal.dll", "hal.dll", 0xbeef}, {"ntoskrnl.exe", "ntoskrnl.exe", 0xf00d}};
    EXPECT_EQ(edit_setup_log(before, files), after);
    EXPECT_EQ(edit_setup_log(after, files), after);
}

TEST(SetupLog, lines_without_quotes_stay) {
    const std::string text = "\\WINNT\\system32\\hal.dll = halmps.dll\n\\WINNT\\system32\\hal.dll = \"halmps.dll";
    EXPECT_EQ(edit_setup_log(text, {{"hal.dll", "hal.dll", 1}}), text);
    EXPECT_EQ(edit_setup_log("\\W\\system32\\hal.dll=\"halmps.dll\"", {{"hal.dll", "hal.dll", 1}}),
              "\\W\\system32\\hal.dll=\"hal.dll\"");
}

}  // namespace
