// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/xml_writer.hpp"

#include <algorithm>
#include <cassert>

#include "lib/base/strings.hpp"

namespace slipway {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void escape_ascii(std::string& out, char c) {
    auto u = static_cast<unsigned char>(c);
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&apos;";
    else if (c == '\n' || c == '\t' || c == '\r') out += "&#" + std::to_string(u) + ";";
    else if (u < 0x20 || u == 0x7f) out += kReplacement;
    else out += c;
}

}  // namespace

std::string xml_escape(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto length = utf8_length(text);
        auto sequence = text.substr(0, std::max<std::size_t>(length, 1));
        if (length == 1) escape_ascii(out, text[0]);
        else if (length == 0 || sequence == "\xef\xbf\xbe" || sequence == "\xef\xbf\xbf") out += kReplacement;
        else out += sequence;
        text.remove_prefix(sequence.size());
    }
    return out;
}

XmlWriter::XmlWriter() : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {}

void XmlWriter::end_start_tag() {
    if (in_start_tag_) out_ += ">";
    in_start_tag_ = false;
}

void XmlWriter::indent() {
    if (out_.back() != '\n') out_ += '\n';
    out_.append(2 * open_.size(), ' ');
}

XmlWriter& XmlWriter::open(std::string_view name) {
    end_start_tag();
    indent();
    out_ += '<';
    out_ += name;
    open_.emplace_back(name);
    in_start_tag_ = true;
    had_text_ = false;
    return *this;
}

XmlWriter& XmlWriter::attribute(std::string_view name, std::string_view value) {
    assert(in_start_tag_);
    out_ += ' ';
    out_ += name;
    out_ += "=\"" + xml_escape(value) + "\"";
    return *this;
}

XmlWriter& XmlWriter::text(std::string_view value) {
    end_start_tag();
    out_ += xml_escape(value);
    had_text_ = true;
    return *this;
}

XmlWriter& XmlWriter::close() {
    assert(!open_.empty());
    auto name = std::move(open_.back());
    open_.pop_back();
    if (in_start_tag_) {
        out_ += "/>";
        in_start_tag_ = false;
    } else {
        if (!had_text_) indent();
        out_ += "</" + name + ">";
    }
    had_text_ = false;
    return *this;
}

XmlWriter& XmlWriter::leaf(std::string_view name, std::string_view value) {
    return open(name).text(value).close();
}

XmlWriter& XmlWriter::comment(std::string_view value) {
    end_start_tag();
    indent();
    std::string body(value);
    for (std::size_t at; (at = body.find("--")) != std::string::npos;) body.replace(at, 2, "- -");
    out_ += "<!-- " + body + " -->";
    return *this;
}

std::string XmlWriter::take() && {
    assert(open_.empty());
    out_ += '\n';
    return std::move(out_);
}

}  // namespace slipway
