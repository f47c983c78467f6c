// SPDX-License-Identifier: GPL-3.0-or-later
// Image names, the only text of a user that becomes a path in the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace slipway::imagestore {

// A letter or digit, then letters, digits, '.', '_', '-'; at most 64. So no "..", no separator, no
// hidden file, nothing that a case of a path could turn into another directory.
bool valid_image_name(std::string_view name);

// "web" (newest) or "web@3".
struct ImageRef {
    std::string name;
    std::uint32_t version = 0;  // 0: the newest
    std::string text() const;
    static Result<ImageRef> parse(std::string_view text);  // error: imagestore.bad-name
};

}  // namespace slipway::imagestore
