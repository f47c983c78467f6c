// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with a network boot, hop by hop, and what to do about it: one row each. docs/netboot-findings.md is
// made of this table (SLIPWAY_REGENERATE=1 pxe_doctor_test), and a test holds it against it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace slipway::pxe {

// In the order that a boot takes them.
enum class Hop { Discover, Offer, Address, Loader, Script, Kernel, Agent, Tls, Enrolment, Ready };
std::string_view name_of(Hop hop);

struct FindingRow {
    std::string_view id;
    Hop hop;  // the one that failed
    std::string_view title;
    std::string_view advice;
};

namespace findings {
extern const FindingRow kNoDiscover, kRelayMissing, kUnknownDevice, kNotControlled, kIgnored, kNoLoader,
    kOtherPxeServer, kNoAddress, kRelayDropsPxe, kOfferNotTaken, kWrongArchitecture, kFileNotFound, kStalled, kLink,
    kSecureBoot, kLoaderDied, kNoScript, kNoKernel, kNoDriver, kNoAgent, kClock, kOtherCa, kTls, kToken;
}  // namespace findings

std::span<const FindingRow* const> all_findings();
std::string findings_page();  // Markdown

}  // namespace slipway::pxe
