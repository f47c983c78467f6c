// SPDX-License-Identifier: GPL-3.0-or-later
// Requests and responses as values (RFC 9110), free of Beast.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::http {

// Header fields in order; names compare without case.
class Headers {
public:
    void set(std::string name, std::string value);
    std::string get(std::string_view name) const;  // empty when absent
    const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }

private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
    std::string method;                                        // "GET"
    std::string path;                                          // percent-decoded, starts with "/", no NUL
    std::vector<std::pair<std::string, std::string>> query;    // decoded
    Headers headers;
    std::string body;
    std::string peer_address;                                  // "10.99.0.5"
    std::string peer_name;                                     // common name of a verified client certificate, else empty
    std::vector<std::pair<std::string, std::string>> path_parameters;  // {name} of the route's pattern

    std::string query_value(std::string_view name) const;
    std::string parameter(std::string_view name) const;
};

// A part of an open file as body. The fd is shared with the response only.
struct FileBody {
    std::shared_ptr<UniqueFd> fd;
    std::uint64_t size = 0;  // of the whole file; ranges of the request are applied to it by the server
};

struct Response {
    unsigned status = 200;
    Headers headers;
    std::string body;
    std::optional<FileBody> file;  // instead of body

    static Response text(unsigned status, std::string body, std::string content_type = "text/plain; charset=utf-8");
    static Response json(unsigned status, std::string body) { return text(status, std::move(body), "application/json"); }
    static Response empty(unsigned status = 204);
};

// "a%20b" -> "a b"; nullopt on a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
// Splits "/path?x=1&y" into the decoded path and query; nullopt when hostile.
bool parse_target(std::string_view target, Request& into);

struct ByteRange {
    std::uint64_t first = 0, last = 0;  // inclusive
};
enum class RangeKind { Whole, Part, Unsatisfiable };
// One range of RFC 9110 §14.2; several ranges are answered with the whole.
RangeKind parse_range(std::string_view header, std::uint64_t size, ByteRange& range);

}  // namespace slipway::http
