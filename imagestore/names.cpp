// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/names.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

bool alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

bool valid_image_name(std::string_view name) {
    if (name.empty() || name.size() > 64 || !alnum(name.front())) return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::string ImageRef::text() const { return version ? name + "@" + std::to_string(version) : name; }

Result<ImageRef> ImageRef::parse(std::string_view text) {
    ImageRef ref;
    auto at = text.find('@');
    ref.name = std::string(text.substr(0, at));
    if (!valid_image_name(ref.name)) return make_error(errors::kBadName, "'{}' is not an image name", printable(text));
    if (at == std::string_view::npos) return ref;
    auto number = parse_u64(text.substr(at + 1));
    if (!number || *number == 0 || *number > 0xffffffffu)
        return make_error(errors::kBadName, "'{}' has no version number after '@'", printable(text));
    ref.version = static_cast<std::uint32_t>(*number);
    return ref;
}

}  // namespace slipway::imagestore
