// SPDX-License-Identifier: GPL-3.0-or-later
// What looked after the metal a Windows came from, and is not to start on its new hardware: services and drivers get
// Start = 4 (their keys stay, so that their uninstallers work), autorun programs lose their entry, and a driver that is
// off leaves the filter lists that name it: a filter that does not start keeps its device, or the disk, from starting.
// Which: the P2V drivers file (vendor_agents.hpp), or our own lists (lists/*.xml), which are part of the program.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/vendor_agents.hpp"
#include "guest-fixup/windows/agent_lists.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

bool of_another_hypervisor(std::string_view list);  // what --keep-leftovers keeps

// Services keys of drivers that are never switched off: the new controller's, and those no Windows starts without.
const std::set<std::string>& needed_drivers(TargetController target);  // lower case

// Services without which no Windows comes to a logon, or hardware is not found; never switched off either. Lower case.
const std::set<std::string>& vital_services();

// '*' stands for any characters; case means nothing.
bool fits_name(std::string_view name, std::string_view pattern);
// The program of an autorun command, without its directory: `"C:\Program Files\X\y.exe" /tray` is "y.exe".
std::string program_of(std::string_view command);
// An autorun value or shortcut by its own name, or by its program's, with or without its ending.
bool starts_program(std::string_view name, std::string_view command, std::string_view pattern);

// ---- on hives alone; `what` begins the journal's lines

// kept: names of vital services (needed drivers) that patterns meant.
Status disable_services(Hive& system, const std::string& services, const std::string& what,
                        const std::vector<std::string>& patterns, std::vector<std::string>& kept);
Status disable_drivers(Hive& system, const std::string& services, const std::string& what,
                       const std::vector<std::string>& patterns, const std::set<std::string>& needed,
                       std::vector<std::string>& kept);
// Control\Class and Enum of that control set.
Status drop_filters(Hive& system, const std::string& control_set, const std::string& what,
                    const std::vector<std::string>& patterns, const std::set<std::string>& needed);
// Run and its like, 32 and 64 bit; Userinit, Shell, Load. top: "" in SOFTWARE, "Software\\" in a user's NTUSER.DAT.
Status remove_autorun(Hive& hive, const std::string& top, const std::string& what,
                      const std::vector<std::string>& patterns);

// ---- of each user (agents_users.cpp)

// What a list of programs is called in the journal, and the programs.
struct NamedPrograms {
    std::string what;
    std::vector<std::string> patterns;
};
// Run keys and Startup folder of every profile and of the one for new users. A user's hive that cannot be read is told,
// and the repair goes on: the system starts without it.
Status remove_user_autorun(WindowsRepair& repair, const std::vector<NamedPrograms>& lists);
// The shortcuts of a Startup folder.
Status empty_startup(WindowsRepair& repair, const std::string& folder, const NamedPrograms& list);

}  // namespace slipway::fixup::windows
