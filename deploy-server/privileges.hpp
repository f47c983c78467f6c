// SPDX-License-Identifier: GPL-3.0-or-later
// From root to an ordinary user once the ports are bound.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/result.hpp"

namespace slipway::server {

struct Account {
    unsigned uid = 0, gid = 0;
    std::string name;
};
Result<Account> find_account(const std::string& name);  // error: server.account

// Gives the state directory with everything in it to the account. Links are not followed.
Status hand_over(const std::filesystem::path& state, const Account& account);
// For good, in all threads; no capability is kept. Error: server.account.
Status become(const Account& account);

}  // namespace slipway::server
