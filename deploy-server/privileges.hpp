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

// What the server becomes: whom the command line names ("root": nobody else), or by default, as root, the account
// kOwnAccount when there is one. Empty: it stays what it is.
inline constexpr const char* kOwnAccount = "slipway";
std::string user_to_become(const std::string& asked, bool root, bool own_account_exists);

// Gives the state directory with everything in it to the account. Links are not followed.
Status hand_over(const std::filesystem::path& state, const Account& account);
// For good, in all threads; no capability is kept. Error: server.account.
Status become(const Account& account);

}  // namespace slipway::server
