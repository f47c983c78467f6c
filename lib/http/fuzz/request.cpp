// SPDX-License-Identifier: GPL-3.0-or-later
// A request's target and fields as our own code reads them (the head itself is Beast's to parse). Input: the target, a
// newline, then a Range field.
#include <cstdlib>

#include "lib/http/server.hpp"

using namespace slipway;
using namespace slipway::http;

namespace {

Router routes() {
    Router router;
    const auto nothing = [](const Request&, const Responder&) {};
    for (const char* pattern :
         {"/boot/kernel", "/boot/ramdisk/{path...}", "/api/v1/devices/{name}", "/api/v1/jobs/{id}/artifacts/{name}"})
        router.add("GET", pattern, nothing);
    return router;
}

bool clean(const std::string& text) { return text.find('\0') == std::string::npos; }

void check_range(std::string_view field, std::uint64_t size) {
    ByteRange range;
    if (parse_range(field, size, range) == RangeKind::Part && (range.first > range.last || range.last >= size))
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Router router = routes();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    if (line != std::string_view::npos)
        for (const std::uint64_t of : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, ~std::uint64_t{0}})
            check_range(text.substr(line + 1), of);
    Request request;
    request.method = "GET";
    if (!parse_target(text.substr(0, line), request)) return 0;
    if (!request.path.starts_with('/') || !clean(request.path)) std::abort();
    for (const auto& [name, value] : request.query)
        if (name.empty() || !clean(name) || !clean(value)) std::abort();
    bool wrong_method = false;
    if (!router.match(request, wrong_method)) return 0;
    for (const auto& [name, value] : request.path_parameters)
        if (name != "path" && (value.empty() || value.find('/') != std::string::npos)) std::abort();
    return 0;
}
