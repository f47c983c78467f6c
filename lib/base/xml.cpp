// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/xml.hpp"

#include <cstdarg>
#include <cstdio>
#include <memory>

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway {

Status parse_xml(tinyxml2::XMLDocument& document, std::string_view text) {
    if (text.size() > (64u << 20)) return make_error(errors::kXml, "{} bytes is too large", text.size());
    if (text.find("<!DOCTYPE") != std::string_view::npos)
        return make_error(errors::kXml, "a DOCTYPE is not accepted");
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
