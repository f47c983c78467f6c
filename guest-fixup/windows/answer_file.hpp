// SPDX-License-Identifier: GPL-3.0-or-later
// sysprep's answer file, for an image that was prepared by it (or will be): unattend.xml of Windows Vista and later
// (Microsoft, "Unattended Windows Setup Reference": Shell-Setup, UnattendedJoin, TCPIP, DNS-Client), sysprep.inf of
// 2000 to 2003 (Microsoft, "Sysprep.inf" in ref.chm). From the personality, when that has a member "windows". Pure
// text; values are checked by the personality, and escaped here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guest-fixup/personality.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

struct TimeZoneName {
    std::string_view olson, windows;
    int index;  // of sysprep.inf
};
// nullptr: not in our list, which has the zones most machines are in.
const TimeZoneName* windows_time_zone(std::string_view olson);
// "de-DE" of "de_DE.UTF-8"; "" of C and its like.
std::string windows_locale(std::string_view locale);
// The first label; nullopt when it is longer than the 15 characters of a NetBIOS name.
std::optional<std::string> computer_name(std::string_view host_name);

std::string unattend_xml(const Personality& personality, Architecture architecture);
std::string sysprep_inf(const Personality& personality);
// What 2000 to 2003 run at the end of their own setup.
inline constexpr std::string_view kCmdlinesPath = "/sysprep/i386/$OEM$/cmdlines.txt";
inline constexpr std::string_view kCmdlines =
    "[Commands]\r\n\"cmd.exe /c %SystemRoot%\\slipway\\FirstBoot\\run.cmd\"\r\n";

// Where it is wanted. Errors: fixup.personality.
// Its own setup runs at the next start (SYSTEM\Setup). Asked before the repair's own first start is registered there.
bool prepared_by_sysprep(const WindowsRepair& repair);
Status add_answer_file(WindowsRepair& repair, const Personality& personality);

}  // namespace slipway::fixup::windows
