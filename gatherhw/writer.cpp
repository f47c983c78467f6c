// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/writer.hpp"

#include <type_traits>

#include <fmt/format.h>

#include "gatherhw/fields.hpp"
#include "gatherhw/names.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml_writer.hpp"

namespace slipway::gatherhw {

namespace {

std::string text_of(const std::string& value) { return value; }
std::string text_of(bool value) { return value ? "true" : "false"; }
template <typename T>
    requires std::is_integral_v<T>
std::string text_of(T value) {
    return std::to_string(value);
}
template <typename T>
    requires std::is_enum_v<T>
std::string text_of(T value) {
    return std::string(name_in_table(value));
}

// Attributes come before children because fields() names them first.
class XmlArchive {
public:
    explicit XmlArchive(XmlWriter& out) : out_(out) {}

    template <typename T>
    void value(std::string_view name, const T& v) {
        if constexpr (std::is_same_v<T, std::string>)
            if (v.empty()) return;
        out_.attribute(name, text_of(v));
    }
    template <typename T>
    void value(std::string_view name, const std::optional<T>& v) {
        if (v) value(name, *v);
    }
    template <typename T>
    void count(std::string_view name, T v) {
        if (v != 0) value(name, v);
    }
    template <typename T>
    void known(std::string_view name, T v) {
        if (v != T{}) value(name, v);
    }
    void hex(std::string_view name, std::uint32_t v, int digits) {
        out_.attribute(name, fmt::format("0x{:0{}x}", v, digits));
    }
    void words(std::string_view name, const std::vector<std::string>& v) {
        if (!v.empty()) out_.attribute(name, join(v, " "));
    }
    void texts(std::string_view element, const std::vector<std::string>& v) {
        for (const auto& text : v) out_.leaf(element, text);
    }
    void body(const std::string& text) { out_.text(text); }
    template <typename R>
    void record(std::string_view element, const R& r) {
        out_.open(element);
        fields(*this, r);
        out_.close();
    }
    template <typename R>
    void record(std::string_view element, const std::optional<R>& r) {
        if (r) record(element, *r);
    }
    template <typename R>
    void list(std::string_view element, std::string_view item, const std::vector<R>& records) {
        if (records.empty()) return;
        out_.open(element);
        for (const auto& r : records) record(item, r);
        out_.close();
    }

private:
    XmlWriter& out_;
};

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out + "\"";
}

// Written by hand, since the static program links no JSON library.
class JsonArchive {
public:
    std::string take() && { return std::move(out_); }

    void value(std::string_view name, const std::string& v) { key(name), out_ += json_text(v); }
    template <typename T>
        requires std::is_arithmetic_v<T>
    void value(std::string_view name, T v) {
        key(name), out_ += text_of(v);
    }
    template <typename T>
        requires std::is_enum_v<T>
    void value(std::string_view name, T v) {
        value(name, text_of(v));
    }
    template <typename T>
    void value(std::string_view name, const std::optional<T>& v) {
        if (v) value(name, *v);
    }
    template <typename T>
    void count(std::string_view name, T v) {
        if (v != 0) value(name, v);
    }
    template <typename T>
    void known(std::string_view name, T v) {
        if (v != T{}) value(name, v);
    }
    void hex(std::string_view name, std::uint32_t v, int digits) { value(name, fmt::format("0x{:0{}x}", v, digits)); }
    void words(std::string_view name, const std::vector<std::string>& v) { texts(name, v); }
    void texts(std::string_view name, const std::vector<std::string>& v) {
        key(name);
        std::string items;
        for (const auto& text : v) items += (items.empty() ? "" : ",") + json_text(text);
        out_ += "[" + items + "]";
    }
    void body(const std::string& text) { value("text", text); }
    template <typename R>
    void record(std::string_view name, const R& r) {
        key(name);
        object(r);
    }
    template <typename R>
    void record(std::string_view name, const std::optional<R>& r) {
        if (r) record(name, *r);
    }
    template <typename R>
    void list(std::string_view name, std::string_view, const std::vector<R>& records) {
        key(name);
        out_ += '[';
        for (const auto& r : records) {
            if (out_.back() != '[') out_ += ',';
            object(r);
        }
        out_ += ']';
    }
    template <typename R>
    void object(const R& r) {
        out_ += '{';
        fields(*this, r);
        out_ += '}';
    }

private:
    void key(std::string_view name) {
        if (out_.back() != '{') out_ += ',';
        out_ += json_text(name) + ":";
    }
    std::string out_;
};

}  // namespace

std::string to_xml(const Inventory& inventory) {
    XmlWriter out;
    out.open("inventory").attribute("xmlns", kNamespace);
    XmlArchive archive(out);
    fields(archive, inventory);
    out.close();
    return std::move(out).take();
}

std::string to_json(const Inventory& inventory) {
    JsonArchive archive;
    archive.object(inventory);
    return std::move(archive).take() + "\n";
}

}  // namespace slipway::gatherhw
