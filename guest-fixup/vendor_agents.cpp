// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/vendor_agents.hpp"

#include <algorithm>
#include <cctype>
#include <map>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/services.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostEntries = 4096, kMostAttributes = 16, kMostWarnings = 100, kDeepest = 32;
constexpr std::string_view kSpace = " \t\r\n";

struct Tag {
    std::string name;
    std::map<std::string, std::string, std::less<>> attributes;
    bool closing = false, empty = false;
    std::size_t line = 0;
};

std::optional<char> entity(std::string_view name) {
    if (name == "amp") return '&';
    if (name == "lt") return '<';
    if (name == "gt") return '>';
    if (name == "quot") return '"';
    if (name == "apos") return '\'';
    return std::nullopt;
}

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    // The next tag; one without a name at the end of the text. Text between tags is an error, but for white space.
    Result<Tag> next() {
        TRY(skip());
        Tag tag;
        tag.line = line();
        if (at_ == text_.size()) return tag;
        if (text_[at_] != '<') return wrong("text where an element is wanted");
        ++at_;
        tag.closing = take("/");
        tag.name = TRY(name());
        while (!tag.closing && !ahead("/>") && !ahead(">")) TRY(attribute(tag));
        skip_space();
        tag.empty = !tag.closing && take("/");
        if (!take(">")) return wrong("a tag that does not end");
        return tag;
    }
    Error wrong(std::string_view what) { return make_error(errors::kDriversFile, "line {}: {}", line(), what); }

private:
    std::size_t line() {
        // From where it was last asked: looking from the start for each would be quadratic.
        line_ += static_cast<std::size_t>(
            std::count(text_.begin() + static_cast<long>(counted_), text_.begin() + static_cast<long>(at_), '\n'));
        counted_ = at_;
        return line_;
    }
    bool ahead(std::string_view what) {
        skip_space();
        return text_.substr(at_).starts_with(what);
    }
    bool take(std::string_view what) {
        if (!text_.substr(at_).starts_with(what)) return false;
        at_ += what.size();
        return true;
    }
    void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }
    Status skip_to(std::string_view end) {
        const auto found = text_.find(end, at_);
        if (found == std::string_view::npos) return wrong(fmt::format("'{}' is missing", end));
        at_ = found + end.size();
        return {};
    }
    Status skip() {
        for (;;) {
            skip_space();
            if (take("<!--")) TRY(skip_to("-->"));
            else if (take("<?")) TRY(skip_to("?>"));
            else if (ahead("<!")) return wrong("a DOCTYPE or CDATA is not accepted");
            else return {};
        }
    }
    Result<std::string> name() {
        const auto end = std::min(text_.find_first_of(" \t\r\n=/<>\"'&", at_), text_.size());
        const auto name = text_.substr(at_, end - at_);
        if (name.empty() || name.size() > 64) return wrong("a name is missing or too long");
        at_ = end;
        return printable(name);
    }
    Status attribute(Tag& tag) {
        auto key = TRY(name());
        skip_space();
        if (!take("=")) return wrong("an attribute has no value");
        skip_space();
        const char quote = at_ < text_.size() ? text_[at_] : '\0';
        if (quote != '"' && quote != '\'') return wrong("an attribute's value has no quotes");
        ++at_;
        const auto end = text_.find(quote, at_);
        if (end == std::string_view::npos) return wrong("an attribute's value does not end");
        auto value = TRY(decoded(text_.substr(at_, end - at_)));
        at_ = end + 1;
        if (tag.attributes.size() >= kMostAttributes ||
            !tag.attributes.emplace(std::move(key), std::move(value)).second)
            return wrong("too many attributes, or one is there twice");
        return {};
    }
    Result<std::string> decoded(std::string_view raw) {
        if (raw.find('<') != std::string_view::npos) return wrong("a '<' in an attribute's value");
        std::string out;
        while (!raw.empty()) {
            const auto at = raw.find('&');
            out += raw.substr(0, at);
            if (at == std::string_view::npos) break;
            const auto end = raw.find(';', at);
            const auto character =
                end == std::string_view::npos ? std::nullopt : entity(raw.substr(at + 1, end - at - 1));
            if (!character) return wrong("an entity that is not one of XML's own five");
            out += *character;
            raw.remove_prefix(end + 1);
        }
        return out;
    }

    std::string_view text_;
    std::size_t at_ = 0, counted_ = 0, line_ = 1;
};

class Reader {
public:
    Reader(std::string_view xml, NamesOf names) : scanner_(xml), names_(names) {}

    Result<DriversFile> run() {
        const auto root = TRY(scanner_.next());
        if (root.name != "Configuration" || root.closing)
            return scanner_.wrong("the root element is not <Configuration>");
        if (!root.empty) TRY(read_entries());
        if (!TRY(scanner_.next()).name.empty()) return scanner_.wrong("there is something behind </Configuration>");
        return std::move(out_);
    }

private:
    Status read_entries() {
        for (std::size_t count = 0;; ++count) {
            const auto tag = TRY(scanner_.next());
            if (tag.name.empty()) return scanner_.wrong("</Configuration> is missing");
            if (tag.closing && tag.name == "Configuration") return {};
            if (tag.closing || count >= kMostEntries) return scanner_.wrong("a stray end, or too many elements");
            const bool known = take_entry(tag);
            if (!tag.empty) TRY(skip_children(tag, known));
        }
    }

    void warn(const Tag& tag, std::string_view what) {
        if (out_.warnings.size() < kMostWarnings)
            out_.warnings.push_back(fmt::format("drivers file, line {}: <{}>: {}", tag.line, tag.name, what));
    }

    // Is it one of the three? One of them that cannot be followed is a warning.
    bool take_entry(const Tag& tag) {
        struct Kind {
            std::string_view element, attribute, value;
            std::vector<std::string>& list;
        };
        for (const auto& kind :
             {Kind{"Service", "Start", "Disable", out_.services}, Kind{"Driver", "Start", "Disable", out_.drivers},
              Kind{"Program", "Action", "Remove", out_.programs}}) {
            if (tag.name != kind.element) continue;
            for (const auto& [name, value] : tag.attributes)
                if (name != "Name" && name != kind.attribute) warn(tag, fmt::format("attribute '{}' is ignored", name));
            const auto name = tag.attributes.find("Name");
            const auto action = tag.attributes.find(kind.attribute);
            if (name == tag.attributes.end() || action == tag.attributes.end() || !iequals(action->second, kind.value))
                warn(tag, fmt::format("only Name=\"…\" {}=\"{}\" is known; skipped", kind.attribute, kind.value));
            else if (!valid(name->second))
                warn(tag, fmt::format("'{}' is no name of {}, or means too much; skipped",
                                      printable(std::string_view(name->second).substr(0, 80)),
                                      names_ == NamesOf::Linux ? "Linux" : "Windows"));
            else kind.list.push_back(name->second);
            return true;
        }
        warn(tag, "unknown element, skipped");
        return false;
    }

    bool valid(std::string_view name) const {
        return names_ == NamesOf::Linux ? valid_pattern(name) : valid_windows_pattern(name);
    }

    Status skip_children(const Tag& parent, bool known) {
        std::vector<std::string> open{parent.name};
        while (!open.empty()) {
            const auto tag = TRY(scanner_.next());
            if (tag.name.empty()) return scanner_.wrong(fmt::format("</{}> is missing", open.back()));
            if (!tag.closing) {
                if (known) return scanner_.wrong(fmt::format("<{}> holds an element", parent.name));
                if (open.size() >= kDeepest) return scanner_.wrong("elements in elements in elements");
                if (!tag.empty) open.push_back(tag.name);
            } else {
                if (tag.name != open.back())
                    return scanner_.wrong(fmt::format("</{}> ends <{}>", tag.name, open.back()));
                open.pop_back();
            }
        }
        return {};
    }

    Scanner scanner_;
    NamesOf names_;
    DriversFile out_;
};

}  // namespace

bool valid_windows_pattern(std::string_view pattern) {
    if (pattern.empty() || pattern.size() > 256 || printable(pattern) != pattern || trim(pattern) != pattern)
        return false;
    std::size_t letters = 0, stars = 0;
    for (const char c : pattern) {
        if (c == '\\' || c == '/') return false;
        letters += std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80;
        stars += c == '*';
    }
    return stars == 0 ? letters > 0 : letters >= 3;
}

Result<DriversFile> parse_drivers_file(std::string_view xml, NamesOf names) {
    if (xml.size() > kLongestDriversFile) return make_error(errors::kDriversFile, "it is longer than 1 MiB");
    if (xml.starts_with("\xff\xfe") || xml.starts_with("\xfe\xff"))
        return make_error(errors::kDriversFile, "it is in UTF-16: convert it (iconv -f UTF-16 -t UTF-8)");
    if (xml.starts_with("\xef\xbb\xbf")) xml.remove_prefix(3);
    return Reader(xml, names).run();
}

std::string blacklist_file(const std::vector<std::string>& modules) {
    std::string out = "# Written by Slipway from the P2V drivers file: of the hardware this system came from.\n";
    for (const auto& module : modules) out += fmt::format("blacklist {0}\ninstall {0} /bin/false\n", module);
    return out;
}

}  // namespace slipway::fixup
