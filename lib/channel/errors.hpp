// SPDX-License-Identifier: GPL-3.0-or-later
// The channel's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::channel::errors {

inline constexpr ErrorId kBadMessage{
    "channel.bad-message", "Agent and server are of different versions, or something else speaks on this port.", false};
inline constexpr ErrorId kRefused{
    "channel.refused", "See the server's log for the reason; check that the device is under control.", false};
inline constexpr ErrorId kTooLong{
    "channel.too-long", "Capture the disk into a store in a directory, or the machine's disks one by one.", false};

}  // namespace slipway::channel::errors
