// SPDX-License-Identifier: GPL-3.0-or-later
// Writes indented XML 1.0, UTF-8. Needs no library, so that the static gatherhw can use it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway {

// Escapes & < > " ' and replaces bytes that are not UTF-8 and characters XML 1.0 forbids by
// U+FFFD. Newlines, tabs and carriage returns become references, so that readers keep them.
std::string xml_escape(std::string_view text);

class XmlWriter {
public:
    XmlWriter();  // writes the declaration
    XmlWriter& open(std::string_view name);
    XmlWriter& attribute(std::string_view name, std::string_view value);  // directly after open()
    XmlWriter& text(std::string_view value);
    XmlWriter& close();
    XmlWriter& leaf(std::string_view name, std::string_view value);  // <name>value</name>
    XmlWriter& comment(std::string_view value);
    std::string take() &&;  // all elements closed

private:
    void end_start_tag();
    void indent();
    std::string out_;
    std::vector<std::string> open_;
    bool in_start_tag_ = false;
    bool had_text_ = false;
};

}  // namespace slipway
