// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/result.hpp"

namespace slipway {

std::string Error::describe() const {
    std::string text;
    for (auto it = context_.rbegin(); it != context_.rend(); ++it) text += *it + ": ";
    return text + message_ + " [" + name_ + "]";
}

std::string Error::explain() const {
    if (next_step_.empty()) return describe();
    return describe() + "\n  what to do: " + next_step_;
}

}  // namespace slipway
