// SPDX-License-Identifier: GPL-3.0-or-later
// What a Windows does once, at its first boot on the new hardware, before anybody logs on. No program of ours or of
// others is put into the guest: winlogon itself runs SYSTEM\Setup's CmdLine as LocalSystem when SetupType is 2, waits,
// and goes on to the logon (KB 939857; Microsoft's own Deployment Toolkit goes on after an upgrade by it). What both
// values were is put back by the runner, and by it alone: a machine that is cut short takes up where it was.
// On an image prepared by sysprep SetupType is another's; there Windows\Setup\Scripts\SetupComplete.cmd, which Windows
// Vista and later run at the end of their setup, calls the runner.
//
//   %SystemRoot%\slipway\FirstBoot\run.cmd                   the runner; stays
//   ...\scripts\NNNN-NAME.HASH.cmd                           in this order, each once; removed when done
//   ...\files\NAME.HASH.EXT                                  what they use; removed with them
//   ...\setup.reg                                            SetupType and CmdLine as they were
//   ...\proof.cmd                                            the boot proof, last of all
//   ...\done\NNNN-NAME.HASH.cmd                              its exit code
//   %SystemRoot%\slipway\first-boot.log
//
// Texts are of ASCII with CRLF; Windows NT 4's cmd.exe takes them as well. 3010 is a script's exit code for "done, and
// restart Windows when all are done".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

inline constexpr std::string_view kSetupCommand = "cmd.exe /c %SystemRoot%\\slipway\\FirstBoot\\run.cmd";

// Order of scripts.
inline constexpr unsigned kDriversOrder = 2000, kNetworkOrder = 2500, kAgentOrder = 3000, kOwnOrder = 5000,
                          kCrashOrder = 9800;

// ---- pure

std::string crlf(std::string_view text);                                              // of lines that end in LF
std::string script_id(unsigned order, std::string_view name, std::string_view text);  // "2500-network.HASH.cmd"
std::string runner();
std::string proof_command(std::string_view nonce);  // a valid_nonce
// REGEDIT4, which every regedit reads. nullopt: a CmdLine that such a file cannot hold.
std::optional<std::string> setup_values(const Hive& system, unsigned major);
std::string crash_control_values(std::uint32_t auto_reboot);
std::string regedit_line(std::string_view file);  // of a script: `file` is one of `files`
// SetupComplete.cmd with a line for the runner, before what is in it.
std::string with_runner(std::string_view setup_complete);

// ---- steps

std::string first_boot_folder(const WindowsSystem& windows);  // "/WINDOWS/slipway/FirstBoot"
// What a script uses, before it; the name it has in `files`. about: what it is, for the plan; "": for which script.
Result<std::string> put_file(WindowsRepair& repair, std::string_view name, std::string_view ending,
                             const std::string& content, const std::string& about = "");
// Nothing when it has run already. What an earlier repair left under this name is replaced. secret: the journal has its
// digest alone.
Status put_script(WindowsRepair& repair, unsigned order, const std::string& name, const std::string& text,
                  bool secret = false);
// What AutoReboot was is put back at the end of the first boot.
Status restore_auto_reboot(WindowsRepair& repair, std::uint32_t before);

}  // namespace slipway::fixup::windows
