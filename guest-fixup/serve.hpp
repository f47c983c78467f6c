// SPDX-License-Identifier: GPL-3.0-or-later
// The appliance's side of wire.hpp.
#pragma once

#include <functional>

#include "guest-fixup/wire.hpp"

namespace slipway::fixup {

using RepairFunction =
    std::function<Result<RepairReport>(const RepairRequest&, const std::function<void(const std::string&)>&)>;

// Takes the request from `port`, does it, and says how it went. The repair is cancelled when the caller says so or
// hangs up; files of the patch library are asked of the caller. An error: the caller could not be told the outcome.
Status serve(int port, const RepairFunction& work);

}  // namespace slipway::fixup
