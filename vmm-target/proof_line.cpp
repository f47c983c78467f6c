// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/proof_line.hpp"

#include "lib/base/strings.hpp"

namespace slipway::vmm {

namespace {

// Calls take(line) for each whole line, without its line end, until it returns true. OVMF and GRUB, which write to all
// serial ports, end theirs with LF CR: the next line begins with a CR then.
template <typename Take>
bool any_line(std::string_view text, Take&& take) {
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        auto line = text.substr(0, end);
        while (line.ends_with('\r')) line.remove_suffix(1);
        while (line.starts_with('\r')) line.remove_prefix(1);
        if (take(line)) return true;
        text.remove_prefix(end + 1);
    }
    return false;
}

}  // namespace

std::string proof_line(std::string_view nonce) { return "SLIPWAY-UP " + std::string(nonce); }

bool has_proof(std::string_view serial, std::string_view nonce) {
    return any_line(serial, [wanted = proof_line(nonce)](std::string_view line) { return line == wanted; });
}

std::optional<std::string> refusal(std::string_view serial, std::string_view nonce) {
    std::optional<std::string> found;
    any_line(serial, [&, wanted = "SLIPWAY-REFUSED " + std::string(nonce) + " "](std::string_view line) {
        if (line.starts_with(wanted)) found = printable(line.substr(wanted.size(), 300));
        return found.has_value();
    });
    return found;
}

std::string other_proof(std::string_view serial, std::string_view nonce) {
    std::string found;
    any_line(serial, [&, wanted = proof_line(nonce)](std::string_view line) {
        if (line.starts_with("SLIPWAY-UP ") && line != wanted) found = printable(line.substr(0, 100));
        return !found.empty();
    });
    return found;
}

}  // namespace slipway::vmm
