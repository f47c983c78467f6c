// SPDX-License-Identifier: GPL-3.0-or-later
// The proof unit: at the first good boot it writes "SLIPWAY-UP NONCE" to the second serial port and is gone. At a bad
// one (root read-only, emergency or rescue mode, the default target not reached) it, or the refusal unit, writes
// "SLIPWAY-REFUSED NONCE reason" and stays.
#pragma once

#include <string>
#include <string_view>

namespace slipway::fixup {

inline constexpr std::string_view kProofUnit = "/etc/systemd/system/slipway-proof.service";
inline constexpr std::string_view kProofWant = "/etc/systemd/system/multi-user.target.wants/slipway-proof.service";
inline constexpr std::string_view kRefusalUnit = "/etc/systemd/system/slipway-proof-refused.service";
inline constexpr std::string_view kRefusalWants[] = {
    "/etc/systemd/system/emergency.target.wants/slipway-proof-refused.service",
    "/etc/systemd/system/rescue.target.wants/slipway-proof-refused.service"};
// On the root file system itself: in emergency mode /var may not be there.
inline constexpr std::string_view kProofScript = "/etc/slipway-boot-proof";

bool valid_nonce(std::string_view nonce);  // [A-Za-z0-9-]{1,64}
std::string proof_unit();
std::string refusal_unit();
std::string proof_script(std::string_view nonce);

}  // namespace slipway::fixup
