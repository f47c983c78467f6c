// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/privileges.hpp"

#include <cerrno>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "deploy-server/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

namespace fs = std::filesystem;

Result<Account> find_account(const std::string& name) {
    passwd entry{};
    passwd* found = nullptr;
    std::string buffer(16384, '\0');
    if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
        return make_error(errors::kAccount, "there is no user '{}'", printable(name));
    return Account{entry.pw_uid, entry.pw_gid, name};
}

std::string user_to_become(const std::string& asked, bool root, bool own_account_exists) {
    if (!asked.empty()) return asked == "root" ? "" : asked;
    return root && own_account_exists ? kOwnAccount : "";
}

Status hand_over(const fs::path& state, const Account& account) {
    auto give = [&](const fs::path& path) -> Status {
        if (::lchown(path.c_str(), account.uid, account.gid) != 0) return errno_error(errno, path.string());
        return {};
    };
    TRY(give(state));
    std::error_code ec;
    for (fs::recursive_directory_iterator entry(state, ec), end; !ec && entry != end; entry.increment(ec))
        TRY(give(entry->path()));
    if (ec) return errno_error(ec.value(), state.string());
    return {};
}

Status become(const Account& account) {
    // glibc carries these to all threads. root's capabilities go with its uid.
    if (::initgroups(account.name.c_str(), account.gid) != 0 || ::setgid(account.gid) != 0 ||
        ::setuid(account.uid) != 0)
        return make_error(errors::kAccount, "becoming '{}': {}", account.name, std::generic_category().message(errno));
    if (account.uid != 0 && ::setuid(0) == 0)
        return make_error(errors::kAccount, "'{}' could become root again", account.name);
    return {};
}

}  // namespace slipway::server
