// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/http/message.hpp"

#include <algorithm>

#include "lib/base/bytes.hpp"

namespace slipway::http {

void Headers::set(std::string name, std::string value) {
    for (auto& [n, v] : fields_)
        if (iequals(n, name)) {
            v = std::move(value);
            return;
        }
    fields_.emplace_back(std::move(name), std::move(value));
}

std::string Headers::get(std::string_view name) const {
    for (const auto& [n, v] : fields_)
        if (iequals(n, name)) return v;
    return {};
}

static std::string value_of(const std::vector<std::pair<std::string, std::string>>& pairs, std::string_view name) {
    auto it = std::find_if(pairs.begin(), pairs.end(), [&](const auto& p) { return p.first == name; });
    return it == pairs.end() ? std::string() : it->second;
}

std::string Request::query_value(std::string_view name) const { return value_of(query, name); }
std::string Request::parameter(std::string_view name) const { return value_of(path_parameters, name); }

Response Response::text(unsigned status, std::string body, std::string content_type) {
    Response r;
    r.status = status;
    r.headers.set("Content-Type", std::move(content_type));
    r.body = std::move(body);
    return r;
}

Response Response::empty(unsigned status) {
    Response r;
    r.status = status;
    return r;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '+' && plus_is_space) c = ' ';
        if (c == '%') {
            auto byte = from_hex(text.substr(i + 1, 2));
            if (!byte || byte->size() != 1) return std::nullopt;
            c = static_cast<char>((*byte)[0]);
            i += 2;
        }
        if (c == '\0') return std::nullopt;
        out += c;
    }
    return out;
}

bool parse_target(std::string_view target, Request& into) {
    auto question = target.find('?');
    auto path = percent_decode(target.substr(0, question));
    if (!path || path->empty() || (*path)[0] != '/') return false;
    into.path = std::move(*path);
    if (question == std::string_view::npos) return true;
    for (const auto& pair : split(target.substr(question + 1), '&')) {
        auto equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals), true);
        auto value = equals == std::string::npos ? std::optional<std::string>("") : percent_decode(pair.substr(equals + 1), true);
        if (!name || !value) return false;
        if (!name->empty()) into.query.emplace_back(std::move(*name), std::move(*value));
    }
    return true;
}

RangeKind parse_range(std::string_view header, std::uint64_t size, ByteRange& range) {
    if (!header.starts_with("bytes=") || header.find(',') != std::string_view::npos) return RangeKind::Whole;
    header.remove_prefix(6);
    auto dash = header.find('-');
    if (dash == std::string_view::npos) return RangeKind::Whole;
    auto first = parse_u64(trim(header.substr(0, dash)));
    auto last = parse_u64(trim(header.substr(dash + 1)));
    if (!first && !last) return RangeKind::Whole;
    if (size == 0) return RangeKind::Unsatisfiable;
    if (!first) {
        if (*last == 0) return RangeKind::Unsatisfiable;
        range = {size - std::min(size, *last), size - 1};
        return RangeKind::Part;
    }
    if (*first >= size) return RangeKind::Unsatisfiable;
    if (last && *last < *first) return RangeKind::Whole;
    range = {*first, last ? std::min(*last, size - 1) : size - 1};
    return RangeKind::Part;
}

}  // namespace slipway::http
