// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/xml.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <memory>

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway {

namespace {

// tinyxml2 takes some 120 bytes of memory for each part, and compares each attribute of an element with all before it.
// The largest real inventory has 128 KiB and 8,000 parts, and no element of ours has 64 attributes.
constexpr std::size_t kMostBytes = 64u << 20, kMostParts = 1'000'000, kMostAttributes = 128;

// Counts what tinyxml2 is going to make of a text: the same marks end a tag, a value, a comment there. Where it would
// find the text damaged, and stop, no more than that is counted.
class Counter {
public:
    explicit Counter(std::string_view text) : text_(text) {}

    Status run() {
        while (at_ < text_.size()) {
            if (text_[at_] == '<') TRY(markup());
            else words();
            if (parts_ > kMostParts)
                return wrong(fmt::format("more than {} elements, attributes and texts", kMostParts));
        }
        return {};
    }

private:
    void words() {
        const auto end = std::min(text_.find('<', at_), text_.size());
        if (text_.substr(at_, end - at_).find_first_not_of(" \t\n\v\f\r") != std::string_view::npos) ++parts_;
        at_ = end;
    }
    Status markup() {
        struct Kind {
            std::string_view start, end;
        };
        static constexpr Kind kKinds[] = {{"<?", "?>"}, {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<!", ">"}};
        for (const auto& kind : kKinds) {
            if (!text_.substr(at_).starts_with(kind.start)) continue;
            ++parts_;
            skip_behind(kind.end, at_ + kind.start.size());
            return {};
        }
        return tag();
    }
    Status tag() {
        if (!text_.substr(at_).starts_with("</")) ++parts_;
        for (std::size_t attributes = 0;;) {
            at_ = std::min(text_.find_first_of("\"'>", at_), text_.size());
            if (at_ == text_.size()) return {};
            if (text_[at_] == '>') return ++at_, Status();
            if (++attributes > kMostAttributes)
                return wrong(fmt::format("an element with more than {} attributes", kMostAttributes));
            ++parts_;
            skip_behind(text_.substr(at_, 1), at_ + 1);
        }
    }
    void skip_behind(std::string_view end, std::size_t from) {
        const auto found = text_.find(end, from);
        at_ = found == std::string_view::npos ? text_.size() : found + end.size();
    }
    Error wrong(std::string_view what) const {
        const auto before = text_.substr(0, at_);
        return make_error(errors::kXml, "line {}: {}", 1 + std::count(before.begin(), before.end(), '\n'), what);
    }

    std::string_view text_;
    std::size_t at_ = 0, parts_ = 0;
};

}  // namespace

Status parse_xml(tinyxml2::XMLDocument& document, std::string_view text) {
    if (text.size() > kMostBytes) return make_error(errors::kXml, "{} bytes is too large", text.size());
    if (text.find("<!DOCTYPE") != std::string_view::npos)
        return make_error(errors::kXml, "a DOCTYPE is not accepted");
    TRY(Counter(text).run());
    if (document.Parse(text.data(), text.size()) != tinyxml2::XML_SUCCESS)
        return make_error(errors::kXml, "line {}: {}", document.ErrorLineNum(), printable(document.ErrorName()));
    if (!document.RootElement()) return make_error(errors::kXml, "no root element");
    return {};
}

std::string xml_attribute(const tinyxml2::XMLElement& element, const char* name, std::string_view fallback) {
    const char* value = element.Attribute(name);
    return value ? std::string(value) : std::string(fallback);
}

std::string xml_child_text(const tinyxml2::XMLElement& element, const char* child, std::string_view fallback) {
    const auto* found = element.FirstChildElement(child);
    const char* value = found ? found->GetText() : nullptr;
    return value ? std::string(value) : std::string(fallback);
}

namespace {

void collect(void* into, const char* format, ...) {
    auto& text = *static_cast<std::string*>(into);
    char buffer[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    if (text.size() < 4096) text += buffer;
}

void collect_structured(void* into, xmlErrorPtr error) {
    collect(into, "line %d: %s", error->line, error->message ? error->message : "?");
}

template <auto Free>
struct Freer {
    template <typename T>
    void operator()(T* p) const {
        Free(p);
    }
};

}  // namespace

Status check_against_xsd(std::string_view document, std::string_view schema) {
    constexpr int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
    std::string messages;
    std::unique_ptr<xmlSchemaParserCtxt, Freer<xmlSchemaFreeParserCtxt>> schema_parser(
        xmlSchemaNewMemParserCtxt(schema.data(), static_cast<int>(schema.size())));
    xmlSchemaSetParserErrors(schema_parser.get(), collect, collect, &messages);
    std::unique_ptr<xmlSchema, Freer<xmlSchemaFree>> compiled(xmlSchemaParse(schema_parser.get()));
    if (!compiled) return make_error(errors::kXml, "the schema itself is broken: {}", messages);
    std::unique_ptr<xmlDoc, Freer<xmlFreeDoc>> doc(
        xmlReadMemory(document.data(), static_cast<int>(document.size()), "document.xml", nullptr, options));
    if (!doc) return make_error(errors::kXml, "not well-formed");
    std::unique_ptr<xmlSchemaValidCtxt, Freer<xmlSchemaFreeValidCtxt>> valid(xmlSchemaNewValidCtxt(compiled.get()));
    xmlSchemaSetValidStructuredErrors(valid.get(), collect_structured, &messages);
    if (xmlSchemaValidateDoc(valid.get(), doc.get()) != 0)
        return make_error(errors::kXml, "{}", printable(trim(messages)));
    return {};
}

}  // namespace slipway
