// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/lvm_text.hpp"

#include <algorithm>
#include <charconv>

#include "lib/disks/errors.hpp"

namespace slipway::disks {

namespace {

constexpr unsigned kMaxDepth = 8;          // LVM itself uses four
constexpr std::size_t kMaxItems = 400000;  // sections, settings and values: bounds memory

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '+';
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Status fill(LvmSection& section, unsigned depth) {
        if (depth > kMaxDepth) return bad("sections nested too deeply");
        for (;;) {
            skip_space();
            if (at_ == text_.size()) return depth == 0 ? Status() : bad("a section without its end");
            if (text_[at_] == '}') {
                if (depth == 0) return bad("an end without a section");
                ++at_;
                return {};
            }
            auto name = std::string(word());
            if (name.empty()) return bad("a name is missing");
            TRY(count());
            skip_space();
            if (take('{')) {
                section.sections.push_back({std::move(name), {}, {}});
                TRY(fill(section.sections.back(), depth + 1));
            } else if (take('=')) {
                section.settings.push_back({std::move(name), TRY(values())});
            } else {
                return bad("neither a section nor a setting");
            }
        }
    }

private:
    Error bad(std::string_view what) const {
        return make_error(errors::kVolumeManager, "LVM metadata, byte {}: {}", at_, what);
    }
    Status count() { return ++items_ > kMaxItems ? Status(bad("too much of it")) : Status(); }

    void skip_space() {
        for (; at_ < text_.size(); ++at_) {
            auto c = text_[at_];
            if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
            else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\0') return;
        }
    }
    bool take(char c) {
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string_view word() {
        auto start = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        return text_.substr(start, at_ - start);
    }

    Result<std::vector<LvmValue>> values() {
        std::vector<LvmValue> out;
        skip_space();
        if (!take('[')) {
            out.push_back(TRY(value()));
            return out;
        }
        for (;;) {
            skip_space();
            if (take(']')) return out;
            if (!out.empty()) {
                if (!take(',')) return bad("a comma is missing in a list");
                skip_space();
                if (take(']')) return out;
            }
            out.push_back(TRY(value()));
        }
    }

    Result<LvmValue> value() {
        TRY(count());
        if (take('"')) return quoted();
        auto token = word();
        std::int64_t number = 0;
        auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
        // A fraction is of no use to us: its whole part will do.
        if (error != std::errc{} || (end != token.data() + token.size() && *end != '.')) return bad("no value");
        return LvmValue(number);
    }

    Result<LvmValue> quoted() {
        std::string out;
        for (; at_ < text_.size(); ++at_) {
            auto c = text_[at_];
            if (c == '"') {
                ++at_;
                return LvmValue(std::move(out));
            }
            if (c == '\\' && at_ + 1 < text_.size()) c = text_[++at_];
            out.push_back(c);
        }
        return bad("a string without its end");
    }

    std::string_view text_;
    std::size_t at_ = 0, items_ = 0;
};

}  // namespace

const LvmSection* LvmSection::section(std::string_view called) const {
    auto it = std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s.name == called; });
    return it == sections.end() ? nullptr : &*it;
}

const std::vector<LvmValue>* LvmSection::list(std::string_view key) const {
    auto it = std::find_if(settings.begin(), settings.end(), [&](const auto& s) { return s.key == key; });
    return it == settings.end() ? nullptr : &it->values;
}

std::string LvmSection::text(std::string_view key) const {
    const auto* values = list(key);
    const auto* text = values && values->size() == 1 ? std::get_if<std::string>(&values->front()) : nullptr;
    return text ? *text : std::string();
}

std::optional<std::uint64_t> LvmSection::number(std::string_view key) const {
    const auto* values = list(key);
    const auto* number = values && values->size() == 1 ? std::get_if<std::int64_t>(&values->front()) : nullptr;
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

bool LvmSection::has(std::string_view key, std::string_view value) const {
    const auto* values = list(key);
    return values && std::any_of(values->begin(), values->end(), [&](const LvmValue& v) {
               const auto* text = std::get_if<std::string>(&v);
               return text && *text == value;
           });
}

Result<LvmSection> parse_lvm_text(std::string_view text) {
    if (text.size() > kMaxLvmText) return make_error(errors::kVolumeManager, "LVM metadata of {} bytes", text.size());
    LvmSection root;
    TRY(Parser(text).fill(root, 0));
    return root;
}

}  // namespace slipway::disks
