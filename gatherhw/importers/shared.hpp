// SPDX-License-Identifier: GPL-3.0-or-later
// What the importers share.
#pragma once

#include <string>
#include <string_view>

#include "gatherhw/linux/smbios.hpp"
#include "gatherhw/model.hpp"
#include "lib/base/bytes.hpp"

namespace slipway::gatherhw {

inline constexpr std::size_t kMaxListed = 10'000;  // records of one list that are taken; what is beyond is noted

// UTF-8 of a text file: byte order marks (also two of them) are skipped; without one, a NUL in the first characters
// means UTF-16LE. Lone surrogates become U+FFFD.
std::string decode_text(ByteView bytes);
// &amp; &lt; &gt; &quot; &apos;, as wmic writes them.
std::string unescape_entities(std::string_view text);
// "4CF7..." or "4cf7…-…" in the model's form; empty when it is no UUID.
std::string uuid_text(std::string_view text);
// "a0d3c14bec5c", "A0:D3:…", "A0-D3-…" as "a0:d3:…"; empty when it is no MAC or all zero.
std::string mac_text(std::string_view text);
// "PCI\VEN_14E4&DEV_1677&SUBSYS_3006103C&REV_01\…"; nothing when it is none.
std::optional<PciId> pci_of_pnp(std::string_view pnp_id);

void note(Inventory& out, std::string what, std::string why);
void take_smbios(const Smbios& table, System& out);
// Makes it keep the reader's rules: names are unique, references lead somewhere, partitions lie on their disk.
void tidy(Inventory& out);

}  // namespace slipway::gatherhw
