// SPDX-License-Identifier: GPL-3.0-or-later
// Exit codes of every program (docs/architecture.md, decision 16).
#pragma once

namespace slipway {

enum ExitCode : int { kExitDone = 0, kExitFailed = 1, kExitUsage = 2, kExitWarnings = 3, kExitLosses = 4 };

}  // namespace slipway
