// SPDX-License-Identifier: GPL-3.0-or-later
// Our own P2V drivers files (lists/*.xml), which are part of the program.
#pragma once

#include <string_view>
#include <vector>

namespace slipway::fixup::windows {

struct AgentList {
    std::string_view name;  // "hp": of its file
    std::string_view xml;   // as vendor_agents.hpp describes it
};
const std::vector<AgentList>& shipped_agent_lists();

}  // namespace slipway::fixup::windows
