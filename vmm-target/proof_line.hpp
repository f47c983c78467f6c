// SPDX-License-Identifier: GPL-3.0-or-later
// The lines of a boot proof in what a serial port has written. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slipway::vmm {

std::string proof_line(std::string_view nonce);  // "SLIPWAY-UP NONCE"
// A whole line (ended by a newline) that is exactly the proof of this nonce.
bool has_proof(std::string_view serial, std::string_view nonce);
// Why the guest itself says that its boot is no good one: "SLIPWAY-REFUSED NONCE reason", made printable.
std::optional<std::string> refusal(std::string_view serial, std::string_view nonce);
// Any other proof line, for the error message; empty when there is none.
std::string other_proof(std::string_view serial, std::string_view nonce);

}  // namespace slipway::vmm
