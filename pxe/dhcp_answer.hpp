// SPDX-License-Identifier: GPL-3.0-or-later
// A boot answer in the OFFER or ACK of a DHCP server of ours, and what a relay wants to see again in one of the
// proxyDHCP service. Pure.
#pragma once

#include "pxe/policy.hpp"

namespace slipway::pxe {

// Adds to `reply`, which gives an address, what make_reply() would say to `request` beside a foreign DHCP server.
void add_boot_answer(const dhcp::Message& request, const Answer& answer, const BootServer& server,
                     dhcp::Message& reply);

// RFC 3046 §2.2: a relay's option 82 goes back to it as it came, as the last option.
void return_relay_option(const dhcp::Message& request, dhcp::Message& reply);

}  // namespace slipway::pxe
