// SPDX-License-Identifier: GPL-3.0-or-later
// The line of a boot proof in what a serial port has written. Pure.
#pragma once

#include <string>
#include <string_view>

namespace slipway::vmm {

std::string proof_line(std::string_view nonce);  // "SLIPWAY-UP NONCE"
// A whole line (ended by a newline) that is exactly the proof of this nonce.
bool has_proof(std::string_view serial, std::string_view nonce);
// Any other proof line, for the error message; empty when there is none.
std::string other_proof(std::string_view serial, std::string_view nonce);

}  // namespace slipway::vmm
