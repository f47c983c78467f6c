// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace slipway::console {

// Readable from the moment a signal asks us to stop (catch_signals); for poll(2). -1 before catch_signals.
int cancel_event();

}  // namespace slipway::console
