// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a repair, and all of them or none; what they changed is noted beside the journal, in repair.json.
#pragma once

#include <functional>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"

namespace slipway::fixup {

// take_back: what the steps changed besides the guest's files goes back, before those do. Between begin_repair and the
// report; a cancelled repair and a full disk have errors of their own.
Status all_or_nothing(Guest& guest, RepairReport& report, const std::function<void(const std::string&)>& note,
                      const std::function<Status()>& steps, const std::function<Status()>& take_back = {});

}  // namespace slipway::fixup
