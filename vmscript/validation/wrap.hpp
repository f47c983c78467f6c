// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace slipway::vmscript {

// The text in lines of at most `width` columns, broken at blanks, with a newline at its end. The first line begins at
// column `at`, the others are indented to `indent`. A word longer than a line has one to itself.
std::string wrapped(std::string_view text, std::size_t at, std::size_t indent, std::size_t width);

}  // namespace slipway::vmscript
