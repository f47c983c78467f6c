// SPDX-License-Identifier: GPL-3.0-or-later
// The files of templates/, in the program: no path to lose. In them @KEY@ stands for a value that is already quoted for
// the shell where it must be.
#pragma once

#include <string_view>

namespace slipway::vmscript {
std::string_view template_text(std::string_view name);  // "capture.sh"
}
