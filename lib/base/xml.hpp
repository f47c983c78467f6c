// SPDX-License-Identifier: GPL-3.0-or-later
// Reading XML: tinyxml2 for the tree, libxml2 only to check against an XSD (no DTD, no network).
// Target slipway_xml; not for the static gatherhw.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <tinyxml2.h>

#include "lib/base/result.hpp"

namespace slipway {

// Parses into document. Refuses a DOCTYPE (entity tricks), nesting deeper than tinyxml2 allows, text over 64 MiB, more
// than a million elements, attributes and texts, and 128 attributes of one element: the first alone bounds neither
// memory nor time.
Status parse_xml(tinyxml2::XMLDocument& document, std::string_view text);

std::string xml_attribute(const tinyxml2::XMLElement& element, const char* name, std::string_view fallback = {});
std::string xml_child_text(const tinyxml2::XMLElement& element, const char* child, std::string_view fallback = {});

// Errors say the line and what the schema wanted. Loads nothing but the two texts.
Status check_against_xsd(std::string_view document, std::string_view schema);

}  // namespace slipway
