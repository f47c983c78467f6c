// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/coexist_scan.hpp"

#include <algorithm>

#include "dhcp-helper/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::dhcp::coexist {

namespace {

using What = Mention::What;

template <typename... Args>
Error unfit(std::size_t line, fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kForeignConfig, "line {}: {}", line, fmt::format(format, std::forward<Args>(args)...));
}

// A text with a place in it, which counts lines.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_(text) {}
    bool at_end() const { return at_ >= text_.size(); }
    char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    bool looking_at(std::string_view word) const { return text_.substr(at_).starts_with(word); }
    std::size_t offset() const { return at_; }
    std::size_t line() const { return line_; }
    void next(std::size_t count = 1) {
        for (; count && !at_end(); --count) line_ += text_[at_++] == '\n';
    }
    void skip_line() {
        while (!at_end() && peek() != '\n') next();
    }
    std::string_view since(std::size_t from) const { return text_.substr(from, at_ - from); }
    // From a quote to its end; false when there is none.
    bool skip_string() {
        for (next(); !at_end() && peek() != '"'; next())
            if (peek() == '\\') next();
        if (at_end()) return false;
        next();
        return true;
    }

private:
    std::string_view text_;
    std::size_t at_ = 0, line_ = 1;
};

// --- ISC dhcpd: words, strings, braces, semicolons, '#' comments ---

void mention_isc(const std::vector<std::string>& words, std::size_t line, Scan& out) {
    auto is = [&](std::size_t i, std::string_view word) { return i < words.size() && iequals(words[i], word); };
    auto add = [&](What what) { out.mentions.push_back({what, line, printable(join(words, " ")).substr(0, 100)}); };
    if (is(0, "filename") || is(0, "server-name")) add(What::BootFile);
    if (is(0, "next-server")) add(What::NextServer);
    if (is(0, "option") && is(1, "vendor-class-identifier")) add(What::VendorClass);
    if (is(0, "include")) add(What::Include);
    if (is(0, "range")) add(What::Range);
    if (is(0, "class") && is(1, fmt::format("\"{}\"", kOurName))) add(What::OurName);
}

Result<Scan> scan_isc(std::string_view text) {
    Scan out;
    Cursor in(text);
    std::vector<std::size_t> open;  // lines of braces
    std::vector<std::string> words;
    std::size_t first_line = 1;
    while (!in.at_end()) {
        char c = in.peek();
        auto from = in.offset();
        if (c == '#') {
            in.skip_line();
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            in.next();
        } else if (c == ';' || c == '{' || c == '}') {
            mention_isc(words, first_line, out);
            if (c == '{') open.push_back(in.line());
            if (open.size() > kDeepest) return unfit(in.line(), "blocks {} deep", open.size());
            if (c == '}' && open.empty()) return unfit(in.line(), "'}}' without '{{'");
            if (c == '}' && !words.empty()) return unfit(in.line(), "'}}' in the middle of a statement");
            if (c == '}') open.pop_back();
            words.clear();
            in.next();
        } else {
            if (words.empty()) first_line = in.line();
            if (c == '"') {
                auto line = in.line();
                if (!in.skip_string()) return unfit(line, "a string without end");
            } else {
                while (!in.at_end() && std::string_view(" \t\r\n;{}\"#").find(in.peek()) == std::string_view::npos)
                    in.next();
            }
            if (words.size() < 16) words.emplace_back(in.since(from));
        }
    }
    if (!open.empty()) return unfit(open.back(), "a block without end");
    if (!words.empty()) return unfit(first_line, "a statement without end");
    return out;
}

// --- dnsmasq: a line each, '#' at its start or behind a blank begins a comment ---

// [tag:TAG,]…FILE,[NAME],ADDRESS with neither file nor name.
bool next_server_alone(std::string_view value) {
    auto parts = split(value, ',');
    std::size_t i = 0;
    while (i < parts.size() && (parts[i].starts_with("tag:") || parts[i].starts_with("net:"))) ++i;
    return parts.size() == i + 3 && trim(parts[i]).empty() && trim(parts[i + 1]).empty() && !trim(parts[i + 2]).empty();
}

Result<Scan> scan_dnsmasq(std::string_view text) {
    Scan out;
    std::size_t number = 0;
    for (const auto& raw : split(text, '\n')) {
        ++number;
        std::string_view line = trim(raw);
        if (line.empty() || line[0] == '#') continue;
        auto equals = line.find('=');
        auto key = trim(line.substr(0, equals));
        auto value = equals == line.npos ? std::string_view() : trim(line.substr(equals + 1));
        auto add = [&](What what) { out.mentions.push_back({what, number, printable(line).substr(0, 100)}); };
        if (key == "dhcp-boot" && next_server_alone(value)) add(What::NextServer);
        else if (key == "dhcp-boot" || key == "pxe-service" || key == "pxe-prompt") add(What::BootFile);
        if (key == "conf-file" || key == "conf-dir") add(What::Include);
        if (key == "dhcp-range") add(What::Range);
        if (value.find(kOurName) != value.npos) add(What::OurName);
        if (key == "dhcp-option" || key == "dhcp-option-force")
            for (const auto& part : split(value, ','))
                if (trim(part) == "60" || trim(part) == "option:vendor-class") add(What::VendorClass);
    }
    return out;
}

// --- Kea: JSON with comments in three manners ---

class KeaScan {
public:
    explicit KeaScan(std::string_view text) : in_(text) {}

    Result<Scan> run() {
        TRY(blank());
        if (in_.peek() != '{') return unfit(in_.line(), "not a JSON object");
        TRY(value(0));
        TRY(blank());
        if (!in_.at_end()) return unfit(in_.line(), "more behind the end of the object");
        if (!seen_dhcp4_) return unfit(1, "no \"Dhcp4\" object");
        return std::move(out_);
    }

private:
    Status blank() {
        while (!in_.at_end()) {
            char c = in_.peek();
            if (c == ' ' || c == '\t' || c == '\r' || c == '\n') in_.next();
            else if (c == '#' || in_.looking_at("//")) in_.skip_line();
            else if (in_.looking_at("/*")) {
                auto line = in_.line();
                while (!in_.at_end() && !in_.looking_at("*/")) in_.next();
                if (in_.at_end()) return unfit(line, "a comment without end");
                in_.next(2);
            } else if (in_.looking_at("<?")) {
                return unfit(in_.line(), "<?include?>: the parts are not known here");
            } else break;
        }
        return {};
    }

    Result<std::string> string() {
        auto from = in_.offset(), line = in_.line();
        if (in_.peek() != '"') return unfit(line, "a string is missing");
        if (!in_.skip_string()) return unfit(line, "a string without end");
        auto quoted = in_.since(from);
        return std::string(quoted.substr(1, quoted.size() - 2));
    }

    bool inside(std::string_view a, std::string_view b) const {
        return path_.size() == (b.empty() ? 1u : 2u) && path_[0] == a && (b.empty() || path_[1] == b);
    }

    void mention(const std::string& key, std::string_view value, std::size_t line) {
        auto add = [&](What what) {
            out_.mentions.push_back({what, line, printable(fmt::format("\"{}\": {}", key, value)).substr(0, 100)});
        };
        bool said = value != "\"\"" && value != "\"0.0.0.0\"";
        if (said && (key == "boot-file-name" || key == "server-hostname")) add(What::BootFile);
        if (said && key == "next-server") add(What::NextServer);
        if (key == "name" && value == "\"vendor-class-identifier\"") add(What::VendorClass);
        if (key == "code" && value == "60") add(What::VendorClass);
        if (key == "pools") add(What::Range);
        if (key == "name" && value == fmt::format("\"{}\"", kOurName)) add(What::OurName);
    }

    Status value(int depth) {
        TRY(blank());
        if (depth > kDeepest) return unfit(in_.line(), "values {} deep", depth);
        if (in_.peek() == '{' || in_.peek() == '[') return list(depth);
        if (in_.peek() == '"') return string().ok() ? Status() : unfit(in_.line(), "a string without end");
        auto from = in_.offset();
        while (!in_.at_end() && std::string_view(" \t\r\n,:{}[]\"#/").find(in_.peek()) == std::string_view::npos)
            in_.next();
        if (in_.offset() == from) return unfit(in_.line(), "a value is missing");
        return {};
    }

    Status member(int depth) {
        auto line = in_.line();
        auto key = TRY(string());
        TRY(blank());
        if (in_.peek() != ':') return unfit(in_.line(), "no ':' behind \"{}\"", printable(key).substr(0, 60));
        in_.next();
        TRY(blank());
        path_.push_back(key);
        if (inside("Dhcp4", "") && std::exchange(seen_dhcp4_, true)) return unfit(line, "\"Dhcp4\" twice");
        if (inside("Dhcp4", "") && in_.peek() != '{') return unfit(line, "\"Dhcp4\" is no object");
        if (inside("Dhcp4", "client-classes")) {
            if (std::exchange(out_.has_classes, true)) return unfit(line, "\"client-classes\" twice");
            if (in_.peek() != '[') return unfit(line, "\"client-classes\" is no list");
        }
        auto from = in_.offset();
        TRY(value(depth + 1));
        mention(key, in_.since(from), line);
        path_.pop_back();
        return {};
    }

    Status list(int depth) {
        bool object = in_.peek() == '{';
        bool here = inside("Dhcp4", out_.has_classes && !object ? "client-classes" : "") && depth == (object ? 1 : 2);
        auto line = in_.line();
        in_.next();
        auto last = in_.offset(), start = last;
        bool first = true, comma = false;
        for (;;) {
            TRY(blank());
            if (in_.at_end()) return unfit(line, "'{}' without end", object ? '{' : '[');
            if (in_.peek() == (object ? '}' : ']')) break;
            if (!first && !comma) return unfit(in_.line(), "a ',' is missing");
            TRY(object ? member(depth) : element(depth));
            last = in_.offset();
            first = comma = false;
            TRY(blank());
            if (in_.peek() != ',') continue;
            in_.next();
            last = in_.offset();
            comma = true;
        }
        in_.next();
        if (!here || (object && out_.has_classes)) return {};
        out_.insert_at = object ? start : last;
        out_.first = first;
        out_.after_comma = comma;
        return {};
    }

    Status element(int depth) {
        path_.emplace_back("[]");
        auto done = value(depth + 1);
        path_.pop_back();
        return done;
    }

    Cursor in_;
    Scan out_;
    std::vector<std::string> path_;
    bool seen_dhcp4_ = false;
};

}  // namespace

Result<Scan> scan(Kind kind, std::string_view text) {
    if (text.size() > kLargestConfig)
        return make_error(errors::kForeignConfig, "{} bytes are no configuration", text.size());
    if (text.find('\0') != text.npos) return make_error(errors::kForeignConfig, "it holds NUL bytes");
    switch (kind) {
        case Kind::Isc: return scan_isc(text);
        case Kind::Kea: return KeaScan(text).run();
        case Kind::Dnsmasq: return scan_dnsmasq(text);
    }
    return make_error(errors::kForeignConfig, "of no known kind");
}

}  // namespace slipway::dhcp::coexist
