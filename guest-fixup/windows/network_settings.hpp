// SPDX-License-Identifier: GPL-3.0-or-later
// What the registry has of an adapter's settings. Pure; values that are no good are left out.
#pragma once

#include <string>
#include <vector>

#include "guest-fixup/windows/network.hpp"

namespace slipway::fixup::windows {

bool good_ip4(const std::string& text);  // not 0.0.0.0
bool good_ip6(const std::string& text);  // not ::

// Windows keeps these as lists, or in one string with commas or spaces. At most 32.
std::vector<std::string> list_of(const Hive& system, const std::string& key, const char* name);

// EnableDHCP, IPAddress, SubnetMask, DefaultGateway of a Tcpip key; who: the adapter, for what is told.
void read_tcpip(const Hive& system, const std::string& key, const std::string& who, AdapterSettings& out,
                std::vector<std::string>& warnings);

// All that Windows 2000 and later keep of one.
AdapterSettings settings_of(const Hive& system, const WindowsSystem& windows, const OldAdapter& adapter,
                            std::vector<std::string>& warnings);

}  // namespace slipway::fixup::windows
