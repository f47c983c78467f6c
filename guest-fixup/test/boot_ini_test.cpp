// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

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

// ---- disks

const std::string kFirst = "scsi(0)disk(0)rdisk(0)partition(1)\\WINNT",
                  kSecond = "scsi(0)disk(1)rdisk(0)partition(1)\\WINNT";

// Entries of these paths, the first of which starts by default.
std::string menu(const std::vector<std::string>& paths) {
    std::string out = "[boot loader]\r\ndefault=" + paths.front() + "\r\n[operating systems]\r\n";
    for (const auto& path : paths) out += path + "=\"scsi(0)\" /basevideo\r\n";
    return out;
}

// What becomes of the paths; a second time nothing does.
std::vector<std::string> now(const std::vector<std::string>& paths, const FirmwareDisks& disks) {
    const auto out = with_firmware_paths(menu(paths), disks);
    EXPECT_EQ(with_firmware_paths(out.text, disks).text, out.text);
    std::vector<std::string> after;
    for (const auto& entry : read_boot_ini(out.text)) after.push_back(entry.path);
    EXPECT_EQ(out.text, menu(after)) << "all else stays";
    return after;
}

TEST(BootIniDisks, of_one_disk_what_the_old_controllers_driver_read_is_read_by_the_firmware) {
    const FirmwareDisks one{.windows_partition = 2, .windows_folder = "WINNT"};
    EXPECT_THAT(now({"scsi(1)disk(2)rdisk(0)partition(2)\\WINNT", "multi(0)disk(0)rdisk(1)partition(1)\\W2K"}, one),
                ElementsAre("multi(0)disk(0)rdisk(0)partition(2)\\WINNT", "multi(0)disk(0)rdisk(1)partition(1)\\W2K"));
    // Its signature is not the old one any more, or nobody gave a disk.
    EXPECT_THAT(now({"signature(8b467c12)disk(1)rdisk(0)partition(2)\\winnt"}, one),
                ElementsAre("multi(0)disk(0)rdisk(0)partition(2)\\winnt"));
    EXPECT_THAT(now({"SCSI(0)disk(0)rdisk(0)Partition(3)\\W2K"}, one),
                ElementsAre("multi(0)disk(0)rdisk(0)Partition(3)\\W2K"))
        << "what starts by default is on the one disk that there is";
    // Another one's disk starts by default: a second repair must not take what the first left.
    EXPECT_THAT(now({"scsi(0)disk(1)rdisk(0)partition(1)\\NT4", "scsi(0)disk(0)rdisk(0)partition(2)\\WINNT"}, one),
                ElementsAre("scsi(0)disk(1)rdisk(0)partition(1)\\NT4", "multi(0)disk(0)rdisk(0)partition(2)\\WINNT"));
    const FirmwareDisks read{.windows_folder = "WINNT", .started_from = "multi(0)disk(0)rdisk(0)partition(1)"};
    EXPECT_THAT(now({kFirst, kSecond}, read), ElementsAre("multi(0)disk(0)rdisk(0)partition(1)\\WINNT", kSecond));
}

TEST(BootIniDisks, a_disk_is_known_by_its_signature_whatever_its_number_was) {
    const FirmwareDisks disks{.signatures = {0x11111111, 0x8b467c12, 0x22222222, 0x22222222},
                              .windows_disk = 1,
                              .windows_partition = 1,
                              .windows_folder = "WINNT"};
    const std::string other = "signature(11111111)disk(4)rdisk(0)partition(2)\\NT4";
    EXPECT_THAT(now({"signature(8b467c12)disk(1)rdisk(0)partition(1)\\WINNT", other}, disks),
                ElementsAre("multi(0)disk(0)rdisk(1)partition(1)\\WINNT", "multi(0)disk(0)rdisk(0)partition(2)\\NT4"));
    for (const char* signature : {"22222222", "33333333", "", "8b467c12x", "18b467c12"}) {
        const auto path = fmt::format("signature({})disk(1)rdisk(0)partition(1)\\W2K", signature);
        EXPECT_THAT(now({path}, disks), ElementsAre(path));
        EXPECT_THAT(with_firmware_paths(menu({path}), disks).left, ElementsAre(path)) << "two disks have it, or none";
    }
}

TEST(BootIniDisks, windows_disk_is_the_one_it_was_started_from) {
    FirmwareDisks disks{.signatures = {1, 2},
                        .windows_disk = 1,
                        .windows_partition = 1,
                        .windows_folder = "WINNT",
                        .started_from = "scsi(0)disk(1)rdisk(0)partition(1)"};
    const std::string moved = "multi(0)disk(0)rdisk(1)partition(1)\\WINNT";
    EXPECT_THAT(now({kFirst, kSecond}, disks), ElementsAre(kFirst, moved));
    EXPECT_THAT(with_firmware_paths(menu({kFirst, kSecond}), disks).left, ElementsAre(kFirst)) << "each is said once";
    disks.started_from = "multi(0)disk(0)rdisk(1)partition(1)";
    EXPECT_THAT(now({moved, kFirst}, disks), ElementsAre(moved, kFirst))
        << "the firmware read it: that is none of these";
}

TEST(BootIniDisks, else_the_one_disk_with_an_entry_for_its_partition_and_folder) {
    const FirmwareDisks disks{
        .signatures = {1, 2}, .windows_disk = 1, .windows_partition = 1, .windows_folder = "WinNT"};
    const std::string other = "scsi(0)disk(0)rdisk(0)partition(2)\\WINNT",
                      data = "scsi(0)disk(1)rdisk(0)partition(3)\\NT4";
    EXPECT_THAT(now({other, kSecond, data}, disks), ElementsAre(other, "multi(0)disk(0)rdisk(1)partition(1)\\WINNT",
                                                                "multi(0)disk(0)rdisk(1)partition(3)\\NT4"));
    EXPECT_THAT(now({kFirst, kSecond}, disks), ElementsAre(kFirst, kSecond)) << "two that could be it: none is guessed";
    const std::string read = "multi(0)disk(0)rdisk(1)partition(1)\\WINNT";
    EXPECT_THAT(now({read, kSecond}, disks), ElementsAre(read, kSecond)) << "it has an entry already";
}

TEST(BootIniDisks, hostile_paths_are_left_and_not_more_than_a_few_named) {
    std::vector<std::string> many;
    for (int i = 0; i < 60; ++i) many.push_back(fmt::format("scsi(0)disk({})rdisk(0)partition(1)\\A", i));
    EXPECT_EQ(now(many, {.signatures = {1, 2}, .windows_folder = "WINNT"}), many);
    EXPECT_THAT(with_firmware_paths(menu(many), {.signatures = {1, 2}}).left, SizeIs(8));
    for (const char* path :
         {"scsi(", "signature(partition(", "scsi(0)partition(", "scsi(0)partition(99999999999999999999)"})
        EXPECT_THAT(now({path, "x"}, {.signatures = {1, 2}, .windows_folder = "x"}), ElementsAre(path, "x"));
}

TEST(BootIni, other_sections_comments_and_odd_lines_are_left_alone) {
    const std::string text =
        ";scsi(0)=x\n[operating systems\nx=\"y\" /HAL=a\n[other]\nscsi(0)partition(1)=\"\" /HAL=b\n"
        "[boot loader]\ntimeout=scsi(0)partition(1)\n";
    EXPECT_EQ(with_firmware_paths(text, {}).text, text);
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
